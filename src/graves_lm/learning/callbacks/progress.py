"""The progress bar."""

import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm, convert_inf

from graves_lm.runtime.errors import UserError


class Progress(TQDMProgressBar):
    """Lightning's bar: rate, time left, and the metrics logged for it."""

    def __init__(self, refresh_rate: int = 10):
        super().__init__(refresh_rate=refresh_rate)
        if refresh_rate < 1:
            raise UserError(f"callbacks.progress.refresh_rate={refresh_rate}: 1 or more")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar of the epoch that a resumed run goes on in, for which no epoch begins."""
        super().on_train_start(trainer, pl_module)
        batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        bar = self.train_progress_bar
        bar.reset(convert_inf(self.total_train_batches))
        bar.initial = bar.n = batches.processed  # the rate is that of the batches to come
        bar.set_description(f"Epoch {trainer.current_epoch}")


class EvaluationProgress(TQDMProgressBar):
    """The bar of an evaluation, on standard error: the metrics alone go to standard output."""

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(desc=self.validation_description, disable=self.is_disabled, file=sys.stderr)

    @property
    def validation_description(self) -> str:
        return "static evaluation"
