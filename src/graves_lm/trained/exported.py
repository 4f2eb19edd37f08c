"""A network's weights as a small file to pass on: float16 safetensors with the task's metadata inside.

    python -m graves_lm.export best.ckpt synthesis.safetensors --data IAM-OnDB \\
        --licence "research use only" --command "graves_lm.train experiment=synthesis_fast …"

Half the precision costs no metric its third digit, and the file is a sixth of a checkpoint, which has the
optimiser's state as well. It is read wherever a checkpoint is. `synthesis.json` beside it says, for people
and programs, what it is and where it comes from, and holds the checksum that `loading.read_checkpoint` asks
for.

Of several checkpoints the file has the mean of their weights (`trained.mean`).
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write
from graves_lm.trained.format import METADATA, NETWORK
from graves_lm.trained.samplers import make_sampler
from graves_lm.trained.stages import summary
from graves_lm.trained.torch_file import regular_file

HEADER = 4 << 20  # bytes: names and shapes of the tensors, and the metadata


def export(
    checkpoint: dict[str, Any],
    path: str | Path,
    sampler: Sequence[str] = (),
    *,
    hand: StrokeLine | None = None,
    **about: Any,
) -> None:
    """Write the network of a checkpoint (see `loading.read_checkpoint`), without noise and optimiser, and
    what it is about into the .json beside it.

    Args:
        sampler: settings "key=value" in place of those of the sampler that the weights were trained with.
        hand: of a network of model=synthesis: a line in data units with its text, which the file carries as
            the style of what it writes (`trained.own_hand`). None: that of the checkpoint, if any.
        about: more of the .json, such as data, licence, metrics, command.

    Raises UserError where a file cannot be written, for a setting that the sampler does not take, and for a
    line that the network cannot be primed with.
    """
    from omegaconf import OmegaConf  # reading needs none

    path = Path(path)
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: give the file the ending .safetensors")
    weights = checkpoint["state_dict"]
    half = {k: v.to(torch.float16).contiguous() for k, v in weights.items() if k.startswith(NETWORK)}
    card = json.loads(json.dumps(checkpoint[METADATA]))
    if (found := card.pop("stages", None)) is not None:  # for people; the file is the network's alone
        about = {**about, "stages": summary(found)}
    if hand is not None:
        card["hand"] = _as_plain(hand, card)
    card["config"]["model"]["noise"] = None
    settings: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(sampler)))
    make_sampler(card["config"]["sampler"], settings)
    card["config"]["sampler"] |= {key: value for key, value in settings.items() if value is not None}
    content = save(half, {METADATA: json.dumps(card)})
    write(path, content)
    write(path.with_suffix(".json"), describe(card, content, sum(v.numel() for v in half.values()), about))


def _as_plain(hand: StrokeLine, card: dict[str, Any]) -> dict[str, Any]:
    from graves_lm.trained.own_hand import to_plain  # which has networks; reading weights needs none

    if card["task"] != "synthesis":
        raise UserError(f"a hand is of weights of model=synthesis, and these are of model={card['task']}")
    facts = card["facts"]
    units, alphabet = Normalisation.from_plain(facts["normalisation"]), Alphabet.from_plain(facts["alphabet"])
    return to_plain(hand, units, alphabet)


def describe(card: dict[str, Any], content: bytes, weights: int, about: dict[str, Any]) -> str:
    """The .json for people and programs: of a task's metadata, the file's content, and more."""
    facts = dict(card["facts"])
    if "alphabet" in facts:
        facts["alphabet"] = "".join(facts["alphabet"]["characters"])
    if "hand" in card:
        facts["hand"] = card["hand"]["text"]
    sampler, checksum = card["config"]["sampler"], hashlib.sha256(content).hexdigest()
    described = {"task": card["task"], "weights": weights, **about, **facts, "sampler": sampler}
    return json.dumps(described | {"sha256": checksum}, indent=1, ensure_ascii=False) + "\n"


def check(path: Path, setting: str = "ckpt") -> None:
    """Raises UserError where the file is not the one that the .json beside it, if any, was written for."""
    card = path.with_suffix(".json")
    if not card.is_file():
        return
    if regular_file(card, setting) > HEADER:
        raise UserError(
            f"{setting}={path}: its metadata {card.name} is larger than any that graves_lm writes"
        )
    try:
        expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{setting}={path}: its metadata {card.name} is damaged; get both files again"
        ) from error
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"{setting}={path}: damaged, or not the file of its metadata: the checksum is not that in "
            f"{card.name}; get both files again"
        )


def read_exported(path: Path, setting: str = "ckpt") -> dict[str, Any]:
    """The `state_dict` (float32) and metadata of an exported file. Raises UserError for one of another
    kind."""
    with open(path, "rb") as file:
        if int.from_bytes(file.read(8), "little") > HEADER:
            raise UserError(f"{setting}={path}: damaged: its header is larger than any that graves_lm writes")
    with safe_open(path, "pt") as tensors:
        metadata = tensors.metadata() or {}
        if METADATA not in metadata:
            raise UserError(f"{setting}={path}: a file of safetensors, but not of graves_lm")
        weights = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118
    if not all(weight.dtype in (torch.float16, torch.float32) for weight in weights.values()):
        raise UserError(f"{setting}={path}: its weights are not float16 or float32 numbers")
    weights = {key: weight.float() for key, weight in weights.items()}
    return {"state_dict": weights, METADATA: json.loads(metadata[METADATA])}
