"""Curves stay by the points and the points by the curves, in few segments."""

import numpy as np
import pytest

from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.rendering import curves as of


def smooth(xy: np.ndarray, tolerance: float) -> np.ndarray:
    (curves,) = of.smooth([xy], tolerance)
    return curves


def along(segments: np.ndarray, steps: int = 40) -> np.ndarray:
    """Points (n, 2) on the curves, by de Casteljau's repeated halving of the control polygon's sides."""
    u = np.linspace(0, 1, steps)[:, None, None]
    p = np.broadcast_to(segments[:, None], (len(segments), steps, 4, 2))
    for _ in range(3):
        p = p[:, :, :-1] * (1 - u) + p[:, :, 1:] * u
    return p.reshape(-1, 2)


def farthest(points: np.ndarray, way: np.ndarray) -> float:
    """How far the worst of the points is from the polyline."""
    start, step = way[:-1], np.diff(way, axis=0)
    length = np.maximum((step**2).sum(1), 1e-30)
    t = np.clip(((points[:, None] - start) * step).sum(-1) / length, 0, 1)
    return float(np.hypot(*np.moveaxis(points[:, None] - start - t[..., None] * step, -1, 0)).min(1).max())


@pytest.mark.parametrize("tolerance", [1.0, 5.0, 20.0])
def test_handwriting(tolerance):
    points = segments = 0
    for line in HersheyLines(2, writers=2):
        for xy in to_pen_strokes(line.strokes):
            curves = smooth(xy, tolerance)
            if len(xy) < 2 or len(curves) == 0:
                continue
            drawn = along(curves)
            assert np.array_equal(curves[0, 0], xy[0])
            assert np.array_equal(curves[-1, 3], xy[-1])
            assert np.array_equal(curves[1:, 0], curves[:-1, 3])
            assert farthest(xy, drawn) <= tolerance + 0.1
            # The curve bulges over the chords between points, by little: points are up to 40 apart.
            assert farthest(drawn, xy) <= tolerance + 15
            points, segments = points + len(xy), segments + len(curves)
    assert segments < points * {1.0: 0.7, 5.0: 0.35, 20.0: 0.2}[tolerance]


def test_a_circle_is_four_or_few_curves():
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = 100 * np.stack([np.cos(angle), np.sin(angle)], 1)
    curves = smooth(circle, 0.1)
    assert 2 <= len(curves) <= 8
    assert np.abs(np.hypot(*along(curves).T) - 100).max() < 0.2


def test_a_corner_stays_a_corner():
    down, right = np.linspace(0, 50, 20), np.linspace(0, 50, 20)[1:]
    xy = np.concatenate([np.stack([0 * down, down], 1), np.stack([right, 50 + 0 * right], 1)])
    curves = smooth(xy, 1.0)
    assert len(curves) == 2
    assert curves[0, 3] == pytest.approx((0, 50))
    assert farthest(along(curves), xy) < 1e-9


def test_noise_and_jumps():
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e4):
        xy = scale * rng.normal(size=(100, 2)).cumsum(0)
        drawn = along(smooth(xy, 0.2 * scale), 200)
        assert farthest(xy, drawn) <= 0.201 * scale
        assert farthest(drawn, xy) < 3 * scale


@pytest.mark.parametrize(
    ("xy", "count"),
    [
        ([(1, 2)], 0),
        ([(1, 2)] * 5, 0),
        ([(1, 2), (3, 4)], 1),
        ([(0, 0), (0, 0), (1, 1), (1, 1), (2, 2)], 1),
        ([(0, 0), (1, 0), (0, 0)], 2),
    ],
)
def test_few_or_repeated_points(xy, count):
    curves = smooth(np.array(xy, dtype=float), 0.1)
    assert curves.shape == (count, 4, 2)
    assert np.isfinite(curves).all()


def test_strokes_do_not_see_each_other():
    """Side by side each is as it is alone, but for the last bits of sums."""
    strokes = [xy for line in HersheyLines(2, writers=2) for xy in to_pen_strokes(line.strokes)]
    strokes += [np.zeros((1, 2)), np.ones((4, 2)), *strokes[:2]]
    for together, alone in (
        (of.smooth(strokes, 2.0), [smooth(xy, 2.0) for xy in strokes]),
        (of.flat(strokes, 2.0), [of.flat([xy], 2.0)[0] for xy in strokes]),
    ):
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert of.smooth([], 1.0) == []
