"""Handwriting in a file of the format that its name says."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from graves_lm.rendering.gif import strokes_to_gif
from graves_lm.rendering.png import strokes_to_png
from graves_lm.rendering.points import strokes_to_json
from graves_lm.rendering.svg import strokes_to_animated_svg, strokes_to_svg
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write

FORMATS: dict[str, Callable[[Sequence[ArrayLike]], str | bytes]] = {
    ".svg": strokes_to_svg,
    ".png": strokes_to_png,
    ".gif": strokes_to_gif,
    ".json": strokes_to_json,
    ".anim.svg": strokes_to_animated_svg,
}


def format_of(path: str | os.PathLike[str]) -> str:
    """The path's ending, the longest that fits of `FORMATS`. Raises UserError for another."""
    name = Path(path).name.lower()
    found = [ending for ending in FORMATS if name.endswith(ending) and name != ending]
    if not found:
        raise UserError(f"{path}: handwriting is written as {', '.join(FORMATS)}; use one of them")
    return max(found, key=len)


def write_handwriting(path: str | os.PathLike[str], lines: Sequence[ArrayLike]) -> None:
    """Write the lines (T, 3), in data units, in the format of the path's ending."""
    write(path, FORMATS[format_of(path)](lines))
