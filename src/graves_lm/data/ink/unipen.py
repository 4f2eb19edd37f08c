"""Lines of handwriting from UNIPEN 1.0; y grows up.

A line is a .SEGMENT of the level that is most like a line of those that have labels: LINE, SENTENCE, TEXT,
PHRASE, else the highest of .HIERARCHY. Words of a line of which the file has no .SEGMENT are one line where
they follow each other to the right. Without any segment the file is a line.
"""

import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.ink.line import LINES, POINTS, InkFile, PenLine, within
from graves_lm.data.safe_xml import Malformed

_LINES = ("LINE", "SENTENCE", "TEXT", "PHRASE")
_LARGER = ("DOCUMENT", "PAGE", "PARAGRAPH", "SET")
_SMALLER = ("STROKE", "COMPONENT")
_RESERVED = ("?", "OK", "BAD", "LBL")  # a delineation that is not known, the qualities
_COMPONENTS = 500_000
_STATEMENTS = 2_000_000
_LONGEST_SEGMENT = 100_000  # characters
_LONGEST_ROW = 1_000_000
_KEYWORD = re.compile(r"^\.([A-Z_]+)", re.MULTILINE)
_PLACE = r"[0-9]{1,9}(?::[0-9]{1,9})?"
_RANGE = rf"{_PLACE}(?:\s*-\s*{_PLACE})?"
_SEGMENT = re.compile(rf"\s*(\S+)\s*({_RANGE}(?:\s*,\s*{_RANGE})*)?(?=\s|$)(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
Floats64 = NDArray[np.float64]
_Span = list[tuple[int, int, int | None]]  # the components of a segment: number, from, to


class _Segment(NamedTuple):
    level: str
    span: str  # which components; "": those that follow
    label: str
    writer: str
    at: int  # how many components come before it


def read_unipen(data: bytes) -> InkFile:
    """Raises Malformed, with the reason, for what is no UNIPEN."""
    file = _Unipen()
    for keyword, content in _statements(_decoded(data)):
        file.read(keyword, content)
    if not any(len(points) for points in file.components):
        raise Malformed("no .PEN_DOWN in it")
    return file.lines()


def _statements(text: str) -> Iterator[tuple[str, str]]:
    """Each keyword and what stands up to the next one."""
    before: re.Match[str] | None = None
    for count, keyword in enumerate(_KEYWORD.finditer(text)):
        within(count, _STATEMENTS, "statements")
        if before:
            yield before[1], text[before.end() : keyword.start()]
        before = keyword
    if before:
        yield before[1], text[before.end() :]


def _decoded(data: bytes) -> str:
    """UTF-8, or else latin-1, which the format grew up with; UTF-16 by its mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as reason:
            raise Malformed(f"it is not the UTF-16 that it begins with ({reason})") from None
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Unipen:
    """What has been read of a file so far."""

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.components: list[Floats64] = []  # .PEN_DOWN, and .PEN_UP without its points
        self.hierarchy: list[str] = []
        self.segments: list[_Segment] = []
        self.resolution: dict[str, float] = {}  # points a millimetre, by axis
        self.writer = ""
        self.total = 0

    def read(self, keyword: str, content: str) -> None:
        if keyword == "INCLUDE":
            raise Malformed("it includes another file (.INCLUDE): merge the two")
        if keyword == "COORD":
            self.columns = content.split()
        elif keyword == "WRITER_ID":
            self.writer = content.strip()
        elif keyword == "HIERARCHY":
            self.hierarchy = content.upper().split()
        elif keyword in ("X_POINTS_PER_INCH", "Y_POINTS_PER_INCH", "X_POINTS_PER_MM", "Y_POINTS_PER_MM"):
            number = _positive(content, keyword)
            self.resolution[keyword[0]] = number / 25.4 if keyword.endswith("INCH") else number
        elif keyword == "SEGMENT":
            within(len(self.segments), LINES, "segments")
            self.segments.append(self._segment(content))
        elif keyword in ("PEN_DOWN", "PEN_UP"):
            within(len(self.components), _COMPONENTS, "strokes")
            self.components.append(self._points(content) if keyword == "PEN_DOWN" else np.zeros((0, 2)))

    def _segment(self, content: str) -> _Segment:
        within(len(content), _LONGEST_SEGMENT, "characters in a .SEGMENT")
        match = _SEGMENT.match(content)
        if match is None:
            raise Malformed("a .SEGMENT without a level")
        rest = match[3].lstrip()
        if rest[:1].isdigit():
            raise Malformed(f"the delineation of .SEGMENT {content.strip()[:40]!r} is no list of components")
        quoted = _QUOTED.search(rest)
        if quoted is None and '"' in rest:
            raise Malformed(f"the label of .SEGMENT {content.strip()[:40]!r} has no end")
        if quoted:
            label = re.sub(r"\\(.)", lambda m: {"n": " ", "t": " "}.get(m[1], m[1]), quoted[1])
        else:  # a label that somebody forgot to quote, after the delineation and the quality
            words = rest.split()
            label = " ".join(words[sum(word in _RESERVED for word in words[:2]) :])
        return _Segment(match[1].upper(), match[2] or "", label.strip(), self.writer, len(self.components))

    def _points(self, content: str) -> Floats64:
        if "_" in content:  # which Python's numbers may have
            raise Malformed("a .PEN_DOWN contains text ('_')")
        if "X" not in self.columns or "Y" not in self.columns:
            raise Malformed("no .COORD with X and Y before the first .PEN_DOWN")
        width, numbers = len(self.columns), array("d")
        within(content.count("\n"), POINTS, "rows")
        for row in content.split("\n"):
            within(len(row), _LONGEST_ROW, "characters in a row")
            try:
                numbers.extend(map(float, row.split()))
            except ValueError as reason:
                raise Malformed(f"a .PEN_DOWN contains text ({reason})") from None
            within(self.total + len(numbers) // width, POINTS, "points")
        if len(numbers) % width:
            raise Malformed(f"a .PEN_DOWN has {len(numbers)} numbers, no multiple of the {width} of .COORD")
        self.total += len(numbers) // width
        table = np.array(numbers).reshape(-1, width)
        return table[:, [self.columns.index("X"), self.columns.index("Y")]]

    # ------------------------------------------------------------------------------------------- lines

    def lines(self) -> InkFile:
        level = self._level()
        chosen = [segment for segment in self.segments if segment.level == level]
        if not chosen:
            return InkFile([self._line(self.components, "", self.writer)], [])
        lines: list[PenLine | Malformed] = []
        covered: set[int] = set()
        total = 0
        for segment, parts in zip(chosen, self._spans(chosen), strict=True):
            covered.update(number for number, _, _ in parts)
            strokes = [self.components[number][first:last] for number, first, last in parts]
            total += sum(map(len, strokes))
            within(total, POINTS, "points in segments")
            if any(map(len, strokes)):
                lines.append(self._line(strokes, segment.label, segment.writer))
            else:
                lines.append(Malformed(f"{_shown(segment)} has no strokes"))
        lost = [n for n, points in enumerate(self.components) if len(points) and n not in covered]
        left_out = (
            [
                f"{len(lost)} strokes are in no .SEGMENT {level}: component "
                + ", ".join(map(str, lost[:10]))
                + (", …" if len(lost) > 10 else "")
            ]
            if lost
            else []
        )
        return InkFile(self._one_line(level, lines) or lines, left_out)

    def _line(self, strokes: list[Floats64], text: str, writer: str) -> PenLine:
        x, y = (self.resolution.get(axis) for axis in "XY")
        turned = [1.0, x / y] if x and y and x != y else [1.0, 1.0]
        return PenLine([points * turned for points in strokes if len(points)], text, writer)

    def _level(self) -> str:
        """The level whose segments are lines; "" for none."""
        found = list(dict.fromkeys(segment.level for segment in self.segments))
        labelled = {segment.level for segment in self.segments if segment.label}

        def place(level: str) -> tuple[int, int]:
            kind = 0 if level in _LINES else 2 if level in _LARGER else 3 if level in _SMALLER else 1
            order = list(_LINES) if kind == 0 else self.hierarchy
            return kind, order.index(level) if level in order else len(order)

        usable = [level for level in found if level in labelled] or [
            level for level in found if level in (*_LINES, "WORD")
        ]
        return min(usable, key=place, default="")

    def _spans(self, chosen: list[_Segment]) -> list[_Span]:
        """The strokes of each segment. Raises Malformed where one has none: those of others are in doubt."""
        spans: list[_Span] = []
        count, total = len(self.components), 0
        for i, segment in enumerate(chosen):
            if segment.span:
                spans.append(_components(segment, count))
                total += len(spans[-1])
                within(total, POINTS, "strokes in segments")
                continue
            after = chosen[i + 1].at if i + 1 < len(chosen) else count
            numbers = range(segment.at, after) if len(chosen) > 1 or segment.at < count else range(count)
            if not any(len(self.components[n]) for n in numbers):
                raise Malformed(f"no strokes follow {_shown(segment)}, which does not say which are its own")
            spans.append([(number, 0, None) for number in numbers])
        return spans

    def _one_line(self, level: str, words: list[PenLine | Malformed]) -> list[PenLine | Malformed]:
        """Words of a line of which the file has no segment, as this line; [] where they are none."""
        above = self.hierarchy[: self.hierarchy.index(level)] if level in self.hierarchy else []
        if level != "WORD" or len(words) < 2 or above[-1:] not in ([kind] for kind in _LINES):
            return []
        right = -np.inf  # the middle of the word before
        for word in words:
            if isinstance(word, Malformed):
                return []
            x = np.concatenate(word.strokes)[:, 0]
            if not x.min() >= right:
                return []
            right = (x.min() + x.max()) / 2
        lines = [word for word in words if isinstance(word, PenLine)]
        text = " ".join(line.text for line in lines)
        return [PenLine([stroke for line in lines for stroke in line.strokes], text, lines[0].writer)]


def _components(segment: _Segment, count: int) -> _Span:
    """The strokes of a delineation such as 0-2,4 or 3:0-3:5, whose last ones belong to it."""
    found: _Span = []
    for part in segment.span.split(","):
        ends = [[int(n) for n in place.split(":")] for place in part.split("-")]
        (first, *start), (last, *stop) = ends[0], ends[-1]
        if not first <= last < count or (first == last and start and stop and start > stop):
            raise Malformed(
                f"{_shown(segment)} is of components {part.strip()}, and the file has {count}, from 0 on: "
                "mend its .SEGMENT, or give one file per line"
            )
        for number in range(first, last + 1):
            low = start[0] if start and number == first else 0
            found.append((number, low, stop[0] + 1 if stop and number == last else None))
        within(len(found), _COMPONENTS, "strokes in a segment")
    return found


def _shown(segment: _Segment) -> str:
    return f".SEGMENT {segment.level[:20]} {segment.label[:40]!r}"


def _positive(content: str, keyword: str) -> float:
    try:
        number = float(content.split()[0])
    except (ValueError, IndexError):
        number = 0.0
    if not 1e-6 < number < 1e9:
        raise Malformed(f".{keyword} is no number above 0 that a device has")
    return number
