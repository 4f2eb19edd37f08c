"""What sampling a passage gives: a stream of small events, each of them final.

    PenPoints(line=0, point_N3=[[0.4, -0.1, 0.0]])    the next points of a line, N of them
    LineDone(line=0, report=Report(…))                it has all its points, and went like this

Lines that are sampled side by side take turns. Whoever wants whole lines collects the stream: `whole_lines`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Report:
    """How well a line went.

    points: how many it has.
    coverage_U: how many points the window spent on each character.
    stopped: whether the stop rule ended it; False: the cap on its points did, or the window stood still.
    nats: of its points under the unbiased density.
    stuck: the character on which the window stood for too long, where that ended the line.
    misread: what a reader makes of the line, where it reads other characters than it should.
    """

    points: int
    coverage_U: Tensor
    stopped: bool
    nats: float
    stuck: int | None = None
    misread: str | None = None

    @property
    def skipped(self) -> list[int]:
        """Characters on which the window spent less than one point."""
        return [u for u, points in enumerate(self.coverage_U.tolist()) if points < 1]

    @property
    def faults(self) -> tuple[bool, bool, int]:
        """Whether it was ended by force, whether it is misread, and how many characters it skipped; smaller
        is better."""
        return (not self.stopped, self.misread is not None, len(self.skipped))


class PenPoints(NamedTuple):
    """The next points of a line of the passage, counted from 0, one at least: (dx, dy, end of stroke),
    normalised as they are sampled, in data units from `trained` on."""

    line: int
    point_N3: NDArray[np.floating[Any]]


class LineDone(NamedTuple):
    """A line has all its points."""

    line: int
    report: Report


Event = PenPoints | LineDone


class WholeLine(NamedTuple):
    """All points (T, 3) of a line, and how it went."""

    line: int
    points: NDArray[np.floating[Any]]
    report: Report


def whole_lines(events: Iterable[Event]) -> Iterator[WholeLine]:
    """Each line when it is done."""
    points: defaultdict[int, list[NDArray[np.floating[Any]]]] = defaultdict(list)
    for event in events:
        if isinstance(event, PenPoints):
            points[event.line].append(event.point_N3)
        else:
            some = points.pop(event.line, [np.zeros((0, 3), np.float32)])
            yield WholeLine(event.line, np.concatenate(some), event.report)


def in_order(lines: Iterable[WholeLine]) -> Iterator[WholeLine]:
    """The lines by their numbers from 0 on, each as soon as all before it are done."""
    waiting: dict[int, WholeLine] = {}
    following = 0
    for line in lines:
        waiting[line.line] = line
        while following in waiting:
            yield waiting.pop(following)
            following += 1
