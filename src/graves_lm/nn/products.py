"""Matrix products in the faster of torch's two libraries for CPUs.

torch multiplies float32 matrices with MKL. oneDNN, which it has too and uses for bfloat16, is faster on AMD
processors, by up to 70 %, the more so with weights that it has laid out for itself before a loop
(docs/performance.md has numbers). torch's own compiler calls oneDNN through the operators that are used here.
Where they are not, all is torch's plain product.

Shape legend: N rows, I inputs, O outputs; (...) any batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear as torch_linear

_OPS = torch.ops.mkldnn
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(_OPS, "_linear_pointwise")
_DTYPES = {torch.float32} | ({torch.bfloat16} if _ONEDNN and _OPS._is_mkldnn_bf16_supported() else set())

ALIGNED = 16
"""On a GPU, rows of what is multiplied are so many numbers long, or a multiple of it: of other lengths they
cannot be read in large pieces, and the library takes kernels of a third of the speed."""

_LARGE = 2**20
"""Weights in a matrix (4 MiB) from which on a float32 Wᵀ is worth its layout."""


def _by_onednn(x: Tensor, w_OI: Tensor, b_O: Tensor | None = None) -> Tensor:
    return _OPS._linear_pointwise(x, w_OI, b_O, "none", [], "")


def _served(w: Tensor, rows: int) -> bool:
    """Whether oneDNN multiplies with these weights; it makes no product of no rows."""
    return _ONEDNN and w.device.type == "cpu" and w.dtype in _DTYPES and rows > 0


def product(x_NI: Tensor, w_OI: Tensor) -> Tensor:
    """x Wᵀ, (N, O), without gradient."""
    return _by_onednn(x_NI, w_OI) if _served(w_OI, len(x_NI)) else torch.mm(x_NI, w_OI.t())


def repeated_product(w_OI: Tensor, rows: int, b_O: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """x ↦ x Wᵀ, or x Wᵀ + b, without gradient, for many x of `rows` rows: what can be done once is."""
    if not _served(w_OI, rows):
        w_IO = w_OI.t()
        return lambda x_NI: torch.mm(x_NI, w_IO) if b_O is None else torch_linear(x_NI, w_OI, b_O)
    if w_OI.dtype == torch.float32 and not w_OI.is_contiguous() and w_OI.numel() < _LARGE:
        laid_out = w_OI  # the transpose of a small matrix is read faster as it is
    else:
        laid_out = _OPS._reorder_linear_weight(w_OI, rows)
    return lambda x_NI: _by_onednn(x_NI, laid_out, b_O)


def weight_derivative(dy_NO: Tensor, x_NI: Tensor) -> Tensor:
    """dyᵀ x, (O, I), the gradient with respect to W of a loss whose gradient with respect to x Wᵀ is dy."""
    if not _served(dy_NO, len(dy_NO)) or dy_NO.dtype != torch.float32:
        return torch.mm(dy_NO.t(), x_NI)
    if dy_NO.shape[1] < x_NI.shape[1]:  # the first factor is transposed in memory: let it be the smaller one
        return _by_onednn(dy_NO.t(), x_NI.t())
    return _by_onednn(x_NI.t(), dy_NO.t()).t().contiguous()


def recurrent_derivative(dz_TBO: Tensor, seen_TBI: Tensor, seen0_BI: Tensor) -> Tensor:
    """The gradient with respect to W, (O, I), of a recurrence whose step t multiplies W with what step t − 1
    left, the first with `seen0_BI`. It needs no loop: one product over all steps."""
    dtype = dz_TBO.dtype
    dw_OI = weight_derivative(dz_TBO[0], seen0_BI.to(dtype))
    if len(dz_TBO) > 1:
        dw_OI += weight_derivative(dz_TBO[1:].flatten(0, 1), seen_TBI[:-1].flatten(0, 1).to(dtype))
    return dw_OI


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w_OI: Tensor, b_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w_OI)
        return _by_onednn(x, w_OI, b_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, w_OI = ctx.saved_tensors
        dy_NO, x_NI = dy.flatten(0, -2), x.flatten(0, -2)
        for_x, for_w, for_b = ctx.needs_input_grad
        return (
            product(dy_NO, w_OI.t()).view_as(x) if for_x else None,
            weight_derivative(dy_NO, x_NI) if for_w else None,
            dy_NO.sum(0) if for_b else None,
        )


def linear(x: Tensor, w_OI: Tensor, b_O: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, (..., O), as torch's; in float32 without a second derivative."""
    float32 = x.dtype == w_OI.dtype == torch.float32
    if float32 and _served(w_OI, x.numel()) and x.dim() > 1 and not torch.is_autocast_enabled("cpu"):
        return _Linear.apply(x, w_OI, b_O)
    return torch_linear(x, w_OI, b_O)


def linear_of_parts(parts: Sequence[Tensor], w_OIs: Sequence[Tensor], b_O: Tensor | None = None) -> Tensor:
    """Σ x Wᵀ + b over the parts, as one product: x side by side, and W."""
    if len(parts) == 1:
        return linear(parts[0], w_OIs[0], b_O)
    missing = -sum(x.shape[-1] for x in parts) % ALIGNED
    if parts[0].is_cuda and missing:
        parts = [*parts, parts[0].new_zeros(*parts[0].shape[:-1], missing)]
        w_OIs = [*w_OIs, w_OIs[0].new_zeros(len(w_OIs[0]), missing)]
    return linear(torch.cat(list(parts), dim=-1), torch.cat(list(w_OIs), dim=1), b_O)


class Linear(nn.Linear):
    """torch's layer, by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
