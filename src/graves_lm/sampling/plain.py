"""A network step by step for sampling, whatever its cell, by its own `step`: slower than `sampling.packed`.

Shape legend as in `sampling.packed`; S is all of a row's state: the fields of all layers' states, κ, w.
"""

from typing import Any

import torch
from torch import Tensor

from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.cell import flat, unflat
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.packed_weights import can_be_packed

Network = CharacterNetwork | StrokeNetwork | SynthesisNetwork


def for_drawing(network: Network, weights: str = "float32") -> PackedNetwork:
    """The network laid out for sampling: packed, where its cells are the LSTM.

    Raises UserError where its weights cannot be read as `weights`.
    """
    if can_be_packed(network):
        return PackedNetwork(network, weights)
    return PlainNetwork(network, weights)


class PlainNetwork(PackedNetwork):
    """A `PackedNetwork` of any cell."""

    def __init__(self, network: Network, weights: str = "float32"):
        if weights != "float32":
            cell = type(network.stack.recurrences[0]).__qualname__
            raise UserError(f"sampler.weights={weights}: for the LSTM; a network of {cell} takes float32")
        self.network, self.kernel = network, None
        self.device = network.stack.to_output.weight.device
        self.mixtures = 0 if isinstance(network, CharacterNetwork) else network.head.mixtures
        self.symbols, self.components = 0, 0
        if isinstance(network, SynthesisNetwork):
            self.symbols, self.components = network.symbols, network.window.components
        self._like = network.stack.initial_state(1)

    def pack(
        self, layers: tuple[Any, ...], kappa_BK: Tensor | None = None, w_BC: Tensor | None = None
    ) -> Tensor:
        more = [v for v in (kappa_BK, w_BC) if v is not None]
        return torch.cat([v.float() for v in (*flat(layers), *more)], dim=1)

    def unpack(self, state_BS: Tensor) -> SynthesisState:
        sizes = [value.shape[1] for value in flat(self._like)]
        *values, kappa_BK, w_BC = state_BS.split([*sizes, self.components, self.symbols], dim=1)
        return SynthesisState(unflat(values, self._like), kappa_BK, w_BC)

    @torch.inference_mode()
    def step(self, x: Tensor, state_BS: Tensor, text: Text | None = None) -> tuple[Tensor, Tensor, Tensor]:
        before = self.unpack(state_BS)
        if isinstance(self.network, SynthesisNetwork):
            assert text is not None
            y_BY, after, phi_BV = self.network.output_step(x, text, before)
            return y_BY, self.pack(*after), phi_BV
        y_BY, layers = self.network.stack.step(x, before.layers)
        return y_BY, self.pack(layers), state_BS.new_empty(len(state_BS), 0)
