"""The gates of (7)–(11), step by step over buffers made once, forward and backward; the recurrences use them.

Two forms that equal each other: fused kernels (`nn.native`), for float32 state on a CPU with products in
float32 or bfloat16, and plain torch for all else, the reference. The "product dtype" is that of W_h: z and
all that the matrix products take and give have it, so that nothing is converted in passes of its own.

Shape legend: T steps, B batch rows, H hidden units, G = 4H pre-activations in the order i, f, g, o. A name's
suffix gives its shape; `hx_TBF` has rows of F numbers that begin with those of h.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from graves_lm.nn import native


class BackwardRoom(NamedTuple):
    """What a backward pass fills in: dc_BH holds the gradient with respect to c_t, then to c_{t−1}; dz_TBG,
    of the product dtype, is for the pre-activations'; to dpeephole_B3H each row's are added."""

    dc_BH: Tensor
    dz_TBG: Tensor
    dpeephole_B3H: Tensor


ForwardStep = Callable[[int, Tensor], None]
BackwardStep = Callable[[int, Tensor, Tensor], None]


def kernel(name: str, state: Tensor, product_dtype: torch.dtype) -> Callable[..., None] | None:
    """The compiled kernel of that name, where it can serve; else None."""
    on_cpu = state.device.type == "cpu" and state.dtype == torch.float32
    served = on_cpu and product_dtype in (torch.float32, torch.bfloat16)
    return native.kernel(name) if served else None


def gates_forward(
    z_TBG: Tensor,
    c0_BH: Tensor,
    peephole_3H: Tensor | None,
    a_TBG: Tensor,
    c_TBH: Tensor,
    hx_TBF: Tensor,
    hx_product_BF: Tensor | None,
) -> ForwardStep:
    """A function of t and sum_BG = W_h h_{t−1} (contiguous) that fills in step t.

    Args:
        z_TBG: W_x x + b, of the product dtype.
        c0_BH: c before the first step.
        peephole_3H: W_ci, W_cf, W_co; None: no peepholes.
        a_TBG, c_TBH, hx_TBF: for the gates' activations, c and h of all steps.
        hx_product_BF: for h in the product dtype; None where that is the dtype of hx_TBF.

    All tensors are contiguous.
    """
    B, H = c0_BH.shape
    run = kernel("gates_forward", c0_BH, z_TBG.dtype)
    if run is not None:
        tensors = (z_TBG, c0_BH, diagonals(peephole_3H, c0_BH), a_TBG, c_TBH, hx_TBF, hx_product_BF)
        sizes = (native.threads(), B, H, hx_TBF.shape[2], hx_product_BF is not None)
        fixed = native.arguments(*sizes, *tensors)

        def fused(t: int, sum_BG: Tensor, kept: object = tensors) -> None:
            run(*native.arguments(t, sum_BG), *fixed)

        return fused

    def plain(t: int, sum_BG: Tensor) -> None:
        a_BG, c_BH, h_BH = a_TBG[t], c_TBH[t], hx_TBF[t, :, :H]
        c_before_BH = c_TBH[t - 1] if t else c0_BH
        torch.add(a_BG.copy_(z_TBG[t]), sum_BG, out=a_BG)
        i_BH, f_BH, g_BH, o_BH = a_BG.split(H, dim=1)
        if peephole_3H is not None:
            a_BG[:, : 2 * H].view(B, 2, H).addcmul_(c_before_BH[:, None], peephole_3H[:2])
        a_BG[:, : 2 * H].sigmoid_()
        _tanh(g_BH, out=g_BH)
        torch.mul(f_BH, c_before_BH, out=c_BH).addcmul_(i_BH, g_BH)
        if peephole_3H is not None:
            o_BH.addcmul_(c_BH, peephole_3H[2])
        o_BH.sigmoid_()
        _tanh(c_BH, out=h_BH).mul_(o_BH)
        if hx_product_BF is not None:
            hx_product_BF[:, :H] = h_BH

    return plain


def gates_backward(
    a_TBG: Tensor,
    c_TBH: Tensor,
    c0_BH: Tensor,
    peephole_3H: Tensor | None,
    clip: float,
    dc_BH: Tensor,
    dz_TBG: Tensor,
    dpeephole_B3H: Tensor,
) -> BackwardStep:
    """A function of t, dh_BH and dhx_BF that goes back through step t.

    dh_BH is the gradient of the loss with respect to h_t from all but step t + 1, and dhx_BF (of the product
    dtype) what that step hands back; rows of either may be parts of wider ones.

    Args:
        a_TBG, c_TBH, c0_BH, peephole_3H: as in the forward pass.
        clip: bound on each of the four gradients with respect to the pre-activations, which are clipped
            before anything is computed from them. Infinity: not clipped.
        dc_BH, dz_TBG, dpeephole_B3H: see `BackwardRoom`.
    """
    B, H = c0_BH.shape
    run = kernel("gates_backward", c0_BH, dz_TBG.dtype)
    if run is not None:
        tensors = (a_TBG, c_TBH, c0_BH, diagonals(peephole_3H, c0_BH), dc_BH, dz_TBG, dpeephole_B3H)
        sizes = (native.threads(), B, H, dz_TBG.dtype == torch.bfloat16, clip)
        fixed = native.arguments(*sizes, *tensors)

        def fused(t: int, dh_BH: Tensor, dhx_BF: Tensor, kept: object = tensors) -> None:
            run(*native.arguments(t, dh_BH, dh_BH.stride(0), dhx_BF, dhx_BF.stride(0)), *fixed)

        return fused

    slope_BG, tanh_c_BH, own_dh_BH = (
        torch.empty_like(a_TBG[0]),
        torch.empty_like(c0_BH),
        torch.empty_like(c0_BH),
    )
    exact_dz_BG = torch.empty_like(a_TBG[0])  # where dz_TBG is of fewer bits

    def plain(t: int, dh_BH: Tensor, dhx_BF: Tensor) -> None:
        a_BG, c_BH = a_TBG[t], c_TBH[t]
        c_before_BH = c_TBH[t - 1] if t else c0_BH
        dz_BG = dz_TBG[t] if dz_TBG.dtype == a_TBG.dtype else exact_dz_BG
        i_BH, f_BH, g_BH, o_BH = a_BG.split(H, dim=1)
        di_BH, df_BH, dg_BH, do_BH = dz_BG.split(H, dim=1)
        _tanh(c_BH, out=tanh_c_BH)
        dh_BH = torch.add(dh_BH, dhx_BF[:, :H], out=own_dh_BH)

        # The slope of σ is a(1 − a), that of tanh 1 − a²; o comes first, c_t depends on it by (10).
        torch.addcmul(a_BG, a_BG, a_BG, value=-1, out=slope_BG)
        torch.mul(dh_BH, tanh_c_BH, out=do_BH).mul_(slope_BG[:, 3 * H :]).clamp_(-clip, clip)
        dh_BH.mul_(o_BH)
        dc_BH.add_(dh_BH).addcmul_(dh_BH, tanh_c_BH.square_(), value=-1)
        if peephole_3H is not None:
            dc_BH.addcmul_(do_BH, peephole_3H[2])

        torch.mul(dc_BH, g_BH, out=di_BH)
        torch.mul(dc_BH, c_before_BH, out=df_BH)
        dz_BG[:, : 2 * H].mul_(slope_BG[:, : 2 * H])
        torch.mul(dc_BH, i_BH, out=dg_BH)
        dg_BH.sub_(torch.mul(g_BH, g_BH, out=tanh_c_BH).mul_(dg_BH))
        dz_BG[:, : 3 * H].clamp_(-clip, clip)

        dc_BH.mul_(f_BH)
        if peephole_3H is not None:
            dc_BH.addcmul_(di_BH, peephole_3H[0]).addcmul_(df_BH, peephole_3H[1])
            dpeephole_B3H[:, :2].addcmul_(dz_BG[:, : 2 * H].view(B, 2, H), c_before_BH.unsqueeze(1))
            dpeephole_B3H[:, 2].addcmul_(do_BH, c_BH)
        if dz_BG is exact_dz_BG:
            dz_TBG[t] = dz_BG

    return plain


def diagonals(peephole_3H: Tensor | None, c0_BH: Tensor) -> Tensor:
    return c0_BH.new_zeros(3, c0_BH.shape[1]) if peephole_3H is None else peephole_3H.contiguous()


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """tanh x = 2σ(2x) − 1. On a CPU torch's sigmoid is so much faster than its tanh that this takes a third
    of the time; the difference is in the last bit of 1, not of the result, which no gate notices."""
    if x.device.type != "cpu":
        return torch.tanh(x, out=out)
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)
