"""Where a line ends, from points and windows that are made by hand."""

import pytest
import torch

from graves_lm.sampling.end_of_line import Ending, EndOfLine, EndSettings, Look

DEFAULT = EndSettings()
NOT_YET, WITH_IT, BEFORE_IT = Ending.NOT_YET, Ending.WITH_IT, Ending.BEFORE_IT


def look(at=1, past_end=False, after=0.0):
    """A window on a text of two characters, φ(t, U+1) being `after` of the largest other."""
    return Look(torch.tensor([0.2, 1.0, after]), past_end, at)


def down(forth=0.0):
    return (forth, 0.0, 0.0)


def lift(forth=0.0):
    return (forth, 0.0, 1.0)


def after_the_stop_rule(*points, settings=DEFAULT):
    """What each point means for a line whose rule has held from its second point on."""
    end = EndOfLine(2, settings)
    assert [end.add(down(), look()), end.add(down(), look(past_end=True))] == [NOT_YET, NOT_YET]
    assert (end.stopped, end.stuck) == (True, None)
    return [end.add(point, look(past_end=True)) for point in points]


def test_once_the_stop_rule_has_held_only_strokes_that_go_back_follow():
    assert after_the_stop_rule(down(3.0), lift(), down(0.5)) == [NOT_YET, NOT_YET, BEFORE_IT]
    assert after_the_stop_rule(lift(), down(0.0)) == [NOT_YET, BEFORE_IT]
    assert after_the_stop_rule(lift(), down(-0.5), down(2.0), lift(), down(-0.1), lift(), down(0.1)) == [
        *[NOT_YET] * 6,
        BEFORE_IT,
    ]


def test_a_rule_that_held_once_has_held():
    end = EndOfLine(2, DEFAULT)
    end.add(down(), look(past_end=True))
    end.add(lift(), look(past_end=False))
    assert end.add(down(1.0), look(past_end=False)) is BEFORE_IT


def test_a_last_stroke_without_an_end_is_cut():
    short = EndSettings(points_per_character=3.0)
    assert after_the_stop_rule(*[down()] * 3, settings=short) == [NOT_YET, NOT_YET, WITH_IT]


def dotted(points=5, forth=1.1, after=0.46, up=True, at=1, settings=DEFAULT):
    """A line with a stroke of two points, then one of `points`, and a next point `forth` to the right: what
    this one means, and whether the line is stopped then."""
    end = EndOfLine(2, settings)
    strokes = [down(), lift(), *[down()] * (points - 1)]
    for point in strokes:
        assert end.add(point, look(at)) is NOT_YET
    assert end.add(lift() if up else down(), look(at, after=after)) is NOT_YET
    assert not end.stopped
    return end.add(down(forth), look(at)), end.stopped


@pytest.mark.parametrize("points", [1, 5, 6])
def test_a_dot_ends_a_line_when_the_window_has_half_left_its_text(points):
    assert dotted(points) == (BEFORE_IT, True)


@pytest.mark.parametrize(
    "other",
    [
        {"points": 7},  # no dot
        {"forth": 0.9},  # such as the other dot of a colon
        {"forth": -2.0},
        {"after": 0.44},  # there is text yet
        {"up": False},
        {"at": -1},  # a dot of the prime
        {"settings": EndSettings(dot=4)},
        {"settings": EndSettings(half_left=0.5)},
        {"settings": EndSettings(gap=1.2)},
    ],
)
def test_no_other_stroke_does(other):
    assert dotted(**other) == (NOT_YET, False)


def test_a_window_that_stands_still_ends_the_line_and_is_told():
    end = EndOfLine(9, EndSettings(longest_dwell=4))
    assert [end.add(down(), look(0)) for _ in range(4)] == [NOT_YET] * 4
    assert [end.add(down(), look(3)) for _ in range(4)] == [NOT_YET] * 4
    assert end.stuck is None
    assert end.add(down(), look(3)) is WITH_IT
    assert (end.stopped, end.stuck) == (False, 3)


def test_a_window_may_stand_as_long_as_those_of_lines_that_went_on():
    end = EndOfLine(9, DEFAULT)
    assert {end.add(down(), look(3)) for _ in range(233)} == {NOT_YET}


def test_a_window_that_stands_on_the_prime_is_said_to_stand_on_the_first_character():
    end = EndOfLine(9, EndSettings(longest_dwell=2))
    assert [end.add(down(), look(-3)) for _ in range(3)] == [NOT_YET, NOT_YET, WITH_IT]
    assert (end.stuck, end.reached) == (0, False)


def test_a_line_has_a_cap():
    end = EndOfLine(2, EndSettings(points_per_character=1.5, least_cap=4))
    endings = [end.add(down(), look(t)) for t in range(7)]
    assert endings == [*[NOT_YET] * 6, WITH_IT]  # 4 + 2 · 1.5
    assert (end.stopped, end.stuck) == (False, None)
