"""One step of (7)–(11) and of (46), (48)–(51) in plain torch for sampling: few calls, no gradients.

The cell input of (9) is tanh a = 2σ(2a) − 1 with the first 2 in its weights, so that three gates are one
sigmoid.

Shape legend: B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o, K window
components, P = 3K window outputs in the order α̂, β̂, κ̂, V places in a text, one past its end included.
"""

import torch
from torch import Tensor

from graves_lm.nn.lstm import LSTMState
from graves_lm.nn.window import LARGEST_EXPONENT, WindowParameters, window_weights


def packed_gates(a_BG: Tensor, c_BH: Tensor, peephole_3H: Tensor) -> LSTMState:
    """(7)–(11) from W x + W h' + b, which is overwritten; that of g is doubled. `c_BH` is c of the step
    before."""
    a_B4H = a_BG.unflatten(1, (4, -1))
    a_B4H[:, :2].addcmul_(c_BH.unsqueeze(1), peephole_3H[:2])
    a_B4H[:, :3].sigmoid_()
    i_BH, f_BH, s_BH, o_BH = a_B4H.unbind(1)
    c_BH = torch.addcmul(f_BH * c_BH, i_BH, s_BH, value=2).sub_(i_BH)
    o_BH.addcmul_(c_BH, peephole_3H[2])
    return LSTMState(torch.tanh(c_BH).mul_(o_BH.sigmoid_()), c_BH)


def packed_window(p_BP: Tensor, kappa_BK: Tensor, places: int) -> tuple[Tensor, Tensor]:
    """κ and φ_BV of (46), (49)–(51) from α̂, β̂, κ̂, which are overwritten, and κ of the step before."""
    alpha_BK, beta_BK, advance_BK = p_BP.clamp_max_(LARGEST_EXPONENT).exp_().chunk(3, dim=1)
    kappa_BK = kappa_BK + advance_BK
    return kappa_BK, window_weights(WindowParameters(alpha_BK, beta_BK, kappa_BK), places)
