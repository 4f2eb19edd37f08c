"""Where the letters of people's lines are in the ink, as the package's reader says.

Shapes: T points of a line, U characters of its text; a line (T, 3) is (dx, dy, end of stroke).
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from graves_lm.data.strokes import StrokeLine
from graves_lm.runtime.errors import UserError

_READER = "graves_lm.trained.loading"  # by name: networks stand above data
_BLOCK = 256  # lines read at a time


class FindsLetters(Protocol):
    """A reader, as far as it is needed here."""

    def places(self, lines: Sequence[ArrayLike], texts: Sequence[str]) -> list[NDArray[np.int64] | None]:
        """For each line (T, 3) the point (U,) at which each character is read; None where it is not."""


def lines_with_places(
    lines: Sequence[StrokeLine], setting: str
) -> list[tuple[StrokeLine, NDArray[np.int64]]]:
    """Those of the lines in which the package's reader finds the letters, with the point (U,) of each.

    Raises UserError where there is no reader; `setting` is what asked for one.
    """
    if not lines:
        return []
    reader: FindsLetters | None = import_module(_READER).packaged_reader()
    if reader is None:
        raise UserError(
            f"{setting}: letters are found by the package's reader, and it is not there; set {setting}=0"
        )
    found = []
    with tqdm(total=len(lines), unit="line", desc="letters", leave=False) as bar:
        for first in range(0, len(lines), _BLOCK):
            block = lines[first : first + _BLOCK]
            places = reader.places([line.strokes for line in block], [line.text for line in block])
            found += [
                (line, point_U) for line, point_U in zip(block, places, strict=True) if point_U is not None
            ]
            bar.update(len(block))
    return found
