"""Checkpoint files that are whole or not there, whenever the process is killed."""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from graves_lm.errors import UserError, first_line
from graves_lm.tasks.loading import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, forces the bytes to disk, then renames: readers see the old or the new.
    What is read is checked as any foreign file is."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        try:
            with beside(target) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{target}: the checkpoint could not be written ({first_line(error)}); make room or choose "
                "another run_dir; the previous checkpoint is intact: go on with ckpt=last"
            ) from error

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        checkpoint = read_checkpoint(path)
        checkpoint["callbacks"] = callback_states(checkpoint)
        return checkpoint


def callback_states(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What the callbacks keep in a checkpoint, by their names.

    In version 0.1 names held settings, and last.ckpt and best.ckpt had a callback each.
    """
    states = {str(key).partition("{")[0]: state for key, state in checkpoint.get("callbacks", {}).items()}
    best, last = states.pop("ModelCheckpoint", None), states.pop("LastCheckpoint", None)
    if best is None or last is None:
        return states
    monitor, score = best["monitor"], best["best_model_score"]
    states["Checkpoints"] = {
        "monitor": monitor,
        "best": None if score is None else float(score),
        "best_step": None,
        "owed": last["owed"],
    }
    if stop := states.pop("EarlyStopping", None):
        least = float(stop["best_score"])
        states["EarlyStopping"] = {
            "monitor": monitor,
            "best": least if math.isfinite(least) else None,
            "waited": stop["wait_count"],
        }
    return states


def copy_checkpoint(origin: Path, target: Path) -> None:
    """Copy a file as a checkpoint is written. Raises UserError where that fails."""
    try:
        with open(origin, "rb") as source, beside(target) as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise UserError(
            f"{target}: {origin} cannot be copied there ({first_line(error)}); make room"
        ) from error


@contextmanager
def beside(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the target's place when all of it is on disk, and is removed when that fails."""
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)  # of a process that was killed; where a link led is not to be written
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
