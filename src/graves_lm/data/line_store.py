"""Many lines of different lengths in a cache folder, without padding.

    points.npy    (N, 3) the strokes of all lines one after another; int16 when that is exact, else float32
    offsets.npy   (L+1,) int64; line i is points[offsets[i] : offsets[i+1]]
    lines.json    ids, texts and writers of the L lines, and parts (name → first and last line)

They are a part of a corpus's cache (see `base`, `cache_folder`).
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.cache_folder import CacheFolder, whole_number
from graves_lm.data.strokes import Floats, StrokeLine
from graves_lm.runtime.errors import UserError

POINTS, OFFSETS, LINES = FILES = ("points.npy", "offsets.npy", "lines.json")


class LineStore(Sequence[StrokeLine]):
    """Read-only lines of a cache folder; points are read when a line is asked for."""

    def __init__(self, points: Sequence[Any], offsets: NDArray[np.int64], lines: Mapping[str, Any]):
        self.points = points  # (N, 3)
        self.offsets = offsets  # (L+1,)
        self.ids, self.texts, self.writers = lines["ids"], lines["texts"], lines["writers"]
        self.parts: Mapping[str, tuple[int, int]] = lines["parts"]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Points of each line, `(L,)`."""
        return np.diff(self.offsets)

    def indices(self, *parts: str) -> NDArray[np.int64]:
        """The line numbers of the named parts, in the given order."""
        known = self.parts
        for part in parts:
            if part not in known:
                raise UserError(f"the cache has no part {part!r}, only {', '.join(known)}")
        return np.concatenate([np.arange(*known[part], dtype=np.int64) for part in parts])

    def strokes(self, index: int) -> Floats:
        """The strokes `(T, 3)` of one line, float32, a copy."""
        first, last = self.offsets[index], self.offsets[index + 1]
        return np.array(self.points[first:last], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> Any:  # a StrokeLine, or a list of them for a slice
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return StrokeLine(self.ids[i], self.strokes(i), self.texts[i], self.writers[i])

    def __iter__(self) -> Iterator[StrokeLine]:
        return (self[i] for i in range(len(self)))

    @staticmethod
    def write(folder: str | os.PathLike[str], parts: Mapping[str, Sequence[StrokeLine]]) -> None:
        """Writes the files of the parts, one part after another, into the folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lines = list(chain.from_iterable(parts.values()))
        lengths = [len(_checked(line)) for line in lines]
        points = _compact([line.strokes for line in lines])
        ends = np.cumsum([0, *map(len, parts.values())]).tolist()
        about = {
            "parts": {name: [ends[i], ends[i + 1]] for i, name in enumerate(parts)},
            "ids": [line.id for line in lines],
            "texts": [line.text for line in lines],
            "writers": [line.writer for line in lines],
        }
        np.save(folder / POINTS, points)
        np.save(folder / OFFSETS, np.cumsum([0, *lengths], dtype=np.int64))
        (folder / LINES).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, files: CacheFolder) -> "LineStore":
        """Raises UserError for files that are missing or damaged, or do not fit together."""
        points, stored = files.array(POINTS, "if", columns=3), files.array(OFFSETS, "i")
        points.allowed = _wrong_points
        lines = files.json(LINES)
        if wrong := _wrong_lines(lines, len(stored) - 1):
            raise files.damaged(LINES, wrong)
        offsets = np.asarray(stored, dtype=np.int64)
        if offsets[0] != 0 or offsets[-1] != len(points) or (np.diff(offsets) < 1).any():
            raise files.damaged(OFFSETS, f"it does not divide the {len(points):,} points into lines")
        return cls(points, offsets, lines)


def _wrong_points(points: NDArray[Any]) -> str | None:
    """Why these are no points of a pen, if so."""
    if not np.isfinite(points).all():
        return "an offset is not finite"
    pen = points[:, 2]
    return None if ((pen == 0) | (pen == 1)).all() else "an end of stroke is neither 0 nor 1"


def _wrong_lines(lines: Any, count: int) -> str | None:
    """Why these are not what is said of `count` lines, if so."""
    if not isinstance(lines, dict) or set(lines) != {"parts", "ids", "texts", "writers"}:
        return "parts, ids, texts and writers are needed"
    for name in ("ids", "texts", "writers"):
        column = lines[name]
        texts = isinstance(column, list) and all(isinstance(one, str) for one in column)
        if not texts or len(column) != count:
            return f"its {name} are not {count:,} texts"
    parts, end = lines["parts"], 0
    if not isinstance(parts, dict):
        return "its parts are no object"
    for part in parts.values():
        if not isinstance(part, list) or len(part) != 2 or not all(whole_number(x) for x in part):
            return "a part is not its first and its last line"
        if part[0] != end or part[1] < end:
            return "its parts do not follow each other"
        end = part[1]
    return None if end == count else f"its parts end at line {end:,} of {count:,}"


def _checked(line: StrokeLine) -> Floats:
    if line.strokes.ndim != 2 or line.strokes.shape[1] != 3 or len(line.strokes) == 0:
        raise ValueError(f"line {line.id}: strokes have shape {line.strokes.shape}, not (T, 3)")
    if not np.isfinite(line.strokes).all():
        raise ValueError(f"line {line.id}: strokes are not finite")
    return line.strokes


def _compact(strokes: Iterable[Floats]) -> NDArray[Any]:
    """All points in one array; tablets count in whole units, and int16 halves what must be read."""
    joined = np.concatenate([np.zeros((0, 3), np.float32), *strokes]).astype(np.float32)
    if len(joined) and np.abs(joined).max() > np.iinfo(np.int16).max:
        return joined
    whole = joined.astype(np.int16)
    return whole if np.array_equal(whole, joined) else joined
