"""Classes from outside of the package that a checkpoint may name.

A class is here because its own package has put it here, by being imported. What a file says imports nothing:
an extension is imported by the person who uses it, in Python or by its name in GRAVES_LM_EXTENSIONS (several:
separated by commas), which is asked when a file names a class that is not known.
"""

import os
from importlib import import_module

from graves_lm.runtime.errors import UserError, first_line

VARIABLE = "GRAVES_LM_EXTENSIONS"

_CLASSES: dict[tuple[str, str], type] = {}


def register(kind: str, cls: type) -> None:
    """Let files name `cls` as a setting of this kind ("cell")."""
    _CLASSES[kind, name_of(cls)] = cls


def name_of(cls: type) -> str:
    """The name that files and the command line call it by."""
    return f"{cls.__module__}.{cls.__qualname__}"


def registered(kind: str, name: object) -> type | None:
    """The class of that exact name, after the person's extensions have been imported; None: there is none."""
    if not isinstance(name, str):
        return None
    if (kind, name) not in _CLASSES:
        import_extensions()
    return _CLASSES.get((kind, name))


def import_extensions() -> None:
    """Import the modules that GRAVES_LM_EXTENSIONS names. Raises UserError for one that cannot be."""
    for module in filter(None, (part.strip() for part in os.environ.get(VARIABLE, "").split(","))):
        try:
            import_module(module)
        except UserError:
            raise
        except Exception as error:  # of somebody else's module: whatever it is
            raise UserError(f"{VARIABLE}={module}: cannot be imported ({first_line(error)})") from error
