"""Strokes placed on a page: what every picture of them shares.

A line of handwriting is an array (T, 3) of (dx, dy, end_of_stroke), one row a point: the offset from the
point before (from nothing for the first), x right and y **down**, and 1 where the point is the last of its
stroke, so that the move after it is made with the pen up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor

from graves_lm.runtime.errors import UserError

POINT_MS = 12.0  # between two points of a moving picture; a tablet takes 75 to 100 points per second


@dataclass(frozen=True)
class Style:
    """How a page looks. The lengths are fractions of the median height of a line, so that they fit any unit.

    `colour` is a CSS colour: a name, "#rrggbb", "rgb(…)" or "hsl(…)".
    """

    stroke_width: float = 0.03
    margin: float = 0.3
    line_gap: float = 0.4
    colour: str = "black"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as red, green and blue up to 255."""
        return colour_rgb(self.colour)


def colour_rgb(colour: str) -> tuple[int, int, int]:
    """A CSS colour as red, green and blue up to 255. Raises UserError where it is none."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(colour)
    except ValueError:
        raise UserError(f"{colour!r} is not a colour: take a CSS name or #rrggbb") from None
    return red, green, blue


RGB = tuple[int, int, int]


class Print(NamedTuple):
    """Lines and dots that are on the paper before it is written on: no pen follows them."""

    strokes: list[NDArray[np.float64]]  # (N, 2) each; one place is a dot
    pen: float
    rgb: RGB


class Page(NamedTuple):
    """Strokes in place, in one unit (the data's, or millimetres), the page's top left corner at (0, 0)."""

    strokes: list[NDArray[np.float64]]  # (N, 2) each
    width: float
    height: float
    line_height: float  # the median
    pen: float  # the width of a stroke
    rgb: RGB = (0, 0, 0)
    colours: Sequence[RGB] = ()  # of each stroke; (): all have `rgb`
    widths: Sequence[NDArray[np.float64]] = ()  # of each stroke at each point, (N,); (): all have `pen`
    prints: Sequence[Print] = ()  # under the strokes

    def colour(self, stroke: int) -> RGB:
        """The colour of a stroke, by its number."""
        return self.colours[stroke] if self.colours else self.rgb


class Layer(NamedTuple):
    """What is drawn in one go, in one colour."""

    rgb: RGB
    pen: float
    strokes: Sequence[NDArray[np.float64]]
    widths: Sequence[NDArray[np.float64] | None]  # of each stroke; None: as wide as the pen
    printed: bool = False


def layers(page: Page) -> list[Layer]:
    """What is on the paper, then the strokes of each colour; one layer at least."""
    prints = [Layer(p.rgb, p.pen, p.strokes, [None] * len(p.strokes), printed=True) for p in page.prints]
    drawn = [
        Layer(
            page.colour(numbers[0]),
            page.pen,
            [page.strokes[n] for n in numbers],
            [page.widths[n] if page.widths else None for n in numbers],
        )
        for numbers in by_colour(page)
    ]
    return [*prints, *drawn] or [Layer(page.rgb, page.pen, [], [])]


def by_colour(page: Page) -> list[list[int]]:
    """The numbers of the strokes of each colour, in the order of its first one."""
    found: dict[RGB, list[int]] = {}
    for number in range(len(page.strokes)):
        found.setdefault(page.colour(number), []).append(number)
    return list(found.values())


def positions(line: ArrayLike) -> NDArray[np.float64]:
    """The places (T, 2) of a line's points: the running sum of its offsets (T, 3)."""
    points_T3 = np.asarray(line, dtype=np.float64)
    if points_T3.ndim != 2 or points_T3.shape[1] != 3:
        raise ValueError(f"a line of strokes has the shape (T, 3), not {points_T3.shape}")
    if not np.isfinite(points_T3).all():
        raise UserError("the strokes hold numbers that are not finite, so there is nothing to draw")
    return points_T3[:, :2].cumsum(0)


def split_strokes(xy_T2: NDArray[np.float64], line: ArrayLike) -> list[NDArray[np.float64]]:
    """The places of a line's points, stroke by stroke: cut where the line (T, 3) says the pen is lifted."""
    return np.split(xy_T2, np.flatnonzero(np.asarray(line)[:-1, 2] > 0.5) + 1)


def place(lines: Sequence[ArrayLike], style: Style) -> Page:
    """The lines (T, 3) under each other, their left edges aligned; lines without points take no space."""
    places = [positions(line) for line in lines]
    kept = [i for i, xy_T2 in enumerate(places) if len(xy_T2)]
    extents = np.array([np.ptp(places[i], axis=0) for i in kept]).reshape(-1, 2)
    # A page of dashes has no height, a page of dots no extent at all.
    line_height = float(np.median(extents[:, 1])) if kept else 0.0
    line_height = line_height or float(extents.max(initial=0)) or 1.0

    margin, gap = style.margin * line_height, style.line_gap * line_height
    strokes, top = [], margin
    for i, (_, height) in zip(kept, extents, strict=True):
        xy_T2 = places[i] - places[i].min(0) + (margin, top)
        strokes += split_strokes(xy_T2, lines[i])
        top += height + gap
    bottom = top - gap if kept else top
    width = float(extents[:, 0].max(initial=0)) + 2 * margin
    pen = style.stroke_width * line_height
    return Page(strokes, width, float(bottom + margin), line_height, pen, style.rgb)
