"""Ink as a reader sees it: the pen's way in equal steps, whatever device, speed and size it was written with.

A pen's way is cut into steps of one length, a share of the line's own size, so that a fast hand and a
slow one, a tablet of 30 readings a second and one of 200, give the same. Between strokes the pen moves in one
step. `STACKED` steps side by side are a frame, and frames follow one another every `STRIDE` steps.

Shapes: T points of a line, N steps, F frames, D = 4·STACKED numbers of a frame; a line (T, 3) is
(dx, dy, end of stroke), y down, in any unit.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.runtime.errors import UserError

STEP = 0.3
"""Of a line's size."""
STRIDE = 4
STACKED = 10
NUMBERS = 4 * STACKED
_TREND = 16.0  # the slope of a word counts for less: its letters make one by themselves
_FLAT = 0.005  # of its width, at least, is the size of a line: a dash has no height of its own

Positions = NDArray[np.float64]


def ink_frames(line: ArrayLike) -> NDArray[np.float32]:
    """The frames (F, D) of a line (T, 3).

    A step is asinh of its offset in units of the line's size, whether it was made with the pen up, and its
    height above the line's middle.

    Raises UserError for ink without any extent.
    """
    step_N4 = steps(line)
    ends = -(-len(step_N4) // STRIDE) * STRIDE
    first = (STACKED - STRIDE) // 2
    padded = np.zeros((first + ends + STACKED, 4), np.float32)
    padded[first : first + len(step_N4)] = step_N4
    starts_F1 = np.arange(0, ends, STRIDE)[:, None]
    return padded[starts_F1 + np.arange(STACKED)].reshape(-1, NUMBERS)


def frame_points(line: ArrayLike) -> NDArray[np.int64]:
    """For each frame of a line (T, 3), see `ink_frames`, the point (F,) at which its middle step ends."""
    _, at_T, _, _ = _way(line)
    frames = -(-max(1, round(at_T[-1])) // STRIDE)
    middle_F = np.arange(frames) * STRIDE + STRIDE / 2
    return np.minimum(np.searchsorted(at_T, middle_F), len(at_T) - 1)


def steps(line: ArrayLike) -> NDArray[np.float32]:
    """The steps (N, 4) of a line (T, 3), see `ink_frames`."""
    point_T2, at_T, up_T, size = _way(line)
    count = max(1, round(at_T[-1]))
    number_N = np.arange(count + 1)
    x_N, y_N = (np.interp(number_N, at_T, axis) / size for axis in point_T2.T)
    made = up_T[np.minimum(np.searchsorted(at_T, number_N[1:] - 0.5) - 1, len(up_T) - 1)]
    offset_N2 = np.arcsinh(4 * np.stack([np.diff(x_N), np.diff(y_N)], axis=1))
    return np.column_stack([offset_N2, made, y_N[1:]]).astype(np.float32)


def _way(line: ArrayLike) -> tuple[Positions, NDArray[np.float64], NDArray[np.bool_], float]:
    """The points of a line (T, 3) on a level line, the steps (T,) up to each of them, whether the way after
    each point but one is made with the pen up, and the line's size."""
    line = np.asarray(line, np.float64)
    point_T2, up_T = np.cumsum(line[:, :2], axis=0), line[:-1, 2] > 0.5
    way_T = np.hypot(*line[1:, :2].T)
    point_T2, size = levelled(point_T2, np.where(up_T, 0.0, way_T))
    way_T = np.where(up_T, 0.0, way_T) / (STEP * size)

    # Each stroke is a whole number of steps, so that its ends, corners of the way, are not cut.
    stroke_T = np.cumsum(np.concatenate([[False], up_T]))[:-1]
    length_S = np.bincount(stroke_T, way_T, minlength=1)
    whole_S = np.where(length_S > 0, np.maximum(1, np.rint(length_S)), 0)
    way_T = way_T * (whole_S / np.where(length_S > 0, length_S, 1))[stroke_T]
    at_T = np.concatenate([[0.0], np.cumsum(np.where(up_T, 1.0, way_T))])
    return point_T2, at_T, up_T, size


def levelled(point_T2: Positions, way_T: NDArray[np.float64]) -> tuple[Positions, float]:
    """The points on a level line about 0, and their size: the standard deviation of the pen's heights.

    `way_T` weighs the ways between the points, so that where the pen rests counts for nothing.
    """
    if not way_T.sum() > 0:  # see `has_extent`
        raise UserError("a single dot, or nothing: there is no writing in this ink")
    middle_T2 = (point_T2[1:] + point_T2[:-1]) / 2
    mean_2 = np.average(middle_T2, axis=0, weights=way_T)
    x_T, y_T = (middle_T2 - mean_2).T
    dx_T, dy_T = np.diff(point_T2, axis=0).T / np.sqrt(12)  # the spread along each way itself
    pairs = ((x_T, dx_T, x_T, dx_T), (x_T, dx_T, y_T, dy_T), (y_T, dy_T, y_T, dy_T))
    xx, xy, yy = (np.average(a * b + da * db, weights=way_T) for a, da, b, db in pairs)
    about = yy - xy * xy / xx if xx > 0 else yy  # the heights' variance about the straight line
    slope = xy / (xx + _TREND * about) if xx > 0 else 0.0
    point_T2 = point_T2 - mean_2
    point_T2 = np.column_stack([point_T2[:, 0], point_T2[:, 1] - slope * point_T2[:, 0]])
    size = np.sqrt(max(yy - 2 * slope * xy + slope**2 * xx, 0.0))
    return point_T2, max(size, _FLAT * float(np.ptp(point_T2[:, 0])))


def has_extent(line: ArrayLike) -> bool:
    """Whether the pen ever moves on the paper: what `ink_frames` needs."""
    line = np.asarray(line, np.float64)
    return bool((line[1:, :2][line[:-1, 2] <= 0.5] != 0).any())
