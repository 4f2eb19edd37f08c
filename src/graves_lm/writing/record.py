"""A table (CSV) of what has been written, so that a command that was ended goes on where it was.

A part of the work (a letter, a file of lines) is done when all of its rows are in the table, which are added
when its files are there. A part whose rows say something else than what is to be written now, or whose files
are gone, is written again.
"""

import csv
import fcntl
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write
from graves_lm.writing.output import stem_of
from graves_lm.writing.wrap import TextLine

PART, FILES, OF, KEY = "part", "files", "rows", "made of"
"""Columns of every record: a part's number, its files, how many rows it has, and what it was made of."""
_BETWEEN = " | "
Row = Mapping[str, str]


class Written(NamedTuple):
    """A part that is there."""

    number: int  # from 1
    files: list[Path]
    doubts: list[str]


def record_of(output: Path) -> Path:
    """Where the table of what was written is."""
    return output.with_name(f"{stem_of(output)}.written.csv")


def key_of(lines: Sequence[TextLine], said: str) -> str:
    """What a part is made of: its lines, and what is said of how they are written."""
    return hashlib.sha256(repr((list(map(tuple, lines)), said)).encode()).hexdigest()[:16]


class Record:
    """What has been written; `done`: the numbers of the parts that are. See `recording`."""

    def __init__(self, file: TextIO, folder: Path, columns: Sequence[str], done: set[int]):
        self._file, self._folder, self._columns, self.done = file, folder, columns, done

    def add(self, part: int, files: Sequence[Path], key: str, rows: Sequence[Row]) -> None:
        """Add the rows of a part that is done; they are on the disk when this returns."""
        names = _BETWEEN.join(os.path.relpath(file, self._folder) for file in files)
        common = {PART: str(part), FILES: names, OF: str(len(rows)), KEY: key}
        self._file.write(_text([{**row, **common} for row in rows], self._columns))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done.add(part)


@contextmanager
def recording(path: Path, columns: Sequence[str], keys: Mapping[int, str]) -> Iterator[Record]:
    """The record in a file, which no other process writes meanwhile.

    Args:
        path: of the table.
        columns: those that are the caller's own.
        keys: of each part, by its number, what it is made of.

    Raises UserError where the file is another table, or is being written.
    """
    every = (PART, FILES, *columns, OF, KEY)
    head = dict(zip(every, every, strict=True))
    with ExitStack() as files:
        file = files.enter_context(_locked(path))
        kept = _kept(path, every, keys)
        if (whole := _text([head, *kept], every)) != _content(path):
            write(path, whole)
            file = files.enter_context(_locked(path))  # another file by now
        yield Record(file, path.parent, every, {int(row[PART]) for row in kept})


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """The file, to be added to, as long as no other process has it."""
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
    except BlockingIOError:
        raise UserError(f"{path}: another process writes there; wait, or choose another output") from None


def _kept(path: Path, columns: Sequence[str], keys: Mapping[int, str]) -> list[Row]:
    """The rows of the parts that are done."""
    rows = _rows(path, columns)
    counts = Counter((row[PART], row[KEY]) for row in rows)
    return [
        row
        for row in rows
        if keys.get(int(row[PART])) == row[KEY]
        and counts[row[PART], row[KEY]] == int(row[OF])
        and all((path.parent / name).is_file() for name in row[FILES].split(_BETWEEN))
    ]


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The whole rows of a record that is there."""
    lines = io.StringIO(_content(path)).readlines()
    if lines and not lines[-1].endswith("\n"):  # a process was ended while it wrote it
        lines.pop()
    if lines and next(csv.reader(lines)) != list(columns):
        raise UserError(f"{path}: another table; move it away, or choose another output")
    rows = csv.DictReader(lines)
    return [row for row in rows if row[PART].isdigit() and (row[OF] or "").isdigit() and row[KEY]]


def _text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Rows as CSV, a line each."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writerows({name: " ".join(value.splitlines()) for name, value in row.items()} for row in rows)
    return file.getvalue()
