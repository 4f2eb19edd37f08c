"""What a run reports to its study, and whether the study's pruner sees hope for it."""

from pathlib import Path

from optuna import load_study
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from graves_lm.sweeps.journal import JOURNAL, STUDY, open_journal


class StudiedTrial:
    """The trial of a run, which `learning.callbacks.pruning.PruneTrial` asks.

    The study and the number of the trial follow from the run's folder; in a folder of no study, or of a trial
    that is over, such as when a trial is run again, nothing is reported or given up.

    Args:
        run_dir: the run's folder, `<study>/<number of the trial>`.
        pruner: decides.
    """

    def __init__(self, run_dir: str | Path, pruner: BasePruner):
        self.run_dir, self.pruner = Path(run_dir), pruner
        self._storage: BaseStorage | None = None
        self._trial_id = 0

    def begin(self) -> None:
        folder, number = self.run_dir.parent, self.run_dir.name
        if not (number.isdecimal() and (folder / JOURNAL).is_file()):
            return
        storage = open_journal(folder)
        trials = storage.get_all_trials(storage.get_study_id_from_name(STUDY), deepcopy=False)
        if int(number) < len(trials) and trials[int(number)].state == TrialState.RUNNING:
            self._storage, self._trial_id = storage, trials[int(number)]._trial_id

    def is_hopeless(self, validation: int, figure: float) -> bool:
        if self._storage is None:
            return False
        self._storage.set_trial_intermediate_value(self._trial_id, validation, figure)
        study = load_study(study_name=STUDY, storage=self._storage)
        return self.pruner.prune(study, self._storage.get_trial(self._trial_id))
