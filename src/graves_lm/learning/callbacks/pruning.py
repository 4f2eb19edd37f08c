"""Ends hopeless runs early."""

from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from graves_lm.runtime.files import write
from graves_lm.runtime.run_folder import PRUNED


class Trial(Protocol):
    """What knows how other runs went; asked in the run's first process alone."""

    def begin(self) -> None:
        """The run begins, or goes on."""

    def is_hopeless(self, validation: int, figure: float) -> bool:
        """Whether the run should end, after its validation of this number (from 1) gave this metric."""


class PruneTrial(Callback):
    """Reports each validation's metric to a trial, and stops the run where that sees no hope.

    The run then ends like any other, with its metrics and its checkpoint. Steps are counted in validations,
    so that runs with other batch sizes can be compared.

    Args:
        run_dir: the run's folder, which is to say why it was given up.
        monitor: the name of the metric; lower is better.
        trial: decides.
    """

    def __init__(self, run_dir: str | Path, monitor: str, trial: Trial):
        self.run_dir, self.monitor, self.trial = Path(run_dir), monitor, trial
        self.validations = 0

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validations = state_dict["validations"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            (self.run_dir / PRUNED).unlink(missing_ok=True)
            self.trial.begin()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self.validations += 1
        hopeless = False
        if trainer.is_global_zero:
            figure = float(trainer.callback_metrics[self.monitor])
            hopeless = self.trial.is_hopeless(self.validations, figure)
            if hopeless:
                write(
                    self.run_dir / PRUNED,
                    f"given up at step {trainer.global_step}, validation {self.validations}, "
                    f"with {self.monitor} {figure:.4f}\n",
                )
        if trainer.strategy.broadcast(hopeless):
            trainer.should_stop = True
