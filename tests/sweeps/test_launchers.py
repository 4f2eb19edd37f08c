"""Multiruns as they are called: every launcher gives each job its own settings, and the same figures."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.runs import write_text
from tests.test_commands import TINY, call, run_process  # noqa: F401

PACKAGES = {
    "joblib": "hydra_joblib_launcher",
    "submitit": "hydra_submitit_launcher",
    "ray": "hydra_ray_launcher",
}
JOBS = ("optimizer.lr=1e-3,3e-4", "seed=1,2")
ARGUMENTS = (*(a for a in TINY if not a.startswith("run_dir")), "callbacks.samples=null")


def needs(launcher: str) -> None:
    package = PACKAGES.get(launcher)
    if package and (not find_spec("hydra_plugins") or not find_spec(f"hydra_plugins.{package}")):
        pytest.skip(f"the plugin of launcher={launcher} is not installed")


def multirun(folder: Path, *arguments: str):
    command = [sys.executable, "-m", "graves_lm.train", "-m", *ARGUMENTS, "data.source=text.txt", *arguments]
    return run_process(command, folder)


def figures(sweep: Path) -> list[tuple[float, int, float]]:
    """(rate, seed, figure) of each job, as its own files say."""
    found = []
    for number in range(4):
        config = OmegaConf.load(sweep / str(number) / "config.yaml")
        record = json.loads((sweep / str(number) / "metrics.json").read_text())
        assert config.run_dir == str(sweep / str(number))
        assert record["seed"] == config.seed
        found.append((config.optimizer.lr, config.seed, record["val/bpc"]))
    return found


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    write_text(folder)
    result = multirun(folder, *JOBS, "hydra.sweep.dir=sweep")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
def test_jobs_have_their_own_settings(one_by_one):
    found = figures(one_by_one / "sweep")
    assert [(lr, seed) for lr, seed, _ in found] == [(1e-3, 1), (1e-3, 2), (3e-4, 1), (3e-4, 2)]
    assert found[0][2] != found[1][2]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit"])
def test_launchers_give_the_figures_of_jobs_one_by_one(one_by_one, launcher):
    """In other processes, with other threads; nothing of one job is left in the next."""
    needs(launcher)
    result = multirun(one_by_one, *JOBS, f"launcher={launcher}", f"hydra.sweep.dir={launcher}")
    assert result.returncode == 0, result.stderr
    for theirs, ours in zip(figures(one_by_one / launcher), figures(one_by_one / "sweep"), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-6)


@pytest.mark.slow
def test_a_failing_job_leaves_the_others(tmp_path):
    write_text(tmp_path)
    result = multirun(tmp_path, "data.batch_size=4000,4", "hydra.sweep.dir=sweep")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    reason = (tmp_path / "sweep" / "0" / "error.txt").read_text()
    assert "4000" in reason
    assert f"graves_lm train: {reason}" in result.stderr
    assert (tmp_path / "sweep" / "1" / "metrics.json").is_file()


@pytest.mark.slow
def test_a_study_as_it_is_called(tmp_path):
    """Real runs by the real plugin: the command ends with the study; called again, it has nothing to do."""
    pytest.importorskip("optuna", reason="the extra 'sweep' is not installed")
    write_text(tmp_path)
    space = ["sweep=study", "name=it", "optimizer.lr=tag(log,interval(1e-4,1e-1))"]
    result = multirun(tmp_path, *space, "hydra.sweeper.n_trials=2")
    assert result.returncode == 0, result.stderr
    assert "trial 1: val/bpc " in result.stdout
    folder = tmp_path / "logs" / "studies" / "it"
    first = OmegaConf.load(folder / "0" / ".hydra" / "overrides.yaml")
    assert "optimizer.lr=0.002" in first
    assert not any(override.startswith("hydra") for override in first)
    again = multirun(tmp_path, *space, "hydra.sweeper.n_trials=2")
    assert "2 trials finished, 0 of them pruned, 0 failed; best " in again.stdout
    assert "Launching" not in again.stdout
    other = multirun(tmp_path, *space[:2], "optimizer.lr=interval(1e-4,1e-1)")
    assert other.returncode == 2
    assert other.stderr.startswith(
        "graves_lm train: logs/studies/it holds another study: optimizer.lr was tag(log"
    )
    assert other.stderr.count("\n") == 1


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["model.network.hiden_size=1,2"], "did you mean 'hidden_size'?"),
        (["model=character,stroke", "optimizer.lrr=1,2"], "optimizer.lrr: no such setting under 'optimizer'"),
        (["model=character,strok"], "model=strok: no such option of 'model'; did you mean 'stroke'?"),
        (["seed=range(3,1)"], "seed=range(3,1): nothing is in it, so there is no job to run"),
        (["experiment=glob(zz*)"], "experiment=glob(zz*): nothing is in it, so there is no job to run"),
        (["optimizer.lr=interval(1,2)"], "interval(…) is for studies: add sweep=study"),
        (["sweep=charcter"], "sweep=charcter: no such option of 'sweep'; did you mean 'character'?"),
        (["launcher=joblb"], "launcher=joblb: no such option of 'launcher'; did you mean 'joblib'?"),
        (["sweep=study", "hydra.sweeper.ntrials=3"], "did you mean 'n_trials'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_any_job_starts(call, monkeypatch, arguments, expected):  # noqa: F811
    monkeypatch.setattr("graves_lm.learning.training.run", lambda cfg: pytest.fail("a job was started"))
    assert expected in call.refuse("train", "-m", "hydra.sweep.dir=sweep", *arguments)
    assert not [path for path in (call.folder / "sweep").glob("*/") if path.name.isdecimal()]


@pytest.mark.parametrize("launcher", ["joblib", "submitit", "slurm", "ray"])
def test_a_missing_plugin_is_named_with_its_extra(tmp_path, launcher):
    """As where the extra is not installed: Hydra then finds no plugins."""
    hide = "import sys; sys.modules['hydra_plugins'] = None; import graves_lm.train as t; t.main()"
    result = run_process([sys.executable, "-c", hide, "-m", f"launcher={launcher}", "seed=1,2"], tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith(
        f"is not installed: pip install 'graves-lm[{'ray' if launcher == 'ray' else 'sweep'}]'\n"
    )
    assert os.listdir(tmp_path) == []
