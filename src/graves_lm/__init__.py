"""graves_lm: generating sequences with recurrent networks, after A. Graves, arXiv:1308.0850 (2013).

Importing the package stays cheap: nothing heavy is loaded until a submodule or `load` is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from graves_lm.writing.writer import Writer

__version__ = "0.1.0"


def load(path: "str | Path" = "synthesis") -> "Writer":
    """A trained synthesis network, to write with: `graves_lm.load().write("Dear reader,")`.

    `path` is a checkpoint, exported weights, or the name of weights that come with the package.
    Raises UserError for a missing or damaged file and a checkpoint of another task.
    """
    from graves_lm.writing.writer import load

    return load(path)
