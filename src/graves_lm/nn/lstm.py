"""The LSTM of the paper: peephole connections, exact backward pass, derivative clip at every step.

Equations (7)–(11) of A. Graves, "Generating Sequences With Recurrent Neural Networks"
(arXiv:1308.0850), with h', c' the previous step's h and c and W_c· diagonal ("peepholes"):

    i = σ(W_xi x + W_hi h' + W_ci c' + b_i)                                                   (7)
    f = σ(W_xf x + W_hf h' + W_cf c' + b_f)                                                   (8)
    c = f∘c' + i∘tanh(W_xc x + W_hc h' + b_c)                                                 (9)
    o = σ(W_xo x + W_ho h' + W_co c + b_o)                                                   (10)
    h = o∘tanh(c)                                                                            (11)

Everything that does not depend on h' is one matrix product over the whole sequence and happens
outside: the recurrence takes z = W_x x + b for all steps, and its loop keeps only W_h h' and the gates.

Shape legend: T steps, B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o
(g is the cell input inside the tanh of (9)). A name's suffix gives its shape: `h_TBH`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graves_lm.nn.cuda import kernels
from graves_lm.nn.gates import gates_backward, gates_forward
from graves_lm.nn.products import recurrent_derivative, repeated_product
from graves_lm.nn.whole import lstm_backward, lstm_forward


class LSTMState(NamedTuple):
    """What one layer carries from step to step: `h_BH` and `c_BH`, both (B, H)."""

    h_BH: Tensor
    c_BH: Tensor

    def detach(self) -> "LSTMState":
        """The same values, cut off from the graph that made them."""
        return LSTMState(self.h_BH.detach(), self.c_BH.detach())


def lstm_step(z_BG: Tensor, state: LSTMState, w_GH: Tensor, peephole_3H: Tensor | None) -> LSTMState:
    """One step of (7)–(11) in plain differentiable torch: the reference, and one step by itself.

    `z_BG` is W_x x + b for this step, `w_GH` stacks W_hi, W_hf, W_hc, W_ho, and `peephole_3H` the
    diagonals W_ci, W_cf, W_co (None: no peepholes). No derivative is clipped here.
    """
    i_BH, f_BH, g_BH, o_BH = torch.addmm(z_BG, state.h_BH, w_GH.t()).chunk(4, dim=-1)
    if peephole_3H is not None:
        i_BH = i_BH + peephole_3H[0] * state.c_BH
        f_BH = f_BH + peephole_3H[1] * state.c_BH
    c_BH = torch.sigmoid(f_BH) * state.c_BH + torch.sigmoid(i_BH) * torch.tanh(g_BH)
    if peephole_3H is not None:
        o_BH = o_BH + peephole_3H[2] * c_BH
    return LSTMState(torch.sigmoid(o_BH) * torch.tanh(c_BH), c_BH)


@torch.library.custom_op("graves_lm::lstm", mutates_args=())
def _lstm(
    z_TBG: Tensor, w_GH: Tensor, peephole_3H: Tensor | None, h0_BH: Tensor, c0_BH: Tensor, clip: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run the recurrence. Returns h_TBH and the last c_BH, then what the backward pass needs: all
    c_TBH and the gate activations a_TBG. `clip` is used only there. State and gates keep the dtype of
    c0_BH; the products with W_h are done in the dtype of w_GH, which is that of z_TBG."""
    if gpu := kernels(z_TBG, w_GH, c0_BH):
        return gpu.lstm(z_TBG, w_GH, peephole_3H, h0_BH, c0_BH, clip)
    T, B, G = z_TBG.shape
    H = G // 4
    h_TBH, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (H, H, G))
    if lstm_forward(z_TBG, w_GH, peephole_3H, h0_BH, c0_BH, a_TBG, c_TBH, h_TBH):
        return h_TBH, c_TBH[-1].clone(), c_TBH, a_TBG
    c0_BH, mixed = c0_BH.contiguous(), w_GH.dtype != c0_BH.dtype
    h_BH = w_GH.new_empty(B, H).copy_(h0_BH)
    step = gates_forward(z_TBG, c0_BH, peephole_3H, a_TBG, c_TBH, h_TBH, h_BH if mixed else None)
    times_w = repeated_product(w_GH, B)
    for t in range(T):
        step(t, times_w(h_BH))
        h_BH = h_BH if mixed else h_TBH[t]
    return h_TBH, c_TBH[-1].clone(), c_TBH, a_TBG


@_lstm.register_fake
def _(z_TBG, w_GH, peephole_3H, h0_BH, c0_BH, clip):
    T, B, G = z_TBG.shape
    h_TBH, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (G // 4, G // 4, G))
    return h_TBH, torch.empty_like(c0_BH), c_TBH, a_TBG


@torch.library.custom_op("graves_lm::lstm_backward", mutates_args=())
def _lstm_backward(
    dh_TBH: Tensor,
    dcT_BH: Tensor | None,
    a_TBG: Tensor,
    h_TBH: Tensor,
    c_TBH: Tensor,
    w_GH: Tensor,
    peephole_3H: Tensor | None,
    h0_BH: Tensor,
    c0_BH: Tensor,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The derivatives of (7)–(11), last step first. Returns dz_TBG, dw_GH, dpeephole_3H, dh0_BH, dc0_BH.

    Each step's four pre-activation derivatives are clipped to ±`clip` (infinity: not clipped) before
    anything is computed from them, so the clip acts on all that flows to earlier steps, as in the paper.
    """
    if gpu := kernels(a_TBG, w_GH, c0_BH):
        return gpu.lstm_backward(dh_TBH, dcT_BH, a_TBG, h_TBH, c_TBH, w_GH, peephole_3H, h0_BH, c0_BH, clip)
    T, B, H = h_TBH.shape
    dz_TBG = torch.empty_like(a_TBG, dtype=w_GH.dtype)
    dh_BH = w_GH.new_zeros(B, H)  # what reaches h_t from step t + 1
    dc_BH = c0_BH.new_zeros(B, H)
    if dcT_BH is not None:
        dc_BH.copy_(dcT_BH)
    dpeephole_B3H = c0_BH.new_zeros(B, 3, H)
    made = (dc_BH, dz_TBG, dpeephole_B3H)
    if not lstm_backward(dh_TBH, a_TBG, c_TBH, w_GH, peephole_3H, clip, c0_BH, dh_BH, *made):
        step = gates_backward(a_TBG, c_TBH, c0_BH.contiguous(), peephole_3H, clip, *made)
        times_w = repeated_product(w_GH.t(), B)
        for t in range(T - 1, -1, -1):
            step(t, dh_TBH[t], dh_BH)
            dh_BH = times_w(dz_TBG[t])

    dw_GH = recurrent_derivative(dz_TBG, h_TBH, h0_BH)
    return dz_TBG, dw_GH, dpeephole_B3H.sum(0), dh_BH.to(h0_BH.dtype), dc_BH


@_lstm_backward.register_fake
def _(dh_TBH, dcT_BH, a_TBG, h_TBH, c_TBH, w_GH, peephole_3H, h0_BH, c0_BH, clip):
    dpeephole_3H = c0_BH.new_empty(3, w_GH.shape[1])
    return (
        torch.empty_like(a_TBG, dtype=w_GH.dtype),
        torch.empty_like(w_GH),
        dpeephole_3H,
        torch.empty_like(h0_BH),
        torch.empty_like(c0_BH),
    )


def _save_for_backward(ctx, inputs, output):
    _, w_GH, peephole_3H, h0_BH, c0_BH, ctx.clip = inputs
    h_TBH, _, c_TBH, a_TBG = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(a_TBG, h_TBH, c_TBH, w_GH, peephole_3H, h0_BH, c0_BH)


def _autograd_backward(ctx, dh_TBH, dcT_BH, dc_TBH, da_TBG):
    # c_TBH and a_TBG are returned for this pass alone; `lstm` hides them, so they have no derivative.
    a_TBG, h_TBH, *rest = ctx.saved_tensors
    dh_TBH = torch.zeros_like(h_TBH) if dh_TBH is None else dh_TBH.contiguous()
    dz, dw, dpeephole, dh0, dc0 = _lstm_backward(dh_TBH, dcT_BH, a_TBG, h_TBH, *rest, ctx.clip)
    return dz, dw, dpeephole if ctx.needs_input_grad[2] else None, dh0, dc0, None


_lstm.register_autograd(_autograd_backward, setup_context=_save_for_backward)


def lstm(
    z_TBG: Tensor,
    state: LSTMState,
    w_GH: Tensor,
    peephole_3H: Tensor | None = None,
    clip: float | None = None,
) -> tuple[Tensor, LSTMState]:
    """(7)–(11) over a whole sequence, with an exact hand-written backward pass.

    Args:
        z_TBG: W_x x + b for every step, (T, B, 4H), T ≥ 1, gates in the order i, f, g, o.
        state: h and c before the first step.
        w_GH: the recurrent weights, (4H, H).
        peephole_3H: the diagonals W_ci, W_cf, W_co, (3, H); None leaves the peepholes out.
        clip: bound on the derivative of the loss with respect to each pre-activation, element-wise at
            every step (the paper: ±1 for text, ±10 for pen strokes); None does not clip.

    Returns h_TBH and the state after the last step. Under autocast the products with `w_GH` are done in
    the autocast dtype; the state and the gates stay in the dtype of `state`.
    """
    if torch.is_autocast_enabled(z_TBG.device.type):
        w_GH = w_GH.to(torch.get_autocast_dtype(z_TBG.device.type))
    bound = math.inf if clip is None else float(clip)
    h_TBH, c_BH, _, _ = _lstm(
        z_TBG.to(w_GH.dtype).contiguous(), w_GH, peephole_3H, state.h_BH, state.c_BH, bound
    )
    return h_TBH, LSTMState(h_TBH[-1], c_BH)


class LSTMRecurrence(nn.Module):
    """The recurrent half of one layer: W_h, the peepholes and the loop; its input is W_x x + b.

    Where the paper is silent: W_h starts as four orthogonal H×H blocks (`recurrent_init="orthogonal"`),
    which carries state over hundreds of steps from the first update on, or uniform in ±1/√H; the
    peepholes start at zero, so that training begins from an LSTM without them.
    """

    def __init__(
        self,
        hidden_size: int,
        peepholes: bool = True,
        clip: float | None = None,
        recurrent_init: str = "orthogonal",
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.clip = clip
        self.weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size)) if peepholes else None
        for block in self.weight.data.split(hidden_size):
            if recurrent_init == "orthogonal":
                nn.init.orthogonal_(block)
            elif recurrent_init == "uniform":
                nn.init.uniform_(block, -(hidden_size**-0.5), hidden_size**-0.5)
            else:
                raise ValueError(f"recurrent_init={recurrent_init!r}: 'orthogonal' or 'uniform'")

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, as the paper's sequences start."""
        zeros = self.weight.new_zeros(batch_size, self.hidden_size)
        return LSTMState(zeros, zeros)

    def forward(self, z_TBG: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """A whole sequence: h_TBH and the last state."""
        return lstm(z_TBG, state, self.weight, self.peephole, self.clip)

    def step(self, z_BG: Tensor, state: LSTMState) -> LSTMState:
        """A single step; equal to `forward` on a sequence of one."""
        return lstm_step(z_BG, state, self.weight, self.peephole)
