"""Sampled points as lines of handwriting in data units."""

import numpy as np
from numpy.typing import ArrayLike

from graves_lm.data.strokes import Floats, Normalisation


def to_line(point_T3: ArrayLike, normalisation: Normalisation, after_a_stroke: bool = False) -> Floats:
    """Sampled points as a line of handwriting in data units: the point before them, where the pen begins, and
    the pen lifted after the last.

    `after_a_stroke`: the point before them ended a stroke (of a prime). The pen begins with the first of them
    then, and the way to it is none of the line's.
    """
    line = normalisation.invert(point_T3)
    if after_a_stroke:
        line[0, :2] = 0
    else:
        line = np.concatenate([np.zeros((1, 3), np.float32), line])
    line[-1, 2] = 1
    return line
