"""What the floors of all benchmarks share: a recurrence's products, one call a step."""

from torch import Tensor

from graves_lm.nn.products import repeated_product


def recurrent_products(w_GH: Tensor, h_TBH: Tensor, z_TBG: Tensor) -> None:
    """Of a forward pass over all steps, and of a backward pass."""
    for w, x_TBX in ((w_GH, h_TBH), (w_GH.t(), z_TBG)):
        times_w = repeated_product(w, x_TBX.shape[1])
        for x_BX in x_TBX:
            times_w(x_BX)
