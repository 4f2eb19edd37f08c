"""Handwriting for given texts, sections 5.3–5.5: unbiased, biased and primed samples.

Points are drawn one after another; each line stops by itself and leaves the batch. The window is ahead of the
pen: on real lines the stop rule of section 5.3 holds about 11 points before the last one, mostly within the
last stroke. So a line goes on from there to where the pen is lifted, and with each stroke for which the pen
goes back: the bar of a t, the dot of an i. After a full stop it often holds a stroke too late, see
`_Row.go_on`. Each line has random numbers of its own, from (seed, line, candidate), so it is the same alone
and among others.

Shape legend: L lines that are being written, U characters, V = U + 1, M mixture components; a point is
(dx, dy, end of stroke) in normalised units.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.legibility import legibility
from graves_lm.sampling.noise import line_seed, point_noise
from graves_lm.sampling.packed import Noise, PackedNetwork
from graves_lm.sampling.plain import for_drawing
from graves_lm.settings import declared
from graves_lm.settings.kinds import Bias, Name, Weights

_Job = tuple[int, int]  # which line, which candidate

LEAST_CAP = 200  # points; the first and last characters of a short text may take long

# A dot ends a line when the window has half left the text and the next stroke would begin with a gap.
DOT = 6  # points: the most that a dot has
HALF_LEFT = 0.45  # φ(t, U+1) over the largest other φ
GAP = 1.0  # normalised units further right than a mean step


class Prime(NamedTuple):
    """A piece of real handwriting and its text, to be gone on from: `point_T3` and symbols (U,)."""

    point_T3: Tensor
    symbol_U: Sequence[int]


@dataclass
class DrawnLine:
    """One line as drawn, and how well it went.

    point_T3: without the prime, and from the first point on the pen put down for this text.
    coverage_U: how many points the window spent on each character.
    stopped: whether the stop rule ended it; False: the cap on its points did, or the window stood still.
    nats: of its points under the unbiased density.
    stuck: the character on which the window stood for too long, where that ended the line.
    """

    point_T3: Tensor
    coverage_U: Tensor
    stopped: bool
    nats: float
    stuck: int | None = None

    @property
    def skipped(self) -> list[int]:
        """Characters on which the window spent less than one point."""
        return [u for u, points in enumerate(self.coverage_U.tolist()) if points < 1]

    @property
    def faults(self) -> tuple[bool, int]:
        """Smaller is better: stopped by itself, nothing skipped."""
        return (not self.stopped, len(self.skipped))


def least_faulty(candidates: Sequence[DrawnLine]) -> list[DrawnLine]:
    """The candidates with the fewest faults."""
    least = min(line.faults for line in candidates)
    return [line for line in candidates if line.faults == least]


@dataclass
class _Row:
    """A line that is being written."""

    index: int
    length: int  # U, without the prime
    cap: int
    points: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)  # ŷ, whose density each point was drawn from
    coverage: list[Tensor] = field(default_factory=list)  # φ on each of its characters and one past them
    begin: int | None = None  # the first point that belongs to the text, once that is known
    held: int | None = None  # the point at which the line was found to be past its text
    stroke: int = 0  # points of the last stroke so far
    lifted: bool = False  # whether it is done
    at: int = 0  # the character that the window looks at
    dwell: int = 0  # for so many points

    def look(self, past_end: bool, at: int) -> None:
        """Follow the window by a point."""
        if past_end and self.held is None:
            self.held = len(self.points)
        self.dwell = self.dwell + 1 if at == self.at else 1
        self.at = at

    def go_on(self, forth: float) -> bool:
        """Whether a next point, `forth` more than a mean step to the right, still belongs to the line.
        Where a dot was its end, `held` is set.

        A stroke that begins further right does not, once the stop rule has held; nor does one with a gap
        before it, after a dot when the window has half left the text: that dot was a full stop.
        """
        if self.begin is None or not self.lifted or forth < 0:
            return True
        if self.held is None and self.stroke <= DOT and forth > GAP:
            *text_U, after = self.coverage[-1].tolist()
            if after > HALF_LEFT * max(text_U):
                self.held = len(self.points)
        return self.held is None

    def add(self, point_3: Tensor, output_Y: Tensor, phi_V: Tensor, lifted: bool) -> None:
        self.points.append(point_3)
        self.outputs.append(output_Y)
        self.coverage.append(phi_V)
        self.stroke, self.lifted = 1 if self.lifted else self.stroke + 1, lifted

    def phi(self) -> Tensor:
        """(T, V) so far, of the prime's characters and its own."""
        return torch.stack(self.coverage).clamp_min(0)


@declared("sampler")
class SynthesisSampler:
    """Draws handwriting for texts.

    Args:
        bias: b ≥ 0 of (61)–(62), how much the likelier parts of the density are preferred: 0 is the network's
            own, 1 is neat. Two numbers go from the first to the second along the text.
        candidates: lines drawn for each text, of which the best is kept: one with the fewest faults, of
            these the most legible, see `legibility`.
        retries: how often as many candidates again are drawn for a text whose best one has faults.
        points_per_character: the cap on a line's points. A character takes about 25.
        longest_dwell: points after which a line ends whose window stays on one character. Under a bias, a
            network can fall into a row of dots that goes on by itself; it looks at one character for 150
            points then. Of the characters of real lines, 1 in 100 takes over 58, 1 in 1000 over 126.
        batch_size: lines written side by side.
        prime: the line whose style is taken on, for who calls `write` to find (see `writing.prime`): an ink
            file, or the name of a line of the data; None: a style of the network's own.
        prime_text: its text, where the file has none.
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.
    """

    def __init__(
        self,
        bias: Bias | Annotated[list[Bias], Meta(min_length=1, max_length=2)] = 0.0,
        candidates: Annotated[int, Meta(ge=1, le=64)] = 1,
        retries: Annotated[int, Meta(ge=0, le=32)] = 0,
        points_per_character: Annotated[float, Meta(ge=1, le=1000)] = 75.0,
        longest_dwell: Annotated[int, Meta(ge=1, le=100_000)] = 120,
        batch_size: Annotated[int, Meta(ge=1, le=4096)] = 64,
        prime: Name | None = None,
        prime_text: str | None = None,
        weights: Weights = "float32",
    ):
        ends = list(bias) if isinstance(bias, Sequence) else [bias]
        self.bias = (float(ends[0]), float(ends[-1]))
        self.candidates, self.retries = candidates, retries
        self.points_per_character = points_per_character
        self.longest_dwell = longest_dwell
        self.batch_size = batch_size
        self.prime, self.prime_text = prime, prime_text
        self.weights = weights

    def at_bias(self, bias: float) -> "SynthesisSampler":
        """The same sampler with another bias."""
        other = copy.copy(self)
        other.bias = (bias, bias)
        return other

    def write(
        self,
        network: SynthesisNetwork,
        texts: Sequence[Sequence[int]],
        seed: int = 0,
        prime: Prime | None = None,
        first_line: int = 0,
    ) -> list[DrawnLine]:
        """The best candidate for each text of symbol indices, in the texts' order.

        `first_line` is the number of the first text in its document, which the random numbers go by. Raises
        UserError for an empty text.
        """
        packed = self._pack(network, texts)
        drawn: list[list[DrawnLine]] = [[] for _ in texts]
        for start in range(0, (1 + self.retries) * self.candidates, self.candidates):
            faulty = [i for i, lines in enumerate(drawn) if not lines or any(min(x.faults for x in lines))]
            jobs = [(line, start + n) for line in faulty for n in range(self.candidates)]
            for line, part in self._draw(network, packed, texts, jobs, seed, prime, first_line):
                if isinstance(part, DrawnLine):
                    drawn[line].append(part)
        return [self._best(network, text, lines, prime) for text, lines in zip(texts, drawn, strict=True)]

    def stream(
        self,
        network: SynthesisNetwork,
        texts: Sequence[Sequence[int]],
        seed: int = 0,
        prime: Prime | None = None,
        first_line: int = 0,
    ) -> Iterator[tuple[int, Tensor | DrawnLine]]:
        """Lines as they are drawn: (text, its next point (3,)), and at a line's end (text, the line).

        Up to `batch_size` lines are drawn side by side, a point of each at a time. What has been shown cannot
        be taken back: the first candidate of each text is drawn, and not again where it has faults. After a
        prime, points come from where the pen begins with the text. Raises UserError for an empty text.
        """
        packed, jobs = self._pack(network, texts), [(line, 0) for line in range(len(texts))]
        return self._draw(network, packed, texts, jobs, seed, prime, first_line)

    def _pack(self, network: SynthesisNetwork, texts: Sequence[Sequence[int]]) -> PackedNetwork:
        if any(len(text) == 0 for text in texts):
            raise UserError("the text is empty: give at least one character")
        return for_drawing(network, self.weights)

    def _draw(
        self,
        network: SynthesisNetwork,
        packed: PackedNetwork,
        texts: Sequence[Sequence[int]],
        jobs: Sequence[_Job],
        seed: int,
        prime: Prime | None,
        first_line: int,
    ) -> Iterator[tuple[int, Tensor | DrawnLine]]:
        """The points of some candidates, and each at its end, by the number of the text."""
        for begin in range(0, len(jobs), self.batch_size):
            some = jobs[begin : begin + self.batch_size]
            seeds = [line_seed(seed, first_line + line, n) for line, n in some]
            for i, part in self._draw_batch(network, packed, [texts[line] for line, _ in some], seeds, prime):
                yield some[i][0], part

    @staticmethod
    def _best(
        network: SynthesisNetwork, text: Sequence[int], candidates: Sequence[DrawnLine], prime: Prime | None
    ) -> DrawnLine:
        """Of the candidates with the fewest faults, the one that shows its text best."""
        good = least_faulty(candidates)
        if len(good) == 1:
            return good[0]
        before, points = (prime.symbol_U, prime.point_T3) if prime else ((), None)
        shown = legibility(network, [line.point_T3 for line in good], text, before, points)
        return good[shown.index(max(shown))]

    @torch.inference_mode()
    def _draw_batch(
        self,
        network: SynthesisNetwork,
        packed: PackedNetwork,
        texts: Sequence[Sequence[int]],
        seeds: Sequence[int],
        prime: Prime | None,
    ) -> Iterator[tuple[int, Tensor | DrawnLine]]:
        device = network.window.weight.device
        before = list(prime.symbol_U) if prime else []
        rows_U = [before + list(t) for t in texts]
        if unknown := {s for row in rows_U for s in row if not 0 <= s < packed.symbols}:
            # The kernel uses them as addresses.
            raise IndexError(f"symbol {min(unknown)} of a text: there are {packed.symbols}, counted from 0")
        text = Text.of(rows_U, device)
        state, x_L3 = self._start(network, text, prime)
        state_LS = packed.pack(*state)
        rows = [
            _Row(i, len(t), LEAST_CAP + math.ceil(self.points_per_character * len(t)))
            for i, t in enumerate(texts)
        ]
        for noise in point_noise(packed.mixtures, seeds):
            mine = Noise(*(n if len(rows) == len(texts) else n[[r.index for r in rows]] for n in noise))
            x_L3, state_LS, y_LY, phi_LV, done_L, where_L = packed.point(
                x_L3, state_LS, mine.to(device), self.bias, text, len(before)
            )
            keep = []
            drawn = zip(x_L3.unbind(), y_LY.unbind(), phi_LV.unbind(), x_L3.tolist(), strict=True)
            seen = zip(rows, done_L, where_L, drawn, strict=True)
            for i, (row, done, where, (x_3, y_Y, phi_V, (dx, _, up))) in enumerate(seen):
                row.look(done, where)
                if not row.go_on(dx):
                    yield row.index, _finish(row, packed.mixtures, len(before), stuck=False)
                    continue
                row.add(x_3, y_Y, phi_V[: len(before) + row.length + 1], up > 0.5)
                if row.held is not None:  # the window is ahead of the pen, which ends its stroke yet
                    over = len(row.points) - row.held > self.points_per_character
                else:
                    over = row.dwell > self.longest_dwell
                over = over or len(row.points) == row.cap
                if row.begin is not None:
                    yield row.index, x_3
                elif done or where >= 0 or over:  # the window has reached the text
                    row.begin = _beginning(torch.stack(row.points), row.phi(), len(before))
                    for point_3 in row.points[row.begin :]:
                        yield row.index, point_3
                if over:
                    stuck = row.dwell > self.longest_dwell and row.held is None
                    yield row.index, _finish(row, packed.mixtures, len(before), stuck)
                else:
                    keep.append(i)
            if not keep:
                return
            if len(keep) < len(rows):
                index = torch.tensor(keep, dtype=torch.long, device=device)
                rows = [rows[i] for i in keep]
                x_L3, text, state_LS = x_L3[index], text.rows(index), state_LS[index]

    @staticmethod
    def _start(network: SynthesisNetwork, text: Text, prime: Prime | None) -> tuple[SynthesisState, Tensor]:
        """The state before the first drawn point, and the point it follows.

        Primed, all but the last point of the prime have been read; the caller's first step reads that one.
        """
        L = len(text.length_B)
        state = network.initial_state(L)
        if prime is None:
            return state, torch.zeros(L, 3, device=text.length_B.device)
        point_TL3 = prime.point_T3.to(text.length_B.device).unsqueeze(1).expand(-1, L, -1)
        _, state, _ = network(point_TL3[:-1], text, state)
        return state, point_TL3[-1]


def _finish(row: _Row, mixtures: int, before: int, stuck: bool) -> DrawnLine:
    phi_TV = row.phi()
    share_TV = phi_TV / phi_TV.sum(1, keepdim=True).clamp_min(1e-12)
    point_T3, y_TY = torch.stack(row.points[row.begin :]), torch.stack(row.outputs[row.begin :])
    return DrawnLine(
        point_T3.cpu(),
        share_TV[:, before : before + row.length].sum(0).cpu(),
        row.held is not None,
        -float(stroke_distribution(y_TY, mixtures).log_prob(point_T3).double().sum()),
        max(0, row.at) if stuck else None,
    )


def _beginning(point_T3: Tensor, phi_TV: Tensor, before: int) -> int:
    """The first point of the strokes that belong to the text.

    The window is ahead of the pen. So a stroke that ends before the window has reached the text, which is
    `before` characters from the start, still belongs to the prime: a crossbar, or the rest of a letter.
    """
    if before == 0:
        return 0
    reached = (phi_TV.argmax(1) >= before).nonzero()
    end = int(reached[0]) if len(reached) else len(point_T3)
    lifted = (point_T3[:end, 2] > 0.5).nonzero()
    return min(int(lifted[-1]) + 1, len(point_T3) - 1) if len(lifted) else 0
