"""Several processes begin and end together, have their own job's settings, and find the same figures."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from graves_lm.commands import ddp
from graves_lm.commands.launch import CONF
from graves_lm.runtime.errors import LostPeer, RankFailed, Stopped, UserError
from tests.rank_jobs import evaluate_each
from tests.runs import compose_run, run_on, train, write_text, write_waves

DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true")


@pytest.fixture(autouse=True)
def _nothing_started_this_process(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
            monkeypatch.delenv(name)


@pytest.fixture
def as_a_job(tmp_path):
    """Hydra's part of a job's settings, which workers are given with the rest."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [f"run_dir={tmp_path / 'run'}"], return_hydra_config=True)
    before = HydraConfig.instance().cfg
    with open_dict(cfg.hydra.runtime):
        cfg.hydra.runtime.output_dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    HydraConfig.instance().set_config(cfg)
    yield
    HydraConfig.instance().cfg = before


def trainer_of(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides)).trainer


# --- what is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        ([], 1),
        (["trainer.devices=auto"], 1),
        (["trainer.devices=3"], 3),
        (["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"], 2),
        (["trainer=ddp"], 4),
        (["trainer=ddp", "trainer.devices=-1"], 4),
        (["trainer=ddp", "trainer.devices=2"], 2),
        (["trainer=ddp", "trainer.devices=[1,3]"], 2),
        (["trainer=gpu"], 1),
    ],
)
def test_devices_of_a_machine_with_four(monkeypatch, overrides, count):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert ddp.devices(trainer_of(*overrides)) == count


def test_without_a_gpu_auto_means_the_cpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert ddp.devices(trainer_of("trainer.accelerator=auto")) == 1
    assert ddp.devices(trainer_of("trainer.accelerator=auto", "trainer.devices=2")) == 2


@pytest.mark.parametrize(
    ("found", "overrides", "message"),
    [
        (4, ["trainer=ddp", "trainer.devices=5"], r"trainer\.devices=5: .* has 4 CUDA device"),
        (4, ["trainer=ddp", "trainer.devices=[0,4]"], r"trainer\.devices=\[0, 4\]: .* has 4 CUDA device"),
        (4, ["trainer=ddp", "trainer.devices=0"], r"trainer\.devices=0"),
        (4, ["trainer=ddp", "trainer.devices=many"], r"trainer\.devices=many: a number, a list"),
        (0, ["trainer=ddp"], r"trainer\.accelerator=gpu: no CUDA device found"),
        (0, ["trainer=gpu"], r"trainer\.accelerator=gpu: no CUDA device found"),
        (0, ["trainer.devices=0"], r"trainer\.devices=0: on CPUs a number of processes"),
        (0, ["trainer.devices=many"], r"trainer\.devices=many: on CPUs a number of processes"),
    ],
)
def test_devices_that_are_not_there(monkeypatch, found, overrides, message):
    monkeypatch.setattr("torch.cuda.device_count", lambda: found)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(UserError, match=message):
        ddp.devices(trainer_of(*overrides))


@pytest.mark.parametrize(
    ("overrides", "started"),
    [
        ([], 0),
        (["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1"], 1),
        (["trainer.devices=2"], 2),
    ],
)
def test_one_process_works_here_unless_it_is_to_listen_for_others(monkeypatch, overrides, started):
    monkeypatch.setattr(ddp, "start", lambda function, cfg, here, hosts: here * hosts)
    monkeypatch.setattr(ddp, "call", lambda function, cfg: 0)
    assert ddp.run("f", OmegaConf.create({"trainer": trainer_of(*overrides)})) == started


@pytest.mark.parametrize(
    ("environment", "outside", "place"),
    [
        ({}, None, (0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, None, (0, 1)),  # of something else
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}, "torchrun", (1, 2)),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_JOB_NAME": "train"}, "SLURM", (3, 4)),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "interactive"}, None, (0, 1)),
        # One task for the whole job: the processes are then ours to start.
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "train"}, None, (0, 1)),
    ],
)
def test_who_started_the_processes(monkeypatch, environment, outside, place):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ddp.started_by() == outside
    assert ddp.place() == place


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "MASTER_ADDR, MASTER_PORT, NODE_RANK not set; on each host set"),
        ({"MASTER_ADDR": "h", "NODE_RANK": "0"}, "MASTER_PORT not set"),
        ({"MASTER_ADDR": "h", "MASTER_PORT": "x", "NODE_RANK": "0"}, "MASTER_PORT=x: a port is"),
        ({"MASTER_ADDR": "h", "MASTER_PORT": "1", "NODE_RANK": "2"}, "NODE_RANK=2: a number from 0 to 1"),
    ],
)
def test_a_missing_rendezvous(monkeypatch, as_a_job, environment, message):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        ddp.rendezvous_settings(2)


def test_hosts_that_do_not_come_are_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(ddp, "RENDEZVOUS", ddp.timedelta(seconds=2))
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"MASTER_PORT={port}: in use on this host"):
            ddp.open_store(0, "127.0.0.1", port, 2)
    with pytest.raises(UserError, match=rf"no run with 2 hosts answered at 127\.0\.0\.1:{port} within 2 s"):
        ddp.open_store(1, "127.0.0.1", port, 2)
    with pytest.raises(UserError, match=r"not all of the 2 hosts came to 127\.0\.0\.1:\d+ within 2 s"):
        ddp.open_store(0, "127.0.0.1", port, 2)


# --- beginning and ending together ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        (
            "raise",
            RankFailed,
            r"^rank 1 ended with status 1 \(ValueError: something broke\); see .*rank1\.log",
        ),
        ("refuse", UserError, "^nothing to learn; give more$"),
        ("kill", RankFailed, "^rank 1 was killed by SIGKILL; the run's other processes were ended"),
    ],
)
def test_one_rank_that_fails_ends_the_run_with_its_error(tmp_path, as_a_job, how, kind, message):
    cfg = OmegaConf.create({"run_dir": str(tmp_path / "run"), "how": how})
    with pytest.raises(kind, match=message) as caught:
        ddp.start("tests.rank_jobs.misbehave", cfg, 2, 1)
    assert not isinstance(caught.value, LostPeer)
    log = (tmp_path / "run" / "logs" / "rank1.log").read_text()
    assert "rank 1 speaking" in log
    assert ("ValueError: something broke" in log) == (how == "raise")


def listening(pids: list[int]) -> set[str]:
    """The addresses, as the kernel writes them, at which these processes listen for others."""
    found = {}
    for table in ("tcp", "tcp6"):
        for row in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *more = row.split()
            if state == "0A":
                found[f"socket:[{more[5]}]"] = local.split(":")[0]
    sockets = [os.readlink(fd) for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return {found[name] for name in sockets if name in found}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's tables")
def test_a_job_is_heard_on_this_host_alone_and_leaves_nothing_when_killed(tmp_path):
    """Its workers end with the process that started them."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    program = (
        "from tests.commands.test_ddp import *; import pathlib\n"
        f"run_dir = pathlib.Path({str(tmp_path)!r})\n"
        "with initialize_config_dir(str(CONF), version_base='1.3'):\n"
        "    cfg = compose('train', [f'run_dir={run_dir}'], return_hydra_config=True)\n"
        "with open_dict(cfg.hydra.runtime): cfg.hydra.runtime.output_dir = str(run_dir)\n"
        "HydraConfig.instance().set_config(cfg)\n"
        "ddp.start('tests.rank_jobs.misbehave',"
        " OmegaConf.create({'run_dir': str(run_dir), 'how': 'leave'}), 2, 1)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    files = [tmp_path / f"pid-{rank}" for rank in range(2)]
    while not all(file.is_file() and file.read_text() for file in files):
        assert parent.poll() is None
        time.sleep(0.1)
    workers = [int(file.read_text()) for file in files]
    loopback = {"0100007F", "0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F"}
    assert listening([parent.pid]) == {"0100007F"}
    assert listening(workers) <= loopback
    assert listening(workers)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    left = [path for path in temporary.iterdir() if not path.name.startswith("torchinductor_")]
    assert left == []


def test_the_processes_of_one_host_use_its_inner_network_unless_told(monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "eth0")
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(2, "eth0"), (1, "lo")])
    assert ddp.among_themselves() == {"GLOO_SOCKET_IFNAME": "lo"}
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(2, "eth0")])
    assert ddp.among_themselves() == {}


def test_a_stop_is_told_apart_from_a_failure():
    told = {0: {"status": 143, "message": "saved", "mine": True, "lost": False}, 1: {}}
    assert isinstance(ddp.first_failure({1: 1, 0: 143}, told, "run", stopped=False), Stopped)
    assert isinstance(ddp.first_failure({1: -15}, told, "run", stopped=True), Stopped)
    assert isinstance(ddp.first_failure({1: -9}, told, "run", stopped=False), RankFailed)


# --- the same figures -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A tiny checkpoint of each task; 23, 5 and 5 lines or streams are divided among 2 and 3 unevenly."""
    folder = tmp_path_factory.mktemp("trained")
    text, waves, generated = write_text(folder), write_waves(folder), folder / "generated"
    generated.mkdir()
    quick = ("trainer.max_steps=4", "callbacks.samples=null")
    return {
        "character": train(folder / "character", text, *quick)["checkpoint"],
        "stroke": train(folder / "stroke", waves, *quick)["checkpoint"],
        "synthesis": train(folder / "synthesis", generated, "model=synthesis", *quick)["checkpoint"],
    }


def data_of(task: str, folder: Path) -> list[str]:
    """Where the data of a checkpoint lie, which it does not say."""
    if task == "synthesis":
        return [f"data.cache_dir={folder / 'generated'}"]
    source = folder / ("text.txt" if task == "character" else "ink.json")
    return [f"data.source={source}", f"data.cache_dir={folder / 'cache'}"]


@pytest.mark.slow
def test_figures_are_the_same_from_one_two_and_three_processes(tmp_path, checkpoints, as_a_job):
    found = {}
    for world in (1, 2, 3):
        evaluations = {}
        for name, ckpt in checkpoints.items():
            run_dir = tmp_path / f"{name}-{world}"
            run_dir.mkdir()
            batch = {"character": 5, "stroke": 2, "synthesis": 2}[name]
            split = "train" if name == "stroke" else "val"
            overrides = [f"ckpt={ckpt}", f"split={split}", f"trainer.devices={world}", f"run_dir={run_dir}"]
            overrides += data_of(name, Path(ckpt).parents[2])
            with initialize_config_dir(str(CONF), version_base="1.3"):
                evaluations[name] = compose("evaluate", [*overrides, f"data.eval_batch_size={batch}"])
            OmegaConf.resolve(evaluations[name])
        cfg = OmegaConf.create({"run_dir": str(tmp_path / "run"), "evaluations": evaluations})
        if world == 1:
            found[world] = evaluate_each(cfg)
        else:
            found[world] = ddp.start("tests.rank_jobs.evaluate_each", cfg, world, 1)
    for world in (2, 3):
        for name, figures in found[1].items():
            assert len(figures) >= 3
            assert found[world][name] == pytest.approx(figures, rel=1e-6, abs=0), (world, name)
    written = json.loads((tmp_path / "stroke-3" / "metrics.json").read_text())
    assert written["train/nll_per_line"] == found[3]["stroke"]["train/nll_per_line"]


# --- training -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_drawing_on_rank_0_and_fewer_batches_on_another_stall_nothing(tmp_path, as_a_job):
    """Five lines to validate on in batches of two on each of two processes: three, and two."""
    source = write_waves(tmp_path, 26)
    more = [*DDP, "trainer.max_steps=5", "trainer.val_check_interval=2", "data.eval_batch_size=1"]
    cfg = compose_run(tmp_path / "run", source, *more, "trainer.max_epochs=9")
    figure = ddp.start("tests.rank_jobs.train_with_slow_samples", cfg, 2, 1)
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figure == record["val/nll_per_line"]
    assert record["steps"] == 5  # validated after 2 and 5: an epoch has 3
    assert len(list((tmp_path / "run" / "samples").glob("step-*-density.png"))) == 2


@pytest.mark.slow
def test_each_rank_of_each_job_of_a_sweep_has_its_own_jobs_rate(tmp_path):
    source = write_text(tmp_path)
    command = [
        sys.executable,
        "-m",
        "graves_lm.train",
        "-m",
        "model=character",
        "optimizer.lr=1e-3,1e-4",
        *DDP,
    ]
    command += ["trainer.max_steps=5", f"hydra.sweep.dir={tmp_path / 'sweep'}", "logger=csv", "name=test"]
    command += [*run_on(source, tmp_path / "cache"), "callbacks.samples=null"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=600
    )
    assert result.returncode == 0, result.stderr
    for job, lr in ((0, "0.001"), (1, "0.0001")):
        run_dir = tmp_path / "sweep" / str(job)
        logs = [(run_dir / name).read_text() for name in ("train.log", "logs/rank1.log")]
        for rank, log in enumerate(logs):
            assert re.findall(r"rank (\d) of 2 .* optimizer\.lr=(\S+),", log) == [(str(rank), lr)]
        assert json.loads((run_dir / "metrics.json").read_text())["steps"] == 5
    # The sweep was run once: no rank made folders of its own.
    assert sorted(p.name for p in (tmp_path / "sweep").iterdir()) == ["0", "1", "multirun.yaml"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "sweep", "text.txt"]
