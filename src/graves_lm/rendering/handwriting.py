"""Handwriting in a file of the format that its name says."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from graves_lm.rendering.dxf import page_to_dxf
from graves_lm.rendering.gcode import page_to_gcode
from graves_lm.rendering.gif import strokes_to_gif
from graves_lm.rendering.hpgl import page_to_hpgl
from graves_lm.rendering.inkml import strokes_to_inkml
from graves_lm.rendering.layout import Page, Style, place
from graves_lm.rendering.pdf import pages_to_pdf
from graves_lm.rendering.png import strokes_to_png
from graves_lm.rendering.points import strokes_to_json
from graves_lm.rendering.svg import strokes_to_animated_svg, strokes_to_svg
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.extras import require_package
from graves_lm.runtime.files import write

Lines = Sequence[ArrayLike]
PAPER = 210.0  # mm: how wide lines that have no size of their own are, where a format has millimetres


def in_millimetres(lines: Lines) -> Page:
    """The lines (T, 3) under each other on a sheet as wide as A4."""
    page = place(lines, Style())
    scale = PAPER / page.width
    strokes = [xy_N2 * scale for xy_N2 in page.strokes]
    height, line_height, pen = (size * scale for size in (page.height, page.line_height, page.pen))
    return Page(strokes, PAPER, height, line_height, pen, page.rgb)


FORMATS: dict[str, Callable[[Lines], str | bytes]] = {
    ".svg": strokes_to_svg,
    ".png": strokes_to_png,
    ".gif": strokes_to_gif,
    ".json": strokes_to_json,
    ".anim.svg": strokes_to_animated_svg,
    ".inkml": strokes_to_inkml,
    ".pdf": lambda lines: pages_to_pdf([in_millimetres(lines)], 0.05),
    ".hpgl": lambda lines: page_to_hpgl(in_millimetres(lines)),
    ".gcode": lambda lines: page_to_gcode(in_millimetres(lines)),
    ".dxf": lambda lines: page_to_dxf(in_millimetres(lines)),
}
USUAL = tuple(FORMATS)[:5]
"""Those that are written where no output is asked for."""
NEEDED = {".pdf": "reportlab", ".dxf": "ezdxf"}
"""The packages of the extra `desk` that formats are written by."""


def format_of(path: str | os.PathLike[str]) -> str:
    """The path's ending, the longest that fits of `FORMATS`.

    Raises UserError for another, and for one whose package is not installed.
    """
    name = Path(path).name.lower()
    found = [ending for ending in FORMATS if name.endswith(ending) and name != ending]
    if not found:
        raise UserError(f"{path}: handwriting is written as {', '.join(FORMATS)}; use one of them")
    ending = max(found, key=len)
    if ending in NEEDED:
        require_package(NEEDED[ending], "desk", str(path))
    return ending


def write_handwriting(path: str | os.PathLike[str], lines: Lines) -> None:
    """Write the lines (T, 3), in data units, in the format of the path's ending."""
    write(path, FORMATS[format_of(path)](lines))
