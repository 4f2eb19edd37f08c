"""All 256 bytes from a model of some of them.

A byte that the model does not know is announced by an escape, whose chance is that of how often there was
one (R. Krichevsky and V. Trofimov, 1981: the costs of n bytes that are all known are about ½·log₂ n bits),
and then named by how often each has come. All streams share the counts.

Shape legend: S streams, K symbols of the model.
"""

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.symbols import Symbols


class AllBytes:
    """Chances of 256 bytes from those of the K symbols of a byte model."""

    def __init__(self, symbols: Symbols):
        self.of_symbol_K = np.array(symbols.items, np.int64)
        self.of_byte = np.full(256, -1, np.int64)
        """The symbol of each byte; −1: none."""
        self.of_byte[self.of_symbol_K] = np.arange(len(symbols))
        self._unknown = np.flatnonzero(self.of_byte < 0)
        self._seen = np.full(len(self._unknown), 0.5)
        self._share = self._seen / self._seen.sum()
        self._known_count, self._unknown_count = 0.5, 0.5

    def chances(self, chance_SK: NDArray[np.float64]) -> NDArray[np.float64]:
        """(S, 256), of the symbols' (S, K)."""
        chance_S256 = np.zeros((len(chance_SK), 256))
        escape = (
            self._unknown_count / (self._known_count + self._unknown_count) if len(self._unknown) else 0.0
        )
        chance_S256[:, self.of_symbol_K] = chance_SK * (1 - escape)
        chance_S256[:, self._unknown] = escape * self._share
        return chance_S256

    def update(self, byte_S: NDArray[np.int32]) -> NDArray[np.int64]:
        """Count them; their symbols, −1 for those that the model does not know."""
        symbol_S = self.of_byte[byte_S]
        unknown = byte_S[symbol_S < 0]
        self._known_count += len(byte_S) - len(unknown)
        if len(unknown):
            self._unknown_count += len(unknown)
            np.add.at(self._seen, np.searchsorted(self._unknown, unknown), 1)
            self._share = self._seen / self._seen.sum()
        return symbol_S
