"""JSON: points, columns or objects as people write them, and what is none of these."""

import json
from pathlib import Path

import numpy as np
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


# ---------------------------------------------------------------------------------------------- times


def timed(tmp_path: Path, strokes: list[list[tuple[float, float, float]]]) -> Path:
    """A file of one line of points (x, y, milliseconds), stroke by stroke."""
    points = [
        [x, y, int(i == len(stroke) - 1), 0.5, t] for stroke in strokes for i, (x, y, t) in enumerate(stroke)
    ]
    path = tmp_path / "timed.json"
    path.write_text(json.dumps({"format": "graves_lm.strokes", "lines": [{"text": "a", "points": points}]}))
    return path


def test_lines_with_times_are_brought_to_a_rate(tmp_path):
    """Even motions: where the pen was at each time is known in closed form."""
    fast = [(3 * t, 0, t) for t in range(0, 101, 4)]
    slow = [(400 + t / 2, -t, 500 + t) for t in (0, 30, 47, 100)]
    path = timed(tmp_path, [fast, slow, [(900, 7, 700)]])
    (line,), _ = read_ink(path)
    assert len(line.strokes) == 26 + 4 + 1
    (line,), _ = read_ink(path, rate=75)
    found = to_pen_strokes(line.strokes)
    times = np.append(np.arange(8) / 75 * 1000, 100)  # seven steps and a half, then the last point
    np.testing.assert_allclose(found[0], np.stack([3 * times, 0 * times], axis=1), atol=1e-3)
    np.testing.assert_allclose(found[1], np.stack([400 + times / 2, -times], axis=1), atol=1e-3)
    np.testing.assert_allclose(found[2], [[900, 7]], atol=1e-3)


def test_a_rest_is_not_many_points(tmp_path):
    path = timed(tmp_path, [[(0, 0, 0), (1, 0, 100), (2, 0, 9100), (3, 0, 9200)]])
    (line,), _ = read_ink(path, rate=10)
    np.testing.assert_allclose(to_pen_strokes(line.strokes)[0][:, 0], [0, 1, 2, 3], atol=1e-6)


def test_times_that_go_back_are_no_way_back(tmp_path):
    path = timed(tmp_path, [[(0, 0, 50), (1, 0, 40), (2, 0, 60), (3, 0, 80)]])
    (line,), _ = read_ink(path, rate=100)
    assert (np.diff(to_pen_strokes(line.strokes)[0][:, 0]) > 0).all()


def test_a_time_that_is_none_costs_its_line(tmp_path):
    path = timed(tmp_path, [[(0, 0, 0), (1, 0, 1e999), (2, 0, 60)]])
    with pytest.raises(UserError, match="none that a clock shows"):
        read_ink(path)


def test_points_without_times_stay_as_they_are(tmp_path):
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({"text": "a", "points": [[x, 0, int(x == 9), 0.5, 8 * x] for x in range(10)]}))
    (line,), _ = read_ink(path, rate=10)  # no form of ours: the fifth number may be anything
    assert len(line.strokes) == 10
