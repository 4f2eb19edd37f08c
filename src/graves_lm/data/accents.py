"""Lines of a database with accents on some of their letters: é in a hand that never wrote one.

The letter stays as the person wrote it, and the mark is generated, in the line's size, slant and pace, so
that all that a network has to learn of ü is what makes it of u. The text says the same: it is decomposed into
u and a mark (NFD), so that there is one character for each mark and not one for each letter with it. Where
the letters are in the ink, a reader says.

Shapes: T points of a line, U characters of its text; a line (T, 3) is (dx, dy, end of stroke), y down. Font
units are those of `hershey.forms`: small letters are 14 high and y is 0 on the base line.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from tqdm import tqdm

from graves_lm.data.characters import plain_letter
from graves_lm.data.features import features
from graves_lm.data.hershey.european import LETTERS, marks
from graves_lm.data.hershey.forms import Glyph, Path, path
from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import write_line
from graves_lm.data.hershey.motion import Motor, write
from graves_lm.data.places import lines_with_places
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes

ACCENTS_VERSION = 2  # to be raised with any change of what is written: part of the caches' keys
_LOW = "acemnorsuvwxz"  # letters as high as the x, on the base line
_HANGING = "fgjpqyz"
_HEIGHT = 14.0  # of small letters
_REACH = 8.0  # of a letter's ink, left and right of where it is read
_ABOVE, _BELOW = -19.0, 5.0  # from here on, what is over or under a small letter is a neighbour's
_DOT = 6.0  # the largest dot of an i
_FEW = 4  # low letters, at least, that tell where a line is and how large
_SLANT = 0.6  # at most: x per y
_MOST = 0.6  # of a line's letters get an accent
_LATE = 0.1  # of lines have all marks of a word when it is done
_SHIFT, _TURN, _GROW = (
    (0.9, 0.6),
    0.08,
    0.12,
)  # standard deviations of a mark's place, turn, logarithm of size
_WHOLE = 1.25  # from the inner four fifths of a letter's height to all of it
_MODEL = Hand.draw(0)  # whose pace others are measured against

MARKED = "".join(c for c in LETTERS if unicodedata.decomposition(c) or c in "øØłŁđĐı")
"""Letters that are their plain form with marks, or without its own; ß, æ, þ and the like are none."""
FORMS = {plain: "".join(c for c in MARKED if plain_letter(c) == plain) for plain in map(plain_letter, MARKED)}


class Ruled(NamedTuple):
    """Where a line's letters are: y = height + slope·x is the base line, a font unit so many data units, and
    x + slant·y upright."""

    height: float
    slope: float
    unit: float
    slant: float

    def to_font(self, xy_N2: Path) -> Path:
        """Data units to font units; x stays where it is on the base line."""
        y_N = (xy_N2[:, 1] - self.height - self.slope * xy_N2[:, 0]) / self.unit
        return np.column_stack([xy_N2[:, 0] / self.unit + self.slant * y_N, y_N])

    def from_font(self, xy_N2: Path) -> Path:
        x_N = (xy_N2[:, 0] - self.slant * xy_N2[:, 1]) * self.unit
        return np.column_stack([x_N, xy_N2[:, 1] * self.unit + self.height + self.slope * x_N])


def with_accents(
    lines: Sequence[StrokeLine], count: int, letters: str = MARKED, seed: int = 0
) -> list[StrokeLine]:
    """`count` of the lines once more, in which some characters have become such of `letters` as are theirs
    with a mark; all as often as the lines have them. Fewer where few can be read.

    Raises UserError where there is no reader to say where the letters are.
    """
    forms = {plain: "".join(c for c in own if c in letters) for plain, own in FORMS.items()}
    forms = {plain: own for plain, own in forms.items() if own}
    fit = [line for line in lines if set(line.text) & set(forms)]
    order = default_rng(SeedSequence((seed, count))).permutation(len(fit))[:count]
    found = lines_with_places([fit[i] for i in order.tolist()], "data.accents")
    ruled = [(line, point_U, rule(line, point_U)) for line, point_U in found]
    readable = [(line, point_U, its_rule) for line, point_U, its_rule in ruled if its_rule is not None]
    made = []
    for n in tqdm(range(count if readable else 0), unit="line", desc="accents", leave=False):
        line, point_U, ruled = readable[n % len(readable)]
        made.append(accented(line, point_U, ruled, forms, default_rng(SeedSequence((seed, n)))))
    return [line for line in made if line is not None]


def rule(line: StrokeLine, point_U: NDArray[np.int64]) -> Ruled | None:
    """Where the letters of a line stand, by its low ones; None where there are too few."""
    own = features(line.strokes)
    slant = float(np.clip(np.tan(np.radians(own.slant)), -_SLANT, _SLANT))
    xy_T2 = np.cumsum(line.strokes[:, :2].astype(np.float64), axis=0)
    ranges = _ranges(point_U, len(xy_T2))
    low = [u for u, c in enumerate(line.text) if c in _LOW]
    if len(low) < _FEW:
        return None
    foot_L2, height_L = [], []
    for u in low:
        y_N = xy_T2[slice(*ranges[u]), 1]
        top, bottom = np.quantile(y_N, (0.1, 0.9))
        foot_L2.append((xy_T2[point_U[u], 0], bottom))
        height_L.append(bottom - top)
    x_L, y_L = np.array(foot_L2).T
    left, right = np.triu_indices(len(x_L), 1)
    apart = np.abs(x_L[right] - x_L[left]) > np.ptp(x_L) / 4
    rises = (y_L[right] - y_L[left])[apart] / (x_L[right] - x_L[left])[apart]
    slope = float(np.median(rises)) if len(rises) else 0.0
    unit = float(np.median(height_L)) * _WHOLE / _HEIGHT
    return Ruled(float(np.median(y_L - slope * x_L)), slope, unit, slant) if unit > 0 else None


def _ranges(point_U: NDArray[np.int64], T: int) -> list[tuple[int, int]]:
    """From and to which point the pen is at each character: half-way to the next ones, a point at least."""
    middle = ((point_U[1:] + point_U[:-1] + 1) // 2).tolist()
    return [(a, max(a + 1, b)) for a, b in zip([0, *middle], [*middle, T], strict=True)]


def accented(
    line: StrokeLine, point_U: NDArray[np.int64], ruled: Ruled, forms: dict[str, str], random: Generator
) -> StrokeLine | None:
    """The line with marks on some of its letters, from one to most; None where no letter can have one.

    A mark is written when the stroke with its letter is done, or with the word, as this line's hand has it.
    """
    text, count_of = list(line.text), Counter(line.text)
    able = [u for u, c in enumerate(text) if c in forms]
    # As often as it has forms, and no more often because the letter is frequent.
    weight = np.array([len(forms[text[u]]) / count_of[text[u]] for u in able])
    count = 1 + int(random.uniform(0, _MOST) * len(able))
    wanted = random.choice(len(able), count, False, weight / weight.sum())

    pen = to_pen_strokes(line.strokes)
    xy_T2 = np.concatenate(pen)
    stroke_T = np.repeat(np.arange(len(pen)), [len(p) for p in pen])
    ranges = _ranges(point_U, len(xy_T2))
    motor, late = _motor(line, ruled, random), bool(random.random() < _LATE)
    behind: dict[int, list[Path]] = {}  # the marks behind each stroke
    gone: set[int] = set()  # dots of letters that have another mark now
    for u in sorted(able[w] for w in wanted):
        letter = str(random.choice(list(forms[text[u]])))
        ink = ruled.to_font(xy_T2[slice(*ranges[u])])
        at = ruled.to_font(xy_T2[point_U[u]][None])[0, 0]
        stroke = int(stroke_T[point_U[u]])
        if text[u] in "ij":
            dot = _dot(pen, ruled, at)
            if dot is None or dot in gone:
                continue
            middle = float(ruled.to_font(pen[dot])[:, 0].mean())
            ink = path((middle - 1, -_HEIGHT), (middle + 1, 0.0))
            gone.add(dot)
            stroke = dot
        else:
            ink = _own(ink[np.abs(ink[:, 0] - at) < _REACH], text[u])
            if len(ink) < 2:
                continue
            if late:
                word = _word_end(line.text, u)
                stroke = max(stroke, int(stroke_T[point_U[word]]))
        text[u] = unicodedata.normalize("NFD", letter)
        for mark in marks(letter, Glyph((ink,), (), 0.0)):
            drawn = ruled.from_font(write(_varied(mark, random), motor, random))
            behind.setdefault(stroke, []).append(drawn)
    if "".join(text) == line.text:
        return None
    whole = bool((line.strokes[:, :2] == np.rint(line.strokes[:, :2])).all())
    strokes: list[Path] = []
    for n, own in enumerate(pen):
        strokes += [own] * (n not in gone)
        strokes += [np.rint(mark) if whole else mark for mark in behind.get(n, [])]
    return StrokeLine(f"{line.id}+accents", from_pen_strokes(strokes), "".join(text), line.writer)


def _own(ink_N2: Path, letter: str) -> Path:
    """Of the ink about a letter what is its own, for its height."""
    y_N = ink_N2[:, 1]
    over = y_N > _ABOVE if letter in _LOW or letter in _HANGING else np.ones(len(y_N), bool)
    under = y_N < _BELOW if letter not in _HANGING else np.ones(len(y_N), bool)
    return ink_N2[over & under]


def _dot(pen: Sequence[Path], ruled: Ruled, x: float) -> int | None:
    """The dot over the letter at `x`, by its number among the strokes."""
    best, nearest = None, _REACH
    for n, stroke in enumerate(pen):
        xy_N2 = ruled.to_font(stroke)
        middle, y = xy_N2.mean(axis=0)
        if np.ptp(xy_N2, axis=0).max() < _DOT and y < -_HEIGHT and abs(middle - x) < nearest:
            best, nearest = n, abs(middle - x)
    return best


def _word_end(text: str, u: int) -> int:
    """The last character of the word that has the one at `u`."""
    end = text.find(" ", u)
    return (len(text) if end < 0 else end) - 1


def _motor(line: StrokeLine, ruled: Ruled, random: Generator) -> Motor:
    """A person's movements, at the pace of the line."""
    known = "".join(c for c in map(plain_letter, line.text) if c.isascii())
    model = features(from_pen_strokes(write_line(known, _MODEL, random))).speed / _MODEL.size
    pace = model / max(features(line.strokes).speed / ruled.unit, 1e-6)
    motor = Hand.draw(int(random.integers(2**31))).motor
    return motor._replace(tempo=_MODEL.motor.tempo * float(np.clip(pace, 0.4, 2.5)))


def _varied(mark: Path, random: Generator) -> Path:
    """The mark a little elsewhere, larger or turned."""
    middle = mark.mean(axis=0)
    turn = random.normal(0, _TURN)
    matrix = np.array([[1, turn], [-turn, 1]]) * np.exp(random.normal(0, _GROW))
    moved: Path = (mark - middle) @ matrix + middle + random.normal(0, _SHIFT)
    return moved
