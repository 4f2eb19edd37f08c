"""The whole model of a compressed file: network, alphabet and counts, from a method and a checkpoint."""

import hashlib
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from graves_lm.compression.alphabet import AllBytes
from graves_lm.compression.counts import CountsMixed
from graves_lm.compression.method import Fresh, Method
from graves_lm.compression.network import Predictor, one_thread
from graves_lm.data.symbols import Symbols
from graves_lm.learning.loading import load_task
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.models.character import CharacterNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import read_checkpoint

NOTHING = "none"
"""In place of a checkpoint: a network that has learned nothing."""


class Model:
    """Chances of the next byte of each stream, the same for encoder and decoder."""

    def __init__(self, task: CharacterTask, method: Method):
        rule = None if method.rule is None else method.rule.made()
        segment = 1 if method.rule is None else method.rule.segment
        self._network = Predictor(task, method.streams, rule, segment)
        self._bytes = AllBytes(task.symbols)
        self._counts = CountsMixed(method.counts, method.streams) if method.counts else None
        self._streams = method.streams

    def chances(self) -> NDArray[np.float64]:
        """(S, 256)."""
        chance_S256 = self._bytes.chances(self._network.chances())
        return chance_S256 if self._counts is None else self._counts.mixed(chance_S256)

    def update(self, byte_S: NDArray[np.int32]) -> None:
        """The byte of each of the first streams; the others have ended."""
        symbol_S = np.full(self._streams, -1, np.int64)
        symbol_S[: len(byte_S)] = self._bytes.update(byte_S)
        self._network.update(symbol_S)
        if self._counts is not None:
            self._counts.update(byte_S)


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
