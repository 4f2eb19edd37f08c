"""What a pen plotter is told besides the strokes, and the pen's way as its languages have it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graves_lm.rendering.curves import flat
from graves_lm.rendering.layout import RGB, Page, by_colour

Floats = NDArray[np.float64]
TOLERANCE = 0.02  # mm that a polygon leaves the curve by, and the curve the points: a plotter's step or two


@dataclass(frozen=True)
class Plotter:
    """A pen plotter, or another machine that follows a pen's way.

    Args:
        feed: how fast the pen is drawn over the paper, mm a minute.
        pen_up, pen_down: the G-code that lifts and lowers the pen, a line each.
        origin: the corner of the page that the machine calls (0, 0). y grows up the page either way.
    """

    feed: float = 3000.0
    pen_up: tuple[str, ...] = ("G0 Z5",)
    pen_down: tuple[str, ...] = ("G1 Z0 F600",)
    origin: Literal["bottom_left", "top_left"] = "bottom_left"

    def start(self, page: Page) -> tuple[float, float]:
        """Where the pen begins, on the page."""
        return 0.0, page.height if self.origin == "bottom_left" else 0.0


def pens(
    page: Page, origin: str = "bottom_left", tolerance: float = TOLERANCE
) -> Iterator[tuple[RGB, list[Floats]]]:
    """Colour by colour, so that each pen is taken once, the strokes of a page in millimetres as polygons
    (P, 2), mm from the corner `origin`, y up; one place is a dot."""
    for numbers in by_colour(page):
        polygons = flat([page.strokes[n] for n in numbers], tolerance)
        yield page.colour(numbers[0]), [upright(xy_P2, page.height, origin) for xy_P2 in polygons]


def upright(xy_P2: Floats, height: float, origin: str) -> Floats:
    """Places on a page with y up, from its corner `origin`."""
    return xy_P2 * (1, -1) + (0, height if origin == "bottom_left" else 0)


def moves(xy_P2: NDArray[Any]) -> NDArray[Any]:
    """The places without those that are the one before."""
    return xy_P2[np.concatenate([[True], (np.diff(xy_P2, axis=0) != 0).any(1)])]
