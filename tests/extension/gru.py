"""A cell from outside of graves_lm: a GRU, with the paper's clip at every step.

With z = W_x x + b in three parts, W_h h' in as many and the clip around their sums,

    r = σ(z_r + W_hr h'),   u = σ(z_u + W_hu h'),   n = tanh(z_n + r∘(W_hn h')),   h = (1 − u)∘n + u∘h'.

Shape legend: B batch rows, H hidden units, G = 3H in the order r, u, n.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graves_lm.models.cells import cell
from graves_lm.nn.cell import over_steps
from graves_lm.nn.clip import clip_derivative
from graves_lm.settings.kinds import Positive


class GRUState(NamedTuple):
    h_BH: Tensor


@cell
class GRU(nn.Module):
    def __init__(self, hidden_size: int, clip: Positive | None = None):
        super().__init__()
        self.hidden_size, self.preactivations, self.clip = hidden_size, 3 * hidden_size, clip
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        nn.init.uniform_(self.weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_bias(self) -> Tensor:
        return self.weight.new_zeros(self.preactivations)

    def initial_state(self, batch_size: int) -> GRUState:
        return GRUState(self.weight.new_zeros(batch_size, self.hidden_size))

    def forward(self, z_TBG: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        return over_steps(self.step, z_TBG, state)

    def step(self, z_BG: Tensor, state: GRUState) -> GRUState:
        z_r, z_u, z_n = z_BG.chunk(3, dim=-1)
        w_r, w_u, w_n = (state.h_BH @ self.weight.t()).chunk(3, dim=-1)
        r_BH = torch.sigmoid(clip_derivative(z_r + w_r, self.clip))
        u_BH = torch.sigmoid(clip_derivative(z_u + w_u, self.clip))
        n_BH = torch.tanh(clip_derivative(z_n + r_BH * w_n, self.clip))
        return GRUState((1 - u_BH) * n_BH + u_BH * state.h_BH)
