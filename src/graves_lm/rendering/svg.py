"""Strokes as SVG: the pen's centre line, one path a stroke."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.rendering.brush import outline
from graves_lm.rendering.curves import smooth
from graves_lm.rendering.layout import POINT_MS, Page, Print, Style, place

_NO_CURVES = np.zeros((0, 4, 2))
# While it is written, a stroke is one long dash that slides in from its start: the path counts as 1 long,
# and the dash is a little longer, lest round ends show where the pen has not been. Before and after, there
# is no dash, so viewers without animation show the page.
ANIMATION = """<style>
.pen path{animation:pen-write linear backwards}
.pen .dot{animation-name:pen-land}
@keyframes pen-write{from{stroke-dasharray:1.02 2;stroke-dashoffset:1.03}to{stroke-dasharray:1.02 2}}
@keyframes pen-land{from{stroke-opacity:0}to{stroke-opacity:0}}
@media (prefers-reduced-motion:reduce){.pen path{animation:none}}
</style>"""


def strokes_to_svg(
    lines: Sequence[ArrayLike], style: Style | None = None, width_mm: float | None = None
) -> str:
    """An SVG document of the lines (T, 3), under each other, in the data's own units.

    `width_mm` gives the page a physical width, for a plotter or a printer; without it the picture fills
    the space it is shown in. A stroke of one point is a dot. The same strokes give the same text.
    """
    return page_to_svg(place(lines, style or Style()), width_mm)


def strokes_to_animated_svg(lines: Sequence[ArrayLike], style: Style | None = None) -> str:
    """As `strokes_to_svg`, written before the reader's eyes."""
    return page_to_svg(place(lines, style or Style()), point_ms=POINT_MS)


def page_to_svg(
    page: Page,
    width_mm: float | None = None,
    tolerance: float = 0.0,
    point_ms: float | None = None,
) -> str:
    """An SVG document of the page, its coordinates in the page's unit.

    Args:
        width_mm: the page's physical width; `page.width` for a page in millimetres.
        tolerance: draw curves that pass every point at this distance or less (and rounding), in the page's
            unit; 0 draws straight lines through the points.
        point_ms: animate the page: strokes, all as wide as the pen, appear one after another, each at an
            even pace for as long as the pen took at a point every `point_ms`. None gives a still picture.
    """
    # A thousandth of a line's height is finer than any screen shows.
    decimals = max(0, 3 - math.floor(math.log10(page.line_height)))
    size = ""
    if width_mm is not None:
        size = f' width="{width_mm:g}mm" height="{width_mm * page.height / page.width:.6g}mm"'
    paths, drawn = [], 0
    inked = bool(page.widths) and point_ms is None
    curves = smooth(page.strokes, tolerance) if tolerance and not inked else [_NO_CURVES] * len(page.strokes)
    for number, (xy_N2, curves_S42) in enumerate(zip(page.strokes, curves, strict=True)):
        colour = page.colour(number)
        own = "" if colour == page.rgb else f' stroke="#{bytes(colour).hex()}"'
        if inked:
            border = _numbers(outline(xy_N2, page.widths[number]), decimals)
            paths.append(f'<path d="M{border}z" fill="#{bytes(colour).hex()}" stroke="none"/>')
            continue
        timing = "" if point_ms is None else _timing(drawn, len(xy_N2), point_ms)
        paths.append(f'<path d="{_data(xy_N2, curves_S42, decimals)}"{own}{timing}/>')
        drawn += len(xy_N2)
    frame = _numbers([page.width, page.height], decimals)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg"{size} viewBox="0 0 {frame}">',
            *([] if point_ms is None else [ANIMATION]),
            *(_printed(printed, decimals) for printed in page.prints),
            f'<g class="pen" fill="none" stroke="#{bytes(page.rgb).hex()}" '
            f'stroke-width="{_numbers(page.pen, decimals)}" '
            'stroke-linecap="round" stroke-linejoin="round">',
            *paths,
            "</g>",
            "</svg>\n",
        ]
    )


def _printed(printed: Print, decimals: int) -> str:
    """What is on the paper already, as one path."""
    data = "".join(_data(xy_N2, _NO_CURVES, decimals) for xy_N2 in printed.strokes)
    return (
        f'<path fill="none" stroke="#{bytes(printed.rgb).hex()}" '
        f'stroke-width="{_numbers(printed.pen, decimals)}" stroke-linecap="round" d="{data}"/>'
    )


def _data(xy_N2: NDArray[np.float64], curves_S42: NDArray[np.float64], decimals: int) -> str:
    """A stroke's path data: its curves, or straight lines where it has none."""
    if len(curves_S42) == 0:
        # The first point twice where there is no other: a segment of no length, which round caps make a dot.
        return f"M{_numbers(xy_N2 if len(xy_N2) > 1 else xy_N2.repeat(2, axis=0), decimals)}"
    # Relative numbers are shorter. They are differences of rounded places, so that no error adds up.
    places_S42 = curves_S42.round(decimals)
    steps = places_S42[:, 1:] - places_S42[:, :1]
    data = f"M{_numbers(xy_N2[0], decimals)}c{_numbers(steps, decimals)}"
    return data.replace(" -", "-").replace("-0.", "-.").replace(" 0.", " .")


def _numbers(values: ArrayLike, decimals: int) -> str:
    texts = [f"{value:.{decimals}f}" for value in np.ravel(values).tolist()]
    return " ".join(t.rstrip("0").rstrip(".") if "." in t else t for t in texts)


def _timing(before: int, points: int, point_ms: float) -> str:
    """The attributes of a stroke that is written after `before` points."""
    delay, duration = before * point_ms / 1000, points * point_ms / 1000
    kind = ' class="dot"' if points == 1 else ' pathLength="1"'
    return f'{kind} style="animation-delay:{delay:.5g}s;animation-duration:{duration:.5g}s"'
