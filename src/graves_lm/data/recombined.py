"""Lines put together from the words of a person's lines: other texts in the same hand.

A database of ten thousand lines has few texts beside all that can be written, and a network that reads its
lines often knows their texts by heart, and what follows upon what. Here a page's words stand in another
order, those with characters that are seldom in the texts more often; all ink is the person's own. Where the
words are in the ink, a reader says.

Shapes: T points of a line, U characters of its text; a line (T, 3) is (dx, dy, end of stroke) in data units,
y down.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from tqdm import tqdm

from graves_lm.data.grafts import Rule, ruled
from graves_lm.data.hershey.forms import Path
from graves_lm.data.places import lines_with_places
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes

RECOMBINED_VERSION = 1  # to be raised with any change of what is written: part of the caches' key
_LONGEST = 32  # characters of a line
_MORE = 3  # words of a line beside its first one, at most
_WIDE = 3.0  # a word so many times as wide or narrow as its letters would have it is not cut out right


class Word(NamedTuple):
    """A word in ink: absolute positions, one array (n, 2) a stroke, x from its left edge and y from the rule
    of the line that it stood on."""

    text: str
    strokes: list[Path]


class Page(NamedTuple):
    """What a person wrote on one page: the words, the spaces between them, and the rules of the lines."""

    id: str
    writer: str
    words: list[Word]
    gaps: list[float]
    rules: list[Rule]


def recombined(lines: Sequence[StrokeLine], count: int, seed: int = 0) -> list[StrokeLine]:
    """`count` lines of one to four words of one page each; which ones depends on `seed` alone.

    A line's first word is drawn by a character, and that by the square root of how often the texts have it,
    so that what is seldom is read more often. None where no words are found.

    Raises UserError where there is no reader to say where the words are.
    """
    found = pages(lines) if count else []
    having: dict[str, list[tuple[int, int]]] = defaultdict(list)  # the words with each character
    for p, page in enumerate(found):
        for w, word in enumerate(page.words):
            for character in sorted(set(word.text)):
                having[character].append((p, w))
    characters = sorted(having)
    share = np.sqrt([len(having[c]) for c in characters])
    made = []
    for n in tqdm(range(count if found else 0), unit="line", desc="recombined", leave=False):
        random = default_rng(SeedSequence((seed, n)))
        words = having[str(random.choice(characters, p=share / share.sum()))]
        p, first = words[random.integers(len(words))]
        made.append(put_together(found[p], first, random))
    return made


def pages(lines: Sequence[StrokeLine]) -> list[Page]:
    """The words of the lines that can be read, by page: the lines of one writer whose names have the same
    beginning, `a01-000u` of `a01-000u-05`."""
    found: dict[tuple[str, str], Page] = {}
    for line, point_U in lines_with_places(lines, "data.recombined"):
        name = line.id.rpartition("-")[0]
        page = found.setdefault((name, line.writer), Page(name, line.writer, [], [], []))
        pen = to_pen_strokes(line.strokes)
        rule = ruled(pen)
        words, gaps = cut(line.text, pen, rule, point_U)
        page.words.extend(words)
        page.gaps.extend(gaps)
        page.rules.append(rule)
    return [page for page in found.values() if page.words and page.gaps]


def cut(
    text: str, pen: Sequence[Path], rule: Rule, point_U: NDArray[np.int64]
) -> tuple[list[Word], list[float]]:
    """The words of a line and the spaces between them; nothing where two words share a stroke."""
    ends_S = np.cumsum([len(p) for p in pen])
    left_S, right_S = (np.array([edge(p[:, 0]) for p in pen]) for edge in (np.min, np.max))
    first, gaps = [0], []
    for u in [u for u, c in enumerate(text) if c == " "]:
        lifted = np.flatnonzero((ends_S[:-1] > point_U[u - 1]) & (ends_S[:-1] <= point_U[u + 1])) + 1
        if len(lifted) == 0:
            return [], []
        gap_N = left_S[lifted] - [right_S[max(0, s - 3) : s].max() for s in lifted]  # a bar may be far left
        first.append(int(lifted[gap_N.argmax()]))
        gaps.append(float(gap_N.max()))
    bounds = [*first, len(pen)]
    if min(np.diff(bounds)) < 1:
        return [], []
    width = float(right_S.max() - left_S.min()) / len(text)
    words = []
    for word, a, b in zip(text.split(" "), bounds[:-1], bounds[1:], strict=True):
        left = left_S[a:b].min()
        wide = float(right_S[a:b].max() - left) / (width * len(word))
        if 1 / _WIDE < wide < _WIDE or len(word) == 1:
            level = [p[:, 1] - rule.height - rule.slope * p[:, 0] for p in pen[a:b]]
            moved = [np.column_stack([p[:, 0] - left, y]) for p, y in zip(pen[a:b], level, strict=True)]
            words.append(Word(word, moved))
    return words, [gap for gap in gaps if gap > 0]


def put_together(page: Page, first: int, random: Generator) -> StrokeLine:
    """The page's word of that number and up to three others, in any order, on one of its rules."""
    chosen = [first]
    for w in random.permutation(len(page.words))[: random.integers(_MORE + 1)].tolist():
        if w != first and sum(len(page.words[c].text) + 1 for c in (*chosen, w)) <= _LONGEST + 1:
            chosen.append(w)
    words = [page.words[chosen[i]] for i in random.permutation(len(chosen))]
    slope = page.rules[random.integers(len(page.rules))].slope
    strokes: list[Path] = []
    x = 0.0
    for word in words:
        strokes += [np.column_stack([p[:, 0] + x, p[:, 1]]) for p in word.strokes]
        x = max(float(p[:, 0].max()) for p in strokes) + page.gaps[random.integers(len(page.gaps))]
    strokes = [np.rint(np.column_stack([p[:, 0], p[:, 1] + slope * p[:, 0]])) for p in strokes]
    text = " ".join(word.text for word in words)
    return StrokeLine(f"{page.id}~{text}", from_pen_strokes(strokes), text, page.writer)
