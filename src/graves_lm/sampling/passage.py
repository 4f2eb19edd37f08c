"""What is to be sampled, in one object from the command down to the sampler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

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
        reader: who reads the candidates, where a sampler chooses: a `Judge` (`sampling`), or the trained
            reader that is one for lines of text (`trained`). None: nobody.
        space: the symbol between words (`sampling`), from which on a line may be drawn anew; None: there is
            none.
        still: the offset of a pen that rests, in the units of the points: of normalised ones not 0.
    """

    texts: Sequence[Words]
    seed: int = 0
    prime: Style | None = None
    first_line: int = 0
    live: bool = False
    reader: Any = None
    space: int | None = None
    still: tuple[float, float] = (0.0, 0.0)


class Verdict(NamedTuple):
    """How a reader finds a line.

    read: what it reads.
    errors: how many characters differ from the text that was to be written, spaces aside.
    nats: −log Pr(text | line).
    surplus: points at the line's end that are none of the text's, and were left out of what was read.
    wrong: which characters of the text, or as samplers take it symbols, are read otherwise, or stand after a
        gap that is not.
    """

    read: str
    errors: int
    nats: float
    surplus: int = 0
    wrong: Sequence[int] = ()


Judge = Callable[[Sequence[Tensor], Sequence[int]], Sequence[Verdict]]
"""Of lines (T, 3) in normalised units, and the symbols (U,) that each of them is to show."""


class Prime(NamedTuple):
    """A piece of real handwriting and its text, to be gone on from: `point_T3` and symbols (U,).

    others: further primes with their shares, numbers above 0 that come to less than 1; this one has the rest.
        What is gone on from then is the mean of what all of them leave (`sampling.priming`).
    """

    point_T3: Tensor
    symbol_U: Sequence[int]
    others: "Sequence[tuple[Prime, float]]" = ()


SymbolPassage = Passage[Sequence[int], Prime]
"""A passage as samplers take it."""
