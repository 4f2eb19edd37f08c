"""From a checkpoint back to a task."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation
from graves_lm.data.symbols import Symbols
from graves_lm.errors import UserError, near_misses
from graves_lm.tasks.base import CARD, SequenceTask
from graves_lm.tasks.export import SafetensorError, check, read_exported

_FACTS: dict[str, Any] = {"symbols": Symbols, "alphabet": Alphabet, "normalisation": Normalisation}
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"
_PLACES = ("source", "cache_dir")
_TRUSTED = ("graves_lm.", "torch.optim.")
_DAMAGED = (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile, SafetensorError)


def read_checkpoint(path: str | Path, task: str | None = None) -> dict[str, Any]:
    """All of a checkpoint, loaded with `weights_only=True`, after checks.

    Args:
        path: the .ckpt file, a .safetensors file that `tasks.export` wrote, or the name of weights that come
            with the package ("synthesis"). A checksum beside exported weights guards them.
        task: the task it must belong to; None: any.

    Raises UserError for a missing, truncated or foreign file and for a checkpoint of another task.
    """
    file = Path(path).expanduser()
    if not file.is_file() and (PRETRAINED / f"{path}.safetensors").is_file():
        file = PRETRAINED / f"{path}.safetensors"
    if not file.is_file():
        names = ", ".join(sorted(p.stem for p in PRETRAINED.glob("*.safetensors")))
        raise UserError(f"ckpt={path}: no such file (weights that come with the package: {names})")
    try:
        if file.suffix == ".safetensors":
            check(file)
            return _of_task(read_exported(file), path, task)
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"ckpt={path}: not a readable checkpoint, perhaps truncated ({reason})") from error
    if not isinstance(checkpoint, dict) or CARD not in checkpoint:
        raise UserError(f"ckpt={path}: a file of torch, but not a checkpoint of graves_lm")
    return _of_task(checkpoint, path, task)


def _of_task(checkpoint: dict[str, Any], path: str | Path, task: str | None) -> dict[str, Any]:
    found = checkpoint[CARD]["task"]
    if task is not None and found != task:
        raise UserError(f"ckpt={path}: a checkpoint of model={found}, and this needs model={task}")
    return checkpoint


def load_task(checkpoint: dict[str, Any]) -> SequenceTask:
    """The task with its weights, on the CPU and in evaluation mode. See `read_checkpoint`."""
    card = checkpoint[CARD]
    model = OmegaConf.create(card["config"]["model"])
    refuse_foreign_targets([card["config"]["model"], card["config"]["sampler"]])
    facts = {name: _FACTS[name].from_plain(plain) for name, plain in card["facts"].items()}
    task = instantiate(model, _partial_=True)(**facts)
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise UserError(f"the checkpoint's weights do not fit its own settings: {error}") from error
    task.config = card["config"]
    return task.eval()


def data_of(cfg: DictConfig, task: SequenceTask) -> DictConfig:
    """The data settings of the command line, filled up with those the checkpoint was trained on."""
    plain: Any = OmegaConf.to_container(cfg.data)
    given: dict[str, Any] = {k: v for k, v in plain.items() if v is not None}
    if "_target_" in given:
        return cfg.data
    trained = task.config["data"]
    refuse_foreign_targets(trained)
    for key in given:
        if key not in trained and key not in _PLACES:  # exported weights do not say where their data were
            known = [name for name in trained if name != "_target_"]
            raise UserError(f"data.{key}: this checkpoint's data have none; {near_misses(key, known)}")
    return OmegaConf.merge(trained, given)  # type: ignore[return-value]


def refuse_foreign_targets(node: Any) -> None:
    """A checkpoint's settings name classes to call: only the project's and torch's optimisers may be."""
    if isinstance(node, dict):
        target = node.get("_target_")
        if target is not None and not str(target).startswith(_TRUSTED):
            raise UserError(f"the checkpoint asks to call {target}; refused: it is not part of graves_lm")
        for value in node.values():
            refuse_foreign_targets(value)
    elif isinstance(node, list):
        for value in node:
            refuse_foreign_targets(value)
