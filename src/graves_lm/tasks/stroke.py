"""Stroke prediction: the loss in nats, figures as in the paper's Table 3, handwriting without a text."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graves_lm.data.line_batches import LineBatch, collate
from graves_lm.data.strokes import Floats, Normalisation
from graves_lm.distributions import StrokeDistribution
from graves_lm.metrics import StrokeMetrics
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.nn.noise import NoNoise
from graves_lm.optim import Optimization
from graves_lm.rendering.heatmap import density_heatmap
from graves_lm.rendering.png import strokes_to_png, to_png
from graves_lm.rendering.svg import strokes_to_svg
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.tasks.base import SequenceTask


def score(distribution: StrokeDistribution, batch: LineBatch) -> Tensor:
    """Nats summed over the scored points, (26); `distribution` has the batch shape (T, B)."""
    nats_TB = -distribution.log_prob(batch.point_TB3[1:])
    return torch.where(batch.scored_TB, nats_TB, 0).sum()


def squared_error(distribution: StrokeDistribution, batch: LineBatch) -> Tensor:
    """The squared distance of each scored offset from its density's mean, summed over points and axes."""
    distance_TB = (distribution.mean - batch.point_TB3[1:])[..., :2].square().sum(-1)
    return torch.where(batch.scored_TB, distance_TB, 0).sum()


class StrokeTask(SequenceTask):
    """Prediction of the next pen point, over whole lines.

    Args:
        network: makes a `StrokeNetwork`.
        normalisation: between data units and the network's; stored in the checkpoint.
        optimization, noise: see `SequenceTask`.
    """

    task_name = "stroke"
    takes = ("normalisation",)
    unit = "points"
    network: StrokeNetwork
    metrics: StrokeMetrics

    def __init__(
        self,
        network: Callable[..., StrokeNetwork],
        normalisation: Normalisation,
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
    ):
        facts = {"normalisation": normalisation}
        super().__init__(network(), StrokeMetrics(), facts, optimization, noise)
        self.normalisation = normalisation

    def training_step(self, batch: LineBatch, batch_idx: int) -> Tensor:
        B = batch.scored_TB.shape[1]
        distribution, _ = self.noise(self.network, batch.point_TB3[:-1], self.network.initial_state(B))
        nats = score(distribution, batch)
        self.log("train/nll_per_point", nats.detach() / batch.size, prog_bar=True)
        return self.training_loss(nats, sequences=B, points=batch.size)

    def validation_step(self, batch: LineBatch, batch_idx: int) -> None:
        B = batch.scored_TB.shape[1]
        distribution, _ = self.network(batch.point_TB3[:-1], self.network.initial_state(B))
        self.metrics.update(score(distribution, batch), squared_error(distribution, batch), B, batch.size)

    def write(self, sampler: StrokeSampler, seed: int = 0) -> list[Floats]:
        """Lines (T, 3) in data units; the same for the same seed."""
        x_TL3 = torch.stack(list(sampler.stream(self.network, seed))).numpy()
        return [to_line(x_TL3[:, line], self.normalisation) for line in range(sampler.lines)]

    def illustrate(self, sampler: StrokeSampler, data: Any, seed: int) -> dict[str, str | bytes]:
        lines = self.write(sampler, seed)
        example = data.example()
        batch = collate([example], self.normalisation)
        with torch.inference_mode():
            distribution, _ = self.network(
                batch.point_TB3[:-1].to(self.device), self.network.initial_state(1)
            )
        density = density_heatmap(distribution[:, 0], batch.point_TB3[1:, 0])
        return {
            "handwriting.svg": strokes_to_svg(lines),
            "handwriting.png": strokes_to_png(lines),
            "density.png": to_png(density),
        }


def to_line(x_T3: Floats, normalisation: Normalisation) -> Floats:
    """Sampled points as a line of handwriting in data units: the first point before them, the pen lifted
    after the last."""
    line = np.concatenate([np.zeros((1, 3), np.float32), normalisation.invert(x_T3)])
    line[-1, 2] = 1
    return line
