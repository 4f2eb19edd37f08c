"""A checkpoint as plain data. What a file says is compared with what this version would have written, before
anything is made of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.data.symbols import Symbols
from graves_lm.runtime.errors import UserError, first_line
from graves_lm.settings import stored
from graves_lm.trained.exported import check, read_exported
from graves_lm.trained.format import METADATA, NETWORK, NOISE
from graves_lm.trained.kinds import KINDS
from graves_lm.trained.own_hand import from_plain as hand_from_plain
from graves_lm.trained.stages import from_plain, to_plain
from graves_lm.trained.tensors import refuse_other_tensors
from graves_lm.trained.torch_file import plain, read_torch_file, regular_file
from graves_lm.trained.version_0_1 import of_today

_FACTS: dict[str, Any] = {"symbols": Symbols, "alphabet": Alphabet, "normalisation": Normalisation}
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"


def read_checkpoint(path: str | Path, task: str | None = None, setting: str = "ckpt") -> dict[str, Any]:
    """All of a checkpoint, as plain containers and tensors, its metadata after checks.

    Args:
        path: the .ckpt file, a .safetensors file that `graves_lm.export` wrote, or the name of weights
            that come with the package ("synthesis"). A checksum beside exported weights guards them.
        task: the task it must belong to; None: any.
        setting: the one that named it, for messages.

    Raises UserError for a missing, damaged or foreign file, for one that asks for anything but the settings
    of this package's own classes, and for a checkpoint of another task.
    """
    file = Path(os.path.expanduser(path))
    if not file.is_file() and (PRETRAINED / f"{path}.safetensors").is_file():
        file = PRETRAINED / f"{path}.safetensors"
    if not file.exists():
        names = sorted(p.stem for p in PRETRAINED.glob("*.safetensors"))
        if not names:
            raise UserError(
                f"{setting}={path}: no such file, and this package was built without trained weights; give a "
                "checkpoint of graves_lm.train, or install a package with them"
            )
        raise UserError(
            f"{setting}={path}: no such file (weights that come with the package: {', '.join(names)})"
        )
    regular_file(file, setting)
    exported = file.suffix == ".safetensors"
    try:
        if exported:
            check(file, setting)
        checkpoint = read_exported(file, setting) if exported else read_torch_file(file)
    except UserError:
        raise
    except Exception as error:  # whatever a parser says of bytes that are no checkpoint
        reason = first_line(error)[:120]
        raise UserError(
            f"{setting}={path}: not a readable checkpoint, perhaps truncated ({reason})"
        ) from error
    if not isinstance(checkpoint, dict) or METADATA not in checkpoint:
        raise UserError(f"{setting}={path}: a file of torch, but not a checkpoint of graves_lm")
    found = checkpoint[METADATA].get("task") if isinstance(checkpoint[METADATA], dict) else None
    if isinstance(found, str) and found in KINDS and task not in (None, found):
        raise UserError(f"{setting}={path}: a checkpoint of model={found}, and this needs model={task}")
    checkpoint[METADATA] = read_metadata(checkpoint[METADATA], f"{setting}={path}")
    try:
        refuse_unfit_weights(checkpoint)
    except UserError as error:
        raise UserError(f"{setting}={path}: refused: {error}") from error
    return checkpoint


def read_metadata(metadata: Any, where: str) -> dict[str, Any]:
    """What a checkpoint says of its task, its settings and its data; more than that is left out.

    Raises UserError for a task, a class, a setting or a fact that this version does not know.
    """
    try:
        metadata = plain(metadata)
        task = metadata.get("task") if isinstance(metadata, dict) else None
        if task not in KINDS:
            raise UserError(f"it is of model={task!r}; this version reads {', '.join(KINDS)}")
        facts = metadata.get("facts")
        if not isinstance(facts, dict) or set(facts) != set(KINDS[task].takes):
            raise UserError(f"what it knows of its data is not {' and '.join(KINDS[task].takes)}")
        for name, fact in facts.items():
            _FACTS[name].from_plain(fact)
        read = {
            "task": task,
            "config": stored.read_config(of_today(metadata.get("config")), task),
            "facts": facts,
        }
        if isinstance(fingerprint := metadata.get("data"), str):  # of the data that it was trained on
            read["data"] = fingerprint[:64]
        if "stages" in metadata:
            read["stages"] = to_plain(from_plain(metadata["stages"]))
        if task == "synthesis" and metadata.get("hand") is not None:
            hand_from_plain(metadata["hand"], **facts_of(read))
            read["hand"] = metadata["hand"]
        return read
    except UserError as error:
        raise UserError(f"{where}: refused: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{where}: refused: its facts cannot be read ({first_line(error)})") from error


def refuse_unfit_weights(checkpoint: Mapping[str, Any]) -> None:
    """Raises UserError where the weights are not those of a network with the checkpoint's settings."""
    try:
        with torch.device("meta"):  # shapes without memory
            network = make_network(checkpoint[METADATA])
            noise = checkpoint[METADATA]["config"]["model"].get("noise")
            parts = {NETWORK: network} | ({NOISE: stored.build(noise)(network)} if noise else {})
            own = {
                prefix + name: w for prefix, part in parts.items() for name, w in part.state_dict().items()
            }
    except (RuntimeError, ValueError) as error:
        raise UserError(f"its settings make no network ({first_line(error)})") from error
    refuse_other_tensors(checkpoint.get("state_dict"), own, "weights")


def facts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What `read_metadata` gave of the data: symbols, or normalisation and alphabet, as objects."""
    return {name: _FACTS[name].from_plain(fact) for name, fact in metadata["facts"].items()}


def hand_of(metadata: Mapping[str, Any]) -> StrokeLine | None:
    """The hand in what `read_metadata` gave, if there is one."""
    if metadata.get("hand") is None:
        return None
    return hand_from_plain(metadata["hand"], **facts_of(metadata))


def make_network(metadata: Mapping[str, Any]) -> nn.Module:
    """A network with the settings that `read_metadata` gave, its weights not yet those of the file."""
    facts = facts_of(metadata)
    known = facts.get("symbols", facts.get("alphabet"))
    made: nn.Module = stored.build(metadata["config"]["model"]["network"])(
        **({} if known is None else {"symbols": len(known)})
    )
    return made


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's own weights, by their names in it."""
    weights = checkpoint["state_dict"].items()
    return {name.removeprefix(NETWORK): w for name, w in weights if name.startswith(NETWORK)}
