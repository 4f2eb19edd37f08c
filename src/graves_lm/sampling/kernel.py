"""A whole step of one line or text in a compiled kernel, nn/native/step.c.

Shapes as in `sampling.packed`, with B = 1.
"""

import ctypes
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from graves_lm.models.synthesis import Text
from graves_lm.nn.native import arguments, kernel, threads
from graves_lm.nn.native.step import CLayer, CMatrix, CNetwork, address, c_matrix
from graves_lm.nn.window import LARGEST_EXPONENT
from graves_lm.sampling.noise import Noise
from graves_lm.sampling.packed_weights import PackedWeights
from graves_lm.sampling.weights import Matrix

_WORTH_A_THREAD = 200_000  # weights; below, threads would wait for each other longer than they read


def _matrix(m: Matrix) -> CMatrix:
    return c_matrix(m.stored_GI, m.scale_G, m.bias_G)


class Kernel:
    """The kernel on packed weights, which must outlive it."""

    @classmethod
    def of(cls, packed: PackedWeights) -> Optional["Kernel"]:
        """None where there is no compiled kernel, and for weights that are not on the CPU."""
        step, point = kernel("network_step"), kernel("write_point")
        if step is None or point is None or packed.output.value_GI.device.type != "cpu":
            return None
        return cls(packed, step, point)

    def __init__(self, packed: PackedWeights, step: Callable[..., None], point: Callable[..., None]):
        self._step, self._point = step, point
        self._outputs, self._mixtures = len(packed.output.bias_G), packed.mixtures
        layers = [
            CLayer(_matrix(layer.matrix), address(layer.peephole_3H), address(layer.one_hot_KG), layer.inputs)
            for layer in packed.layers
        ]
        self._network = CNetwork(
            len(layers),
            packed.hidden,
            self._outputs,
            packed.first_output,
            packed.symbols,
            packed.components,
            LARGEST_EXPONENT,
            (CLayer * len(layers))(*layers),
            CMatrix() if packed.window is None else _matrix(packed.window),
            _matrix(packed.output),
        )
        weights = sum(m.stored_GI.numel() for m in (packed.output, *(x.matrix for x in packed.layers)))
        self._threads = min(threads(), 1 + weights // _WORTH_A_THREAD)

    def step(self, x: Tensor, state_1S: Tensor, text: Text | None) -> tuple[Tensor, Tensor, Tensor]:
        """As `PackedNetwork.step`."""
        symbol = -1 if x.is_floating_point() else int(x)
        after_1S, y_1Y, phi_1V, symbol_1U, U = _results(self._outputs, state_1S, text)
        values = (self._threads, x, symbol, state_1S, after_1S, symbol_1U, U, phi_1V, y_1Y)
        self._step(ctypes.byref(self._network), *arguments(*values))
        return y_1Y, after_1S, phi_1V

    def point(
        self,
        x_13: Tensor,
        state_1S: Tensor,
        noise: Noise,
        bias: tuple[float, float],
        text: Text | None,
        read: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, list[bool], list[int]]:
        """As `PackedNetwork.point`."""
        after_1S, y_1Y, phi_1V, symbol_1U, U = _results(self._outputs, state_1S, text)
        drawn_15 = x_13.new_empty(1, 5)  # the point, whether the text is written, where the window looks
        values = (
            *(self._threads, x_13, state_1S, after_1S, symbol_1U, U, read, phi_1V, y_1Y),
            *(self._mixtures, *bias, *noise, drawn_15),
        )
        self._point(ctypes.byref(self._network), *arguments(*values))
        done, where = drawn_15[0, 3:].tolist()
        return drawn_15[:, :3], after_1S, y_1Y, phi_1V, [done > 0], [int(where)]


def _results(
    outputs: int, state_1S: Tensor, text: Text | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int]:
    """Room for the state, ŷ and φ after a step; the text's symbols, and how many they are."""
    U = 0 if text is None else int(text.length_B)
    symbol_1U, phi_1V = (None, state_1S.new_empty(1, 0))
    if text is not None:
        symbol_1U, phi_1V = text.symbol_BU, state_1S.new_empty(1, U + 1)
    return torch.empty_like(state_1S), state_1S.new_empty(1, outputs), phi_1V, symbol_1U, U
