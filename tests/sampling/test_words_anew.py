"""A line that is read otherwise is drawn anew from the word on that is wrong, and what was right is kept."""

import numpy as np
import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.sampling.choice import MOST_WORDS, PATIENCE, Choice
from graves_lm.sampling.events import Report, WholeLine, whole_lines
from graves_lm.sampling.noise import line_key, point_noise
from graves_lm.sampling.passage import Passage, Prime, Verdict
from graves_lm.sampling.pens import Pens
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.sampling.tries import Mark

SPACE = 0
TEXT = [1, 2, SPACE, 3, 1, SPACE, 2, 3, 1]
WORDS = (3, 6)
PRIME = Prime(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).round(decimals=3), [2, SPACE])


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(3)
    return SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=16.0)


def drawn(network, judge, sampler=None, texts=(TEXT,), **given) -> list[WholeLine]:
    sampler = sampler or SynthesisSampler(retries=4)
    passage = Passage(list(texts), 5, reader=judge, space=SPACE, **given)
    return sorted(whole_lines(sampler.events(network, passage)), key=lambda line: line.line)


@pytest.mark.parametrize("native", ["1", "0"])
@pytest.mark.parametrize("prime", [None, PRIME], ids=["unprimed", "primed"])
@pytest.mark.parametrize("word", WORDS)
def test_a_line_goes_on_where_the_word_begins(network, monkeypatch, word, prime, native):
    """Read by the network itself, a step at a time: its points until then, and from there on those that other
    random numbers give."""
    monkeypatch.setenv("GRAVES_LM_NATIVE", native)
    seen: list[torch.Tensor] = []

    def judge(lines, symbols):
        seen.extend(lines)
        return [Verdict("", 1, 1.0, wrong=[word]) if len(seen) == 1 else Verdict("", 0, 0.0)]

    (line,) = drawn(network, judge, prime=prime)
    first, second = seen
    assert torch.equal(second, torch.from_numpy(line.points))
    same = next(n for n, (a, b) in enumerate(zip(first, second, strict=False)) if not torch.equal(a, b))
    assert same > 8

    before, read = (prime.point_T3, list(prime.symbol_U)) if prime else (torch.zeros(1, 3), [])
    text = Text.of([read + TEXT])
    read_T3 = torch.cat([before, second])
    with torch.no_grad():
        distribution, _, _ = network(read_T3[:-1, None], text, network.initial_state(1))
        nats = -distribution.log_prob(read_T3[1:, None])[len(before) - 1 :]
        assert line.report.nats == pytest.approx(float(nats.sum()), abs=2e-3)
        state, noise = network.initial_state(1), point_noise(3, [line_key(5, 0, 1)])
        for x_3 in read_T3[: len(before) + same]:
            distribution, state, phi_BV = network.step(x_3[None], text, state)
        assert int(phi_BV[0].argmax()) in range(len(read) + word, len(read) + word + 2)  # the window is there
        for expected_3 in second[same : same + 12]:
            x_B3 = distribution.point(*next(noise))
            torch.testing.assert_close(x_B3[0], expected_3, atol=1e-3, rtol=1e-3)
            distribution, state, _ = network.step(x_B3, text, state)
    assert line.report.points == len(second)
    assert line.report.coverage_U.sum() == pytest.approx(len(second), abs=25)


@pytest.mark.parametrize("prime", [None, PRIME], ids=["unprimed", "primed"])
def test_a_line_is_the_same_alone_and_among_others(network, prime):
    """Also drawn anew from other words, and ended at other times."""
    texts = [TEXT, [3, 3], [1, SPACE, 2, 2, 1, SPACE, 3], [2, 1, 1, SPACE, 3, 2, 1, 1, SPACE, 1, SPACE, 2]]
    lasts = set()

    def judge(lines, symbols):
        wrong = [len(line) % len(symbols) for line in lines]
        lasts.update(wrong)
        return [
            Verdict("", int(u > 1), float(len(line)), wrong=[u]) for line, u in zip(lines, wrong, strict=True)
        ]

    together = drawn(network, judge, texts=texts, prime=prime)
    assert len(lasts) > 4
    for sampler in (SynthesisSampler(retries=4), SynthesisSampler(retries=4, batch_size=2)):
        others = [
            drawn(network, judge, sampler, [t], prime=prime, first_line=i)[0] for i, t in enumerate(texts)
        ]
        for one, other in zip(together, others, strict=True):
            assert one.points.shape == other.points.shape
            np.testing.assert_allclose(one.points, other.points, atol=1e-3)
    small = drawn(network, judge, SynthesisSampler(retries=4, batch_size=3), texts, prime=prime)
    assert [len(line.points) for line in small] == [len(line.points) for line in together]


def test_several_candidates_go_on_from_one_place(network):
    seen: list[torch.Tensor] = []

    def judge(lines, symbols):
        seen.extend(lines)
        wrong = [7] if len(seen) < 6 else []
        return [Verdict("", len(wrong), float(-n), wrong=wrong) for n in range(len(lines))]

    drawn(network, judge, SynthesisSampler(candidates=3, retries=4))
    assert len(seen) == 6
    base = seen[2]  # the likeliest of the first three
    for line in seen[3:]:
        assert torch.equal(line[:60], base[:60])
    assert len({float(line[-1].sum()) for line in seen[3:]}) == 3


def candidate(*wrong: int, stopped: bool = True, stuck: int | None = None, nats: float = 1.0):
    points = np.zeros((5, 3), np.float32)
    coverage_U = torch.ones(9)
    if stuck is not None:
        coverage_U[stuck + 1 :] = 0
    report = Report(5, coverage_U, stopped, 0.0, stuck)
    return WholeLine(0, points, report), Verdict("", len(wrong), nats, wrong=wrong)


class Lines:
    """A choice for TEXT whose candidates are given one at a time, with marks at both words."""

    def __init__(self, retries: int):
        self.verdicts: list[Verdict] = []
        self.choice = Choice(TEXT, SPACE, lambda lines, text: [self.verdicts[-1]], 0.0, retries)
        assert self.choice.words == list(WORDS)
        assert self.choice.goes_on_from() == {}

    def then(self, given, marks=WORDS) -> list[int] | None:
        """The last mark of what is gone on from after a further candidate."""
        line, verdict = given
        self.verdicts.append(verdict)
        some = {word: Mark(Pens(*[None] * 5), line.points, 0, verdict.nats) for word in marks}  # type: ignore[arg-type]
        self.choice.add([line], [some])
        found = self.choice.goes_on_from()
        return None if found is None else sorted(found)


def test_the_first_wrong_word_is_begun_anew_until_it_is_right():
    lines = Lines(retries=4)
    assert lines.then(candidate(4, 8)) == [3]
    assert lines.then(candidate(4, 5)) == [3]
    assert lines.then(candidate(7)) == [3, 6]  # now the last one is wrong
    assert lines.then(candidate(3)) == [3, 6]  # worse than the one before: that is gone on with
    assert lines.then(candidate()) is None


def test_after_some_tries_the_word_before_is_begun_anew_as_well():
    lines, back = Lines(retries=2 * PATIENCE + 1), []
    while (found := lines.then(candidate(8, nats=9.0 - len(back)))) is not None:
        back.append(found)
    assert back == [[3, 6]] * PATIENCE + [[3]] * PATIENCE + [[]]


def test_a_word_that_cannot_be_read_is_left_and_the_next_one_begun():
    lines = Lines(retries=1)
    assert lines.then(candidate(0, 7)) == []
    assert lines.then(candidate(0, 4, 7)) == [3, 6]  # of the two it is the first that goes on
    assert lines.then(candidate(0)) is None


def test_a_line_of_which_nothing_can_be_read_is_soon_left(network):
    drawn_lines = []

    def judge(lines, symbols):
        drawn_lines.extend(lines)
        return [Verdict("", len(symbols), 1.0, wrong=range(len(symbols))) for _ in lines]

    (line,) = drawn(network, judge, SynthesisSampler(retries=2), [[1, SPACE] * 20 + [1]])
    assert line.report.misread == ""
    assert len(drawn_lines) == 1 + 2 * MOST_WORDS


def test_a_line_that_ended_by_force_goes_on_from_where_it_was():
    lines = Lines(retries=3)
    assert lines.then(candidate(stopped=False, stuck=4)) == [3]
    assert lines.then(candidate(8)) == [3, 6]
    assert lines.then(candidate(stopped=False, stuck=7), marks=(3,)) == [3, 6]


def test_without_a_mark_it_begins_at_the_one_before():
    lines = Lines(retries=3)
    assert lines.then(candidate(8), marks=(3,)) == [3]
    assert Lines(retries=3).then(candidate(8), marks=()) == []
