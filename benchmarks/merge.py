"""What it costs to write letters, beside drawing their lines alone.

So many letters of so many lines are drawn, line by line into nothing; then written, each as a page of its own
in PDF with a row in the record. Both from the same seed and with the settings of the package's weights, in turn,
some times. Figures are lines a second, of the clock and of the processor's time, and the second rate as a share
of the first.
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
from graves_lm.writing.merge import write_letters
from graves_lm.writing.page import PageSettings
from graves_lm.writing.wrap import TextLine, wrap

TEXT = """The rain has been falling for three days and the river is as high as the wall. We carried the
chairs upstairs and sat by the window reading the old letters that you left. The dog does not like thunder, and
the cat pretends that all is well. On Sunday the road was closed, so we walked over the hill and bought bread,
apples and paper. """.replace("\n", " ")


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

    list(pen.draw(iter(letters[0][:1]), 0))  # what is loaded once
    drawn, written = [], []
    for _ in range(arguments.repeats):
        drawn.append(timed(draw))
        written.append(timed(write))
    figures = {}
    print(f"{'':24}{'lines alone':>14}{'letters':>14}{'share':>8}")
    for name, which in (("clock", 0), ("processor", 1)):
        alone, whole = (count / statistics.median(t[which] for t in times) for times in (drawn, written))
        figures[name] = {
            "lines_alone": round(alone, 2),
            "letters": round(whole, 2),
            "share": round(whole / alone, 3),
        }
        print(f"{'lines a second, ' + name:24}{alone:>14.2f}{whole:>14.2f}{whole / alone:>8.3f}")
    report("merge", {**vars(arguments), **figures})


if __name__ == "__main__":
    main()
