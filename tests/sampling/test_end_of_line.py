"""Where a line ends, from points and windows that are made by hand."""

import math

import pytest
import torch

from graves_lm.models.synthesis import Text
from graves_lm.sampling.end_of_line import Ending, EndOfLine, EndSettings, Known, Look

DEFAULT = EndSettings()
NOT_YET, WITH_IT, BEFORE_IT = Ending.NOT_YET, Ending.WITH_IT, Ending.BEFORE_IT


class Line:
    """The rule for a line of so many characters, a point at a time."""

    def __init__(self, characters, settings):
        self.rule = EndOfLine(settings)
        self.known_1E = self.rule.begin([characters])

    @property
    def known(self):
        return Known(*self.known_1E.unbind(1))

    def add(self, point, look):
        self.known_1E = self.rule.add(self.known_1E, torch.tensor([point]), look)
        return Ending(int(self.known.ended))

    stopped = property(lambda line: bool(line.rule.stopped(line.known)))
    stuck = property(lambda line: stuck if (stuck := int(line.rule.stuck(line.known))) >= 0 else None)
    reached = property(lambda line: bool(line.known.reached))


def look(at=1, past_end=False, after=0.0):
    """A window on a text of two characters, φ(t, U+1) being `after` of the largest other."""
    phi_1V, length_1 = torch.tensor([[0.2, 1.0, after]]), torch.tensor([2])
    return Look(phi_1V, length_1, torch.tensor([past_end]), torch.tensor([at]))


def down(forth=0.0):
    return (forth, 0.0, 0.0)


def lift(forth=0.0):
    return (forth, 0.0, 1.0)


def after_the_stop_rule(*points, settings=DEFAULT):
    """What each point means for a line whose rule has held from its second point on."""
    end = Line(2, settings)
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
    end = Line(2, DEFAULT)
    end.add(down(), look(past_end=True))
    end.add(lift(), look(past_end=False))
    assert end.add(down(1.0), look(past_end=False)) is BEFORE_IT


def test_a_last_stroke_without_an_end_is_cut():
    short = EndSettings(points_per_character=3.0)
    assert after_the_stop_rule(*[down()] * 3, settings=short) == [NOT_YET, NOT_YET, WITH_IT]


def dotted(points=5, forth=1.1, after=0.46, up=True, at=1, settings=DEFAULT):
    """A line with a stroke of two points, then one of `points`, and a next point `forth` to the right: what
    this one means, and whether the line is stopped then."""
    end = Line(2, settings)
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
    end = Line(9, EndSettings(longest_dwell=4))
    assert [end.add(down(), look(0)) for _ in range(4)] == [NOT_YET] * 4
    assert [end.add(down(), look(3)) for _ in range(4)] == [NOT_YET] * 4
    assert end.stuck is None
    assert end.add(down(), look(3)) is WITH_IT
    assert (end.stopped, end.stuck) == (False, 3)


def test_a_window_may_stand_as_long_as_those_of_lines_that_went_on():
    end = Line(9, DEFAULT)
    assert {end.add(down(), look(3)) for _ in range(233)} == {NOT_YET}


def test_a_window_that_stands_on_the_prime_is_said_to_stand_on_the_first_character():
    end = Line(9, EndSettings(longest_dwell=2))
    assert [end.add(down(), look(-3)) for _ in range(3)] == [NOT_YET, NOT_YET, WITH_IT]
    assert (end.stuck, end.reached) == (0, False)


def test_a_line_has_a_cap():
    end = Line(2, EndSettings(points_per_character=1.5, least_cap=4))
    endings = [end.add(down(), look(t)) for t in range(7)]
    assert endings == [*[NOT_YET] * 6, WITH_IT]  # 4 + 2 · 1.5
    assert (end.stopped, end.stuck) == (False, None)


def begins(lifted, looked_at, read, characters=3, settings=DEFAULT):
    """Where the text's first stroke begins, for a pen that is lifted after these points of a line whose
    window looks at these characters, of which `read` are a prime's."""
    rule = EndOfLine(settings)
    known_1E = rule.begin([characters], primed=read > 0)
    for up, at in zip(lifted, looked_at, strict=True):
        phi_1V, length_1 = torch.eye(read + characters + 1)[[at]], torch.tensor([read + characters])
        it = Look(phi_1V, length_1, torch.tensor([False]), torch.tensor([at - read]))
        known_1E = rule.add(known_1E, torch.tensor([[-1.0, 0.0, float(up)]]), it)
    return int(Known(*known_1E.unbind(1)).begin)


def test_strokes_that_end_before_the_window_reaches_the_text_belong_to_the_prime():
    assert begins([0, 1, 0, 0, 1], [0, 1, 1, 2, 3], 2) == 2
    assert begins([0, 1, 1, 0, 1], [0, 1, 1, 2, 3], 2) == 3
    assert begins([0, 0, 0, 0, 1], [0, 1, 1, 2, 3], 2) == 0  # no stroke ended in time
    assert begins([0, 1, 0, 1, 0], [2, 2, 3, 3, 4], 2) == 0  # the window was there at once
    assert begins([0, 1, 0, 0, 1], [0, 1, 1, 2, 2], 0) == 0  # no prime
    assert begins([0, 1, 0], [0, 1, 1], 2) == -1  # it is not known yet
    three = EndSettings(points_per_character=1, least_cap=0)
    assert begins([1, 1, 1], [0, 0, 1], 2, settings=three) == 2  # it never came: no point is left but one
    assert begins([1, 1, 0], [0, 0, 1], 2, settings=three) == 2
    assert begins([1, 0, 0], [0, 0, 1], 2, settings=three) == 1


def one_by_one(points, looks, U, settings, primed):
    """The rule once more, for one line, as a story: (points, stopped, stuck, begin, ending)."""
    cap = settings.least_cap + math.ceil(settings.points_per_character * U)
    strokes, held, stood, at, reached = [0], None, 0, 0, False
    begin, before = None if primed else 0, None
    for forth, up, (phi, past, place) in zip(*points, looks, strict=True):
        count = sum(strokes)
        if past and held is None:
            held = count
        stood, at = (stood + 1 if place == at else 1), place
        if reached and count and strokes[-1] == 0 and forth >= 0:
            dot = strokes[-2] <= settings.dot and forth > settings.gap
            if held is None and dot and before[-1] > settings.half_left * max(before[:-1]):
                held = count
            if held is not None:
                return count, True, None, begin, BEFORE_IT
        strokes[-1] += 1
        count, before = count + 1, phi
        reached = reached or past or place >= 0
        too_long = stood > settings.longest_dwell
        if held is not None:
            too_long = count - held > settings.points_per_character
        over = too_long or count == cap
        if begin is None and (reached or over):
            begin = count - 1 if up and not reached else count - strokes[-1]
        if over:
            stuck = max(0, at) if held is None and stood > settings.longest_dwell else None
            return count, held is not None, stuck, begin, WITH_IT
        if up:
            strokes.append(0)
    return sum(strokes), held is not None, None, begin, NOT_YET


@pytest.mark.parametrize("primed", [False, True])
def test_lines_side_by_side_end_as_each_alone_and_then_nothing_changes(primed):
    """Hundreds of lines at random, of which the rule ends some in each way."""
    random, L, T, ends = torch.Generator().manual_seed(int(primed)), 400, 60, set()
    settings = EndSettings(points_per_character=6.0, least_cap=30, longest_dwell=9, dot=2)
    texts = [[0] * int(n) for n in torch.randint(1, 6, (L,), generator=random)]
    read = 2 if primed else 0
    text = Text.of([[0] * read + one for one in texts])
    V = text.symbol_BU.shape[1] + 1
    rule, seen = EndOfLine(settings), torch.arange(V) <= text.length_B.unsqueeze(1)
    known_LE = rule.begin([len(one) for one in texts], primed)
    points, looks = [], []
    for t in range(T):
        point_L3 = torch.stack(
            [
                torch.randn(L, generator=random) + 0.2,
                torch.zeros(L),
                (torch.rand(L, generator=random) < 0.25).float(),
            ],
            dim=1,
        )
        phi_LV = torch.rand(L, V, generator=random) ** 3 * seen
        phi_LV[torch.arange(L), t // 9 % text.length_B] += 0.6
        at_L = phi_LV.scatter(1, text.length_B.unsqueeze(1), -1.0).argmax(1) - read
        past_L = phi_LV.gather(1, text.length_B.unsqueeze(1)).squeeze(1) > 0.97
        before_LE = known_LE
        known_LE = rule.add(known_LE, point_L3, Look(phi_LV, text.length_B, past_L, at_L))
        over = before_LE[:, -1] > 0
        assert torch.equal(known_LE[over], before_LE[over])
        points.append(point_L3)
        looks.append((phi_LV, past_L, at_L))
    known = Known(*known_LE.unbind(1))
    for i, one in enumerate(texts):
        V = read + len(one) + 1
        own = [(phi_LV[i, :V].tolist(), bool(past_L[i]), int(at_L[i])) for phi_LV, past_L, at_L in looks]
        steps = torch.stack(points)[:, i]
        told = one_by_one((steps[:, 0].tolist(), steps[:, 2].tolist()), own, len(one), settings, primed)
        stuck = int(rule.stuck(known)[i])
        found = (int(known.points[i]), bool(rule.stopped(known)[i]), stuck if stuck >= 0 else None)
        begin = int(known.begin[i])
        assert (*found, begin if begin >= 0 else None, int(known.ended[i])) == told
        ends.add((told[1], told[2] is None, told[4]))
    assert len(ends) >= 4
