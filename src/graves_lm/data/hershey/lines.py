"""Generated handwriting: real sentences in single-stroke letters, moved as a human hand moves.

Training data that is there on every machine. Lines are made when asked for, each from its own numbers
(seed, part, index), so any line can be had without the others and is the same on any machine. Units are
those of IAM-OnDB: whole tablet units, a line about 400 high, 75 readings per second unless told otherwise.
(The rounding to whole units also hides the last bit of a sine, in which machines differ.)

The steps from text to pen: `words` (what), `glyphs` and `european` (letters), `hand` (a person's letters),
here (a line of them), `motion` (the movement).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from graves_lm.data.hershey.forms import Path
from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.motion import RATE, write
from graves_lm.data.hershey.words import ALPHABET, EUROPEAN, LONGEST, PARTS, SHORTEST, draw_line
from graves_lm.data.strokes import StrokeLine, from_pen_strokes
from graves_lm.runtime.errors import UserError

HERSHEY_VERSION = 1  # to be raised with any change of what is written: part of the caches' keys
_WRITER, _LINE = 0, 1  # keep the random numbers of writers and lines apart


class HersheyLines(Sequence[StrokeLine]):
    """`lines` lines by `writers` people, taking turns; `part` ("train", "val", "test") has its own people.

    A line has so many `characters`, from and to, give or take a long word; `people` names
    the part whose people write, when it is not this one; the tablet reads the pen `rate` times a second;
    `european`: texts have the letters and signs of `european` too.
    `lines[i]` depends on (seed, part, i, writers, characters, people, rate, european) alone.
    """

    def __init__(
        self,
        lines: int,
        writers: int = 100,
        seed: int = 0,
        part: str = "train",
        characters: tuple[int, int] = (SHORTEST, LONGEST),
        people: str | None = None,
        rate: float = RATE,
        european: bool = False,
    ):
        shortest, longest = characters
        if not 1 <= shortest <= longest <= LONGEST:
            raise UserError(
                f"generated lines have from 1 to {LONGEST} characters, not from {shortest} to {longest}"
            )
        if lines < 1 or writers < 1 or seed < 0:
            raise UserError(
                "generated handwriting needs lines ≥ 1, writers ≥ 1 and seed ≥ 0, "
                f"not {lines}, {writers} and {seed}"
            )
        if not 10 <= rate <= 1000:
            raise UserError(f"generated handwriting is read 10 to 1000 times a second, not rate={rate}")
        if part not in PARTS:
            raise UserError(f"generated handwriting has the parts {', '.join(PARTS)}, not {part!r}")
        self.lines, self.writers, self.seed, self.part = lines, writers, seed, part
        self.characters = (shortest, longest)
        self.people = people or part
        self.rate = rate
        self.european = european

    def __len__(self) -> int:
        return self.lines

    def __getitem__(self, index: Any) -> Any:  # a StrokeLine, or a list of them for a slice
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.lines))]
        index = range(self.lines)[index]
        part, people = (list(PARTS).index(p) for p in (self.part, self.people))
        writer = index % self.writers
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, part, _LINE, index)))
        text = draw_line(rng, self.part, *self.characters, self.european)
        strokes = write_line(text, hand(self.seed, people, writer), rng, self.rate)
        name = f"{self.seed}-{self.part}-{writer:04d}-{index:06d}"
        person = f"{self.seed}-{self.people}-{writer:04d}"
        return StrokeLine(f"hershey-{name}", from_pen_strokes(strokes), text, f"hershey-{person}")


@lru_cache(maxsize=4096)
def hand(seed: int, part: int, writer: int) -> Hand:
    """The person number `writer` of this seed and part."""
    return Hand.draw(seed, part, _WRITER, writer)


def write_line(text: str, hand: Hand, rng: np.random.Generator, rate: float = RATE) -> list[Path]:
    """Positions `(n, 2)` per stroke, whole tablet units, `rate` a second, of a person who writes `text`."""
    unknown = sorted(set(text) - set(EUROPEAN))
    if unknown:
        raise UserError(
            f"generated handwriting has no letter for {', '.join(map(repr, unknown))} in {text!r}"
        )
    strokes: list[Path] = []
    x = 0.0
    rise = 0.0
    for word in text.split(" "):
        marks: list[Path] = []
        delayed = rng.random() < hand.delayed
        pen: list[Path] = []  # the body strokes of the word so far
        previous = ""
        for character in word:
            rise = 0.8 * rise + hand.drift * rng.normal()
            glyph = hand.vary(hand.letter(character), rng)
            at = np.array([x, hand.slope * x + rise])
            body = [p + at for p in glyph.body]
            if pen and body and _joins(hand, previous, character, pen[-1], body[0], rng):
                pen[-1] = np.concatenate([pen[-1], body[0]])
                body = body[1:]
            pen.extend(body)
            (marks if delayed else pen).extend(p + at for p in glyph.marks)
            previous = character if delayed or not glyph.marks else ""
            x += glyph.width + hand.spacing + 0.5 * rng.normal()
        strokes += [*pen, *marks]
        x += hand.word_space * np.exp(rng.normal(0, 0.15))
    return [np.rint(write(path, hand.motor, rng, rate) * hand.size) for path in strokes]


def _joins(hand: Hand, left: str, right: str, before: Path, after: Path, rng: np.random.Generator) -> bool:
    """Whether the pen stays on the paper between two letters."""
    if not (left.isalpha() and right.islower()):
        return False
    dx, dy = after[0] - before[-1]
    if hand.cursive:
        return bool(-2 < dx < 14 and abs(dy) < 12)
    # Print letters are joined by a short stroke from low on the left to the next letter's start.
    short = 0 < dx < 11 and -hand.x_height * 1.2 < dy < 3 and before[-1][1] > after[:, 1].max() - 5
    return bool(left.islower() and short and rng.random() < hand.joins)


__all__ = ["ALPHABET", "HERSHEY_VERSION", "Hand", "HersheyLines", "write_line"]
