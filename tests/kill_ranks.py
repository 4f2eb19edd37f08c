"""Kill processes of a run with signal 9 at random moments, restart it each time, and compare it at the end
with an unbroken run.

    python tests/kill_ranks.py [--kills 20] [--processes 2] [--seed 0]

A run on two processes has three: the one that starts the others, and two ranks. After each kill every
process must end, no checkpoint may be unreadable, and the restarted run must go on from the last one; at the
end all weights must be those of the unbroken run to the last bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.runs import run_on, write_text

DEADLINE = 300.0  # seconds that any wait may take on a busy machine


def command(run_dir: Path, source: Path, processes: int, steps: int) -> list[str]:
    settings = [*run_on(source, source.parent / "cache"), f"run_dir={run_dir}", "name=test", "logger=none"]
    settings += [f"trainer.devices={processes}", f"trainer.max_steps={steps}", "trainer.max_epochs=-1"]
    settings += ["trainer.val_check_interval=50", "trainer.limit_val_batches=2", "checkpoint_every=7"]
    settings += [
        "callbacks.progress=null",
        "+trainer.enable_progress_bar=false",
        "trainer.log_every_n_steps=1",
    ]
    return [sys.executable, "-m", "graves_lm.train", *settings, "resume=last", "noise=fixed"]


def start(arguments: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with open(log, "ab") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(arguments, env=environment, stdout=file, stderr=subprocess.STDOUT)


def family(pid: int) -> list[int]:
    """The process and its children that run, the children in the order of their ranks."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {DEADLINE:.0f} s")
        time.sleep(0.02)


def saved_steps(run_dir: Path) -> int:
    """The step of `last.ckpt`; every checkpoint there is must be readable."""
    steps = 0
    for path in (run_dir / "checkpoints").glob("*.ckpt"):
        saved = torch.load(path, map_location="cpu", weights_only=True)
        steps = saved["global_step"] if path.name == "last.ckpt" else steps
    return steps


def kill_at_random(run_dir: Path, arguments: list[str], choose: random.Random) -> str:
    """Start the run, kill one of its processes, and see all of them end. What was killed, and when."""
    last = run_dir / "checkpoints" / "last.ckpt"
    before = last.stat().st_mtime_ns if last.exists() else None
    process = start(arguments, run_dir / "output.log")
    if choose.random() < 0.2:
        moment = choose.uniform(0.5, 8.0)  # while it starts
    else:
        wait_until(
            lambda: process.poll() is not None or (last.exists() and last.stat().st_mtime_ns != before),
            "a checkpoint",
        )
        moment = choose.uniform(0.0, 0.3)
    time.sleep(moment)
    pids = family(process.pid)
    if not pids or process.poll() is not None:
        raise SystemExit(f"the run ended before it was killed, with status {process.poll()}; see {run_dir}")
    which = choose.randrange(len(pids))
    os.kill(pids[which], signal.SIGKILL)
    process.wait(DEADLINE)
    wait_until(lambda: not any(running(pid) for pid in pids), "the end of all processes")
    if process.returncode == 0:
        raise SystemExit("the run went on without a killed process")
    return "the starting process" if which == 0 else f"rank {which - 1}"


def main(kills: int, processes: int, seed: int, folder: Path) -> None:
    choose, source = random.Random(seed), write_text(folder, repeats=200)
    steps = 60 * (kills + 2)
    unbroken, killed = folder / "unbroken", folder / "killed"
    for run_dir in (unbroken, killed):
        run_dir.mkdir()
    whole = start(command(unbroken, source, processes, steps), unbroken / "output.log")
    if whole.wait():
        raise SystemExit((unbroken / "output.log").read_text())
    arguments = command(killed, source, processes, steps)
    for number in range(1, kills + 1):
        what = kill_at_random(killed, arguments, choose)
        print(f"kill {number} of {kills}: {what}; last.ckpt is of step {saved_steps(killed)}", flush=True)
    if start(arguments, killed / "output.log").wait():
        raise SystemExit((killed / "output.log").read_text())
    ours, theirs = (
        torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True) for run_dir in (killed, unbroken)
    )
    assert ours["global_step"] == theirs["global_step"] == steps
    for name, weight in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], weight), name
    print(f"{kills} kills, {steps} steps: the weights are those of the unbroken run to the last bit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        main(given.kills, given.processes, given.seed, Path(name))
