"""What goes into the recurrences and comes out of them, between operators, backward passes and kernels.

Shape legend as in `nn.lstm` and `nn.window_lstm`: T steps, B batch rows, H hidden units, G = 4H
pre-activations in the order i, f, g, o, C symbols, F = H + C, K window components, P = 3K window outputs in
the order α̂, β̂, κ̂, U characters of the longest text. "Product dtype" is that of W_h: the products with it are
done in that dtype; state, gates and window have the dtype of c0_BH.
"""

from typing import NamedTuple

from torch import Tensor


class LSTMInputs(NamedTuple):
    """A sequence for (7)–(11).

    z_TBG: W_x x + b of every step, contiguous, of the product dtype.
    w_GH: the recurrent weights, which set the product dtype.
    peephole_3H: the diagonals W_ci, W_cf, W_co; None: no peepholes.
    h0_BH, c0_BH: the state before the first step.
    clip: bound on the gradient with respect to each pre-activation; infinity: not clipped.
    """

    z_TBG: Tensor
    w_GH: Tensor
    peephole_3H: Tensor | None
    h0_BH: Tensor
    c0_BH: Tensor
    clip: float


class LSTMTrace(NamedTuple):
    """What (7)–(11) leave: h of all steps and the last c, then what the backward pass alone needs and has no
    gradient: c of all steps, and a_TBG, the gates' activations."""

    h_TBH: Tensor
    cT_BH: Tensor
    c_TBH: Tensor
    a_TBG: Tensor


class LSTMBackwardInputs(NamedTuple):
    """For the backward pass of (7)–(11): the gradients with respect to h of all steps and the last c (None:
    the loss does not depend on it), then fields of `LSTMTrace` and `LSTMInputs`."""

    dh_TBH: Tensor
    dcT_BH: Tensor | None
    a_TBG: Tensor
    h_TBH: Tensor
    c_TBH: Tensor
    w_GH: Tensor
    peephole_3H: Tensor | None
    h0_BH: Tensor
    c0_BH: Tensor
    clip: float


class LSTMGradients(NamedTuple):
    """The gradients with respect to the fields of `LSTMInputs`; dpeephole_3H is there without any, too."""

    dz_TBG: Tensor
    dw_GH: Tensor
    dpeephole_3H: Tensor
    dh0_BH: Tensor
    dc0_BH: Tensor


class WindowLSTMInputs(NamedTuple):
    """A sequence for (52) with (46)–(51).

    z_TBG, peephole_3H, h0_BH, c0_BH, clip: as in `LSTMInputs`.
    symbol_BU: the texts as symbol indices, −1 after the end of a shorter one.
    w_GF: the weights of h_{t−1} and w_{t−1} side by side, which set the product dtype.
    w_PH, b_P: the window's, (48).
    kappa0_BK, w0_BC: the window before the first step.
    """

    z_TBG: Tensor
    symbol_BU: Tensor
    w_GF: Tensor
    peephole_3H: Tensor | None
    w_PH: Tensor
    b_P: Tensor
    h0_BH: Tensor
    c0_BH: Tensor
    kappa0_BK: Tensor
    w0_BC: Tensor
    clip: float


class WindowLSTMTrace(NamedTuple):
    """What (46)–(52) leave: h and w of all steps side by side, κ of all steps and the last c, then what has
    no gradient: p_TBP (α, β and exp κ̂), c of all steps and the gates' activations."""

    hw_TBF: Tensor
    kappa_TBK: Tensor
    cT_BH: Tensor
    p_TBP: Tensor
    c_TBH: Tensor
    a_TBG: Tensor


class WindowLSTMBackwardInputs(NamedTuple):
    """For the backward pass of (46)–(52): the gradients with respect to h and w, κ and the last c (None: the
    loss does not depend on it), then fields of `WindowLSTMTrace` and `WindowLSTMInputs`."""

    dhw_TBF: Tensor
    dkappa_TBK: Tensor | None
    dcT_BH: Tensor | None
    hw_TBF: Tensor
    kappa_TBK: Tensor
    p_TBP: Tensor
    c_TBH: Tensor
    a_TBG: Tensor
    symbol_BU: Tensor
    w_GF: Tensor
    peephole_3H: Tensor | None
    w_PH: Tensor
    h0_BH: Tensor
    c0_BH: Tensor
    w0_BC: Tensor
    clip: float


class WindowLSTMGradients(NamedTuple):
    """The gradients with respect to the fields of `WindowLSTMInputs`, of which the texts have none."""

    dz_TBG: Tensor
    dw_GF: Tensor
    dpeephole_3H: Tensor
    dw_PH: Tensor
    db_P: Tensor
    dh0_BH: Tensor
    dc0_BH: Tensor
    dkappa0_BK: Tensor
    dw0_BC: Tensor
