"""Metrics of training itself: its learning rate, how often the paper's clip acts, and how fast it goes."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class LogFigures(Callback):
    """Logs, beside what the task logs of its loss and its gradient norm,

    train/lr: the learning rate of the step;
    train/clipped_share: of the gradients with respect to the LSTM's pre-activations that are not 0 (those of
        padding are), the share that stands at the bound of the paper's per-step clip;
    train/<unit>_per_second: useful symbols or points, of all processes: those of the steps since the one that
        was recorded before, over all of the time that they took. Where a GPU works behind the host's back,
        the host has waited for it at recorded steps (`StopOnNonFiniteLoss` comes first).

    The share is exact. The gradients ∂L/∂z that the recurrences' backward pass hands on have been clipped
    already, so those at the bound are counted after it, every
    `trainer.log_every_n_steps` steps: two passes over ∂L/∂z, 4 % of such a step on a CPU, so 0.4 % of
    training. Of several processes the first one's is logged.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._size, self._recorded = 0, 0
        self._counts: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since, self._size = time.perf_counter(), 0

    on_validation_end = on_train_start  # validation is no part of the rate

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if not pl_module.is_recorded():  # type: ignore[operator]
            return
        for node in recurrences(loss):
            bound = node.clip

            def count(grads: Any, _: Any, bound: float = bound) -> None:
                self._counts.append(clipped_and_all(grads[0], bound))

            node.register_hook(count)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        # A tensor on the host: of a number the trainer makes one on the GPU, and waits for it at every step.
        pl_module.log("train/lr", torch.tensor(optimizer.param_groups[0]["lr"]))
        if self._counts:
            clipped, count = torch.stack(self._counts).sum(0)
            pl_module.log("train/clipped_share", clipped / count.clamp_min(1))
            self._counts.clear()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._size += batch.size * trainer.world_size
        step, every = trainer.global_step, trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every > 0 and step % every == 0 and step != self._recorded:
            rate = self._size / (time.perf_counter() - self._since)
            pl_module.log(f"train/{pl_module.unit}_per_second", torch.tensor(rate), prog_bar=True)
            self._since, self._size, self._recorded = time.perf_counter(), 0, step


def recurrences(loss: Tensor) -> Iterator[Any]:
    """The LSTM recurrences in the graph of a loss, as nodes of autograd whose first input is z = W_x x + b.

    They are the nodes of the project's operators; their `clip` is the bound.
    """
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [following for following, _ in node.next_functions]
        if "graves_lm" in node.name() and hasattr(node, "clip"):
            yield node


def clipped_and_all(dz_TBG: Tensor, bound: float) -> Tensor:
    """How many gradients are at ±bound, and how many are not 0: float64 (2,), on their device."""
    at_bound = torch.full((), bound).to(dz_TBG)  # as rounded as the gradients are
    counts = torch.count_nonzero(dz_TBG.abs() >= at_bound), torch.count_nonzero(dz_TBG)
    return torch.stack(counts).double()
