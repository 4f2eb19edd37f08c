"""A network's weights as sampling reads them: for each layer one matrix, once.

A layer is one product with [W_x W_w W_{h^{n−1}hⁿ} W_{hⁿhⁿ}], laid out as it is read, and the rows of its cell
input g are doubled, as the gates take them (`nn.packed`).

Shape legend: H hidden units, G = 4H, I the inputs of a layer side by side, K symbols of one-hot inputs.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.nn.lstm import LSTMRecurrence
from graves_lm.nn.stack import OneHotProjection, SkipStack
from graves_lm.sampling.weights import Matrix, matrix


class PackedLayer(NamedTuple):
    """(2), (52) or (53) for one layer. `matrix` sees the pen's `inputs` (3 or 0), w, h below and its own h;
    `one_hot_KG` is what each symbol adds where inputs are symbols."""

    matrix: Matrix
    peephole_3H: Tensor
    one_hot_KG: Tensor | None
    inputs: int


class PackedWeights(NamedTuple):
    """A whole network.

    hidden: units of a layer.
    first_output: the first layer that the output sees.
    window, symbols, components: of the window's outputs, C and K; None, 0 and 0 without one.
    mixtures: M of the output; 0 for text.
    """

    layers: list[PackedLayer]
    hidden: int
    output: Matrix
    first_output: int
    window: Matrix | None
    symbols: int
    components: int
    mixtures: int


def can_be_packed(network: CharacterNetwork | StrokeNetwork | SynthesisNetwork) -> bool:
    """Whether its cells are the LSTM."""
    return all(isinstance(cell, LSTMRecurrence) for cell in network.stack.recurrences)


@torch.no_grad()
def pack_weights(
    network: CharacterNetwork | StrokeNetwork | SynthesisNetwork, kind: str = "float32"
) -> PackedWeights:
    """The weights as they are now, to be read as a `kind` of `sampling.weights.KINDS`.

    Those of the window, which adds up over a whole line, and of one-hot inputs, of which a step reads one
    row, are always float32.
    """
    stack, window, symbols, components = network.stack, None, 0, 0
    layers = [_pack_layer(network, n, kind) for n in range(len(stack.recurrences))]
    if isinstance(network, SynthesisNetwork):
        window = matrix(network.window.weight, network.window.bias.clone(), "float32")
        symbols, components = network.symbols, network.window.components
    return PackedWeights(
        layers,
        hidden=cast(LSTMRecurrence, stack.recurrences[0]).hidden_size,
        output=matrix(stack.to_output.weight, stack.to_output.bias, kind),
        first_output=0 if stack.skips else len(layers) - 1,
        window=window,
        symbols=symbols,
        components=components,
        mixtures=0 if isinstance(network, CharacterNetwork) else network.head.mixtures,
    )


def _pack_layer(network: nn.Module, n: int, weights: str) -> PackedLayer:
    stack = cast(SkipStack, network.stack)
    recurrence, doubled_G = cast(LSTMRecurrence, stack.recurrences[n]), stack.bias[n].new_ones(4, 1)
    doubled_G[2] = 2
    doubled_G = doubled_G.expand(4, recurrence.hidden_size).reshape(-1)
    columns, one_hot_KG, inputs = _columns(network, n), None, 0
    if n < len(stack.from_input):
        projection = stack.from_input[n]
        if isinstance(projection, OneHotProjection):
            one_hot_KG = (projection.weight * doubled_G).float()
        else:
            inputs = 3
    weight_GI = torch.cat(columns, dim=1) * doubled_G[:, None]
    peephole_3H = weight_GI.new_zeros(3, recurrence.hidden_size, dtype=torch.float32)
    if recurrence.peephole is not None:
        peephole_3H.copy_(recurrence.peephole)
    return PackedLayer(matrix(weight_GI, stack.bias[n] * doubled_G, weights), peephole_3H, one_hot_KG, inputs)


def _columns(network: nn.Module, n: int) -> list[Tensor]:
    """What a layer multiplies its inputs with, in their order."""
    stack = cast(SkipStack, network.stack)
    pen = []
    if n < len(stack.from_input) and not isinstance(stack.from_input[n], OneHotProjection):
        pen = [cast(nn.Linear, stack.from_input[n]).weight]
    return [
        *pen,
        *([network.from_window[n]] if isinstance(network, SynthesisNetwork) else []),
        *([cast(nn.Linear, stack.from_below[n - 1]).weight] if n > 0 else []),
        cast(LSTMRecurrence, stack.recurrences[n]).weight,
    ]


@torch.no_grad()
def refresh(packed: PackedWeights, network: CharacterNetwork) -> None:
    """Write the weights of a network that was packed as float32 and has learned since where they were
    packed, without laying anything out anew."""
    stack = network.stack
    for n, layer in enumerate(packed.layers):
        recurrence, at = cast(LSTMRecurrence, stack.recurrences[n]), 0
        g = slice(2 * packed.hidden, 3 * packed.hidden)  # the rows that are doubled
        for part in _columns(network, n):
            layer.matrix.value_GI[:, at : at + part.shape[1]].copy_(part)
            at += part.shape[1]
        layer.matrix.value_GI[g].mul_(2)
        layer.matrix.bias_G.copy_(stack.bias[n])
        layer.matrix.bias_G[g].mul_(2)
        if recurrence.peephole is not None:
            layer.peephole_3H.copy_(recurrence.peephole)
        if layer.one_hot_KG is not None:
            layer.one_hot_KG.copy_(cast(OneHotProjection, stack.from_input[n]).weight)
            layer.one_hot_KG[:, g].mul_(2)
    packed.output.value_GI[:, : stack.to_output.weight.shape[1]].copy_(stack.to_output.weight)
    packed.output.bias_G.copy_(stack.to_output.bias)
