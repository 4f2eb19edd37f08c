"""The network of a compressor in whole numbers: the same to the last bit on every machine.

Weights, activations and states are whole multiples of powers of two. Products of such numbers are exact, in
16 and 32 bits by a kernel, as float64 without one, so that the order of sums, the number of threads and
whatever vectors a processor has change nothing; σ, tanh and exp are read from tables that `exact` makes. What
is lost by rounding is less than a thousandth of a bit per byte.

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
_H, _C = 2.0**11, 2.0**20
"""An activation and a cell's state in units of one over these."""
_MOST_C = 1024 * _C
_LARGEST = 2.0**20  # of a weight
_SHORT, _SUM = 2**15 - 1, 2**31 - 1  # what 16 and 32 bits hold
_STEP = 2.0**11  # places of the tables of σ and tanh to 1
_GATE = 2.0**15  # what they hold in units of one over this
_FAR = {"sigmoid": 16, "tanh": 8}  # from here on they are 0, 1 or ±1
_EXP_STEP, _EXP_FAR, _EXP = 2.0**10, 32, 2.0**40


class _Matrix(NamedTuple):
    """W of W x + b, (G, I), and as float64 where there is no kernel."""

    whole_GI: Shorts
    float_IG: Floats | None

    def __call__(self, x_SI: Floats) -> Floats:
        if self.float_IG is not None:
            return x_SI @ self.float_IG
        short_SI, (outputs, inputs) = x_SI.astype(np.int16), self.whole_GI.shape
        sum_SG = np.empty((len(x_SI), outputs), np.int32)
        product = kernel("whole_product")
        assert product is not None
        addresses = (ctypes.c_void_p(array.ctypes.data) for array in (self.whole_GI, short_SI, sum_SG))
        product(*map(ctypes.c_int64, (len(x_SI), inputs, outputs)), *addresses)
        return sum_SG.astype(np.float64)


class _Layer(NamedTuple):
    one_hot_KG: Floats | None
    matrix: _Matrix
    """Of h of the layer below, where there is one, and of its own."""
    bias_G: Floats
    peephole_3H: Floats


def is_portable(network: CharacterNetwork) -> bool:
    """Whether its cells are the LSTM, and none of its weights is as large as no network's is."""
    if not can_be_packed(network):
        return False
    bounded = all(bool((p.detach().abs() < _LARGEST).all()) for p in network.parameters())
    return bounded and _unit(_matrices(network)) is not None


class PortablePredictor:
    """As `predictor.Predictor`, of weights that do not learn, of a network that `is_portable`."""

    def __init__(self, network: CharacterNetwork, streams: int):
        stack = network.stack
        *weights, output_KI = _matrices(network)
        unit = _unit([*weights, output_KI])
        assert unit is not None
        self._unit, self._z = unit, unit * _H
        self._layers = [self._layer(network, n, weight) for n, weight in enumerate(weights)]
        self._first_output = 0 if stack.skips else len(weights) - 1
        self._output = _matrix(output_KI, self._unit)
        self._output_bias_K = _whole(stack.to_output.bias, self._z)
        self._sigmoid, self._tanh = _table("sigmoid"), _table("tanh")
        self._exp = np.floor(
            exponential(-np.arange(_EXP_FAR * _EXP_STEP, dtype=np.float64) / _EXP_STEP) * _EXP + 0.5
        )
        size = self._layers[0].peephole_3H.shape[1]
        self._h = [np.zeros((streams, size)) for _ in self._layers]
        self._c = [np.zeros((streams, size)) for _ in self._layers]
        self._last_S = np.full(streams, NULL_SYMBOL, np.int64)

    def _layer(self, network: CharacterNetwork, n: int, weight_GI: Floats) -> _Layer:
        stack, one_hot_KG = network.stack, None
        recurrence = cast(LSTMRecurrence, stack.recurrences[n])
        if n < len(stack.from_input):
            one_hot_KG = _whole(cast(OneHotProjection, stack.from_input[n]).weight, self._z)
        peephole_3H = np.zeros((3, recurrence.hidden_size))
        if recurrence.peephole is not None:
            peephole_3H = _whole(recurrence.peephole, self._unit)
        bias_G = _whole(stack.bias[n], self._z)
        return _Layer(one_hot_KG, _matrix(weight_GI, self._unit), bias_G, peephole_3H)

    def chances(self) -> Floats:
        """(S, K)."""
        for n, layer in enumerate(self._layers):
            below = [self._h[n - 1]] if n else []
            z_SG = layer.matrix(np.concatenate([*below, self._h[n]], axis=1)) + layer.bias_G
            if layer.one_hot_KG is not None:
                z_SG += layer.one_hot_KG[self._last_S] * (self._last_S >= 0)[:, None]
            self._h[n], self._c[n] = self._gates(z_SG, self._c[n], layer.peephole_3H)
        z_SK = self._output(np.concatenate(self._h[self._first_output :], axis=1)) + self._output_bias_K
        below_SK = np.floor((z_SK.max(axis=1, keepdims=True) - z_SK) * (_EXP_STEP / self._z))
        exp_SK = self._exp[np.minimum(below_SK, len(self._exp) - 1).astype(np.int64)]
        return cast(Floats, exp_SK / exp_SK.sum(axis=1, keepdims=True))  # a sum of whole numbers is exact

    def update(self, symbol_S: NDArray[np.int64]) -> None:
        """The symbols that came; −1 where it is one that the network does not know, or none came."""
        self._last_S = symbol_S

    def _gates(self, z_SG: Floats, c_SH: Floats, peephole_3H: Floats) -> tuple[Floats, Floats]:
        """(7)–(11): h and c."""
        i_SH, f_SH, g_SH, o_SH = np.split(z_SG, 4, axis=1)
        seen = _H / _C  # from a weight's product with c to one with h
        i_SH = _read(self._sigmoid, i_SH + np.floor(c_SH * peephole_3H[0] * seen), self._z)
        f_SH = _read(self._sigmoid, f_SH + np.floor(c_SH * peephole_3H[1] * seen), self._z)
        g_SH = _read(self._tanh, g_SH, self._z)
        c_SH = np.floor(f_SH * c_SH / _GATE) + np.floor(i_SH * g_SH * (_C / _GATE**2))
        c_SH = np.clip(c_SH, -_MOST_C, _MOST_C)
        o_SH = _read(self._sigmoid, o_SH + np.floor(c_SH * peephole_3H[2] * seen), self._z)
        return np.floor(o_SH * _read(self._tanh, c_SH, _C) * (_H / _GATE**2) + 0.5), c_SH


def _read(table: Floats, x: Floats, unit: float) -> Floats:
    place = np.floor(x * (_STEP / unit)) + len(table) // 2
    return table[np.clip(place, 0, len(table) - 1).astype(np.int64)]


def _matrices(network: CharacterNetwork) -> list[Floats]:
    """What each layer multiplies h of the layer below and its own with, (G, I), and the output's, (K, I)."""
    stack, made = network.stack, []
    for n, recurrence in enumerate(stack.recurrences):
        below = [_numbers(cast(Tensor, stack.from_below[n - 1].weight))] if n else []
        made.append(np.concatenate([*below, _numbers(cast(LSTMRecurrence, recurrence).weight)], axis=1))
    return [*made, _numbers(stack.to_output.weight)]


def _unit(weights: Sequence[Floats]) -> float | None:
    """The finest power of two that a weight can be in units of one over it, so that each has 16 bits and each
    sum 32; None: none."""
    for bits in range(14, -1, -1):
        whole = [np.floor(np.abs(w) * 2.0**bits + 0.5) for w in weights]
        if all(w.max() <= _SHORT and w.sum(axis=1).max() * _H <= _SUM for w in whole):
            return 2.0**bits
    return None


def _matrix(weight_GI: Floats, unit: float) -> _Matrix:
    whole_GI = np.floor(weight_GI * unit + 0.5)
    return _Matrix(whole_GI.astype(np.int16), None if kernel("whole_product") else whole_GI.T.copy())


def _numbers(weight: Tensor) -> Floats:
    return cast(Floats, weight.detach().cpu().numpy().astype(np.float64))


def _whole(weight: Tensor, unit: float) -> Floats:
    return np.floor(_numbers(weight) * unit + 0.5)


def _table(name: str) -> Floats:
    """σ or tanh at the middle of each place."""
    half = int(_FAR[name] * _STEP)
    x = (np.arange(half, dtype=np.float64) + 0.5) / _STEP
    e = exponential(-x if name == "sigmoid" else -2 * x)
    right = 1 / (1 + e) if name == "sigmoid" else (1 - e) / (1 + e)
    left = e / (1 + e) if name == "sigmoid" else -right
    return np.floor(np.concatenate([left[::-1], right]) * _GATE + 0.5)
