"""Lines of handwriting from JSON; y grows down. The project's own is the first form:

    {"format": "graves_lm.strokes", "lines": [{"text": "…", "strokes": [[[x, y], …], …]}, …]}
    {"text": "…", "strokes": [[[x, y], …], …]}        one line
    {"text": "…", "points": [[x, y, pen], …]}         one line; a pen of 1 marks the last point of a stroke
    [[[x, y], …], …]   or   [[x, y, pen], …]          one line without text

In the first form a point may also be [x, y, pen, pressure, milliseconds], as the page records it.
A line may also have "id" and "writer". A point may be an object, {"x": …, "y": …, "pen": …}, a stroke may be
written in columns, [[x, …], [y, …]] or {"x": […], "y": […]}, and a list of lines may stand alone.
"""

import json
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.ink.line import LINES, POINTS, InkFile, PenLine, within
from graves_lm.data.safe_xml import Malformed

_FORMS = "a line needs 'strokes' ([[[x, y], …], …]) or 'points' ([[x, y, pen], …])"
_WIDTHS = set(range(2, 9))  # numbers of a point: x, y, time, pressure, two of tilt, …
Floats64 = NDArray[np.float64]


def read_json(data: bytes) -> InkFile:
    """One of the forms above."""
    # The containers of Python take far more memory than their text.
    within(data.count(b"[") + data.count(b"{"), POINTS + POINTS // 2, "lists")
    within(data.count(b","), 5 * POINTS, "values")
    try:
        content = json.loads(data, object_pairs_hook=_object)
    except Malformed:
        raise
    except (ValueError, RecursionError) as reason:
        raise Malformed(f"not JSON ({reason})") from reason
    own = isinstance(content, dict) and content.get("format") == "graves_lm.strokes"
    if isinstance(content, dict) and "lines" in content:
        kind = content.get("format", "graves_lm.strokes")
        if kind != "graves_lm.strokes":
            raise Malformed(f"its format is {kind!r}, not 'graves_lm.strokes'")
        content = content["lines"]
        if not isinstance(content, list):
            raise Malformed("'lines' is not a list")
    elif not (isinstance(content, list) and content and _is_line(content[0])):
        content = [content]
    within(len(content), LINES, "lines")
    return InkFile([_line_or_reason(line, own) for line in content], [])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Malformed("an object has a key twice")
    return made


def _line_or_reason(content: Any, own: bool) -> PenLine | Malformed:
    try:
        return _line(content, own)
    except Malformed as reason:
        return reason


def _line(line: Any, own: bool) -> PenLine:
    """A line; `own`: in the project's own form, in which the fifth number of a point is a time."""
    if isinstance(line, list):
        line = {"points" if _is_point(line[:1]) else "strokes": line}
    if not _is_line(line):
        raise Malformed(_FORMS)
    if "strokes" in line and "points" in line:
        raise Malformed("both 'strokes' and 'points': leave one of them out")
    text, writer, name = (_text(line, key) for key in ("text", "writer", "id"))
    if "strokes" in line:
        return PenLine(_strokes(line["strokes"]), text, writer, name)
    strokes = _split(line["points"])
    timed = own and bool(strokes) and strokes[0].shape[1] == 5
    times = [stroke[:, 4] / 1000 for stroke in strokes] if timed else None
    if times and not all(np.isfinite(t).all() for t in times):
        raise Malformed("the time of a point, its fifth number, is none that a clock shows")
    return PenLine([stroke[:, :2] for stroke in strokes], text, writer, name, times)


def _is_line(content: Any) -> bool:
    return isinstance(content, dict) and ("strokes" in content or "points" in content)


def _is_point(first: list[Any]) -> bool:
    if first and isinstance(first[0], dict):
        return not _is_line(first[0]) and not isinstance(first[0].get("x"), list)
    return (
        bool(first) and isinstance(first[0], list) and not any(isinstance(v, list | dict) for v in first[0])
    )


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Malformed(f"its {key!r} is no text")


# ------------------------------------------------------------------------------------------- strokes


def _strokes(strokes: Any) -> list[Floats64]:
    """A list of strokes, each a list of points or all of them in columns."""
    if not isinstance(strokes, list):
        raise Malformed("'strokes' is not a list")
    if strokes and all(isinstance(s, dict) for s in strokes):
        return [_object_stroke(s) for s in strokes]
    tables = [t for t in (_numbers(_listed(stroke, "x", "y")) for stroke in strokes) if t.size]
    heights, widths = {len(t) for t in tables}, {t.shape[1] for t in tables}
    points = not widths or (len(widths) == 1 and widths <= _WIDTHS)
    columns = len(heights) == 1 and heights <= {2, 3, 4}
    if points and columns and widths != {2}:
        raise Malformed(
            "its strokes may be points or columns, which no number tells apart: write points as [x, y]"
        )
    if not points and not columns:
        if min(widths) < 2:
            raise Malformed("a point needs 2 numbers")
        raise Malformed("points must be lists of numbers of one length: x, y and little else")
    return [t[:, :2] if points else t[:2].T for t in tables]


def _object_stroke(stroke: dict[str, Any]) -> Floats64:
    """A stroke as an object: its points, or its columns x and y."""
    if "points" in stroke:
        return _positions(_numbers(_listed(stroke["points"], "x", "y")))
    x, y = stroke.get("x"), stroke.get("y")
    if not isinstance(x, list) or not isinstance(y, list):
        raise Malformed("a stroke is an object without lists 'x' and 'y'")
    return _positions(_numbers([x, y]).T)


def _positions(table: Floats64) -> Floats64:
    if table.size and table.shape[1] not in _WIDTHS:
        raise Malformed(f"a point needs 2 numbers and has {table.shape[1]}")
    return table[:, :2]


def _split(points: Any) -> list[Floats64]:
    """Points with a pen, cut into strokes, with all their numbers."""
    rows = _listed(points, "x", "y", "pen")
    if isinstance(rows, list):  # the pen may be true or false
        rows = [
            [*r[:2], int(r[2]), *r[3:]] if isinstance(r, list) and r[2:3] in ([True], [False]) else r
            for r in rows
        ]
    table = _numbers(rows)
    if table.size == 0:
        return []
    if table.shape[1] not in _WIDTHS - {2}:
        raise Malformed(f"a point needs 3 numbers, x, y and the pen, and has {table.shape[1]}")
    pen = table[:, 2]
    strange = pen[(pen != 0) & (pen != 1)]
    if len(strange):
        raise Malformed(
            f"the third value is the pen, 1 on the last point of a stroke, else 0: not {strange[0]:g}"
        )
    if len(pen) > 4 and pen.mean() > 0.9:
        raise Malformed("the pen of nearly all points is 1, which marks the last point of a stroke")
    return [s for s in np.split(table, np.flatnonzero(pen) + 1) if len(s)]


def _listed(points: Any, *keys: str) -> Any:
    """The points as lists, where they are objects with these keys."""
    if not isinstance(points, list) or not any(isinstance(p, dict) for p in points):
        return points
    if not all(isinstance(p, dict) and all(key in p for key in keys) for p in points):
        raise Malformed(f"a point is an object without {' and '.join(map(repr, keys))}")
    return [[p[key] for key in keys] for p in points]


def _numbers(rows: Any) -> Floats64:
    """Rows of numbers of one length, `(n, width)`; text and truth are no numbers."""
    if not isinstance(rows, list) or (rows and not all(isinstance(row, list) for row in rows)):
        raise Malformed("a point needs 2 numbers, in a list of its own")
    if (
        not {type(v) for v in chain.from_iterable(rows)} <= {int, float}
        or len({len(row) for row in rows}) > 1
    ):
        raise Malformed("points must be lists of numbers of one length")
    try:
        table = np.array(rows, dtype=np.float64)
    except OverflowError as reason:
        raise Malformed(f"points must be lists of numbers that a device can count ({reason})") from reason
    return table.reshape(len(rows), -1) if table.size else np.zeros((0, 2))
