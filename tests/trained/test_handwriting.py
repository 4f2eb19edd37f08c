"""Events of a sampler as events in data units, and as lines."""

import numpy as np
import pytest
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import LineDone, PenPoints, Report
from graves_lm.sampling.passage import Verdict
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from tests.data.lines import make_line

NORM = Normalisation((8.0, -1.0), (42.0, 36.0))
POINTS = [(0.1, -0.7, 0.0), (1.3, 0.3, 1.0), (-0.2, 0.9, 0.0), (0.4, -1e-3, 0.0)]


class Played:
    """A sampler that plays the same two lines, side by side, whatever it is asked for."""

    batch_size = 64

    def events(self, network, passage):
        self.asked = passage
        return self._events()

    def _events(self):
        for point in POINTS:
            yield PenPoints(1, np.array([point], np.float32))
            yield PenPoints(0, np.array([point], np.float32) * np.array([2, 2, 1], np.float32))
        for line in (1, 0):
            yield LineDone(line, Report(len(POINTS), torch.ones(2), True, -1.0))


@pytest.fixture(scope="module")
def trained():
    network = SynthesisNetwork(4, layers=1, hidden_size=4, mixtures=2).eval()
    return TrainedHandwriting(network, NORM, Alphabet(" abc"), {})


@pytest.mark.parametrize("primed", [False, True])
def test_lines_are_the_normalised_points_in_data_units(trained, primed):
    """Stated on whole arrays. Unprimed, the point before the first one belongs to the line; after a prime the
    pen begins with the first one. The last lifts the pen."""
    sampler = Played()
    prime = make_line("me", 60, "cab") if primed else None
    lines = trained.write(sampler, TextPassage(["ab", "ba"], 5, prime, first_line=7))
    assert [(line.id, line.text) for line, _ in lines] == [("line-8", "ab"), ("line-9", "ba")]
    for scale, (line, report) in zip((2, 1), lines, strict=True):
        expected = NORM.invert(np.array(POINTS, np.float32) * np.array([scale, scale, 1], np.float32))
        expected[-1, 2] = 1
        if primed:
            expected[0, :2] = 0
        else:
            expected = np.concatenate([np.zeros((1, 3), np.float32), expected])
        np.testing.assert_allclose(line.strokes, expected, rtol=1e-6)
        assert line.strokes.dtype == np.float32
        assert report.stopped
    asked = sampler.asked
    assert (asked.texts, asked.seed, asked.first_line, asked.live) == ([[1, 2], [2, 1]], 5, 7, False)
    assert (asked.prime is None) == (not primed)
    assert asked.still == pytest.approx(NORM.apply([[0, 0, 0]])[0, :2].tolist())


@pytest.mark.parametrize(
    ("bias", "share"), [(0.0, 0.905), (0.5, 0.79), (0.75, 0.7675), (9.0, 0.745), ((0.0, 1.0), 0.79)]
)
def test_lines_after_a_prime_are_magnified_by_what_a_bias_takes(trained, bias, share):
    plain, biased = Played(), Played()
    biased.bias = bias
    drawn = [
        [line.strokes for line, _ in trained.write(sampler, TextPassage(["ab", "ba"], 5, prime))]
        for sampler, prime in ((plain, make_line("me", 60, "cab")), (biased, make_line("me", 60, "cab")))
    ]
    for own, magnified in zip(*drawn, strict=True):
        np.testing.assert_allclose(magnified[:, :2] * share, own[:, :2], rtol=1e-5)
        assert np.array_equal(magnified[:, 2], own[:, 2])
    unprimed = [
        trained.write(sampler, TextPassage(["ab", "ba"]))[0][0].strokes for sampler in (plain, biased)
    ]
    assert np.array_equal(*unprimed)


def test_a_point_is_given_when_the_next_one_is_drawn(trained):
    """And the last one, which lifts the pen, before its line is done."""
    drawn = []

    class Noted(Played):
        def _events(self):
            for event in super()._events():
                if event.line == 0:
                    drawn.append(event)
                    yield event

    given = trained.events(Noted(), TextPassage(["ab", "ba"], live=True))
    for n in range(1, len(POINTS) + 1):
        assert isinstance(next(given), PenPoints)
        assert len(drawn) == n
    last, done = given
    assert last.point_N3[-1, 2] == 1
    assert isinstance(done, LineDone)


def test_what_cannot_be_drawn_is_said_before_anything_is(trained):
    for passage, message in (
        (TextPassage(["axb"]), "'x'"),
        (TextPassage(["ab"], prime=make_line("me", 5, "cab")), "too short"),
    ):
        with pytest.raises(UserError, match=message):
            trained.events(Played(), passage)


def test_samplers_are_told_of_symbols_what_a_reader_says_of_characters():
    """A letter and its accent are two; of these the accent is named, which is drawn last."""
    network = SynthesisNetwork(5, layers=1, hidden_size=4, mixtures=2).eval()
    trained, sampler = TrainedHandwriting(network, NORM, Alphabet("ab\u0308 c"), {}), Played()

    class Reader:
        def near(self, text):
            return text

        def judge(self, lines, text):
            assert text == "\u00e4 b\u00e4c"
            return [Verdict("", 2, 1.0, wrong=[0, 3, 4]) for _ in lines]

    trained.events(sampler, TextPassage(["\u00e4 b\u00e4c"], reader=Reader()))
    assert sampler.asked.texts == [[0, 2, 3, 1, 0, 2, 4]]
    assert sampler.asked.space == 3
    (verdict,) = sampler.asked.reader([torch.zeros(2, 3)], sampler.asked.texts[0])
    assert verdict.wrong == [1, 5, 6]
    trained = TrainedHandwriting(SynthesisNetwork(2, 1, 4, 2), NORM, Alphabet("ab"), {})
    trained.events(sampler, TextPassage(["ab"]))
    assert sampler.asked.space is None
