"""How long commands take from the shell to their first useful work, on a warm cache.

The work is as small as it can be, so the whole process is start-up: `prepare` prints a prepared data set's
table, `sample` draws a symbol or a short line, `evaluate` scores a little text. Of `train` it is the time
until the first step begins, which its log tells; the process goes on to validate and save. Each runs in a
process of its own, some times; the figure is the least, the share of imports is from one more run under `-X
importtime`. Prints a table, writes benchmarks/results/startup.json, and prints the same as last line.

    python benchmarks/startup.py [--repeats 3]
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from report import report

TRAIN = (
    *("data=textfile", "data.source=small.txt"),
    *("model.network.hidden_size=32", "trainer.max_steps=1", "trainer.limit_val_batches=1"),
    *("logger=csv", "callbacks.progress=null", "+trainer.enable_progress_bar=false", "run_dir=run"),
)
COMMANDS = {
    "train --cfg job": ("train", "--cfg", "job"),
    "prepare": ("prepare",),
    "train": ("train", *TRAIN),
    "sample (text)": ("sample", "ckpt=run/checkpoints/best.ckpt", "sampler.length=1"),
    "sample (handwriting)": ("sample", "ckpt=synthesis", "text=a", "one_hand=false", "output=a.json"),
    "evaluate": ("evaluate", "ckpt=run/checkpoints/best.ckpt"),
}


def run(folder: Path, *arguments: str, options: tuple[str, ...] = ()) -> tuple[float, str]:
    command = [sys.executable, *options, "-m", f"graves_lm.{arguments[0]}", *arguments[1:]]
    start = time.time()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    end = time.time()
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    log = folder / "run" / "train.log"
    if arguments[0] == "train" and log.is_file():
        [*_, begun] = re.findall(r"^\[([^]]+)\].* batches an epoch$", log.read_text(), re.M)
        end = datetime.strptime(begun, "%Y-%m-%d %H:%M:%S,%f").timestamp()
    return end - start, done.stderr


def import_share(log: str, seconds: float) -> float:
    """Seconds that modules' own code took to import, of all seconds."""
    return min(1.0, sum(map(int, re.findall(r"^import time: +(\d+) \|", log, re.M))) / 1e6 / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    figures = {}
    print(f"{'command':<22} {'seconds':>8} {'imports':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.txt").write_text("The quick brown fox.\n" * 200)
        for title, arguments in COMMANDS.items():
            run(folder, *arguments)  # warm: caches, compiled files
            seconds = min(run(folder, *arguments)[0] for _ in range(args.repeats))
            share = import_share(run(folder, *arguments, options=("-X", "importtime"))[1], seconds)
            figures[title] = {"seconds": round(seconds, 2), "import_share": round(share, 2)}
            print(f"{title:<22} {seconds:8.2f} {share:8.0%}")
    slowest = max(figure["seconds"] for figure in figures.values())
    report("startup", {"slowest_seconds": slowest, "commands": figures})


if __name__ == "__main__":
    main()
