"""A run's two checkpoints: where it goes on from, and its best weights."""

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from graves_lm.learning.callbacks.checkpoint_file import callback_states, copy_checkpoint
from graves_lm.learning.csv_logger import KeepingCSVLogger
from graves_lm.learning.private import figures_to_come, log_step, validate_now, validation_is_due
from graves_lm.runtime.errors import HungUp, Interrupted, Stopped, UserError, first_line
from graves_lm.trained.checkpoint import read_checkpoint, weights_of

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """`last.ckpt` and `best.ckpt` in a folder, which nothing else writes.

    `last.ckpt`, from which a run goes on, is saved every so many steps, at the end of each epoch and of the
    run, and before each validation. A run that goes on from there begins with that validation: what it
    decides (the best weights, early stopping) is not in the checkpoint yet. SIGTERM and Ctrl-C have it
    saved at the end of the running step, and end the run; another Ctrl-C does not wait for that.

    `best.ckpt` is replaced by weights whose metric is lower than that of those in it, and by no others. Its
    own record is what counts, not what another file says of it: files may have been moved or restored.

    Where gradients are accumulated, all this happens after whole optimiser steps only, so that a resumed
    run is the unbroken one.

    A checkpoint keeps no place and no setting: `best`, the lowest metric so far (in `best.ckpt` that of
    its weights), `best_step`, where it was, `monitor`, which metric that is, and `owed`, whether a
    validation is.

    Args:
        folder: where the checkpoints are.
        every: optimiser steps between saves.
        monitor: the metric of validations that decides; lower is better.
    """

    def __init__(self, folder: str | Path, every: int, monitor: str):
        if every < 1:
            raise UserError(f"checkpoint_every={every}: a number of steps, 1 or more")
        self.folder, self.every, self.monitor = Path(folder), every, monitor
        self.best: float | None = None
        self.best_step: int | None = None
        self._owed = False  # a validation, by the checkpoint that is being saved or was restored
        self._asked: int | None = None  # the signal that asked to stop
        self._validating = self._saving = False  # with nothing to lose; with a file to finish
        self._step = 0

    @property
    def last_path(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def best_path(self) -> Path:
        return self.folder / "best.ckpt"

    # --- what a checkpoint keeps ------------------------------------------------------------------

    @property
    def state_key(self) -> str:
        return "Checkpoints"

    def state_dict(self) -> dict[str, Any]:
        return {
            "monitor": self.monitor,
            "best": self.best,
            "best_step": self.best_step,
            "owed": self._owed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]
        self._owed = state_dict["owed"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out how good `best.ckpt` is. Of a run that goes on in another folder, it comes along."""
        found: tuple[float | None, int | None] = (None, None)
        if trainer.is_global_zero:
            beside = Path(trainer.ckpt_path).with_name("best.ckpt") if trainer.ckpt_path else self.best_path
            if not os.path.lexists(self.best_path) and self.best is not None and beside.is_file():
                with suppress(UserError):
                    if self._record_of(beside)[0] == self.best:
                        copy_checkpoint(beside, self.best_path)
            if os.path.lexists(self.best_path):
                found = self._own_record()
            elif self.best is not None:
                log.warning(f"{self.best_path} is not there: the best weights from here on will be")
        self.best, self.best_step = trainer.strategy.broadcast(found)

    def _own_record(self) -> tuple[float | None, int | None]:
        """The record of `best.ckpt`; one that cannot be read is put aside."""
        try:
            return self._record_of(self.best_path)
        except UserError as error:
            self._put_aside(error)
            return None, None

    def _record_of(self, path: Path) -> tuple[float | None, int | None]:
        """The metric and the step of the weights in a `best.ckpt`. Raises UserError for an unreadable one."""
        checkpoint = read_checkpoint(path)
        state = callback_states(checkpoint).get("Checkpoints", {})
        best = state.get("best")
        if state.get("monitor") != self.monitor or not isinstance(best, float) or not math.isfinite(best):
            log.warning(f"{path}: how good it is by monitor={self.monitor} is not known: it will be replaced")
            return None, None
        step = checkpoint.get("global_step")
        return best, step if isinstance(step, int) else None

    def _put_aside(self, error: Exception) -> None:
        aside = self.best_path.with_name("best.ckpt.unreadable")
        os.replace(self.best_path, aside)
        log.warning(
            f"{first_line(error)}; put aside as {aside}: the best weights from here on become best.ckpt"
        )

    def load_best(self, trainer: Trainer, figure: float) -> bool:
        """Give the task's network the weights of `best.ckpt`, which may be of a stage with other noise. Where
        it cannot be read, it is put aside, those that the task has, with this metric, are saved in its place,
        and False is returned."""
        network: Any = trainer.lightning_module.network
        state = None
        if trainer.is_global_zero:
            try:
                state = weights_of(read_checkpoint(self.best_path))
                network.load_state_dict(state)
            except (UserError, RuntimeError) as error:
                state = None
                if os.path.lexists(self.best_path):
                    self._put_aside(error)
        state = trainer.strategy.broadcast(state)
        if state is None:
            self.best = None
            self.save_best(trainer, figure)
            return False
        network.load_state_dict(state)
        return True

    # --- saving -----------------------------------------------------------------------------------

    def save_best(self, trainer: Trainer, figure: float) -> None:
        """Save the weights, whose metric this is, where they are better than those of `best.ckpt`.

        Raises UserError where that cannot be written.
        """
        if math.isfinite(figure) and (self.best is None or figure < self.best):
            self.best, self.best_step = figure, trainer.global_step
            with self._undisturbed():
                trainer.save_checkpoint(self.best_path, weights_only=False)

    def _save_last(self, trainer: Trainer) -> None:
        """The metrics of this step, which is not taken again, are on disk before it counts as taken."""
        for logger in trainer.loggers:
            if isinstance(logger, KeepingCSVLogger):
                if to_come := figures_to_come(trainer):
                    figures, step = to_come
                    logger.log_metrics(figures | {"epoch": trainer.current_epoch}, step)
                logger.secure()
        with self._undisturbed():
            trainer.save_checkpoint(self.last_path, weights_only=False)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """While it lasts, no signal ends the run."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    # --- when -------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        self._take_over_signals()
        if trainer.received_sigterm:  # while the trainer was put together
            self._asked = signal.SIGTERM
        if self._owed:
            self._validating = True
            validate_now(trainer)

    def on_train_batch_start(self, *_: Any) -> None:
        self._owed = self._validating = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            return  # gradients are being gathered
        self._step = trainer.global_step
        # All ranks stop at the same step, whichever got the signal first.
        stop = trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False)
        validation = validation_is_due(trainer)
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch or self._step == trainer.max_steps
        self._owed = validation
        if stop or validation or last or self._step % self.every == 0:
            self._save_last(trainer)
        if stop:
            log_step(trainer)
            raise self._stopped()
        self._validating = validation

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:  # after training
            self._validating = True
            self._take_over_signals()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if signal.getsignal(signal.SIGHUP) == self._on_signal:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._owed = False
            self.save_best(trainer, float(trainer.callback_metrics[self.monitor]))

    # --- signals ----------------------------------------------------------------------------------

    def _take_over_signals(self) -> None:
        """In place of Lightning's handler, which communicates wherever the process happens to be, and of
        Python's, after which Lightning would end the process; the trainer restores those before when it ends.
        A process in the background, which ignores Ctrl-C, goes on to do so, and so does one that ignores the
        end of its terminal (nohup)."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)
            for number in (signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: Any) -> None:
        at_once = self._validating or (number == signal.SIGINT and self._asked == signal.SIGINT)
        self._asked = number
        if at_once and not self._saving:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        where = f"saved in {self.last_path}" if self.last_path.is_file() else "nothing had been saved"
        rest = f"after step {self._step}; {where}; go on with resume=last"
        if self._asked == signal.SIGINT:
            return Interrupted(f"interrupted {rest}")
        if self._asked == signal.SIGHUP:
            return HungUp(f"stopped by SIGHUP, its terminal is gone, {rest}")
        return Stopped(f"stopped by SIGTERM {rest}")


def checkpoints_of(trainer: Trainer) -> Checkpoints | None:
    """The owner of a run's checkpoints; None for a run without."""
    return next((c for c in trainer.callbacks if isinstance(c, Checkpoints)), None)  # type: ignore[attr-defined]
