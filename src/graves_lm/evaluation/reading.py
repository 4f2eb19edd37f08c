"""How legible lines are, as a reader reads them: character error rates, and which characters are read right.

A character error rate (CER) is the least number of characters to be replaced, left out or put in that makes
the text of what was read, over the text's characters; spaces aside, since where a word ends is not in its
letters.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from graves_lm.trained.reader import errors

RESAMPLED = 1000
"""Draws of the bootstrap."""


class ReadLine(NamedTuple):
    """A line's text, and what was read of it."""

    text: str
    read: str

    @property
    def letters(self) -> tuple[str, str]:
        """Both without their spaces."""
        return self.text.replace(" ", ""), self.read.replace(" ", "")

    @property
    def errors(self) -> int:
        return errors(self.text, self.read)


class Counts(NamedTuple):
    """How often a character was to be read, and how often it was."""

    right: int
    of: int


def error_rates(lines: Sequence[ReadLine], seed: int = 0) -> dict[str, float]:
    """The CER of some lines, and the ends of its 95 % interval by the bootstrap over lines."""
    errors_L = np.array([line.errors for line in lines])
    length_L = np.array([len(line.letters[0]) for line in lines])
    chosen = np.random.default_rng(seed).integers(len(lines), size=(RESAMPLED, len(lines)))
    rates = errors_L[chosen].sum(1) / np.maximum(1, length_L[chosen].sum(1))
    low, high = np.quantile(rates, (0.025, 0.975))
    return {"cer": errors_L.sum() / max(1, length_L.sum()), "cer_low": float(low), "cer_high": float(high)}


def characters(lines: Sequence[ReadLine]) -> dict[str, Counts]:
    """Each character of the texts, spaces aside, by how often it was read where it stands."""
    right: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for line in lines:
        text, read = line.letters
        of.update(text)
        for block in Levenshtein.editops(text, read).as_matching_blocks():
            right.update(text[block.a : block.a + block.size])
    return {c: Counts(right[c], of[c]) for c in sorted(of)}


def classes(counts: dict[str, Counts]) -> dict[str, Counts]:
    """The same by class of character: small letters, capitals, digits, signs."""
    found: dict[str, Counts] = {}
    for name, belongs in CLASSES.items():
        own = [count for c, count in counts.items() if belongs(c)]
        found[name] = Counts(sum(c.right for c in own), sum(c.of for c in own))
    return found


CLASSES = {
    "small": str.islower,
    "capitals": str.isupper,
    "digits": str.isdigit,
    "signs": lambda c: not c.isalnum(),
}
