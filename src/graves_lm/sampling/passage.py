"""What is to be sampled, in one object from the command down to the sampler."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

Words = TypeVar("Words")
Style = TypeVar("Style")


@dataclass(frozen=True)
class Passage(Generic[Words, Style]):
    """Lines of a text, to be written in one hand.

    Args:
        texts: a line each: characters (`trained`), or symbol indices (`sampling`).
        seed: of the random numbers.
        prime: a line with its text, whose writer's style is taken on.
        first_line: the number of the first text in its document, which the random numbers go by.
        live: points are wanted as they are sampled. What has been shown cannot be taken back, so a sampler
            that would choose among several candidates samples one.
    """

    texts: Sequence[Words]
    seed: int = 0
    prime: Style | None = None
    first_line: int = 0
    live: bool = False


class Prime(NamedTuple):
    """A piece of real handwriting and its text, to be gone on from: `point_T3` and symbols (U,)."""

    point_T3: Tensor
    symbol_U: Sequence[int]


SymbolPassage = Passage[Sequence[int], Prime]
"""A passage as samplers take it."""
