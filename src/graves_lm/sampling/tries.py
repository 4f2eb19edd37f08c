"""A line while it is drawn, and the places from which it may be drawn anew.

Shape legend: N points of the line so far, P of a block, Y the network's outputs; a point is (dx, dy, end of
stroke) in normalised units.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graves_lm.sampling.events import PenPoints
from graves_lm.sampling.noise import Key
from graves_lm.sampling.pens import Pens

Part = TypeVar("Part", "NDArray[np.float32]", Tensor)


class Mark(NamedTuple):
    """A line as it was when its window came to the beginning of a word.

    pens: of this line alone.
    point_N3: its points until then, those after a prime that may not be its own included.
    begin: the first that is.
    nats: of its own, under the unbiased density.
    """

    pens: Pens
    point_N3: NDArray[np.float32]
    begin: int
    nats: float


class Try:
    """A line that is being drawn, from its beginning or from one of its marks on.

    Args:
        number: by which its events name it.
        text: its symbols.
        key: of its random numbers.
        words: where words begin in its text, at which marks are wanted.
        marks: those of the line that it goes on with, up to where it goes on; none: it is a new one.
    """

    def __init__(
        self,
        number: int,
        text: Sequence[int],
        key: Key,
        words: Sequence[int] = (),
        marks: Mapping[int, Mark] | None = None,
    ):
        self.number, self.text, self.key = number, text, key
        self.marks = dict(marks or {})
        self.open = True
        self.mark = self.marks[max(self.marks)] if self.marks else None
        self._wanted = [word for word in words if word > max(self.marks, default=0)]
        self._found: dict[int, tuple[int, Pens]] = {}
        self._points = [self.mark.point_N3] if self.mark else []
        self._outputs: list[Tensor] = []  # ŷ, whose density each point was sampled from
        self._count = len(self.mark.point_N3) if self.mark else 0
        self._begin = self.mark.begin if self.mark else None  # as soon as it is known

    def begun(self) -> Iterator[PenPoints]:
        """The points that are there already."""
        if self.mark:
            yield PenPoints(self.number, self.mark.point_N3[self.mark.begin :])

    def add(self, point_P3: NDArray[np.float32], y_PY: Tensor, count: int, begin: int) -> Iterator[PenPoints]:
        """Take points, of which the line has `count` then, and give those that are now known to be the
        text's."""
        new, self._count = count - self._count, count
        if new == 0:
            return
        self._points.append(point_P3[:new])
        self._outputs.append(y_PY[:new])
        if self._begin is not None:
            yield PenPoints(self.number, self._points[-1])
        elif begin >= 0:
            self._begin = begin
            yield PenPoints(self.number, np.concatenate(_from(begin, self._points)))

    def comes_to_a_word(self, at: int) -> int | None:
        """The word that begins where the window is now, if a mark is wanted there and it was not before."""
        came = None
        while self._wanted and self._wanted[0] <= at:
            came = self._wanted.pop(0)
        has_own = self._begin is not None and self._begin < self._count
        return came if came == at and has_own else None

    def note(self, word: int, pens: Pens) -> None:
        """There is to be a mark here, of which the nats are known when the line is closed."""
        self._found[word] = (self._count, pens)

    def own(self) -> tuple[list[NDArray[np.float32]], list[Tensor]]:
        """The text's points that were drawn here, and their ŷ."""
        if self.mark:
            return self._points[1:], self._outputs
        begin = self._begin or 0
        return _from(begin, self._points), _from(begin, self._outputs)

    def close(self, nats_N: Tensor) -> tuple[int, float]:
        """It has ended; of the points of `own` these are the nats. How many points the line has, and the nats
        of all."""
        own_before = len(self.mark.point_N3) - self.mark.begin if self.mark else 0
        nats_before = self.mark.nats if self.mark else 0.0
        begin = self._begin or 0
        for word, (count, pens) in self._found.items():
            point_N3 = np.concatenate(self._points)[:count]
            nats = nats_before + float(nats_N[: count - begin - own_before].sum())
            self.marks[word] = Mark(pens, point_N3, begin, nats)
        self.open = False
        self._points.clear()
        self._outputs.clear()
        self._found.clear()
        return own_before + len(nats_N), nats_before + float(nats_N.sum())


def _from(begin: int, parts: Sequence[Part]) -> list[Part]:
    """Of points in several parts, those from number `begin` on."""
    found = []
    for part in parts:
        if begin < len(part):
            found.append(part[begin:])
        begin = max(0, begin - len(part))
    return found
