"""The soft window (46)–(51), step by step over buffers made once, forward and backward, for `nn.window_lstm`.

Two forms that equal each other, as of the gates (`nn.gates`): fused kernels (`nn.native`), for float32 state
on a CPU, and plain torch for all else. With d = κ − u, e = exp(−β d²) and a gradient dφ of the loss, the
window's gradients at one step are

    dα̂ = α Σ_u dφ e,   dβ̂ = −αβ Σ_u dφ e d²,   dκ = dκ_{t+1} − 2αβ Σ_u dφ e d,   dκ̂ = exp(κ̂) dκ.

Shape legend: T steps, B batch rows, C symbols, F = H + C: h and w side by side, K window components, P = 3K
window outputs in the order α̂, β̂, κ̂, U characters of the longest text. A name's suffix gives its shape.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from graves_lm.nn import native
from graves_lm.nn.gates import kernel
from graves_lm.nn.window import LARGEST_EXPONENT


def window_forward(
    symbol_BU: Tensor,
    kappa0_BK: Tensor,
    p_TBP: Tensor,
    kappa_TBK: Tensor,
    symbols: int,
    hw_TBF: Tensor,
    hw_product_BF: Tensor | None,
) -> Callable[[int], None]:
    """A function of t that moves the window at step t: p_TBP[t] holds α̂, β̂, κ̂ and is made α, β, exp κ̂; it
    fills in κ_t and, behind h_t, w_t. All tensors are contiguous; see `gates_forward` for the last."""
    (B, U), K, C, F = symbol_BU.shape, kappa0_BK.shape[1], symbols, hw_TBF.shape[2]
    run = kernel("window_forward", kappa0_BK, torch.float32)
    if run is not None:
        if symbol_BU.numel() and symbol_BU.max() >= C:  # the kernels use them as addresses
            raise IndexError(f"symbol {int(symbol_BU.max())} of a text: there are {C}, counted from 0")
        tensors = (symbol_BU, p_TBP, kappa0_BK, kappa_TBK, hw_TBF, hw_product_BF)
        sizes = (native.threads(), B, K, U, C, F, LARGEST_EXPONENT)
        fixed = native.arguments(*sizes, *tensors)

        def fused(t: int, kept: object = tensors) -> None:
            run(*native.arguments(t), *fixed)

        return fused

    bumps, index_BU = _Bumps(symbol_BU, kappa0_BK), symbol_BU.clamp_min(0)
    phi_BU = kappa0_BK.new_empty(B, U)

    def plain(t: int) -> None:
        w_BC = hw_TBF[t, :, F - C :]
        alpha_BK, beta_BK, advance_BK = p_TBP[t].clamp_max_(LARGEST_EXPONENT).exp_().split(K, dim=1)
        torch.add(kappa_TBK[t - 1] if t else kappa0_BK, advance_BK, out=kappa_TBK[t])
        d_BKU, e_BKU = bumps(beta_BK, kappa_TBK[t])
        torch.sum(torch.mul(e_BKU, alpha_BK.unsqueeze(2), out=d_BKU), 1, out=phi_BU)
        w_BC.zero_().scatter_add_(1, index_BU, phi_BU)
        if hw_product_BF is not None:
            hw_product_BF[:, F - C :] = w_BC

    return plain


def window_backward(
    symbol_BU: Tensor,
    p_TBP: Tensor,
    kappa_TBK: Tensor,
    dkappa_TBK: Tensor | None,
    dkappa_BK: Tensor,
    dp_TBP: Tensor,
) -> Callable[[int, Tensor, Tensor], None]:
    """A function of t, dw_BC and dnext_BC that goes back through the window's step t.

    dw_BC is the gradient of the loss with respect to w_t from all but step t + 1, and dnext_BC what that step
    hands back; rows of both may be parts of wider ones. dkappa_BK holds what reaches κ_t from later steps and
    is made dκ_t; dkappa_TBK is the loss's own. The gradients with respect to α̂, β̂, κ̂ go to dp_TBP.
    """
    (B, U), K = symbol_BU.shape, dkappa_BK.shape[1]
    run = kernel("window_backward", dkappa_BK, torch.float32)
    if run is not None:
        tensors = (symbol_BU, p_TBP, kappa_TBK, dkappa_TBK, dkappa_BK, dp_TBP)
        sizes, addresses = native.arguments(native.threads(), B, K, U), native.arguments(*tensors)

        def fused(t: int, dw_BC: Tensor, dnext_BC: Tensor, kept: object = tensors) -> None:
            rows = native.arguments(t, dw_BC, dw_BC.stride(0), dnext_BC, dnext_BC.stride(0))
            run(*rows, *sizes, *native.arguments(dnext_BC.dtype == torch.bfloat16), *addresses)

        return fused

    # By what the sums over u, Σ dφ e (1, d², d), are multiplied in dα̂, dβ̂ and dκ.
    alpha_TBK, beta_TBK, advance_TBK = p_TBP.split(K, dim=2)
    factor_TBP = torch.cat([alpha_TBK, -alpha_TBK * beta_TBK, -2 * alpha_TBK * beta_TBK], dim=2)
    index_BU, bumps = symbol_BU.clamp_min(0), _Bumps(symbol_BU, dkappa_BK)
    dphi_BU, terms_B3KU = p_TBP.new_empty(B, U), p_TBP.new_empty(B, 3, K, U)

    def plain(t: int, dw_BC: Tensor, dnext_BC: Tensor) -> None:
        d_BKU, e_BKU = bumps(beta_TBK[t], kappa_TBK[t])
        torch.gather(dw_BC + dnext_BC, 1, index_BU, out=dphi_BU)
        for_alpha_BKU, for_beta_BKU, for_kappa_BKU = terms_B3KU.unbind(1)
        torch.mul(e_BKU, dphi_BU.unsqueeze(1), out=for_alpha_BKU)
        torch.mul(for_alpha_BKU, d_BKU, out=for_kappa_BKU)
        torch.mul(for_kappa_BKU, d_BKU, out=for_beta_BKU)
        dp_BP = torch.sum(terms_B3KU.view(B, 3 * K, -1), 2, out=dp_TBP[t]).mul_(factor_TBP[t])
        if dkappa_TBK is not None:
            dkappa_BK.add_(dkappa_TBK[t])
        dkappa_BK.add_(dp_BP[:, 2 * K :])
        torch.mul(dkappa_BK, advance_TBK[t], out=dp_BP[:, 2 * K :])

    return plain


class _Bumps:
    """e = exp(−β (κ − u)²) of every component at every character, one step at a time, in buffers made once.

    Padding has the exponent −∞, so that it weighs nothing, forward and backward.
    """

    def __init__(self, symbol_BU: Tensor, kappa_BK: Tensor):
        (B, K), U = kappa_BK.shape, symbol_BU.shape[1]
        self.u_U = torch.arange(1, U + 1, dtype=kappa_BK.dtype, device=kappa_BK.device)
        self.padding_B1U = kappa_BK.new_zeros(B, 1, U).masked_fill_(symbol_BU[:, None] < 0, -math.inf)
        self.d_BKU, self.e_BKU = kappa_BK.new_empty(B, K, U), kappa_BK.new_empty(B, K, U)

    def __call__(self, beta_BK: Tensor, kappa_BK: Tensor) -> tuple[Tensor, Tensor]:
        """d_BKU = κ − u and e_BKU; the next call overwrites them."""
        d_BKU = torch.sub(kappa_BK.unsqueeze(2), self.u_U, out=self.d_BKU)
        torch.mul(d_BKU, d_BKU, out=self.e_BKU)
        torch.addcmul(self.padding_B1U, self.e_BKU, beta_BK.unsqueeze(2), value=-1, out=self.e_BKU)
        return d_BKU, self.e_BKU.exp_()
