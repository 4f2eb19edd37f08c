"""Checkpoints that are whole or not there, whenever the process is killed; one when it is asked to end."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from graves_lm.errors import Stopped, UserError, first_line


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, forces the bytes to disk, then renames: readers see the old or the new."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise UserError(
                f"{target}: the checkpoint could not be written ({first_line(error)}); make room or choose "
                "another run_dir; the previous checkpoint is intact: go on with ckpt=last"
            ) from error


class LastCheckpoint(ModelCheckpoint):
    """`last.ckpt`, from which a run goes on: saved every so many steps, at the end of each epoch and of the
    run, and before each validation. A run that goes on from there begins with that validation: what it
    decides (the best weights, early stopping) is not in the checkpoint yet. SIGTERM has it saved at the end
    of the running step, and ends the run.

    Where derivatives are accumulated, all this happens after whole optimiser steps only, so that a resumed
    run is the unbroken one.

    Args:
        dirpath: where the checkpoints are.
        every_n_train_steps: optimiser steps between saves.
    """

    def __init__(self, dirpath: str | Path, every_n_train_steps: int):
        if every_n_train_steps < 1:
            raise UserError(f"checkpoint_every={every_n_train_steps}: a number of steps, 1 or more")
        super().__init__(
            dirpath,
            save_top_k=0,
            save_last=True,
            every_n_train_steps=every_n_train_steps,
            save_on_exception=False,
        )
        self._asked = False  # to stop
        self._owed = False  # a validation, by the checkpoint that is being saved or was restored
        self._validating = False  # with nothing to lose
        self._step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._step = trainer.global_step
        self._take_over_sigterm()
        if self._owed:
            self._validating = True
            self._validate(trainer)

    @staticmethod
    def _validate(trainer: Trainer) -> None:
        """As the trainer does it after a step; of a resumed run's first step it only does the counting."""
        loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
        first = connector._first_loop_iter
        trainer.validating, loop.val_loop.restarting = True, False
        loop.val_loop.run()
        trainer.training, connector._first_loop_iter = True, first

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"owed": self._owed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._owed = state_dict["owed"]

    def _on_sigterm(self, *_: Any) -> None:
        self._asked = True
        if self._validating:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        where = self.last_model_path or "no checkpoint"
        return Stopped(f"stopped by SIGTERM after step {self._step}; saved in {where}; go on with ckpt=last")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            return  # derivatives are being gathered
        self._step = trainer.global_step
        # All ranks stop at the same step, whichever got the signal first.
        stop = trainer.strategy.reduce_boolean_decision(self._asked, all=False)
        loop = trainer.fit_loop
        assert loop._data_fetcher is not None
        validation = loop.epoch_loop._should_check_val_fx(loop._data_fetcher)
        last = loop.epoch_loop.batch_progress.is_last_batch or self._step == trainer.max_steps
        self._owed = validation
        due = stop or validation or last or self._step % self._every_n_train_steps == 0
        if due and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        if stop:
            raise self._stopped()
        self._validating = validation

    def on_train_batch_start(self, *_: Any) -> None:
        self._owed = self._validating = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:  # after training
            self._validating = True
            self._take_over_sigterm()

    def _take_over_sigterm(self) -> None:
        """In place of Lightning's handler, which communicates wherever the process happens to be; the trainer
        restores the one before when it ends."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    # What the base class would save at these points was saved at the end of the last step.

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None: ...

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None: ...

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None: ...
