"""The LSTM of the paper: peephole connections, exact backward pass, gradient clip at every step.

Equations (7)–(11) of A. Graves, "Generating Sequences With Recurrent Neural Networks"
(arXiv:1308.0850), with h', c' the previous step's h and c and W_c· diagonal ("peepholes"):

    i = σ(W_xi x + W_hi h' + W_ci c' + b_i)                                                   (7)
    f = σ(W_xf x + W_hf h' + W_cf c' + b_f)                                                   (8)
    c = f∘c' + i∘tanh(W_xc x + W_hc h' + b_c)                                                 (9)
    o = σ(W_xo x + W_ho h' + W_co c + b_o)                                                   (10)
    h = o∘tanh(c)                                                                            (11)

These lines stand in several forms: in plain torch, compiled for a CPU, for a GPU, for sampling.
`nn.forms` lists all places where (7)–(11) stand.

Everything that does not depend on h' is one matrix product over the whole sequence and happens
outside: the recurrence takes z = W_x x + b for all steps, and its loop keeps only W_h h' and the gates.

Shape legend: T steps, B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o
(g is the cell input inside the tanh of (9)). A name's suffix gives its shape: `h_TBH`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graves_lm.nn.cuda import by_kernels
from graves_lm.nn.gates import BackwardRoom, gates_backward, gates_forward
from graves_lm.nn.operands import LSTMBackwardInputs, LSTMGradients, LSTMInputs, LSTMTrace
from graves_lm.nn.operators import Operator
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
    diagonals W_ci, W_cf, W_co (None: no peepholes). No gradient is clipped here.
    """
    i_BH, f_BH, g_BH, o_BH = torch.addmm(z_BG, state.h_BH, w_GH.t()).chunk(4, dim=-1)
    if peephole_3H is not None:
        i_BH = i_BH + peephole_3H[0] * state.c_BH
        f_BH = f_BH + peephole_3H[1] * state.c_BH
    c_BH = torch.sigmoid(f_BH) * state.c_BH + torch.sigmoid(i_BH) * torch.tanh(g_BH)
    if peephole_3H is not None:
        o_BH = o_BH + peephole_3H[2] * c_BH
    return LSTMState(torch.sigmoid(o_BH) * torch.tanh(c_BH), c_BH)


def lstm_by_steps(given: LSTMInputs) -> LSTMTrace:
    """(7)–(11) step by step: the product with W_h, then the gates (`nn.gates`). The form for any device."""
    made = _room(given)
    _fill_in_by_steps(given, made)
    return made


def lstm_on_cpu(given: LSTMInputs) -> LSTMTrace:
    """The same in one compiled call where that can be (`nn.whole`)."""
    made = _room(given)
    if lstm_forward(given, made):
        made.cT_BH.copy_(made.c_TBH[-1])
    else:
        _fill_in_by_steps(given, made)
    return made


def _room(given: LSTMInputs) -> LSTMTrace:
    """Tensors of the results' shapes."""
    T, B, G = given.z_TBG.shape
    h_TBH, c_TBH, a_TBG = (given.c0_BH.new_empty(T, B, n) for n in (G // 4, G // 4, G))
    return LSTMTrace(h_TBH, given.c0_BH.new_empty(B, G // 4), c_TBH, a_TBG)


def _fill_in_by_steps(given: LSTMInputs, made: LSTMTrace) -> None:
    T, B, G = given.z_TBG.shape
    c0_BH, mixed = given.c0_BH.contiguous(), given.w_GH.dtype != given.c0_BH.dtype
    h_BH = given.w_GH.new_empty(B, G // 4).copy_(given.h0_BH)
    own_BH = h_BH if mixed else None
    step = gates_forward(given.z_TBG, c0_BH, given.peephole_3H, made.a_TBG, made.c_TBH, made.h_TBH, own_BH)
    times_w = repeated_product(given.w_GH, B)
    for t in range(T):
        step(t, times_w(h_BH))
        h_BH = h_BH if mixed else made.h_TBH[t]
    made.cT_BH.copy_(made.c_TBH[-1])


def lstm_backward_by_steps(given: LSTMBackwardInputs) -> LSTMGradients:
    """The backward pass of (7)–(11), last step first.

    Each step's four pre-activation gradients are clipped to ±`clip` before anything is computed from them, so
    the clip acts on all that flows to earlier steps, as in the paper.
    """
    room, dh_BH = _backward_room(given)
    return _gradients(given, room, _back_by_steps(given, room, dh_BH))


def lstm_backward_on_cpu(given: LSTMBackwardInputs) -> LSTMGradients:
    """The same in one compiled call where that can be (`nn.whole`)."""
    room, dh_BH = _backward_room(given)
    if not lstm_backward(given, room, dh_BH):
        dh_BH = _back_by_steps(given, room, dh_BH)
    return _gradients(given, room, dh_BH)


def _back_by_steps(given: LSTMBackwardInputs, room: BackwardRoom, dh_BH: Tensor) -> Tensor:
    """Fill in `room`; returns what reaches h0."""
    rest = (given.peephole_3H, given.clip, *room)
    step = gates_backward(given.a_TBG, given.c_TBH, given.c0_BH.contiguous(), *rest)
    times_w = repeated_product(given.w_GH.t(), len(dh_BH))
    for t in range(len(room.dz_TBG) - 1, -1, -1):
        step(t, given.dh_TBH[t], dh_BH)
        dh_BH = times_w(room.dz_TBG[t])
    return dh_BH


def _backward_room(given: LSTMBackwardInputs) -> tuple[BackwardRoom, Tensor]:
    """What the backward pass fills in, and dh_BH, of the product dtype, for what reaches h of a step from the
    one after it."""
    (B, H), c0_BH = given.c0_BH.shape, given.c0_BH
    dc_BH = c0_BH.new_zeros(B, H)
    if given.dcT_BH is not None:
        dc_BH.copy_(given.dcT_BH)
    dz_TBG = torch.empty_like(given.a_TBG, dtype=given.w_GH.dtype)
    return BackwardRoom(dc_BH, dz_TBG, c0_BH.new_zeros(B, 3, H)), given.w_GH.new_zeros(B, H)


def _gradients(given: LSTMBackwardInputs, room: BackwardRoom, dh_BH: Tensor) -> LSTMGradients:
    """Of what the loop over the steps has left; the weights' gradient needs no loop."""
    return LSTMGradients(
        dz_TBG=room.dz_TBG,
        dw_GH=recurrent_derivative(room.dz_TBG, given.h_TBH, given.h0_BH),
        dpeephole_3H=room.dpeephole_B3H.sum(0),
        dh0_BH=dh_BH.to(given.h0_BH.dtype),
        dc0_BH=room.dc_BH,
    )


def _fake_gradients(given: LSTMBackwardInputs) -> LSTMGradients:
    return LSTMGradients(
        dz_TBG=torch.empty_like(given.a_TBG, dtype=given.w_GH.dtype),
        dw_GH=torch.empty_like(given.w_GH),
        dpeephole_3H=given.c0_BH.new_empty(3, given.w_GH.shape[1]),
        dh0_BH=torch.empty_like(given.h0_BH),
        dc0_BH=torch.empty_like(given.c0_BH),
    )


def _keep(given: LSTMInputs, made: LSTMTrace) -> LSTMBackwardInputs:
    """What the backward pass needs; the gradients come later."""
    return LSTMBackwardInputs(
        dh_TBH=None,  # type: ignore[arg-type]
        dcT_BH=None,
        a_TBG=made.a_TBG,
        h_TBH=made.h_TBH,
        c_TBH=made.c_TBH,
        w_GH=given.w_GH,
        peephole_3H=given.peephole_3H,
        h0_BH=given.h0_BH,
        c0_BH=given.c0_BH,
        clip=given.clip,
    )


def _backward(kept: LSTMBackwardInputs, gradients: LSTMTrace) -> LSTMInputs:
    # c_TBH and a_TBG are returned for this pass alone; `lstm` hides them, so they have no gradient.
    dh_TBH: Tensor | None = gradients.h_TBH
    dh_TBH = torch.zeros_like(kept.h_TBH) if dh_TBH is None else dh_TBH.contiguous()
    made = _lstm_backward(kept._replace(dh_TBH=dh_TBH, dcT_BH=gradients.cT_BH))
    return LSTMInputs(
        z_TBG=made.dz_TBG,
        w_GH=made.dw_GH,
        peephole_3H=None if kept.peephole_3H is None else made.dpeephole_3H,
        h0_BH=made.dh0_BH,
        c0_BH=made.dc0_BH,
        clip=None,  # type: ignore[arg-type]
    )


_lstm = Operator("lstm", LSTMInputs, LSTMTrace, lstm_by_steps)
_lstm.on("cpu", lstm_on_cpu)
_lstm.on("cuda", by_kernels("lstm", lstm_by_steps))
_lstm.fake(_room)
_lstm_backward = Operator("lstm_backward", LSTMBackwardInputs, LSTMGradients, lstm_backward_by_steps)
_lstm_backward.on("cpu", lstm_backward_on_cpu)
_lstm_backward.on("cuda", by_kernels("lstm_backward", lstm_backward_by_steps))
_lstm_backward.fake(_fake_gradients)
_lstm.differentiable(_keep, _backward)


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
        clip: bound on the gradient of the loss with respect to each pre-activation, element-wise at
            every step (the paper: ±1 for text, ±10 for pen strokes); None does not clip.

    Returns h_TBH and the state after the last step. Under autocast the products with `w_GH` are done in
    the autocast dtype; the state and the gates stay in the dtype of `state`.
    """
    if torch.is_autocast_enabled(z_TBG.device.type):
        w_GH = w_GH.to(torch.get_autocast_dtype(z_TBG.device.type))
    bound = math.inf if clip is None else float(clip)
    made = _lstm(
        LSTMInputs(
            z_TBG=z_TBG.to(w_GH.dtype).contiguous(),
            w_GH=w_GH,
            peephole_3H=peephole_3H,
            h0_BH=state.h_BH,
            c0_BH=state.c_BH,
            clip=bound,
        )
    )
    return made.h_TBH, LSTMState(made.h_TBH[-1], made.cT_BH)


class LSTMRecurrence(nn.Module):
    """The recurrent half of one layer, a `Cell`: W_h, the peepholes and the loop; its input is W_x x + b.

    Where the paper is silent: W_h starts as four orthogonal H×H blocks (`recurrent_init="orthogonal"`),
    which carries state over hundreds of steps from the first update on, or uniform in ±1/√H; the
    peepholes start at zero, so that training begins from an LSTM without them; b_f starts at
    `forget_bias`, with 1 state lives from the start.
    """

    def __init__(
        self,
        hidden_size: int,
        peepholes: bool = True,
        clip: float | None = None,
        recurrent_init: str = "orthogonal",
        forget_bias: float = 1.0,
    ):
        super().__init__()
        self.hidden_size, self.preactivations = hidden_size, 4 * hidden_size
        self.forget_bias = forget_bias
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

    def initial_bias(self) -> Tensor:
        """Zero, and `forget_bias` for the forget gate."""
        bias_G = self.weight.new_zeros(self.preactivations)
        bias_G[self.hidden_size : 2 * self.hidden_size] = self.forget_bias
        return bias_G

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
