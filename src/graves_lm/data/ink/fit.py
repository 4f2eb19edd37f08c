"""Which lines of a pen a network can learn from, and in what unit: lines are compared with one another.

Files of several devices lie in one folder, a pen was left on the tablet, a line was saved twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graves_lm.data.ink.reading import InkProblem
from graves_lm.data.strokes import StrokeLine, size

_UNITS = 4.0  # a line that many times as large or small as the others is in another unit
_POINTS = 20.0  # that many times as many points a letter are no writing of it
_LETTERS = 3  # of a line whose size says something; without a text,
_WRITTEN = 50  # so many points


class Fit(NamedTuple):
    """The lines to learn from; what was left out; what was brought to the size of the others."""

    lines: list[StrokeLine]
    left_out: list[InkProblem]
    scaled: list[InkProblem]


def fit(lines: Sequence[StrokeLine]) -> Fit:
    """Left out are copies of earlier lines, of which one would be learned from and another validate, a dot or
    two in place of a text, and lines that go on and on. Lines in another unit than most are brought to the
    middle size."""
    points_a_letter = _middle([len(line.strokes) / _letters(line) for line in lines if _letters(line)])
    seen: dict[tuple[str, bytes], StrokeLine] = {}
    left_out = []
    for line in lines:
        points, letters = len(line.strokes), _letters(line)
        first = seen.get((line.text, line.strokes.tobytes()))
        times = points / letters / points_a_letter if letters else 0.0
        if first is not None:
            left_out.append(InkProblem(line.id, f"is the same, point by point, as {first.id}"))
        elif points < letters or (letters > 1 and not line.strokes[1:, :2].any()):
            reason = f"its {points} points are no writing of its {letters} letters"
            left_out.append(InkProblem(line.id, reason))
        elif times > _POINTS:
            reason = f"its {points:,} points are {times:,.0f} times as many a letter as the other lines have"
            left_out.append(InkProblem(line.id, reason))
        else:
            seen[line.text, line.strokes.tobytes()] = line
    fitting, scaled = _in_one_unit(list(seen.values()))
    return Fit(fitting, left_out, scaled)


def _in_one_unit(lines: Sequence[StrokeLine]) -> tuple[list[StrokeLine], list[InkProblem]]:
    """The lines, and those of them that are no longer in their own unit."""
    told = [size(line.strokes) if _tells(line) else 0.0 for line in lines]
    middle = _middle([own for own in told if own > 0])
    made, scaled = [], []
    for line, own in zip(lines, told, strict=True):
        if own == 0 or 1 / _UNITS <= own / middle <= _UNITS:
            made.append(line)
            continue
        larger, word = (own / middle, "large") if own > middle else (middle / own, "small")
        reason = f"{larger:,.3g} times as {word} as the others: brought to their size"
        scaled.append(InkProblem(line.id, reason))
        made.append(line._replace(strokes=line.strokes * np.array([middle / own] * 2 + [1], np.float32)))
    return made, scaled


def _tells(line: StrokeLine) -> bool:
    """Whether its size says in what unit it is: a dash or a dot does not."""
    return _letters(line) >= _LETTERS if line.text else len(line.strokes) >= _WRITTEN


def _letters(line: StrokeLine) -> int:
    return len(line.text.replace(" ", ""))


def _middle(numbers: Sequence[float]) -> float:
    return float(np.median(numbers)) if numbers else 1.0
