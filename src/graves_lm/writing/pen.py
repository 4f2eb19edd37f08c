"""A hand that is chosen, ready to write any lines."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from unicodedata import combining, normalize

from tqdm import tqdm

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Floats
from graves_lm.sampling.events import Report
from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenLine
from graves_lm.writing.wrap import TextLine

Drawn = tuple[TextLine, Floats, Report]
"""A line, its strokes (T, 3) in data units, and how well it went."""


class Pen(NamedTuple):
    """What writes lines: network, sampler, seed and hand in one.

    alphabet: the characters that it knows.
    draw: lines, and the number of the first one, by which the random numbers go, to each with its strokes, in
        order.
    doubts: what is to be said of its hand, a text each.
    """

    alphabet: Alphabet
    draw: Callable[[Iterator[TextLine], int], Iterator[Drawn]]
    doubts: Sequence[str] = ()

    def write(self, lines: Sequence[TextLine], page: PageSettings, progress: bool = False) -> Handwriting:
        """The lines as handwriting; `progress`: show a bar of lines written."""
        written: list[WrittenLine] = []
        trouble = list(self.doubts)
        drawn = self.draw(iter(lines), 0)
        for line, strokes, report in tqdm(drawn, "writing", len(lines), unit="line", disable=not progress):
            written.append(WrittenLine(line.text, strokes, line.blank, line.look))
            trouble += warnings(len(written), line.text, report)
        return Handwriting(written, page, trouble)


def warnings(number: int, text: str, report: Report) -> list[str]:
    """What went wrong with a line, for people."""
    found = []
    if report.stuck is not None:
        at = letter(text, report.stuck)
        found.append(
            f"line {number}: stood still at {at!r}, character {report.stuck + 1}, and ends there; another "
            "seed or more sampler.retries help"
        )
    elif not report.stopped:
        found.append(f"line {number}: reached the cap of {report.points} points before its end")
    elif report.misread is not None:
        found.append(
            f"line {number}: is read as {report.misread!r}; another seed or more sampler.retries help"
        )
    read = text if report.stuck is None else text[: report.stuck]
    if skipped := [letter(text, u) for u in report.skipped if u < len(read) and text[u] != " "]:
        found.append(f"line {number}: perhaps left out {' '.join(map(repr, skipped))}")
    return found


def letter(text: str, place: int) -> str:
    """The character at a place, an accent with its letter."""
    first = place
    while first > 0 and combining(text[first]):
        first -= 1
    return normalize("NFC", text[first : place + 1])
