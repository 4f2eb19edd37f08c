"""How long torch's threads wait for work with a processor at their disposal."""

import os

_SPINS = "5000"  # some ten to a hundred microseconds; the library's own number is 300,000


def sleep_soon() -> None:
    """Let threads without work sleep after some microseconds, in this process, which is yet to import torch.

    GNU's OpenMP, which torch has on Linux, lets them spin for milliseconds, and so do threads that wait for
    one whose processor another process has: beside four busy processes, loading weights took 21 s in place
    of 0.8 s. Does nothing where the environment says how threads shall wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
