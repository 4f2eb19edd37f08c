"""Processes that read or make lines side by side."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from graves_lm.runtime.errors import UserError


@contextmanager
def pool_of(number: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes. Raises UserError where one of them ends early."""
    # "spawn" is the one start method that is safe beside torch's threads and exists everywhere.
    with ProcessPoolExecutor(number, multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise UserError(
                "a process that reads the data ended early: the machine has too little memory, or a script "
                'that asks for the data does so outside of `if __name__ == "__main__":`, which each process '
                "runs first"
            ) from error
