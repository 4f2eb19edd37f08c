"""Where a study keeps its trials: one file in its folder, to which processes on several machines append."""

import os
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from graves_lm.runtime.errors import UserError

JOURNAL = "study.journal"
LOCKS = ".locks"
"""The folder of a study's locks, each held by a process and given up with it."""
STUDY = "study"
"""The name of the one study in a journal."""


def open_journal(folder: Path) -> JournalStorage:
    """The journal of a study's folder; begun where there is none.

    Raises UserError when the file cannot be written or is not such a journal.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder.absolute() / JOURNAL
    try:
        return JournalStorage(JournalFileBackend(str(path), _Lock(path)))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; choose another hydra.sweep.dir") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a readable journal of a study ({error}); choose another hydra.sweep.dir"
        ) from error


class _Lock(JournalFileOpenLock):
    """Who appends to the journal. Optuna's own locks are files that stay when their process is killed, and
    are waited for; this one the operating system releases."""

    def __init__(self, journal: Path):
        super().__init__(str(journal))
        self._journal = journal
        self._lock = FileLock(journal.parent / LOCKS / "journal")

    def acquire(self) -> bool:
        self._lock.acquire()
        try:
            self._drop_half_line()
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()

    def _drop_half_line(self) -> None:
        """Remove what a process has begun to write at the end and, having held this lock, will not go on
        with: the next line would be written behind it, and neither could be read."""
        with open(self._journal, "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end == 0:
                return
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
