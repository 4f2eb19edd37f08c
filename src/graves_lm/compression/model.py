"""The whole model of a compressed file: network, alphabet and counts side by side."""

import numpy as np
from numpy.typing import NDArray

from graves_lm.compression.alphabet import AllBytes
from graves_lm.compression.counts import CountsMixed
from graves_lm.compression.method import Method
from graves_lm.compression.portable import PortablePredictor
from graves_lm.compression.predictor import Predictor
from graves_lm.learning.tasks.character import CharacterTask


class Model:
    """Chances of the next byte of each stream, the same for encoder and decoder."""

    def __init__(self, task: CharacterTask, method: Method):
        self._network = _network(task, method)
        self._bytes = AllBytes(task.symbols)
        self._counts = None
        if method.counts:
            self._counts = CountsMixed(method.counts, method.streams, method.length)
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


def _network(task: CharacterTask, method: Method) -> Predictor | PortablePredictor:
    if method.portable:
        return PortablePredictor(task.network, method.streams)
    if method.rule is None:
        return Predictor(task, method.streams)
    return Predictor(task, method.streams, method.rule.made(), method.rule.segment)
