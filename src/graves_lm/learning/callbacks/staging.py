"""What a stage of a training needs while it runs: its validations, its end in time, and lines in the log."""

import logging
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from graves_lm.learning.budget import seconds_as_text
from graves_lm.learning.ledger import Ledger
from graves_lm.learning.private import end_at, validate_at

log = logging.getLogger(__name__)

LOOKS = 25
"""How often the time is compared with the plan in what is left of a stage."""


class Staging(Callback):
    """Validates a stage at its own steps and at its end, keeps the ledger, and in a budget of time moves the
    stage's end to where its time will be over.

    The steps between validations are optimiser steps of the stage, whatever an epoch is. A resumed stage has
    all this from its checkpoint, so that with a budget of steps it is the unbroken one.

    Args:
        ledger: the run's.
        monitor: the figure of validations that is told.
        seconds: between lines of progress.
    """

    def __init__(self, ledger: Ledger, monitor: str, seconds: float = 20.0):
        self.ledger, self.monitor, self.seconds = ledger, monitor, seconds
        self._step = self._look = 0
        self._told = self._paused = 0.0
        self._began: tuple[float, int] = (0.0, 0)  # of the stretch that the rate is taken from
        self._seconds = 0.0  # in steps alone, and how many of them
        self._steps = 0

    def attach(self, trainer: Trainer) -> None:
        """Have the trainer validate and end when the stage says so."""

        def due() -> bool:
            step, pace = trainer.global_step - self.ledger.record.begun, self.ledger.record.pace
            return step > 0 and (step % pace.every == 0 or step == pace.end)

        validate_at(trainer, due)
        end_at(trainer, self.ledger.end)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        self._told = time.monotonic()
        self._restart(trainer)
        self._plan_look()

    def _restart(self, trainer: Trainer) -> None:
        self._began = time.monotonic(), trainer.global_step

    def _plan_look(self) -> None:
        own = self._step - self.ledger.record.begun
        self._look = self._step + max(1, (self.ledger.record.pace.end - own) // LOOKS)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            return  # derivatives are being gathered
        self._step, record = trainer.global_step, self.ledger.record
        record.steps[record.stage] = self._step - record.begun
        if self._step >= self._look and record.deadline is not None:
            self._measure(trainer)
            if self._steps and self.ledger.fit_end(self._step - record.begun, self._steps / self._seconds):
                end_at(trainer, self.ledger.end)
            self._plan_look()
        if trainer.is_global_zero and time.monotonic() - self._told > self.seconds:
            self._tell(trainer)

    def _measure(self, trainer: Trainer) -> None:
        """Add the steps since the last stop to those that the rate is taken from; older ones fade."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        began, first = self._began
        self._seconds = 0.7 * self._seconds + time.monotonic() - began
        self._steps = round(0.7 * self._steps) + trainer.global_step - first
        self._restart(trainer)

    def _tell(self, trainer: Trainer) -> None:
        record = self.ledger.record
        self._told = time.monotonic()
        losses = [name for name in trainer.callback_metrics if name in ("train/bpc", "train/nll_per_point")]
        loss = "".join(f"  {name} {float(trainer.callback_metrics[name]):.4f}" for name in losses)
        rate = record.rate
        if record.deadline is None and self._told > self._began[0]:
            rate = (self._step - self._began[1]) / (self._told - self._began[0])
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        left = f"{rate:.1f} a second"
        if record.deadline is not None:
            left += f", stage ends in {seconds_as_text(record.deadline - self.ledger.spent())}"
        where = f"{record.names[record.stage]}: step {self._step:,} of {self.ledger.end:,}"
        log.info(f"{where}{loss}  lr {lr:.2e}  {left}")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._measure(trainer)
            self._paused = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        record, figure = self.ledger.record, float(trainer.callback_metrics[self.monitor])
        record.history.append((trainer.global_step, figure))
        if trainer.is_global_zero:
            log.info(
                f"{record.names[record.stage]}: step {trainer.global_step:,}  {self.monitor} {figure:.4f}"
            )

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if self._paused:  # samples and checkpoints are counted with the validation
            taken = time.monotonic() - self._paused
            self.ledger.record.validation = taken
            self._paused = 0.0
            self._restart(trainer)


class Stopwatch(Callback):
    """Ends a trial after so many seconds of steps, and knows how many steps a second there were.

    The first steps, which have kernels compiled and buffers made, are not counted where others follow.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.rate = 0.0
        self._times: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        steps = trainer.global_step
        if steps > len(self._times):
            self._times.append(time.monotonic())
        if steps >= 3 and self._times[-1] - self._times[0] > self.seconds:
            first = min(len(self._times) - 2, len(self._times) // 3)
            self.rate = (len(self._times) - 1 - first) / (self._times[-1] - self._times[first])
            end_at(trainer, steps)
