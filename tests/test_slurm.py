"""SLURM itself, one host with its own controller: `srun` trains, a sweep's jobs are jobs of it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from graves_lm.sweeps.runs import find_runs
from tests.commands.test_ddp import DDP
from tests.runs import run_on, write_text

pytestmark = pytest.mark.slow
DAEMONS = ("munged", "mungekey", "slurmctld", "slurmd")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


def start_cluster(folder: Path) -> list["subprocess.Popen[bytes]"]:
    """A controller and this host as its only node of 2 CPUs; SLURM_CONF in the environment says where."""
    name, key, munge = socket.gethostname().split(".")[0], folder / "munge.key", folder / "munge.socket"
    subprocess.run(["mungekey", f"--keyfile={key}"], check=True)
    (folder / "slurm.conf").write_text(
        f"""ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
AuthType=auth/munge
AuthInfo=socket={munge}
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
NodeName={name} NodeAddr=127.0.0.1 CPUs=2
PartitionName=all Nodes={name} Default=YES State=UP
"""
    )
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    files = (f"--log-file={folder}/munge.log", f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/seed")
    commands = (
        ["munged", "--foreground", "--force", f"--socket={munge}", f"--key-file={key}", *files],
        ["slurmctld", "-D"],
        ["slurmd", "-D"],
    )
    daemons = []
    for command in commands:
        with open(folder / f"{command[0]}.log", "wb") as log:
            path = shutil.which(command[0])
            daemons.append(subprocess.Popen([path, *command[1:]], stdout=log, stderr=log))
        time.sleep(1)
    return daemons


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no SLURM to start here: {', '.join(missing) or 'only root may'}")
    folder = tmp_path_factory.mktemp("slurm")
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
            patch.delenv(name)
    patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    patch.setenv("OMP_NUM_THREADS", "1")
    daemons = start_cluster(folder)
    try:
        for _ in range(60):
            state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
            if state.stdout.strip() == "idle":
                break
            time.sleep(0.5)
        else:
            pytest.skip(f"SLURM does not start here: {state} {(folder / 'slurmctld.log').read_text()[-500:]}")
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(60)
        patch.undo()


def srun(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["srun", "--ntasks-per-node=2", *arguments], capture_output=True, text=True)


def train(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "graves_lm.train", *overrides]


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_srun_trains_as_processes_started_without_it(slurm, tmp_path):
    text = write_text(tmp_path)
    settings = [*run_on(text, tmp_path / "cache"), *DDP, "trainer.max_steps=4", "logger=none"]
    done = srun(*train(*settings, f"run_dir={tmp_path / 'srun'}"))
    assert done.returncode == 0, done.stderr
    subprocess.run(train(*settings, f"run_dir={tmp_path / 'own'}"), check=True, capture_output=True)
    srun_made, own = weights(tmp_path / "srun"), weights(tmp_path / "own")
    assert all(torch.equal(srun_made[name], own[name]) for name in own)


def test_jobs_of_a_sweep_are_jobs_of_slurm_with_several_processes(slurm, tmp_path):
    text = write_text(tmp_path)
    settings = [
        *run_on(text, tmp_path / "cache"),
        *DDP,
        "trainer.max_steps=2",
        "logger=none",
        "optimizer.lr=1e-3,1e-4",
    ]
    launcher = ["launcher=slurm", "hydra.launcher.tasks_per_node=2", "hydra.launcher.cpus_per_task=1"]
    sweep = tmp_path / "sweep"
    done = subprocess.run(
        train("-m", *settings, *launcher, f"hydra.sweep.dir={sweep}"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [run.status for run in find_runs(sweep)] == ["finished"] * 2
    for job, rate in enumerate(("0.001", "0.0001")):
        said = "".join(path.read_text() for path in (sweep / ".submitit").glob(f"*_{job}/*_log.*"))
        said += (sweep / str(job) / "logs" / "rank1.log").read_text()
        for rank in range(2):
            assert f"rank {rank} of 2 on" in said
        assert said.count(f"optimizer.lr={rate},") == 2


def test_what_was_asked_of_slurm_and_of_the_trainer_must_agree(slurm, tmp_path):
    text = write_text(tmp_path)
    settings = [*run_on(text, tmp_path / "cache"), *DDP, f"run_dir={tmp_path / 'run'}"]
    for more, message in (
        (["trainer.devices=1"], "SLURM started 2 process(es), but trainer.devices=1 on each of"),
        (["-m"], "-m under SLURM: every process would run the whole sweep"),
    ):
        done = srun(*train(*settings, *more))
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = subprocess.run(["srun", "-n", "2", *train(*settings)], capture_output=True, text=True)
    assert "ask for as many on each host as it has devices: srun --nodes=1 --ntasks-per-node=2" in done.stderr
    assert "Traceback" not in done.stderr
