"""The whole recurrence of (7)–(11) in one compiled call, products and all, for float32 on a CPU.

One step of few rows is little work for several cores to share by way of a library: they meet at the end
of its product, and again after the gates. In `native/lstm.c`, for processors with AVX-512, each core has
units of its own, and they meet once per step. With many rows or weights the library's products are faster.

Shape legend as in `nn.lstm`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from graves_lm.nn import native
from graves_lm.nn.gates import BackwardRoom, diagonals, kernel
from graves_lm.nn.operands import LSTMBackwardInputs, LSTMInputs, LSTMTrace

WIDTH = 16
"""Units side by side in `native/lstm.c`."""
MOST_ROWS, MOST_WEIGHTS = 64, 2**22
"""Batch rows, and weights (16 MiB of them), up to which this is the faster way (docs/performance.md)."""


def lstm_forward(given: LSTMInputs, made: LSTMTrace) -> bool:
    """Fill in h_TBH, c_TBH and a_TBG of `made` (all contiguous); False where this cannot serve."""
    run = _kernel("lstm_forward", given.c0_BH, given.w_GH)
    if run is None:
        return False
    T, B, H = made.h_TBH.shape
    groups = pad(given.w_GH.view(4, H, H), (0, 0, 0, -H % WIDTH)).unflatten(1, (-1, WIDTH))
    beside = groups.permute(1, 3, 0, 2).contiguous()  # for each unit group and k: i, f, g, o of its units
    peephole_3H, h0_BH = diagonals(given.peephole_3H, given.c0_BH), given.h0_BH.contiguous()
    read = (given.z_TBG, beside, peephole_3H, h0_BH, given.c0_BH.contiguous())
    run(*native.arguments(native.threads(), T, B, H, *read, made.a_TBG, made.c_TBH, made.h_TBH))
    return True


def lstm_backward(given: LSTMBackwardInputs, room: BackwardRoom, dh_BH: Tensor) -> bool:
    """Fill in `room` and make dh_BH and its dc_BH, which hold what reaches the last step's h and c from after
    it, the gradients with respect to h0 and c0. All are contiguous. False where this cannot serve."""
    run = _kernel("lstm_backward", given.c0_BH, given.w_GH)
    if run is None:
        return False
    T, B, H = given.c_TBH.shape
    beside = pad(given.w_GH, (0, -H % WIDTH)).unflatten(1, (-1, WIDTH)).transpose(0, 1).contiguous()
    peephole_3H, c0_BH = diagonals(given.peephole_3H, given.c0_BH), given.c0_BH.contiguous()
    read = (given.dh_TBH, given.a_TBG, given.c_TBH, beside, peephole_3H, c0_BH)
    run(*native.arguments(native.threads(), T, B, H, given.clip, *read, dh_BH, *room))
    return True


def _kernel(name: str, c0_BH: Tensor, w_GH: Tensor) -> Callable[..., None] | None:
    few = len(c0_BH) <= MOST_ROWS and w_GH.numel() <= MOST_WEIGHTS and w_GH.dtype == torch.float32
    return kernel(name, c0_BH, w_GH.dtype) if few else None
