"""Lines of handwriting as other writers, or the same one on another day, might have written them.

Shapes: T points of a line, S strokes, K knots along the pen's way; a line (T, 3) is (dx, dy, end of stroke)
in any unit.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from graves_lm.data.strokes import Floats

SLANT, WIDTH, TURN = 0.25, 0.15, 0.03
"""Of a whole line, standard deviations: of the shear; of the logarithm of the width over the height; of the
angle, in radians."""
WIDER, HIGHER, LEANING = 0.12, 0.12, 0.12
"""Along the pen's way, in the same measures: a letter is wider, the next one higher or more upright."""
KNOT = 6.0
"""The way from knot to knot, in heights of the line: about a letter."""
DRIFT = 0.04
"""Of a stroke's place, in heights of the line."""


def distorted(line: ArrayLike, random: Generator) -> Floats:
    """The line sheared, widened and turned, its letters each a little otherwise, its strokes out of place."""
    made = np.array(line, np.float64)
    height = float(np.std(np.cumsum(made[:, 1]))) or 1.0
    shear, width, turn = random.normal(0, (SLANT, WIDTH, TURN))
    made[:, :2] = (made[:, :2] * (np.exp(width), 1)) @ ((1, 0), (-shear, 1))
    made[:, :2] = made[:, :2] @ ((np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn)))

    wider_T, higher_T, leaning_T = _along(np.hypot(*made[:, :2].T) / height, random)
    made[:, 1] *= np.exp(higher_T)
    made[:, 0] = made[:, 0] * np.exp(wider_T) - leaning_T * made[:, 1]

    begins_T = np.concatenate([[True], made[:-1, 2] > 0.5])
    places_S2 = random.normal(0, DRIFT * height, (int(begins_T.sum()), 2))
    made[begins_T, :2] += np.diff(places_S2, axis=0, prepend=0)
    made[0, :2] = 0
    return made.astype(np.float32)


def _along(step_T: NDArray[np.float64], random: Generator) -> NDArray[np.float64]:
    """Three numbers at each point, (3, T), that change slowly along the pen's way: drawn at knots, and on
    straight lines between them."""
    way_T = np.cumsum(step_T) / KNOT
    knots = int(way_T[-1]) + 2
    drawn_3K = random.normal(0, 1, (3, knots)) * np.array([[WIDER], [HIGHER], [LEANING]])
    return np.stack([np.interp(way_T, np.arange(knots), drawn_K) for drawn_K in drawn_3K])
