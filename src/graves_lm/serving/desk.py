"""One thread that draws, and the requests that wait for it.

Requests that wait for the same hand, and do not say a seed, are drawn side by side: a batch costs little more
than one of them alone. One with a seed is drawn by itself: what is beside it would change its random numbers.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import Report
from graves_lm.writing.pen import Pen
from graves_lm.writing.wrap import TextLine

Drawn = tuple[TextLine, NDArray[np.float32], Report]
Stroke = tuple[int, float, float, float]
"""A point as it is drawn: its line, from 0, dx, dy, end of stroke."""


class Full(Exception):
    """As many requests wait as may."""


class Job:
    """A request that waits or is drawn.

    Args:
        lines: what is to be drawn.
        hand, seed: None: the server's.
        live: what is told each point as it is drawn; None: nobody wants to know.
        done: what is told all lines, or the error.
    """

    def __init__(
        self,
        lines: list[TextLine],
        hand: int | None,
        seed: int | None,
        done: Callable[[list[Drawn] | Exception], None],
        live: Callable[[Stroke], None] | None = None,
    ):
        self.lines, self.hand, self.seed, self.done, self.live = lines, hand, seed, done, live
        self.gone = False  # nobody waits for it any more

    def joins(self, other: "Job") -> bool:
        """Whether both can be drawn side by side."""
        alone = any(job.seed is not None or job.live is not None for job in (self, other))
        return not alone and self.hand == other.hand


class Desk:
    """The thread, from its start to its end with the process.

    Args:
        pen: what writes in a hand, from a seed; None: the server's own.
        stream: the points of a text's lines, as they are drawn.
        batch: lines drawn side by side.
        waiting: requests that may wait.
    """

    def __init__(
        self,
        pen: Callable[[int | None, int | None], Pen],
        stream: Callable[[Job], Iterator[Stroke]],
        batch: int,
        waiting: int,
    ):
        self._pen, self._stream, self._batch, self._most = pen, stream, batch, waiting
        self._jobs: deque[Job] = deque()
        self._come = threading.Condition()
        self._first = 0  # lines that were drawn without a seed
        threading.Thread(target=self._work, name="desk", daemon=True).start()

    def put(self, job: Job) -> None:
        """Let a job wait for its turn. Raises Full."""
        with self._come:
            self._jobs = deque(waiting for waiting in self._jobs if not waiting.gone)
            if len(self._jobs) >= self._most:
                raise Full
            self._jobs.append(job)
            self._come.notify()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._jobs)

    def _next(self) -> list[Job]:
        """The first that waits, and those that can be drawn beside it."""
        with self._come:
            while True:
                while self._jobs and self._jobs[0].gone:
                    self._jobs.popleft()
                if self._jobs:
                    break
                self._come.wait()
            together = [self._jobs.popleft()]
            lines = len(together[0].lines)
            for job in list(self._jobs):
                if together[0].joins(job) and not job.gone and lines + len(job.lines) <= self._batch:
                    together.append(job)
                    lines += len(job.lines)
                    self._jobs.remove(job)
            return together

    def _work(self) -> None:
        while True:
            jobs = self._next()
            try:
                self._draw_live(jobs[0]) if jobs[0].live is not None else self._draw(jobs)
            except Exception as error:  # a fault of one request is none of the server's end
                if not isinstance(error, UserError):
                    traceback.print_exc()
                for job in jobs:
                    job.done(error)

    def _draw(self, jobs: list[Job]) -> None:
        pen = self._pen(jobs[0].hand, jobs[0].seed)
        lines = chain.from_iterable(job.lines for job in jobs)
        first = 0
        if jobs[0].seed is None:  # lines of their own random numbers
            first, self._first = self._first, self._first + sum(len(job.lines) for job in jobs)
        drawn = pen.draw(lines, first)
        for job in jobs:
            found = []
            for _ in job.lines:
                if all(other.gone for other in jobs):
                    return
                found.append(next(drawn))
            job.done(found)

    def _draw_live(self, job: Job) -> None:
        assert job.live is not None
        for point in self._stream(job):
            if job.gone:
                return
            job.live(point)
        job.done([])


def said(error: Exception) -> str:
    """What a client is told of an error."""
    return str(error) if isinstance(error, UserError) else "the server failed at this text; another may do"
