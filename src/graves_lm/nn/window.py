"""The soft window that slides along the text while the pen writes, equations (46)–(51).

From A. Graves, "Generating Sequences With Recurrent Neural Networks" (arXiv:1308.0850), section 5.1. The
text is a sequence of one-hot vectors c_1 … c_U; h¹_t is the first hidden layer:

    φ(t, u) = Σ_k α_k exp(−β_k (κ_k − u)²)                                                   (46)
    w_t = Σ_u φ(t, u) c_u                                                                    (47)
    (α̂_t, β̂_t, κ̂_t) = W_{h¹p} h¹_t + b_p                                                     (48)
    α_t = exp α̂_t                                                                            (49)
    β_t = exp β̂_t                                                                            (50)
    κ_t = κ_{t−1} + exp κ̂_t                                                                  (51)

`nn.forms` lists all places where these equations stand.

Everything here is float32 at least, whatever the precision around it: κ is a sum over a whole line.

Shape legend: (...) any batch, B batch rows, H hidden units, K window components, P = 3K window outputs in
the order α̂, β̂, κ̂, U characters, C symbols. A name's suffix gives its shape: `phi_BU`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LARGEST_EXPONENT = 20.0
"""The exponents of (49)–(51) are taken as this where they are larger, so that nothing overflows: e²⁰ = 4.9e8
characters in one step, or that height or sharpness, is beyond all use. Gradients are passed on as if they
were at this bound, so that a window that went there can come back."""


class WindowState(NamedTuple):
    """What the window carries from step to step: its positions `kappa_BK`, and `w_BC`, what it last saw."""

    kappa_BK: Tensor
    w_BC: Tensor


class WindowParameters(NamedTuple):
    """Heights α, sharpnesses β and positions κ of the K components, (..., K) each."""

    alpha: Tensor
    beta: Tensor
    kappa: Tensor


def window_parameters(p: Tensor, kappa: Tensor) -> WindowParameters:
    """(49)–(51): p (..., 3K) holds α̂, β̂, κ̂, and kappa (..., K) is κ of the step before."""
    held = p - (p.detach() - LARGEST_EXPONENT).clamp_min(0)
    alpha, beta, advance = held.exp().chunk(3, dim=-1)
    return WindowParameters(alpha, beta, kappa + advance)


def window_weights(window: WindowParameters, characters: int) -> Tensor:
    """φ of (46), (..., U), at u = 1 … `characters`, of a text that is at least as long."""
    alpha, beta, kappa = (v.unsqueeze(-1) for v in window)
    u_U = torch.arange(1, characters + 1, dtype=kappa.dtype, device=kappa.device)
    return (alpha * torch.exp(-beta * (kappa - u_U).square())).sum(-2)


def window_vector(phi_BU: Tensor, symbol_BU: Tensor, symbols: int) -> Tensor:
    """w_BC of (47), C = `symbols`: the weights of equal characters added up; −1 is no character."""
    phi_BU = phi_BU * (symbol_BU >= 0)
    return phi_BU.new_zeros(len(phi_BU), symbols).scatter_add(1, symbol_BU.clamp_min(0), phi_BU)


class SoftWindow(nn.Module):
    """W_{h¹p} and b_p of (48).

    Where the paper is silent:

    - b_κ̂ starts at log(1/`points_per_character`): the window starts at the speed of the pen. A character
      of IAM-OnDB takes 22–25 points.
    - b_α̂ starts at −log K and b_β̂ at `log_sharpness`: the components start as one bump of height 1 over
      the character at κ and, with β = 1, e⁻¹ over its neighbours.
    - W_{h¹p} starts uniform in ±`weight_scale`/√H, so that the pen's motion moves the window little until
      it has learned to.

    Args:
        hidden_size: H of layer 1.
        components: K.
        points_per_character, log_sharpness, weight_scale: see above.
    """

    def __init__(
        self,
        hidden_size: int,
        components: int = 10,
        points_per_character: float = 25.0,
        log_sharpness: float = 0.0,
        weight_scale: float = 0.1,
    ):
        super().__init__()
        if components < 1 or not points_per_character > 0:
            raise ValueError(
                f"components={components}, points_per_character={points_per_character}: both must be positive"
            )
        self.components = components
        bound = weight_scale / math.sqrt(hidden_size)
        self.weight = nn.Parameter(torch.empty(3 * components, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(3 * components))
        starts = (-math.log(components), log_sharpness, -math.log(points_per_character))
        for part, start in zip(self.bias.data.chunk(3), starts, strict=True):
            part.fill_(start)

    def initial_state(self, batch_size: int, symbols: int) -> WindowState:
        """κ_0 = 0 and w_0 = 0: before the text, and nothing seen."""
        zeros = self.bias.new_zeros
        return WindowState(zeros(batch_size, self.components), zeros(batch_size, symbols))

    def step(self, h_BH: Tensor, kappa_BK: Tensor) -> WindowParameters:
        """(48)–(51) for one step in plain differentiable torch."""
        with torch.autocast(h_BH.device.type, enabled=False):
            return window_parameters(linear(h_BH, self.weight, self.bias), kappa_BK)
