"""Generated lines of handwriting for tests, of any length."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from graves_lm.data.cache_folder import CacheFolder, seal
from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes


def make_line(name: str, points: int, text: str = "") -> StrokeLine:
    """A line of `points` points in whole units, its numbers drawn from its name."""
    rng = np.random.default_rng(list(name.encode()))
    strokes = np.zeros((points, 3), np.float32)
    strokes[1:, :2] = np.rint(rng.normal((8, 0), (42, 36), (points - 1, 2)))
    strokes[:, 2] = rng.random(points) < 0.05
    strokes[-1, 2] = 1
    return StrokeLine(name, strokes, text)


def wave(name: str, points: int) -> StrokeLine:
    """Loops of invented height and pace, the pen lifted every ten points: there is much to predict in it."""
    rng = np.random.default_rng(list(name.encode()))
    t = np.arange(points)
    height, angle = rng.uniform(20, 40), rng.uniform(0.6, 0.9) * t + rng.uniform(0, 6)
    xy = np.stack([12 * t + height * np.cos(angle), height * np.sin(angle)], 1) + rng.normal(
        0, 0.5, (points, 2)
    )
    return StrokeLine(name, from_pen_strokes(np.split(xy, range(10, points, 10))), "wave")


def write_ink(path: Path, lines: Sequence[StrokeLine]) -> Path:
    """A JSON file of the lines."""
    content = [
        {"id": x.id, "text": x.text, "strokes": [s.tolist() for s in to_pen_strokes(x.strokes)]}
        for x in lines
    ]
    path.write_text(json.dumps({"lines": content}))
    return path


def make_store(folder: Path, lengths: Iterable[int]) -> LineStore:
    """A store whose line i has `lengths[i]` points and the text of its number, as letters."""
    lines = [make_line(f"line-{i}", n, spelled(i)) for i, n in enumerate(lengths)]
    return stored(folder, {"train": lines})


def stored(folder: Path, parts: Mapping[str, Sequence[StrokeLine]]) -> LineStore:
    """The parts in a store of their own."""
    LineStore.write(folder, parts)
    seal(folder)
    return LineStore.open(CacheFolder(folder))


def spelled(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))
