"""Where a line stands between the margins, and the lines under its words.

Strokes (N, 2) are in millimetres, the line's baseline at y = 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graves_lm.writing.block import Look
from graves_lm.writing.page import PageSettings
from graves_lm.writing.words import parts, spans

Floats = NDArray[np.float64]
UNDER, BETWEEN = 0.14, 0.09  # of a line height: from the baseline to the first line under it, and to the next
TREMBLE = 0.02  # of a line height: by which such a line's ends and middle leave their places
STRETCHED = 0.35  # of its room: a line that leaves more of it free is not stretched


def standing(
    strokes: list[Floats], text: str, look: Look, number: int, settings: PageSettings
) -> list[Floats]:
    """A line's strokes, which begin at x = 0, where its page wants them, with its own share of disorder."""
    if not strokes:
        return strokes
    rng = np.random.default_rng(number)  # the same each time, another for each line
    level, rise, inwards = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 1)
    align = "centre" if look.foot else look.align or settings.align
    left, room = (0.0, settings.width) if look.foot else (settings.left(look), settings.room(look))
    if align == "justified" and not look.ends:
        strokes = stretched(strokes, text, room)
    width = max(float(xy_N2[:, 0].max()) for xy_N2 in strokes)
    left += {"centre": (room - width) / 2, "right": room - width}.get(align, 0.0)
    left += settings.ragged * (1 - inwards if align == "right" else inwards)
    half = settings.drift / 2  # each of its two parts
    tilt = half * rise / width if width else 0.0
    return [
        xy_N2 + np.stack([np.full(len(xy_N2), left), half * level + tilt * (2 * xy_N2[:, 0] - width)], 1)
        for xy_N2 in strokes
    ]


def stretched(strokes: list[Floats], text: str, room: float) -> list[Floats]:
    """The line with wider gaps between its words, so that it fills the room; as it is where it has one word,
    or would have holes."""
    free = room - max(float(xy_N2[:, 0].max()) for xy_N2 in strokes)
    words = parts(strokes, text)
    if len(words) < 2 or free > STRETCHED * room:
        return strokes
    moved = list(strokes)
    for number, word in enumerate(words):
        for stroke in word:
            moved[stroke] = strokes[stroke] + (number * free / (len(words) - 1), 0)
    return moved


def underlines(
    strokes: Sequence[Floats], text: str, look: Look, number: int, settings: PageSettings
) -> list[Floats]:
    """The lines under the words of a line that is in its place, a stroke each."""
    rng = np.random.default_rng((number, 1))
    drawn = []
    for (left, right), underline in zip(spans(strokes, text, look.underlines), look.underlines, strict=False):
        for line in range(underline.lines):
            y = (UNDER + BETWEEN * line) * settings.line_height
            x_3 = np.linspace(left, right, 3)
            drawn.append(np.stack([x_3, y + TREMBLE * settings.line_height * rng.uniform(-1, 1, 3)], 1))
    return drawn
