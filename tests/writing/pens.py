"""A pen without a network, which remembers what it was asked for."""

from collections.abc import Iterator

import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.sampling.events import Report
from graves_lm.writing.pen import Drawn, Pen
from graves_lm.writing.wrap import TextLine
from tests.writing.letters import person, written


class Calls:
    """A pen whose lines depend on their numbers, and what it was asked for."""

    def __init__(self) -> None:
        self.drawn: list[tuple[int, str]] = []
        self.pen = Pen(Alphabet("abc"), self.draw)

    def draw(self, lines: Iterator[TextLine], first: int) -> Iterator[Drawn]:
        for number, line in enumerate(lines, first):
            self.drawn.append((number, line.text))
            strokes = written(line.text, person(3), number).strokes
            misread = "thanks" if "Dear b" in line.text else None
            yield (
                line,
                strokes,
                Report(len(strokes), torch.ones(len(line.text)) * 9, True, 0.0, misread=misread),
            )
