"""Files written wholly or not at all."""

import errno
import fcntl
import json
import math
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from graves_lm.runtime.errors import UserError

_LINKS = 40  # that are followed one after another, as the kernel does


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write the content, text as UTF-8, and make the folders that are missing; see `replacing`.

    Raises UserError when it cannot be written; what was there is then still there.
    """
    try:
        # A name of bytes that are not UTF-8 has lone surrogates in place of them.
        data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        with replacing(path) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from None


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """`write` of plain containers. A number that is not finite, which JSON does not know, becomes null."""
    write(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def check(path: str | os.PathLike[str]) -> None:
    """Raise UserError where `write` would, as far as that can be told before; its folder must be there."""
    try:
        target = _followed(Path(path))
        if not _is_stream(target):
            _replaceable(target)
            TemporaryFile(dir=target.parent).close()  # permissions alone do not tell (a full or locked disk)
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from None


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new binary file, to be written in the block, that takes the path's place at its end.

    Nobody reads half a file, also after a power cut, and where the block raises, what was there stays. The
    file is written in the same folder under a name that cannot be foreseen, forced to the disk, then renamed.
    It has the mode of the one whose place it takes, else that of any new file. What a killed process left
    there of the same name is removed.

    A link is followed, and stays: what it points to is replaced; but not one that another user has set. What
    cannot be replaced, a device or a pipe (/dev/stdout), is written to directly. Raises OSError, also for a
    file that is write-protected.
    """
    target = _followed(Path(path))
    if _is_stream(target):
        with _open_stream(target) as stream:
            yield stream
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    before = _replaceable(target)
    descriptor, beside = _open_beside(target, before)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            os.replace(beside, target)  # still locked, so that nobody takes it for a left-over
    except BaseException:
        with suppress(OSError):  # the folder itself may be out of reach, as the error says
            beside.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every file system does this to folders
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _refusal(path: str | os.PathLike[str], error: OSError | ValueError) -> UserError:
    return UserError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}; choose another path")


def _followed(path: Path) -> Path:
    """Where the path leads when it is a link, or a link to one; not beyond what this process has open."""
    for _ in range(_LINKS):
        if not path.is_symlink() or _is_open_here(path):
            return path
        if path.lstat().st_uid not in (0, os.geteuid()):  # as in a folder in which everybody may write
            raise PermissionError(errno.EACCES, "a link that another user has set")
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _is_open_here(path: Path) -> bool:
    """Whether the path is one of /proc/self/fd/N."""
    return path.parent.name == "fd" and path.parent.resolve() == Path(f"/proc/{os.getpid()}/fd")


def _is_stream(target: Path) -> bool:
    """Whether what is there is written to where it is: neither a file nor a folder nor nothing."""
    return _is_open_here(target) or (target.exists() and not target.is_file() and not target.is_dir())


def _open_stream(target: Path) -> BinaryIO:
    if _is_open_here(target):  # after what was written to it before, which opening it anew would overwrite
        sys.stdout.flush()
        return os.fdopen(os.dup(int(target.name)), "wb")
    return os.fdopen(os.open(target, os.O_WRONLY), "wb")


def _replaceable(target: Path) -> os.stat_result | None:
    """What is known of the file at the target; None where there is none. Raises OSError for a folder and for
    a file that must not be written to."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return before


def _open_beside(target: Path, before: os.stat_result | None) -> tuple[int, Path]:
    """A new file in the target's folder, locked as long as it is open; of the same mode and owner."""
    shortened = os.fsencode(target.name)[:100].decode(errors="ignore")  # no half character
    begin = f".{os.fsdecode(shortened.encode())}."
    _remove_left_over(target.parent, re.compile(re.escape(begin) + r"[0-9a-f]+\.tmp"))
    while True:
        beside = target.with_name(f"{begin}{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(beside, flags, 0o666 if before is None else 0o600)
        with suppress(OSError):  # not every file system has locks: left-overs then stay
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink > 0:
            break
        os.close(descriptor)  # taken for a left-over before it was locked
    if before is not None:
        with suppress(OSError):  # only root can give files away, and not every file system has modes
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)
    return descriptor, beside


def _remove_left_over(folder: Path, name: re.Pattern[str]) -> None:
    """Remove this user's files of such names that no process is writing."""
    with suppress(OSError):  # a folder may be one to write in, not to look into
        for found in [entry.path for entry in os.scandir(folder) if name.fullmatch(entry.name)]:
            with suppress(OSError):
                descriptor = os.open(found, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if os.fstat(descriptor).st_uid == os.geteuid():
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(found)
                finally:
                    os.close(descriptor)
