"""Ends hopeless trials of a study early."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from optuna import load_study
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from graves_lm.runtime.files import write
from graves_lm.runtime.run_folder import PRUNED
from graves_lm.sweeps.journal import JOURNAL, STUDY, open_journal


class PruneTrial(Callback):
    """Reports each validation's figure to the study, and stops the run where its pruner sees no hope.

    The run then ends like any other, with its figures and its checkpoint. The study and the number of the
    trial follow from the run's folder; in a folder of no study, or of a trial that is over, such as when a
    trial is run again, nothing is reported or stopped. Steps are counted in validations, so that trials with
    other batch sizes can be compared.

    Args:
        run_dir: the run's folder, `<study>/<number of the trial>`.
        monitor: the name of the figure; lower is better.
        pruner: decides.
    """

    def __init__(self, run_dir: str | Path, monitor: str, pruner: BasePruner):
        self.run_dir, self.monitor, self.pruner = Path(run_dir), monitor, pruner
        self.validations = 0
        self._storage: BaseStorage | None = None
        self._trial_id = 0

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validations = state_dict["validations"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder, number = self.run_dir.parent, self.run_dir.name
        if not (trainer.is_global_zero and number.isdecimal() and (folder / JOURNAL).is_file()):
            return
        (self.run_dir / PRUNED).unlink(missing_ok=True)
        storage = open_journal(folder)
        trials = storage.get_all_trials(storage.get_study_id_from_name(STUDY), deepcopy=False)
        if int(number) < len(trials) and trials[int(number)].state == TrialState.RUNNING:
            self._storage, self._trial_id = storage, trials[int(number)]._trial_id

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self.validations += 1
        hopeless = False
        if self._storage is not None:
            figure = float(trainer.callback_metrics[self.monitor])
            self._storage.set_trial_intermediate_value(self._trial_id, self.validations, figure)
            study = load_study(study_name=STUDY, storage=self._storage)
            hopeless = self.pruner.prune(study, self._storage.get_trial(self._trial_id))
            if hopeless:
                write(
                    self.run_dir / PRUNED,
                    f"given up at step {trainer.global_step}, validation {self.validations}, "
                    f"with {self.monitor} {figure:.4f}\n",
                )
        if trainer.strategy.broadcast(hopeless):
            trainer.should_stop = True
