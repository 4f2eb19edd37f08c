"""What a recurrent cell is to the networks, so that another than the LSTM of (7)–(11) can take its place.

A layer's input reaches its cell as z = W_x x + W_below h + b, `preactivations` numbers for each row and step;
the cell has the weights of what it carries itself. A cell in plain differentiable torch is enough: one step,
and `over_steps` for sequences; the paper's clip at every step is `clip_derivative` (`nn.clip`) around the
pre-activations.

Shape legend: T steps, B batch rows, H hidden units, G numbers of z. A name's suffix gives its shape: `z_TBG`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

State = Any
"""What a cell carries from step to step: a NamedTuple of tensors (B, …) whose first field is `h_BH`."""


class Cell(Protocol):
    """A module made for a number of hidden units, as `cell(hidden_size)`.

    hidden_size: H, the size of h, what the layer above and the output see.
    preactivations: G, the numbers of z at one step.
    """

    hidden_size: int
    preactivations: int

    def initial_bias(self) -> Tensor:
        """b of z to start with, (G,)."""

    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    def forward(self, z_TBG: Tensor, state: State) -> tuple[Tensor, State]:
        """A whole sequence: h_TBH and the state after it. Gradients are clipped here, if at all."""

    def step(self, z_BG: Tensor, state: State) -> State:
        """One step, equal to `forward` on a sequence of one."""


CellMaker = Callable[..., Cell]

_METHODS = ("initial_bias", "initial_state", "forward", "step")
_NUMBERS = ("hidden_size", "preactivations")


def refuse_incomplete(kind: Any) -> None:
    """Raises ValueError, with the method's name, for a class that lacks one of `Cell`."""
    name = getattr(kind, "__qualname__", repr(kind))
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"the cell {name} is no class of torch.nn.Module")
    for method in _METHODS:
        found = getattr(kind, method, None)
        if not callable(found) or found is getattr(nn.Module, method, None):
            raise ValueError(f"the cell {name} has no method {method}")


def make_cell(maker: CellMaker, hidden_size: int) -> Any:
    """A layer's cell, looked over. Raises ValueError for what is no `Cell`."""
    try:
        made = maker(hidden_size)
    except TypeError as error:
        raise ValueError(f"no cell can be made with these settings ({error})") from error
    refuse_incomplete(type(made))
    name = type(made).__qualname__
    for number in _NUMBERS:
        if not isinstance(getattr(made, number, None), int):
            raise ValueError(f"the cell {name} has no number {number}")
    if made.hidden_size != hidden_size:
        raise ValueError(
            f"the cell {name} has hidden_size={made.hidden_size} where {hidden_size} was asked for"
        )
    if tuple(made.initial_bias().shape) != (made.preactivations,):
        raise ValueError(f"the cell {name}: initial_bias() has not the shape ({made.preactivations},)")
    state = made.initial_state(1)
    fields = getattr(state, "_fields", None)
    if not fields or fields[0] != "h_BH" or tuple(state[0].shape) != (1, hidden_size):
        raise ValueError(
            f"the cell {name}: initial_state is no NamedTuple with h_BH, (B, {hidden_size}), first"
        )
    return made


def over_steps(step: Callable[[Tensor, State], State], z_TBG: Tensor, state: State) -> tuple[Tensor, State]:
    """A `Cell.forward` by way of its `step`: h_TBH and the state after the last."""
    hs = []
    for z_BG in z_TBG:
        state = step(z_BG, state)
        hs.append(state.h_BH)
    return torch.stack(hs), state


def detached(state: State) -> State:
    """The same values, cut off from the graph that made them."""
    return type(state)(*(value.detach() for value in state))


def flat(states: Sequence[State]) -> list[Tensor]:
    """The tensors of all layers' states in one list."""
    return [value for state in states for value in state]


def unflat(tensors: Sequence[Tensor], like: Sequence[State]) -> tuple[State, ...]:
    """The inverse of `flat`, for states of the kind of `like`."""
    rest = iter(tensors)
    return tuple(type(state)(*(next(rest) for _ in state)) for state in like)
