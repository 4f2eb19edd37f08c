"""The first layer of the synthesis network: a peephole LSTM with the soft window inside its recurrence.

Equation (52) of A. Graves, "Generating Sequences With Recurrent Neural Networks" (arXiv:1308.0850),

    h¹_t = H(W_{x h¹} x_t + W_{h¹h¹} h¹_{t−1} + W_{w h¹} w_{t−1} + b¹)                        (52)

where H is the LSTM of (7)–(11) (`nn.lstm`) and w_t follows from h¹_t by the window (46)–(51) (`nn.window`).
W_x x + b is given for all steps at once; the loop keeps one product with [W_{h¹h¹} W_{w h¹}], the gates and
the window. The backward pass is written by hand (`nn.gates`, `nn.window_steps`). It is exact, but for the
paper's clip of the gradient with respect to the four pre-activations, at every step; the window's own are not
clipped. All places where these equations stand are listed in `nn.forms`.

Shape legend: T steps, B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o,
C symbols, F = H + C what the recurrence sees: h and w side by side, K window components, P = 3K window
outputs in the order α̂, β̂, κ̂, U characters of the longest text. A name's suffix gives its shape: `hw_TBF`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from graves_lm.nn.cell import State
from graves_lm.nn.cuda import by_kernels
from graves_lm.nn.gates import BackwardRoom, gates_backward, gates_forward
from graves_lm.nn.lstm import LSTMState, lstm_step
from graves_lm.nn.operands import (
    WindowLSTMBackwardInputs,
    WindowLSTMGradients,
    WindowLSTMInputs,
    WindowLSTMTrace,
)
from graves_lm.nn.operators import Operator
from graves_lm.nn.products import recurrent_derivative, repeated_product
from graves_lm.nn.window import SoftWindow, WindowParameters, WindowState, window_vector, window_weights
from graves_lm.nn.window_steps import window_backward, window_forward


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
    longest text, where the stop rule of section 5.3 looks. No gradient is clipped here.
    """
    state = lstm_step(z_BG + linear(seen.w_BC, w_GC), state, w_GH, peephole_3H)
    components, w_BC, phi_BV = look(state.h_BH, symbol_BU, seen.kappa_BK, w_GC.shape[1], window)
    return state, WindowState(components.kappa, w_BC), phi_BV


def look(
    h_BH: Tensor, symbol_BU: Tensor, kappa_BK: Tensor, symbols: int, window: SoftWindow
) -> tuple[WindowParameters, Tensor, Tensor]:
    """(46)–(51) for one step: the components, w_BC and phi_BV, from h¹_t and κ of the step before."""
    U = symbol_BU.shape[1]
    components = window.step(h_BH, kappa_BK)
    phi_BV = window_weights(components, U + 1)
    return components, window_vector(phi_BV[:, :U], symbol_BU, symbols), phi_BV


def window_lstm_by_steps(given: WindowLSTMInputs) -> WindowLSTMTrace:
    """(52) with (46)–(51) step by step: the product with [W_h W_w], the gates (`nn.gates`), the window
    (`nn.window_steps`). The form for any device."""
    made = _room(given)
    T, B, G = given.z_TBG.shape
    H, C = G // 4, given.w0_BC.shape[1]
    mixed, w_HP = given.w_GF.dtype != given.c0_BH.dtype, given.w_PH.t()
    hw_BF = torch.cat([given.h0_BH, given.w0_BC], dim=1).to(given.w_GF.dtype)
    own_BF = hw_BF if mixed else None
    c0_BH, kappa0_BK = given.c0_BH.contiguous(), given.kappa0_BK.contiguous()
    symbol_BU = given.symbol_BU.long().contiguous()
    gates = gates_forward(given.z_TBG, c0_BH, given.peephole_3H, made.a_TBG, made.c_TBH, made.hw_TBF, own_BF)
    window = window_forward(symbol_BU, kappa0_BK, made.p_TBP, made.kappa_TBK, C, made.hw_TBF, own_BF)
    times_w = repeated_product(given.w_GF, B)
    for t in range(T):
        gates(t, times_w(hw_BF))
        torch.addmm(given.b_P, made.hw_TBF[t, :, :H], w_HP, out=made.p_TBP[t])
        window(t)
        hw_BF = hw_BF if mixed else made.hw_TBF[t]
    made.cT_BH.copy_(made.c_TBH[-1])
    return made


def _room(given: WindowLSTMInputs) -> WindowLSTMTrace:
    """Tensors of the results' shapes."""
    (T, B, G), like = given.z_TBG.shape, given.c0_BH
    F, K = given.w_GF.shape[1], given.kappa0_BK.shape[1]
    hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG = (like.new_empty(T, B, n) for n in (F, K, 3 * K, G // 4, G))
    return WindowLSTMTrace(hw_TBF, kappa_TBK, like.new_empty(B, G // 4), p_TBP, c_TBH, a_TBG)


def window_lstm_backward_by_steps(given: WindowLSTMBackwardInputs) -> WindowLSTMGradients:
    """The backward pass of (46)–(52), last step first."""
    (T, B, G), F, K, like = given.a_TBG.shape, given.hw_TBF.shape[2], given.kappa_TBK.shape[2], given.c0_BH
    H = G // 4
    dp_TBP = torch.empty_like(given.p_TBP)
    room = BackwardRoom(
        dc_BH=like.new_zeros(B, H),
        dz_TBG=torch.empty_like(given.a_TBG, dtype=given.w_GF.dtype),
        dpeephole_B3H=like.new_zeros(B, 3, H),
    )
    dhw_BF = given.w_GF.new_zeros(B, F)  # what reaches h_t and w_t from step t + 1
    dh_BH, dkappa_BK = like.new_empty(B, H), like.new_zeros(B, K)
    if given.dcT_BH is not None:
        room.dc_BH.copy_(given.dcT_BH)
    dkappa_TBK = None if given.dkappa_TBK is None else given.dkappa_TBK.contiguous()
    symbol_BU = given.symbol_BU.long().contiguous()
    window = window_backward(symbol_BU, given.p_TBP, given.kappa_TBK, dkappa_TBK, dkappa_BK, dp_TBP)
    rest = (given.peephole_3H, given.clip, *room)
    gates = gates_backward(given.a_TBG, given.c_TBH, like.contiguous(), *rest)
    times_w = repeated_product(given.w_GF.t(), B)
    for t in range(T - 1, -1, -1):
        window(t, given.dhw_TBF[t, :, H:], dhw_BF[:, H:])
        torch.addmm(given.dhw_TBF[t, :, :H], dp_TBP[t], given.w_PH, out=dh_BH)
        gates(t, dh_BH, dhw_BF)
        dhw_BF = times_w(room.dz_TBG[t])

    dh0_BH, dw0_BC = dhw_BF.to(like.dtype, copy=True).split([H, F - H], dim=1)
    hw0_BF = torch.cat([given.h0_BH, given.w0_BC], dim=1)
    return WindowLSTMGradients(
        dz_TBG=room.dz_TBG,
        dw_GF=recurrent_derivative(room.dz_TBG, given.hw_TBF, hw0_BF),
        dpeephole_3H=room.dpeephole_B3H.sum(0),
        dw_PH=dp_TBP.flatten(0, 1).t() @ given.hw_TBF.flatten(0, 1)[:, :H],
        db_P=dp_TBP.sum((0, 1)),
        dh0_BH=dh0_BH.clone(),
        dc0_BH=room.dc_BH,
        dkappa0_BK=dkappa_BK,
        dw0_BC=dw0_BC.clone(),
    )


def _fake_gradients(given: WindowLSTMBackwardInputs) -> WindowLSTMGradients:
    return WindowLSTMGradients(
        dz_TBG=torch.empty_like(given.a_TBG, dtype=given.w_GF.dtype),
        dw_GF=torch.empty_like(given.w_GF),
        dpeephole_3H=given.a_TBG.new_empty(3, given.h0_BH.shape[1]),
        dw_PH=torch.empty_like(given.w_PH),
        db_P=given.w_PH.new_empty(len(given.w_PH)),
        dh0_BH=torch.empty_like(given.h0_BH),
        dc0_BH=torch.empty_like(given.c0_BH),
        dkappa0_BK=torch.empty_like(given.kappa_TBK[0]),
        dw0_BC=torch.empty_like(given.w0_BC),
    )


def _keep(given: WindowLSTMInputs, made: WindowLSTMTrace) -> WindowLSTMBackwardInputs:
    """What the backward pass needs; the gradients come later."""
    return WindowLSTMBackwardInputs(
        dhw_TBF=None,  # type: ignore[arg-type]
        dkappa_TBK=None,
        dcT_BH=None,
        hw_TBF=made.hw_TBF,
        kappa_TBK=made.kappa_TBK,
        p_TBP=made.p_TBP,
        c_TBH=made.c_TBH,
        a_TBG=made.a_TBG,
        symbol_BU=given.symbol_BU,
        w_GF=given.w_GF,
        peephole_3H=given.peephole_3H,
        w_PH=given.w_PH,
        h0_BH=given.h0_BH,
        c0_BH=given.c0_BH,
        w0_BC=given.w0_BC,
        clip=given.clip,
    )


def _backward(kept: WindowLSTMBackwardInputs, gradients: WindowLSTMTrace) -> WindowLSTMInputs:
    # p_TBP, c_TBH and a_TBG are returned for this pass; `window_lstm` gives them out detached or not at all.
    dhw_TBF: Tensor | None = gradients.hw_TBF
    dhw_TBF = torch.zeros_like(kept.hw_TBF) if dhw_TBF is None else dhw_TBF.contiguous()
    with torch.autocast(kept.hw_TBF.device.type, enabled=False):
        made = _window_lstm_backward(
            kept._replace(dhw_TBF=dhw_TBF, dkappa_TBK=gradients.kappa_TBK, dcT_BH=gradients.cT_BH)
        )
    return WindowLSTMInputs(
        z_TBG=made.dz_TBG,
        symbol_BU=None,  # type: ignore[arg-type]
        w_GF=made.dw_GF,
        peephole_3H=None if kept.peephole_3H is None else made.dpeephole_3H,
        w_PH=made.dw_PH,
        b_P=made.db_P,
        h0_BH=made.dh0_BH,
        c0_BH=made.dc0_BH,
        kappa0_BK=made.dkappa0_BK,
        w0_BC=made.dw0_BC,
        clip=None,  # type: ignore[arg-type]
    )


_window_lstm = Operator("window_lstm", WindowLSTMInputs, WindowLSTMTrace, window_lstm_by_steps)
_window_lstm.on("cuda", by_kernels("window_lstm", window_lstm_by_steps))
_window_lstm.fake(_room)
_window_lstm_backward = Operator(
    "window_lstm_backward", WindowLSTMBackwardInputs, WindowLSTMGradients, window_lstm_backward_by_steps
)
_window_lstm_backward.on("cuda", by_kernels("window_lstm_backward", window_lstm_backward_by_steps))
_window_lstm_backward.fake(_fake_gradients)
_window_lstm.differentiable(_keep, _backward)


class WindowLSTMOutput(NamedTuple):
    """h_TBH and w_TBC of every step, the states after the last, and the window's components (T, B, K) for
    the eye: `components` has no gradient."""

    h_TBH: Tensor
    w_TBC: Tensor
    state: State  # of the LSTM, or of another cell (`nn.window_cell`)
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
        clip: bound on the gradient of the loss with respect to each pre-activation, element-wise at
            every step (the paper: ±10); None does not clip.

    Under autocast the products with `w_GH` and `w_GC` are done in the autocast dtype; the gates, the window
    and the states stay in the dtype of `state`.
    """
    w_GF = torch.cat([w_GH, w_GC], dim=1)
    device = z_TBG.device.type
    if torch.is_autocast_enabled(device):
        w_GF = w_GF.to(torch.get_autocast_dtype(device))
    with torch.autocast(device, enabled=False):
        made = _window_lstm(
            WindowLSTMInputs(
                z_TBG=z_TBG.to(w_GF.dtype).contiguous(),
                symbol_BU=symbol_BU,
                w_GF=w_GF,
                peephole_3H=peephole_3H,
                w_PH=window.weight,
                b_P=window.bias,
                h0_BH=state.h_BH,
                c0_BH=state.c_BH,
                kappa0_BK=seen.kappa_BK,
                w0_BC=seen.w_BC,
                clip=math.inf if clip is None else float(clip),
            )
        )
    h_TBH, w_TBC = made.hw_TBF.split([w_GH.shape[1], w_GC.shape[1]], dim=2)
    alpha_TBK, beta_TBK, _ = made.p_TBP.detach().chunk(3, dim=2)
    return WindowLSTMOutput(
        h_TBH,
        w_TBC,
        LSTMState(h_TBH[-1], made.cT_BH),
        WindowState(made.kappa_TBK[-1], w_TBC[-1]),
        WindowParameters(alpha_TBK, beta_TBK, made.kappa_TBK.detach()),
    )
