"""Many letters, drawn side by side: one for each row of a table."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path

from tqdm import tqdm

from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.output import numbered_path
from graves_lm.writing.page import PageSettings
from graves_lm.writing.pen import Pen, warnings
from graves_lm.writing.placing import WrittenLine
from graves_lm.writing.record import Written, key_of, record_of, recording
from graves_lm.writing.wrap import TextLine

COLUMNS = ("first line", "lines", "doubts")


def write_letters(
    letters: Sequence[Sequence[TextLine]],
    pen: Pen,
    page: PageSettings,
    output: Path,
    said: str,
    progress: bool = False,
) -> Iterator[Written]:
    """Write each letter to a file of its own, and say so; what was written before is not written again.

    Args:
        letters: the lines of each.
        output: the name that the letters' are made of; beside them lies the record.
        said: what besides the lines decides on how they are written. A letter is done if it was the same.

    Lines are drawn in their order, so many side by side as the pen's sampler has, whichever letter they are
    of. Each has the number that it has among all lines, and so is the same however often the work was ended.
    """
    keys = {number: key_of(lines, said) for number, lines in enumerate(letters, 1)}
    first = [0, *accumulate(map(len, letters))]
    with recording(record_of(output), COLUMNS, keys) as record:
        left = [number for number in keys if number not in record.done]
        count = sum(len(letters[number - 1]) for number in left)
        with tqdm(total=count, desc="writing", unit="line", disable=not progress) as bar:
            for run in runs(left):
                lines = chain.from_iterable(letters[number - 1] for number in run)
                drawn = pen.draw(lines, first[run[0] - 1])
                for number in run:
                    written: list[WrittenLine] = []
                    doubts: list[str] = []
                    for _ in letters[number - 1]:
                        line, strokes, report = next(drawn)
                        written.append(WrittenLine(line.text, strokes, line.blank, line.look))
                        doubts += warnings(len(written), line.text, report)
                        bar.update()
                    done = Handwriting(written, page, doubts)
                    files = done.save(numbered_path(output, number, len(letters)))
                    row = {
                        "first line": written[0].text,
                        "lines": str(len(written)),
                        "doubts": "; ".join(done.warnings),
                    }
                    record.add(number, files, keys[number], [row])
                    yield Written(number, files, done.warnings)


def runs(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers, which ascend, in runs without a gap."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return found
