"""Two hosts, network namespaces joined by a cable: they train as one, and notice when one is gone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.commands.test_ddp import DDP
from tests.runs import run_on, write_text

ADDRESSES = ("10.77.31.1", "10.77.31.2")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Hosts:
    """Two namespaces and a pair of connected interfaces."""

    def __init__(self) -> None:
        self.names = [f"graves-{os.getpid()}-{n}" for n in range(2)]
        self.links = [f"gl{os.getpid() % 100000}-{n}" for n in range(2)]
        for name in self.names:
            ip("netns", "add", name)
        ip("link", "add", self.links[0], "type", "veth", "peer", "name", self.links[1])
        for name, link, address in zip(self.names, self.links, ADDRESSES, strict=True):
            ip("link", "set", link, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def start(self, host: int, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        """`torchrun` on a host, as a process group of its own."""
        command = ["ip", "netns", "exec", self.names[host], sys.executable, "-m", "torch.distributed.run"]
        command += ["--nnodes=2", "--nproc-per-node=1", f"--node-rank={host}"]
        command += [
            f"--master-addr={ADDRESSES[0]}",
            "--master-port=29531",
            "-m",
            "graves_lm.train",
            *arguments,
        ]
        environment = os.environ | {"GLOO_SOCKET_IFNAME": self.links[host], "OMP_NUM_THREADS": "1"}
        with open(log, "wb") as file:
            return subprocess.Popen(
                command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def cut(self) -> None:
        """Neither host hears anything of the other from now on."""
        ip("-n", self.names[1], "link", "set", self.links[1], "down")

    def mend(self) -> None:
        ip("-n", self.names[1], "link", "set", self.links[1], "up")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.fixture
def hosts():
    if shutil.which("ip") is None:
        pytest.skip("no `ip` (iproute2) to make network namespaces with")
    try:
        made = Hosts()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
    yield made
    made.remove()


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def kill(process: "subprocess.Popen[bytes]") -> None:
    """The launcher and, since a dead host keeps nothing, its workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [process.pid, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_two_hosts_train_as_one_and_end_when_one_is_lost(tmp_path, hosts, how):
    source = write_text(tmp_path)
    settings = [*run_on(source, tmp_path / "cache"), *DDP, "name=test", "logger=none", "checkpoint_every=5"]
    settings += ["callbacks.samples=null", "callbacks.progress=null", "+trainer.enable_progress_bar=false"]
    settings += ["trainer.max_steps=400", "trainer.max_epochs=-1", "trainer.log_every_n_steps=1"]
    one, two = tmp_path / "one", tmp_path / "two"
    command = [sys.executable, "-m", "graves_lm.train", *settings, f"run_dir={one}"]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    over_two = [*settings, "trainer.devices=1", "trainer.num_nodes=2", f"run_dir={two}", "resume=last"]

    logs = [tmp_path / f"host-{n}.log" for n in range(2)]
    first, second = (hosts.start(n, logs[n], *over_two) for n in range(2))
    last = two / "checkpoints" / "last.ckpt"
    while not last.is_file():
        assert first.poll() is None, logs[0].read_text()
        assert second.poll() is None, logs[1].read_text()
        time.sleep(0.05)
    lost_at = time.monotonic()
    if how == "cut off":
        hosts.cut()
    kill(second)
    status = first.wait(timeout=120)
    assert status != 0
    print(f"{how}: the first host ended after {time.monotonic() - lost_at:.1f} s")
    told = [line for line in logs[0].read_text().splitlines() if line.startswith("graves_lm train: ")]
    expected = "lost the connection to another process" if how == "killed" else "no sign of life from rank 1"
    assert len(told) == 1, logs[0].read_text()
    assert expected in told[0]
    assert "resume=last" in told[0]
    step = torch.load(last, weights_only=True)["global_step"]
    assert 5 <= step < 400

    hosts.mend()
    again = [hosts.start(n, logs[n], *over_two) for n in range(2)]
    assert [process.wait(timeout=600) for process in again] == [0, 0], logs[0].read_text()
    assert torch.load(last, weights_only=True)["global_step"] == 400
    ours, theirs = weights(two), weights(one)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
