"""Pages of handwriting in files."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from graves_lm.rendering.dxf import page_to_dxf
from graves_lm.rendering.gcode import page_to_gcode
from graves_lm.rendering.gif import page_to_gif
from graves_lm.rendering.handwriting import format_of
from graves_lm.rendering.hpgl import page_to_hpgl
from graves_lm.rendering.layout import POINT_MS
from graves_lm.rendering.layout import Page as Drawing
from graves_lm.rendering.order import ordered
from graves_lm.rendering.pdf import pages_to_pdf
from graves_lm.rendering.plotter import TOLERANCE, Plotter
from graves_lm.rendering.png import page_to_png
from graves_lm.rendering.svg import page_to_svg
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import check, write
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenPage

CURVES = 0.05  # mm that a curve may leave a point by: less than a hand trembles


def svg(drawing: Drawing, tolerance: float = CURVES) -> str:
    """A page as SVG, in millimetres, for a screen, a printer or a plotter.

    The pen's way is drawn in curves that leave no point by more than `tolerance` mm; 0 gives straight lines
    through the points.
    """
    return page_to_svg(drawing, drawing.width, tolerance)


def animated_svg(drawing: Drawing, tolerance: float = CURVES, point_ms: float = POINT_MS) -> str:
    """As `svg`, written before the reader's eyes, a point every `point_ms`."""
    return page_to_svg(drawing, drawing.width, tolerance, point_ms)


def png(drawing: Drawing, dpi: float | None = None) -> bytes:
    """A page as PNG, at 150 dpi unless given, or less for a very long page. Raises UserError for too many."""
    return page_to_png(drawing, dpi)


def gif(drawing: Drawing, dpi: float = 72.0, point_ms: float = POINT_MS) -> bytes:
    """A page being written, a point every `point_ms`, as GIF; a very long page in fewer dots per inch."""
    return page_to_gif(drawing, dpi / 25.4, point_ms=point_ms)


def hpgl(drawing: Drawing, plotter: Plotter | None = None, tolerance: float = TOLERANCE) -> str:
    """A page as HP-GL; see `rendering.hpgl`."""
    return page_to_hpgl(drawing, plotter, tolerance)


def gcode(drawing: Drawing, plotter: Plotter | None = None, tolerance: float = TOLERANCE) -> str:
    """A page as G-code; see `rendering.gcode`."""
    return page_to_gcode(drawing, plotter, tolerance)


def dxf(drawing: Drawing, tolerance: float = TOLERANCE) -> str:
    """A page as DXF; see `rendering.dxf`."""
    return page_to_dxf(drawing, tolerance)


def pdf(pages: Iterable[WrittenPage], tolerance: float = CURVES, title: str = "") -> bytes:
    """All pages as one PDF; see `rendering.pdf`."""
    return pages_to_pdf((page.drawing for page in pages), tolerance, title)


PAGE_FORMATS: dict[str, Callable[..., str | bytes]] = {
    ".svg": svg,
    ".anim.svg": animated_svg,
    ".png": png,
    ".gif": gif,
    ".hpgl": hpgl,
    ".gcode": gcode,
    ".dxf": dxf,
}
_TOLD = (".hpgl", ".gcode")  # what the settings of a plotter are for
_FOLLOWED = (".svg", ".dxf", *_TOLD)  # by a pen, so that the order of the strokes matters


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise UserError where handwriting could not be saved: to be asked before hours of work, not after."""
    path = Path(path)
    format_of(path)
    try:
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; add a file's name")
        if not path.parent.is_dir():
            raise UserError(f"cannot write {path}: its folder does not exist; make it first")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another path") from None
    check(path)


def stem_of(output: Path) -> str:
    """The name without its format's ending."""
    return output.name[: -len(format_of(output))]


def numbered_path(output: Path, number: int, of: int) -> Path:
    """The file of one of so many: letter.svg becomes letter-03.svg."""
    stem = stem_of(output)
    return output.with_name(f"{stem}-{number:0{len(str(of))}}{output.name[len(stem) :]}")


def save_pages(
    pages: Iterable[WrittenPage],
    path: str | os.PathLike[str],
    settings: PageSettings | None = None,
    **options: Any,
) -> Iterator[Path]:
    """Write each page, as it comes, to a file of the format of the path's ending; yields the paths written.

    One page has the path's own name; of several, name.svg becomes name-1.svg, name-2.svg and so on.
    `settings` say what a plotter is told; `options` are those of the format's function above.
    """
    settings = settings or PageSettings()
    path, stem = Path(path), stem_of(Path(path))
    ending = path.name[len(stem) :]
    kind = ending.lower()
    if kind in _TOLD:
        options = {"plotter": settings.plotter, **options}
    coming = iter(pages)
    page = next(coming, None)
    number = 1
    while page is not None:
        after = next(coming, None)
        several = number > 1 or after is not None
        target = path.with_name(f"{stem}-{number}{ending}") if several else path
        drawing = page.drawing
        if settings.order == "shortest" and kind in _FOLLOWED:
            drawing = ordered(drawing, settings.plotter.start(drawing))
        write(target, PAGE_FORMATS[kind](drawing, **options))
        yield target
        page, number = after, number + 1
