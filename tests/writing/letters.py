"""Lines of generated handwriting whose baselines are known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from graves_lm.data.hershey.lines import Hand, write_line
from graves_lm.data.strokes import from_pen_strokes
from graves_lm.writing.placing import WrittenLine
from graves_lm.writing.wrap import wrap

LETTER = """Dear Ursula,

thank you for the gloves and the plum cake. Every Tuesday the harbour smells of tar and oranges, and \
grandfather winds the clock and whistles off key.

The kettle sang, the cat slept, and nobody hurried. Nine men pulled at the rope until the boat came free; \
you can hear the sea from the back of the church.

Yours, Philip"""


def person(number: int, slope: float = 0.0) -> Hand:
    """A hand that writes along a straight baseline of this slope, from y = 0."""
    return replace(Hand.draw(0, 0, 0, number), slope=slope, drift=0.0)


def written(text: str, hand: Hand, seed: int = 0, shift: tuple[float, float] = (0, 0)) -> WrittenLine:
    """The text by this hand. The first offset is that from where the baseline starts, and `shift` more."""
    pen = write_line(text, hand, np.random.default_rng(seed))
    strokes = from_pen_strokes(pen)
    strokes[0, :2] = pen[0][0] + np.array(shift)
    return WrittenLine(text, strokes)


def letter(text: str = LETTER, width: int = 36, number: int = 3) -> Iterator[WrittenLine]:
    """Lines that start at any height and slope by a few hundredths, all by one person."""
    rng = np.random.default_rng(number)
    for index, line in enumerate(wrap(text, width)):
        hand = person(number, rng.normal(0, 0.03))
        shift = (rng.normal(0, 500), rng.normal(0, 500))
        yield written(line.text, hand, index, shift)._replace(blank=line.blank)
