"""The stroke convention, the normalisation and the folder that stores lines."""

import json
import time

import numpy as np
import pytest

from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import Normalisation, StrokeLine, from_pen_strokes, to_pen_strokes
from graves_lm.errors import UserError


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


def some_lines(count: int, whole: bool = True) -> list[StrokeLine]:
    rng = np.random.default_rng(3)
    return [
        StrokeLine(f"l{i}", a_line(rng, int(rng.integers(1, 40) + 1), whole), f"text é {i}", f"w{i % 3}")
        for i in range(count)
    ]


@pytest.mark.parametrize(("whole", "dtype"), [(True, np.int16), (False, np.float32)])
def test_store_gives_back_what_was_written(tmp_path, whole, dtype):
    lines = some_lines(30, whole)
    LineStore.write(tmp_path / "cache", {"train": lines[:20], "val": [], "test": lines[20:]})
    store = LineStore.open(tmp_path / "cache")
    assert isinstance(store.points, np.memmap)
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


@pytest.mark.parametrize("file", ["points.npy", "offsets.npy", "lines.json", "meta.json"])
def test_damaged_store_says_what_to_do(tmp_path, file):
    LineStore.write(tmp_path / "c", {"train": some_lines(9)})
    path = tmp_path / "c" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"prepare the data"):
        LineStore.open(tmp_path / "c")
    path.unlink()
    with pytest.raises(UserError, match=r"prepare the data"):
        LineStore.open(tmp_path / "c")


def test_large_store_opens_in_milliseconds(tmp_path):
    strokes = a_line(np.random.default_rng(0), 600)
    lines = [StrokeLine(f"line-{i}", strokes, "x" * 30) for i in range(5000)]
    LineStore.write(tmp_path / "c", {"train": lines})
    started = time.perf_counter()
    LineStore.open(tmp_path / "c")
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("strokes", [np.zeros((0, 3)), np.zeros((4, 2)), np.full((2, 3), np.nan)])
def test_store_refuses_what_is_no_line(tmp_path, strokes):
    with pytest.raises(ValueError, match="line bad"):
        LineStore.write(tmp_path / "c", {"train": [StrokeLine("bad", strokes.astype(np.float32), "")]})
