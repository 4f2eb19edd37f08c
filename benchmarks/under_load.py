"""How long drawing takes beside other processes that are always busy.

The command `sample` from the shell to the shell, for one sentence and for a letter of twelve lines: alone,
and beside two and four processes that only count. Figures are medians of some runs: seconds on the clock and
of the processor, and how many times the lone time that is. Beside as many busy processes as there are
processors a fair share is half of the machine, beside twice as many a third. Prints a table, writes
benchmarks/results/under_load.json, and prints the same as last line.

    python benchmarks/under_load.py [--repeats 3] [--busy 2 4] [--only sentence] [--clone CLONE] [ARGUMENT …]

`--clone` is another clone of the project whose code is measured; ARGUMENTS go to the command, such as
sampler.candidates=1.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from report import report

HERE = Path(__file__).resolve().parents[1]
SENTENCE = "The pen writes what you say."
LETTER = """Dear friend, the rain has been
falling for three days and the
river is as high as the wall.
We carried the chairs upstairs
and sat by the window reading
the old letters that you left.
The dog does not like thunder,
and the cat pretends that all
is well. On Sunday the road was
closed, so we walked over the
hill and bought bread, apples
and paper. Write to me soon."""
TEXTS = {"sentence": SENTENCE, "letter": LETTER}


class Took(NamedTuple):
    """Seconds on the clock and of the processor."""

    seconds: float
    processor: float


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Beside so many processes that never rest."""
    rivals = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        time.sleep(0.5 if rivals else 0)  # they have started
        yield
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()


def run(clone: Path, folder: Path, text: Path, arguments: Sequence[str]) -> Took:
    command = [sys.executable, "-m", "graves_lm.sample", f"text_file={text}", "output=out.svg", *arguments]
    environment = os.environ | {"PYTHONPATH": str(clone / "src")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    return Took(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="*", default=[2, 4], help="how many busy processes")
    parser.add_argument("--only", nargs="+", default=list(TEXTS), choices=list(TEXTS))
    parser.add_argument("--clone", type=Path, default=HERE, help="a clone whose code is measured")
    parser.add_argument("arguments", nargs="*", help="of the command")
    args = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':<9} {'beside':>6} {'seconds':>8} {'processor':>10} {'× alone':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title in args.only:
            text = folder / f"{title}.txt"
            text.write_text(TEXTS[title])
            run(args.clone, folder, text, args.arguments)  # warm: caches, compiled files
            took: dict[int, list[Took]] = {processes: [] for processes in (0, *args.busy)}
            for _ in range(args.repeats):
                for processes, figures in took.items():
                    with busy(processes):
                        figures.append(run(args.clone, folder, text, args.arguments))
            rows[title] = {}
            alone = statistics.median(one.seconds for one in took[0])
            for processes, figures in took.items():
                seconds, processor = map(statistics.median, zip(*figures, strict=True))
                row = {"seconds": seconds, "processor": processor, "times_alone": seconds / alone}
                rows[title][str(processes)] = {key: round(value, 2) for key, value in row.items()}
                print(f"{title:<9} {processes:6} {seconds:8.2f} {processor:10.2f} {seconds / alone:8.2f}")
    report("under_load", {"repeats": args.repeats, "arguments": args.arguments, "beside": rows})


if __name__ == "__main__":
    main()
