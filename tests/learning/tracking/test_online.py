"""The online path against a stand-in server, healthy and ill, with the command as a user starts it.

Each test starts processes, and the client has waits of its own: all are slow.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.learning.tracking.datastore import read_run
from tests.learning.tracking.stand_in import ENTITY, KEY, StandIn
from tests.runs import write_text

pytestmark = pytest.mark.slow

TINY = (
    "data=textfile",
    "data.source=text.txt",
    "data.batch_size=4",
    "data.length=10",
    "data.warm_up=5",
    "data.eval_batch_size=2",
    "model.network.hidden_size=8",
    "model.network.layers=1",
    "sampler.length=20",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "+trainer.enable_progress_bar=false",
    "callbacks.progress=null",
    "checkpoint_every=2",
    "logger.wandb.finish_timeout=10",
)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of W&B's that is set on this machine, and its caches in `folder`."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    places = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return plain | places | {"OMP_NUM_THREADS": "1", "NETRC": str(folder / "none")} | more


def start(
    folder: Path, server: dict[str, str], *overrides: str, quiet: bool = True
) -> subprocess.CompletedProcess:
    """Train, successfully, and, unless not `quiet`, without any traceback."""
    if not (folder / "text.txt").exists():
        write_text(folder)
    command = [sys.executable, "-m", "graves_lm.train", *TINY, "run_dir=run", *overrides]
    result = subprocess.run(
        command, cwd=folder, env=environment(folder, **server), capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert not quiet or "Traceback" not in result.stderr
    return result


@pytest.fixture
def server() -> Iterator[StandIn]:
    with closing(StandIn()) as stand_in:
        yield stand_in


def sync_command(result: subprocess.CompletedProcess) -> list[str]:
    """The command with which to upload, as the one line about it says."""
    (found,) = re.findall(r"(wandb sync \S+)", result.stdout)
    return [sys.executable, "-m", *found.split()]


def test_everything_reaches_a_healthy_server_and_resuming_goes_on(tmp_path, server):
    result = start(tmp_path, server.environment(), "trainer.max_steps=4", "logger.wandb.group=g")
    assert "W&B" not in result.stdout + result.stderr  # nothing to say
    assert server.unknown == []
    ((name, run),) = server.runs.items()
    assert (run["project"], run["groupName"], run["jobType"]) == ("graves_lm", "g", "train")
    assert set(run["tags"]) == {"character", "textfile"}
    assert '"hidden_size":8' in run["config"].replace(" ", "")
    rows = server.history(name)
    assert [row["trainer/global_step"] for row in rows if "train/bpc" in row] == [0, 1, 2, 3]
    figures = [row["val/bpc"] for row in rows if "val/bpc" in row]
    assert server.summary(name)["val/bpc"] == pytest.approx({"min": min(figures), "last": figures[-1]})
    assert server.ended[name] == 0
    assert any(path.startswith(f"{name}/media/table/samples/") for path in server.uploads)

    kinds = {a["artifactTypeName"] for a in server.artifacts}
    assert kinds == {"dataset", "model", "run_table"}
    assert all(a["committed"] for a in server.artifacts)
    models = [a for a in server.artifacts if a["artifactTypeName"] == "model"]
    assert {a["artifactCollectionName"] for a in models} == {f"checkpoint-{name}"}
    assert {alias["alias"] for a in models for alias in a["aliases"]} == {"best", "last", "latest"}
    checkpoints = [(tmp_path / "run" / "checkpoints" / f"{a}.ckpt").read_bytes() for a in ("best", "last")]
    assert all(content in server.uploads.values() for content in checkpoints)
    (data,) = [i for i, a in enumerate(server.artifacts) if a["artifactTypeName"] == "dataset"]
    assert f'"artifact-{data}"' in json.dumps(server.used)

    start(tmp_path, server.environment(), "trainer.max_steps=6", "resume=last")
    assert list(server.runs) == [name]
    rows = server.history(name)
    assert [row["trainer/global_step"] for row in rows if "train/bpc" in row] == [0, 1, 2, 3, 4, 5]


def test_an_offline_run_is_uploaded_by_the_command_that_it_names(tmp_path, server):
    result = start(tmp_path, {}, "trainer.max_steps=2")  # no credentials
    assert result.stdout.count("W&B: offline, no credentials") == 1
    assert server.log == []
    command = sync_command(result)
    uploading = environment(tmp_path, **server.environment())
    done = subprocess.run(command, cwd=tmp_path, env=uploading, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (name,) = server.runs
    assert (tmp_path / "run" / "wandb_id.txt").read_text().strip() == name
    assert len([row for row in server.history(name) if "train/bpc" in row]) == 2
    assert {a["artifactTypeName"] for a in server.artifacts} == {"dataset", "model", "run_table"}
    assert len(server.used) >= 1


@pytest.mark.parametrize("trouble", ["error", "hang", "refuse"])
def test_a_server_that_fails_in_mid_run_loses_nothing(tmp_path, trouble):
    with closing(StandIn(trouble, healthy=1)) as ill:
        result = start(tmp_path, ill.environment(), "trainer.max_steps=4")
        said = result.stdout + result.stderr
        assert "wandb sync" in said
        (folder,) = (tmp_path / "run" / "wandb").glob("run-*")
        run = read_run(folder)
        assert [step for step, _ in run.values("train/bpc")] == [0, 1, 2, 3]
        assert len(run.values("val/bpc")) >= 2
        assert len(run.artifact("model")) == 2
    with closing(StandIn()) as well:
        command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(folder)]
        uploading = environment(tmp_path, **well.environment())
        subprocess.run(command, cwd=tmp_path, env=uploading, check=True, capture_output=True)
        (name,) = well.runs
        assert len([row for row in well.history(name) if "train/bpc" in row]) == 4
        assert "model" in {a["artifactTypeName"] for a in well.artifacts}


def test_a_server_that_is_down_or_refuses_the_key_means_an_offline_run(tmp_path):
    settings = ["trainer.max_steps=2", "logger.wandb.init_timeout=3"]
    down = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": KEY, "WANDB_ENTITY": ENTITY}
    result = start(tmp_path, down, *settings)
    assert result.stdout.count("W&B: offline, the server cannot be used (") == 1
    sync_command(result)
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert len(read_run(folder).values("train/bpc")) == 2


DIES = """
import os, pathlib, signal
from lightning.pytorch import Callback

class KillClient(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 2:
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                stat = (process / "stat").read_text().rpartition(") ")[2].split()
                if int(stat[1]) == os.getpid() and "wandb" in (process / "comm").read_text():
                    os.kill(int(process.name), signal.SIGKILL)
"""


def test_the_death_of_the_client_does_not_end_the_run(tmp_path, server):
    (tmp_path / "dies.py").write_text(DIES)
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    more = ["trainer.max_steps=4", "+callbacks.dies._target_=dies.KillClient"]
    # The package itself writes a traceback when the interpreter ends, which is not ours to stop.
    result = start(tmp_path, server.environment() | {"PYTHONPATH": path}, *more, quiet=False)
    assert "training goes on" in result.stdout
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_jobs_of_a_sweep_are_runs_of_one_group(tmp_path):
    write_text(tmp_path)
    command = [sys.executable, "-m", "graves_lm.train", "-m", *TINY, "name=net", "trainer.max_steps=2"]
    command += ["optimizer.lr=1e-3,1e-2", "hydra.sweep.dir=logs/rates", "logger=[wandb,csv]"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    jobs = [tmp_path / "logs" / "rates" / str(job) for job in (0, 1)]
    runs = [read_run(next((job / "wandb").glob("offline-run-*"))) for job in jobs]
    assert [run.run.run_group for run in runs] == ["rates", "rates"]
    assert [run.run.display_name for run in runs] == ["net-0", "net-1"]
    assert [run.config["optimizer"]["lr"] for run in runs] == [0.001, 0.01]
    assert runs[0].run.run_id != runs[1].run.run_id
    assert all(len(run.values("train/bpc")) == 2 and run.exit_code == 0 for run in runs)
    assert all((job / "csv" / "metrics.csv").is_file() for job in jobs)  # both loggers


def test_the_dashboard_is_saved(tmp_path, server):
    pytest.importorskip("wandb_workspaces", reason="the extra `dashboard` is not installed")
    command = [sys.executable, "-m", "graves_lm.dashboard", f"entity={ENTITY}", "project=pens"]
    settings = environment(tmp_path, **server.environment())
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (view,) = server.views
    assert (view["entityName"], view["projectName"], view["displayName"]) == (ENTITY, "pens", "Sequences")
    assert all(f"val/{figure}" in view["spec"] for figure in ("bpc", "nll_per_line", "sse"))
    refused = subprocess.run(
        command, cwd=tmp_path, env=settings | {"WANDB_API_KEY": "short"}, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert refused.stderr.count("graves_lm dashboard: W&B did not save the view") == 1
