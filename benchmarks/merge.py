"""What it costs to write letters, beside drawing their lines alone.

So many letters of so many lines are drawn, line by line into nothing; written, each as a page of its own in
PDF with a row in the record; and written as a data set, read by the reader. All from the same seed and with
the settings of the package's weights, in turn, some times. Figures are lines a second, of the clock and of
the processor's time, and both rates as shares of the first.
Prints a table, writes benchmarks/results/merge.json, and prints the same as last line.

    python benchmarks/merge.py [--letters 20] [--lines 10] [--repeats 3] [--ending .pdf]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from report import report

import graves_lm
from graves_lm.trained.loading import packaged_reader
from graves_lm.writing.bulk import parts_of, write_lines
from graves_lm.writing.merge import write_letters
from graves_lm.writing.page import PageSettings
from graves_lm.writing.wrap import TextLine, wrap

TEXT = """The rain has been falling for three days and the river is as high as the wall. We carried the
chairs upstairs and sat by the window reading the old letters that you left. The dog does not like thunder,
and the cat pretends that all is well. On Sunday the road was closed, so we walked over the hill and bought
bread, apples and paper. """.replace("\n", " ")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--letters", type=int, default=20)
    parser.add_argument("--lines", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ending", default=".pdf")
    arguments = parser.parse_args()

    pen, page = graves_lm.load().pen(hand=2), PageSettings()
    words = list(wrap(TEXT * (1 + arguments.lines * arguments.letters // 8), page.characters))
    some = [words[n * arguments.lines : (n + 1) * arguments.lines] for n in range(arguments.letters)]
    letters: list[list[TextLine]] = [list(letter) for letter in some]
    count = sum(map(len, letters))

    def draw() -> None:
        for _ in pen.draw(chain.from_iterable(letters), 0):
            pass

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / f"letter{arguments.ending}"
            for _ in write_letters(letters, pen, page, output, ""):
                pass

    def write_set() -> None:
        with tempfile.TemporaryDirectory() as folder:
            parts = parts_of(list(chain.from_iterable(letters)), count, [])
            for _ in write_lines(parts, lambda _: pen, packaged_reader(), Path(folder) / "lines.inkml", ""):
                pass

    list(pen.draw(iter(letters[0][:1]), 0))  # what is loaded once
    works = {"lines alone": draw, "letters": write, "data set": write_set}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(arguments.repeats):
        for name, work in works.items():
            times[name].append(timed(work))
    figures: dict[str, dict[str, float]] = {}
    print(f"{'lines a second':16}" + "".join(f"{name:>14}{'share':>8}" for name in works))
    for which, clock in enumerate(("clock", "processor")):
        rates = {name: count / statistics.median(t[which] for t in its) for name, its in times.items()}
        shares = {name: rate / rates["lines alone"] for name, rate in rates.items()}
        figures[clock] = {name: round(rate, 3) for name, rate in rates.items()}
        figures[f"{clock}, share"] = {name: round(share, 3) for name, share in shares.items()}
        print(f"{clock:16}" + "".join(f"{rates[name]:>14.2f}{shares[name]:>8.3f}" for name in works))
    report("merge", {**vars(arguments), **figures})


if __name__ == "__main__":
    main()
