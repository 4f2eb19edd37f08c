"""Whether ink is the writing of its text: a reader has doubts.

Shapes: T points of a line; a line (T, 3) is (dx, dy, end of stroke) in any unit, y down.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.data.characters import plain_letter
from graves_lm.data.strokes import StrokeLine
from graves_lm.models.frames import has_extent
from graves_lm.trained.reader import TrainedReader, errors

DOUBT = 0.6
"""The share of a text's characters that are read otherwise, from which on its line is doubted. Real lines of
IAM-OnDB: 1 in 500."""


def doubted(text: str, read: str, reader: TrainedReader) -> bool:
    """Whether something else altogether was read than the text. Never of one with mostly unknown letters."""
    text = "".join(c if reader.alphabet.knows(c) else plain_letter(c) for c in text)
    known = sum(map(reader.alphabet.knows, text.replace(" ", "")))
    return known > len(text) / 2 and errors(text, read) > DOUBT * len(text.replace(" ", ""))


def upside_down(lines: Sequence[ArrayLike]) -> list[NDArray[np.float32]]:
    """The lines (T, 3) as they are where y grows the other way."""
    return [np.asarray(line, np.float32) * np.array([1, -1, 1], np.float32) for line in lines]


def doubt_of_style(line: StrokeLine, reader: TrainedReader) -> list[str]:
    """What is to be said of a line in whose style others are to be written: one text, or none."""
    if not (line.text.strip() and has_extent(line.strokes)):
        return []
    (read, turned) = reader.read([line.strokes, *upside_down([line.strokes])])
    if not doubted(line.text, read, reader):
        return []
    why = f'the line {line.id}, whose style is followed, reads as "{read}" and its text is "{line.text}"'
    if not doubted(line.text, turned, reader):
        return [f"{why}: it stands on its head, turn its y axis round"]
    return [f"{why}: with another text, or another line, more can be read of what is written"]
