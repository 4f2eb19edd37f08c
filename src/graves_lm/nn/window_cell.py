"""The soft window inside the recurrence of any cell, equation (52) with H another cell than the LSTM.

In plain differentiable torch, step by step, as `nn.cell` has it; the LSTM's is faster (`nn.window_lstm`).

Shape legend as in `nn.window_lstm`; G are the cell's own pre-activations.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from graves_lm.nn.cell import Cell, State
from graves_lm.nn.window import SoftWindow, WindowParameters, WindowState
from graves_lm.nn.window_lstm import WindowLSTMOutput, look


def window_cell_step(
    z_BG: Tensor,
    symbol_BU: Tensor,
    state: State,
    seen: WindowState,
    w_GC: Tensor,
    cell: Cell,
    window: SoftWindow,
) -> tuple[State, WindowState, Tensor]:
    """One step of (52) and (46)–(51): as `window_lstm_step`, for any cell."""
    state = cell.step(z_BG + linear(seen.w_BC, w_GC), state)
    components, w_BC, phi_BV = look(state.h_BH, symbol_BU, seen.kappa_BK, w_GC.shape[1], window)
    return state, WindowState(components.kappa, w_BC), phi_BV


def window_cell(
    z_TBG: Tensor,
    symbol_BU: Tensor,
    state: State,
    seen: WindowState,
    w_GC: Tensor,
    cell: Cell,
    window: SoftWindow,
) -> WindowLSTMOutput:
    """(52) with (46)–(51) over a whole sequence: as `window_lstm`, for any cell."""
    hs, ws, parameters = [], [], []
    for z_BG in z_TBG:
        state = cell.step(z_BG + linear(seen.w_BC, w_GC), state)
        components, w_BC, _ = look(state.h_BH, symbol_BU, seen.kappa_BK, w_GC.shape[1], window)
        seen = WindowState(components.kappa, w_BC)
        hs.append(state.h_BH)
        ws.append(w_BC)
        parameters.append(tuple(value.detach() for value in components))
    shown = WindowParameters(*map(torch.stack, zip(*parameters, strict=True)))
    return WindowLSTMOutput(torch.stack(hs), torch.stack(ws), state, seen, shown)
