"""A run's folder: its lock, whose it is, and how a run in it ended."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from graves_lm.runtime.errors import FolderInUse

FAILED = "error.txt"
"""Why a run failed."""
PRUNED = "pruned.txt"
"""Why a study gave a run up."""
_WORK = ("checkpoints", "csv", "metrics.json")  # what a new run would replace
_OF_A_RUN = ("checkpoints", "csv", "environment.json")  # what is in the folder of a training run only


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keep other runs out of the folder until the end, or until this process dies.

    Raises FolderInUse when another run is in it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderInUse(
            f"run_dir={run_dir}: another run is writing there; wait for its end or give another run_dir"
        ) from error
    try:
        yield
    finally:
        lock.release()


def refuse_to_replace(run_dir: Path, resume: str | None) -> None:
    """Raises FolderInUse where a run would begin over the work of another: only the run itself goes on in
    its folder, with `resume`, "last" or a checkpoint in it."""
    checkpoints = run_dir / "checkpoints"
    found = [name for name in _WORK if (run_dir / name).exists()]
    if resume == "last":
        # A run that was ended before it had saved anything begins anew.
        lost = (run_dir / "metrics.json").exists() or (checkpoints / "best.ckpt").exists()
        if (checkpoints / "last.ckpt").exists() or not lost:
            return
        raise FolderInUse(
            f"resume=last: no last.ckpt in {checkpoints}, though the run that was there left its results; "
            "name another checkpoint, or give another run_dir"
        )
    if found and not (resume is not None and is_in(resume, run_dir)):
        raise FolderInUse(
            f"run_dir={run_dir}: a run is there already ({', '.join(found)}); go on with it by resume=last, "
            "or begin anew in another run_dir or after deleting that one"
        )


def is_in(checkpoint: str, run_dir: Path) -> bool:
    """Whether a checkpoint lies in the run's folder."""
    return Path(os.path.expanduser(checkpoint)).resolve().is_relative_to(run_dir.resolve())


def is_empty(run_dir: Path) -> bool:
    """Whether nothing is in a folder, which Hydra makes before it calls a command."""
    return not run_dir.exists() or not any(run_dir.iterdir())


def remove_trace(run_dir: Path) -> None:
    """Remove what a command has put into an empty folder that refused it, unless another is there."""
    with suppress(FolderInUse), locked(run_dir):
        shutil.rmtree(run_dir, ignore_errors=True)


def holds_run(folder: Path) -> bool:
    """Whether a training run has begun in the folder."""
    return any((folder / name).exists() for name in _OF_A_RUN)
