"""What followed before, in this very file, mixed with the network's prediction.

**Counts.** How often each byte followed the last 1, 2, … bytes, the word so far, and that and the word before
it. The chance after a context is interpolated with that of the next shorter one by a discount D (R. Kneser
and H. Ney, 1995; J. Pitman and M. Yor, 1997):
p(x) = (max(c(x) − D, 0) + (D·u + a)·p_shorter(x)) / (n + a), with c the count of x after the context, n the
sum of all, u how many are not 0. A byte counts in the contexts of last bytes from the longest down to the
first that knew it, so that the short ones count kinds of contexts, not of places. A word goes back to the
last two bytes, two words to one.

**Match.** The byte that came where the last bytes stood before, as far as memory goes, and how often such a
prediction was right after a match of that length.

**Mixture** in the logit domain: p ∝ exp Σ w_m log p_m, with weights that follow the gradient of log p
after each byte (M. Mahoney's PAQ does so bit by bit): the sum of a set for the longest known context, how
sure that is and how long the match is, and a set for the last byte.

Memory is fixed, 150 MB at most: contexts are hashed into rows of 16 bytes with a check, and a new one takes
an old one's row. The streams share everything but their last bytes. All is float64, in the order in which it
stands, by one thread and with nothing fused: the same to the last bit on every machine.

Shape legend: S streams, C contexts, M inputs of the mixture, W places of a row.
"""

import ctypes

import numpy as np
from numpy.typing import NDArray

from graves_lm.compression import plain_counts
from graves_lm.nn.native import kernel

_MOST_ROWS = 1 << 22
_PLACES = 16
_HISTORY = 1 << 22  # bytes of all streams together that a match can be found in
_TABLE = 1 << 20
_SHORTEST, _LONGEST = 6, 31  # bytes of a match
_FULL = 250  # a row is halved, so that what is new counts
_WORDS = 2  # contexts of words
INPUTS = 7  # of the mixture: the network, three lengths of last bytes, the words, the match

_NUMBERS = (
    *("streams", "orders", "contexts", "rows", "ring", "table", "shortest", "longest", "full"),
    *("input_0", "input_1", "input_2"),
)
_FRACTIONS = ("discount", "concentration", "rate")


class State:
    """All that both forms read and write, named and shaped as `Counts` of native/counts.c."""

    def __init__(self, highest: int, streams: int, length: int):
        S, C = streams, highest + _WORDS
        rows = min(_MOST_ROWS, 1 << (C * length).bit_length())
        self.streams, self.orders, self.contexts, self.rows = S, highest, C, rows
        self.ring = 1 << (_HISTORY // S).bit_length() - 1
        self.table, self.shortest, self.longest, self.full = _TABLE, _SHORTEST, _LONGEST, _FULL
        self.input_0, self.input_1, self.input_2 = min(2, highest) - 1, min(3, highest) - 1, highest - 1
        self.discount, self.concentration, self.rate = 0.75, 0.1, 0.002
        self.symbol = np.zeros((rows, _PLACES), np.uint8)
        self.count = np.zeros((rows, _PLACES), np.uint8)
        self.check = np.zeros(rows, np.uint8)
        self.once = np.full(256, 0.4)
        self.weight = np.zeros(((highest + 1) * 3 * 4, INPUTS))
        self.weight[:, 0], self.weight[:, 1:4] = 0.6, 0.4 / 3
        self.weight_of_last = np.zeros((256, INPUTS))
        self.hit, self.miss = np.zeros(_LONGEST + 1), np.zeros(_LONGEST + 1)
        self.history = np.zeros((S, self.ring), np.uint8)
        self.latest = np.zeros(_TABLE, np.uint32)
        self.times = np.array([plain_counts.scrambled(n) | 1 for n in range(1, highest + 4)], np.uint64)
        self.last = np.zeros((S, highest), np.uint64)  # the latest first
        self.words = np.zeros((S, 2), np.uint64)
        self.next, self.place, self.length = (np.zeros(S, np.int64) for _ in range(3))
        self.row, self.set = np.zeros((S, C), np.int64), np.zeros(S, np.int64)
        self.said, self.odds = np.full(S, -1), np.zeros(S)
        self.log_p = np.zeros((S, INPUTS - 1, 256))
        self.mixed = np.zeros((S, 256))


_ARRAYS = (
    *("symbol", "count", "check", "once", "weight", "weight_of_last", "hit", "miss", "history", "latest"),
    *("times", "last", "words", "next", "place", "length", "row", "set", "said", "odds", "log_p", "mixed"),
)


class _CState(ctypes.Structure):
    """`Counts` of native/counts.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_double) for name in _FRACTIONS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


class CountsMixed:
    """Mixes what a network says with counts and a match.

    >>> counts = CountsMixed(highest=2, streams=1, length=8)
    >>> for byte in b"abababab":
    ...     chance_S256 = counts.mixed(np.full((1, 256), 1 / 256))
    ...     counts.update(np.array([byte], np.int32))
    >>> chance_S256 = counts.mixed(np.full((1, 256), 1 / 256))
    >>> chr(chance_S256[0].argmax())
    'a'

    Args:
        highest: the most bytes of a context.
        streams: S.
        length: bytes that are to come, of all streams: how many rows there are.
    """

    def __init__(self, highest: int, streams: int, length: int):
        self.state = State(highest, streams, length)
        self._mix, self._update = kernel("counts_mix"), kernel("counts_update")
        numbers = [getattr(self.state, name) for name in (*_NUMBERS, *_FRACTIONS)]
        self._c = _CState(*numbers, *(getattr(self.state, name).ctypes.data for name in _ARRAYS))

    def mixed(self, chance_S256: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mixture, (S, 256), which the next call overwrites."""
        if self._mix is None:
            plain_counts.mix(self.state, chance_S256)
        else:
            chance_S256 = np.ascontiguousarray(chance_S256)
            self._mix(ctypes.byref(self._c), ctypes.c_void_p(chance_S256.ctypes.data))
        return self.state.mixed

    def update(self, byte_S: NDArray[np.int32]) -> None:
        """The byte of each stream that came, of the first streams where the last have none any more."""
        if self._update is None:
            plain_counts.update(self.state, byte_S.tolist())
        else:
            byte_S = np.ascontiguousarray(byte_S, np.int32)
            arguments = ctypes.c_int64(len(byte_S)), ctypes.c_void_p(byte_S.ctypes.data)
            self._update(ctypes.byref(self._c), *arguments)
