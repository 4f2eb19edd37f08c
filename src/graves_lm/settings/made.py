"""The object that settings name by `_target_`: for what the command line or conf/ says, never for a file."""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from graves_lm.runtime.errors import UserError, first_line


def found(name: str, where: str) -> Any:
    """What has this full name. Raises UserError where there is nothing."""
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}._target_={name}: no such class ({first_line(error)})") from error


def made(settings: Mapping[str, Any], where: str) -> Any:
    """Call the class or function `_target_` with the other settings; those with a `_target_` are made first.

    Raises UserError where there is none of that name, and where it refuses the settings. `where` is the name
    that the settings have on the command line.
    """
    name = settings["_target_"]
    target = found(name, where)
    given = {
        key: made(value, f"{where}.{key}") if isinstance(value, Mapping) and "_target_" in value else value
        for key, value in settings.items()
        if key != "_target_"
    }
    try:
        return target(**given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {name} refuses its settings ({first_line(error)})") from error
