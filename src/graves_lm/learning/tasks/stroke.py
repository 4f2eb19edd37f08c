"""Stroke prediction: the loss in nats, metrics as in the paper's Table 3."""

from collections.abc import Callable

from torch import Tensor, nn

from graves_lm.data.line_batches import LineBatch
from graves_lm.data.strokes import Normalisation
from graves_lm.learning.metrics import StrokeMetrics
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.pen import score, squared_error
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.nn.noise import NoNoise
from graves_lm.nn.segments import over_segments
from graves_lm.nn.stack import StackState
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.trained.strokes import TrainedStrokes


class StrokeTask(SequenceTask):
    """Prediction of the next pen point, over whole lines.

    Args:
        network: makes a `StrokeNetwork`.
        normalisation: between data units and the network's; stored in the checkpoint.
        optimization, noise, recompute: see `SequenceTask`.

    >>> from functools import partial
    >>> make = partial(StrokeNetwork, layers=1, hidden_size=8, mixtures=2)
    >>> task = StrokeTask(make, Normalisation((0.0, 0.0), (1.0, 1.0)))
    >>> task.metadata()["facts"]
    {'normalisation': {'mean': [0.0, 0.0], 'std': [1.0, 1.0]}}
    """

    task_name, takes = TrainedStrokes.task_name, TrainedStrokes.takes
    unit = "points"
    position = ("epoch", "next_batch", "batches")
    figure_names = ("nll_per_line", "nll_per_point", "sse")
    sampler_kind = StrokeSampler
    also_from = ("synthesis",)
    network: StrokeNetwork
    metrics: StrokeMetrics

    def __init__(
        self,
        network: Callable[..., StrokeNetwork],
        normalisation: Normalisation,
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
        recompute: int | None = None,
    ):
        facts = {"normalisation": normalisation}
        super().__init__(network(), StrokeMetrics(), facts, optimization, noise, recompute)
        self.normalisation = normalisation

    def training_step(self, batch: LineBatch, batch_idx: int) -> Tensor:
        T, B = batch.scored_TB.shape
        network = self.noise.draw(self.network)

        def nats_of(steps: slice, state: StackState) -> tuple[Tensor, StackState]:
            distribution, after = network(batch.point_TB3[:-1][steps], state)
            return score(distribution, batch, steps), after

        nats, _ = over_segments(nats_of, T, self.recompute, self.network.initial_state(B))
        self.log("train/nll_per_point", nats.detach() / batch.size, prog_bar=True)
        return self.training_loss(nats, sequences=B, points=batch.size)

    def validation_step(self, batch: LineBatch, batch_idx: int) -> None:
        B = batch.scored_TB.shape[1]
        distribution, _ = self.network(batch.point_TB3[:-1], self.network.initial_state(B))
        self.metrics.update(score(distribution, batch), squared_error(distribution, batch), B, batch.size)

    def trained(self) -> TrainedStrokes:
        return TrainedStrokes(self.network, self.normalisation, self.config)
