"""Points survive the way to a file and back; other files are refused in one line."""

import json

import numpy as np
import pytest

from graves_lm.errors import UserError
from graves_lm.rendering.points import read_points, write_points


def test_round_trip_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    lines = [rng.normal(scale=scale, size=(50, 3)).astype(np.float32) for scale in (1e-6, 1, 1e6)]
    for line in lines:
        line[:, 2] = rng.random(50) < 0.1
    lines.append(np.zeros((0, 3), np.float32))
    path = tmp_path / "new folder" / "strokes.json"
    write_points(path, lines)
    again = read_points(path)
    assert [line.dtype for line in again] == [np.float32] * 4
    assert all(np.array_equal(a, b) for a, b in zip(lines, again, strict=True))
    assert [p.name for p in path.parent.iterdir()] == ["strokes.json"]


def test_the_documented_format(tmp_path):
    write_points(tmp_path / "a.json", [np.array([[0.1, -2, 0], [3, 0.25, 1]])])
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "format": "graves_lm.strokes",
        "version": 1,
        "lines": [[[0.1, -2, 0], [3, 0.25, 1]]],
    }


def document(**changes) -> str:
    return json.dumps({"format": "graves_lm.strokes", "version": 1, "lines": []} | changes)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "not a JSON file"),
        ('{"format":', "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("[]", "format"),
        (document(format="other"), "format"),
        (document(version=2), "version 2"),
        (document(lines=None), "lines"),
        (document(lines=[{}]), "line 1"),
        (document(lines=[[], [[0, 0, 0], [0, 0]]]), "point 2 of line 2"),
        (document(lines=[[[0, 0, 2]]]), "point 1 of line 1"),
        (document(lines=[[["1", 0, 0]]]), "point 1"),
        (document(lines=[[[True, 0, 0]]]), "point 1"),
        (document(lines=[[[float("nan"), 0, 0]]]), "point 1"),
        (document(lines=[[[1e300, 0, 0]]]), "point 1"),
        (document(lines=[[[10**400, 0, 0]]]), "point 1"),
    ],
)
def test_bad_files(tmp_path, content, complaint):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UserError, match=complaint) as error:
        read_points(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_not_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a JSON file"):
        read_points(tmp_path / "a.json")
    with pytest.raises(UserError, match="cannot read"):
        read_points(tmp_path / "missing.json")


def test_what_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(UserError, match="finite"):
        write_points(tmp_path / "a.json", [np.full((2, 3), np.inf)])
    assert not list(tmp_path.iterdir())
