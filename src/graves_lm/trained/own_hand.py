"""The hand that a file of synthesis weights may carry: a line with its text, the prime of what they write.

In the file's metadata it is `hand`: {"text": "…", "points": [[dx, dy, end of stroke], …]}, in the units of
the data that the weights learned from. A file is a stranger's (docs/security.md), and so is its hand: it must
be a line that the network can be primed with, of bounded length, and nothing else.
"""

from typing import Any

import numpy as np

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.trained.prime import prime_of

POINTS, CHARACTERS = 10_000, 500
"""The most that a hand has of each: ten lines' worth."""
_FARTHEST = 1e9  # no device counts so far
_ID = "hand"


def to_plain(line: StrokeLine, normalisation: Normalisation, alphabet: Alphabet) -> dict[str, Any]:
    """A line (T, 3) in data units as the metadata have it. Raises UserError where `from_plain` would."""
    points = [[round(float(x), 4), round(float(y), 4), int(end > 0.5)] for x, y, end in line.strokes]
    plain = {"text": line.text.strip(), "points": points}
    from_plain(plain, normalisation, alphabet)
    return plain


def is_hand(line: StrokeLine, normalisation: Normalisation, alphabet: Alphabet) -> bool:
    """Whether a line in data units can be the hand of weights."""
    try:
        to_plain(line, normalisation, alphabet)
    except UserError:
        return False
    return True


def from_plain(plain: Any, normalisation: Normalisation, alphabet: Alphabet) -> StrokeLine:
    """The line of a file's metadata, its strokes (T, 3) in data units and read-only.

    Raises UserError for what is no text or has characters that the network does not know, for points that are
    no numbers, and for a line that is no prime (`prime_of`).
    """
    if not isinstance(plain, dict) or set(plain) != {"text", "points"}:
        raise UserError("its hand has not a text and points, and nothing else")
    text, points = plain["text"], plain["points"]
    if not isinstance(text, str) or not 0 < len(text.strip()) <= CHARACTERS:
        raise UserError(f"the text of its hand is none of 1 to {CHARACTERS} characters")
    if not isinstance(points, list) or not 2 <= len(points) <= POINTS:
        raise UserError(f"the points of its hand are no list of 2 to {POINTS:,}")
    for point in points:
        if not (
            isinstance(point, list)
            and len(point) == 3
            and all(type(v) in (int, float) and -_FARTHEST < v < _FARTHEST for v in point)  # False for NaN
            and point[2] in (0, 1)
        ):
            raise UserError("a point of its hand is not dx, dy and 1 or 0 for the end of a stroke")
    strokes = np.array(points, np.float32)
    strokes[0, :2], strokes[-1, 2] = 0, 1
    strokes.setflags(write=False)
    line = StrokeLine(_ID, strokes, text.strip())
    prime_of(line, normalisation, alphabet)
    return line
