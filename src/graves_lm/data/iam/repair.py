"""Repairs of what the whiteboard recorded and what was typed beside it; each is counted by its name.

Strokes. The board saw the pen about every 15 ms, and sometimes not at all. Within a stroke half of the
steps are shorter than 18 units, 99.9 % shorter than 107, but 1,351 of 7.35 million are longer than 200 (a
line of text is about 400 high) and one 2,466. Looked at one by one these are of two kinds, which the clock
tells apart:

- Readings are missing: the clock shows a gap and the pen went at a hand's usual speed. The missing points
  are put back on the straight line.
- The lift of the pen was missed: from one reading to the next the pen leaps to the next letter, its
  neighbouring steps being of ordinary length. The stroke is split there, so the leap is a movement in the
  air, as it was. (Leaving the step out instead would shift all the rest of the line.)

Movements in the air are left alone however long: they lead back to the dot of an i or to the next word.
The order of the readings in the file is right even where the clock runs backwards (the positions go on
smoothly), so the clock is then disregarded. A pen that rests repeats its position; only a reading that
repeats position and time, a record written twice, is removed.

Texts. Some transcripts put spaces around punctuation ("Mr . Gaitskell"), which nobody wrote so. Free
standing quotes keep their spaces, for a line does not tell whether they open or close.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FASTEST = 100.0  # units per reading; a hand's fastest writing, 99.9 % of the steps
LEAP = 200.0  # units; no pen on the board draws that far between two readings
LONGEST_GAP = 0.15  # seconds; after that the pen has been elsewhere in between
BOARD = 16_000.0  # units; the board ends at about 9,200, so beyond lies no reading
PERIOD = 0.015  # seconds between readings, where the clock does not tell
SHORTEST_PERIOD = 0.005  # seconds; one that is shorter is not believed, or a gap would be filled for ever

Positions = NDArray[np.float64]


def repair_strokes(strokes: Sequence[Positions]) -> tuple[list[Positions], Counter[str]]:
    """Readings `(n, 3)` per stroke (x, y, seconds) to positions `(m, 2)` per stroke, and what was done."""
    done: Counter[str] = Counter()
    period = _period(strokes)
    repaired: list[Positions] = []
    for stroke in strokes:
        readable = (np.abs(stroke[:, :2]) <= BOARD).all(axis=1)  # False for NaN as well
        done["unreadable points removed"] += int(len(stroke) - readable.sum())
        stroke = stroke[readable]
        twice = np.zeros(len(stroke), dtype=bool)
        twice[1:] = (stroke[1:] == stroke[:-1]).all(axis=1)
        done["points recorded twice removed"] += int(twice.sum())
        stroke = stroke[~twice]
        done["clock steps backwards disregarded"] += int((np.diff(stroke[:, 2]) < 0).sum())
        if len(stroke) == 0:
            done["empty strokes removed"] += 1
            continue
        repaired.extend(_fill_and_split(stroke, period, done))
    return repaired, +done


def repair_text(text: str) -> str:
    """One space between words, none before closing or after opening punctuation."""
    text = re.sub(r"\s+", " ", text).strip()
    # A dot that belongs to an ellipsis ("…", spaced or not) stays where it is.
    text = re.sub(r" (?=[,;:!?)\]]|\.(?! ?\.)(?<!\. \.))", "", text)
    return re.sub(r"(?<=[(\[]) ", "", text)


def split_joined_lines(lines: Sequence[str]) -> list[str]:
    """Two lines typed as one are joined by a row of percent signs (form a08-551z)."""
    return [part.strip() for line in lines for part in re.split(r"%{5,}", line) if part.strip()]


def _period(strokes: Sequence[Positions]) -> float:
    """Mean seconds between readings; boards of 25 Hz and of 75 Hz were used, clocks tick 10 ms."""
    steps = np.concatenate([np.zeros(0), *(np.diff(s[:, 2]) for s in strokes)])
    steps = steps[(steps > 0) & (steps < 4 * PERIOD)]
    return max(float(steps.mean()), SHORTEST_PERIOD) if len(steps) else PERIOD


def _fill_and_split(stroke: Positions, period: float, done: Counter[str]) -> list[Positions]:
    """The positions of one stroke, its over-long steps filled in or made lifts of the pen."""
    positions, clock = stroke[:, :2], stroke[:, 2]
    length = np.hypot(*np.diff(positions, axis=0).T)
    if not (length > FASTEST).any():
        return [positions]
    gap = np.diff(clock)
    timed = (gap > 0) & (gap <= LONGEST_GAP)  # False for NaN
    readings = np.maximum(np.rint(np.where(timed, gap, period) / period), 1)
    missing = (length > FASTEST) & (length / readings <= FASTEST)
    leap = (length > LEAP) & ~missing
    done["gaps in a stroke filled in"] += int(missing.sum())
    done["over-long steps made pen lifts"] += int(leap.sum())
    pieces: list[list[Positions]] = [[positions[:1]]]
    for i in range(len(length)):
        here, there = positions[i], positions[i + 1]
        if leap[i]:
            pieces.append([])
        elif missing[i]:
            share = np.arange(1, readings[i])[:, None] / readings[i]
            pieces[-1].append(np.rint(here + share * (there - here)))  # the board counts whole units
            done["points filled in"] += int(readings[i]) - 1
        pieces[-1].append(there[None])
    return [np.concatenate(piece) for piece in pieces]
