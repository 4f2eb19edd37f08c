"""The network of a compressor, where it learns: the same to the last bit for encoder and decoder.

Predicting, its steps are the compiled kernel's, which are the same with any number of threads; without it,
and learning, torch has one thread, for a product's order of sums depends on their number.

Shape legend: S streams, K symbols, T steps of a segment.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graves_lm.data.streams import StreamBatch
from graves_lm.evaluation.dynamic import DynamicRMS, learn
from graves_lm.learning.tasks.character import CharacterTask, score
from graves_lm.models.character import NULL_SYMBOL
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.packed_weights import refresh
from graves_lm.sampling.plain import for_drawing
from graves_lm.sampling.text import TextSampler


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Predictor:
    """Chances of the next symbol of each stream, and what follows from the symbols that came.

    Args:
        task: its weights are changed where there is a rule.
        streams: S.
        rule: of `evaluation.dynamic`, or None.
        segment: symbols after which a rule learns from them.
    """

    def __init__(self, task: CharacterTask, streams: int, rule: Any = None, segment: int = 20):
        self._task, self._rule, self._segment = task, rule, segment
        self._last_S = torch.full((streams,), NULL_SYMBOL)
        if rule is not None:
            with one_thread():
                rule.begin(task, _own_text(task, rule, segment) if rule.needs_text else ())
        with torch.no_grad():
            self._packed = for_drawing(task.network)
        self.kernel = self._packed.kernel is not None
        """Whether its steps are the compiled kernel's."""
        with torch.inference_mode():
            self._state = self._packed.pack(task.network.initial_state(streams).layers)
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._before, self._first_S = self._state, self._last_S
        self._seen: list[Tensor] = []

    @torch.inference_mode()
    def chances(self) -> NDArray[np.float64]:
        """(S, K). Raises UserError where the network's answer is not finite."""
        with nullcontext() if self.kernel else one_thread():
            logits_SK, self._state, _ = self._packed.step(self._last_S, self._state)
        z_SK = logits_SK.numpy().astype(np.float64)
        chance_SK: NDArray[np.float64] = np.exp(z_SK - z_SK.max(axis=1, keepdims=True))
        sum_S1 = chance_SK.sum(axis=1, keepdims=True)
        if not math.isfinite(sum_S1.sum()):
            raise UserError(
                "the network's answer is not finite: its weights are damaged, or it learned too fast"
            )
        chance_SK /= sum_S1
        return chance_SK

    def update(self, symbol_S: NDArray[np.int64]) -> None:
        """The symbols that came; −1 where it is one that the network does not know, or none came."""
        self._last_S = torch.from_numpy(symbol_S)
        if self._rule is None:
            return
        self._seen.append(self._last_S)
        if len(self._seen) == self._segment:
            with one_thread():
                self._learn()
            self._begin_segment()

    def _learn(self) -> None:
        target_TS = torch.stack(self._seen)
        count = int((target_TS >= 0).sum())
        if not count:
            return
        network = self._task.network
        x_TS = torch.cat([self._first_S[None], target_TS[:-1]])
        layers = self._packed.unpack(self._before.clone()).layers
        logits_TSK, _ = network.stack(x_TS, layers)
        nats, _ = score(logits_TSK, StreamBatch(target_TS.clamp_min(0), target_TS >= 0, False, count))
        weights: list[Tensor] = list(network.parameters())
        grads = list(torch.autograd.grad(nats, weights))
        if isinstance(self._rule, DynamicRMS):  # there is no training text that would have told all of MS
            torch._foreach_div_(grads, float(count))
            count = 1
            self._rule.take(grads)
        learn(self._rule, weights, grads, count)
        if self.kernel:
            refresh(self._packed.weights, network)
        else:
            self._packed = for_drawing(network)


def _own_text(task: CharacterTask, rule: Any, segment: int) -> Iterator[StreamBatch]:
    """Text as the network writes it, in segments: what a rule takes its statistics from, where there is no
    training text. Gradients of a model's own samples are those of its Fisher information."""
    sampler = TextSampler(length=rule.segments * segment)
    drawn = sampler.symbols(task.network, [], torch.Generator().manual_seed(0))
    for n in range(rule.segments):
        symbol_TB = torch.tensor([[next(drawn)] for _ in range(segment)])
        yield StreamBatch(symbol_TB, torch.ones_like(symbol_TB, dtype=torch.bool), n == 0, segment)
