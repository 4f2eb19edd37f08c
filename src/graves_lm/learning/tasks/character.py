"""Character (or word) prediction: the loss in nats, metrics as in the paper's Table 1."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graves_lm.data.streams import StreamBatch
from graves_lm.data.symbols import Symbols
from graves_lm.learning.metrics import SymbolMetrics
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.models.character import CharacterNetwork, CharacterState
from graves_lm.nn.noise import NoNoise
from graves_lm.nn.segments import over_segments
from graves_lm.sampling.text import TextSampler
from graves_lm.trained.text import TrainedText


def score(logits_TBK: Tensor, batch: StreamBatch) -> tuple[Tensor, Tensor]:
    """Nats summed over the scored symbols, (14), and which scored symbols were missed, (T, B).

    The losses are taken in float32 or wider, whatever the network computed in.
    """
    nats_TB = cross_entropy(logits_TBK.flatten(0, 1), batch.symbol_TB.flatten(), reduction="none")
    nats = (nats_TB * batch.scored_TB.flatten()).sum()
    with torch.no_grad():
        missed_TB = (logits_TBK.argmax(-1) != batch.symbol_TB) & batch.scored_TB
    return nats, missed_TB


class CharacterTask(SequenceTask):
    """Next-symbol prediction over parallel streams, with the state carried from batch to batch.

    Args:
        network: makes a `CharacterNetwork` for a number of symbols.
        symbols: what the one-hot positions stand for; stored in the checkpoint.
        optimization, noise, recompute: see `SequenceTask`.

    >>> from functools import partial
    >>> task = CharacterTask(partial(CharacterNetwork, layers=1, hidden_size=8), Symbols("character", "abc"))
    >>> task.network(torch.tensor([[0], [2]]), task.network.initial_state(1))[0].shape
    torch.Size([2, 1, 3])
    """

    task_name, takes = TrainedText.task_name, TrainedText.takes
    unit = "symbols"
    position = ("next_batch", "batches")
    figure_names = ("bpc", "perplexity", "error_rate")
    sampler_kind = TextSampler
    network: CharacterNetwork
    metrics: SymbolMetrics

    def __init__(
        self,
        network: Callable[..., CharacterNetwork],
        symbols: Symbols,
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
        recompute: int | None = None,
    ):
        made = network(symbols=len(symbols))
        super().__init__(made, SymbolMetrics(), {"symbols": symbols}, optimization, noise, recompute)
        self.symbols = symbols
        self._train_state: CharacterState | None = None
        self._eval_state: CharacterState | None = None

    def trained(self) -> TrainedText:
        return TrainedText(self.network, self.symbols, self.config)

    def training_step(self, batch: StreamBatch, batch_idx: int) -> Tensor:
        T, B = batch.symbol_TB.shape
        state = self._train_state
        if batch.reset or state is None:
            state = self.network.initial_state(B)
        network = self.noise.draw(self.network)

        def nats_of(steps: slice, before: CharacterState) -> tuple[Tensor, CharacterState]:
            part = batch._replace(symbol_TB=batch.symbol_TB[steps], scored_TB=batch.scored_TB[steps])
            logits_TBK, after = network(part.symbol_TB, before)
            return score(logits_TBK, part)[0], after

        nats, after = over_segments(nats_of, T, self.recompute, state)
        self._train_state = after.detach()
        self.log("train/bpc", nats.detach() / (max(1, batch.size) * math.log(2)), prog_bar=True)
        return self.training_loss(nats, sequences=B, points=T * B)

    def on_validation_start(self) -> None:
        self._eval_state = None  # never the training streams' state

    on_test_start = on_validation_start

    def validation_step(self, batch: StreamBatch, batch_idx: int) -> None:
        state = self._eval_state
        if batch.reset or state is None:
            state = self.network.initial_state(batch.symbol_TB.shape[1])
        logits_TBK, self._eval_state = self.network(batch.symbol_TB, state)
        nats, missed_TB = score(logits_TBK, batch)
        self.metrics.update(nats, missed_TB.sum(), torch.tensor(batch.size))

    def process_state(self) -> dict[str, Any]:
        streams = self._train_state.tensors() if self._train_state is not None else []
        return super().process_state() | {"streams": streams}

    def carried(self) -> list[Tensor]:
        return self.network.initial_state(self.rows).tensors()

    def restore_process_state(self, state: dict[str, Any]) -> None:
        super().restore_process_state(state)
        if state["streams"]:
            saved = [t.to(self.device) for t in state["streams"]]
            self._train_state = self.network.initial_state(len(saved[-1])).from_tensors(saved)
