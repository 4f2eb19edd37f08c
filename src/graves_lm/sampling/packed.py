"""The synthesis network put together for drawing points one at a time: few calls, the weights read once.

A step at batch 1 is little more than reading the weights; what it costs beyond that are calls. So here
each layer is one product with [W_x W_w W_{h^{n−1}hⁿ} W_{hⁿhⁿ}], laid out as it is read, and the cell input
of (9) is tanh a = 2σ(2a) − 1 with the first 2 in its weights, so that three gates are one sigmoid. Same
equations, same results, no gradients.

Shape legend: B batch rows, 3 the pen's (x1, x2, x3), H hidden units, G = 4H, C symbols, U characters,
V = U + 1, Y outputs, I the inputs of a layer side by side.
"""

from typing import cast

import torch
from torch import Tensor, nn

from graves_lm.distributions import StrokeDistribution
from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.lstm import LSTMRecurrence, LSTMState
from graves_lm.nn.window import LARGEST_EXPONENT, WindowParameters, window_vector, window_weights


class PackedSynthesis:
    """A network's `step`, with its weights as they are now; later changes to them are not seen."""

    @torch.no_grad()
    def __init__(self, network: SynthesisNetwork):
        self.head, self.symbols = network.head, network.symbols
        self.layers = [_PackedLayer(network, n) for n in range(len(network.stack.recurrences))]
        self.window_HP = network.window.weight.t().clone(memory_format=torch.contiguous_format)
        self.window_P = network.window.bias.clone()
        output = network.stack.to_output
        self.output_IY = output.weight.t().clone(memory_format=torch.contiguous_format)
        self.output_Y = output.bias.clone()

    @torch.inference_mode()
    def step(
        self, x_B3: Tensor, text: Text, state: SynthesisState
    ) -> tuple[StrokeDistribution, SynthesisState, Tensor]:
        """As `SynthesisNetwork.step`."""
        U = text.symbol_BU.shape[1]
        layers = [self.layers[0]([x_B3, state.w_BC, state.layers[0].h_BH], state.layers[0].c_BH)]
        p_BP = torch.addmm(self.window_P, layers[0].h_BH, self.window_HP)
        alpha_BK, beta_BK, advance_BK = p_BP.clamp_max_(LARGEST_EXPONENT).exp_().chunk(3, dim=1)
        kappa_BK = state.kappa_BK + advance_BK
        phi_BV = window_weights(WindowParameters(alpha_BK, beta_BK, kappa_BK), U + 1)
        w_BC = window_vector(phi_BV[:, :U], text.symbol_BU, self.symbols)
        for layer, (h_BH, c_BH) in zip(self.layers[1:], state.layers[1:], strict=True):
            layers.append(layer([x_B3, w_BC, layers[-1].h_BH, h_BH], c_BH))
        y_BY = torch.addmm(self.output_Y, torch.cat([h_BH for h_BH, _ in layers], dim=1), self.output_IY)
        return self.head(y_BY), SynthesisState(tuple(layers), kappa_BK, w_BC), phi_BV


class _PackedLayer:
    """(52) or (53) for one layer, with its weights side by side."""

    def __init__(self, network: SynthesisNetwork, n: int):
        stack, recurrence = network.stack, cast(LSTMRecurrence, network.stack.recurrences[n])
        inputs = [cast(nn.Linear, stack.from_input[n]).weight, network.from_window[n]]
        if n > 0:
            inputs.append(cast(nn.Linear, stack.from_below[n - 1]).weight)
        H = recurrence.hidden_size
        self.weight_IG = torch.cat([*inputs, recurrence.weight], dim=1).t().contiguous()
        self.bias_G = stack.bias[n].clone()
        self.weight_IG[:, 2 * H : 3 * H] *= 2
        self.bias_G[2 * H : 3 * H] *= 2
        self.peephole_3H = None if recurrence.peephole is None else recurrence.peephole.clone()

    def __call__(self, inputs: list[Tensor], c_BH: Tensor) -> LSTMState:
        a_B4H = torch.addmm(self.bias_G, torch.cat(inputs, dim=1), self.weight_IG).unflatten(1, (4, -1))
        if self.peephole_3H is not None:
            a_B4H[:, :2].addcmul_(c_BH.unsqueeze(1), self.peephole_3H[:2])
        a_B4H[:, :3].sigmoid_()
        i_BH, f_BH, s_BH, o_BH = a_B4H.unbind(1)
        c_BH = torch.addcmul(f_BH * c_BH, i_BH, s_BH, value=2).sub_(i_BH)
        if self.peephole_3H is not None:
            o_BH.addcmul_(c_BH, self.peephole_3H[2])
        return LSTMState(torch.tanh(c_BH).mul_(o_BH.sigmoid_()), c_BH)
