"""The first layer of the synthesis network: a peephole LSTM with the soft window inside its recurrence.

Equation (52) of A. Graves, "Generating Sequences With Recurrent Neural Networks" (arXiv:1308.0850),

    h¹_t = H(W_{x h¹} x_t + W_{h¹h¹} h¹_{t−1} + W_{w h¹} w_{t−1} + b¹)                        (52)

where H is the LSTM of (7)–(11) (`nn.lstm`) and w_t follows from h¹_t by the window (46)–(51) (`nn.window`).
W_x x + b is given for all steps at once; the loop keeps one product with [W_{h¹h¹} W_{w h¹}], the gates and
the window. The backward pass is written by hand. It is exact, but for the paper's clip of the derivative
with respect to the four pre-activations, at every step; the window's own derivatives are not clipped.

With d = κ − u, e = exp(−β d²) and a derivative dφ of the loss, the window's derivatives at one step are

    dα̂ = α Σ_u dφ e,   dβ̂ = −αβ Σ_u dφ e d²,   dκ = dκ_{t+1} − 2αβ Σ_u dφ e d,   dκ̂ = exp(κ̂) dκ.

Shape legend: T steps, B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o,
C symbols, F = H + C what the recurrence sees: h and w side by side, K window components, P = 3K window
outputs in the order α̂, β̂, κ̂, U characters of the longest text. A name's suffix gives its shape: `hw_TBF`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from graves_lm.nn import native
from graves_lm.nn.cuda import kernels
from graves_lm.nn.gates import gates_backward, gates_forward, kernel
from graves_lm.nn.lstm import LSTMState, lstm_step
from graves_lm.nn.products import recurrent_derivative, repeated_product
from graves_lm.nn.window import (
    LARGEST_EXPONENT,
    SoftWindow,
    WindowParameters,
    WindowState,
    window_vector,
    window_weights,
)


def window_lstm_step(
    z_BG: Tensor,
    symbol_BU: Tensor,
    state: LSTMState,
    seen: WindowState,
    w_GH: Tensor,
    w_GC: Tensor,
    peephole_3H: Tensor | None,
    window: SoftWindow,
) -> tuple[LSTMState, WindowState, Tensor]:
    """One step of (52) and (46)–(51) in plain differentiable torch, equal to `window_lstm`.

    Arguments as there, for one step. Returns the two states and phi_BV: φ at u = 1 … U+1, one past the
    longest text, where the stop rule of section 5.3 looks. No derivative is clipped here.
    """
    state = lstm_step(z_BG + linear(seen.w_BC, w_GC), state, w_GH, peephole_3H)
    U = symbol_BU.shape[1]
    components = window.step(state.h_BH, seen.kappa_BK)
    phi_BV = window_weights(components, U + 1)
    w_BC = window_vector(phi_BV[:, :U], symbol_BU, w_GC.shape[1])
    return state, WindowState(components.kappa, w_BC), phi_BV


def _window_forward(
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


def _window_backward(
    symbol_BU: Tensor,
    p_TBP: Tensor,
    kappa_TBK: Tensor,
    dkappa_TBK: Tensor | None,
    dkappa_BK: Tensor,
    dp_TBP: Tensor,
) -> Callable[[int, Tensor, Tensor], None]:
    """A function of t, dw_BC and dnext_BC that goes back through the window's step t.

    dw_BC is the derivative of the loss by w_t from all but step t + 1, and dnext_BC what that step hands
    back; rows of both may be parts of wider ones. dkappa_BK holds what reaches κ_t from later steps and is
    made dκ_t; dkappa_TBK is the loss's own. The derivatives by α̂, β̂, κ̂ go to dp_TBP.
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


@torch.library.custom_op("graves_lm::window_lstm", mutates_args=())
def _window_lstm(
    z_TBG: Tensor,
    symbol_BU: Tensor,
    w_GF: Tensor,
    peephole_3H: Tensor | None,
    w_PH: Tensor,
    b_P: Tensor,
    h0_BH: Tensor,
    c0_BH: Tensor,
    kappa0_BK: Tensor,
    w0_BC: Tensor,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run the recurrence. Returns hw_TBF, kappa_TBK and the last c_BH, then what the backward pass needs
    and has no derivative: p_TBP (α, β and exp κ̂), c_TBH and the gate activations a_TBG.

    The product with w_GF is done in its dtype, which is that of z_TBG, all else in that of the state.
    `clip` is used in the backward pass only.
    """
    if gpu := kernels(z_TBG, w_GF, c0_BH):
        state = (h0_BH, c0_BH, kappa0_BK, w0_BC)
        return gpu.window_lstm(z_TBG, symbol_BU, w_GF, peephole_3H, w_PH, b_P, *state, clip)
    T, B, G = z_TBG.shape
    H, C, P, K = G // 4, w0_BC.shape[1], len(b_P), kappa0_BK.shape[1]
    hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (H + C, K, P, H, G))
    c0_BH, symbol_BU, kappa0_BK = c0_BH.contiguous(), symbol_BU.long().contiguous(), kappa0_BK.contiguous()
    mixed, w_HP = w_GF.dtype != c0_BH.dtype, w_PH.t()
    hw_BF = torch.cat([h0_BH, w0_BC], dim=1).to(w_GF.dtype)
    own_BF = hw_BF if mixed else None
    gates = gates_forward(z_TBG, c0_BH, peephole_3H, a_TBG, c_TBH, hw_TBF, own_BF)
    window = _window_forward(symbol_BU, kappa0_BK, p_TBP, kappa_TBK, C, hw_TBF, own_BF)
    times_w = repeated_product(w_GF, B)
    for t in range(T):
        gates(t, times_w(hw_BF))
        torch.addmm(b_P, hw_TBF[t, :, :H], w_HP, out=p_TBP[t])
        window(t)
        hw_BF = hw_BF if mixed else hw_TBF[t]
    return hw_TBF, kappa_TBK, c_TBH[-1].clone(), p_TBP, c_TBH, a_TBG


@_window_lstm.register_fake
def _(z_TBG, symbol_BU, w_GF, peephole_3H, w_PH, b_P, h0_BH, c0_BH, kappa0_BK, w0_BC, clip):
    T, B, G = z_TBG.shape
    H, F, K = h0_BH.shape[1], w_GF.shape[1], kappa0_BK.shape[1]
    hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (F, K, 3 * K, H, G))
    return hw_TBF, kappa_TBK, torch.empty_like(c0_BH), p_TBP, c_TBH, a_TBG


@torch.library.custom_op("graves_lm::window_lstm_backward", mutates_args=())
def _window_lstm_backward(
    dhw_TBF: Tensor,
    dkappa_TBK: Tensor | None,
    dcT_BH: Tensor | None,
    hw_TBF: Tensor,
    kappa_TBK: Tensor,
    p_TBP: Tensor,
    c_TBH: Tensor,
    a_TBG: Tensor,
    symbol_BU: Tensor,
    w_GF: Tensor,
    peephole_3H: Tensor | None,
    w_PH: Tensor,
    h0_BH: Tensor,
    c0_BH: Tensor,
    w0_BC: Tensor,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The derivatives of (46)–(52), last step first.

    Returns dz_TBG, dw_GF, dpeephole_3H, dw_PH, db_P, dh0_BH, dc0_BH, dkappa0_BK and dw0_BC.
    """
    if gpu := kernels(a_TBG, w_GF, c0_BH):
        derivatives, made = (dhw_TBF, dkappa_TBK, dcT_BH), (hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG)
        weights, state = (w_GF, peephole_3H, w_PH), (h0_BH, c0_BH, w0_BC)
        return gpu.window_lstm_backward(*derivatives, *made, symbol_BU, *weights, *state, clip)
    T, B, G = a_TBG.shape
    H, F, K = G // 4, hw_TBF.shape[2], kappa_TBK.shape[2]
    dz_TBG, dp_TBP = torch.empty_like(a_TBG, dtype=w_GF.dtype), torch.empty_like(p_TBP)
    dhw_BF = w_GF.new_zeros(B, F)  # what reaches h_t and w_t from step t + 1
    dh_BH, dc_BH, dkappa_BK = c0_BH.new_empty(B, H), c0_BH.new_zeros(B, H), c0_BH.new_zeros(B, K)
    if dcT_BH is not None:
        dc_BH.copy_(dcT_BH)
    if dkappa_TBK is not None:
        dkappa_TBK = dkappa_TBK.contiguous()
    dpeephole_B3H = c0_BH.new_zeros(B, 3, H)
    window = _window_backward(symbol_BU.long().contiguous(), p_TBP, kappa_TBK, dkappa_TBK, dkappa_BK, dp_TBP)
    gates = gates_backward(a_TBG, c_TBH, c0_BH.contiguous(), peephole_3H, clip, dc_BH, dz_TBG, dpeephole_B3H)
    times_w = repeated_product(w_GF.t(), B)
    for t in range(T - 1, -1, -1):
        window(t, dhw_TBF[t, :, H:], dhw_BF[:, H:])
        torch.addmm(dhw_TBF[t, :, :H], dp_TBP[t], w_PH, out=dh_BH)
        gates(t, dh_BH, dhw_BF)
        dhw_BF = times_w(dz_TBG[t])

    dw_GF = recurrent_derivative(dz_TBG, hw_TBF, torch.cat([h0_BH, w0_BC], dim=1))
    dw_PH = dp_TBP.flatten(0, 1).t() @ hw_TBF.flatten(0, 1)[:, :H]
    dh0_BH, dw0_BC = dhw_BF.to(c0_BH.dtype, copy=True).split([H, F - H], dim=1)
    return (
        *(dz_TBG, dw_GF, dpeephole_B3H.sum(0), dw_PH, dp_TBP.sum((0, 1))),
        *(dh0_BH.clone(), dc_BH, dkappa_BK, dw0_BC.clone()),
    )


@_window_lstm_backward.register_fake
def _(
    dhw_TBF,
    dkappa_TBK,
    dcT_BH,
    hw_TBF,
    kappa_TBK,
    p_TBP,
    c_TBH,
    a_TBG,
    symbol_BU,
    w_GF,
    peephole_3H,
    w_PH,
    h0_BH,
    c0_BH,
    w0_BC,
    clip,
):
    return (
        torch.empty_like(a_TBG, dtype=w_GF.dtype),
        torch.empty_like(w_GF),
        a_TBG.new_empty(3, h0_BH.shape[1]),
        torch.empty_like(w_PH),
        w_PH.new_empty(len(w_PH)),
        torch.empty_like(h0_BH),
        torch.empty_like(c0_BH),
        torch.empty_like(kappa_TBK[0]),
        torch.empty_like(w0_BC),
    )


def _save_for_backward(ctx, inputs, output):
    _, symbol_BU, w_GF, peephole_3H, w_PH, _, h0_BH, c0_BH, _, w0_BC, ctx.clip = inputs
    hw_TBF, kappa_TBK, _, p_TBP, c_TBH, a_TBG = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG, symbol_BU, w_GF, peephole_3H, w_PH, h0_BH, c0_BH, w0_BC
    )


def _autograd_backward(ctx, dhw_TBF, dkappa_TBK, dcT_BH, dp_TBP, dc_TBH, da_TBG):
    # p_TBP, c_TBH and a_TBG are returned for this pass; `window_lstm` gives them out detached or not at all.
    hw_TBF, *rest = ctx.saved_tensors
    dhw_TBF = torch.zeros_like(hw_TBF) if dhw_TBF is None else dhw_TBF.contiguous()
    with torch.autocast(hw_TBF.device.type, enabled=False):
        dz, dw, dpeephole, dw_window, db_window, dh0, dc0, dkappa0, dw0 = _window_lstm_backward(
            dhw_TBF, dkappa_TBK, dcT_BH, hw_TBF, *rest, ctx.clip
        )
    return (
        dz,
        None,
        dw,
        dpeephole if ctx.needs_input_grad[3] else None,
        dw_window,
        db_window,
        dh0,
        dc0,
        dkappa0,
        dw0,
        None,
    )


_window_lstm.register_autograd(_autograd_backward, setup_context=_save_for_backward)


class WindowLSTMOutput(NamedTuple):
    """h_TBH and w_TBC of every step, the states after the last, and the window's components (T, B, K) for
    the eye: `components` has no derivative."""

    h_TBH: Tensor
    w_TBC: Tensor
    state: LSTMState
    seen: WindowState
    components: WindowParameters


def window_lstm(
    z_TBG: Tensor,
    symbol_BU: Tensor,
    state: LSTMState,
    seen: WindowState,
    w_GH: Tensor,
    w_GC: Tensor,
    peephole_3H: Tensor | None,
    window: SoftWindow,
    clip: float | None = None,
) -> WindowLSTMOutput:
    """(52) with (46)–(51) over a whole sequence, with an exact hand-written backward pass.

    Args:
        z_TBG: W_x x + b for every step, (T, B, 4H), T ≥ 1, gates in the order i, f, g, o.
        symbol_BU: the texts as symbol indices, int64, −1 after the end of a shorter one.
        state: h and c before the first step.
        seen: the window's κ and w before the first step.
        w_GH, w_GC: the weights of h¹_{t−1} and w_{t−1}, (4H, H) and (4H, C).
        peephole_3H: the diagonals W_ci, W_cf, W_co, (3, H); None leaves the peepholes out.
        window: W_{h¹p} and b_p.
        clip: bound on the derivative of the loss with respect to each pre-activation, element-wise at
            every step (the paper: ±10); None does not clip.

    Under autocast the products with `w_GH` and `w_GC` are done in the autocast dtype; the gates, the window
    and the states stay in the dtype of `state`.
    """
    w_GF = torch.cat([w_GH, w_GC], dim=1)
    device = z_TBG.device.type
    if torch.is_autocast_enabled(device):
        w_GF = w_GF.to(torch.get_autocast_dtype(device))
    with torch.autocast(device, enabled=False):
        hw_TBF, kappa_TBK, c_BH, p_TBP, _, _ = _window_lstm(
            z_TBG.to(w_GF.dtype).contiguous(),
            symbol_BU,
            w_GF,
            peephole_3H,
            window.weight,
            window.bias,
            *state,
            *seen,
            math.inf if clip is None else float(clip),
        )
    h_TBH, w_TBC = hw_TBF.split([w_GH.shape[1], w_GC.shape[1]], dim=2)
    alpha_TBK, beta_TBK, _ = p_TBP.detach().chunk(3, dim=2)
    return WindowLSTMOutput(
        h_TBH,
        w_TBC,
        LSTMState(h_TBH[-1], c_BH),
        WindowState(kappa_TBK[-1], w_TBC[-1]),
        WindowParameters(alpha_TBK, beta_TBK, kappa_TBK.detach()),
    )
