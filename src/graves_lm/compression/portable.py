"""The network of a compressor in whole numbers: the same to the last bit on every machine.

Weights, activations and states are whole numbers with some of their bits behind the point. Their products are
exact, in 16 and 32 bits by a kernel, as float64 without one, so that the order of sums, the number of threads
and whatever vectors a processor has change nothing; σ, tanh and exp are read from tables that `exact` makes.
What is lost by rounding is less than a thousandth of a bit per byte.

Shape legend: S streams, H hidden units, G = 4H in the order i, f, g, o, K symbols, I inputs of a layer.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graves_lm.compression.exact import exponential
from graves_lm.models.character import NULL_SYMBOL, CharacterNetwork
from graves_lm.nn.lstm import LSTMRecurrence
from graves_lm.nn.native import kernel
from graves_lm.nn.stack import OneHotProjection
from graves_lm.sampling.packed_weights import can_be_packed

Floats = NDArray[np.float64]
Shorts = NDArray[np.int16]
Wholes = NDArray[np.int64]
_H, _C, _GATE, _STEP = 11, 20, 15, 11
"""Bits behind the point: of an activation, a cell's state, what σ's and tanh's tables hold, their places."""
_MOST_C = 1024 << _C
_LARGEST = 4096.0  # of weights
_SHORT, _SUM = 2**15 - 1, 2**31 - 1  # what 16 and 32 bits hold
_FAR = {"sigmoid": 16, "tanh": 8}  # from here on they are 0, 1 or ±1
_EXP_STEP, _EXP_FAR, _EXP = 10, 32, 40


class _Matrix(NamedTuple):
    """W of W x + b, (G, I), and as float64 where there is no kernel."""

    whole_GI: Shorts
    float_IG: Floats | None

    def __call__(self, x_SI: Wholes) -> Wholes:
        if self.float_IG is not None:
            return (x_SI @ self.float_IG).astype(np.int64)
        short_SI, (outputs, inputs) = x_SI.astype(np.int16), self.whole_GI.shape
        sum_SG = np.empty((len(x_SI), outputs), np.int32)
        product = kernel("whole_product")
        assert product is not None
        addresses = (ctypes.c_void_p(array.ctypes.data) for array in (self.whole_GI, short_SI, sum_SG))
        product(*map(ctypes.c_int64, (len(x_SI), inputs, outputs)), *addresses)
        return sum_SG.astype(np.int64)


class _Layer(NamedTuple):
    one_hot_KG: Wholes | None
    matrix: _Matrix
    """Of h of the layer below, where there is one, and of its own."""
    bias_G: Wholes
    peephole_3H: Wholes


def is_portable(network: CharacterNetwork) -> bool:
    """Whether its cells are the LSTM, and none of its weights is as large as no network's is."""
    if not can_be_packed(network):
        return False
    bounded = all(bool((p.detach().abs() < _LARGEST).all()) for p in network.parameters())
    return bounded and _bits(_matrices(network)) is not None


class PortablePredictor:
    """As `predictor.Predictor`, of weights that do not learn, of a network that `is_portable`."""

    def __init__(self, network: CharacterNetwork, streams: int):
        stack = network.stack
        *weights, output_KI = _matrices(network)
        bits = _bits([*weights, output_KI])
        assert bits is not None
        self._bits = bits  # of a weight, behind the point
        self._layers = [self._layer(network, n, weight) for n, weight in enumerate(weights)]
        self._first_output = 0 if stack.skips else len(weights) - 1
        self._output = _matrix(output_KI, bits)
        self._output_bias_K = _whole(stack.to_output.bias, bits + _H)
        self._sigmoid, self._tanh = _table("sigmoid"), _table("tanh")
        e = exponential(-np.arange(_EXP_FAR << _EXP_STEP, dtype=np.float64) / (1 << _EXP_STEP))
        self._exp = np.floor(e * (1 << _EXP) + 0.5)
        size = self._layers[0].peephole_3H.shape[1]
        self._h = [np.zeros((streams, size), np.int64) for _ in self._layers]
        self._c = [np.zeros((streams, size), np.int64) for _ in self._layers]
        self._last_S = np.full(streams, NULL_SYMBOL, np.int64)

    def _layer(self, network: CharacterNetwork, n: int, weight_GI: Floats) -> _Layer:
        stack, one_hot_KG = network.stack, None
        recurrence = cast(LSTMRecurrence, stack.recurrences[n])
        if n < len(stack.from_input):
            one_hot_KG = _whole(cast(OneHotProjection, stack.from_input[n]).weight, self._bits + _H)
        peephole_3H = np.zeros((3, recurrence.hidden_size), np.int64)
        if recurrence.peephole is not None:
            peephole_3H = _whole(recurrence.peephole, self._bits)
        bias_G = _whole(stack.bias[n], self._bits + _H)
        return _Layer(one_hot_KG, _matrix(weight_GI, self._bits), bias_G, peephole_3H)

    def chances(self) -> Floats:
        """(S, K)."""
        for n, layer in enumerate(self._layers):
            below = [self._h[n - 1]] if n else []
            z_SG = layer.matrix(np.concatenate([*below, self._h[n]], axis=1)) + layer.bias_G
            if layer.one_hot_KG is not None:
                z_SG += layer.one_hot_KG[self._last_S] * (self._last_S >= 0)[:, None]
            self._h[n], self._c[n] = self._gates(z_SG, self._c[n], layer.peephole_3H)
        z_SK = self._output(np.concatenate(self._h[self._first_output :], axis=1)) + self._output_bias_K
        below_SK = (z_SK.max(axis=1, keepdims=True) - z_SK) >> (self._bits + _H - _EXP_STEP)
        exp_SK = self._exp.take(below_SK, mode="clip")
        return cast(Floats, exp_SK / exp_SK.sum(axis=1, keepdims=True))  # a sum of whole numbers is exact

    def update(self, symbol_S: NDArray[np.int64]) -> None:
        """The symbols that came; −1 where it is one that the network does not know, or none came."""
        self._last_S = symbol_S

    def _gates(self, z_SG: Wholes, c_SH: Wholes, peephole_3H: Wholes) -> tuple[Wholes, Wholes]:
        """(7)–(11): h and c. What a peephole gives has C bits more than a weight, and gets H."""
        z_S4H, to_place = z_SG.reshape(len(z_SG), 4, -1), self._bits + _H - _STEP
        if_S2H = z_S4H[:, :2] + (c_SH[:, None] * peephole_3H[:2] >> _C - _H)
        i_SH, f_SH = _read(self._sigmoid, if_S2H >> to_place).transpose(1, 0, 2)
        g_SH = _read(self._tanh, z_S4H[:, 2] >> to_place)
        c_SH = (f_SH * c_SH >> _GATE) + (i_SH * g_SH >> 2 * _GATE - _C)
        c_SH = np.clip(c_SH, -_MOST_C, _MOST_C)
        o_SH = _read(self._sigmoid, z_S4H[:, 3] + (c_SH * peephole_3H[2] >> _C - _H) >> to_place)
        h_SH = o_SH * _read(self._tanh, c_SH >> _C - _STEP)
        half = 1 << 2 * _GATE - _H - 1
        return h_SH + half >> 2 * _GATE - _H, c_SH


def _read(table: Wholes, place: Wholes) -> Wholes:
    return table.take(place + len(table) // 2, mode="clip")


def _matrices(network: CharacterNetwork) -> list[Floats]:
    """What each layer multiplies h of the layer below and its own with, (G, I), and the output's, (K, I)."""
    stack, made = network.stack, []
    for n, recurrence in enumerate(stack.recurrences):
        below = [_numbers(cast(Tensor, stack.from_below[n - 1].weight))] if n else []
        made.append(np.concatenate([*below, _numbers(cast(LSTMRecurrence, recurrence).weight)], axis=1))
    return [*made, _numbers(stack.to_output.weight)]


def _bits(weights: Sequence[Floats]) -> int | None:
    """The most bits behind the point that weights can have, so that each has 16 in all and each sum 32; None
    where there are none."""
    for bits in range(14, -1, -1):
        whole = [np.floor(np.abs(w) * 2.0**bits + 0.5) for w in weights]
        if all(w.max() <= _SHORT and w.sum(axis=1).max() * 2.0**_H <= _SUM for w in whole):
            return bits
    return None


def _matrix(weight_GI: Floats, bits: int) -> _Matrix:
    whole_GI = np.floor(weight_GI * 2.0**bits + 0.5)
    return _Matrix(whole_GI.astype(np.int16), None if kernel("whole_product") else whole_GI.T.copy())


def _numbers(weight: Tensor) -> Floats:
    return cast(Floats, weight.detach().cpu().numpy().astype(np.float64))


def _whole(weight: Tensor, bits: int) -> Wholes:
    return np.floor(_numbers(weight) * 2.0**bits + 0.5).astype(np.int64)


def _table(name: str) -> Wholes:
    """σ or tanh at the middle of each place."""
    half = _FAR[name] << _STEP
    x = (np.arange(half, dtype=np.float64) + 0.5) / (1 << _STEP)
    e = exponential(-x if name == "sigmoid" else -2 * x)
    right = 1 / (1 + e) if name == "sigmoid" else (1 - e) / (1 + e)
    left = e / (1 + e) if name == "sigmoid" else -right
    return np.floor(np.concatenate([left[::-1], right]) * (1 << _GATE) + 0.5).astype(np.int64)
