"""A network's weights as a small file to pass on: float16 safetensors with the task's card inside.

    python -m graves_lm.tasks.export best.ckpt synthesis.safetensors --data IAM-OnDB \\
        --licence "research use only" --command "graves_lm.train experiment=synthesis_fast …"

Half the precision costs no figure its third digit, and the file is a sixth of a checkpoint, which has the
optimiser's state as well. It is read wherever a checkpoint is. `synthesis.json` beside it says, for people
and programs, what it is and where it comes from, and holds the checksum that `loading.read_checkpoint` asks
for.

Of several checkpoints the file has the mean of their weights. Where one training went on from another, the
mean is often better than either.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import save

from graves_lm.errors import UserError
from graves_lm.files import write
from graves_lm.sampling.settings import make_sampler
from graves_lm.tasks.base import CARD
from graves_lm.trained.torch_file import regular_file

PREFIX = "network."
HEADER = 4 << 20  # bytes: names and shapes of the tensors, and the card
# What networks must share for a mean of their weights to be one.
KINDS = {
    "task": lambda card: card["task"],
    "network": lambda card: card["config"]["model"]["network"],
    "data's symbols or normalisation": lambda card: card["facts"],
}


def export(checkpoint: dict[str, Any], path: str | Path, sampler: Sequence[str] = (), **about: Any) -> None:
    """Write the network of a checkpoint (see `loading.read_checkpoint`), without noise and optimiser, and
    what it is about into the .json beside it.

    Args:
        sampler: settings "key=value" in place of those of the sampler that the weights were trained with.
        about: more of the .json, such as data, licence, figures, command.

    Raises UserError where a file cannot be written, and for a setting that the sampler does not take.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: give the file the ending .safetensors")
    weights = checkpoint["state_dict"]
    half = {k: v.to(torch.float16).contiguous() for k, v in weights.items() if k.startswith(PREFIX)}
    card = json.loads(json.dumps(checkpoint[CARD]))
    card["config"]["model"]["noise"] = None
    settings: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(sampler)))
    make_sampler(card["config"]["sampler"], settings)
    card["config"]["sampler"] |= settings
    content = save(half, {CARD: json.dumps(card)})
    write(path, content)
    write(path.with_suffix(".json"), describe(card, content, sum(v.numel() for v in half.values()), about))


def mean(checkpoints: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first checkpoint, with the mean of all their networks' weights: a "uniform soup" (M. Wortsman et
    al., "Model soups", ICML 2022).

    Raises UserError for networks of different kinds, sizes, symbols or normalisations.
    """
    first, *others = checkpoints
    names = [name for name in first["state_dict"] if name.startswith(PREFIX)]
    for other in others:
        for what, of in KINDS.items():
            if of(other[CARD]) != of(first[CARD]):
                raise UserError(f"checkpoints that differ in their {what} have no mean")
    weights = {
        name: torch.stack([c["state_dict"][name].double() for c in checkpoints]).mean(0) for name in names
    }
    return {"state_dict": weights, CARD: first[CARD]}


def describe(card: dict[str, Any], content: bytes, weights: int, about: dict[str, Any]) -> str:
    """The .json for people and programs: of a task's card, the file's content, and more."""
    facts = dict(card["facts"])
    if "alphabet" in facts:
        facts["alphabet"] = "".join(facts["alphabet"]["characters"])
    sampler, checksum = card["config"]["sampler"], hashlib.sha256(content).hexdigest()
    described = {"task": card["task"], "weights": weights, **about, **facts, "sampler": sampler}
    return json.dumps(described | {"sha256": checksum}, indent=1, ensure_ascii=False) + "\n"


def check(path: Path) -> None:
    """Raises UserError where the file is not the one that the .json beside it, if any, was written for."""
    card = path.with_suffix(".json")
    if not card.is_file():
        return
    if regular_file(card, "ckpt") > HEADER:
        raise UserError(f"ckpt={path}: its card {card.name} is larger than any that graves_lm writes")
    try:
        expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"ckpt={path}: its card {card.name} is damaged; get both files again") from error
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"ckpt={path}: damaged, or not the file of its card: the checksum is not that in {card.name}; "
            "get both files again"
        )


def read_exported(path: Path) -> dict[str, Any]:
    """The `state_dict` (float32) and card of an exported file. Raises UserError for one of another kind."""
    with open(path, "rb") as file:
        if int.from_bytes(file.read(8), "little") > HEADER:
            raise UserError(f"ckpt={path}: damaged: its header is larger than any that graves_lm writes")
    with safe_open(path, "pt") as tensors:
        metadata = tensors.metadata() or {}
        if CARD not in metadata:
            raise UserError(f"ckpt={path}: a file of safetensors, but not of graves_lm")
        weights = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118
    if not all(weight.dtype in (torch.float16, torch.float32) for weight in weights.values()):
        raise UserError(f"ckpt={path}: its weights are not float16 or float32 numbers")
    weights = {key: weight.float() for key, weight in weights.items()}
    return {"state_dict": weights, CARD: json.loads(metadata[CARD])}


def metrics_of(checkpoints: Sequence[str]) -> Path | None:
    """metrics.json of the run that a single checkpoint lies in, if it lies in one."""
    folder = Path(checkpoints[0]).absolute().parent
    file = folder.parent / "metrics.json"
    return file if len(checkpoints) == 1 and folder.name == "checkpoints" and file.is_file() else None


def read_figures(file: Path | None) -> dict[str, Any]:
    """The figures of a metrics.json; none without one. Raises UserError where it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return {key: value for key, value in found.items() if "/" in key or key in ("steps", "seed")}
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"--figures {file}: not a metrics.json that can be read ({error})") from error


def commit() -> str:
    """The commit of the clone that this is part of; "" where it is none."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> None:
    """The command of the module's docstring."""
    from graves_lm import terminal
    from graves_lm.launch import is_mistake, one_line
    from graves_lm.tasks.loading import read_checkpoint

    parser = argparse.ArgumentParser(
        prog="graves_lm export", description="weights as a small file, and a card"
    )
    parser.add_argument("checkpoint", nargs="+", help="of graves_lm.train, or exported before")
    parser.add_argument("file", help="FILE.safetensors; the card is FILE.json")
    parser.add_argument("--data", required=True, help="what the weights were learned from")
    parser.add_argument("--licence", required=True, help="what they may be used for")
    parser.add_argument("--command", required=True, help="that made them")
    parser.add_argument("--figures", type=Path, help="metrics.json of evaluate, in place of that of the run")
    parser.add_argument("--sampler", nargs="*", default=[], metavar="KEY=VALUE", help="how they write best")
    with terminal.command("export"):
        given = parser.parse_args()
        try:
            export(
                mean([read_checkpoint(path) for path in given.checkpoint]),
                given.file,
                given.sampler,
                data=given.data,
                licence=given.licence,
                figures=read_figures(given.figures or metrics_of(given.checkpoint)),
                command=given.command,
                commit=commit(),
            )
        except Exception as error:
            if not is_mistake(error):
                raise
            terminal.say("export", one_line(error, "export"))
            sys.exit(2)


if __name__ == "__main__":
    main()
