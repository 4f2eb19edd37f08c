"""Lines of handwriting from one's own pen: InkML, UNIPEN and JSON.

    *.inkml                 W3C InkML                       y grows down unless `orientation="-ve"`
    *.unipen *.upen *.dat   UNIPEN 1.0                      y grows up
    *.json                  see `ink_formats`                  y grows down

`y_axis` overrides the direction, for devices do not agree. Positions keep the unit of the device: train
on them with their own normalisation. The text of a line is in the file, or in a file of the same name
with the ending .txt, one line of text per line of handwriting (UTF-8).
"""

import os
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from graves_lm.data.ink_formats import PenLine, read_inkml, read_json, read_unipen
from graves_lm.data.safe_xml import Malformed
from graves_lm.data.strokes import Floats, StrokeLine, from_pen_strokes
from graves_lm.errors import UserError

_READERS = {
    ".inkml": (read_inkml, "down"),
    ".unipen": (read_unipen, "up"),
    ".upen": (read_unipen, "up"),
    ".dat": (read_unipen, "up"),
    ".json": (read_json, "down"),
}
LARGEST = 1e9  # no device counts so far
SIZE_LIMIT = 256 * 2**20  # bytes; hours of writing


class InkProblem(NamedTuple):
    """A file, or a line of it, that could not be used, and why."""

    name: str
    reason: str


def read_ink(
    source: str | os.PathLike[str], *, y_axis: Literal["up", "down"] | None = None
) -> tuple[list[StrokeLine], list[InkProblem]]:
    """All lines of a file, or of every ink file in a folder (sorted by name), and what was left out.

    When nothing at all can be used, the first problem is a `UserError`.
    """
    if y_axis not in (None, "up", "down"):
        raise UserError(f"y_axis={y_axis!r} is no direction: give up, down or nothing (the format's own)")
    lines: list[StrokeLine] = []
    problems: list[InkProblem] = []
    for path in ink_files(source):
        try:
            _read_file(path, y_axis, lines, problems)
        except (Malformed, OSError) as reason:
            problems.append(InkProblem(str(path), str(reason)))
    if not lines:
        kinds = ", ".join(f"*{suffix}" for suffix in _READERS)
        why = f"{problems[0].name}: {problems[0].reason}" if problems else f"no file {kinds} in {source}"
        raise UserError(f"no line of handwriting could be read; {why}")
    return lines, problems


def ink_files(source: str | os.PathLike[str]) -> list[Path]:
    """The file, or every ink file in a folder and below, sorted by name."""
    root = Path(source).expanduser()
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UserError(f"{root} does not exist: give an ink file or a folder of ink files")
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in _READERS and p.is_file())


def _read_file(path: Path, y_axis: str | None, lines: list[StrokeLine], problems: list[InkProblem]) -> None:
    if path.suffix.lower() not in _READERS:
        raise Malformed(f"unknown kind of file; known are {', '.join(_READERS)}")
    if path.stat().st_size > SIZE_LIMIT:
        raise Malformed(f"{path.stat().st_size:,} bytes, more than the {SIZE_LIMIT:,} of an ink file")
    reader, direction = _READERS[path.suffix.lower()]
    found = reader(path.read_bytes())
    texts = _transcript(path, len(found))
    for number, line in enumerate(found, start=1):
        name = path.stem if len(found) == 1 else f"{path.stem}-{number:02d}"
        try:
            strokes = _strokes(line, flip=(y_axis or direction) == "up")
        except Malformed as reason:
            problems.append(InkProblem(f"{path}: line {number}", str(reason)))
            continue
        text = texts[number - 1] if texts else line.text
        lines.append(StrokeLine(line.id or name, strokes, text, line.writer))


def _transcript(path: Path, count: int) -> list[str]:
    """The lines of the .txt file beside an ink file; empty when there is none."""
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        return []
    try:
        texts = [t.strip() for t in beside.read_text(encoding="utf-8").splitlines() if t.strip()]
    except UnicodeDecodeError as reason:
        raise Malformed(f"its transcript {beside.name} is not UTF-8 ({reason})") from reason
    if len(texts) != count:
        raise Malformed(f"its transcript {beside.name} has {len(texts)} lines for {count} of handwriting")
    return texts


def _strokes(line: PenLine, flip: bool) -> Floats:
    positions = [np.asarray(s, dtype=np.float64) for s in line.strokes]
    if not all((np.abs(p) < LARGEST).all() for p in positions):  # False for NaN as well
        raise Malformed(f"a coordinate is not a number below {LARGEST:.0e}")
    strokes = from_pen_strokes([p * (1, -1) if flip else p for p in positions if len(p)])
    if len(strokes) < 2:
        raise Malformed(f"{len(strokes)} points are no writing")
    return strokes
