"""Stop when the loss is no longer a finite number, and keep the last good checkpoint."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from graves_lm.errors import TrainingDiverged


class StopOnNonFiniteLoss(Callback):
    """Raises TrainingDiverged soon after a loss that is not finite, and before any checkpoint is saved.

    The losses' finiteness is gathered on the device and read every `log_every_n_steps` steps and before
    each save only, so that a GPU is not waited for at each step.
    """

    def __init__(self) -> None:
        self._all_finite: torch.Tensor | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        finite = torch.isfinite(outputs["loss"].detach())
        self._all_finite = finite if self._all_finite is None else self._all_finite & finite
        if trainer.global_step % max(1, trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self._check(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: Any) -> None:
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        if self._all_finite is None or bool(self._all_finite):
            return
        self._all_finite = None
        kept = [
            getattr(c, "last_model_path", "") or getattr(c, "best_model_path", "")
            for c in trainer.checkpoint_callbacks
        ]
        kept = [path for path in kept if path]
        where = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint had been saved yet"
        raise TrainingDiverged(
            f"the loss is not a finite number at step {trainer.global_step}: training diverged; {where}; "
            "try a lower optimizer.lr or a tighter optimizer.clip_norm"
        )
