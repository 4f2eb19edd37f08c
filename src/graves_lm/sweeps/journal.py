"""Where a study keeps its trials: one file in its folder, to which processes on several machines append."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from graves_lm.errors import UserError

JOURNAL = "study.journal"
STUDY = "study"
"""The name of the one study in a journal."""


def open_journal(folder: Path) -> JournalStorage:
    """The journal of a study's folder; begun where there is none.

    Raises UserError when the file cannot be written or is not such a journal.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / JOURNAL
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; choose another hydra.sweep.dir") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a readable journal of a study ({error}); choose another hydra.sweep.dir"
        ) from error
