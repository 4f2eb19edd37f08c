"""Where a compiled library is kept, so that nothing is loaded but what this user has made, and whole: its
name has a hash of its content.

That is `$XDG_CACHE_HOME/graves_lm`, by default `~/.cache/graves_lm`; where there is none, or others could
change what is in it, a folder of this user's among the temporary ones; and where that is no better, a new one
for this process alone.
"""

import ctypes
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

_BUILDING = "build-"
_ABANDONED = 3600.0  # seconds after which nobody builds there any more
_ROOM = 2**20  # bytes that building takes at most


def library(key: str, make: Callable[[Path], Path]) -> ctypes.CDLL:
    """The library of this key, loaded; made if it is not there or damaged. Any number of processes may do
    this at once.

    Args:
        key: says what it is made from.
        make: makes it in an empty folder, and returns its path.

    Raises OSError where it can be loaded from nowhere, and what `make` raises.
    """
    reason = OSError("no folder to keep them in")
    for folder in _folders():
        try:
            return ctypes.CDLL(str(_kept(folder, key) or _keep(folder, key, make)))
        except OSError as error:  # not to be written in, full, or nothing may be executed there
            reason = error
    raise reason


def _folders() -> Iterator[Path]:
    """Where it may be, from the best place on; the last one is removed afterwards, from which the system has
    loaded it then."""
    temporary = None
    with suppress(OSError):  # none is there, or can be written in
        temporary = Path(tempfile.gettempdir())
    for folder in (_users_cache(), temporary and temporary / f"graves_lm-{os.geteuid()}"):
        with suppress(OSError):
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder = folder.parent.resolve() / folder.name
                if _is_safe(folder):
                    yield folder
    if temporary is not None:
        _remove_abandoned(temporary, f"graves_lm-{_BUILDING}")
        with tempfile.TemporaryDirectory(dir=temporary, prefix=f"graves_lm-{_BUILDING}") as alone:
            yield Path(alone)


def _users_cache() -> Path | None:
    """None for a user without a home. A relative path is not one, says the standard of XDG_CACHE_HOME."""
    if os.path.isabs(base := os.environ.get("XDG_CACHE_HOME", "")):
        return Path(base) / "graves_lm"
    with suppress(RuntimeError):
        return Path.home().absolute() / ".cache" / "graves_lm"
    return None


def _is_own(path: Path) -> bool:
    """Whether it is a file or folder, and no link, that nobody but this user and root can change."""
    found = path.lstat()
    kind = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return kind and found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def _is_safe(folder: Path) -> bool:
    """Whether nobody else can change what is in the folder, or set another in its place: also all folders
    above are this user's or root's, and where others may write, nobody can move what is not his own."""
    above = [path.stat() for path in folder.parents]
    return _is_own(folder) and all(
        found.st_uid in (0, os.geteuid()) and (not found.st_mode & 0o022 or found.st_mode & stat.S_ISVTX)
        for found in above
    )


def _kept(folder: Path, key: str) -> Path | None:
    """A whole library of this key, as the hash in its name tells."""
    for path in folder.glob(f"kernels-{key}-*.so"):
        with suppress(OSError):
            if _is_own(path) and path == _named(folder, key, path.read_bytes()):
                return path
    return None


def _named(folder: Path, key: str, content: bytes) -> Path:
    return folder / f"kernels-{key}-{hashlib.sha256(content).hexdigest()[:32]}.so"


def _keep(folder: Path, key: str, make: Callable[[Path], Path]) -> Path:
    """Make it, in a folder of its own beside, and give it its name when it is whole and on the disk."""
    _remove_damaged(folder, key)
    _remove_abandoned(folder, _BUILDING)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_BUILDING) as scratch:
        room = Path(scratch, "room")
        room.write_bytes(bytes(_ROOM))  # of a full disk a compiler's error would not tell
        room.unlink()
        made = make(Path(scratch))
        made.chmod(0o600)
        with open(made, "rb") as file:
            os.fsync(file.fileno())
            path = _named(folder, key, file.read())
        os.replace(made, path)
    return path


def _remove_damaged(folder: Path, key: str) -> None:
    for path in folder.glob(f"kernels-{key}-*.so"):
        with suppress(OSError):
            if not _is_own(path) or path != _named(folder, key, path.read_bytes()):
                path.unlink()


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove what killed processes of this user have begun to build."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _ABANDONED:
                rmtree(path, ignore_errors=True)
