"""Lines of handwriting as other writers, or the same one on another day, might have written them.

Shapes: T points of a line, S strokes; a line (T, 3) is (dx, dy, end of stroke) in any unit.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from graves_lm.data.strokes import Floats

SLANT, WIDTH, TURN, SIZE, DRIFT = 0.25, 0.15, 0.03, 0.08, 0.04
"""Standard deviations: of the shear; of the logarithm of the width over the height; of the angle, in
radians; of the logarithm of each stroke's size; of a stroke's place, in units of the line's height."""


def distorted(line: ArrayLike, random: Generator) -> Floats:
    """The line sheared, widened and turned, each of its strokes a little out of size and place."""
    made = np.array(line, np.float32)
    shear, width, turn = random.normal(0, (SLANT, WIDTH, TURN))
    matrix = np.array([[np.exp(width), -shear], [0, 1]]).T @ np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    )
    made[:, :2] @= matrix.astype(np.float32)
    stroke_T = np.cumsum(np.concatenate([[0], made[:-1, 2] > 0.5])).astype(int)
    begins_T = np.diff(stroke_T, prepend=-1) > 0
    strokes = stroke_T[-1] + 1
    height = float(np.std(np.cumsum(made[:, 1])))
    sizes_S = np.exp(random.normal(0, SIZE, strokes)).astype(np.float32)
    made[:, :2] *= np.where(begins_T, 1, sizes_S[stroke_T])[:, None]
    moves_S2 = np.diff(random.normal(0, DRIFT * height, (strokes + 1, 2)), axis=0)
    made[begins_T, :2] += moves_S2.astype(np.float32)
    made[0, :2] = 0
    return made
