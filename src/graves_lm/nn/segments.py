"""Gradients through long sequences in little memory, by running parts of the way twice."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch.utils.checkpoint import checkpoint

State = TypeVar("State")


def over_segments(
    nats_of: Callable[[slice, State], tuple[Tensor, State]], T: int, length: int | None, state: State
) -> tuple[Tensor, State]:
    """The nats of T steps, and the state after the last.

    With a `length`, the sequence is run in segments of so many steps, of which nothing is kept but the state
    between them: each is run again when the backward pass comes to it (T. Chen et al., "Training Deep Nets
    with Sublinear Memory Cost", 2016). The gradients are those of the whole sequence; they cost one forward
    pass more, and memory for one segment instead of all.

    Args:
        nats_of: of a slice of the steps and the state before them, the sum of their nats and the state after
            them. It is called twice for each segment, and must do the same both times: random weights are
            sampled before, once for all.
        length: steps in a segment; None: all are kept.
    """
    if length is None or length >= T:
        return nats_of(slice(0, T), state)
    parts = []
    for start in range(0, T, length):
        steps = slice(start, min(start + length, T))
        nats, state = checkpoint(nats_of, steps, state, use_reentrant=False, preserve_rng_state=False)
        parts.append(nats)
    return sum(parts[1:], parts[0]), state
