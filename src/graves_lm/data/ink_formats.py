"""Readers of three ink formats: bytes of one file to its lines of pen strokes, or `Malformed` with a reason.

JSON (the project's own is the first form; y grows down; a pen bit of 1 marks the last point of a stroke):

    {"format": "graves_lm.strokes", "lines": [{"text": "…", "strokes": [[[x, y], …], …]}, …]}
    {"text": "…", "strokes": [[[x, y], …], …]}        one line
    {"text": "…", "points": [[x, y, pen], …]}         one line
    [[[x, y], …], …]   or   [[x, y, pen], …]          one line without text

A line may also have "id" and "writer".
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.safe_xml import Malformed, parse_xml

_LABELS = ("truth", "label", "transcription", "text", "truthlabel", "normalizedlabel")


class PenLine(NamedTuple):
    """Absolute positions `(n, 2)` per stroke, as the file has them."""

    strokes: list[NDArray[np.float64]]
    text: str = ""
    writer: str = ""
    id: str = ""


# ------------------------------------------------------------------------------------------------ JSON


def read_json(data: bytes) -> list[PenLine]:
    """One of the forms above."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as reason:
        raise Malformed(f"not JSON ({reason})") from reason
    if isinstance(content, dict) and "lines" in content:
        kind = content.get("format", "graves_lm.strokes")
        if kind != "graves_lm.strokes":
            raise Malformed(f"its format is {kind!r}, not 'graves_lm.strokes'")
        if not isinstance(content["lines"], list):
            raise Malformed("'lines' is not a list")
        return [_json_line(line) for line in content["lines"]]
    return [_json_line(content)]


def _json_line(line: Any) -> PenLine:
    if isinstance(line, list):
        line = {"points" if _is_point(line[:1]) else "strokes": line}
    if not isinstance(line, dict) or not ("strokes" in line or "points" in line):
        raise Malformed("a line needs 'strokes' ([[[x, y], …], …]) or 'points' ([[x, y, pen], …])")
    if "strokes" in line:
        if not isinstance(line["strokes"], list):
            raise Malformed("'strokes' is not a list")
        strokes = [_numbers(stroke, 2)[:, :2] for stroke in line["strokes"]]
    else:
        points = _numbers(line["points"], 3)
        ends = np.flatnonzero(points[:, 2] > 0.5) + 1
        strokes = [s for s in np.split(points[:, :2], ends) if len(s)]
    return PenLine(strokes, *(str(line.get(key) or "") for key in ("text", "writer", "id")))


def _is_point(first: list[Any]) -> bool:
    return bool(first) and isinstance(first[0], list) and not any(isinstance(v, list) for v in first[0])


def _numbers(rows: Any, least: int) -> NDArray[np.float64]:
    """Rows of at least `least` numbers."""
    try:
        array = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as reason:
        raise Malformed(f"points must be lists of numbers of one length ({reason})") from reason
    if array.size == 0:
        return np.zeros((0, least))
    if array.ndim != 2 or array.shape[1] < least:
        raise Malformed(f"a point needs {least} numbers")
    return array


# ----------------------------------------------------------------------------------------------- InkML


def read_inkml(data: bytes) -> list[PenLine]:
    """Every outermost traceGroup with a text of its own is a line; without any, the whole file is one."""
    ink = _InkML()
    parse_xml(data, ink.start, ink.end, lambda characters: ink.characters.append(characters))
    if not ink.whole.strokes:
        raise Malformed("no <trace> in it")
    groups = [group for group in ink.groups if group.text and group.strokes]
    lines = groups if groups and not ink.whole.text else [ink.whole]
    return [PenLine(line.strokes, line.text, ink.writer) for line in lines]


@dataclass
class _Part:
    """The strokes and the text collected for the file or for one group."""

    strokes: list[NDArray[np.float64]] = field(default_factory=list)
    text: str = ""


class _InkML:
    """What has been read of an InkML file so far."""

    def __init__(self) -> None:
        self.whole = _Part()
        self.groups: list[_Part] = []
        self.writer = ""
        self.channels: list[tuple[str, bool]] = []  # name, and whether its axis is turned round
        self.characters: list[str] = []
        self._depth = 0  # of elements
        self._group_depth = 0
        self._annotation = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if self._depth == 0 and tag != "ink":
            raise Malformed(f"its root is <{tag}>, not <ink>")
        self._depth += 1
        if tag == "channel":
            self.channels.append((attributes.get("name", "").upper(), attributes.get("orientation") == "-ve"))
        elif tag == "traceGroup":
            self._group_depth += 1
            if self._group_depth == 1:
                self.groups.append(_Part())
        elif tag in ("trace", "annotation"):
            self.characters.clear()
            self._annotation = attributes.get("type", "").lower()

    def end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        self._depth -= 1
        content = "".join(self.characters).strip()
        if tag == "traceGroup":
            self._group_depth -= 1
        elif tag == "trace":
            stroke = _trace(content, self.channels)
            self.whole.strokes.append(stroke)
            if self._group_depth:
                self.groups[-1].strokes.append(stroke)
        elif tag == "annotation" and self._annotation == "writer":
            self.writer = content
        elif tag == "annotation" and self._annotation in _LABELS and self._group_depth <= 1:
            # Deeper groups label words or letters.
            part = self.groups[-1] if self._group_depth else self.whole
            part.text = part.text or content


def _trace(text: str, channels: list[tuple[str, bool]]) -> NDArray[np.float64]:
    """The points of one trace; a value may be a difference (') or a second difference (\") and stays so."""
    names = [name for name, _ in channels] or ["X", "Y"]
    if "X" not in names or "Y" not in names:
        raise Malformed("its traceFormat has no channels X and Y")
    columns = [names.index("X"), names.index("Y")]
    signs = [-1.0 if channels and channels[c][1] else 1.0 for c in columns]
    order, value, speed = ["!"] * len(names), [0.0] * len(names), [0.0] * len(names)
    points = []
    for point in filter(str.strip, text.split(",")):
        tokens = re.findall(r"([!'\"]?)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[TF?*])", point)
        if len(tokens) <= max(columns):
            raise Malformed(f"the point {point.strip()[:40]!r} has {len(tokens)} values, too few")
        for i, (prefix, token) in enumerate(tokens[: len(names)]):
            order[i] = prefix or order[i]
            if token in "TF?*":
                if i in columns and token != "*":
                    raise Malformed(f"the point {point.strip()[:40]!r} has no position")
                continue  # "*" repeats the value
            number = float(token)
            before = value[i]
            speed[i] = number if order[i] == "'" else speed[i] + number
            value[i] = number if order[i] == "!" else before + speed[i]
            if order[i] == "!":
                speed[i] = number - before
        points.append([sign * value[c] for c, sign in zip(columns, signs, strict=True)])
    return np.array(points, dtype=np.float64).reshape(-1, 2)


# ---------------------------------------------------------------------------------------------- UNIPEN


def read_unipen(data: bytes) -> list[PenLine]:
    """A file is one line: its .PEN_DOWN parts; its text is the label of the line, or of its words."""
    columns: list[str] = []
    strokes: list[NDArray[np.float64]] = []
    labels: dict[str, list[str]] = {}
    writer = ""
    for keyword, content in re.findall(
        r"^\.([A-Z_]+)([^\n]*(?:\n(?!\.[A-Z])[^\n]*)*)", _latin(data), re.MULTILINE
    ):
        if keyword == "INCLUDE":
            raise Malformed("it includes another file (.INCLUDE): merge the two")
        if keyword == "COORD":
            columns = content.split()
        elif keyword == "WRITER_ID":
            writer = content.strip()
        elif keyword == "SEGMENT":
            kind, _, rest = content.strip().partition(" ")
            label = re.search(r'"((?:[^"\\]|\\.)*)"', rest)
            if label:
                labels.setdefault(kind.upper(), []).append(re.sub(r"\\(.)", r"\1", label[1]))
        elif keyword == "PEN_DOWN":
            if "X" not in columns or "Y" not in columns:
                raise Malformed("no .COORD with X and Y before the first .PEN_DOWN")
            strokes.append(_unipen_points(content, columns))
    if not strokes:
        raise Malformed("no .PEN_DOWN in it")
    whole = next((labels[kind] for kind in ("LINE", "SENTENCE", "TEXT", "PHRASE") if kind in labels), None)
    if whole is not None and len(whole) > 1:
        raise Malformed(f"{len(whole)} lines of text in one file: give one file per line")
    separator = " " if "WORD" in labels else ""
    text = whole[0] if whole else separator.join(labels.get("WORD", labels.get("CHARACTER", [])))
    return [PenLine(strokes, text, writer)]


def _latin(data: bytes) -> str:
    return data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")


def _unipen_points(content: str, columns: list[str]) -> NDArray[np.float64]:
    values = content.split()
    if len(values) % len(columns):
        raise Malformed(f"a .PEN_DOWN has {len(values)} numbers, no multiple of the {len(columns)} of .COORD")
    try:
        table = np.array([float(v) for v in values]).reshape(-1, len(columns))
    except ValueError as reason:
        raise Malformed(f"a .PEN_DOWN contains text ({reason})") from reason
    return table[:, [columns.index("X"), columns.index("Y")]]
