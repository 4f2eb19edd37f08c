"""Handwriting for given texts, sections 5.3–5.5: unbiased, biased and primed samples.

Points are sampled one after another; each line stops by itself (`end_of_line`) and leaves the batch. Each has
random numbers of its own, from (seed, line, candidate), so it is the same alone and among others.

Shape legend: L lines that are being sampled, T points of one, U characters, V = U + 1, M mixture components;
a point is (dx, dy, end of stroke) in normalised units.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.drawing import Drawing
from graves_lm.sampling.end_of_line import EndOfLine, EndSettings
from graves_lm.sampling.events import Event, LineDone, PenPoints, Report, WholeLine, whole_lines
from graves_lm.sampling.legibility import legibility
from graves_lm.sampling.noise import Key, line_key, noise_blocks
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Judge, Prime, SymbolPassage, Verdict
from graves_lm.sampling.pens import Manner, Pens
from graves_lm.sampling.plain import for_drawing
from graves_lm.sampling.priming import start
from graves_lm.settings import declared
from graves_lm.settings.kinds import Bias, Name, Share, Weights


class _Try(NamedTuple):
    """One candidate of one line of a passage."""

    line: int
    candidate: int


class Candidate(NamedTuple):
    """A sampled line, and how a reader finds it, where there is one."""

    line: WholeLine
    verdict: Verdict | None


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
        retries: how often as many candidates again are sampled for a text whose best one has faults.
        misread: the share of a text's characters that the reader may read otherwise before that is a fault:
            it makes mistakes of its own.
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
            return self._draw(network, packed, passage, [_Try(line, 0) for line in range(len(passage.texts))])
        return self._chosen(network, packed, passage)

    def _chosen(
        self, network: SynthesisNetwork, packed: PackedNetwork, passage: SymbolPassage
    ) -> Iterator[Event]:
        """The best candidate of each line, once there are enough of them."""
        drawn: list[list[Candidate]] = [[] for _ in passage.texts]
        left = list(range(len(passage.texts)))
        for begin in range(0, (1 + self.retries) * self.candidates, self.candidates):
            tries = [_Try(line, begin + n) for line in left for n in range(self.candidates)]
            new: list[list[WholeLine]] = [[] for _ in passage.texts]
            for candidate in whole_lines(self._draw(network, packed, passage, tries)):
                new[tries[candidate.line].line].append(candidate)
            for i in left:
                drawn[i] += self._judged(new[i], passage.texts[i], passage.reader)
            is_last = begin == self.retries * self.candidates
            done = [i for i in left if is_last or not any(min(x.line.report.faults for x in drawn[i]))]
            left = [i for i in left if i not in done]
            for i in done:
                best = _best(network, passage.texts[i], drawn[i], passage.prime)
                drawn[i].clear()
                if len(best.points):
                    yield PenPoints(i, best.points)
                yield LineDone(i, best.report)

    def _judged(
        self, lines: Sequence[WholeLine], text: Sequence[int], judge: Judge | None
    ) -> list[Candidate]:
        """The lines with the judge's verdict, if there is a judge, in their reports."""
        if judge is None:
            return [Candidate(line, None) for line in lines]
        verdicts = judge([torch.from_numpy(line.points) for line in lines], text)
        return [
            Candidate(self._as_judged(line, len(text), verdict), verdict)
            for line, verdict in zip(lines, verdicts, strict=True)
        ]

    def _as_judged(self, line: WholeLine, characters: int, verdict: Verdict) -> WholeLine:
        """The line without what is none of its text, and in its report what is read, where that is too far
        from it."""
        points = line.points[: len(line.points) - verdict.surplus]
        misread = verdict.read if verdict.errors > self.misread * characters else None
        return line._replace(points=points, report=replace(line.report, points=len(points), misread=misread))

    def _draw(
        self,
        network: SynthesisNetwork,
        packed: PackedNetwork,
        passage: SymbolPassage,
        tries: Sequence[_Try],
    ) -> Iterator[Event]:
        """Some candidates, as lines by their places in `tries`."""
        for begin in range(0, len(tries), self.batch_size):
            some = tries[begin : begin + self.batch_size]
            texts = [passage.texts[line] for line, _ in some]
            keys = [line_key(passage.seed, passage.first_line + line, n) for line, n in some]
            for event in self._draw_batch(network, packed, texts, keys, passage):
                yield event._replace(line=begin + event.line)

    @torch.inference_mode()
    def _draw_batch(
        self,
        network: SynthesisNetwork,
        packed: PackedNetwork,
        texts: Sequence[Sequence[int]],
        keys: Sequence[Key],
        passage: SymbolPassage,
    ) -> Iterator[Event]:
        prime = passage.prime
        device = network.window.weight.device
        before = list(prime.symbol_U) if prime else []
        rows_U = [before + list(t) for t in texts]
        if unknown := {s for row in rows_U for s in row if not 0 <= s < packed.symbols}:
            # The kernel uses them as addresses.
            raise IndexError(f"symbol {min(unknown)} of a text: there are {packed.symbols}, counted from 0")
        text = Text.of(rows_U, device)
        manner = Manner(self.bias, passage.still, self.end, len(before))
        state_LS, x_L3 = start(network, packed, text, prime)
        pens = Pens.begin(text, x_L3, state_LS, [len(t) for t in texts], manner)
        drawing, rows = Drawing(packed, manner), [_Row(i) for i in range(len(texts))]
        for noise in noise_blocks(packed.mixtures, keys, 1 if passage.live else _AT_ONCE):
            mine = noise if len(rows) == len(texts) else noise.of([row.line for row in rows])
            pens, made = drawing.points(pens, mine.to(device))
            known, point_PL3 = pens.known(), made.point_PL3.cpu().numpy()
            counts, begins = known.points.int().tolist(), known.begin.int().tolist()
            for i, row in enumerate(rows):
                yield from row.add(point_PL3[:, i], made.y_PLY[:, i], counts[i], begins[i])
            new = [bool(end) and row.open for end, row in zip(known.ended.tolist(), rows, strict=True)]
            if any(new):
                yield from self._reports(list(compress(rows, new)), pens.rows(_where(new, device)), manner)
                left = [row.open for row in rows]
                if not any(left):
                    return
                if drawing.gains(sum(left), len(rows)):
                    rows, pens = list(compress(rows, left)), pens.rows(_where(left, device))

    def _reports(self, rows: Sequence["_Row"], pens: Pens, manner: Manner) -> Iterator[LineDone]:
        """Of lines that have ended."""
        rule, known, read = EndOfLine(manner.end), pens.known(), manner.read
        stopped, stuck = rule.stopped(known).tolist(), rule.stuck(known).int().tolist()
        coverage_LV, lengths = pens.coverage_LV.cpu(), pens.text.length_B.tolist()
        points = [row.own(row.points) for row in rows]
        y_NY = torch.cat([y for row in rows for y in row.own(row.outputs)])
        point_N3 = torch.from_numpy(np.concatenate([p for some in points for p in some]))
        density = stroke_distribution(y_NY, (y_NY.shape[1] - 1) // 6)
        nats_N = -density.log_prob(point_N3.to(y_NY.device)).double().cpu()
        parts = nats_N.split([sum(map(len, some)) for some in points])
        for i, (row, own) in enumerate(zip(rows, parts, strict=True)):
            row.close()
            coverage_U, stands = coverage_LV[i, read : lengths[i]], stuck[i] if stuck[i] >= 0 else None
            yield LineDone(row.line, Report(len(own), coverage_U, stopped[i], float(own.sum()), stands))


_AT_ONCE = 8  # points that are drawn together: one more costs less than what surrounds it


def _where(rows: Sequence[bool], device: torch.device) -> Tensor:
    return torch.tensor(rows).nonzero().squeeze(1).to(device)


Part = TypeVar("Part", "NDArray[np.float32]", Tensor)


class _Row:
    """A line that is being drawn."""

    def __init__(self, line: int):
        self.line, self.count, self.open = line, 0, True
        self.points: list[NDArray[np.float32]] = []
        self.outputs: list[Tensor] = []  # ŷ, whose density each point was sampled from
        self._begin: int | None = None  # the first point that belongs to the text, once that is known

    def add(self, point_P3: NDArray[np.float32], y_PY: Tensor, count: int, begin: int) -> Iterator[PenPoints]:
        """Take points, of which the line has `count` then, and give those that are now known to be the
        text's."""
        new, self.count = count - self.count, count
        if new == 0:
            return
        self.points.append(point_P3[:new])
        self.outputs.append(y_PY[:new])
        if self._begin is not None:
            yield PenPoints(self.line, self.points[-1])
        elif begin >= 0:
            self._begin = begin
            yield PenPoints(self.line, np.concatenate(self.own(self.points)))

    def close(self) -> None:
        """It has ended, and needs nothing of what it has."""
        self.open = False
        self.points.clear()
        self.outputs.clear()

    def own(self, parts: list[Part]) -> list[Part]:
        """Of what the line has, one of each point, that of the text."""
        found, before = [], self._begin or 0
        for part in parts:
            if before < len(part):
                found.append(part[before:])
            before = max(0, before - len(part))
        return found


def least_faulty(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with the fewest faults."""
    least = min(candidate.line.report.faults for candidate in candidates)
    return [candidate for candidate in candidates if candidate.line.report.faults == least]


def _best(
    network: SynthesisNetwork, text: Sequence[int], candidates: Sequence[Candidate], prime: Prime | None
) -> WholeLine:
    """Of the candidates with the fewest faults, the one that shows its text best."""
    good = least_faulty(candidates)
    if len(good) == 1:
        return good[0].line
    if verdicts := [candidate.verdict for candidate in good if candidate.verdict is not None]:
        best = min(range(len(good)), key=lambda i: (verdicts[i].errors, verdicts[i].nats))
        return good[best].line
    before, points = (prime.symbol_U, prime.point_T3) if prime else ((), None)
    lines = [torch.from_numpy(candidate.line.points) for candidate in good]
    shown = legibility(network, lines, text, before, points)
    return good[shown.index(max(shown))].line
