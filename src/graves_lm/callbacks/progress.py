"""The progress bar, and how many symbols or points a second are learned."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from graves_lm.errors import UserError

_SMOOTHING = 0.95


class Progress(TQDMProgressBar):
    """Lightning's bar (rate, time left) plus the useful symbols or points per second of training."""

    def __init__(self, refresh_rate: int = 10):
        super().__init__(refresh_rate=refresh_rate)
        if refresh_rate < 1:
            raise UserError(f"callbacks.progress.refresh_rate={refresh_rate}: 1 or more")
        self._since = 0.0
        self._rate: float | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._since = time.perf_counter()
        super().on_train_batch_start(trainer, pl_module, *args)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        size = batch.size * trainer.world_size
        now = size / (time.perf_counter() - self._since)
        self._rate = now if self._rate is None else _SMOOTHING * self._rate + (1 - _SMOOTHING) * now
        pl_module.log(f"train/{pl_module.unit}_per_second", self._rate, prog_bar=True)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
