"""The form in which a sampler reads its weights: float32, or half or a quarter of it.

A step at batch 1 is little more than reading the weights, so fewer bytes are less time. They are rounded
once; sums and state stay float32, and a batch computes with the same rounded numbers, so that a line is the
same alone and among others.
"""

from typing import NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from graves_lm.settings.kinds import Weights

KINDS = get_args(Weights)
_AT_ONCE = 64  # columns that the kernel takes together


class Matrix(NamedTuple):
    """Rows of weights, laid out to be read.

    value_GI: the weights as they count, float32; columns are filled up with zeros to a multiple of 64.
    stored_GI: the same in the kind's own numbers: float32 (`value_GI` itself), bfloat16, or int8 in the
        kernel's order.
    scale_G: of each row: what a stored 1 stands for (int8), else None.
    bias_G: float32.
    """

    value_GI: Tensor
    stored_GI: Tensor
    scale_G: Tensor | None
    bias_G: Tensor


def matrix(weight_GI: Tensor, bias_G: Tensor, kind: str) -> Matrix:
    """The weights as a `kind` of `KINDS`, each rounded to the nearest number there is.

    int8 has 255 numbers for each row, evenly spaced, of which the outermost is the row's largest weight.
    """
    weight_GI = pad(weight_GI.float(), (0, -weight_GI.shape[1] % _AT_ONCE)).contiguous()
    bias_G = bias_G.float().contiguous()
    if kind == "float32":
        return Matrix(weight_GI, weight_GI, None, bias_G)
    if kind == "bf16":
        stored_GI = weight_GI.bfloat16()
        return Matrix(stored_GI.float(), stored_GI, None, bias_G)
    scale_G = (weight_GI.abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    level_GI = (weight_GI / scale_G[:, None]).round_()
    # Of 64 columns 0, 16, 32, 48 come first, then 1, 17, …: widened, they are sixteen neighbours four times.
    stored_GI = level_GI.to(torch.int8).unflatten(1, (-1, 4, 16)).transpose(2, 3).flatten(1).contiguous()
    return Matrix(level_GI * scale_G[:, None], stored_GI, scale_G, bias_G)
