"""A folder that keeps many lines of different lengths without padding, opened in milliseconds.

    points.npy    (N, 3) the strokes of all lines one after another; int16 when that is exact, else float32
    offsets.npy   (L+1,) int64; line i is points[offsets[i] : offsets[i+1]]
    lines.json    ids, texts and writers of the L lines
    meta.json     format, version, parts (name → first and last line)

It is a part of a data module's cache, which is there whole or not at all (see `base`).
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.strokes import Floats, StrokeLine
from graves_lm.errors import UserError

FORMAT = "graves_lm.lines"
VERSION = 1


class LineStore(Sequence[StrokeLine]):
    """Read-only lines of a cache folder; points stay on disk until a line is asked for."""

    def __init__(
        self,
        points: NDArray[Any],
        offsets: NDArray[np.int64],
        lines: Mapping[str, list[str]],
        meta: Mapping[str, Any],
    ):
        self.points = points  # (N, 3)
        self.offsets = offsets  # (L+1,)
        self.ids, self.texts, self.writers = lines["ids"], lines["texts"], lines["writers"]
        self.meta = dict(meta)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Points of each line, `(L,)`."""
        return np.diff(self.offsets)

    def indices(self, *parts: str) -> NDArray[np.int64]:
        """The line numbers of the named parts, in the given order."""
        known = self.meta["parts"]
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
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "parts": {name: [ends[i], ends[i + 1]] for i, name in enumerate(parts)},
        }
        texts = {
            "ids": [line.id for line in lines],
            "texts": [line.text for line in lines],
            "writers": [line.writer for line in lines],
        }
        np.save(folder / "points.npy", points)
        np.save(folder / "offsets.npy", np.cumsum([0, *lengths], dtype=np.int64))
        (folder / "lines.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
        (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "LineStore":
        """Maps the points into memory; a missing, damaged or outdated cache is a `UserError`."""
        folder = Path(folder)
        if not (folder / "meta.json").is_file():
            raise UserError(f"{folder} is not a cache of lines (no meta.json): prepare the data first")
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if (meta["format"], meta["version"]) != (FORMAT, VERSION):
                raise ValueError(f"format {meta['format']} version {meta['version']}, not {FORMAT} {VERSION}")
            lines = json.loads((folder / "lines.json").read_text(encoding="utf-8"))
            points = np.load(folder / "points.npy", mmap_mode="r")
            offsets = np.load(folder / "offsets.npy")
            if len(points) != offsets[-1] or any(
                len(column) != len(offsets) - 1 for column in lines.values()
            ):
                raise ValueError("its files do not fit together")
            return cls(points, offsets, lines, meta)
        except (ValueError, KeyError, TypeError, IndexError, OSError, EOFError) as reason:
            raise UserError(
                f"the cache {folder} cannot be used ({reason}): delete it and prepare the data again"
            ) from reason


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
