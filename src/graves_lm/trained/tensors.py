"""A file's tensors, held to those of the network that its settings make."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graves_lm.runtime.errors import UserError


def refuse_other_tensors(found: Any, own: Mapping[str, Tensor], what: str) -> None:
    """Raises UserError where names, shapes or types of tensors are not those of `own`, or a number is not
    finite."""
    if not isinstance(found, dict):
        raise UserError(f"the checkpoint has no {what}")
    if set(found) != set(own):
        odd = sorted(map(str, set(found) ^ set(own)))[0]
        raise UserError(f"the checkpoint's {what} are not those of its settings: {odd[:80]}")
    for name, tensor in own.items():
        theirs = found[name]
        if not isinstance(theirs, Tensor) or theirs.shape != tensor.shape or theirs.dtype != tensor.dtype:
            said = f"{tuple(theirs.shape)} {theirs.dtype}" if isinstance(theirs, Tensor) else type(theirs)
            raise UserError(
                f"the checkpoint's {what} are not those of its settings: {name} is {said}, not "
                f"{tuple(tensor.shape)} {tensor.dtype}"
            )
        if theirs.dtype.is_floating_point and not bool(torch.isfinite(theirs).all()):
            raise UserError(f"the checkpoint's {what} are damaged: {name} is not finite everywhere")
