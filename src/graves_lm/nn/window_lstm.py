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
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from graves_lm.nn.lstm import LSTMState, lstm_step
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


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """tanh x = 2σ(2x) − 1. On a CPU torch's sigmoid is so much faster than its tanh that this takes a third
    of the time; the difference is in the last bit of 1, not of the result, which no gate notices."""
    if x.device.type != "cpu":
        return torch.tanh(x, out=out)
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)


def _gates(a_BG: Tensor, c_prev_BH: Tensor, peephole_3H: Tensor | None, c_BH: Tensor, h_BH: Tensor) -> None:
    """(7)–(11) from the sums without peepholes: a_BG becomes the gates' activations; fills c_BH and h_BH."""
    B, H = c_BH.shape
    i_BH, f_BH, g_BH, o_BH = a_BG.split(H, dim=1)
    if peephole_3H is not None:
        a_BG[:, : 2 * H].view(B, 2, H).addcmul_(c_prev_BH[:, None], peephole_3H[:2])
    a_BG[:, : 2 * H].sigmoid_()
    _tanh(g_BH, out=g_BH)
    torch.mul(f_BH, c_prev_BH, out=c_BH).addcmul_(i_BH, g_BH)
    if peephole_3H is not None:
        o_BH.addcmul_(c_BH, peephole_3H[2])
    o_BH.sigmoid_()
    _tanh(c_BH, out=h_BH).mul_(o_BH)


class _GatesBackward:
    """The derivatives of `_gates`, one step at a time, in buffers made once.

    `dpeephole_B3H` adds up over the steps: cheaper than three more passes over all of them afterwards.
    """

    def __init__(self, a_BG: Tensor, c_BH: Tensor, peephole_3H: Tensor | None, clip: float):
        self.slope_BG, self.tanh_c_BH = torch.empty_like(a_BG), torch.empty_like(c_BH)
        self.peephole_3H, self.clip = peephole_3H, clip
        self.dpeephole_B3H = torch.zeros_like(a_BG).unflatten(1, (4, -1))[:, :3]

    def __call__(
        self, dh_BH: Tensor, dc_BH: Tensor, a_BG: Tensor, c_prev_BH: Tensor, c_BH: Tensor, dz_BG: Tensor
    ) -> None:
        """Fills dz_BG, clipped; dc_BH becomes the derivative of c_prev_BH; dh_BH is used up."""
        H, clip, peephole_3H = c_BH.shape[1], self.clip, self.peephole_3H
        i_BH, f_BH, g_BH, o_BH = a_BG.split(H, dim=1)
        di_BH, df_BH, dg_BH, do_BH = dz_BG.split(H, dim=1)
        tanh_c_BH = _tanh(c_BH, out=self.tanh_c_BH)

        # The slope of σ is a(1 − a), that of tanh 1 − a²; o comes first, c_t depends on it by (10).
        slope_BG = torch.addcmul(a_BG, a_BG, a_BG, value=-1, out=self.slope_BG)
        torch.mul(dh_BH, tanh_c_BH, out=do_BH).mul_(slope_BG[:, 3 * H :]).clamp_(-clip, clip)
        dh_BH.mul_(o_BH)
        dc_BH.add_(dh_BH).addcmul_(dh_BH, tanh_c_BH.square_(), value=-1)
        if peephole_3H is not None:
            dc_BH.addcmul_(do_BH, peephole_3H[2])

        torch.mul(dc_BH, g_BH, out=di_BH)
        torch.mul(dc_BH, c_prev_BH, out=df_BH)
        dz_BG[:, : 2 * H].mul_(slope_BG[:, : 2 * H])
        torch.mul(dc_BH, i_BH, out=dg_BH)
        dg_BH.sub_(torch.mul(g_BH, g_BH, out=tanh_c_BH).mul_(dg_BH))
        dz_BG[:, : 3 * H].clamp_(-clip, clip)

        dc_BH.mul_(f_BH)
        if peephole_3H is not None:
            dc_BH.addcmul_(di_BH, peephole_3H[0]).addcmul_(df_BH, peephole_3H[1])
            dif_B2H = dz_BG[:, : 2 * H].view(-1, 2, H)
            self.dpeephole_B3H[:, :2].addcmul_(dif_B2H, c_prev_BH.unsqueeze(1))
            self.dpeephole_B3H[:, 2].addcmul_(do_BH, c_BH)


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
    T, B, G = z_TBG.shape
    H, C, P, K = G // 4, w0_BC.shape[1], len(b_P), kappa0_BK.shape[1]
    hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (H + C, K, P, H, G))
    h_TBH, w_TBC = hw_TBF.split([H, C], dim=2)
    w_TBC.zero_()
    index_BU = symbol_BU.clamp_min(0)
    bumps = _Bumps(symbol_BU, kappa0_BK)
    phi_BU = kappa0_BK.new_empty(symbol_BU.shape)
    w_FG, w_HP = w_GF.t(), w_PH.t()
    mixed = w_GF.dtype != hw_TBF.dtype
    hw_BF, c_BH, kappa_BK = torch.cat([h0_BH, w0_BC], dim=1), c0_BH, kappa0_BK
    seen_BF, sum_BG = (w_GF.new_empty(B, n) for n in (H + C, G)) if mixed else (hw_BF, a_TBG[0])
    for t in range(T):
        if mixed:
            a_TBG[t].copy_(torch.addmm(z_TBG[t], seen_BF.copy_(hw_BF), w_FG, out=sum_BG))
        else:
            torch.addmm(z_TBG[t], hw_BF, w_FG, out=a_TBG[t])
        _gates(a_TBG[t], c_BH, peephole_3H, c_TBH[t], h_TBH[t])

        p_BP = torch.addmm(b_P, h_TBH[t], w_HP, out=p_TBP[t]).clamp_max_(LARGEST_EXPONENT).exp_()
        alpha_BK, beta_BK, advance_BK = p_BP.split(K, dim=1)
        kappa_BK = torch.add(kappa_BK, advance_BK, out=kappa_TBK[t])
        d_BKU, e_BKU = bumps(beta_BK, kappa_BK)
        torch.sum(torch.mul(e_BKU, alpha_BK.unsqueeze(2), out=d_BKU), 1, out=phi_BU)
        w_TBC[t].scatter_add_(1, index_BU, phi_BU)
        hw_BF, c_BH = hw_TBF[t], c_TBH[t]
    return hw_TBF, kappa_TBK, c_BH.clone(), p_TBP, c_TBH, a_TBG


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
    T, B, G = a_TBG.shape
    H, K = G // 4, kappa_TBK.shape[2]
    dz_TBG, dp_TBP = torch.empty_like(a_TBG, dtype=w_GF.dtype), torch.empty_like(p_TBP)
    mixed = w_GF.dtype != a_TBG.dtype
    exact_dz_BG = torch.empty_like(a_TBG[0])  # where dz_TBG is of fewer bits
    dhw_BF = torch.zeros_like(dhw_TBF[0])  # what reaches h_t and w_t from step t + 1
    dh_BH, dw_BC = dhw_BF.split([H, dhw_BF.shape[1] - H], dim=1)
    dc_BH = torch.zeros_like(c0_BH) if dcT_BH is None else dcT_BH.clone()
    dkappa_BK = torch.zeros_like(kappa_TBK[0])
    gates_backward = _GatesBackward(a_TBG[0], c0_BH, peephole_3H, clip)

    # By what the sums over u, Σ dφ e (1, d², d), are multiplied in dα̂, dβ̂ and dκ.
    alpha_TBK, beta_TBK, advance_TBK = p_TBP.split(K, dim=2)
    factor_TBP = torch.cat([alpha_TBK, -alpha_TBK * beta_TBK, -2 * alpha_TBK * beta_TBK], dim=2)
    index_BU, bumps = symbol_BU.clamp_min(0), _Bumps(symbol_BU, dkappa_BK)
    dphi_BU = p_TBP.new_empty(symbol_BU.shape)
    terms_B3KU = p_TBP.new_empty(B, 3, K, symbol_BU.shape[1])
    for t in range(T - 1, -1, -1):
        dhw_BF.add_(dhw_TBF[t])

        d_BKU, e_BKU = bumps(beta_TBK[t], kappa_TBK[t])
        torch.gather(dw_BC, 1, index_BU, out=dphi_BU)
        for_alpha_BKU, for_beta_BKU, for_kappa_BKU = terms_B3KU.unbind(1)
        torch.mul(e_BKU, dphi_BU.unsqueeze(1), out=for_alpha_BKU)
        torch.mul(for_alpha_BKU, d_BKU, out=for_kappa_BKU)
        torch.mul(for_kappa_BKU, d_BKU, out=for_beta_BKU)
        dp_BP = torch.sum(terms_B3KU.view(B, 3 * K, -1), 2, out=dp_TBP[t]).mul_(factor_TBP[t])
        if dkappa_TBK is not None:
            dkappa_BK.add_(dkappa_TBK[t])
        dkappa_BK.add_(dp_BP[:, 2 * K :])
        torch.mul(dkappa_BK, advance_TBK[t], out=dp_BP[:, 2 * K :])
        dh_BH.addmm_(dp_BP, w_PH)

        dz_BG = exact_dz_BG if mixed else dz_TBG[t]
        gates_backward(dh_BH, dc_BH, a_TBG[t], c_TBH[t - 1] if t else c0_BH, c_TBH[t], dz_BG)
        if mixed:
            dhw_BF.copy_(torch.mm(dz_TBG[t].copy_(dz_BG), w_GF))
        else:
            torch.mm(dz_BG, w_GF, out=dhw_BF)

    # The weights' derivatives need no loop: one matrix product over all steps.
    dw_GF = dz_TBG[0].t() @ torch.cat([h0_BH, w0_BC], dim=1).to(w_GF.dtype)
    if T > 1:
        dw_GF.addmm_(dz_TBG[1:].flatten(0, 1).t(), hw_TBF[:-1].flatten(0, 1).to(w_GF.dtype))
    dw_PH = dp_TBP.flatten(0, 1).t() @ hw_TBF.flatten(0, 1)[:, :H]
    return (
        dz_TBG,
        dw_GF,
        gates_backward.dpeephole_B3H.sum(0),
        dw_PH,
        dp_TBP.sum((0, 1)),
        dh_BH.clone(),
        dc_BH,
        dkappa_BK,
        dw_BC.clone(),
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
