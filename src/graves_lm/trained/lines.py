"""Lines of handwriting in data units: of sampled points, and how likely they are."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from graves_lm.data.line_batches import LineBatch
from graves_lm.data.strokes import Floats, Normalisation


def to_line(point_T3: ArrayLike, normalisation: Normalisation) -> Floats:
    """Sampled points as a line of handwriting in data units: the point before them, where the pen begins, and
    the pen lifted after the last."""
    line = np.concatenate([np.zeros((1, 3), np.float32), normalisation.invert(point_T3)])
    line[-1, 2] = 1
    return line


def nats_of(log_p_TB: Tensor, batch: LineBatch, units: Normalisation) -> float:
    """−log of the density of the batch's points, in nats per data unit, of that in the network's units."""
    return -float(log_p_TB[batch.scored_TB].sum()) + batch.size * float(np.log(units.std).sum())
