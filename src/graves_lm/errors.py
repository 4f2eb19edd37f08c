"""The errors that a person reads.

Everything a user can get wrong (a file, a setting, a checkpoint, a prompt) is raised as a `UserError`
whose message is one line: what is wrong, where, and what to do. The entry points print that line and
exit with its `status`; no traceback is shown (see `graves_lm.launch`).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class UserError(Exception):
    """A mistake of input, not of the program. The message is one line: what, where, what to do."""

    status: ClassVar[int] = 2
    """The exit status of a command that ends with it."""


class FolderInUse(UserError):
    """Another run is writing in the folder that this one was to write in."""


class RankFailed(UserError):
    """One process of a run failed or was killed, and the run with it."""

    status = 1


class LostPeer(RankFailed):
    """Another process of the run is gone: what went wrong is to be found there."""


class Stopped(UserError):
    """The run was asked to end (SIGTERM) and has saved where it was."""

    status = 143  # as a shell says of a process that SIGTERM ended


class TrainingDiverged(UserError):
    """The loss stopped being a finite number; the last good checkpoint is kept."""


def first_line(error: BaseException) -> str:
    """The first line of a foreign error's message; its name where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def near_misses(word: str, known: Iterable[str]) -> str:
    """A clause that names the known words closest to `word`, or all of them when there are few.

    >>> near_misses("hiden_size", ["hidden_size", "layers"])
    "did you mean 'hidden_size'?"
    """
    known = sorted(known)
    close = get_close_matches(word, known, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    if len(known) <= 12:
        return "known: " + ", ".join(known)
    return "known: " + ", ".join(known[:12]) + ", …"
