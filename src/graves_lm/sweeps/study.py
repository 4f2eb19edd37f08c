"""A study: trials chosen by Optuna, each belonging to one process at a time, on as many as take part.

A trial that is under way is locked by the process that runs it. The operating system releases the lock when
that process ends, however it ends. So a trial that the journal calls running and nobody has locked was
interrupted, and whoever finds it goes on with it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from graves_lm.runtime.errors import UserError
from graves_lm.sweeps.journal import LOCKS, STUDY, open_journal
from graves_lm.sweeps.space import Space, describe

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Reserved(NamedTuple):
    """A trial that this process may run: its number, its values by key, and whether it was interrupted."""

    number: int
    params: dict[str, Any]
    interrupted: bool


class Study:
    """A study in a folder, begun there or gone on with; lower metrics are better.

    Args:
        folder: has the journal, the locks, and a run's folder for each trial.
        space: what is searched.
        monitor: the name of the metric.
        sampler: makes a sampler, given its seed.
        seed: gives, with the number of a trial, the seed of its sampler: a resumed study chooses what an
            unbroken one would have chosen.

    Raises UserError where the folder cannot be used or holds a study of another space or metric.
    """

    def __init__(
        self, folder: Path, space: Space, monitor: str, sampler: Callable[..., BaseSampler], seed: int
    ):
        self.folder, self.space = folder.absolute(), space
        self._make_sampler, self._seed = sampler, seed
        self._held: dict[int, FileLock] = {}
        try:
            (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror or error}; choose another hydra.sweep.dir") from error
        self._gate = FileLock(self.folder / LOCKS / "study")
        with self._gate:
            storage = open_journal(folder)
            self._study = optuna.create_study(storage=storage, study_name=STUDY, load_if_exists=True)
            card = {"monitor": monitor, "space": {key: describe(d) for key, d in sorted(space.items())}}
            if not self._study.user_attrs:
                self._study.set_user_attr("card", card)
            elif difference := _difference(self._study.user_attrs["card"], card):
                raise UserError(
                    f"{folder} holds another study: {difference}; give what it began with, "
                    "or begin a new one with another name= or hydra.sweep.dir="
                )

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The study's trials, of all processes, in the given states or in any."""
        return self._study.get_trials(deepcopy=False, states=states or None)

    def begin_with(self, params: Mapping[str, Any]) -> None:
        """Have a new study begin with these values; nothing where trials are there already."""
        with self._gate:
            if not self.trials():
                self._study.enqueue_trial(dict(params))

    def reserve(self, count: int, total: int) -> list[Reserved]:
        """Up to `count` trials for this process: interrupted ones, then new ones while there are fewer than
        `total` finished and under way. None where nothing is left to begin."""
        with self._gate:
            reserved = self._interrupted(count)
            taken = len(self.trials(*FINISHED, TrialState.RUNNING))
            for _ in range(min(count - len(reserved), total - taken)):
                self._seed_sampler(len(self.trials()))
                trial = self._study.ask(self.space)
                self._lock(trial.number)
                reserved.append(Reserved(trial.number, trial.params, interrupted=False))
            return reserved

    def tell(self, number: int, state: TrialState, figure: float | None = None) -> None:
        """How a reserved trial ended. Pruned trials count by the last metric they reported."""
        self._study.tell(number, figure if state == TrialState.COMPLETE else None, state)
        self._held.pop(number).release()

    def release(self) -> None:
        """Leave the trials that are under way to whoever goes on with them, as the process's end would."""
        while self._held:
            self._held.popitem()[1].release()

    def _interrupted(self, count: int) -> list[Reserved]:
        found: list[Reserved] = []
        for trial in self.trials(TrialState.RUNNING):
            if len(found) == count or not self._lock(trial.number):
                continue
            found.append(Reserved(trial.number, self._drawn(trial), interrupted=True))
        return found

    def _seed_sampler(self, number: int) -> None:
        """Make the sampler of a trial."""
        seeds = np.random.SeedSequence([self._seed, number])
        self._study.sampler = self._make_sampler(seed=int(seeds.generate_state(1)[0]))

    def _drawn(self, trial: FrozenTrial) -> dict[str, Any]:
        """The values of a trial, also of one whose process ended while they were being chosen: then the rest
        is chosen now, and as it would have been."""
        if trial.params.keys() == self.space.keys():
            return trial.params
        self._seed_sampler(trial.number)
        whole, given = Trial(self._study, trial._trial_id), trial.system_attrs.get("fixed_params", {})
        for key, values in self.space.items():
            again = key in trial.params and key not in given and key not in whole.relative_params
            if again and not values.single():  # for its random numbers, which are not those of the next
                self._study.sampler.sample_independent(self._study, trial, key, values)
            whole._suggest(key, values)
        return whole.params

    def _lock(self, number: int) -> bool:
        """Lock a trial for this process; False where it is locked already."""
        lock = FileLock(self.folder / LOCKS / str(number))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        self._held[number] = lock
        return True


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The first thing that distinguishes two cards; empty where there is none."""
    if theirs["monitor"] != ours["monitor"]:
        return f"its metric is {theirs['monitor']}, not {ours['monitor']}"
    there, here = theirs["space"], ours["space"]
    for key in sorted(there.keys() | here.keys()):
        if there.get(key) != here.get(key):
            return f"{key} was {there.get(key, 'not searched')}, and now is {here.get(key, 'not searched')}"
    return ""
