"""The identity, with the gradient clipped (section 2.1 and 4.2 of the paper).

The paper bounds the gradient of the loss with respect to the network outputs (±100 for pen strokes) and
the LSTM pre-activations, at every step; the latter clip lives inside the LSTM's own backward pass
(`nn.lstm`). A cell that autograd differentiates (`nn.cell`) puts `clip_derivative` around its pre-activations
in each step.
"""

from typing import Any

import torch
from torch import Tensor


class _ClipDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.bound = bound
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.clamp(-ctx.bound, ctx.bound), None


def clip_derivative(x: Tensor, bound: float | None) -> Tensor:
    """x itself; in the backward pass ∂L/∂x is clipped element-wise to ±`bound` (None: not clipped)."""
    return x if bound is None else _ClipDerivative.apply(x, bound)
