"""The stroke convention, the normalisation and the folder that stores lines."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graves_lm.data.cache_folder import CacheFolder, StoredArray, seal
from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import Normalisation, StrokeLine, from_pen_strokes, to_pen_strokes
from graves_lm.runtime.errors import UserError
from tests.data.lines import stored


def a_line(rng: np.random.Generator, points: int, whole: bool = True) -> np.ndarray:
    strokes = np.zeros((points, 3), np.float32)
    offsets = rng.normal((8, 0), (42, 36), (points - 1, 2))
    strokes[1:, :2] = np.rint(offsets) if whole else offsets
    strokes[:, 2] = rng.random(points) < 0.05
    strokes[-1, 2] = 1
    return strokes


def test_offsets_by_hand():
    strokes = from_pen_strokes([[(10, 20), (13, 24)], [], [(13, 30)]])
    assert strokes.dtype == np.float32
    assert strokes.tolist() == [[0, 0, 0], [3, 4, 1], [0, 6, 1]]
    back = to_pen_strokes(strokes)
    assert [s.tolist() for s in back] == [[[0, 0], [3, 4]], [[3, 10]]]


def test_no_strokes_are_no_points():
    assert from_pen_strokes([]).shape == (0, 3)
    assert from_pen_strokes([[], []]).shape == (0, 3)


def test_positions_and_offsets_are_inverse():
    rng = np.random.default_rng(0)
    strokes = a_line(rng, 500)
    assert np.array_equal(from_pen_strokes(to_pen_strokes(strokes)), strokes)


def test_far_away_positions_cost_no_precision():
    near = [[(0.25, 0.5), (1.5, 0.125)]]
    far = [[(1e7 + x, 1e7 + y) for x, y in near[0]]]
    assert np.array_equal(from_pen_strokes(near), from_pen_strokes(far))


def test_normalisation_is_fitted_on_offsets_and_not_on_starting_points():
    rng = np.random.default_rng(1)
    lines = [a_line(rng, int(n)) for n in rng.integers(2, 300, 50)]
    fit = Normalisation.fit(lines)
    offsets = np.concatenate([line[1:, :2] for line in lines]).astype(np.float64)
    np.testing.assert_allclose(fit.mean, offsets.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fit.std, offsets.std(axis=0), rtol=1e-12)
    normal = np.concatenate([fit.apply(line)[1:] for line in lines]).astype(np.float64)
    np.testing.assert_allclose(normal[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normal[:, :2].std(axis=0), 1, atol=1e-6)
    assert np.array_equal(normal[:, 2], np.concatenate([line[1:, 2] for line in lines]))


@pytest.mark.parametrize("whole", [True, False])
def test_round_trip_is_exact_to_the_last_bit(whole):
    rng = np.random.default_rng(2)
    strokes = a_line(rng, 100_000, whole)
    strokes[1, :2] = (3000, -2500)  # an outlier
    norm = Normalisation((8.4392, 0.0847), (42.628, 36.341))
    back = norm.invert(norm.apply(strokes))
    # One unit in the last place of the larger of the number and the mean it is measured from.
    largest = np.maximum(np.abs(strokes[:, :2]), np.abs(np.array(norm.mean, np.float32)))
    assert (np.abs(back[:, :2] - strokes[:, :2]) <= np.spacing(largest)).all()
    assert np.array_equal(back[:, 2], strokes[:, 2])
    if whole:
        assert np.array_equal(np.rint(back), strokes)


def test_normalisation_travels_as_plain_lists():
    norm = Normalisation((8.1, 0.1), (41.88180451916938, 37.0))
    assert Normalisation.from_plain(json.loads(json.dumps(norm.to_plain()))) == norm


@pytest.mark.parametrize(
    "lines", [[], [np.zeros((9, 3), np.float32)], [np.eye(3, dtype=np.float32)[[2, 0, 0]]]]
)
def test_lines_that_do_not_vary_cannot_be_normalised(lines):
    with pytest.raises(UserError, match="do not vary"):
        Normalisation.fit(lines)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"mean": [0, 0]},
        {"mean": [0, 0], "std": [1, 1], "more": 1},
        {"mean": [0, 0], "std": [1, 0]},
        {"mean": [0, 0], "std": [1, -1]},
        {"mean": [0, 0], "std": [1, float("nan")]},
        {"mean": [0, 0], "std": [1, float("inf")]},
        {"mean": [0, float("nan")], "std": [1, 1]},
        {"mean": [0, 10**400], "std": [1, 1]},
        {"mean": [0, 0, 0], "std": [1, 1]},
        {"mean": [0, "1"], "std": [1, 1]},
        {"mean": [0, True], "std": [1, 1]},
        {"mean": "01", "std": [1, 1]},
        {"mean": [0, 0], "std": {"x": 1, "y": 1}},
        {"mean": [0, 0], "std": [1e-300, 1]},
    ],
)
def test_facts_of_strangers_are_refused(plain):
    with pytest.raises(UserError, match=r"^normalisation: ") as caught:
        Normalisation.from_plain(plain)
    assert len(str(caught.value)) < 200


def some_lines(count: int, whole: bool = True) -> list[StrokeLine]:
    rng = np.random.default_rng(3)
    return [
        StrokeLine(f"l{i}", a_line(rng, int(rng.integers(1, 40) + 1), whole), f"text é {i}", f"w{i % 3}")
        for i in range(count)
    ]


@pytest.mark.parametrize(("whole", "dtype"), [(True, np.int16), (False, np.float32)])
def test_store_gives_back_what_was_written(tmp_path, whole, dtype):
    lines = some_lines(30, whole)
    store = stored(tmp_path / "cache", {"train": lines[:20], "val": [], "test": lines[20:]})
    assert isinstance(store.points, StoredArray)
    assert store.points.dtype == dtype
    assert len(store) == 30
    for line, kept in zip(lines, store, strict=True):
        assert (line.id, line.text, line.writer) == (kept.id, kept.text, kept.writer)
        assert kept.strokes.dtype == np.float32
        assert np.array_equal(line.strokes, kept.strokes)
    assert store.lengths.tolist() == [len(line.strokes) for line in lines]
    assert store.indices("test", "train").tolist() == [*range(20, 30), *range(20)]
    assert store.indices("val").tolist() == []
    assert [line.id for line in store[-2:]] == ["l28", "l29"]
    with pytest.raises(UserError, match="no part 'validation'"):
        store.indices("validation")
    with pytest.raises(IndexError):
        store[30]


@pytest.mark.parametrize("file", ["points.npy", "offsets.npy", "lines.json"])
def test_damaged_store_says_what_to_do(tmp_path, file):
    stored(tmp_path / "c", {"train": some_lines(9)})
    path = tmp_path / "c" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        UserError, match=rf"{file}: .* bytes long, not .*; .* delete the folder {tmp_path}/c "
    ):
        LineStore.open(CacheFolder(tmp_path / "c"))
    path.unlink()
    with pytest.raises(UserError, match=f"{file}: missing; "):
        LineStore.open(CacheFolder(tmp_path / "c"))


def with_changed(column: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda lines: lines.__setitem__(column, value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (with_changed("ids", ["a"]), "its ids are not 9 texts"),
        (with_changed("texts", [1] * 9), "its texts are not 9 texts"),
        (with_changed("writers", None), "its writers are not 9 texts"),
        (with_changed("parts", []), "its parts are no object"),
        (with_changed("parts", {"train": [0, 8]}), "its parts end at line 8 of 9"),
        (with_changed("parts", {"train": [1, 9]}), "its parts do not follow each other"),
        (with_changed("parts", {"train": [0, 9], "val": [9, -1]}), "a part is not its first and its last"),
        (with_changed("parts", {"train": [0, 10**400]}), "not JSON|a part is not its first and its last"),
        (with_changed("parts", {"train": [0, 4.5]}), "a part is not its first and its last line"),
        (with_changed("more", []), "parts, ids, texts and writers are needed"),
    ],
)
def test_a_store_of_strangers_whose_files_do_not_fit_together(tmp_path, change, expected):
    stored(tmp_path / "c", {"train": some_lines(9)})
    path = tmp_path / "c" / "lines.json"
    lines = json.loads(path.read_text())
    change(lines)
    path.write_text(json.dumps(lines))
    seal(tmp_path / "c")
    with pytest.raises(UserError, match=f"lines.json: ({expected})"):
        LineStore.open(CacheFolder(tmp_path / "c"))


@pytest.mark.parametrize("offsets", [[0, 5, 3], [0, 5, 10**12], [-4, 5, 9], [0, 0, 9], [0, 5]])
def test_offsets_that_point_outside(tmp_path, offsets):
    store = stored(tmp_path / "c", {"train": some_lines(2)})
    ends = {9: len(store.points)}
    np.save(tmp_path / "c" / "offsets.npy", np.array([ends.get(x, x) for x in offsets]))
    seal(tmp_path / "c")
    with pytest.raises(UserError, match=r"offsets\.npy: it does not divide|lines\.json: its ids are not 1"):
        LineStore.open(CacheFolder(tmp_path / "c"))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (np.full((9, 3), np.nan, np.float32), "an offset is not finite"),
        (np.full((9, 3), 2, np.int16), "an end of stroke is neither 0 nor 1"),
        (np.zeros((9, 2), np.int16), r"numbers <i2 in shape \(9, 2\)"),
        (np.zeros(9, np.int16), r"numbers <i2 in shape \(9,\)"),
        (np.zeros((9, 3), np.complex64), "numbers <c8"),
        (np.zeros((9, 3), np.int16, order="F"), "numbers <i2"),
        (np.full((9, 3), None), r"numbers \|O"),
    ],
)
def test_points_that_are_none(tmp_path, wrong, expected):
    stored(tmp_path / "c", {"train": [StrokeLine("a", a_line(np.random.default_rng(0), 9), "")]})
    np.save(tmp_path / "c" / "points.npy", wrong)
    seal(tmp_path / "c")
    with pytest.raises(UserError, match=rf"points\.npy: .*{expected}.*delete the folder"):
        LineStore.open(CacheFolder(tmp_path / "c"))[0]


def test_large_store_opens_in_milliseconds(tmp_path):
    strokes = a_line(np.random.default_rng(0), 600)
    lines = [StrokeLine(f"line-{i}", strokes, "x" * 30) for i in range(5000)]
    stored(tmp_path / "c", {"train": lines})
    started = time.perf_counter()
    LineStore.open(CacheFolder(tmp_path / "c"))
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("strokes", [np.zeros((0, 3)), np.zeros((4, 2)), np.full((2, 3), np.nan)])
def test_store_refuses_what_is_no_line(tmp_path, strokes):
    with pytest.raises(ValueError, match="line bad"):
        LineStore.write(tmp_path / "c", {"train": [StrokeLine("bad", strokes.astype(np.float32), "")]})
