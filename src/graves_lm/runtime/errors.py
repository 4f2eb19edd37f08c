"""The errors that a person reads.

Everything a user can get wrong (a file, a setting, a checkpoint, a prompt) is raised as a `UserError`
whose message is one line: what is wrong, where, and what to do. The entry points print that line and
exit with its `status`; no traceback is shown (see `commands.launch`). So it is with what the machine refuses.
"""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

LONGEST = 280
"""Characters of a message: a line or two of a terminal."""


class UserError(Exception):
    """A mistake of input, not of the program. The message is one line: what, where, what to do."""

    status: ClassVar[int] = 2
    """The exit status of a command that ends with it."""


class FolderInUse(UserError):
    """The folder that this run was to write in is another run's, which writes there or has left its work."""


class RankFailed(UserError):
    """One process of a run failed or was killed, and the run with it."""

    status = 1


class LostPeer(RankFailed):
    """Another process of the run is gone: what went wrong is to be found there."""


class Stopped(UserError):
    """The run was asked to end (SIGTERM) and has saved where it was."""

    status = 143  # as a shell says of a process that SIGTERM ended


class Interrupted(Stopped):
    """The run was interrupted (SIGINT, Ctrl-C) and has saved where it was."""

    status = 130


class HungUp(Stopped):
    """The terminal of the run is gone (SIGHUP), and it has saved where it was."""

    status = 129


class TrainingDiverged(UserError):
    """The loss or the metric of a validation is no finite number any more, or beyond all bounds; the last
    good checkpoint is kept."""


_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose another {place}"),
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), "choose another place, or move it away"),
    errno.ENOENT: "check the path; if it was there before, it has been moved or removed",
    errno.ELOOP: "its links lead in a circle",
    errno.EMLINK: "the file system holds no more links there; choose another place",
    errno.EXDEV: "choose a place on the same file system",
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO), "look to the disk or the network"),
    errno.EMFILE: "allow this process more, as with ulimit -n",
    errno.ENFILE: "end other programs",
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "end other programs, or ask for less"),
    **dict.fromkeys((errno.ETXTBSY, errno.EBUSY), "wait until the program that uses it has ended"),
    errno.EFBIG: "choose a file system that takes larger files, or a higher ulimit -f",
    **dict.fromkeys((errno.ENOLCK, errno.EOPNOTSUPP), "the file system cannot do this; choose another place"),
    errno.EINVAL: "the file system does not take this name; choose another",
    errno.EPIPE: "the process that was to read it has ended",
}
# Those that tell of the machine also where no file is named; of the others it is then the program's fault.
_OF_THE_MACHINE = _ADVICE.keys() - {
    *(errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT),
    *(errno.ELOOP, errno.EXDEV, errno.EINVAL, errno.EAGAIN),
}
_FAULTS = (errno.EBADF, errno.EFAULT, errno.ECHILD, errno.ESRCH, errno.ENOTTY, errno.ESPIPE)


def refusal(error: OSError, place: str = "place") -> str | None:
    """What the machine or a file refuses, with what to do, in one line; None for a fault of the program.

    `place` is what is chosen otherwise where nothing may be written.
    """
    number = error.errno
    if number is None or number not in errno.errorcode or number in _FAULTS:
        return None
    if error.filename is not None:
        names = [name for name in (error.filename, error.filename2) if name is not None]
        places = [os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in names]
        advice = _ADVICE.get(number, "see to it, or choose another {place}").replace("{place}", place)
        if Path(places[0]).is_relative_to(Path(__file__).parents[1]):
            advice = "install graves_lm again"
        return f"{' -> '.join(places)}: {error.strerror}; {advice}"
    if number == errno.ENOENT and _folder_is_gone():
        return "the folder that this command runs in has been removed; change to another"
    if number not in _OF_THE_MACHINE:
        return None
    return f"{error.strerror}; {_ADVICE[number]}".replace("{place}", place)


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def visible(text: str, keep: str = "") -> str:
    """The text with everything that is not to be seen, and may move or recolour what is, written as an
    escape; but for the characters of `keep`."""
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text
    )


def brief(text: str, longest: int = LONGEST) -> str:
    """The text, its middle left out where it is longer: what is wrong comes first, what to do last."""
    if len(text) <= longest:
        return text
    tail = longest // 2
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


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
