"""The whole recurrence of (7)–(11) in one compiled call, products and all, for float32 on a CPU.

One step of few rows is little work for several cores to share by way of a library: they meet at the end
of its product, and again after the gates. In `native/lstm.c`, for processors with AVX-512, each core has
units of its own, and they meet once a step. With many rows or weights the library's products are faster.

Shape legend as in `nn.lstm`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from graves_lm.nn import native
from graves_lm.nn.gates import diagonals, kernel

WIDTH = 16
"""Units side by side in `native/lstm.c`."""
MOST_ROWS, MOST_WEIGHTS = 64, 2**20
"""Batch rows, and weights (4 MiB of them), up to which this is the faster way (docs/performance.md)."""


def lstm_forward(
    z_TBG: Tensor,
    w_GH: Tensor,
    peephole_3H: Tensor | None,
    h0_BH: Tensor,
    c0_BH: Tensor,
    a_TBG: Tensor,
    c_TBH: Tensor,
    h_TBH: Tensor,
) -> bool:
    """Fill in a_TBG, c_TBH and h_TBH (all contiguous, as z_TBG is); False where this cannot serve."""
    run = _kernel("lstm_forward", c0_BH, w_GH)
    if run is None:
        return False
    T, B, H = h_TBH.shape
    groups = pad(w_GH.view(4, H, H), (0, 0, 0, -H % WIDTH)).unflatten(1, (-1, WIDTH))
    beside = groups.permute(1, 3, 0, 2).contiguous()  # for each unit group and k: i, f, g, o of its units
    given = (z_TBG, beside, diagonals(peephole_3H, c0_BH), h0_BH.contiguous(), c0_BH.contiguous())
    run(*native.arguments(native.threads(), T, B, H, *given, a_TBG, c_TBH, h_TBH))
    return True


def lstm_backward(
    dh_TBH: Tensor,
    a_TBG: Tensor,
    c_TBH: Tensor,
    w_GH: Tensor,
    peephole_3H: Tensor | None,
    clip: float,
    c0_BH: Tensor,
    dh_BH: Tensor,
    dc_BH: Tensor,
    dz_TBG: Tensor,
    dpeephole_B3H: Tensor,
) -> bool:
    """Fill in dz_TBG and dpeephole_B3H, and make dh_BH and dc_BH, which hold what reaches the last step's h
    and c from after it, the derivatives by h0 and c0. All are contiguous. False where this cannot serve."""
    run = _kernel("lstm_backward", c0_BH, w_GH)
    if run is None:
        return False
    T, B, H = c_TBH.shape
    w_GV = pad(w_GH, (0, -H % WIDTH)).contiguous()
    given = (dh_TBH, a_TBG, c_TBH, w_GV, w_GV.shape[1], diagonals(peephole_3H, c0_BH), c0_BH.contiguous())
    run(*native.arguments(native.threads(), T, B, H, clip, *given, dh_BH, dc_BH, dz_TBG, dpeephole_B3H))
    return True


def _kernel(name: str, c0_BH: Tensor, w_GH: Tensor) -> Callable[..., None] | None:
    few = len(c0_BH) <= MOST_ROWS and w_GH.numel() <= MOST_WEIGHTS and w_GH.dtype == torch.float32
    return kernel(name, c0_BH, w_GH.dtype) if few else None
