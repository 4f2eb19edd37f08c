"""Studies: what is drawn, who runs it, how one goes on, and what ends it. The jobs are functions here."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext
from omegaconf import OmegaConf

from graves_lm.commands.launch import CONF
from graves_lm.runtime.errors import TrainingDiverged, UserError

pytest.importorskip("optuna", reason="the extra 'sweep' is not installed")

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from graves_lm.sweeps.journal import JOURNAL
from graves_lm.sweeps.study import Study
from graves_lm.sweeps.trials import Progress, run_trials
from hydra_plugins.graves_lm_study.sweeper import StudySweeper

SPACE = {"x": FloatDistribution(1e-3, 1e3, log=True), "n": IntDistribution(2, 9)}


def study(folder: Path, space=SPACE, monitor="val/bpc", sampler=TPESampler, seed=0) -> Study:
    return Study(folder, space, monitor, partial(sampler), seed)


def bowl(params) -> float:
    return (math.log10(params["x"]) - 1) ** 2 + 0.01 * abs(params["n"] - 4)


def run_all(folder: Path, total: int, stop_after: int | None = None, **settings) -> list[dict]:
    """Run a study of `bowl` in this process; the values it has drawn."""
    it = study(folder, **settings)
    done = 0
    while reserved := it.reserve(1, total):
        (trial,) = reserved
        if done == stop_after:
            it.release()
            break
        it.tell(trial.number, TrialState.COMPLETE, bowl(trial.params))
        done += 1
    return [trial.params for trial in it.trials()]


# --- drawing --------------------------------------------------------------------------------------


def test_values_keep_to_their_bounds_and_scales(tmp_path):
    drawn = run_all(tmp_path, 60, sampler=RandomSampler)
    logs = [math.log10(params["x"]) for params in drawn]
    assert min(logs) >= -3
    assert max(logs) <= 3
    # Uniform in the logarithm: each third of it has its share, where a linear scale would leave two empty.
    assert all(sum(low <= v < low + 2 for v in logs) >= 8 for low in (-3, -1, 1))
    assert {params["n"] for params in drawn} == set(range(2, 10))


def test_the_sampler_learns_from_earlier_trials(tmp_path):
    """Its later draws lie deeper in the bowl than random ones, whatever the seed of a trial's sampler."""
    depths = {}
    for sampler in (TPESampler, RandomSampler):
        drawn = [
            run_all(tmp_path / f"{sampler.__name__}{seed}", 40, sampler=sampler, seed=seed) for seed in (0, 1)
        ]
        depths[sampler] = sum(bowl(params) for each in drawn for params in each[-20:])
    assert depths[TPESampler] < 0.6 * depths[RandomSampler]


def test_a_study_that_was_stopped_draws_what_an_unbroken_one_draws(tmp_path):
    unbroken = run_all(tmp_path / "a", 14)
    for stop_after in (3, 0, 4, 2):
        run_all(tmp_path / "b", 14, stop_after)
    assert run_all(tmp_path / "b", 14) == unbroken
    assert run_all(tmp_path / "c", 14, seed=1) != unbroken


# --- who runs what --------------------------------------------------------------------------------


def test_processes_share_the_trials_and_none_is_run_twice(tmp_path):
    first, second = study(tmp_path), study(tmp_path)
    taken = [*first.reserve(2, 5), *second.reserve(2, 5), *first.reserve(2, 5)]
    assert sorted(trial.number for trial in taken) == [0, 1, 2, 3, 4]
    assert second.reserve(1, 5) == []
    second.tell(2, TrialState.FAIL)
    (again,) = second.reserve(3, 5)  # one that failed is made up for
    assert (again.number, again.interrupted) == (5, False)


def test_more_trials_go_on_with_a_finished_study(tmp_path):
    run_all(tmp_path, 3)
    assert study(tmp_path).reserve(9, 3) == []
    assert [t.number for t in study(tmp_path).reserve(9, 5)] == [3, 4]


def test_the_trial_of_a_killed_process_is_gone_on_with(tmp_path):
    """By whoever comes next, and once; not while its process lives."""
    program = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from tests.sweeps.test_study import study\n"
        f"it = study(Path({str(tmp_path)!r}))\n"
        "print(it.reserve(1, 5)[0].params, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        params = other.stdout.readline().strip()
        here = study(tmp_path)
        (own,) = here.reserve(1, 5)
        assert (own.number, own.interrupted) == (1, False)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    (found,) = here.reserve(1, 5)
    assert (found.number, found.interrupted, str(found.params)) == (0, True, params)
    assert [t.number for t in study(tmp_path).reserve(1, 5)] == [2]


# --- whatever moment a process is killed at -------------------------------------------------------

KILLED_WRITING = """
import os, sys
from functools import partial
from pathlib import Path
fsync, left = os.fsync, [int(sys.argv[2])]
def killed(file):
    if os.path.realpath(f"/proc/self/fd/{file}").endswith("study.journal"):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
    return fsync(file)
os.fsync = killed
from tests.sweeps.test_study import run_all
os.chdir(Path(sys.argv[1]).parent)
run_all(Path(Path(sys.argv[1]).name), 3)
"""


def test_one_that_is_killed_while_it_writes_the_journal_keeps_nobody_waiting(tmp_path):
    """It holds the lock then; its study is named by a relative path, and moved before it goes on."""
    command = [sys.executable, "-c", KILLED_WRITING, str(tmp_path / "here"), "5"]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    (tmp_path / "here").rename(tmp_path / "there")
    before = time.monotonic()
    assert run_all(tmp_path / "there", 3) == run_all(tmp_path / "unbroken", 3)
    assert time.monotonic() - before < 20


class Killed(BaseException):
    """In place of a signal, which would end the tests as well."""


@pytest.mark.parametrize("sampler", [TPESampler, partial(TPESampler, multivariate=True)])
def test_killed_after_any_write_of_the_journal_the_same_trials_are_drawn(tmp_path, monkeypatch, sampler):
    sampler = partial(sampler, n_startup_trials=2)
    baseline, fsync, left = {"x": 1.0, "n": 5}, os.fsync, [0]

    def one(folder: Path, writes: int) -> list[dict]:
        left[0] = writes
        it = None
        try:
            it = study(folder, sampler=sampler)
            it.begin_with(baseline)
            while reserved := it.reserve(1, 4):
                it.tell(reserved[0].number, TrialState.COMPLETE, bowl(reserved[0].params))
        finally:
            if it is not None:
                it.release()
        return [trial.params for trial in it.trials()]

    def killed(file: int) -> None:
        fsync(file)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(os, "fsync", killed)
    unbroken = one(tmp_path / "unbroken", 0)
    assert unbroken[0] == baseline
    assert left[0] <= -16
    for writes in range(1, -left[0] + 1):
        with pytest.raises(Killed):
            one(tmp_path / str(writes), writes)
        assert one(tmp_path / str(writes), 0) == unbroken, writes


@pytest.mark.parametrize("half", ['{"op_code":6,"wor', "\0\0\0", '{"op_code":6}'])
def test_half_a_line_at_the_journals_end_is_dropped(tmp_path, half):
    unbroken = run_all(tmp_path / "unbroken", 4)
    run_all(tmp_path / "cut", 2)
    journal = tmp_path / "cut" / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + half.encode())
    assert run_all(tmp_path / "cut", 4) == unbroken
    assert journal.read_bytes().startswith(whole + b'{"op_code":')
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"space": {"x": SPACE["x"]}}, "n was whole numbers(2,9), and now is not searched"),
        ({"space": SPACE | {"x": FloatDistribution(1, 2)}}, "x was tag(log,interval(0.001,1000)), and now"),
        ({"monitor": "val/sse"}, "its metric is val/bpc, not val/sse"),
    ],
)
def test_another_space_or_figure_is_refused(tmp_path, change, expected):
    run_all(tmp_path, 1)
    with pytest.raises(UserError, match="holds another study") as refusal:
        study(tmp_path, **change)
    assert expected in str(refusal.value)
    assert len(study(tmp_path).trials()) == 1


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / JOURNAL).write_text("no journal\nat all\n")
    with pytest.raises(UserError, match="not a readable journal"):
        study(tmp_path)


# --- the sweeper ----------------------------------------------------------------------------------


class Jobs:
    """A launcher whose jobs are calls of a function of (number, overrides by key)."""

    def __init__(self, folder: Path, function):
        self.folder, self.function = folder, function
        self.batches: list[list[dict]] = []
        self.numbers: list[list[int]] = []

    def launch(self, job_overrides, initial_job_idx):
        batch = [dict(o.split("=", 1) for o in overrides) for overrides in job_overrides]
        numbers = range(initial_job_idx, initial_job_idx + len(batch))  # as all launchers count
        self.batches.append(batch)
        self.numbers.append(list(numbers))
        returns = []
        for number, settings in zip(numbers, batch, strict=True):
            (self.folder / str(number)).mkdir(exist_ok=True)
            job = JobReturn(overrides=[])
            try:
                job.return_value, job.status = self.function(number, settings), JobStatus.COMPLETED
            except Exception as error:
                job.return_value, job.status = error, JobStatus.FAILED
            returns.append(job)
        return returns


@pytest.fixture
def tune(tmp_path, caplog):
    """Runs a study by the sweeper, as Hydra would, with a function for the jobs."""
    setup_globals()
    caplog.set_level("INFO", "graves_lm.sweeps")
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))

    def run(function, *arguments: str, **settings) -> Jobs:
        overrides = ["sweep=study", *arguments, "name=it", f"hydra.sweep.dir={tmp_path}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", ["sweep=study"], return_hydra_config=True)
            config.hydra.job.config_name = "train"
        OmegaConf.set_readonly(config.hydra, False)
        config.hydra.sweep.dir = str(tmp_path)
        HydraConfig.instance().set_config(config)
        plain = {k: v for k, v in config.hydra.sweeper.items() if not k.startswith("_")}
        sweeper = StudySweeper(**plain | {"n_jobs": 1} | settings)
        sweeper.config, sweeper.launcher = config, Jobs(tmp_path, function)
        sweeper.hydra_context = HydraContext(config_loader=loader, callbacks=Callbacks())
        sweeper.sweep(overrides)
        return sweeper.launcher

    return run


RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def rate_error(number, settings) -> float:
    return abs(math.log10(float(settings["optimizer.lr"])) + 1.5)


def test_each_trial_is_a_job_in_its_own_folder(tune, tmp_path, caplog):
    jobs = tune(rate_error, RATE, "noise=choice(none,fixed)", "trainer.max_steps=3", n_trials=6)
    settings = [batch[0] for batch in jobs.batches]
    assert jobs.numbers == [[n] for n in range(6)]
    assert all(s["trainer.max_steps"] == "3" and s["sweep"] == "study" for s in settings)
    # The first is the configuration as it stands.
    assert (settings[0]["optimizer.lr"], settings[0]["noise"]) == ("0.002", "none")
    assert len({s["optimizer.lr"] for s in settings}) == 6
    assert {s["noise"] for s in settings} == {"none", "fixed"}
    assert (tmp_path / "multirun.yaml").is_file()
    lines = [m for m in caplog.messages if m.startswith("trial ")]
    figures = [rate_error(0, s) for s in settings]
    best = figures.index(min(figures))
    assert len(lines) == 6
    assert lines[-1] == (
        f"trial 5: val/bpc {figures[5]:.4f}; 6 of 6 finished; best {min(figures):.4f} (trial {best})"
    )
    assert "left" in lines[2]
    assert tune(rate_error, RATE, "noise=choice(none,fixed)", n_trials=6).batches == []  # nothing left


def test_a_default_outside_the_space_is_no_trial(tune, caplog):
    jobs = tune(rate_error, "optimizer.lr=interval(0.5,1)", n_trials=2)
    assert all(float(batch[0]["optimizer.lr"]) >= 0.5 for batch in jobs.batches)
    assert "the configuration as it stands is outside the search space, so it is no trial" in caplog.messages


def test_trials_side_by_side(tune):
    jobs = tune(rate_error, RATE, n_trials=5, n_jobs=2)
    assert jobs.numbers == [[0, 1], [2, 3], [4]]


def test_an_interrupted_trial_beside_new_ones_keeps_its_number(tune, tmp_path):
    def stopped(number, settings):
        if number == 1:
            raise KeyboardInterrupt
        return rate_error(number, settings)

    with pytest.raises(KeyboardInterrupt):
        tune(stopped, RATE, n_trials=9)
    it = study(tmp_path, {"optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True)})
    (own,) = it.reserve(1, 9)
    (new,) = it.reserve(1, 9)
    assert [own.number, new.number] == [1, 2]
    it._held.pop(1).release()  # the new one stays under way
    assert tune(rate_error, RATE, n_trials=6, n_jobs=3).numbers == [[1], [3, 4], [5]]


def test_failed_trials_do_not_end_the_study(tune, tmp_path, caplog):
    def moody(number, settings):
        if number == 1:
            raise UserError("data.source=x: no such file")
        if number == 2:
            raise TrainingDiverged("the loss is not a finite number at step 3")
        return {3: None, 4: math.nan}.get(number, 1.0)

    tune(moody, RATE, n_trials=4)
    states = [trial.state.name for trial in trials_of(tmp_path)]
    # What diverged is known to be hopeless and counts; what failed is made up for.
    assert states == ["COMPLETE", "FAIL", "PRUNED", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    text = "\n".join(caplog.messages)
    assert "trial 1: failed: data.source=x: no such file; 1 of 4 finished" in text
    assert "trial 3: failed: its val/bpc is None, which is not a number" in text
    assert "trial 4: failed: its val/bpc is nan, which is not a number" in text
    assert "4 trials finished, 1 of them pruned, 3 failed" in text


def trials_of(folder: Path):
    """The trials of a study, as whoever comes later reads them."""
    from optuna import load_study

    from graves_lm.sweeps.journal import STUDY, open_journal

    return load_study(study_name=STUDY, storage=open_journal(folder)).get_trials()


def test_failures_in_a_row_end_the_command_and_the_same_command_goes_on(tune, tmp_path):
    def broken(number, settings):
        raise UserError("data.source=x: no such file")

    with pytest.raises(
        UserError, match=r"3 trials failed in a row, the last so: data.source=x: no such file"
    ):
        tune(broken, RATE, n_trials=4, max_failures=3)
    assert len(tune(rate_error, RATE, n_trials=4).batches) == 4
    states = [trial.state.name for trial in trials_of(tmp_path)]
    assert states == ["FAIL"] * 3 + ["COMPLETE"] * 4


def test_a_launcher_that_fails_takes_its_trials_along_only(tune, monkeypatch, caplog):
    launch = Jobs.launch

    def killed(self, job_overrides, initial_job_idx):
        if initial_job_idx == 1:
            raise RuntimeError("a worker was killed")
        return launch(self, job_overrides, initial_job_idx)

    monkeypatch.setattr(Jobs, "launch", killed)
    tune(rate_error, RATE, n_trials=3)
    assert any(m.startswith("trial 1: failed: a worker was killed; 1 of 3") for m in caplog.messages)


def test_an_interrupted_trial_goes_on_with_its_run(tune, tmp_path, caplog):
    def stopped(number, settings):
        if number == 2:
            (tmp_path / "2" / "config.yaml").write_text("init: weights.ckpt\n")
            raise KeyboardInterrupt
        return rate_error(number, settings)

    with pytest.raises(KeyboardInterrupt):
        tune(stopped, RATE, n_trials=5)
    assert caplog.messages[-1] == f"interrupted; the same command goes on with the study in {tmp_path}"
    jobs = tune(rate_error, RATE, n_trials=5)
    assert jobs.numbers == [[2], [3], [4]]
    assert [batch[0].get("resume") for batch in jobs.batches] == ["last", None, None]


def test_an_interrupted_trial_whose_run_had_ended_is_not_run_again(tune, tmp_path):
    def stopped(number, settings):
        if number == 1:
            (tmp_path / "1" / "metrics.json").write_text(json.dumps({"val/bpc": 0.125}))
            raise KeyboardInterrupt
        return rate_error(number, settings)

    with pytest.raises(KeyboardInterrupt):
        tune(stopped, RATE, n_trials=3)
    assert len(tune(rate_error, RATE, n_trials=3).batches) == 1
    assert trials_of(tmp_path)[1].values == [0.125]


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        ([], {}, "nothing to search"),
        ([RATE], {"n_trials": 0}, "hydra.sweeper.n_trials=0: a whole number, at least 1"),
        ([RATE], {"max_failures": 0}, "hydra.sweeper.max_failures=0: a whole number, at least 1"),
        (["optimizer.lr=interval(2,1)"], {}, "optimizer.lr=interval(2,1): `low <= high`"),
    ],
)
def test_what_cannot_be_a_study_is_refused_before_any_job(tune, tmp_path, arguments, settings, expected):
    with pytest.raises(UserError) as refusal:
        tune(lambda *_: pytest.fail("a job was started"), *arguments, **settings)
    assert expected in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", ["optimizer.lrr=interval(1,2)", "noise=choice(none,fixd)"])
def test_a_key_or_option_that_does_not_exist_is_refused_before_any_job(tune, tmp_path, argument):
    from graves_lm.commands.launch import one_line

    with pytest.raises(Exception, match=r"lrr|fixd") as refusal:
        tune(lambda *_: pytest.fail("a job was started"), argument)
    assert one_line(refusal.value, "train").startswith(argument.split("=")[0])
    assert list(tmp_path.iterdir()) == []


def test_the_time_left_is_reckoned_from_the_trials_of_this_command(tmp_path, monkeypatch):
    run_all(tmp_path, 2)
    clock = iter([100.0, 220.0])
    monkeypatch.setattr("graves_lm.sweeps.trials.time", SimpleNamespace(monotonic=lambda: next(clock)))
    it = study(tmp_path)
    progress = Progress(it, 5, "val/bpc")
    (trial,) = it.reserve(1, 5)
    it.tell(trial.number, TrialState.COMPLETE, 1.0)
    line = progress.line(trial.number, SimpleNamespace(state=TrialState.COMPLETE, text="val/bpc 1.0000"))
    assert line.endswith("; about 4 min left")
    assert "3 of 5 finished" in line


def test_run_trials_is_what_the_plugin_calls():
    assert run_trials.__module__ == "graves_lm.sweeps.trials"
    assert StudySweeper.__module__.startswith("hydra_plugins.")
