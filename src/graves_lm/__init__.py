"""graves_lm: generating sequences with recurrent networks, after A. Graves, arXiv:1308.0850 (2013).

    graves_lm.load().write("Dear reader,").save("letter.svg")

Importing the package stays cheap: what it offers is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graves_lm.runtime.errors import UserError
    from graves_lm.writing.handwriting import Handwriting
    from graves_lm.writing.writer import Writer, load

__version__ = "0.1.0"
__all__ = ["Handwriting", "UserError", "Writer", "load"]

_MODULES = {
    "Handwriting": "graves_lm.writing.handwriting",
    "UserError": "graves_lm.runtime.errors",
    "Writer": "graves_lm.writing.writer",
    "load": "graves_lm.writing.writer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
