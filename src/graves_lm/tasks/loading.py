"""From a checkpoint back to a task. What a file says is compared with what this version would have written,
before anything is made of it."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation
from graves_lm.data.symbols import Symbols
from graves_lm.errors import UserError, first_line, near_misses
from graves_lm.settings import stored
from graves_lm.tasks.base import CARD, SequenceTask
from graves_lm.tasks.export import check, read_exported
from graves_lm.tasks.resuming import refuse_other_tensors
from graves_lm.trained.torch_file import plain, read_torch_file, regular_file

_FACTS: dict[str, Any] = {"symbols": Symbols, "alphabet": Alphabet, "normalisation": Normalisation}
_FACTS_OF = {
    "character": ("symbols",),
    "stroke": ("normalisation",),
    "synthesis": ("normalisation", "alphabet"),
}
MOST_LINES = 20_000  # that are generated because a checkpoint says so
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"


def read_checkpoint(path: str | Path, task: str | None = None) -> dict[str, Any]:
    """All of a checkpoint, as plain containers and tensors, and its card after checks.

    Args:
        path: the .ckpt file, a .safetensors file that `tasks.export` wrote, or the name of weights that come
            with the package ("synthesis"). A checksum beside exported weights guards them.
        task: the task it must belong to; None: any.

    Raises UserError for a missing, damaged or foreign file, for one that asks for anything but the settings
    of this package's own classes, and for a checkpoint of another task.
    """
    file = Path(os.path.expanduser(path))
    if not file.is_file() and (PRETRAINED / f"{path}.safetensors").is_file():
        file = PRETRAINED / f"{path}.safetensors"
    if not file.exists():
        names = ", ".join(sorted(p.stem for p in PRETRAINED.glob("*.safetensors")))
        raise UserError(f"ckpt={path}: no such file (weights that come with the package: {names})")
    regular_file(file, "ckpt")
    exported = file.suffix == ".safetensors"
    try:
        if exported:
            check(file)
        checkpoint = read_exported(file) if exported else read_torch_file(file)
    except UserError:
        raise
    except Exception as error:  # whatever a parser says of bytes that are no checkpoint
        reason = first_line(error)[:120]
        raise UserError(f"ckpt={path}: not a readable checkpoint, perhaps truncated ({reason})") from error
    if not isinstance(checkpoint, dict) or CARD not in checkpoint:
        raise UserError(f"ckpt={path}: a file of torch, but not a checkpoint of graves_lm")
    found = checkpoint[CARD].get("task") if isinstance(checkpoint[CARD], dict) else None
    if isinstance(found, str) and found in _FACTS_OF and task not in (None, found):
        raise UserError(f"ckpt={path}: a checkpoint of model={found}, and this needs model={task}")
    checkpoint[CARD] = read_card(checkpoint[CARD], f"ckpt={path}")
    try:
        refuse_unfit_weights(checkpoint)
    except UserError as error:
        raise UserError(f"ckpt={path}: refused: {error}") from error
    return checkpoint


def read_card(card: Any, where: str) -> dict[str, Any]:
    """What a checkpoint says of its task, its settings and its data; more than that is left out.

    Raises UserError for a task, a class, a setting or a fact that this version does not know.
    """
    try:
        card = plain(card)
        task = card.get("task") if isinstance(card, dict) else None
        if task not in _FACTS_OF:
            raise UserError(f"it is of model={task!r}; this version reads {', '.join(_FACTS_OF)}")
        facts = card.get("facts")
        if not isinstance(facts, dict) or set(facts) != set(_FACTS_OF[task]):
            raise UserError(f"what it knows of its data is not {' and '.join(_FACTS_OF[task])}")
        for name, fact in facts.items():
            _FACTS[name].from_plain(fact)
        read = {"task": task, "config": stored.read_config(card.get("config"), task), "facts": facts}
        if isinstance(fingerprint := card.get("data"), str):  # of the data that it was trained on
            read["data"] = fingerprint[:64]
        return read
    except UserError as error:
        raise UserError(f"{where}: refused: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{where}: refused: its facts cannot be read ({first_line(error)})") from error


def refuse_unfit_weights(checkpoint: Mapping[str, Any]) -> None:
    """Raises UserError where the weights are not those of a network with the checkpoint's settings."""
    try:
        with torch.device("meta"):  # shapes without memory
            own = _maker(checkpoint)().state_dict()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"its settings make no network ({first_line(error)})") from error
    refuse_other_tensors(checkpoint.get("state_dict"), own, "weights")


def _maker(checkpoint: Mapping[str, Any]) -> Callable[[], SequenceTask]:
    card = checkpoint[CARD]
    facts = {name: _FACTS[name].from_plain(fact) for name, fact in card["facts"].items()}
    return partial(stored.build(card["config"]["model"]), **facts)


def load_task(checkpoint: Mapping[str, Any]) -> SequenceTask:
    """The task with its weights, on the CPU and in evaluation mode, of what `read_checkpoint` gave.

    Raises UserError for anything that `read_checkpoint` would refuse.
    """
    checkpoint = {**checkpoint, CARD: read_card(checkpoint[CARD], "the checkpoint")}
    refuse_unfit_weights(checkpoint)
    task = _maker(checkpoint)()
    task.load_state_dict(checkpoint["state_dict"])
    task.config = checkpoint[CARD]["config"]
    return task.eval()


def data_of(cfg: DictConfig, task: SequenceTask) -> DictConfig:
    """The data settings of the command line, filled up with those the checkpoint was trained on.

    Where the data lie is said by the command line alone: a checkpoint comes from anywhere.
    """
    plain_cfg: Any = OmegaConf.to_container(cfg.data)
    given: dict[str, Any] = {k: v for k, v in plain_cfg.items() if v is not None}
    if "_target_" in given:
        return cfg.data
    trained = task.config["data"]
    known = stored.known_settings(trained["_target_"])
    for key in given:
        if key not in known:
            raise UserError(f"data.{key}: this checkpoint's data have none; {near_misses(key, known)}")
    if (lines := trained.get("lines", 0) + trained.get("eval_lines", 0)) > MOST_LINES:
        raise UserError(
            f"its data are {lines:,} generated lines, which take long: if you want them, name them: "
            f"data=hershey data.lines={trained['lines']} …"
        )
    return OmegaConf.create({**trained, **given})
