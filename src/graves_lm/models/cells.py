"""Cells from outside of the package, for `model.network.cell`."""

from typing import TypeVar

from torch import nn

from graves_lm.nn.cell import refuse_incomplete
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared, extensions

C = TypeVar("C", bound=type[nn.Module])


def cell(kind: C) -> C:
    """Decorator of a class that is a `graves_lm.nn.cell.Cell`: it may be a network's cell, and checkpoints
    may name it.

    Its settings are the parameters of its constructor but for the first, the number of hidden units. They are
    held to their annotations (`graves_lm.settings.kinds`), as all settings are.

    Raises UserError, which names it, for a method that is missing.
    """
    try:
        refuse_incomplete(kind)
    except ValueError as error:
        raise UserError(f"{error}: see docs/extending.md, A cell") from error
    extensions.register("cell", kind)
    return declared("model.network.cell")(kind)
