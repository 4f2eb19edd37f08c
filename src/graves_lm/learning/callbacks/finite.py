"""Stop when the loss, or the metric of a validation, is no longer a number worth going on from."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from graves_lm.learning.callbacks.checkpoints import checkpoints_of
from graves_lm.runtime.errors import TrainingDiverged, UserError, near_misses

WORST = {"val/bpc": 100.0, "val/nll_per_point": 1e3, "val/nll_per_line": 1e6}
"""Metrics beyond which a network is past recovery. 100 bits are a choice among 10^30 symbols, when a network
that knows nothing needs 7 for the characters of a text and 14 for its words; at first, a point takes about
3 nats and a line 2,000. Other metrics need only be finite."""


class StopOnNonFiniteLoss(Callback):
    """Raises TrainingDiverged soon after a loss that is not finite, before weights that are not finite are
    saved, and after a validation whose metric is not finite or worse than `worst`.

    The losses' finiteness is gathered on the device and read every `log_every_n_steps` steps and before
    each save only, so that a GPU is not waited for at each step.

    Args:
        monitor: the metric of validations that is looked at; lower is better.
        worst: a metric beyond which training has diverged; None: that of `WORST`.
    """

    def __init__(self, monitor: str, worst: float | None = None) -> None:
        self.monitor = monitor
        self.worst = WORST.get(monitor, math.inf) if worst is None else worst
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
        weights = [w for w in checkpoint["state_dict"].values() if w.is_floating_point()]
        if not all(bool(torch.isfinite(w).all()) for w in weights):
            raise _diverged(trainer, "the weights are not finite numbers", ("last", "best"))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        figures = trainer.callback_metrics
        if self.monitor not in figures:
            known = [name for name in figures if name.startswith("val/")]
            raise UserError(
                f"monitor={self.monitor}: no metric of a validation; {near_misses(self.monitor, known)}"
            )
        figure = float(figures[self.monitor])
        if not math.isfinite(figure):
            raise _diverged(trainer, f"{self.monitor} is not a finite number", ("best",))
        if figure > self.worst:
            what = f"{self.monitor} is {figure:.3g}, beyond {self.worst:.3g},"
            raise _diverged(trainer, what, ("best",))

    def _check(self, trainer: Trainer) -> None:
        if self._all_finite is None or bool(self._all_finite):
            return
        self._all_finite = None
        raise _diverged(trainer, "the loss is not a finite number", ("last", "best"))


def _diverged(trainer: Trainer, what: str, good: tuple[str, ...]) -> TrainingDiverged:
    """The error that says what is wrong, and which of the checkpoints that may be good there is."""
    owner = checkpoints_of(trainer)
    kept: list[Path] = [owner.folder / f"{name}.ckpt" for name in good] if owner else []
    kept = [path for path in kept if path.is_file()]
    where = f"the last good checkpoint is {kept[0]}" if kept else "no good checkpoint had been saved yet"
    return TrainingDiverged(
        f"{what} at step {trainer.global_step}: training diverged; {where}; "
        "try a lower optimizer.lr or a tighter optimizer.clip_norm"
    )
