"""Handwriting drawn for texts: each line by itself, ended by the window, told when it went wrong."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from graves_lm.distributions import StrokeDistribution
from graves_lm.models.synthesis import SynthesisNetwork, Text, past_the_end
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.choice import Candidate, least_faulty
from graves_lm.sampling.drawing import Drawing
from graves_lm.sampling.end_of_line import EndOfLine
from graves_lm.sampling.events import LineDone, PenPoints, Report, WholeLine, whole_lines
from graves_lm.sampling.noise import line_key, point_noise
from graves_lm.sampling.passage import Passage, Prime, SymbolPassage, Verdict
from graves_lm.sampling.synthesis import SynthesisSampler
from tests.sampling.lines import drawn

TEXTS = [[0, 1, 2], [3, 1], [2, 2, 0, 1, 3, 3, 1], [0], [1, 2, 3, 0, 1]]
FAR = (99.0, 0.0)  # of a pen that rests, so that none does: the whole bias holds everywhere


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(3)
    # A window of ten points a character, so that lines end soon.
    return SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=10.0)


def test_lines_end_by_the_window_and_take_as_long_as_it_moves(network):
    lines = drawn(SynthesisSampler(), network, TEXTS, seed=1)
    assert all(line.stopped for line in lines)
    assert all(line.point_T3.isfinite().all() for line in lines)
    for line, text in zip(lines, TEXTS, strict=True):
        assert 4 * len(text) < len(line.point_T3) < 25 * len(text) + 25
        assert len(line.coverage_U) == len(text)
    assert len(lines[2].point_T3) > len(lines[3].point_T3)


def test_a_line_is_the_same_alone_and_among_others(network):
    together = drawn(SynthesisSampler(), network, TEXTS, seed=7)
    small = drawn(SynthesisSampler(batch_size=2), network, TEXTS, seed=7)
    for i, text in enumerate(TEXTS):
        alone = drawn(SynthesisSampler(), network, [text], seed=7, first_line=i)[0]
        for other in (alone, small[i]):
            assert torch.allclose(together[i].point_T3, other.point_T3, atol=1e-3)
            assert torch.equal(together[i].point_T3[:, 2], other.point_T3[:, 2])


def test_the_longest_text_may_end_first():
    """The lines left are then of fewer characters than the batch was made for."""
    torch.manual_seed(5)
    network = SynthesisNetwork(6, layers=1, hidden_size=8, mixtures=2, window_components=2, window_scale=0.0)
    with torch.no_grad():
        network.window.bias[4:] = -2.0  # a slow window, but where it sees the first symbol
        network.window.weight[4:, 0] = 4.0
        network.from_window[0][:, 0] = 8.0
    texts = [[0] * 9, [1, 2, 3, 4, 5, 1, 2]]
    sampler = SynthesisSampler(points_per_character=1)
    alone = [drawn(sampler, network, [text], seed=2, first_line=i)[0] for i, text in enumerate(texts)]
    assert len(alone[0].point_T3) < len(alone[1].point_T3)
    for line, other in zip(drawn(sampler, network, texts, seed=2), alone, strict=True):
        assert torch.allclose(line.point_T3, other.point_T3, atol=1e-3)
        assert torch.allclose(line.coverage_U, other.coverage_U, atol=1e-2)


def test_the_seed_decides(network):
    one, same, other = (drawn(SynthesisSampler(), network, TEXTS[:1], seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(one.point_T3, same.point_T3)
    assert not torch.equal(one.point_T3, other.point_T3)


@pytest.mark.parametrize("primed", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_streamed_points_are_those_of_the_whole_lines(network, batch_size, primed):
    sampler = SynthesisSampler(batch_size=batch_size, bias=0.5)
    torch.manual_seed(1)
    prime = Prime(torch.randn(12, 3).clamp(-1, 1), [3, 0]) if primed else None
    whole = drawn(sampler, network, TEXTS, seed=3, prime=prime, first_line=2)
    points, ended = [[] for _ in TEXTS], []
    passage = Passage(TEXTS, 3, prime, first_line=2, live=True)
    for event in SynthesisSampler(batch_size=batch_size, bias=0.5, candidates=4).events(network, passage):
        line = event.line
        assert line not in ended
        if isinstance(event, LineDone):
            ended.append(line)
            assert event.report.points == len(points[line])
            assert torch.equal(event.report.coverage_U, whole[line].coverage_U)
            assert (event.report.stopped, event.report.nats) == (whole[line].stopped, whole[line].nats)
        else:
            assert batch_size > 1 or len(ended) == line
            assert len(event.point_N3) > 0
            points[line].extend(event.point_N3.tolist())
    for line, alone in zip(points, whole, strict=True):
        assert torch.equal(torch.tensor(line), alone.point_T3)
    assert sorted(ended) == list(range(len(TEXTS)))
    assert (ended == sorted(ended)) == (batch_size == 1)  # side by side, short lines end first


def test_of_several_candidates_no_point_is_shown_before_one_is_chosen(network):
    """Events are final: the points of a line that may yet be drawn again are none."""
    lines = drawn(SynthesisSampler(candidates=3, retries=1), network, TEXTS, seed=2)
    events = list(SynthesisSampler(candidates=3, retries=1).events(network, Passage(TEXTS, 2)))
    ends = [i for i, event in enumerate(events) if isinstance(event, LineDone)]
    for begin, end in zip([0, *(i + 1 for i in ends)], ends, strict=False):
        line = events[end].line
        shown = events[begin:end]
        assert all(isinstance(event, PenPoints) and event.line == line for event in shown)
        points = np.concatenate([event.point_N3 for event in shown])
        assert torch.equal(torch.from_numpy(points), lines[line].point_T3)
    assert len(ends) == len(TEXTS)


def test_a_stream_draws_no_more_than_is_asked_for(network, monkeypatch):
    calls, original = [], Drawing.points
    monkeypatch.setattr(Drawing, "points", lambda *a: calls.append(len(a[2].u_L)) or original(*a))
    sampler = SynthesisSampler(candidates=3, retries=2)
    stream = sampler.events(network, Passage(TEXTS[:1], live=True))
    assert calls == []
    for n in range(1, 6):
        assert len(next(stream).point_N3) == 1
        assert calls == [1] * n
        assert not torch.is_inference_mode_enabled()
    assert sum(isinstance(event, LineDone) for event in stream) == 1
    with pytest.raises(UserError, match="the text is empty"):
        sampler.events(network, Passage([[0], []]))


def test_a_window_that_does_not_move_ends_the_line_and_is_told(network):
    slow = SynthesisNetwork(4, 1, 8, 2, points_per_character=1e6)
    line = drawn(SynthesisSampler(longest_dwell=30), slow, [[0, 1, 2, 3]], seed=0)[0]
    assert (line.stopped, line.stuck) == (False, 0)
    assert len(line.point_T3) == 31
    patient = SynthesisSampler(points_per_character=3.0, longest_dwell=10_000)
    capped = drawn(patient, slow, [[0, 1, 2, 3]], seed=0)[0]
    assert (capped.stopped, capped.stuck) == (False, None)
    assert len(capped.point_T3) == 200 + 4 * 3
    assert capped.skipped == [2, 3]  # the window looks at where it stands and a little ahead


def test_a_line_ends_with_the_pen_up_after_the_stop_rule_holds(network, monkeypatch):
    """Fed its own points, the network says where the rule holds first. From there on a stroke ends, and none
    begins but to the left: a bar or a dot of letters before. The same random numbers without the rule tell
    that the next stroke would begin further right."""
    added = []
    texts = TEXTS * 6
    undotted = SynthesisSampler()
    undotted.end = replace(undotted.end, dot=0)  # what a dot ends: test_end_of_line
    lines = drawn(undotted, network, texts, seed=2)
    original = EndOfLine.add

    def endless(rule, known_LE, point_L3, look):
        never = torch.zeros_like(look.past_end_L)
        return original(rule, known_LE, point_L3, look._replace(past_end_L=never))

    with monkeypatch.context() as patch:
        patch.setenv("GRAVES_LM_NATIVE", "0")
        patch.setattr(EndOfLine, "add", endless)
        undotted.end = replace(undotted.end, longest_dwell=10_000)
        longer = drawn(undotted, network, texts, seed=2)
    for text, line, on in zip(texts, lines, longer, strict=True):
        of, state = Text.of([text]), network.initial_state(1)
        before_T3 = torch.cat([torch.zeros(1, 3), line.point_T3])
        held = []
        with torch.no_grad():
            for point_3 in before_T3:
                _, state, phi_1V = network.step(point_3.unsqueeze(0), of, state)
                held.append(bool(past_the_end(phi_1V, of)))
        T, last = len(line.point_T3), held.index(True) - 1  # the last point before the rule held
        assert line.point_T3[-1, 2] > 0.5
        begins = last + 1 + (line.point_T3[last:-1, 2] > 0.5).nonzero()[:, 0]
        assert (line.point_T3[begins, 0] < 0).all()
        torch.testing.assert_close(on.point_T3[:T], line.point_T3)  # batches of other sizes round otherwise
        assert on.point_T3[T, 0] >= 0
        added.append((bool(line.point_T3[last, 2] > 0.5), len(begins)))
    assert {(True, 0), (True, 1), (False, 0), (False, 1)} <= set(added)


def test_a_line_without_an_end_of_its_last_stroke_ends_all_the_same():
    torch.manual_seed(3)
    never = SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=10.0)
    with torch.no_grad():
        never.stack.to_output.weight[0], never.stack.to_output.bias[0] = 0.0, 50.0  # ê: the pen stays down
    (line,) = drawn(SynthesisSampler(points_per_character=20.0), never, [[1, 2, 0]], seed=0)
    assert line.stopped
    assert not line.point_T3[:, 2].any()


def test_a_line_with_faults_is_drawn_again():
    slow = SynthesisNetwork(4, 1, 8, 2, points_per_character=1e6)
    batches = []

    class Counting(SynthesisSampler):
        def _draw_batch(self, network, packed, passage, tries):
            batches.append(tries)
            for event in super()._draw_batch(network, packed, passage, tries):
                if isinstance(event, LineDone):
                    text, key = tuple(tries[event.line].text), tries[event.line].key
                    # The fourth of [1, 2] is good.
                    good = text == (0,) or key == line_key(9, 1, 3)
                    coverage_U = event.report.coverage_U + 1
                    event = LineDone(event.line, replace(event.report, stopped=good, coverage_U=coverage_U))
                yield event

    lines = drawn(Counting(candidates=2, retries=4, longest_dwell=20), slow, [[0], [1, 2]], seed=9)
    assert [len(batch) for batch in batches] == [4, 2]  # all of both texts, two more of the second, no more
    assert all(line.stopped for line in lines)
    batches.clear()
    (left,) = drawn(Counting(retries=2, longest_dwell=20), slow, [[1, 2]], seed=1)
    assert (len(batches), left.stopped) == (3, False)


def test_the_most_legible_of_the_candidates_with_the_fewest_faults_is_kept(network, monkeypatch):
    def line(stopped=True, coverage=(1.0, 1.0), misread=None):
        report = Report(5, torch.tensor(coverage), stopped, 0.0, misread=misread)
        return Candidate(WholeLine(0, np.zeros((5, 3), np.float32), report), None, {})

    cut, skipping, good, better = line(stopped=False), line(coverage=(1.0, 0.2)), line(), line()
    misread = line(misread="o")
    assert least_faulty([cut, good, skipping, better]) == [good, better]
    assert least_faulty([cut, misread, skipping]) == [skipping]
    assert least_faulty([cut, misread]) == [misread]

    compared = []

    def legibility(network, lines, symbols, before, prime_T3):
        compared.append(len(lines))
        return list(range(len(lines)))

    one = drawn(SynthesisSampler(), network, TEXTS, seed=5)
    monkeypatch.setattr("graves_lm.sampling.choice.legibility", legibility)
    best = drawn(SynthesisSampler(candidates=6), network, TEXTS, seed=5)
    assert all(kept.faults <= first.faults for kept, first in zip(best, one, strict=True))
    assert any(not torch.equal(k.point_T3, f.point_T3) for k, f in zip(best, one, strict=True))
    assert all(1 < count <= 6 for count in compared)


def test_a_reader_decides_which_candidate_is_kept_and_whether_there_are_more(network):
    """A judge that finds fault with all but every third line: of each text one of those is kept."""
    asked: list[tuple[int, ...]] = []
    good: list[torch.Tensor] = []

    def judge(lines, symbols):
        verdicts = []
        for line in lines:
            asked.append(tuple(symbols))
            if len(asked) % 3:
                verdicts.append(Verdict("x", errors=len(symbols), nats=9.0))
            else:
                verdicts.append(Verdict("", errors=0, nats=float(len(line))))
                good.append(line)
        return verdicts

    sampler = SynthesisSampler(retries=8, misread=0.0, points_per_character=20)
    passage = SymbolPassage([[1, 2], [0, 3, 1]], seed=2, reader=judge)
    lines = sorted(whole_lines(sampler.events(network, passage)), key=lambda line: line.line)
    assert {tuple(t) for t in passage.texts} == set(asked)
    assert all(line.report.misread is None for line in lines if line.report.stopped)
    assert all(any(torch.equal(torch.tensor(line.points), kept) for kept in good) for line in lines)


def test_what_a_reader_cannot_confirm_is_kept_and_named(network):
    """Of those that went on to their end the one with the fewest errors, of these the likeliest."""
    verdicts = {4: (2, 8.0), 5: (2, 5.0)}
    seen: list[torch.Tensor] = []

    def judge(lines, symbols):
        seen.extend(lines)
        return [Verdict(f"try {len(seen)}", *verdicts.get(len(seen), (3, 1.0))) for _ in lines]

    cut = "graves_lm.sampling.events.Report.faults"
    sampler = SynthesisSampler(retries=5, points_per_character=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut, property(lambda report: (report.misread is not None,)))
        (line,) = whole_lines(sampler.events(network, SymbolPassage([[1, 2]], seed=2, reader=judge)))
    assert len(seen) == 6
    assert line.report.misread == "try 5"
    assert torch.equal(torch.tensor(line.points), seen[4])


@pytest.mark.parametrize("sampler", [SynthesisSampler(), SynthesisSampler(retries=2)])
def test_what_a_reader_finds_too_much_is_left_out(network, sampler):
    seen: list[torch.Tensor] = []

    def judge(lines, symbols):
        seen.extend(lines)
        return [Verdict("", 0, 1.0, surplus=3) for _ in lines]

    (line,) = whole_lines(sampler.events(network, SymbolPassage([[1, 2]], seed=2, reader=judge)))
    assert torch.equal(torch.tensor(line.points), seen[0][:-3])
    assert line.report.points == len(line.points)


def test_a_live_passage_asks_no_reader(network):
    def judge(lines, symbols):
        raise AssertionError

    passage = SymbolPassage([[1, 2]], seed=2, live=True, reader=judge)
    assert list(whole_lines(SynthesisSampler(retries=3).events(network, passage)))


def test_an_unbounded_bias_takes_the_mode_of_the_likeliest_component(network):
    line = drawn(SynthesisSampler(bias=200.0), network, [[1, 2]], seed=0, still=FAR)[0]
    text, state, x_B3 = Text.of([[1, 2]]), network.initial_state(1), torch.zeros(1, 3)
    for point_3 in line.point_T3[:15]:
        with torch.no_grad():
            distribution, state, _ = network.step(x_B3, text, state)
        j = distribution.pi_logits.argmax(-1)
        assert torch.allclose(distribution.mu[0, j].squeeze(0), point_3[:2], atol=1e-4)
        x_B3 = point_3.unsqueeze(0)


def test_a_bias_along_the_line_goes_from_one_to_the_other(network, monkeypatch):
    seen, original = [], StrokeDistribution.biased

    def biased(self, b):
        seen.append(float(b))
        return original(self, b)

    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")  # what the kernel does is compared in test_packed
    monkeypatch.setattr(StrokeDistribution, "biased", biased)
    drawn(SynthesisSampler(bias=[0.0, 2.0]), network, [[0, 1, 2, 3, 1]], seed=0, still=FAR)
    assert seen[0] == 0
    assert seen[-1] > 1
    assert all(0 <= b <= 2 for b in seen)


def test_priming_is_feeding_the_prime(network):
    """The points drawn after a prime are those of a network that was fed it point by point."""
    prime = Prime(torch.cat([torch.zeros(1, 3), torch.randn(29, 3)]), [3, 0])
    prime.point_T3[:, 2] = (prime.point_T3[:, 2] > 1).float()
    target = [1, 2]
    line = drawn(SynthesisSampler(), network, [target], seed=4, prime=prime)[0]
    text, state = Text.of([[3, 0, *target]]), network.initial_state(1)
    noise = point_noise(network.head.mixtures, [line_key(4, 0)])
    with torch.no_grad():
        for point_3 in prime.point_T3:
            distribution, state, _ = network.step(point_3.unsqueeze(0), text, state)
        points = []
        for _ in range(40):
            x_B3 = distribution.point(*next(noise))
            points.append(x_B3[0])
            distribution, state, _ = network.step(x_B3, text, state)
    begin = next(t for t in range(40) if torch.allclose(points[t], line.point_T3[0], atol=1e-4))
    assert torch.allclose(torch.stack(points[begin : begin + 8]), line.point_T3[:8], atol=1e-4)
    assert begin == 0 or points[begin - 1][2] == 1  # what went before ended a stroke of the prime
    assert len(line.coverage_U) == len(target)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bias": -1}, "sampler.bias=-1: a number, at least 0"),
        ({"bias": math.nan}, "sampler.bias=nan"),
        ({"bias": [0, 1, 2]}, "or a list of 1 to 2, each"),
        ({"bias": "neat"}, "sampler.bias=neat"),
        ({"candidates": 0}, "sampler.candidates=0"),
        ({"retries": -1}, "sampler.retries=-1: a whole number from 0"),
        ({"longest_dwell": 0}, "sampler.longest_dwell=0"),
        ({"batch_size": 0}, "sampler.batch_size=0"),
        ({"points_per_character": 0}, "sampler.points_per_character=0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        SynthesisSampler(**settings)


def test_an_empty_text_is_refused(network):
    with pytest.raises(UserError, match="the text is empty"):
        drawn(SynthesisSampler(), network, [[0], []])
