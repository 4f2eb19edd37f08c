"""End runs of the three tasks at random places, by signal 9, SIGTERM or Ctrl-C, move or copy their folders,
go on with other settings of saving, and compare each at the end with an unbroken run.

    python tests/kill_moves.py [--rounds 30] [--tasks character stroke synthesis] [--seed 0]

At the end the last weights, the optimiser's state, the best weights, metrics.json, the curves and the samples
must be those of the unbroken run to the last bit, and no other checkpoint may be there. Runs are forked from
this process, which has imported what takes long; each is the command as a user calls it.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import graves_lm.learning.training
import graves_lm.train
from tests.runs import run_on, write_text, write_waves

DEADLINE = 300.0  # seconds that any wait may take on a busy machine
STEPS = 240
RECIPES = {
    "character": ["noise=fixed", "trainer.accumulate_grad_batches=2", "trainer.val_check_interval=46"],
    "stroke": ["callbacks=ema", "trainer.val_check_interval=6"],
    "synthesis": ["model=synthesis", "noise=adaptive", "trainer.check_val_every_n_epoch=4"],
}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def arguments(task: str, run_dir: Path, source: Path) -> list[str]:
    settings = [*run_on(source, source.parent / "cache", *RECIPES[task]), *RECIPES[task]]
    settings += [f"run_dir={run_dir}", "name=test", "logger=csv", "trainer.log_every_n_steps=1"]
    settings += [f"trainer.max_steps={STEPS}", "trainer.max_epochs=-1", "+trainer.enable_progress_bar=false"]
    return [*settings, "callbacks.progress=null", "callbacks.early_stopping.patience=1000"]


def start(settings: list[str], log: Path) -> int:
    """The command in a process of its own; its id."""
    pid = os.fork()
    if pid:
        return pid
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["graves_lm.train", *settings]
    status = 1
    try:
        graves_lm.train.main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


def status_of(pid: int, wait: bool) -> int | None:
    """The exit status of a process, minus the signal that ended it; None while it runs."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found or not wait:
            return os.waitstatus_to_exitcode(status) if found else None
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise SystemExit(f"a run did not end within {DEADLINE:.0f} s")
        time.sleep(0.005)


def rows_of(run_dir: Path) -> list[dict[str, str]]:
    """The curves, without the rates, which are of the clock."""
    try:
        rows = list(csv.DictReader((run_dir / "csv" / "metrics.csv").open()))
    except OSError:
        return []
    return [{k: v for k, v in row.items() if v and not k.endswith("_per_second")} for row in rows]


def end_at(pid: int, run_dir: Path, step: int, choose: random.Random) -> tuple[str, int]:
    """Send the process a signal soon after the step is in the curves, or while it starts. What, and its
    status."""
    deadline = time.monotonic() + DEADLINE
    status, began = None, choose.random() < 0.1
    pause = choose.uniform(0.0, 1.0) if began else choose.choice([0.0, choose.uniform(0.0, 0.1)])
    while not began and (status := status_of(pid, wait=False)) is None and time.monotonic() < deadline:
        rows = rows_of(run_dir)
        if rows and rows[-1].get("step", "").isdecimal() and int(rows[-1]["step"]) >= step:
            break
        time.sleep(0.005)
    if status is not None:
        return "nothing: it had ended", status
    time.sleep(pause)
    what = choose.choice(SIGNALS)
    often = 2 if what == signal.SIGINT and choose.random() < 0.5 else 1
    for _ in range(often):
        if (status := status_of(pid, wait=False)) is not None:
            return "nothing: it had ended", status
        os.kill(pid, what)
        time.sleep(0.01)
    status = status_of(pid, wait=True)
    assert status is not None
    return what.name + (" twice" if often == 2 else ""), status


def displace(run_dir: Path, number: int, choose: random.Random) -> tuple[Path, str]:
    """Move or copy the folder of a run, or leave it."""
    way, there = choose.choice(["stays", "moved", "copied"]), run_dir.with_name(f"run-{number}")
    if way == "moved":
        run_dir.rename(there)
    elif way == "copied":
        shutil.copytree(run_dir, there)
    return (run_dir if way == "stays" else there), way


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint and, in one to go on from, the optimiser's state."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    found = saved["state_dict"] | {f"current/{k}": v for k, v in saved.get("current_model_state", {}).items()}
    if path.name == "last.ckpt":
        for i, state in saved["optimizer_states"][0]["state"].items():
            found |= {f"optimizer/{i}/{name}": value for name, value in state.items()}
    return found | {"step": torch.tensor(saved["global_step"])}


def compare(ours: Path, theirs: Path) -> None:
    """Raises AssertionError where a run is not the other."""
    for name in ("last.ckpt", "best.ckpt"):
        one, other = weights_of(ours / "checkpoints" / name), weights_of(theirs / "checkpoints" / name)
        assert one.keys() == other.keys(), name
        for key, value in other.items():
            assert torch.equal(one[key], value), f"{name}: {key}"
    assert sorted(path.name for path in (ours / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    one, other = (json.loads((run / "metrics.json").read_text()) for run in (ours, theirs))
    assert one | {"checkpoint": None} == other | {"checkpoint": None}
    one, other = rows_of(ours), rows_of(theirs)
    for row, wanted in zip(one, other, strict=False):
        assert row == wanted, f"curves: {row} in place of {wanted}"
    assert len(one) == len(other)
    samples = [{p.name: p.read_bytes() for p in (run / "samples").iterdir()} for run in (ours, theirs)]
    assert samples[0].keys() == samples[1].keys()
    assert samples[0] == samples[1], "samples"


def check(task: str, rounds: int, choose: random.Random, folder: Path) -> None:
    """Break a run so many times, and compare it with the unbroken one."""
    source = write_text(folder, repeats=30) if task == "character" else write_waves(folder)
    if task == "synthesis":
        source = folder / "cache"
        source.mkdir()
    whole, run_dir = folder / "unbroken", folder / "run"
    if status_of(start(arguments(task, whole, source), folder / "unbroken.log"), wait=True):
        raise SystemExit((folder / "unbroken.log").read_text())
    for number in range(1, rounds + 1):
        every, by_path = choose.choice([1, 2, 7, 50]), choose.random() < 0.3
        last = run_dir / "checkpoints" / "last.ckpt"
        resume = f"resume={last}" if by_path and last.is_file() else "resume=last"
        settings = [*arguments(task, run_dir, source), resume, f"checkpoint_every={every}"]
        step = (
            round(STEPS * number / rounds - choose.uniform(0, STEPS / rounds))
            if number < rounds
            else STEPS - 1
        )
        what, status = end_at(start(settings, folder / "run.log"), run_dir, step, choose)
        expected = {"SIGKILL": (-9,), "SIGTERM": (143, -15), "nothing: it had ended": (0,)}
        done = status == 0 and (run_dir / "metrics.json").is_file()  # it was ending by itself
        if status not in expected.get(what, (130,)) and not done:
            raise SystemExit(f"{what}: status {status}\n{(folder / 'run.log').read_text()[-3000:]}")
        reached = torch.load(last, weights_only=True)["global_step"] if last.is_file() else 0
        run_dir, way = displace(run_dir, number, choose) if run_dir.exists() else (run_dir, "not begun")
        place = f"{number:3d}  {task:10s} step {step:4d}  {what:22s} {status:4d}  last.ckpt at {reached:4d}"
        print(f"{place}  every={every:<3d} {way}", flush=True)
    settings = [*arguments(task, run_dir, source), "resume=last"]
    if status_of(start(settings, folder / "run.log"), wait=True):
        raise SystemExit((folder / "run.log").read_text()[-3000:])
    compare(run_dir, whole)
    print(
        f"     {task}: {rounds} rounds, {STEPS} steps: equal to the unbroken run to the last bit", flush=True
    )


def main(rounds: int, tasks: list[str], seed: int, folder: Path) -> None:
    choose = random.Random(seed)
    for i, task in enumerate(tasks):
        (folder / task).mkdir()
        check(task, rounds // len(tasks) + (i < rounds % len(tasks)), choose, folder / task)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tasks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        main(given.rounds, given.tasks, given.seed, Path(name))
