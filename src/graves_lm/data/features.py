"""Simple features of a line of handwriting.

Shapes: T points of a line; a line (T, 3) is (dx, dy, end of stroke) in data units, y down.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from graves_lm.data.strokes import size

STEEP = np.pi / 4  # a movement of the pen counts for the slant within this angle of the vertical


class Features(NamedTuple):
    """A line's features; 0 where there is nothing to measure (a line of dots).

    stroke_length: the pen's way in a stroke, mean over the strokes that are more than a dot; data units.
    speed: the pen's way from point to point within strokes, mean; data units per point.
    curvature: by how much the pen turns at a point within strokes, left or right, mean; radians.
    slant: by how much the upright parts of strokes, those within 45° of the vertical, lean to the right;
        degrees, mean weighted by their lengths.
    size: the standard deviation of the points' heights about the straight line fitted to them; data units.
    """

    stroke_length: float
    speed: float
    curvature: float
    slant: float
    size: float


def features(line: ArrayLike) -> Features:
    """The features of a line (T, 3)."""
    line = np.asarray(line, np.float64)
    down = line[:-1, 2] <= 0.5  # the offset after a stroke's last point is made with the pen up
    offset, stroke = line[1:, :2][down], np.cumsum(line[:-1, 2] > 0.5)[down]
    way = np.hypot(*offset.T)
    if way.sum() == 0:
        return Features(0.0, 0.0, 0.0, 0.0, 0.0)
    offset, stroke, speed, way = offset[way > 0], stroke[way > 0], way.mean(), way[way > 0]

    direction = np.arctan2(offset[:, 1], offset[:, 0])
    turn = np.abs((np.diff(direction) + np.pi) % (2 * np.pi) - np.pi)[np.diff(stroke) == 0]

    lean = np.arctan2(-offset[:, 0] * np.sign(offset[:, 1]), np.abs(offset[:, 1]))
    steep = np.abs(lean) <= STEEP
    slant = np.average(lean[steep], weights=way[steep]) if steep.any() else 0.0
    return Features(
        stroke_length=float(way.sum() / len(np.unique(stroke))),
        speed=float(speed),
        curvature=float(turn.mean()) if len(turn) else 0.0,
        slant=float(np.degrees(slant)),
        size=size(line),
    )
