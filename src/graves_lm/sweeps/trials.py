"""The trials of a study as jobs of Hydra's launcher."""

import json
import logging
import math
import os
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.utils import instantiate
from msgspec import Meta
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from graves_lm.commands.launch import one_line
from graves_lm.runtime.errors import TrainingDiverged, UserError
from graves_lm.runtime.files import write
from graves_lm.runtime.run_folder import PRUNED
from graves_lm.settings.check import check_settings
from graves_lm.settings.kinds import Count, Seed
from graves_lm.sweeps.space import Space, read_space
from graves_lm.sweeps.study import FINISHED, Reserved, Study

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """How a trial ended, and in words; the metric where it has one."""

    state: TrialState
    text: str
    figure: float | None = None


def run_trials(
    sweeper: Sweeper,
    arguments: list[str],
    *,
    n_trials: Count,
    n_jobs: Annotated[int, Meta(ge=-1, le=1024)],
    baseline: bool,
    max_failures: Count,
    seed: Seed,
    sampler: DictConfig,
    params: DictConfig,
) -> None:
    """Begin, or go on with, the study in the sweep's folder until it has `n_trials` trials.

    Args:
        sweeper: has the launcher and the configuration.
        arguments: the command line's overrides.
        n_trials: finished trials, pruned ones included, of all processes that take part.
        n_jobs: trials launched together; -1: as many as there are cores.
        baseline: whether a new study begins with the configuration as it stands.
        max_failures: so many failed trials in a row are no accident.
        seed: of the sampler.
        sampler: makes an Optuna sampler, given its seed.
        params: the search space, by key; the arguments change and extend it.

    Raises UserError before any trial for settings and spaces that cannot be, and after `max_failures`.
    """
    assert sweeper.config is not None
    assert sweeper.launcher is not None
    assert sweeper.hydra_context is not None
    config = sweeper.config
    numbers = {"n_trials": n_trials, "n_jobs": n_jobs, "max_failures": max_failures, "seed": seed}
    check_settings(run_trials, {**numbers, "baseline": baseline}, "hydra.sweeper")
    parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
    space, fixed = read_space(
        parser.parse_overrides([f"{key!s}={value}" for key, value in params.items()] + arguments)
    )
    if not space:
        raise UserError("nothing to search: give 'KEY=interval(FROM,TO)', 'KEY=choice(A,B)' or the like")
    sweeper.validate_batch_is_legal([fixed + overrides for overrides in corners(space)])
    folder, monitor = Path(config.hydra.sweep.dir), config.monitor
    study = Study(folder, space, monitor, instantiate(sampler), seed)
    write(folder / "multirun.yaml", OmegaConf.to_yaml(config))
    if baseline:
        standing = standing_values(config, space, parser)
        if standing:
            study.begin_with(standing)
        else:
            log.info("the configuration as it stands is outside the search space, so it is no trial")
    progress, failures = Progress(study, n_trials, monitor), 0
    try:
        while trials := study.reserve(os.cpu_count() or 1 if n_jobs == -1 else max(1, n_jobs), n_trials):
            for trial, outcome in zip(trials, launch(sweeper, trials, fixed, folder, monitor), strict=True):
                study.tell(trial.number, outcome.state, outcome.figure)
                log.info(progress.line(trial.number, outcome))
                failures = failures + 1 if outcome.state == TrialState.FAIL else 0
                if failures == max_failures:
                    raise UserError(f"{failures} trials failed in a row, the last so: {outcome.text}")
    except (KeyboardInterrupt, SystemExit):
        log.info(f"interrupted; the same command goes on with the study in {folder}")
        raise
    finally:
        study.release()
    log.info(f"{progress.summary()}; all trials: python -m graves_lm.compare dir={folder}")


def launch(
    sweeper: Sweeper, trials: Sequence[Reserved], fixed: list[str], folder: Path, monitor: str
) -> list[Outcome]:
    """Run trials, or go on with them, each in the folder of its number, which is also its job's number."""
    over = {t.number: recorded(folder / str(t.number), monitor) for t in trials if t.interrupted}
    outcomes = {number: outcome for number, outcome in over.items() if outcome}
    to_run = [trial for trial in trials if trial.number not in outcomes]
    # A launcher counts its jobs on from the first, so that each call takes trials with consecutive numbers.
    for _, group in groupby(enumerate(to_run), key=lambda pair: pair[1].number - pair[0]):
        outcomes |= launch_group(sweeper, [trial for _, trial in group], fixed, folder, monitor)
    return [outcomes[trial.number] for trial in trials]


def launch_group(
    sweeper: Sweeper, trials: list[Reserved], fixed: list[str], folder: Path, monitor: str
) -> dict[int, Outcome]:
    """`launch` for trials with consecutive numbers; the outcomes by number."""
    assert sweeper.launcher is not None
    batch = []
    for number, params, interrupted in trials:
        given = [*fixed, *(f"{key}={value}" for key, value in params.items())]
        if interrupted and (folder / str(number) / "config.yaml").is_file():  # which says what it began with
            given = [one for one in given if not one.startswith("init=")] + ["resume=last"]
        batch.append(given)
    try:
        jobs = sweeper.launcher.launch(batch, initial_job_idx=trials[0].number)
        ends = [judge(job, folder / str(t.number), monitor) for t, job in zip(trials, jobs, strict=True)]
    except Exception as error:  # a worker that was killed takes its launcher's call with it
        ends = [Outcome(TrialState.FAIL, one_line(error, "train"))] * len(trials)
    return {trial.number: end for trial, end in zip(trials, ends, strict=True)}


def judge(job: JobReturn, run_dir: Path, monitor: str) -> Outcome:
    """The outcome of a job. A loss that is not finite is its values' fault: no hope for them."""
    if job.status != JobStatus.COMPLETED:
        error = job._return_value  # `return_value` would raise it
        diverged = isinstance(error, TrainingDiverged)
        return Outcome(TrialState.PRUNED if diverged else TrialState.FAIL, one_line(error, "train"))
    return outcome_of(job.return_value, run_dir, monitor)


def recorded(run_dir: Path, monitor: str) -> Outcome | None:
    """The outcome of an interrupted trial whose run had come to its end, else None."""
    try:
        record = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return outcome_of(record.get(monitor), run_dir, monitor)


def outcome_of(figure: Any, run_dir: Path, monitor: str) -> Outcome:
    if not isinstance(figure, int | float) or not math.isfinite(figure):
        return Outcome(TrialState.FAIL, f"its {monitor} is {figure}, which is not a number")
    if (run_dir / PRUNED).is_file():
        return Outcome(TrialState.PRUNED, f"pruned at {monitor} {figure:.4f}", figure)
    return Outcome(TrialState.COMPLETE, f"{monitor} {figure:.4f}", figure)


def corners(space: Space) -> list[list[str]]:
    """Overrides in which each choice, and the lower bound of everything else, occurs: what must compose."""
    values = {
        key: list(d.choices) if isinstance(d, CategoricalDistribution) else [d.low]  # type: ignore[attr-defined]
        for key, d in space.items()
    }
    most = max(map(len, values.values()))
    return [[f"{key}={v[i % len(v)]}" for key, v in values.items()] for i in range(most)]


def standing_values(config: DictConfig, space: Space, parser: OverridesParser) -> dict[str, Any] | None:
    """The configuration's own values of what is searched; None where one of them is outside the space."""
    values: dict[str, Any] = {}
    choices = config.hydra.runtime.choices
    for key, distribution in space.items():
        value = choices[key] if key in choices else OmegaConf.select(config, key)
        if isinstance(distribution, CategoricalDistribution):
            same = [c for c in distribution.choices if parser.parse_override(f"x={c}").value() == value]
            if not same:
                return None
            values[key] = same[0]
        elif isinstance(value, int | float) and distribution._contains(value):
            values[key] = value
        else:
            return None
    return values


class Progress:
    """A line for each trial: how it ended, the best so far, the time left.

    The time is reckoned from the trials that all processes have finished since this one began.
    """

    def __init__(self, study: Study, total: int, monitor: str):
        self.study, self.total, self.monitor = study, total, monitor
        self._began, self._at_first = time.monotonic(), len(study.trials(*FINISHED))

    def line(self, number: int, outcome: Outcome) -> str:
        finished = len(self.study.trials(*FINISHED))
        failed = "failed: " if outcome.state == TrialState.FAIL else ""
        line = f"trial {number}: {failed}{outcome.text}; {finished} of {self.total} finished; {self.best()}"
        done = finished - self._at_first
        if done and finished < self.total:
            seconds = (time.monotonic() - self._began) / done * (self.total - finished)
            line += f"; about {f'{seconds / 60:.0f} min' if seconds >= 90 else f'{seconds:.0f} s'} left"
        return line

    def best(self) -> str:
        complete = self.study.trials(TrialState.COMPLETE)
        if not complete:
            return "none complete yet"
        best = min(complete, key=lambda trial: trial.values[0])
        return f"best {best.values[0]:.4f} (trial {best.number})"

    def summary(self) -> str:
        counts = {
            "finished": len(self.study.trials(*FINISHED)),
            "pruned": len(self.study.trials(TrialState.PRUNED)),
            "failed": len(self.study.trials(TrialState.FAIL)),
        }
        return (
            f"{counts['finished']} trials finished, {counts['pruned']} of them pruned, "
            f"{counts['failed']} failed; {self.best()}"
        )
