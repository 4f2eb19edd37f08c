"""What a letter is made of. Units: capitals are 21 high; y grows down and is 0 on the base line."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float64]  # (n, 2) corner points of one stroke


class Glyph(NamedTuple):
    """A letter: the strokes of its body, the marks that may come later, and its advance."""

    body: tuple[Path, ...]
    marks: tuple[Path, ...]
    width: float


def path(*points: tuple[float, float]) -> Path:
    """A stroke through these points."""
    return np.array(points, dtype=np.float64)


def shifted(stroke: Path, x: float) -> Path:
    """The stroke, so much further to the right."""
    return stroke + np.array([x, 0.0])
