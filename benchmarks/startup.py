"""How long commands take from the shell to their first useful work, on a warm cache.

The work is as small as it can be, so the whole process is start-up: `prepare` prints a prepared data set's
table, `sample` draws a symbol or a short line, `evaluate` scores a little text. Of `train` it is the time
until the first step begins, which its log tells; the process goes on to validate and save. `sample text=a` is
the command with all its defaults, so that it also finds a hand; `first point` is Python's way to the same:
until `graves_lm.load().stream("a")` has given a point. Each runs in a process of its own, some times; the
figure is the least, the share of imports is from one more run under `-X importtime`.

With `--beside CLONE` each run has one of that clone at its side, in turn, and the figure is the quotient of
the medians: of the time on the clock, and of the processor's. Two states of the code can be compared so on a
machine that does other things as well.

Prints a table, writes benchmarks/results/startup.json (or startup_beside.json), and prints the same as last
line.

    python benchmarks/startup.py [--repeats 3] [--only "text=a" "first point"] [--beside CLONE]
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from report import report

HERE = Path(__file__).resolve().parents[1]
TRAIN = (
    *("data=textfile", "data.source=small.txt"),
    *("model.network.hidden_size=32", "trainer.max_steps=1", "trainer.limit_val_batches=1"),
    *("logger=csv", "callbacks.progress=null", "+trainer.enable_progress_bar=false", "run_dir=run"),
)
FIRST_POINT = "import graves_lm, os; next(graves_lm.load().stream('a')); os._exit(0)"
COMMANDS: dict[str, tuple[str, ...]] = {
    "train --cfg job": ("-m", "graves_lm.train", "--cfg", "job"),
    "prepare": ("-m", "graves_lm.prepare"),
    "train": ("-m", "graves_lm.train", *TRAIN),
    "sample (text)": ("-m", "graves_lm.sample", "ckpt=run/checkpoints/best.ckpt", "sampler.length=1"),
    "sample (handwriting)": ("-m", "graves_lm.sample", "text=a", "one_hand=false", "output=a.json"),
    "sample text=a": ("-m", "graves_lm.sample", "text=a", "output=a.json"),
    "first point": ("-c", FIRST_POINT),
    "evaluate": ("-m", "graves_lm.evaluate", "ckpt=run/checkpoints/best.ckpt"),
}


class Took(NamedTuple):
    """Seconds on the clock and of the processor, and what was written to standard error."""

    seconds: float
    processor: float
    log: str


def run(clone: Path, folder: Path, arguments: Sequence[str], options: Sequence[str] = ()) -> Took:
    command = [sys.executable, *options, *arguments]
    environment = os.environ | {"PYTHONPATH": str(clone / "src")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    end, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    log = folder / "run" / "train.log"
    if "graves_lm.train" in arguments and log.is_file():
        [*_, begun] = re.findall(r"^\[([^]]+)\].* batches an epoch$", log.read_text(), re.M)
        end = datetime.strptime(begun, "%Y-%m-%d %H:%M:%S,%f").timestamp()
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(end - start, processor, done.stderr)


def import_share(log: str, seconds: float) -> float:
    """Seconds that modules' own code took to import, of all seconds."""
    return min(1.0, sum(map(int, re.findall(r"^import time: +(\d+) \|", log, re.M))) / 1e6 / seconds)


def alone(commands: dict[str, tuple[str, ...]], folder: Path, repeats: int) -> None:
    figures = {}
    print(f"{'command':<22} {'seconds':>8} {'imports':>8}")
    for title, arguments in commands.items():
        run(HERE, folder, arguments)  # warm: caches, compiled files
        seconds = min(run(HERE, folder, arguments).seconds for _ in range(repeats))
        share = import_share(run(HERE, folder, arguments, ("-X", "importtime")).log, seconds)
        figures[title] = {"seconds": round(seconds, 2), "import_share": round(share, 2)}
        print(f"{title:<22} {seconds:8.2f} {share:8.0%}")
    slowest = max(figure["seconds"] for figure in figures.values())
    report("startup", {"slowest_seconds": slowest, "commands": figures})


def beside(commands: dict[str, tuple[str, ...]], other: Path, folder: Path, repeats: int) -> None:
    figures = {}
    print(f"{'command':<22} {'seconds':>8} {'beside':>8} {'ratio':>8} {'processor':>10}")
    for title, arguments in commands.items():
        took: dict[Path, list[Took]] = {HERE: [], other: []}
        for repeat in range(repeats + 1):
            for clone in sorted(took, reverse=bool(repeat % 2)):
                one = run(clone, folder, arguments)
                if repeat:  # the first is to warm up
                    took[clone].append(one)
        mine, theirs = (
            [
                statistics.median(getattr(one, name) for one in took[clone])
                for name in ("seconds", "processor")
            ]
            for clone in (HERE, other)
        )
        ratio, processor = (m / t for m, t in zip(mine, theirs, strict=True))
        figures[title] = {
            "seconds": round(mine[0], 2),
            "beside_seconds": round(theirs[0], 2),
            "ratio": round(ratio, 3),
            "processor_ratio": round(processor, 3),
        }
        print(f"{title:<22} {mine[0]:8.2f} {theirs[0]:8.2f} {ratio:8.2f} {processor:10.2f}", flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=other, capture_output=True, text=True, check=False
    )
    report("startup_beside", {"beside": commit.stdout.strip(), "repeats": repeats, "commands": figures})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], help="commands whose title has one of these in it")
    parser.add_argument("--beside", type=Path, help="another clone, to be measured in turn with this one")
    args = parser.parse_args()
    commands = {
        title: arguments for title, arguments in COMMANDS.items() if any(part in title for part in args.only)
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.txt").write_text("The quick brown fox.\n" * 200)
        if args.beside is None:
            alone(commands, folder, args.repeats)
        else:
            beside(commands, args.beside.resolve(), folder, args.repeats)


if __name__ == "__main__":
    main()
