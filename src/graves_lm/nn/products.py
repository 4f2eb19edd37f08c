"""Matrix products in the faster of torch's two libraries for CPUs.

torch multiplies float32 matrices with MKL. oneDNN, which it has too and uses for bfloat16, takes some 10 %
less time for the same product on AMD processors (docs/performance.md); for the products of weights'
derivatives MKL is as fast. torch's compiler calls oneDNN through the operator that is used here.

Shape legend: N rows, I inputs, O outputs; (...) any batch.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as torch_linear

_ONEDNN = getattr(getattr(torch.ops, "mkldnn", None), "_linear_pointwise", None)


def _served(x: Tensor, w_OI: Tensor) -> bool:
    float32 = x.dtype == w_OI.dtype == torch.float32
    return float32 and x.device.type == "cpu" and _ONEDNN is not None


def product(x_NI: Tensor, w_OI: Tensor) -> Tensor:
    """x Wᵀ, (N, O), without derivative."""
    if _served(x_NI, w_OI):
        return _ONEDNN(x_NI, w_OI, None, "none", [], "")
    return torch.mm(x_NI, w_OI.t())


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w_OI: Tensor, b_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w_OI)
        return _ONEDNN(x, w_OI, b_O, "none", [], "")

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, w_OI = ctx.saved_tensors
        dy_NO, x_NI = dy.flatten(0, -2), x.flatten(0, -2)
        for_x, for_w, for_b = ctx.needs_input_grad
        return (
            product(dy_NO, w_OI.t()).view_as(x) if for_x else None,
            dy_NO.t() @ x_NI if for_w else None,
            dy_NO.sum(0) if for_b else None,
        )


def linear(x: Tensor, w_OI: Tensor, b_O: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, (..., O), as torch's; without a second derivative where it is oneDNN's."""
    if _served(x, w_OI) and x.dim() > 1 and not torch.is_autocast_enabled("cpu"):
        return _Linear.apply(x, w_OI, b_O)
    return torch_linear(x, w_OI, b_O)


class Linear(nn.Linear):
    """torch's layer, by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
