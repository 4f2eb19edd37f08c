"""Checkpoints that are whole or not there, whenever the process is killed."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from graves_lm.errors import UserError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, forces the bytes to disk, then renames: readers see the old or the new."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise UserError(
                f"{target}: the checkpoint could not be written ({error}); make room or choose another "
                "run_dir; the previous checkpoint is intact: go on with ckpt=last"
            ) from error
