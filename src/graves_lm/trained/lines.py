"""Sampled points as lines of handwriting in data units."""

import numpy as np
from numpy.typing import ArrayLike

from graves_lm.data.strokes import Floats, Normalisation


def to_line(point_T3: ArrayLike, normalisation: Normalisation) -> Floats:
    """Sampled points as a line of handwriting in data units: the point before them, where the pen begins, and
    the pen lifted after the last."""
    line = np.concatenate([np.zeros((1, 3), np.float32), normalisation.invert(point_T3)])
    line[-1, 2] = 1
    return line
