"""The window in the recurrence of any cell: with the LSTM as that cell it is the LSTM's own form."""

import torch

from graves_lm.nn.lstm import LSTMRecurrence, LSTMState
from graves_lm.nn.window import SoftWindow, WindowState
from graves_lm.nn.window_cell import window_cell, window_cell_step
from graves_lm.nn.window_lstm import window_lstm

T, B, H, K, C = 6, 3, 4, 2, 5
SYMBOL_BU = torch.tensor([[0, 3, 3, 1], [4, 2, -1, -1], [1, 1, 1, -1]])


def made(cell):
    torch.manual_seed(0)
    torch.nn.init.normal_(cell.peephole, std=0.5)
    window = SoftWindow(H, K, points_per_character=2.0, weight_scale=1.0).double()
    z_TBG, w_GC = (torch.randn(*s, dtype=torch.float64) for s in ((T, B, 4 * H), (4 * H, C)))
    h0, c0, kappa0, w0 = (torch.rand(B, n, dtype=torch.float64) for n in (H, H, K, C))
    return window, z_TBG.requires_grad_(), w_GC.requires_grad_(), LSTMState(h0, c0), WindowState(kappa0, w0)


def test_values_and_gradients_are_those_of_the_lstms_own_form():
    cell = LSTMRecurrence(H).double()
    window, z_TBG, w_GC, state, seen = made(cell)
    general = window_cell(z_TBG, SYMBOL_BU, state, seen, w_GC, cell, window)
    own = window_lstm(z_TBG, SYMBOL_BU, state, seen, cell.weight, w_GC, cell.peephole, window, clip=None)
    leaves = (z_TBG, w_GC, cell.weight, cell.peephole, window.weight, window.bias)

    def parts(out):
        return out.h_TBH, out.w_TBC, *out.state, *out.seen, *out.components

    for a, b in zip(parts(general), parts(own), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)

    def gradients(out):
        loss = (out.h_TBH * torch.linspace(-1, 1, out.h_TBH.numel(), dtype=torch.float64).view(T, B, H)).sum()
        loss = loss + out.w_TBC.square().sum() + out.seen.kappa_BK.sum() + out.state.c_BH.square().sum()
        return torch.autograd.grad(loss, leaves)

    for a, b in zip(gradients(general), gradients(own), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_a_sequence_equals_repeated_steps():
    cell = LSTMRecurrence(H).double()
    window, z_TBG, w_GC, state, seen = made(cell)
    out = window_cell(z_TBG, SYMBOL_BU, state, seen, w_GC, cell, window)
    for t, z_BG in enumerate(z_TBG):
        state, seen, phi_BV = window_cell_step(z_BG, SYMBOL_BU, state, seen, w_GC, cell, window)
        torch.testing.assert_close(state.h_BH, out.h_TBH[t])
        torch.testing.assert_close(seen.w_BC, out.w_TBC[t])
        assert phi_BV.shape == (B, SYMBOL_BU.shape[1] + 1)
