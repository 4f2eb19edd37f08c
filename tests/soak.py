"""Write and stream many lines in one process: its memory must stand still, and the hand be drawn once.

    python tests/soak.py [LINES_BY_WRITE [LINES_BY_STREAM]]

Prints a table of the memory that is resident; status 1 where it grows by more than 5 % after 30 lines, or the
hand is drawn more than once. The package's weights are used, with all that a user gets by default.
"""

import sys
import time
from collections.abc import Iterator

import graves_lm
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.writing import writer as module
from graves_lm.writing.writer import Writer

TEXT = "the man who had seen his house from the hill went on to say that nothing of it was left"
WARM_UP = 30  # lines
GROWTH = 0.05


def texts(lines: int) -> Iterator[tuple[int, str]]:
    """Texts of one to four lines of all lengths, and how many lines each has, until there are so many."""
    number, all_words = 0, TEXT.split()
    while lines > 0:
        count = min(1 + number % 4, lines)
        words = [all_words[(number * 5 + i) % len(all_words) :][: 1 + (number + i) % 6] for i in range(count)]
        yield count, "\n".join(" ".join(line) for line in words)
        lines, number = lines - count, number + 1


def resident() -> float:
    """MB of this process that are in memory."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1000


def soak(writer: Writer, way: str, lines: int) -> bool:
    """Whether memory stood still while so many lines were drawn in one way."""
    done, started, first, most = 0, time.monotonic(), 0.0, 0.0
    for count, text in texts(lines):
        if way == "write":
            writer.write(text, seed=1)
        else:
            for n, _ in enumerate(writer.stream(text, seed=1)):
                if done % 5 == 4 and n == 50:  # some are abandoned
                    break
        done += count
        if done >= WARM_UP:
            first = first or resident()
            most = max(most, resident())
        if done % 10 < count or done == lines:
            print(f"{way:>7} {done:6} {resident():8.0f} {time.monotonic() - started:7.0f}", flush=True)
    growth = most / first - 1
    print(f"{way}: at most {growth:+.1%} since {WARM_UP} lines", flush=True)
    return growth <= GROWTH


def main(by_write: int = 300, by_stream: int = 100) -> int:
    writer, hands, events = graves_lm.load(), [], TrainedHandwriting.events
    without_bank = Writer(writer.trained, bank=False)

    def counted(self: TrainedHandwriting, sampler, passage):
        hands.extend(text for text in passage.texts if text == module.TRIED_PEN)
        return events(self, sampler, passage)

    TrainedHandwriting.events = counted
    print("    way  lines       MB       s")
    steady = [soak(writer, "write", by_write), soak(without_bank, "stream", by_stream)]
    print(f"without the package's hands one was drawn {len(hands)} time(s)")
    return int(not all(steady) or len(hands) != 1)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
