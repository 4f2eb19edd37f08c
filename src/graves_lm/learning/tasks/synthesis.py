"""Handwriting synthesis: the loss in nats given the text, metrics as in the paper's Table 4."""

from collections.abc import Callable

from torch import Tensor, nn

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_batches import LineBatch
from graves_lm.data.strokes import Normalisation
from graves_lm.learning.metrics import SynthesisMetrics
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.pen import score, squared_error
from graves_lm.models.synthesis import Attention, SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.noise import NoNoise
from graves_lm.nn.segments import over_segments
from graves_lm.nn.window import WindowParameters, window_weights
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TrainedHandwriting


class SynthesisTask(SequenceTask):
    """Prediction of the next pen point for a given text, over whole lines.

    Args:
        network: makes a `SynthesisNetwork` for a number of symbols.
        normalisation: between data units and the network's; stored in the checkpoint.
        alphabet: the characters of the texts; stored in the checkpoint.
        optimization, noise, recompute: see `SequenceTask`.

    >>> from functools import partial
    >>> make = partial(SynthesisNetwork, layers=1, hidden_size=8, mixtures=2)
    >>> task = SynthesisTask(make, Normalisation((0.0, 0.0), (1.0, 1.0)), Alphabet("abc "))
    >>> task.metadata()["task"], task.network.symbols
    ('synthesis', 4)
    """

    task_name, takes = TrainedHandwriting.task_name, TrainedHandwriting.takes
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

    def trained(self) -> TrainedHandwriting:
        return TrainedHandwriting(self.network, self.normalisation, self.alphabet, self.config)


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
