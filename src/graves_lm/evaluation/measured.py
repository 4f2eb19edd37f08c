"""What is measured of lines of handwriting, sampled and real. What each metric is: `samples`.

Shapes: T points of a line, U characters of its text, V = U + 1; a line (T, 3) is (dx, dy, end of stroke).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from graves_lm.data.features import Features, features
from graves_lm.data.line_batches import collate
from graves_lm.data.strokes import StrokeLine
from graves_lm.models.synthesis import Text
from graves_lm.nn.window import WindowParameters, window_weights
from graves_lm.sampling.events import Report
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.reader import TrainedReader

_BATCH = 16  # real lines read side by side


class Measured(NamedTuple):
    """What is known of a line, sampled or real."""

    text: str
    strokes: NDArray[np.float32]  # (T, 3), data units
    coverage_U: NDArray[np.float64]
    stopped: bool
    nats: float

    @property
    def points(self) -> int:
        return len(self.strokes) - 1

    def skipped(self) -> list[int]:
        return [u for u, points in enumerate(self.coverage_U) if points < 1 and self.text[u] != " "]


@torch.inference_mode()
def read(trained: TrainedHandwriting, lines: Sequence[StrokeLine], bar: Any) -> list[Measured]:
    """Real lines as the network reads them."""
    measured = []
    for start in range(0, len(lines), _BATCH):
        some = lines[start : start + _BATCH]
        batch = collate(some, trained.normalisation, trained.alphabet)
        text = Text(batch.symbol_BU, (batch.symbol_BU >= 0).sum(1))
        distribution, _, attention = trained.network(
            batch.point_TB3[:-1], text, trained.network.initial_state(len(some))
        )
        nats_TB = -distribution.log_prob(batch.point_TB3[1:])
        for row, line in enumerate(some):
            T, U = len(line.strokes) - 1, len(line.text)
            phi_TV = window_weights(WindowParameters(*(v[:T, row] for v in attention)), U + 1)
            share_TV = phi_TV / phi_TV.sum(1, keepdim=True).clamp_min(1e-12)
            stopped = bool((phi_TV[:, U] > phi_TV[:, :U].amax(1)).any())
            coverage_U = share_TV[:, :U].sum(0).double().numpy()
            nats = float(nats_TB[:T, row].double().sum())
            measured.append(Measured(line.text, line.strokes, coverage_U, stopped, nats))
            bar.update()
    return measured


def draw(
    trained: TrainedHandwriting,
    sampler: DrawsHandwriting,
    texts: Sequence[str],
    seed: int,
    first_line: int,
    bar: Any,
    reader: TrainedReader | None = None,
) -> list[Measured]:
    """The texts as the network writes them, each with random numbers of its own."""
    measured = []
    for start in range(0, len(texts), sampler.batch_size):
        some = texts[start : start + sampler.batch_size]
        passage = TextPassage(some, seed, first_line=first_line + start, reader=reader)
        for line, report in trained.write(sampler, passage):
            measured.append(_measured(line, report))
            bar.update()
    return measured


def _measured(line: StrokeLine, report: Report) -> Measured:
    coverage_U = report.coverage_U.double().numpy()
    return Measured(line.text, line.strokes, coverage_U, report.stopped, report.nats)


def compare(lines: Sequence[Measured], other_features: NDArray[np.float64], long: float) -> dict[str, float]:
    """The metrics of lines but for their diversity; `long` is the points that make a character repeated."""
    letters = [(line.coverage_U[u], c) for line in lines for u, c in enumerate(line.text)]
    values = np.array([features(line.strokes) for line in lines])
    return {
        "stopped": float(np.mean([line.stopped for line in lines])),
        "clean": float(np.mean([line.stopped and not line.skipped() for line in lines])),
        "skipped": float(np.mean([points < 1 for points, c in letters if c != " "])),
        "repeated": float(np.mean([points > long for points, _ in letters])),
        "points_per_character": float(np.mean([line.points / len(line.text) for line in lines])),
        "nats_per_point": sum(line.nats for line in lines) / sum(line.points for line in lines),
    } | {
        f"distance/{name}": wasserstein(values[:, i], other_features[:, i]) / other_features[:, i].std()
        for i, name in enumerate(Features._fields)
    }


def diversity(
    lines: Sequence[NDArray[np.float32]], repeats: int, other_features: NDArray[np.float64]
) -> float:
    """See the module; `lines` are `repeats` of one text, `repeats` of the next, and so on."""
    values = np.array([features(line) for line in lines]).reshape(-1, repeats, len(Features._fields))
    within = np.sqrt(values.var(axis=1, ddof=1).mean(axis=0)) if repeats > 1 else np.zeros(values.shape[2])
    return float((within / other_features.std(axis=0)).mean())


def wasserstein(a: ArrayLike, b: ArrayLike) -> float:
    """The 1-Wasserstein distance of two collections of numbers: ∫ |F_a − F_b|, F their distributions."""
    a_N, b_N = np.sort(np.asarray(a, np.float64)), np.sort(np.asarray(b, np.float64))
    both: NDArray[np.float64] = np.sort(np.concatenate([a_N, b_N]))
    below_a, below_b = (np.searchsorted(v, both[:-1], side="right") / len(v) for v in (a_N, b_N))
    return float(np.abs(below_a - below_b) @ np.diff(both))
