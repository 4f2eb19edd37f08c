"""A network's weights as a small file to pass on: float16 safetensors with the task's card inside.

    python -m graves_lm.tasks.export best.ckpt synthesis.safetensors

Half the precision costs no figure its third digit, and the file is a sixth of a checkpoint, which has the
optimiser's state as well. It is read wherever a checkpoint is.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from graves_lm.errors import UserError
from graves_lm.rendering.files import write
from graves_lm.tasks.base import CARD

PREFIX = "network."


def export(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Write the network of a checkpoint (see `loading.read_checkpoint`), without noise and optimiser."""
    weights = checkpoint["state_dict"]
    half = {k: v.to(torch.float16).contiguous() for k, v in weights.items() if k.startswith(PREFIX)}
    card = json.loads(json.dumps(checkpoint[CARD]))
    for key in ("source", "cache_dir"):  # places on the machine that trained
        card["config"]["data"].pop(key, None)
    card["config"]["model"]["noise"] = None
    write(path, save(half, {CARD: json.dumps(card)}))


def read_exported(path: Path) -> dict[str, Any]:
    """The `state_dict` (float32) and card of an exported file. Raises UserError for one of another kind."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if CARD not in metadata:
            raise UserError(f"ckpt={path}: a file of safetensors, but not of graves_lm")
        weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    return {"state_dict": weights, CARD: json.loads(metadata[CARD])}


def main() -> None:
    """The command of the module's docstring."""
    from graves_lm.tasks.loading import read_checkpoint

    if len(sys.argv) != 3:
        sys.exit("usage: python -m graves_lm.tasks.export CHECKPOINT FILE.safetensors")
    try:
        export(read_checkpoint(sys.argv[1]), sys.argv[2])
    except UserError as error:
        sys.exit(f"graves_lm export: {error}")


if __name__ == "__main__":
    main()


__all__ = ["SafetensorError", "export", "main", "read_exported"]
