"""Launching a kernel of many arguments in little time.

A step of a small network on a GPU is over before Triton has looked at all arguments. What it looks for is the
same from call to call: once a kernel is compiled for a set of constants and types, it is launched as it is.
"""

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

_compiled: dict[Hashable, Any] = {}


def launch(kernel: Any, grid: tuple[int, int, int], arguments: dict[str, Any], device: torch.device) -> None:
    """Run the kernel on all programs of the grid at once. Arguments are tensors, constants (in capitals),
    numbers that the kernel is not compiled for, and `num_warps`."""
    options = {"num_warps": arguments.pop("num_warps")}
    if device.type == "cpu":  # in the interpreter
        kernel[grid](**arguments, **options)
        return
    tensors = [value for value in arguments.values() if isinstance(value, Tensor)]
    key = (
        *(kernel.fn.__module__, device.index, options["num_warps"]),
        *((name, value) for name, value in arguments.items() if name.isupper() or value is None),
        *(value.dtype for value in tensors),
    )
    with torch.cuda.device(device):
        compiled = _compiled.get(key)
        # Triton reads in larger pieces where tensors begin at multiples of 16 bytes, as fresh ones do.
        if any(value.data_ptr() % 16 for value in tensors):
            kernel[grid](**arguments, **options, launch_cooperative_grid=True)
        elif compiled is None:
            _compiled[key] = kernel[grid](**arguments, **options, launch_cooperative_grid=True)
        else:
            compiled[grid](*(arguments[name] for name in kernel.arg_names))
