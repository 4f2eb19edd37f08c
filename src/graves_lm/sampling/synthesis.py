"""Handwriting for given texts, sections 5.3–5.5: unbiased, biased and primed samples.

Points are sampled one after another; each line stops by itself (`end_of_line`) and leaves the batch. Each has
random numbers of its own, from (seed, line, candidate), so it is the same alone and among others.

Shape legend: L lines that are being sampled, T points of one, U characters, V = U + 1, M mixture components;
a point is (dx, dy, end of stroke) in normalised units.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import compress, count
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.choice import Choice
from graves_lm.sampling.drawing import Drawing
from graves_lm.sampling.end_of_line import EndOfLine, EndSettings
from graves_lm.sampling.events import Event, LineDone, PenPoints, Report, whole_lines
from graves_lm.sampling.noise import line_key, noise_blocks
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import SymbolPassage
from graves_lm.sampling.pens import Manner, Pens, joined
from graves_lm.sampling.plain import for_drawing
from graves_lm.sampling.priming import start
from graves_lm.sampling.tries import Try
from graves_lm.settings import declared
from graves_lm.settings.kinds import Bias, Name, Share, Weights


@declared("sampler")
class SynthesisSampler:
    """Draws handwriting for texts: a `sampling.protocols.DrawsHandwriting`.

    Args:
        bias: b ≥ 0 of (61)–(62), how much the likelier parts of the density are preferred: 0 is the network's
            own, 1 is neat. Two numbers go from the first to the second along the text. Where the pen is slow
            there is less of it, see `sampling.pens.moving`.
        candidates: lines sampled for each text, of which the best is kept: one with the fewest faults, of
            these the one that is read best, by the passage's reader, or else by the network itself
            (`legibility`).
        retries: how often as many candidates again are sampled for a word that is wrong: that the reader
            reads otherwise, that was skipped, or in which the line did not go on. They go on with the best
            line so far, from the beginning of the word.
        misread: the share of a text's characters that the reader may still read otherwise in the end before
            that is a fault: it makes mistakes of its own.
        points_per_character: the cap on a line's points. A character takes about 25.
        longest_dwell: points after which a line ends whose window stays on one character. Of the characters
            of real lines, 1 in 100 takes over 58, 1 in 1000 over 126; drawn lines came to their ends after
            windows had stood for 233.
        batch_size: lines sampled side by side.
        prime: the line whose style is taken on, for the sample command to find (see `writing.prime`): an ink
            file, or the name of a line of the data; None: a style of the network's own.
        prime_text: its text, where the file has none.
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.

    >>> network = SynthesisNetwork(symbols=4, layers=1, hidden_size=8, mixtures=2)
    >>> sampler = SynthesisSampler(bias=0.5, points_per_character=2)
    >>> (line,) = whole_lines(sampler.events(network, SymbolPassage([[0, 3, 1]], seed=0)))
    >>> len(line.points[0]), line.report.coverage_U.shape
    (3, torch.Size([3]))
    """

    def __init__(
        self,
        bias: Bias | Annotated[list[Bias], Meta(min_length=1, max_length=2)] = 0.0,
        candidates: Annotated[int, Meta(ge=1, le=64)] = 1,
        retries: Annotated[int, Meta(ge=0, le=32)] = 0,
        misread: Share = 0.03,
        points_per_character: Annotated[float, Meta(ge=1, le=1000)] = EndSettings.points_per_character,
        longest_dwell: Annotated[int, Meta(ge=1, le=100_000)] = EndSettings.longest_dwell,
        batch_size: Annotated[int, Meta(ge=1, le=4096)] = 64,
        prime: Name | None = None,
        prime_text: str | None = None,
        weights: Weights = "float32",
    ):
        ends = list(bias) if isinstance(bias, Sequence) else [bias]
        self.bias = (float(ends[0]), float(ends[-1]))
        self.candidates, self.retries, self.misread = candidates, retries, misread
        self.end = EndSettings(points_per_character=points_per_character, longest_dwell=longest_dwell)
        self.batch_size = batch_size
        self.prime, self.prime_text = prime, prime_text
        self.weights = weights

    @property
    def chooses(self) -> bool:
        """Whether there may be several candidates of a line."""
        return self.candidates > 1 or self.retries > 0

    def at_bias(self, bias: float) -> "SynthesisSampler":
        """The same sampler with another bias."""
        other = copy.copy(self)
        other.bias = (bias, bias)
        return other

    def events(self, network: SynthesisNetwork, passage: SymbolPassage) -> Iterator[Event]:
        """The passage's lines, up to `batch_size` side by side, a point of each at a time.

        With a reader, several candidates or retries all points of a line come when it is chosen; of a live
        passage the first candidate is sampled, and not again where it has faults. After a prime, points come
        from where the pen begins with the text. Raises UserError for an empty text.
        """
        if any(len(text) == 0 for text in passage.texts):
            raise UserError("the text is empty: give at least one character")
        packed = for_drawing(network, self.weights)
        if passage.live or not (self.chooses or passage.reader):
            keys = [line_key(passage.seed, passage.first_line + i) for i in range(len(passage.texts))]
            tries = [Try(i, text, key) for i, (text, key) in enumerate(zip(passage.texts, keys, strict=True))]
            return self._draw(network, packed, passage, tries)
        return self._chosen(network, packed, passage)

    def _chosen(
        self, network: SynthesisNetwork, packed: PackedNetwork, passage: SymbolPassage
    ) -> Iterator[Event]:
        """The best candidate of each line, once there are enough of them."""
        lines = {
            i: Choice(text, passage.space, passage.reader, self.misread, self.retries)
            for i, text in enumerate(passage.texts)
        }
        for begin in count(step=self.candidates):
            going_on = {i: line.goes_on_from() for i, line in lines.items()}
            for i, marks in going_on.items():
                if marks is None:
                    best = lines.pop(i).best(network, passage.prime)
                    if len(best.points):
                        yield PenPoints(i, best.points)
                    yield LineDone(i, best.report)
            if not lines:
                return
            tries: list[Try] = []
            for i, line in lines.items():
                for n in range(begin, begin + self.candidates):
                    key = line_key(passage.seed, passage.first_line + i, n)
                    tries.append(Try(len(tries), line.text, key, line.words, going_on[i]))
            drawn = sorted(
                whole_lines(self._draw(network, packed, passage, tries)), key=lambda done: done.line
            )
            for n, line in enumerate(lines.values()):
                own = slice(n * self.candidates, (n + 1) * self.candidates)
                line.add(drawn[own], [one.marks for one in tries[own]])

    def _draw(
        self, network: SynthesisNetwork, packed: PackedNetwork, passage: SymbolPassage, tries: Sequence[Try]
    ) -> Iterator[Event]:
        """Some lines, by their numbers."""
        for begin in range(0, len(tries), self.batch_size):
            yield from self._draw_batch(network, packed, passage, tries[begin : begin + self.batch_size])

    @torch.inference_mode()
    def _draw_batch(
        self, network: SynthesisNetwork, packed: PackedNetwork, passage: SymbolPassage, tries: Sequence[Try]
    ) -> Iterator[Event]:
        prime, device = passage.prime, network.window.weight.device
        before = list(prime.symbol_U) if prime else []
        manner = Manner(self.bias, passage.still, self.end, len(before))
        pens = _begun(network, packed, passage, tries, manner)
        drawing, rows, place = Drawing(packed, manner), list(tries), list(range(len(tries)))
        for row in rows:
            yield from row.begun()
        keys = [row.key for row in rows]
        for noise in noise_blocks(packed.mixtures, keys, 1 if passage.live else _AT_ONCE):
            mine = noise if len(rows) == len(tries) else noise.of(place)
            pens, made = drawing.points(pens, mine.to(device))
            known, point_PL3 = pens.known(), made.point_PL3.cpu().numpy()
            counts, begins, ats = (part.int().tolist() for part in (known.points, known.begin, known.at))
            ended = known.ended.bool().tolist()
            for i, row in enumerate(rows):
                yield from row.add(point_PL3[:, i], made.y_PLY[:, i], counts[i], begins[i])
                if not ended[i] and (word := row.comes_to_a_word(ats[i])) is not None:
                    row.note(word, pens.rows(torch.tensor([i], device=device)))
            new = [end and row.open for end, row in zip(ended, rows, strict=True)]
            if any(new):
                yield from self._reports(list(compress(rows, new)), pens.rows(_where(new, device)), manner)
                left = [row.open for row in rows]
                if not any(left):
                    return
                if drawing.gains(sum(left), len(rows)):
                    pens = pens.rows(_where(left, device))
                    rows, place = list(compress(rows, left)), list(compress(place, left))

    def _reports(self, rows: Sequence[Try], pens: Pens, manner: Manner) -> Iterator[LineDone]:
        """Of lines that have ended."""
        rule, known, read = EndOfLine(manner.end), pens.known(), manner.read
        stopped, stuck = rule.stopped(known).tolist(), rule.stuck(known).int().tolist()
        coverage_LV, lengths = pens.coverage_LV.cpu(), pens.text.length_B.tolist()
        own = [row.own() for row in rows]
        point_N3 = torch.from_numpy(np.concatenate([p for points, _ in own for p in points] or [_NONE]))
        nats_N = torch.zeros(0, dtype=torch.double)
        if len(point_N3):
            y_NY = torch.cat([y for _, outputs in own for y in outputs])
            density = stroke_distribution(y_NY, (y_NY.shape[1] - 1) // 6)
            nats_N = -density.log_prob(point_N3.to(y_NY.device)).double().cpu()
        parts = nats_N.split([sum(map(len, points)) for points, _ in own])
        for i, (row, its_nats_N) in enumerate(zip(rows, parts, strict=True)):
            points, nats = row.close(its_nats_N)
            coverage_U, stands = coverage_LV[i, read : lengths[i]], stuck[i] if stuck[i] >= 0 else None
            yield LineDone(row.number, Report(points, coverage_U, stopped[i], nats, stands))


_AT_ONCE = 8  # points that are drawn together: one more costs less than what surrounds it
_NONE = np.zeros((0, 3), np.float32)


def _begun(
    network: SynthesisNetwork,
    packed: PackedNetwork,
    passage: SymbolPassage,
    tries: Sequence[Try],
    manner: Manner,
) -> Pens:
    """Lines before their next point: new ones after the prime, others as their marks have them."""
    before, device = passage.prime.symbol_U if passage.prime else (), network.window.weight.device
    rows_U = [[*before, *row.text] for row in tries]
    if unknown := {s for row in rows_U for s in row if not 0 <= s < packed.symbols}:
        # The kernel uses them as addresses.
        raise IndexError(f"symbol {min(unknown)} of a text: there are {packed.symbols}, counted from 0")
    text = Text.of(rows_U, device)
    begun: list[Pens] = [row.mark.pens for row in tries if row.mark]
    if len(begun) < len(tries):
        is_new = _where([row.mark is None for row in tries], device)
        state_LS, x_L3 = start(network, packed, text.rows(is_new), passage.prime)
        characters = [len(row.text) for row in tries if not row.mark]
        new = Pens.begin(text.rows(is_new), x_L3, state_LS, characters, manner)
        begun.append(new)
    order = sorted(range(len(tries)), key=lambda i: tries[i].mark is None)  # as they stand in `begun`
    back = torch.tensor(order, device=device).argsort()
    return joined(text, begun, back)


def _where(rows: Sequence[bool], device: torch.device) -> Tensor:
    return torch.tensor(rows).nonzero().squeeze(1).to(device)
