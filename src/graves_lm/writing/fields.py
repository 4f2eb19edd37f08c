"""Texts with fields: "Dear {name},"."""

import re
from collections.abc import Mapping

from graves_lm.runtime.errors import UserError, near_misses

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}\n]{1,100})\}")


def fields_in(text: str) -> set[str]:
    """The names of a text's fields."""
    return {match[1].strip() for match in _FIELD.finditer(text) if match[1]}


def fill(text: str, fields: Mapping[str, str], where: str) -> str:
    """The text with what its fields stand for; {{ and }} are braces.

    Raises UserError for a field that there is not.

    >>> fill("Dear {name} {{x}}", {"name": "Anna"}, "text")
    'Dear Anna {x}'
    """

    def filled(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        name = match[1].strip()
        if name not in fields:
            raise UserError(f"{where}: {{{name}}} is no field; {near_misses(name, sorted(fields))}")
        return fields[name]

    return _FIELD.sub(filled, text)
