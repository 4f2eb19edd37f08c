"""Handwriting synthesis: the loss in nats given the text, figures as in the paper's Table 4, and writing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_batches import LineBatch, collate
from graves_lm.data.strokes import Floats, Normalisation, StrokeLine
from graves_lm.errors import UserError
from graves_lm.metrics import SynthesisMetrics
from graves_lm.models.synthesis import Attention, SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.noise import NoNoise
from graves_lm.nn.segments import over_segments
from graves_lm.nn.window import WindowParameters, window_weights
from graves_lm.optim import Optimization
from graves_lm.rendering.png import strokes_to_png, to_png
from graves_lm.rendering.svg import strokes_to_svg
from graves_lm.rendering.window import window_heatmap
from graves_lm.sampling.synthesis import DrawnLine, Prime, SynthesisSampler
from graves_lm.tasks.base import SequenceTask
from graves_lm.tasks.pen import density_picture, score, squared_error, to_line

SHOWN = ("The quick brown fox jumps", "over the lazy dog, and sleeps", "Sphinx of black quartz, judge")
"""The texts written at each validation."""

BIASES = (0.0, 0.5, 1.0)
"""At which `COMPARED` is written at each validation, as in Figures 15–17."""

COMPARED = "quick brown fox"
"""The text written at several biases, and in the style of a real line, as in Figures 18–21."""


class SynthesisTask(SequenceTask):
    """Prediction of the next pen point for a given text, over whole lines.

    Args:
        network: makes a `SynthesisNetwork` for a number of symbols.
        normalisation: between data units and the network's; stored in the checkpoint.
        alphabet: the characters of the texts; stored in the checkpoint.
        optimization, noise, recompute: see `SequenceTask`.
    """

    task_name = "synthesis"
    takes = ("normalisation", "alphabet")
    unit = "points"
    position = ("epoch", "next_batch", "batches")
    figure_names = ("nll_per_line", "nll_per_point", "sse", "read_to_end", "advance")
    sampler_kind = SynthesisSampler
    also_from = ("stroke",)
    network: SynthesisNetwork
    metrics: SynthesisMetrics

    def __init__(
        self,
        network: Callable[..., SynthesisNetwork],
        normalisation: Normalisation,
        alphabet: Alphabet,
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
        recompute: int | None = None,
    ):
        facts = {"normalisation": normalisation, "alphabet": alphabet}
        made = network(symbols=len(alphabet))
        super().__init__(made, SynthesisMetrics(), facts, optimization, noise, recompute)
        self.normalisation, self.alphabet = normalisation, alphabet

    def training_step(self, batch: LineBatch, batch_idx: int) -> Tensor:
        T, B = batch.scored_TB.shape
        network, text = self.noise.draw(self.network), text_of(batch)

        def nats_of(steps: slice, state: SynthesisState) -> tuple[Tensor, SynthesisState]:
            distribution, after, _ = network(batch.point_TB3[:-1][steps], text, state)
            return score(distribution, batch, steps), after

        nats, _ = over_segments(nats_of, T, self.recompute, self.network.initial_state(B))
        self.log("train/nll_per_point", nats.detach() / batch.size, prog_bar=True)
        return self.training_loss(nats, sequences=B, points=batch.size)

    def validation_step(self, batch: LineBatch, batch_idx: int) -> None:
        B, text = batch.scored_TB.shape[1], text_of(batch)
        distribution, _, attention = self.network(batch.point_TB3[:-1], text, self.network.initial_state(B))
        self.metrics.update(score(distribution, batch), squared_error(distribution, batch), B, batch.size)
        self.metrics.update_window(*window_figures(attention, text, batch.scored_TB))

    def write(
        self,
        sampler: SynthesisSampler,
        texts: Sequence[str],
        seed: int = 0,
        prime: StrokeLine | None = None,
        first_line: int = 0,
    ) -> list[tuple[StrokeLine, DrawnLine]]:
        """Each text, one line long, as a line of handwriting in data units, and how well it went.

        Args:
            prime: a line with its text, whose writer's style is taken on.
            first_line: the number of the first text in its document, which the random numbers go by.

        Raises UserError for an empty text, a character that was not learned, and an unusable prime.
        """
        symbols = [self.alphabet.encode(text).tolist() for text in texts]
        written = sampler.write(
            self.network, symbols, seed, self._prime(prime) if prime else None, first_line
        )
        lines = zip(texts, written, strict=True)
        primed = prime is not None
        return [
            (self._line(first_line + i, drawn, text, primed), drawn) for i, (text, drawn) in enumerate(lines)
        ]

    def stream(
        self,
        sampler: SynthesisSampler,
        texts: Sequence[str],
        seed: int = 0,
        prime: StrokeLine | None = None,
        first_line: int = 0,
    ) -> Iterator[tuple[int, "Floats | tuple[StrokeLine, DrawnLine]"]]:
        """The lines of `write` as they are drawn: (text, its next point (3,)), at its end (text, the line).

        Each point is given when the next one is drawn: only then is it known not to be the last, which lifts
        the pen. Of several candidates the first is drawn. Raises UserError as `write` does.
        """
        symbols = [self.alphabet.encode(text).tolist() for text in texts]
        drawn = sampler.stream(self.network, symbols, seed, self._prime(prime) if prime else None, first_line)
        # See `to_line`: a primed line begins with its first point, another with the point before that.
        last: list[Floats | None] = [None if prime else np.zeros(3, np.float32) for _ in texts]
        for i, part in drawn:
            before = last[i]
            if isinstance(part, DrawnLine):
                assert before is not None
                before[2] = 1
                yield i, before
                yield i, (self._line(first_line + i, part, texts[i], prime is not None), part)
                continue
            last[i] = point = self.normalisation.invert(part.cpu().numpy())
            if before is None:
                point[:2] = 0
            else:
                yield i, before

    def _line(self, number: int, drawn: DrawnLine, text: str, primed: bool) -> StrokeLine:
        strokes = to_line(drawn.point_T3.numpy(), self.normalisation, after_a_stroke=primed)
        return StrokeLine(f"line-{number + 1}", strokes, text)

    def _prime(self, line: StrokeLine) -> Prime:
        return prime_of(line, self.normalisation, self.alphabet)

    def illustrate(self, sampler: SynthesisSampler, data: Any, seed: int) -> dict[str, str | bytes]:
        shown = [self.alphabet.spell(text, "skip") for text in SHOWN]
        lines = [line.strokes for line, _ in self.write(sampler, [t for t in shown if t], seed)]
        example = data.example()
        batch = collate([example], self.normalisation, self.alphabet)
        text = text_of(batch).to(self.device)
        with torch.inference_mode():
            distribution, _, attention = self.network(
                batch.point_TB3[:-1].to(self.device), text, self.network.initial_state(1)
            )
            phi_TU = attention.weights(text)[:, 0].cpu()
        files: dict[str, str | bytes] = {
            "density.png": density_picture(distribution, batch, self.normalisation),
            "window.png": to_png(window_heatmap(phi_TU, example.text)),
        }
        pages = {"handwriting": lines} | self._compare(sampler, example, seed)
        for name, page in pages.items():
            files |= {f"{name}.svg": strokes_to_svg(page), f"{name}.png": strokes_to_png(page)}
        return files

    def _compare(self, sampler: SynthesisSampler, example: StrokeLine, seed: int) -> dict[str, list[Floats]]:
        """Pages of `COMPARED`: at each of `BIASES` from the top down, and below a real line in its style."""
        text = self.alphabet.spell(COMPARED, "skip")
        if not text:
            return {}
        pages = {"biases": [self.write(sampler.at_bias(b), [text], seed)[0][0].strokes for b in BIASES]}
        try:
            ((primed, _),) = self.write(sampler.at_bias(BIASES[1]), [text], seed, prime=example)
        except UserError:  # the line is too short to show a style
            return pages
        return pages | {"primed": [example.strokes, primed.strokes]}


def text_of(batch: LineBatch) -> Text:
    """The batch's texts, as the network takes them."""
    return Text(batch.symbol_BU, (batch.symbol_BU >= 0).sum(1))


def window_figures(attention: Attention, text: Text, scored_TB: Tensor) -> tuple[Tensor, Tensor]:
    """How many lines were read to the end, and by how many characters the window moved in all (mean over its
    components)."""
    last_1B1 = (scored_TB.sum(0) - 1)[None, :, None]
    at_end = [v.take_along_dim(last_1B1, 0).squeeze(0) for v in attention]
    phi_BV = window_weights(WindowParameters(*at_end), text.symbol_BU.shape[1] + 1)
    # Past its own end a shorter text has no characters, but the window may be there all the same.
    looked_at_B = phi_BV.argmax(1) + 1
    return (looked_at_B >= text.length_B).sum(), at_end[2].mean(1).sum()


def prime_of(line: StrokeLine, normalisation: Normalisation, alphabet: Alphabet) -> Prime:
    """A line as what a sample goes on from; a space is set between its text and the sample's.

    One more than five times as large or small as the lines learned from is in other units (a tablet's counts,
    hundredths of a millimetre, inches), and is scaled: its offsets then vary as theirs do.

    Raises UserError for a line without a text, of fewer than twenty points, of characters not learned, or
    without any extent.
    """
    if not line.text.strip():
        raise UserError(f"the prime {line.id} has no text: give one with its strokes")
    if len(line.strokes) < 20:
        raise UserError(f"the prime {line.id} has {len(line.strokes)} points: too short to show a style")
    point_T3 = torch.from_numpy(normalisation.apply(line.strokes))
    # Of a tiny prime nothing but the mean is left here, which is why its own spread is asked as well.
    spread = float(np.sqrt(np.mean(np.var(line.strokes[1:, :2] / np.array(normalisation.std), axis=0))))
    if not 0 < spread < np.inf:
        raise UserError(f"the prime {line.id} has no extent: all its points are one")
    if spread < 0.1 or not 0.2 < float(point_T3[1:, :2].std()) < 5:
        point_T3 = torch.from_numpy(normalisation.apply(line.strokes * (1 / spread, 1 / spread, 1)))
    point_T3[0, :2], point_T3[-1, 2] = 0, 1
    return Prime(point_T3, alphabet.encode(line.text.strip() + " ", where=f"prime {line.id}").tolist())
