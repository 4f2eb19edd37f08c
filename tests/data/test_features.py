"""Features of constructed lines, whose values are known."""

import numpy as np
import pytest

from graves_lm.data.features import features
from graves_lm.data.strokes import from_pen_strokes


def line(*strokes):
    return from_pen_strokes([np.array(s, float) for s in strokes])


def test_the_slant_of_a_leaning_line_is_its_angle():
    """y is down: from the foot at (0, 0) up and to the right by 20° from the vertical."""
    for degrees in (-30, 0, 20):
        top = 100 * np.array([np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])
        up = line(np.linspace([0, 0], top, 11))
        down = line(np.linspace(top, [0, 0], 11))
        assert features(up).slant == pytest.approx(degrees, abs=1e-3)
        assert features(down).slant == pytest.approx(degrees, abs=1e-3)
    level = line([[0, 0], [50, 1], [100, 0]], [[0, 0], [10, -10 / np.tan(np.radians(10))]])
    assert features(level).slant == pytest.approx(10, abs=1e-3)  # level parts do not count


def test_a_circle_turns_by_equal_parts_of_a_whole_turn():
    for steps, way in ((40, 1), (90, -1)):
        t = way * np.linspace(0, 2 * np.pi, steps + 1)
        circle = line(50 * np.stack([np.cos(t), np.sin(t)], 1))
        assert features(circle).curvature == pytest.approx(2 * np.pi / steps, rel=0.01)
    zigzag = line([[0, 0], [10, 0], [10, 10], [20, 10], [20, 0]])
    assert features(zigzag).curvature == pytest.approx(np.pi / 2)
    assert features(line([[0, 0], [5, 5], [9, 9]])).curvature == pytest.approx(0, abs=1e-6)


def test_movements_with_the_pen_up_do_not_count():
    found = features(line([[0, 0], [3, 4], [3, 4]], [[1000, 0], [1000, 10]], [[2000, 5]]))
    assert found.stroke_length == pytest.approx((5 + 10) / 2)  # the dot is no stroke
    assert found.speed == pytest.approx((5 + 0 + 10) / 3)
    # The angle between the two strokes is no turn.
    assert found.curvature == 0


def test_the_size_is_measured_about_the_lines_own_slope():
    x = np.arange(1000.0)
    swing = 25 * np.where(x.astype(int) // 2 % 2, 1, -1)
    for slope in (0, 0.2):
        assert features(line(np.stack([x, slope * x + swing], 1))).size == pytest.approx(25, rel=1e-3)


def test_lengths_scale_and_angles_do_not():
    rng = np.random.default_rng(0)
    strokes = [rng.normal(0, 20, (30, 2)).cumsum(0) for _ in range(4)]
    small, large = features(line(*strokes)), features(line(*(3 * s for s in strokes)))
    expected = [3, 3, 1, 1, 3]
    assert np.array(large) / np.array(small) == pytest.approx(expected, rel=1e-4)


def test_a_line_of_dots_has_none():
    assert features(line([[0, 0]], [[5, 5]])) == (0, 0, 0, 0, 0)
