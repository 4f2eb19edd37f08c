"""Strokes as SVG: the pen's centre line, one path a stroke."""

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike

from graves_lm.rendering.layout import Style, place


def strokes_to_svg(
    lines: Sequence[ArrayLike], style: Style | None = None, width_mm: float | None = None
) -> str:
    """An SVG document of the lines (T, 3), under each other, in the data's own units.

    `width_mm` gives the page a physical width, for a plotter or a printer; without it the picture fills
    the space it is shown in. A stroke of one point is a dot. The same strokes give the same text.
    """
    style = style or Style()
    page = place(lines, style)
    # A thousandth of a line's height is finer than any screen shows.
    decimals = max(0, 3 - math.floor(math.log10(page.line_height)))

    def number(value: float) -> str:
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    size = ""
    if width_mm is not None:
        size = f' width="{width_mm:g}mm" height="{width_mm * page.height / page.width:.6g}mm"'
    paths = []
    for xy_N2 in page.strokes:
        # The first point twice where there is no other: a segment of no length, which round caps make a dot.
        points = xy_N2 if len(xy_N2) > 1 else xy_N2.repeat(2, axis=0)
        paths.append(f'<path d="M{" ".join(number(v) for v in points.ravel())}"/>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg"{size} '
            f'viewBox="0 0 {number(page.width)} {number(page.height)}">',
            f'<g fill="none" stroke="#{bytes(style.rgb).hex()}" stroke-width="{number(page.pen)}" '
            'stroke-linecap="round" stroke-linejoin="round">',
            *paths,
            "</g>",
            "</svg>\n",
        ]
    )
