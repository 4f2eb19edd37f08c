"""Ink in equal steps: the same for every unit, device and speed."""

import numpy as np
import pytest

from graves_lm.data.strokes import from_pen_strokes, to_pen_strokes
from graves_lm.models.frames import (
    NUMBERS,
    STACKED,
    STEP,
    STRIDE,
    frame_points,
    has_extent,
    ink_frames,
    levelled,
    steps,
)
from graves_lm.runtime.errors import UserError


def curve(points: int, strokes_of_it: int = 3) -> np.ndarray:
    """Strokes of a wave along a line, read by a pen so often."""
    strokes = []
    for n in range(strokes_of_it):
        t = np.linspace(0, 1, points) ** (1 + n / 4)  # at a speed of its own
        strokes.append(np.stack([300 * n + 250 * t, 60 * np.sin(9 * t + n)], axis=1))
    return from_pen_strokes(strokes)


def test_steps_of_a_stroke_are_of_one_length():
    step_N4 = steps(curve(2000))
    offset_N2 = np.sinh(step_N4[:, :2]) / 4
    on_paper = step_N4[:, 2] == 0
    lengths = np.hypot(*offset_N2[on_paper].T)
    assert lengths == pytest.approx(np.full(len(lengths), STEP), rel=0.1)
    assert step_N4[:, 2].sum() == 2, "the pen moves from stroke to stroke in one step"


def test_steps_end_where_strokes_end():
    """With float64 sums of the steps against the strokes' own ends, at the line's own size and slope."""
    line = curve(500)
    step_N4 = steps(line).astype(np.float64)
    way_N2 = np.cumsum(np.sinh(step_N4[:, :2]) / 4, axis=0)
    ends = np.flatnonzero(np.diff(step_N4[:, 2], prepend=0) == 1) - 1
    x_ends = way_N2[ends, 0]
    strokes = to_pen_strokes(line)
    expected = [s[-1, 0] - strokes[0][0, 0] for s in strokes[:2]]
    ratio = x_ends / expected
    assert ratio == pytest.approx(np.full(2, ratio[0]), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 0.37, 2540.0])
def test_units_do_not_matter(scale):
    line = curve(200)
    other = line * (scale, scale, 1)
    assert ink_frames(other) == pytest.approx(ink_frames(line), abs=1e-3)


def test_devices_do_not_matter():
    """Four times as many readings of the same curve give the same frames, all but the curve's own corners."""
    few, many = ink_frames(curve(150)), ink_frames(curve(600))
    assert few.shape == many.shape
    assert np.abs(few - many).mean() < 0.02


def test_where_the_pen_rests_counts_for_nothing():
    line = curve(100)
    rests = np.insert(line, 40, np.zeros((25, 3)), axis=0)
    assert ink_frames(rests) == pytest.approx(ink_frames(line), abs=1e-5)


def test_a_slope_is_taken_out_of_a_wide_line():
    line = curve(300, strokes_of_it=20)
    line[:, 1] += 0.2 * line[:, 0]
    point_T2 = np.cumsum(line[:, :2], axis=0)
    way_T = np.where(line[:-1, 2] > 0.5, 0.0, np.hypot(*line[1:, :2].T))
    level_T2, size = levelled(point_T2, way_T)
    assert abs(np.polyfit(*level_T2.T, 1)[0]) < 0.02 < np.polyfit(*point_T2.T, 1)[0]
    assert size == pytest.approx(level_T2[:, 1].std(), rel=0.1)


def test_frames_overlap_and_leave_nothing_out():
    step_N4, frame_FD = steps(curve(300)), ink_frames(curve(300))
    assert frame_FD.shape == (-(-len(step_N4) // STRIDE), NUMBERS)
    stacked = frame_FD.reshape(len(frame_FD), STACKED, 4)
    first = (STACKED - STRIDE) // 2
    middle = stacked[:, first : first + STRIDE].reshape(-1, 4)[: len(step_N4)]
    assert (middle == step_N4).all()


def test_a_dot_is_no_writing_but_a_dash_is():
    dot = np.zeros((5, 3), np.float32)
    dot[-1, 2] = 1
    assert not has_extent(dot)
    with pytest.raises(UserError, match="no writing"):
        ink_frames(dot)
    two_dots = from_pen_strokes([[[0, 0]], [[50, 0]]])
    assert not has_extent(two_dots)
    dash = from_pen_strokes([[[0, 0], [50, 0]]])
    assert has_extent(dash)
    assert np.isfinite(ink_frames(dash)).all()


@pytest.mark.parametrize("points", [2, 3, 5])
def test_short_ink_gives_a_frame_or_more(points):
    random = np.random.default_rng(points)
    line = from_pen_strokes([random.normal(0, 30, (points, 2))])
    assert len(ink_frames(line)) >= 1


def test_a_frame_s_point_is_where_the_frame_is():
    """On a straight line at a steady pace, frames are evenly spread over the points, one at each frame."""
    line = from_pen_strokes(
        [np.stack([np.linspace(0, 900, 301), np.tile([0.0, 20.0, 0], 101)[:301]], axis=1)]
    )
    point_F = frame_points(line)
    assert len(point_F) == len(ink_frames(line))
    apart = np.diff(point_F[:-1])
    assert apart.min() >= 0
    assert np.ptp(apart) <= 2
    assert point_F[0] < apart.max()
    assert len(line) - 1 - point_F[-1] < 2 * apart.max()
    three = curve(200)
    points, frames = frame_points(three), ink_frames(three)
    assert len(points) == len(frames)
    assert (np.diff(points) > 0).all()
    assert points[-1] < len(three)
