"""Points as JSON: the documented format, and the ink reader's way back."""

import json

import numpy as np
import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import from_pen_strokes
from graves_lm.rendering.points import strokes_to_json
from graves_lm.runtime.errors import UserError


def test_the_documented_format():
    line = np.array([[0, 0, 0], [3, 0.25, 1], [1, -2, 1]])
    assert json.loads(strokes_to_json([line], ["hé"])) == {
        "format": "graves_lm.strokes",
        "lines": [{"text": "hé", "points": [[0, 0, 0], [3, 0.25, 1], [4, -1.75, 1]]}],
    }


def test_the_first_point_is_the_origin():
    (line,) = json.loads(strokes_to_json([np.array([[7.0, 8, 0], [1, 1, 1]])]))["lines"]
    assert line == {"text": "", "points": [[0, 0, 0], [1, 1, 1]]}


def test_the_ink_reader_gives_the_lines_back(tmp_path):
    rng = np.random.default_rng(0)
    strokes = [[rng.normal(scale=40, size=(9, 2)).cumsum(0) for _ in range(3)] for _ in range(2)]
    lines = [from_pen_strokes(pen) for pen in strokes]
    path = tmp_path / "a.json"
    path.write_text(strokes_to_json(lines, ["one", "two"]))
    again, problems = read_ink(path)
    assert not problems
    assert [line.text for line in again] == ["one", "two"]
    for before, after in zip(lines, again, strict=True):
        assert np.array_equal(before, after.strokes)


def test_strokes_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="not finite"):
        strokes_to_json([np.full((2, 3), np.inf)])
