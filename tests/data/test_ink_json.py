"""JSON: points, columns or objects as people write them, and what is none of these."""

import json
from pathlib import Path

import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.runtime.errors import UserError

ONE = [[6 * i, 100 + 60 * (i % 2)] for i in range(12)]
TWO = [[120 + x, y] for x, y in ONE]


def columns(stroke: list[list[int]], *more: int) -> list[list[int]]:
    return [
        [x for x, _ in stroke],
        [y for _, y in stroke],
        *([m * i for i in range(len(stroke))] for m in more),
    ]


def save(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "ink.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


POINTS = [[x, y, int(i == 11)] for s in (ONE, TWO) for i, (x, y) in enumerate(s)]


@pytest.mark.parametrize(
    "content",
    [
        {"strokes": [ONE, TWO]},
        {"strokes": [columns(ONE), columns(TWO)]},
        {"strokes": [columns(ONE, 16), columns(TWO, 16)]},
        {"strokes": [columns(ONE, 16, 1), columns(TWO, 16, 1)]},
        [columns(ONE), columns(TWO)],
        {"strokes": [[{"x": x, "y": y, "t": 9} for x, y in s] for s in (ONE, TWO)]},
        {"strokes": [{"x": [x for x, _ in s], "y": [y for _, y in s]} for s in (ONE, TWO)]},
        {"strokes": [{"points": s, "time": 3} for s in (ONE, TWO)]},
        [{"x": [x for x, _ in s], "y": [y for _, y in s]} for s in (ONE, TWO)],
        {"points": POINTS},
        {"points": [[x, y, bool(pen)] for x, y, pen in POINTS]},
        {"points": [[x, y, float(pen), 17] for x, y, pen in POINTS]},
        {"points": [{"x": x, "y": y, "pen": pen} for x, y, pen in POINTS]},
        {"points": [{"x": x, "y": y, "pen": bool(pen)} for x, y, pen in POINTS]},
        [{"x": x, "y": y, "pen": pen} for x, y, pen in POINTS],
        [{"text": "", "strokes": [ONE, TWO]}],
        {"strokes": [[[*p, 16 * i, 0.5, 3, 4] for i, p in enumerate(s)] for s in (ONE, TWO)]},
    ],
)
def test_the_same_strokes(tmp_path, content):
    ((line,), problems) = read_ink(save(tmp_path, content))
    assert not problems
    shift = [0, 100]
    assert [(s + shift).tolist() for s in to_pen_strokes(line.strokes)] == [ONE, TWO]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"points": [[x, y, 16 * i] for i, (x, y) in enumerate(ONE + TWO)]}, "the third value is the pen"),
        ({"points": [[x, y, 0.01 * i] for i, (x, y) in enumerate(ONE + TWO)]}, "the third value is the pen"),
        ({"points": [[x, y, 1 - pen] for x, y, pen in POINTS]}, "the pen of nearly all points is 1"),
        ({"points": [[x, y, -1] for x, y, _ in POINTS]}, "the third value is the pen"),
        ({"points": columns(ONE, 1)}, "and has 12"),
        (columns(ONE, 1), "and has 12"),
        ({"points": [{"x": x, "y": y} for x, y in ONE]}, "without 'x' and 'y' and 'pen'"),
        ({"points": {"x": [1, 2], "y": [3, 4]}}, "a point needs 2 numbers"),
        ({"strokes": {"x": [1, 2], "y": [3, 4]}}, "'strokes' is not a list"),
        ({"strokes": [[[1, 2, 3], [4, 5, 6]]]}, "points or columns"),
        ({"strokes": [[[1, 2, 3]] * 4, [[1, 2, 3]] * 4]}, "points or columns"),
        ({"strokes": [[[1, 2], [3, 4, 5]]]}, "lists of numbers of one length"),
        ({"strokes": [[[1, 2]] * 5, [[3, 4, 5]] * 4]}, "lists of numbers of one length"),
        ({"strokes": [[list(range(9))] * 5]}, "lists of numbers of one length"),
        ({"strokes": [[["1", "2"], ["3", "4"]]]}, "lists of numbers"),
        ({"strokes": [[[True, False], [True, True]]]}, "lists of numbers"),
        ({"strokes": [[[1, None], [2, 3]]]}, "lists of numbers"),
        ({"strokes": [[[[1, 2]], [[3, 4]]]]}, "lists of numbers"),
        ({"strokes": [[{"x": 1}, {"y": 2}]]}, "without 'x' and 'y'"),
        ({"strokes": [{"x": [1, 2], "y": [3]}]}, "lists of numbers of one length"),
        ({"strokes": [{"x": 1, "y": 2}]}, "without lists 'x' and 'y'"),
        ({"strokes": [[1, 2], [3, 4]]}, "a point needs 2 numbers"),
        ({"strokes": "abc"}, "'strokes' is not a list"),
        ({"points": 7}, "a point needs 2 numbers"),
        ({"points": [], "strokes": []}, "both 'strokes' and 'points'"),
        ({"strokes": [ONE], "text": ["a"]}, "its 'text' is no text"),
        ({"strokes": [ONE], "id": True}, "its 'id' is no text"),
        ({"strokes": [ONE], "text": "a\x00b"}, "nobody can write"),
        ({"strokes": [ONE], "text": "a\ud800b"}, "nobody can write"),
        ({"strokes": [ONE], "text": "a" * 20_000}, "characters of text"),
        (b'{"strokes": [], "strokes": [[[1, 2], [3, 4]]]}', "a key twice"),
        (b'{"strokes": [[[1, 2], [Infinity, 4]]]}', "not a number below"),
        (b'{"strokes": [[[1, 2], [1e999, 4]]]}', "not a number below"),
        (b'{"strokes": [[[1, 2], [' + b"9" * 5000 + b", 4]]]}", "not JSON"),
        (b"[" * 1_000_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"\xff\xfe\x00\xd8", "not JSON"),
        (b'{"text": "caf\xe9", "strokes": []}', "not JSON"),
        (b"", "not JSON"),
        (b"null", "a line needs 'strokes'"),
        (b'"text"', "a line needs 'strokes'"),
    ],
)  # fmt: skip
def test_what_is_no_ink(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason) as error:
        read_ink(save(tmp_path, content))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(tmp_path, encoding):
    content = json.dumps({"text": "é日", "strokes": [ONE]}, ensure_ascii=False).encode(encoding)
    assert read_ink(save(tmp_path, content))[0][0].text == "é日"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\ufeffhi\ufeff", "hi"), ("a\tb\u00a0c", "a b c"), ("a\r\n  b\n", "a b"), (12, "12"), (None, "")],
)
def test_texts_are_of_one_line(tmp_path, text, expected):
    assert read_ink(save(tmp_path, {"text": text, "strokes": [ONE]}))[0][0].text == expected


def test_a_bad_line_costs_no_other(tmp_path):
    lines, problems = read_ink(
        save(tmp_path, {"lines": [{"strokes": [ONE]}, 3, {"strokes": [["a"]]}, {"strokes": [TWO]}]})
    )
    assert [line.id for line in lines] == ["ink-01", "ink-04"]
    assert [problem.name[-6:] for problem in problems] == ["line 2", "line 3"]


def test_a_file_has_no_more_than_it_may(tmp_path, monkeypatch):
    for place in ("POINTS", "LINES"):
        with monkeypatch.context() as patch:
            patch.setattr(f"graves_lm.data.ink.json_ink.{place}", 1)
            with pytest.raises(UserError, match="more than"):
                read_ink(save(tmp_path, {"lines": [{"strokes": [ONE]}, {"strokes": [TWO]}]}))
