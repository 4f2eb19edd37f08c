"""How often each byte followed the last 1, 2, … bytes, mixed with the network's prediction.

The chance after a context is interpolated from longest to shortest with a discount D (R. Kneser and
H. Ney, 1995; J. Pitman and M. Yor, 1997):
p_o(x) = (max(c(x) − D, 0) + (D·u + a)·p_{o−1}(x)) / (n + a), with c
the count of x after the context, n the sum of all, u how many are not 0. A byte counts in the contexts from
the longest down to the first that knew it, so that the short ones count kinds of contexts, not of places.

Network and counts are mixed in the logit domain, p ∝ exp Σ w_m log p_m, with weights that follow the gradient
of log p after each byte (M. Mahoney's PAQ does so bit by bit), a set of them for each length of the longest
known context and how sure that is. The streams share the counts and the mixture's weights.

Memory is fixed: contexts are hashed into rows of 16 bytes with a check, and a new one takes an old one's row.
Everything is numpy's elementwise arithmetic in float64: one thread, the same for encoder and decoder.

Shape legend: S streams, O orders, M inputs of the mixture, W places of a row.
"""

import numpy as np
from numpy.typing import NDArray

_ROWS = 1 << 21
_PLACES = 16
_DISCOUNT = 0.75
_CONCENTRATION = 0.1
_RATE = 0.002
_FULL = 250  # a row is halved, so that what is new counts
_LEAST = 1e-12


class CountsMixed:
    """Mixes what a network says with counts of orders 1 … `highest`.

    >>> counts = CountsMixed(highest=2, streams=1)
    >>> for byte in b"abababab":
    ...     chance_S256 = counts.mixed(np.full((1, 256), 1 / 256))
    ...     counts.update(np.array([byte]))
    >>> chance_S256 = counts.mixed(np.full((1, 256), 1 / 256))
    >>> chr(chance_S256[0].argmax())
    'a'
    """

    def __init__(self, highest: int, streams: int):
        S = streams
        self._orders, self._streams = highest, np.arange(S)
        self._symbol = np.zeros((_ROWS, _PLACES), np.uint8)
        self._count = np.zeros((_ROWS, _PLACES), np.uint8)
        self._check = np.zeros(_ROWS, np.uint8)
        self._last_SO = np.zeros((S, highest), np.uint64)  # the latest first
        odd = np.random.Generator(np.random.Philox(0)).integers(1, 2**62, highest, dtype=np.uint64)
        self._times_O = 2 * odd + np.uint64(1)
        self._once = np.full(256, 0.4)  # of order 0
        self._inputs = sorted({min(2, highest), min(3, highest), highest})
        weight_M = np.full(1 + len(self._inputs), 0.4 / len(self._inputs))
        weight_M[0] = 0.6
        self._weight = np.tile(weight_M, ((highest + 1) * 3, 1))
        self._base_OS1 = np.arange(highest * S).reshape(highest, S, 1) * 256
        self._log_SM256 = np.empty((S, len(weight_M), 256))

    def mixed(self, chance_S256: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mixture, (S, 256)."""
        orders, S = self._orders, len(self._streams)
        row_OS, check_OS = self._places()
        strange = self._check[row_OS] != check_OS
        if strange.any():
            self._count[row_OS[strange]] = 0
            self._check[row_OS[strange]] = check_OS[strange]
        self._row_OS = row_OS
        self._count_OSW, self._symbol_OSW = self._count[row_OS], self._symbol[row_OS]
        c_OSW = self._count_OSW.astype(np.float64)
        n_OS1 = c_OSW.sum(2, keepdims=True)
        kinds_OS1 = (c_OSW > 0).sum(2, keepdims=True)
        over = 1 / (n_OS1 + _CONCENTRATION)
        own = np.maximum(c_OSW - _DISCOUNT, 0) * over
        handed_on_OS1 = (_DISCOUNT * kinds_OS1 + _CONCENTRATION) * over
        p_OS256 = np.bincount((self._base_OS1 + self._symbol_OSW).ravel(), own.ravel(), orders * S * 256)
        p_OS256 = p_OS256.reshape(orders, S, 256)
        below = np.broadcast_to(self._once / self._once.sum(), (S, 256))
        for order in range(orders):
            p_OS256[order] += handed_on_OS1[order] * below
            below = p_OS256[order]
        self._log_SM256[:, 0] = chance_S256
        for m, order in enumerate(self._inputs, 1):
            self._log_SM256[:, m] = p_OS256[order - 1]
        np.log(np.maximum(self._log_SM256, _LEAST), out=self._log_SM256)
        self._set_S = self._sets(n_OS1[:, :, 0], kinds_OS1[:, :, 0])
        z_S256 = (self._weight[self._set_S][:, :, None] * self._log_SM256).sum(1)
        z_S256 = np.exp(z_S256 - z_S256.max(1, keepdims=True))
        self._mixed_S256: NDArray[np.float64] = z_S256 / z_S256.sum(1, keepdims=True)
        return self._mixed_S256

    def update(self, byte_S: NDArray[np.integer]) -> None:
        """The byte of each stream that came, of the first streams where the last have none any more."""
        S = len(byte_S)
        log_SM = self._log_SM256[self._streams[:S], :, byte_S]
        gradient_SM = log_SM - (self._log_SM256[:S] * self._mixed_S256[:S, None]).sum(2)
        np.add.at(self._weight, self._set_S[:S], _RATE * gradient_SM)
        count_OSW, symbol_OSW = self._count_OSW[:, :S], self._symbol_OSW[:, :S]
        hit_OSW = (symbol_OSW == byte_S[None, :, None]) & (count_OSW > 0)
        known_OS = hit_OSW.any(2)
        longer = np.zeros_like(known_OS)  # knew it
        longer[:-1] = np.logical_or.accumulate(known_OS[::-1], axis=0)[::-1][1:]
        place_OS = np.where(known_OS, hit_OSW.argmax(2), count_OSW.argmin(2))
        order, stream = np.nonzero(~longer)
        row, place, known = self._row_OS[order, stream], place_OS[order, stream], known_OS[order, stream]
        before = count_OSW[order, stream, place]
        full = known & (before >= _FULL)
        if full.any():
            self._count[np.unique(row[full])] >>= 1
            before = np.where(full, before >> 1, before)
        self._count[row, place] = np.where(known, before + 1, 1)
        self._symbol[row, place] = byte_S[stream]
        np.add.at(self._once, byte_S[~known_OS.any(0)], 1)
        self._last_SO[:S, 1:] = self._last_SO[:S, :-1].copy()
        self._last_SO[:S, 0] = byte_S

    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The row of each context and the check of who it is of, (O, S). Products wrap around."""
        hashed = np.cumsum((self._last_SO + np.uint64(1)) * self._times_O, axis=1).T
        hashed = (hashed ^ (hashed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed ^= hashed >> np.uint64(32)
        row_OS = (hashed & np.uint64(_ROWS - 1)).astype(np.int64)
        return row_OS, ((hashed >> np.uint64(40)) & np.uint64(255)).astype(np.uint8)

    def _sets(self, n_OS: NDArray[np.float64], kinds_OS: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which weights each stream takes: by the longest context that has counts, and whether these are of
        one byte, seen once or twice, or more often, or of several."""
        longest_S = (n_OS > 0).sum(0)
        top_S = np.maximum(longest_S - 1, 0)
        n_S, kinds_S = n_OS[top_S, self._streams], kinds_OS[top_S, self._streams]
        sets_S: NDArray[np.int64] = longest_S * 3 + np.where(kinds_S > 1, 0, np.where(n_S > 2, 2, 1))
        return sets_S
