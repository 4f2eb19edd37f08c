"""Generated lines of handwriting for tests, of any length."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import StrokeLine


def make_line(name: str, points: int, text: str = "") -> StrokeLine:
    """A line of `points` points in whole units, its numbers drawn from its name."""
    rng = np.random.default_rng(list(name.encode()))
    strokes = np.zeros((points, 3), np.float32)
    strokes[1:, :2] = np.rint(rng.normal((8, 0), (42, 36), (points - 1, 2)))
    strokes[:, 2] = rng.random(points) < 0.05
    strokes[-1, 2] = 1
    return StrokeLine(name, strokes, text)


def make_store(folder: Path, lengths: Iterable[int]) -> LineStore:
    """A store whose line i has `lengths[i]` points and the text of its number, as letters."""
    lines = [make_line(f"line-{i}", n, spelled(i)) for i, n in enumerate(lengths)]
    LineStore.write(folder, {"train": lines})
    return LineStore.open(folder)


def spelled(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))
