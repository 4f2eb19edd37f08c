"""Whole training steps of the three tasks, as a trainer takes them, on any device.

Pen data are lines of random points as long as IAM-OnDB's, in batches of the loader of training; the text is
random symbols, fifty kinds of them, 100 a step. A step moves its batch to the device, and then: forward,
loss, backward with the clips at every time step, the unit of the loss, clip of the norm, optimiser.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from train_pen import SYMBOLS as SYMBOLS_OF_TEXTS
from train_pen import make_loader

from graves_lm.data.line_batches import LineBatch
from graves_lm.data.streams import StreamBatch, StreamLoader
from graves_lm.learning.optim import GravesRMSprop
from graves_lm.learning.tasks.character import score as score_symbols
from graves_lm.learning.tasks.pen import score as score_points
from graves_lm.learning.tasks.synthesis import text_of
from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork

SYMBOLS, STEPS = 50, 100
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}


class Step(NamedTuple):
    run: Callable[[], Any]
    units: int
    """Points or symbols that count, of all that it computes."""
    steps: int


def character(B: int, device: str) -> tuple[nn.Module, Any, Callable[[Any], Tensor]]:
    network = CharacterNetwork(SYMBOLS, 1, 1000, clip=1.0).to(device)
    sequence = np.random.default_rng(0).integers(0, SYMBOLS, 2 * STEPS * B).astype(np.uint8)
    batch = next(iter(StreamLoader(sequence, B, STEPS)))
    state = network.initial_state(B)

    def nats(batch: StreamBatch) -> Tensor:
        nonlocal state
        logits_TBK, after = network(batch.symbol_TB, state)
        state = after.detach()
        return score_symbols(logits_TBK, batch)[0]

    return network, batch, nats


def stroke(B: int, device: str) -> tuple[nn.Module, Any, Callable[[Any], Tensor]]:
    network = StrokeNetwork(3, 400).to(device)

    def nats(batch: LineBatch) -> Tensor:
        distribution, _ = network(batch.point_TB3[:-1], network.initial_state(B))
        return score_points(distribution, batch)

    return network, lines(B), nats


def synthesis(B: int, device: str) -> tuple[nn.Module, Any, Callable[[Any], Tensor]]:
    network = SynthesisNetwork(SYMBOLS_OF_TEXTS, 3, 400).to(device)

    def nats(batch: LineBatch) -> Tensor:
        distribution, _, _ = network(batch.point_TB3[:-1], text_of(batch), network.initial_state(B))
        return score_points(distribution, batch)

    return network, lines(B), nats


TASKS = {"character": character, "stroke": stroke, "synthesis": synthesis}


def lines(B: int, shrink: int = 1) -> LineBatch:
    """A full batch of middling length."""
    loader = make_loader(B, shrink)
    full = [plan for plan in loader.plan(0) if len(plan) == B]
    return loader.batch(sorted(full, key=lambda plan: loader.store.lengths[plan].max())[len(full) // 2])


def training_step(task: str, B: int, precision: str, device: str) -> Step:
    torch.manual_seed(0)
    network, batch, nats_of = TASKS[task](B, device)
    optimizer = GravesRMSprop(network.parameters())
    if device == "cuda":
        batch = type(batch)(*(v.pin_memory() if isinstance(v, Tensor) else v for v in batch))
    low = DTYPES[precision] != torch.float32

    def run() -> None:
        moved = type(batch)(*(v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for v in batch))
        with torch.autocast(device, dtype=torch.bfloat16, enabled=low):
            nats = nats_of(moved)
        optimizer.zero_grad()
        nats.backward()
        torch._foreach_mul_([w.grad for w in network.parameters()], 1 / batch.size)
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()

    return Step(run, batch.size, len(batch.scored_TB))
