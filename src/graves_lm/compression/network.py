"""The network of a compressed file: a checkpoint of bytes, or one from nothing."""

import hashlib
from functools import partial

import torch

from graves_lm.compression.method import Fresh
from graves_lm.compression.portable import is_portable
from graves_lm.compression.predictor import one_thread
from graves_lm.data.symbols import Symbols
from graves_lm.learning.loading import load_task
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.models.character import CharacterNetwork
from graves_lm.nn.native import kernel
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.packed_weights import can_be_packed
from graves_lm.trained.checkpoint import read_checkpoint

NOTHING = "none"
"""In place of a checkpoint: a network that has learned nothing."""


def byte_model(ckpt: str) -> CharacterTask:
    """The task of a checkpoint of bytes. Raises UserError for any other."""
    task = load_task(read_checkpoint(ckpt, "character"))
    assert isinstance(task, CharacterTask)
    if task.symbols.unit != "byte":
        raise UserError(f"ckpt={ckpt}: a model of {task.symbols.unit}s; files are bytes (data.unit=byte)")
    return task


def fresh_model(fresh: Fresh) -> CharacterTask:
    """A network that has learned nothing, the same every time."""
    network = partial(CharacterNetwork, layers=fresh.layers, hidden_size=fresh.hidden_size, clip=1.0)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CharacterTask(network, Symbols("byte", range(256))).eval()


def checksum(task: CharacterTask) -> bytes:
    """Of the weights and what they stand for: the first 6 bytes of a SHA-256."""
    found = hashlib.sha256(repr(task.symbols.to_plain()).encode())
    for name, weight in sorted(task.network.state_dict().items()):
        found.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        found.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return found.digest()[:6]


def is_compiled(task: CharacterTask) -> bool:
    """Whether its steps are the compiled kernel's."""
    return (
        can_be_packed(task.network)
        and kernel("network_step") is not None
        and kernel("write_point") is not None
    )


def how_read(task: CharacterTask, learns: bool) -> dict[str, bool]:
    """Of a method: whether its network is read in whole numbers, and where not, whether by the kernel."""
    if not learns and is_portable(task.network):
        return {"portable": True}
    return {"kernel": is_compiled(task)}
