"""What the readers of ink formats give, and how much they take."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.safe_xml import Malformed

POINTS = 2_000_000
"""The most points of a file: five hours of a pen that never rests, at 100 a second."""

LINES = 100_000
"""The most lines of a file."""


class PenLine(NamedTuple):
    """Absolute positions `(n, 2)` per stroke, as the file has them; `times`, where it has any: the seconds
    `(n,)` of each stroke's points."""

    strokes: list[NDArray[np.float64]]
    text: str = ""
    writer: str = ""
    id: str = ""
    times: list[NDArray[np.float64]] | None = None


class InkFile(NamedTuple):
    """The lines of a file in their order, in place of an unusable one the reason; and what else was left out,
    each a clause."""

    lines: list[PenLine | Malformed]
    left_out: list[str]


def within(count: int, limit: int, what: str) -> None:
    """Raises Malformed where a file has more of something than any honest one."""
    if count > limit:
        raise Malformed(f"more than {limit:,} {what}")
