"""Checkpoint files that are whole or not there, whenever the process is killed."""

import math
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from graves_lm.runtime.errors import UserError, first_line
from graves_lm.runtime.files import replacing
from graves_lm.trained.checkpoint import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, forces the bytes to disk, then renames: readers see the old or the new.
    What is read is checked as any foreign file is."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        try:
            with replacing(target) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{target}: the checkpoint could not be written ({first_line(error)}); make room or choose "
                "another run_dir; the previous checkpoint is intact: go on with resume=last"
            ) from error

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        checkpoint = read_checkpoint(path)
        checkpoint["callbacks"] = callback_states(checkpoint)
        # What differs from this version's form is refused; no migration is to change it before.
        checkpoint["pytorch-lightning_version"] = lightning.__version__
        return checkpoint


def callback_states(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What the callbacks keep in a checkpoint, by their names.

    In version 0.1 names held settings, and last.ckpt and best.ckpt had a callback each. What is neither of
    that form nor of today's is left out.
    """
    found = checkpoint.get("callbacks")
    if not isinstance(found, dict):
        return {}
    states = {str(key).partition("{")[0]: state for key, state in found.items() if isinstance(state, dict)}
    best, last = states.pop("ModelCheckpoint", None), states.pop("LastCheckpoint", None)
    if best is None or last is None:
        return states
    stop, monitor = states.pop("EarlyStopping", {}), best.get("monitor")
    states["Checkpoints"] = {
        "monitor": monitor,
        "best": _number(best.get("best_model_score")),
        "best_step": None,
        "owed": last.get("owed", False),
    }
    if stop:
        least, waited = _number(stop.get("best_score")), stop.get("wait_count", 0)
        states["EarlyStopping"] = {"monitor": monitor, "best": least, "waited": waited}
    return states


def _number(score: Any) -> float | None:
    """A finite number of a tensor of one; None for anything else."""
    number = float(score) if isinstance(score, Tensor) and score.numel() == 1 else math.nan
    return number if math.isfinite(number) else None


def copy_checkpoint(origin: Path, target: Path) -> None:
    """Copy a file as a checkpoint is written. Raises UserError where that fails."""
    try:
        with open(origin, "rb") as source, replacing(target) as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise UserError(
            f"{target}: {origin} cannot be copied there ({first_line(error)}); make room"
        ) from error
