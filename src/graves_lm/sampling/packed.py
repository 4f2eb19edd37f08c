"""A network put together for sampling one step after another: few calls, the weights read once.

A step of one row is little more than reading the weights; what it costs beyond that are calls. So here
each layer is one product with [W_x W_w W_{h^{n−1}hⁿ} W_{hⁿhⁿ}], laid out as it is read, with the rows of g
doubled, as the gates take them (`nn.packed`). Where there is a compiled kernel, it does all of a step
(`sampling.kernel`). Same equations, same results, no gradients.

Shape legend: B batch rows, 3 the pen's (x1, x2, x3), H hidden units, N layers, G = 4H, C symbols of the
window, K its components, U characters, V = U + 1, Y outputs, I the inputs of a layer side by side,
M mixture components, S = 2NH + K + C, all of a row's state: h of all layers, c of all layers, κ, w.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import embedding

from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text, past_the_end
from graves_lm.nn.lstm import LSTMState
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.nn.packed import packed_gates, packed_window
from graves_lm.nn.products import repeated_product
from graves_lm.nn.stack import StackState
from graves_lm.nn.window import window_vector
from graves_lm.sampling.kernel import Kernel
from graves_lm.sampling.noise import Noise
from graves_lm.sampling.packed_weights import PackedLayer, PackedWeights, pack_weights
from graves_lm.sampling.pens import moving
from graves_lm.sampling.weights import Matrix


class Step(NamedTuple):
    """What follows from one point: the next, the state, ŷ, and with a text φ at u = 1 … U+1 (past a row's own
    last place it says nothing), whether each row is written, (B,) bool, and which character the window looks
    at, (B,) whole numbers counted from the first that was not `read`."""

    x_B3: Tensor
    state_BS: Tensor
    y_BY: Tensor
    phi_BV: Tensor
    done_B: Tensor
    where_B: Tensor


class PackedNetwork:
    """A network's `step`, with its weights as they are now; later changes to them are not seen.

    `weights` is how they are read, see `sampling.packed_weights`. `mixtures` and `symbols` are M and C, 0
    where there are none.
    """

    def __init__(
        self, network: CharacterNetwork | StrokeNetwork | SynthesisNetwork, weights: str = "float32"
    ):
        self.weights = pack_weights(network, weights)
        self.kernel = Kernel.of(self.weights)
        self.device = self.weights.output.value_GI.device
        self.mixtures, self.symbols = self.weights.mixtures, self.weights.symbols
        self._products: Products | None = None

    def pack(self, layers: StackState, kappa_BK: Tensor | None = None, w_BC: Tensor | None = None) -> Tensor:
        """state_BS of a network's own state."""
        hc = [s.h_BH for s in layers] + [s.c_BH for s in layers]
        return torch.cat([v.float() for v in (*hc, kappa_BK, w_BC) if v is not None], dim=1)

    def unpack(self, state_BS: Tensor) -> SynthesisState:
        """The inverse of `pack`."""
        N, of = len(self.weights.layers), self.weights
        *hc, kappa_BK, w_BC = state_BS.split([*[of.hidden] * (2 * N), of.components, of.symbols], dim=1)
        layers = tuple(LSTMState(h, c) for h, c in zip(hc[:N], hc[N:], strict=True))
        return SynthesisState(layers, kappa_BK, w_BC)

    @torch.inference_mode()
    def step(self, x: Tensor, state_BS: Tensor, text: Text | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """From x, points (B, 3) or symbols (B,), to ŷ, the next state, and phi_BV.

        As the network's `step`. Without a text phi_BV has no column.
        """
        if self.kernel is not None:
            return self.kernel.step(x, state_BS, text)
        if self._products is None or self._products.rows != len(x):
            self._products = Products(self.weights, len(x))
        before, times = self.unpack(state_BS), self._products
        seen = () if self.weights.window is None else (before.w_BC,)
        pen = () if self.weights.layers[0].one_hot_KG is not None else (x,)
        kappa_BK, phi_BV = before.kappa_BK, x.new_empty(len(x), 0)
        layers: list[LSTMState] = []
        for n, (layer, (h_BH, c_BH)) in enumerate(zip(self.weights.layers, before.layers, strict=True)):
            below = (layers[-1].h_BH,) if layers else ()
            inputs = (*(pen if layer.inputs else ()), *seen, *below, h_BH)
            layers.append(_layer_step(layer, times.layers[n], x, inputs, c_BH))
            if n == 0 and text is not None:
                kappa_BK, phi_BV = self._look(times, layers[0].h_BH, kappa_BK, text)
                seen = (window_vector(phi_BV[:, :-1], text.symbol_BU, self.weights.symbols),)
        y_BY = times.output([h_BH for h_BH, _ in layers[self.weights.first_output :]])
        return y_BY, self.pack(tuple(layers), kappa_BK, *seen), phi_BV

    @staticmethod
    def _look(times: "Products", h_BH: Tensor, kappa_BK: Tensor, text: Text) -> tuple[Tensor, Tensor]:
        """(46), (48)–(51): κ and φ."""
        p_BP = cast(Product, times.window)([h_BH])
        return packed_window(p_BP, kappa_BK, text.symbol_BU.shape[1] + 1)

    @torch.inference_mode()
    def point(
        self,
        x_B3: Tensor,
        state_BS: Tensor,
        noise: Noise,
        bias: tuple[float, float] = (0.0, 0.0),
        text: Text | None = None,
        read: int = 0,
        still: tuple[float, float] | None = None,
    ) -> Step:
        """`step`, and the point that is sampled from its density with these random numbers.

        `bias` goes from its first number to its second while the window goes along the text, of which `read`
        characters do not count. Where it is known which offset a pen has that stands `still`, a slow one has
        less of it, see `pens.moving`.
        """
        share_B = x_B3.new_ones(len(x_B3)) if still is None else moving(x_B3, still)
        if self.kernel is not None:
            return Step(*self.kernel.point(x_B3, state_BS, noise, bias, share_B, text, read))
        y_BY, state_BS, phi_BV = self.step(x_B3, state_BS, text)
        where_B = torch.zeros(len(x_B3), dtype=torch.long, device=x_B3.device)
        done_B, b_B = where_B > 0, share_B * bias[0]
        if text is not None:
            done_B = past_the_end(phi_BV, text)
            where_B = phi_BV[:, :-1].masked_fill(text.symbol_BU < 0, 0).argmax(1) - read
            way_B = where_B.clamp_min(0) / (text.length_B - read)
            b_B = (bias[0] + (bias[1] - bias[0]) * way_B) * share_B
        distribution = stroke_distribution(y_BY, self.mixtures).biased(b_B)
        return Step(distribution.point(*noise), state_BS, y_BY, phi_BV, done_B, where_B)


class Product:
    """W x + b for many x of `rows` rows, each of some inputs side by side."""

    def __init__(self, m: Matrix, rows: int):
        self._times, self._columns = repeated_product(m.value_GI, rows, m.bias_G), m.value_GI.shape[1]

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        missing = self._columns - sum(x.shape[1] for x in inputs)
        return self._times(torch.cat([*inputs, inputs[0].new_zeros(len(inputs[0]), missing)], dim=1))


class Products:
    """All products of a step of `rows` rows: their weights are laid out for it once, not at every step."""

    def __init__(self, weights: PackedWeights, rows: int):
        self.rows = rows
        self.layers = [Product(layer.matrix, rows) for layer in weights.layers]
        self.window = None if weights.window is None else Product(weights.window, rows)
        self.output = Product(weights.output, rows)


def _layer_step(
    layer: PackedLayer, times: Product, x: Tensor, inputs: Sequence[Tensor], c_BH: Tensor
) -> LSTMState:
    a_BG = times(inputs)
    if layer.one_hot_KG is not None:
        a_BG = a_BG + embedding(x.clamp_min(0), layer.one_hot_KG) * (x >= 0).unsqueeze(-1)
    return packed_gates(a_BG, c_BH, layer.peephole_3H)
