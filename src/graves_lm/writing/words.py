"""Which ink of a written line belongs to which of its words.

Words stand apart, but letters do too. Of all ways to cut a line into as many parts as it has words, the one
is taken whose gaps are wide and whose parts are about as wide as their letters are in common writing.

Shapes: S strokes from left to right, W words.
"""

from collections.abc import Sequence
from itertools import pairwise
from unicodedata import combining

import numpy as np
from numpy.typing import NDArray

from graves_lm.writing.block import Underline

Floats = NDArray[np.float64]
_WIDTHS = {**dict.fromkeys("iljtf.,;:'!|()1", 0.6), **dict.fromkeys("mwMW", 1.5)}
_CAPITAL, _SPACE = 1.25, 1.0
_SPREAD = 0.3  # of a part's width about what its letters say, as a share of the root of that
_GAP = 2.0  # what a gap as wide as a letter is worth, in squared spreads


def letters(text: str) -> Floats:
    """How wide each character is in common writing, one of them being 1; an accent is part of its letter."""
    return np.array([_WIDTHS.get(c, 0.0 if combining(c) else _CAPITAL if c.isupper() else 1.0) for c in text])


def extents(strokes: Sequence[Floats], text: str) -> list[tuple[float, float]]:
    """From where to where the ink of each word of `text` goes, in the unit of the strokes (N, 2).

    A line with fewer strokes than words has no such places: the list is empty.
    """
    return [
        (min(strokes[s][:, 0].min() for s in part), max(strokes[s][:, 0].max() for s in part))
        for part in parts(strokes, text)
    ]


def parts(strokes: Sequence[Floats], text: str) -> list[list[int]]:
    """The numbers of each word's strokes; an empty list where there are fewer strokes than words."""
    words = text.split()
    if len(words) > len(strokes) or not words:
        return []
    left_S = np.array([xy_N2[:, 0].min() for xy_N2 in strokes])
    right_S = np.array([xy_N2[:, 0].max() for xy_N2 in strokes])
    order_S = np.argsort(left_S + right_S, kind="stable")
    # Before stroke s of the order: where the ink to its left ends, and that from it on begins.
    before_S = np.maximum.accumulate(right_S[order_S])
    after_S = np.minimum.accumulate(left_S[order_S][::-1])[::-1]
    cuts = _cuts(before_S, after_S, [float(letters(word).sum()) for word in words])
    return [order_S[a:b].tolist() for a, b in pairwise(cuts)]


def _cuts(before_S: Floats, after_S: Floats, width_W: list[float]) -> list[int]:
    """Where each word begins in the order, and its end: the best way, by dynamic programming."""
    count, words = len(before_S), len(width_W)
    unit = (before_S[-1] - after_S[0]) / (sum(width_W) + _SPACE * (words - 1)) or 1.0
    gap_S = np.zeros(count)
    gap_S[1:] = np.minimum((after_S[1:] - before_S[:-1]) / unit, 2.5)
    # of the part from a to b, b not in it, so far as it is w letters wide
    width_SS = (before_S[None, :] - after_S[:, None]) / unit
    best = np.full((words + 1, count + 1), -np.inf)
    came = np.zeros((words + 1, count + 1), int)
    best[0, 0] = 0.0
    for w, wanted in enumerate(width_W):
        cost_SS = ((width_SS - wanted) / (_SPREAD * np.sqrt(wanted + 1) * 2)) ** 2
        value_SS = best[w, :count, None] + (_GAP * gap_S[:, None] if w else 0.0) - cost_SS
        value_SS[np.tril_indices(count, -1)] = -np.inf  # a part has a stroke at least
        best[w + 1, 1:] = value_SS.max(0)
        came[w + 1, 1:] = value_SS.argmax(0)
    cuts = [count]
    for w in range(words, 0, -1):
        cuts.append(int(came[w, cuts[-1]]))
    return cuts[::-1]


def spans(strokes: Sequence[Floats], text: str, underlines: Sequence[Underline]) -> list[tuple[float, float]]:
    """From where to where each of the underlined pieces of a line goes, in the unit of the strokes (N, 2)."""
    if not strokes:
        return []
    found = extents(strokes, text)
    whole = min(xy_N2[:, 0].min() for xy_N2 in strokes), max(xy_N2[:, 0].max() for xy_N2 in strokes)
    # Where each character begins and ends, within a word in proportion to its letters in common writing.
    left_U, right_U, place = np.zeros(len(text)), np.zeros(len(text)), 0
    for word, extent in zip(text.split() if found else [text], found or [whole], strict=True):
        ends = np.concatenate([[0.0], letters(word).cumsum()])
        x = extent[0] + (extent[1] - extent[0]) * ends / ends[-1]
        left_U[place : place + len(word)], right_U[place : place + len(word)] = x[:-1], x[1:]
        place += len(word) + 1
    return [(float(left_U[u.begin]), float(right_U[u.end - 1])) for u in underlines]
