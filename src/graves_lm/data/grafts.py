"""Lines of a database with a generated word before or behind them, in the size, slant and pace of the line.

What English prose lacks (digits, most signs, some capitals) a network does not learn from it, and lines
that are generated altogether would teach it generated hands. Here a person's line has a word that is not
the person's.

Shapes: T points of a line; a line (T, 3) is (dx, dy, end of stroke) in data units, y down.
"""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from tqdm import tqdm

from graves_lm.data.characters import plain_letter
from graves_lm.data.features import features
from graves_lm.data.hershey.european_words import SENTENCES
from graves_lm.data.hershey.forms import Path
from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import write_line
from graves_lm.data.hershey.words import ALPHABET, EUROPEAN
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, size, to_pen_strokes

GRAFTS_VERSION = 4  # to be raised with any change of what is written: part of the caches' keys
OF_LETTER = 6
_LONGEST = 32  # characters of a line that gets a word
_TWO, _LONG_WORD = 0.5, 11  # a share of the lines that have room for a long word more get a second one
_DRAWN = 8  # words of which the one with the character is taken that there is least of
_GAP = 1.5  # between line and word, in the height of small letters
_SLANT = 0.6  # at most: x per y
_TRIAL = 10.0  # tablet units per font unit, of the line's text
_TREND = 16.0
_SIZE = 80.0  # of a line of IAM-OnDB, in its units
_UNITS = 5.0  # a line that many times as large or small is in other units
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = (
    "Enrique Eric Exit Franz Fred Grace Hazel Hugo Iraq Iris Jack Jacques Japan Kate Kent Leeds Lucy Max "
    "Najib Nora Olga Oxford Paul Philip Quebec Queen Quentin Rome Suzy Ulm Una Unit Ursula Vera Victor "
    "Vienna Xenia Xerox York Yvonne Zelda Zero Zoe Zurich"
)


class Rule(NamedTuple):
    """The straight line fitted to the pen's way, y = height + slope·x, and the spread of the way about it."""

    height: float
    slope: float
    spread: float


def grafts(
    lines: Sequence[StrokeLine],
    count: int,
    seed: int = 0,
    words: Sequence[Sequence[str]] = (),
    of_each: int = OF_LETTER,
) -> list[StrokeLine]:
    """`count` lines drawn from `lines`, each with a word; which lines and words depends on `seed` alone.
    Words with the characters that `lines` have fewest of come most.

    Then `of_each` more with one of each of the `words`: those with a letter that is seldom in the texts (see
    `words_with_letters`). None where the lines' sizes have no unit (dots) or their texts' letters no
    generated form.
    """
    short = [line for line in lines if 0 < len(line.text) <= _LONGEST]
    short = [line for line in short if set(_plain(line.text)) <= set(ALPHABET)]
    unit = float(np.median([size(line.strokes) for line in short] or [0])) / _SIZE
    if unit == 0:
        return []
    if 1 / _UNITS <= unit <= _UNITS:
        unit = 1.0  # large and small hands
    short = [_times(line, 1 / unit) for line in short]
    total = count + of_each * len(words) * (count > 0)
    made, seen = list[StrokeLine](), Counter("".join(line.text for line in lines))
    with tqdm(total=total, unit="line", desc="grafts", leave=False, disable=not total) as bar:
        for n in range(total):
            random = default_rng(SeedSequence((seed, n)))
            line = short[random.integers(len(short))]
            word = _seldom(random, seen) if n < count else str(random.choice(words[(n - count) // of_each]))
            line = grafted(line, word, Hand.draw(seed, n), random)
            if len(line.text) <= _LONGEST - _LONG_WORD and random.random() < _TWO:
                line = grafted(line, _seldom(random, seen), Hand.draw(seed, n), random)
            made.append(_times(line, unit))
            bar.update()
    return made


def words_with_letters(texts: Sequence[str], letters: str, characters: Container[str]) -> list[list[str]]:
    """For each of the letters that a hand of `hershey` can write: words that have it, of these characters,
    from the texts and from sentences in many languages. A letter of which there is no word is left out."""
    words = sorted({word for text in (*texts, *SENTENCES) for word in text.split(" ")})
    words = [word for word in words if all(c in characters and c in EUROPEAN for c in word)]
    found = [[word for word in words if letter in word] for letter in letters]
    return [of_letter for of_letter in found if of_letter]


def _times(line: StrokeLine, factor: float) -> StrokeLine:
    return (
        line
        if factor == 1
        else line._replace(strokes=line.strokes * np.array([factor, factor, 1], np.float32))
    )


def _plain(text: str) -> str:
    """The text without accents, whose letters stand on the line as its own do."""
    return "".join(c if c in ALPHABET else plain_letter(c) for c in text)


def grafted(line: StrokeLine, word: str, hand: Hand, random: Generator) -> StrokeLine:
    """The line with the word before or behind it, in print, by `hand` with the line's size, slant and pace.

    So that the word stands on the line and is of its size, the hand writes the line's own text too, for what
    is high in it and what hangs depends on the letters.
    """
    pen, own = to_pen_strokes(line.strokes), features(line.strokes)
    slant = float(np.clip(np.tan(np.radians(own.slant)), -_SLANT, _SLANT))
    hand = replace(hand, cursive=False, size=_TRIAL, slant=slant, slope=0.0, _letters={})
    rule, same_text = ruled(pen), ruled(write_line(_plain(line.text), hand, random))
    larger = max(rule.spread, 1.0) / max(same_text.spread, 1.0)
    hand.size = _TRIAL * larger
    again = random.integers(2**62)
    pace = features(from_pen_strokes(write_line(word, hand, default_rng(again)))).speed / max(own.speed, 1.0)
    hand.motor = hand.motor._replace(tempo=hand.motor.tempo * float(np.clip(pace, 0.4, 2.5)))
    written = write_line(word, hand, default_rng(again))

    gap = hand.size * hand.x_height * _GAP * float(np.exp(random.normal(0, 0.25)))
    behind = bool(random.random() < 0.5)
    if behind:
        x = max(p[:, 0].max() for p in pen) + gap - min(p[:, 0].min() for p in written)
    else:
        x = min(p[:, 0].min() for p in pen) - gap - max(p[:, 0].max() for p in written)
    y = rule.height + rule.slope * x - larger * same_text.height
    moved = [p + np.rint((x, y)) for p in written]
    text = f"{line.text} {word}" if behind else f"{word} {line.text}"
    strokes = [*pen, *moved] if behind else [*moved, *pen]
    return StrokeLine(f"{line.id}+{word}", from_pen_strokes(strokes), text, line.writer)


def ruled(pen: Sequence[Path]) -> Rule:
    """The rule of some strokes. A short line's slope counts for little: its letters make it by themselves."""
    middle_N2 = np.concatenate([(p[1:] + p[:-1]) / 2 for p in pen])
    way_N = np.concatenate([np.hypot(*np.diff(p, axis=0).T) for p in pen])
    if not way_N.any():  # dots
        return Rule(float(pen[0][0, 1]), 0.0, 0.0)
    mean_2 = np.average(middle_N2, axis=0, weights=way_N)
    x_N, y_N = (middle_N2 - mean_2).T
    xx, xy, yy = (np.average(v, weights=way_N) for v in (x_N * x_N, x_N * y_N, y_N * y_N))
    slope = xy / (xx + _TREND * yy) if xx > 0 else 0.0
    spread = np.sqrt(max(yy - 2 * slope * xy + slope**2 * xx, 0.0))
    return Rule(float(mean_2[1] - slope * mean_2[0]), float(slope), float(spread))


def _seldom(random: Generator, seen: Counter[str]) -> str:
    """A word with characters that were seldom seen, and now once more."""
    words = [draw_word(random) for _ in range(_DRAWN)]
    word = min(words, key=lambda word: min(seen[c] for c in word if c != " "))
    seen.update(word)
    return word


def draw_word(random: Generator) -> str:
    """A number, a date, a time, initials, a name or the like."""

    def digits(least: int, most: int) -> str:
        return "".join(map(str, random.integers(0, 10, random.integers(least, most + 1))))

    def capitals(least: int, most: int) -> str:
        return "".join(random.choice(list(_CAPITALS), random.integers(least, most + 1)))

    def name() -> str:
        return str(random.choice(_NAMES.split(" ")))

    forms = (
        lambda: digits(1, 5),
        lambda: digits(3, 5) + str(random.choice([".", ",", "?", "!", ";", ":"])),
        lambda: f"{digits(1, 2)}.{digits(1, 2)}.{digits(4, 4)}",
        lambda: f"{digits(1, 2)}/{digits(1, 2)}/{digits(2, 4)}",
        lambda: f"{digits(1, 2)}:{digits(2, 2)}",
        lambda: f"{digits(1, 3)}.{digits(2, 2)}",
        lambda: f"{digits(1, 2)},{digits(3, 3)}",
        lambda: f"({digits(1, 4)})",
        lambda: f"[{digits(1, 3)}]",
        lambda: f"{digits(1, 2)}-{digits(1, 2)}",
        lambda: f"+{digits(2, 3)} {digits(2, 4)}",
        lambda: f"{digits(1, 2)}+{digits(1, 2)}",
        lambda: f"#{digits(1, 3)}",
        lambda: f"{capitals(1, 1)}. {capitals(1, 1)}.",
        lambda: f"{capitals(1, 1)} & {capitals(1, 1)}",
        lambda: f"{name()} &",
        lambda: f"{name()}*",
        lambda: f"{capitals(1, 2)}{digits(1, 3)}",
        lambda: f"{capitals(1, 2)}/{capitals(1, 2)}",
        lambda: capitals(2, 5),
        lambda: capitals(1, 4) + str(random.choice([".", ",", "?", "!", ";", ":"])),
        lambda: name() + str(random.choice(["", ".", ",", "?", "!", ";", ":", "'s"])),
        lambda: f'"{name()}"',
        lambda: f"({name()})",
    )
    return forms[random.integers(len(forms))]()
