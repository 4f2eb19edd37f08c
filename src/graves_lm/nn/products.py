"""Matrix products in the faster of torch's two libraries for CPUs.

torch multiplies float32 matrices with MKL. oneDNN, which it has too and uses for bfloat16, takes some 10 %
less time for the same product on AMD processors (docs/performance.md). torch's compiler calls it through the
operator that is used here.

Shape legend: N rows, I inputs, O outputs.
"""

import torch
from torch import Tensor

_ONEDNN = getattr(getattr(torch.ops, "mkldnn", None), "_linear_pointwise", None)


def product(x_NI: Tensor, w_OI: Tensor) -> Tensor:
    """x Wᵀ, (N, O), without derivative."""
    if x_NI.dtype == torch.float32 and x_NI.device.type == "cpu" and _ONEDNN is not None:
        return _ONEDNN(x_NI, w_OI, None, "none", [], "")
    return torch.mm(x_NI, w_OI.t())
