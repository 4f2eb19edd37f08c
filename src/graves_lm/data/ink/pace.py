"""Points of a pen at another rate than its device took them."""

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.ink.line import POINTS, within

Floats64 = NDArray[np.float64]

LONGEST_REST = 0.1
"""Seconds that a pen may rest in a stroke: a longer rest tells no more of a hand, and would be many
points that are one."""


def at_rate(position_N2: Floats64, time_N: Floats64, rate: float) -> Floats64:
    """A stroke's positions `(m, 2)` every 1/rate seconds from its first point on, between its points on the
    straight line, and its last point.

    `time_N` is in seconds; where it goes back, no time has passed. Raises Malformed for more points than any
    honest stroke has.
    """
    time_N = np.cumsum(np.clip(np.diff(time_N, prepend=time_N[0]), 0, LONGEST_REST))
    count = int(np.ceil(time_N[-1] * rate - 1e-9))  # before the last point
    within(count, POINTS, "points of a stroke at this rate")
    at = np.arange(count) / rate
    found = [np.interp(at, time_N, axis_N) for axis_N in position_N2.T]
    return np.concatenate([np.stack(found, axis=1), position_N2[-1:]])
