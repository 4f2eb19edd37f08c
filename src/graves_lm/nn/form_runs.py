"""How each form of `nn.forms` is run on the operands of `nn.operands`: what is not made for whole
sequences, step by step.

Shape legend as in `nn.operands`.
"""

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from graves_lm.nn import lstm, native, packed, window, window_lstm
from graves_lm.nn.native.step import CLayer, CMatrix, CNetwork, Room, address, c_matrix
from graves_lm.nn.operands import LSTMInputs, LSTMTrace, WindowLSTMInputs, WindowLSTMTrace


class LSTMStates(NamedTuple):
    """h and c of all steps."""

    h_TBH: Tensor
    c_TBH: Tensor


class WindowStates(NamedTuple):
    """h, c, κ and w of all steps."""

    h_TBH: Tensor
    c_TBH: Tensor
    kappa_TBK: Tensor
    w_TBC: Tensor


def cast(given: Any, dtype: torch.dtype, device: str = "cpu") -> Any:
    """The same NamedTuple with its fractions in another dtype, on a device."""

    def one(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(device, dtype if value.is_floating_point() else value.dtype)

    return type(given)(*map(one, given))


def states(run: Callable[[LSTMInputs], LSTMTrace]) -> Callable[[LSTMInputs], LSTMStates]:
    """`run`, of whose trace h and c are taken."""

    def of_trace(given: LSTMInputs) -> LSTMStates:
        made = run(given)
        return LSTMStates(made.h_TBH, made.c_TBH)

    return of_trace


def window_states(
    run: Callable[[WindowLSTMInputs], WindowLSTMTrace],
) -> Callable[[WindowLSTMInputs], WindowStates]:
    """`run`, of whose trace h, c, κ and w are taken."""

    def of_trace(given: WindowLSTMInputs) -> WindowStates:
        made, H = run(given), given.c0_BH.shape[1]
        return WindowStates(made.hw_TBF[..., :H], made.c_TBH, made.kappa_TBK, made.hw_TBF[..., H:])

    return of_trace


def triton(name: str) -> Callable[[Any], Any]:
    """`name` of `nn.cuda.recurrences`, on a GPU or, without one, in Triton's interpreter."""

    def run(given: Any) -> Any:
        from graves_lm.nn.cuda import recurrences

        device = "cuda" if torch.cuda.is_available() else "cpu"
        made = getattr(recurrences, name)(cast(given, torch.float32, device))
        return type(made)(*(value.cpu() for value in made))

    return run


def lstm_by_single_steps(given: LSTMInputs) -> LSTMStates:
    state, made = lstm.LSTMState(given.h0_BH, given.c0_BH), []
    for z_BG in given.z_TBG:
        state = lstm.lstm_step(z_BG, state, given.w_GH, given.peephole_3H)
        made.append(state)
    return LSTMStates(*map(torch.stack, zip(*made, strict=True)))


def lstm_packed(given: LSTMInputs) -> LSTMStates:
    state, made = lstm.LSTMState(given.h0_BH, given.c0_BH), []
    for z_BG in given.z_TBG:
        a_BG = _doubled(z_BG + state.h_BH @ given.w_GH.t())
        state = packed.packed_gates(a_BG, state.c_BH, _diagonals(given))
        made.append(state)
    return LSTMStates(*map(torch.stack, zip(*made, strict=True)))


def lstm_in_step_c(given: LSTMInputs) -> LSTMStates:
    return LSTMStates(*_in_step_c(given, given.w_GH)[:2])


def window_by_single_steps(given: WindowLSTMInputs) -> WindowStates:
    H = given.c0_BH.shape[1]
    look = window.SoftWindow(H, given.kappa0_BK.shape[1]).to(given.w_PH.dtype).requires_grad_(False)
    look.load_state_dict({"weight": given.w_PH, "bias": given.b_P})
    state = lstm.LSTMState(given.h0_BH, given.c0_BH)
    seen, made = window.WindowState(given.kappa0_BK, given.w0_BC), []
    weights = (given.w_GF[:, :H], given.w_GF[:, H:], given.peephole_3H, look)
    for z_BG in given.z_TBG:
        state, seen, _ = window_lstm.window_lstm_step(z_BG, given.symbol_BU, state, seen, *weights)
        made.append((*state, *seen))
    return WindowStates(*map(torch.stack, zip(*made, strict=True)))


def window_packed(given: WindowLSTMInputs) -> WindowStates:
    state, made = lstm.LSTMState(given.h0_BH, given.c0_BH), []
    kappa_BK, w_BC, U = given.kappa0_BK, given.w0_BC, given.symbol_BU.shape[1]
    for z_BG in given.z_TBG:
        a_BG = z_BG + torch.cat([state.h_BH, w_BC], dim=1) @ given.w_GF.t()
        state = packed.packed_gates(_doubled(a_BG), state.c_BH, _diagonals(given))
        p_BP = state.h_BH @ given.w_PH.t() + given.b_P
        kappa_BK, phi_BV = packed.packed_window(p_BP, kappa_BK, U + 1)
        w_BC = window.window_vector(phi_BV[:, :U], given.symbol_BU, w_BC.shape[1])
        made.append((*state, kappa_BK, w_BC))
    return WindowStates(*map(torch.stack, zip(*made, strict=True)))


def window_in_step_c(given: WindowLSTMInputs) -> WindowStates:
    return WindowStates(*_in_step_c(given, given.w_GF))


def _in_step_c(given: LSTMInputs | WindowLSTMInputs, w_GF: Tensor) -> list[Tensor]:
    """h, c, κ and w of all steps of a network of one layer in step.c, row by row. z of each step comes as
    what a one-hot input adds."""
    (T, B, G), H = given.z_TBG.shape, given.c0_BH.shape[1]
    K, C = 0, 0
    look, w_PI = CMatrix(), None
    if isinstance(given, WindowLSTMInputs):
        K, C = given.kappa0_BK.shape[1], given.w0_BC.shape[1]
        w_PI = pad(given.w_PH, (0, -H % 64)).contiguous()
        look = c_matrix(w_PI, None, given.b_P.contiguous())
    seen_GF = torch.cat([w_GF[:, H:], w_GF[:, :H]], dim=1)  # w comes before h there
    weight_GI = pad(_doubled(seen_GF.t()).t(), (0, -(H + C) % 64)).contiguous()
    none_G, one_hot_NG = w_GF.new_zeros(G), _doubled(given.z_TBG).flatten(0, 1).contiguous()
    peephole_3H, output_1I = _diagonals(given).contiguous(), w_GF.new_zeros(1, H + -H % 64)
    matrix, output = c_matrix(weight_GI, None, none_G), c_matrix(output_1I, None, none_G)
    layer = (CLayer * 1)(CLayer(matrix, address(peephole_3H), address(one_hot_NG), 0))
    network = CNetwork(1, H, 1, 0, C, K, window.LARGEST_EXPONENT, layer, look, output)
    run, room, y_B1 = native.kernel("network_step"), Room(network, B), w_GF.new_zeros(B, 1)
    made_TBS = w_GF.new_zeros(T, B, 2 * H + K + C)
    assert run is not None
    before_BS, symbol_BU, length_B, U = torch.cat([given.h0_BH, given.c0_BH], dim=1), None, None, 0
    if isinstance(given, WindowLSTMInputs):
        before_BS = torch.cat([before_BS, given.kappa0_BK, given.w0_BC], dim=1)
        symbol_BU, length_B = given.symbol_BU.contiguous(), (given.symbol_BU >= 0).sum(1)
        U = symbol_BU.shape[1]
    phi_BV = w_GF.new_zeros(B, U + 1)
    for t in range(T):
        row_B = torch.arange(t * B, (t + 1) * B)
        values = (1, B, None, row_B, before_BS, made_TBS[t], symbol_BU, length_B, U, phi_BV, y_B1)
        run(ctypes.byref(network), room.address, *native.arguments(*values))
        before_BS = made_TBS[t]
    room.free()
    return list(made_TBS.split([H, H, K, C], dim=2))


def _doubled(a_NG: Tensor) -> Tensor:
    """With twice the pre-activation of g."""
    i, f, g, o = a_NG.chunk(4, dim=-1)
    return torch.cat([i, f, 2 * g, o], dim=-1)


def _diagonals(given: LSTMInputs | WindowLSTMInputs) -> Tensor:
    return given.c0_BH.new_zeros(3, given.c0_BH.shape[1]) if given.peephole_3H is None else given.peephole_3H
