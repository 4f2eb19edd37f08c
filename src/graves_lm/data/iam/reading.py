"""The IAM On-Line Handwriting Database (IAM-OnDB) as its owner ships it.

    lineStrokes/a01/a01-000/a01-000u-01.xml   the pen of text line 1 of form a01-000u   (iam_xml)
    ascii/a01/a01-000/a01-000u.txt            the texts of the form, one line each, after `CSR:`
    trainset.txt testset_{v,t,f}.txt          the forms of each set

both folders unpacked or as archives (iam_archive). Lines are repaired (iam_repair) and reported by name
(iam_report). A bad file is one row of the report; only when nothing is usable does reading fail. The
licence forbids passing lines on: they belong in no repository and no test fixture.
"""

import json
import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from graves_lm.data.archives import SourceFile, Unreadable
from graves_lm.data.iam.archive import SETS, IamSource, locate, read_files, read_small_file
from graves_lm.data.iam.repair import repair_strokes, repair_text, split_joined_lines
from graves_lm.data.iam.report import IamReport, SetCounts
from graves_lm.data.iam.xml import parse_strokes, parse_transcript
from graves_lm.data.safe_xml import Malformed
from graves_lm.data.strokes import Floats, StrokeLine, from_pen_strokes
from graves_lm.data.workers import pool_of
from graves_lm.runtime.errors import UserError

# The paper trains on everything but one set; the owner keeps two validation sets and a final test set.
SPLITS: dict[str, dict[str, tuple[str, ...]]] = {
    "paper": {"train": ("trainset", "testset_t", "testset_f"), "val": ("testset_v",)},
    "owner": {"train": ("trainset",), "val": ("testset_v",), "val_t": ("testset_t",), "test": ("testset_f",)},
}
OUTSIDE = "no set"  # lines whose form is in no split file
REPAIRS_VERSION = 1  # part of the key: a cache of older repairs is out of date
_CHUNK = 64  # files handed to a process at once


class _Parsed(NamedTuple):
    """One XML file after the repairs of its strokes."""

    strokes: Floats  # (T, 3)
    strokes_read: int
    points_read: int
    repairs: Counter[str]


def iam_key(source: str | os.PathLike[str], *, drop_suspect: bool = False) -> dict[str, Any]:
    """What `read_iam` depends on, as plain values, without reading a stroke: files, settings, repairs.

    Of the files it is names, sizes and times of change, and not where they lie.
    """
    files = {}
    for place in locate(source).files():
        found = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        files[place.name] = [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in found]
    return {"files": files, "drop_suspect": drop_suspect, "repairs": REPAIRS_VERSION}


def read_iam(
    source: str | os.PathLike[str],
    *,
    drop_suspect: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[dict[str, list[StrokeLine]], IamReport]:
    """All usable lines by set (sorted by name) and what was done to the others.

    `drop_suspect` leaves out the lines of `suspect_lines.txt`, which others found mislabelled. `workers`
    processes parse (default: one per core; 1: none besides this one).
    """
    place = locate(source)
    report = IamReport(sets={name: SetCounts() for name in (*SETS, OUTSIDE)})
    sets = _read_splits(place)
    writers = _read_writers(place)
    suspects = set(read_small_file(place.suspects).split()) if place.suspects and drop_suspect else set()
    texts = _read_transcripts(place, report)

    parsed: dict[str, _Parsed] = {}
    expected = sum(len(lines) for form, lines in texts.items() if form in sets)
    bar = tqdm(total=expected, unit="line", desc="IAM-OnDB", disable=not progress, leave=False)
    for name, result in _parse_all(place, workers if workers is not None else os.cpu_count() or 1):
        bar.update()
        line_id = PurePosixPath(name).stem
        if isinstance(result, str):
            report.add(name, "unreadable", result)
        elif line_id in parsed:
            report.add(name, "unreadable", "a second file for this line; the first one is used")
        else:
            parsed[line_id] = result
    bar.close()

    parts: dict[str, list[StrokeLine]] = {name: [] for name in SETS}
    unmatched = _unmatched_forms(parsed, texts)
    for line_id in sorted(parsed):
        form, number = _form_and_number(line_id)
        name = sets.get(form, OUTSIDE)
        line, counts = parsed[line_id], report.sets[name]
        counts.lines_read += 1
        counts.strokes_read += line.strokes_read
        counts.points_read += line.points_read
        reason = (
            "suspect: others found the text wrong" if line_id in suspects
            else "its form has no readable transcript" if form not in texts
            else unmatched[form] if form in unmatched
            else "its form is in no split file" if name == OUTSIDE
            else "no strokes" if len(line.strokes) == 0
            else "a single point is no writing" if len(line.strokes) == 1
            else None
        )  # fmt: skip
        if reason:
            report.add(line_id, "dropped", reason)
            continue
        raw_text = texts[form][number - 1]
        text = repair_text(raw_text)
        repairs = line.repairs + Counter({"texts with misplaced spaces": int(text != raw_text)})
        for what, times in repairs.items():
            report.add(line_id, "repaired", f"{what}: {times}")
        report.repairs.update(repairs)
        report.characters.update(text)
        counts.lines_kept += 1
        counts.strokes_kept += int(line.strokes[:, 2].sum())
        counts.points_kept += len(line.strokes)
        parts[name].append(StrokeLine(line_id, line.strokes, text, writers.get(form, "")))
    _require_lines(place, parts, report)
    return parts, report


def _read_splits(place: IamSource) -> dict[str, str]:
    """Form → set. A form in two sets would let a model be tested on what it learned."""
    sets: dict[str, str] = {}
    for name, path in place.splits.items():
        for form in read_small_file(path).split():
            if sets.setdefault(form, name) != name:
                raise UserError(
                    f"{path} lists the form {form}, which is in {sets[form]}.txt as well: fix one"
                )
    return sets


def _read_writers(place: IamSource) -> Mapping[str, str]:
    """Form → writer, for the forms whose writer is known."""
    if place.form_writer is None:
        return {}
    try:
        writers = json.loads(read_small_file(place.form_writer))
        if not all(isinstance(writer, str | int) for writer in writers.values()):
            raise ValueError("a writer is a text or a number")
        return {form: str(writer) for form, writer in writers.items()}
    except (ValueError, AttributeError, RecursionError) as reason:
        raise UserError(
            f"{place.form_writer} is no JSON object form → writer ({reason}): fix or remove it"
        ) from reason


def _read_transcripts(place: IamSource, report: IamReport) -> dict[str, list[str]]:
    """Form → its lines of text."""
    texts: dict[str, list[str]] = {}
    for file in read_files(place.transcripts, ".txt"):
        if isinstance(file, Unreadable):
            report.add(file.name, "unreadable", file.reason)
            continue
        form = PurePosixPath(file.name).stem
        try:
            typed = parse_transcript(file.data)
        except Malformed as reason:
            report.add(file.name, "unreadable", str(reason))
            continue
        lines = split_joined_lines(typed)
        if len(lines) != len(typed):
            report.repairs["texts typed as one line separated"] += len(lines) - len(typed)
            report.add(form, "repaired file", f"texts typed as one line separated: {len(lines) - len(typed)}")
        if form in texts:
            report.add(file.name, "unreadable", "a second file for this form; the first one is used")
        texts.setdefault(form, lines)
    return texts


def _unmatched_forms(parsed: Mapping[str, _Parsed], texts: Mapping[str, list[str]]) -> dict[str, str]:
    """Forms with fewer texts than lines of strokes: which text belongs to which line cannot be known."""
    last: dict[str, int] = {}
    for line_id in parsed:
        form, number = _form_and_number(line_id)
        last[form] = max(number, last.get(form, 0))
    return {
        form: f"its form has {len(texts[form])} texts for {number} lines"
        for form, number in last.items()
        if form in texts and number > len(texts[form])
    }


def _form_and_number(line_id: str) -> tuple[str, int]:
    form, _, number = line_id.rpartition("-")
    return form, int(number)


def _is_line_id(line_id: str) -> bool:
    form, _, number = line_id.rpartition("-")
    return bool(form) and number.isascii() and number.isdecimal() and len(number) < 6 and int(number) > 0


def _parse_all(place: IamSource, workers: int) -> Iterator[tuple[str, _Parsed | str]]:
    """Every XML file's name with its repaired strokes, or with the reason why it has none."""
    problems: list[tuple[str, str]] = []
    chunks = _chunks(place, problems)
    first = list(islice(chunks, 4))
    if workers <= 1 or len(first) < 4:  # so few files are read before a process has started
        for files in chain(first, chunks):
            yield from _parse_chunk(files)
    else:
        with pool_of(workers) as pool:
            running: deque[Future[list[tuple[str, _Parsed | str]]]] = deque()
            for files in chain(first, chunks):
                running.append(pool.submit(_parse_chunk, files))
                if len(running) > 4 * workers:  # the reader is faster: keep its lead, and so memory, small
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
    yield from problems


def _chunks(place: IamSource, problems: list[tuple[str, str]]) -> Iterator[list[SourceFile]]:
    """The XML files, some at a time; those that cannot be read go to `problems`."""
    files = read_files(place.line_strokes, ".xml")
    while chunk := list(islice(files, _CHUNK)):
        problems += [(f.name, f.reason) for f in chunk if isinstance(f, Unreadable)]
        yield [f for f in chunk if isinstance(f, SourceFile)]


def _parse_chunk(files: Sequence[SourceFile]) -> list[tuple[str, _Parsed | str]]:
    """Runs in a worker process."""
    return [(name, _parse(name, data)) for name, data in files]


def _parse(name: str, data: bytes) -> _Parsed | str:
    if not _is_line_id(PurePosixPath(name).stem):
        return "its name is not FORM-NUMBER.xml"
    try:
        readings = parse_strokes(data)
    except Malformed as reason:
        return str(reason)
    repaired, repairs = repair_strokes(readings)
    strokes = from_pen_strokes(repaired)
    return _Parsed(strokes, len(readings), int(np.sum([len(r) for r in readings])), repairs)


def _require_lines(place: IamSource, parts: Mapping[str, Sequence[StrokeLine]], report: IamReport) -> None:
    if any(parts.values()):
        return
    bad = [row for row in report.rows if row.action in ("dropped", "unreadable")]
    first = f" (first: {bad[0].name}: {bad[0].reason})" if bad else ""
    raise UserError(
        f"no usable line of handwriting in {place.line_strokes} with texts in {place.transcripts}: "
        f"{report.summary()}{first}"
    )
