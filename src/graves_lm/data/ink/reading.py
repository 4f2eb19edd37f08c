"""Lines of handwriting from one's own pen: InkML, UNIPEN and JSON.

    *.inkml                       W3C InkML     `inkml`        y grows down unless `orientation="-ve"`
    *.unipen *.upen *.unp *.dat   UNIPEN 1.0    `ink_unipen`   y grows up
    *.json                                      `ink_json`     y grows down

`y_axis` overrides the direction, for devices do not agree. Positions keep the unit of the device: train
on them with their own normalisation. The text of a line is in the file, or in a file of the same name
with the ending .txt, one line of text per line of handwriting (UTF-8).

Files are strangers': whatever one of them holds, it costs that file and no other one, and no path in a file
is ever opened.
"""

import os
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from graves_lm.data.characters import letters
from graves_lm.data.ink.inkml import read_inkml
from graves_lm.data.ink.json_ink import read_json
from graves_lm.data.ink.line import POINTS, InkFile, PenLine, within
from graves_lm.data.ink.pace import at_rate
from graves_lm.data.ink.unipen import read_unipen
from graves_lm.data.safe_xml import Malformed
from graves_lm.data.strokes import Floats, StrokeLine, from_pen_strokes
from graves_lm.runtime.errors import UserError

_READERS: dict[str, tuple[Callable[[bytes], InkFile], str]] = {
    ".inkml": (read_inkml, "down"),
    ".unipen": (read_unipen, "up"),
    ".upen": (read_unipen, "up"),
    ".unp": (read_unipen, "up"),
    ".dat": (read_unipen, "up"),
    ".json": (read_json, "down"),
}
ENDINGS = tuple(_READERS)
"""Of ink files."""
_ELSEWHERE = {
    ".isf": "Windows Ink's",
    ".one": "OneNote's",
    ".will": "Wacom's",
    ".uim": "Wacom's",
    ".drawing": "PencilKit's",
}
"""Forms that programs keep for themselves."""
LARGEST = 1e9  # no device counts so far
SIZE_LIMIT = 64 * 2**20  # bytes; hours of writing
FILES_LIMIT = 200_000
LONGEST_TEXT = 10_000  # characters of a line
POINTS_LIMIT = 50_000_000  # of all files; 12 bytes each


class InkProblem(NamedTuple):
    """A file, or a part of it, that could not be used, and why: a line each, whatever is in the file."""

    name: str
    reason: str


def read_ink(
    source: str | os.PathLike[str],
    *,
    y_axis: Literal["up", "down"] | None = None,
    rate: float | None = None,
    but: Path | None = None,
) -> tuple[list[StrokeLine], list[InkProblem]]:
    """All lines of a file, or of every ink file in a folder (sorted by name), and what was left out.

    The folder `but` is not looked into: a cache in it would be read as ink. `rate`: points per second, to
    which lines are brought whose times are known; None leaves them as the pen gave them.
    When nothing at all can be used, the first problem is a `UserError`.
    """
    if y_axis not in (None, "up", "down"):
        raise UserError(f"y_axis={y_axis!r} is no direction: give up, down or nothing (the format's own)")
    paths, problems = ink_files(source, but)
    folder = root if os.path.isdir(root := Path(os.path.expanduser(source))) else None
    lines: list[StrokeLine] = []
    points = 0
    for path in paths:
        try:
            found, left_out = _read_file(path, y_axis, rate, folder)
        except Malformed as reason:
            problems.append(_problem(path, str(reason)))
            continue
        except OSError as reason:
            problems.append(_problem(path, reason.strerror or str(reason)))
            continue
        except Exception as reason:
            # Of a stranger's file nothing may end the reading of all others, a fault of a reader neither.
            problems.append(_problem(path, f"cannot be read ({type(reason).__name__}: {reason})"))
            continue
        lines += found
        problems += left_out
        points += sum(len(line.strokes) for line in found)
        if points > POINTS_LIMIT:
            raise UserError(f"{one_line(source)}: more than {POINTS_LIMIT:,} points of ink: give fewer files")
    if not lines:
        kinds = ", ".join(f"*{suffix}" for suffix in _READERS)
        none = f"{one_line(paths[0])} has none" if paths else f"no file {kinds} in {one_line(source)}"
        why = f"{problems[0].name}: {problems[0].reason}" if problems else none
        raise UserError(f"no line of handwriting could be read; {why}")
    return lines, problems


def ink_files(source: str | os.PathLike[str], but: Path | None = None) -> tuple[list[Path], list[InkProblem]]:
    """The file, or every ink file in a folder and below, sorted by name; and what could not be looked into.

    Links to folders are not followed, and the folder `but` is left out.
    """
    root = Path(os.path.expanduser(source))
    if os.path.isfile(root):
        return [root], []
    if not os.path.isdir(root):
        what = "is neither a file nor a folder" if os.path.lexists(root) else "does not exist"
        raise UserError(f"{one_line(root)} {what}: give an ink file or a folder of ink files")
    files: list[Path] = []
    problems: list[InkProblem] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = folder / entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if but is None or path.resolve() != but.resolve():
                            folders.append(path)
                    elif path.suffix.lower() in _READERS:
                        files.append(path)
        except OSError as reason:
            problems.append(_problem(folder, reason.strerror or str(reason)))
        if len(files) > FILES_LIMIT:
            raise UserError(f"{one_line(source)}: more than {FILES_LIMIT:,} ink files: give fewer")
    return sorted(files), problems


def direction(path: Path) -> str:
    """Where y grows by the format of a file: "up" or "down"."""
    return _READERS[path.suffix.lower()][1]


def one_line(text: object) -> str:
    """Any text, such as a file's name, in one printable line that is not endless."""
    words = " ".join(str(text).split())
    words = words if len(words) <= 300 else f"{words[:300]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def _problem(path: Path, reason: str, part: str = "") -> InkProblem:
    return InkProblem(one_line(path) + part, one_line(reason))


def _read_file(
    path: Path, y_axis: str | None, rate: float | None, folder: Path | None
) -> tuple[list[StrokeLine], list[InkProblem]]:
    """The lines of a file and what was left out of it. Raises Malformed or OSError where it is of no use."""
    if path.suffix.lower() not in _READERS:
        if owner := _ELSEWHERE.get(path.suffix.lower()):
            raise Malformed(f"{owner} own form of ink, which is not read: export it as InkML (.inkml)")
        raise Malformed(f"unknown kind of file; known are {', '.join(_READERS)}")
    reader, direction = _READERS[path.suffix.lower()]
    file = reader(_content(path, folder))
    within(
        sum(len(s) for line in file.lines if isinstance(line, PenLine) for s in line.strokes),
        POINTS,
        "points",
    )
    texts = _transcript(path, len(file.lines), folder or path.parent)
    lines: list[StrokeLine] = []
    problems = [_problem(path, reason) for reason in file.left_out]
    for number, line in enumerate(file.lines, start=1):
        name = path.stem if len(file.lines) == 1 else f"{path.stem}-{number:02d}"
        try:
            if isinstance(line, Malformed):
                raise line
            strokes = _strokes(line, flip=(y_axis or direction) == "up", rate=rate)
            text = _plain_text(texts[number - 1] if texts else line.text)
        except Malformed as reason:
            problems.append(_problem(path, str(reason), f": line {number}"))
            continue
        lines.append(StrokeLine(one_line(line.id or name), strokes, text, one_line(line.writer)))
    return lines, problems


def _content(path: Path, folder: Path | None) -> bytes:
    """What is in a file. Raises Malformed where it is no file, too large, or a link out of the folder."""
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise Malformed("is a link that leaves the folder")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would block for ever
        raise Malformed("is not a regular file")
    with path.open("rb") as file:
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise Malformed(f"{status.st_size:,} bytes, more than the {SIZE_LIMIT:,} of an ink file")
    return content


def _transcript(path: Path, count: int, folder: Path) -> list[str]:
    """The lines of the .txt file beside an ink file; empty when there is none."""
    beside = path.with_suffix(".txt")
    if not os.path.lexists(beside):
        return []
    try:
        content = _content(beside, folder).decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise Malformed(f"its transcript {beside.name} is not UTF-8 ({reason})") from reason
    except Malformed as reason:
        raise Malformed(f"its transcript {beside.name}: {reason}") from reason
    texts = [t.strip() for t in content.splitlines() if t.strip()]
    if len(texts) != count:
        raise Malformed(f"its transcript {beside.name} has {len(texts)} lines for {count} of handwriting")
    return texts


def _plain_text(text: str) -> str:
    """A text as it is written: without what is invisible, letters with their accents composed, a space for
    each other white space."""
    within(len(text), LONGEST_TEXT, "characters of text")
    text = "".join(letter for _, letter in letters(text))
    text = " ".join(filter(None, map(str.strip, text.split("\n"))))
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise Malformed(f"its text has {character!r}, which nobody can write")
        if unicodedata.bidirectional(character) in ("R", "AL"):
            raise Malformed("its text runs from right to left, and lines are written from left to right")
    return text


def _strokes(line: PenLine, flip: bool, rate: float | None) -> Floats:
    positions = [np.asarray(s, dtype=np.float64) for s in line.strokes]
    if not all((np.abs(p) < LARGEST).all() for p in positions):  # False for NaN as well
        raise Malformed(f"a coordinate is not a number below {LARGEST:.0e}")
    if rate is not None and line.times:
        positions = [at_rate(p, t, rate) for p, t in zip(positions, line.times, strict=True)]
    strokes = from_pen_strokes([p * (1, -1) if flip else p for p in positions if len(p)])
    if len(strokes) < 2:
        raise Malformed(f"{len(strokes)} points are no writing")
    return strokes
