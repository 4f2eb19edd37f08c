"""What a sampler must have: a class that does is one, wherever it stands, and inherits nothing.

One protocol a task. What else a sampler has are its settings. docs/extending.md shows a sampler of one's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import Event
from graves_lm.sampling.passage import SymbolPassage


class DrawsText(Protocol):
    """For model=character."""

    def symbols(
        self, network: CharacterNetwork, prompt: Sequence[int], generator: torch.Generator
    ) -> Iterator[int]:
        """Symbol indices one after the other, as they are sampled; the prompt is read but not repeated.

        All chance comes from `generator`, a CPU generator, so that a seed gives the same text wherever the
        network lies.
        """
        ...


class DrawsStrokes(Protocol):
    """For model=stroke.

    lines: how many it samples.
    """

    lines: int

    def points(self, network: StrokeNetwork, seed: int) -> Iterator[Tensor]:
        """The points (lines, 3) one after another, in normalised units; the same for the same seed."""
        ...


class DrawsHandwriting(Protocol):
    """For model=synthesis.

    batch_size: how many lines of a text it is given at a time.

    Where it has a setting `prime`, the sample command finds the line of that name, with the text of
    `prime_text` if there is one, and gives it with the passage.
    """

    batch_size: int

    def events(self, network: SynthesisNetwork, passage: SymbolPassage) -> Iterator[Event]:
        """The passage's lines as events, in normalised units; the same for the same seed.

        Each line ends with a `LineDone`. Points are given when they are final; of a passage that is `live`,
        when they are sampled. Raises UserError for an empty text, before it returns.
        """
        ...


class ReadsInk(Protocol):
    """For model=reader."""

    def texts(self, log_p_TBY: Tensor, length_B: Tensor) -> Sequence[Sequence[int]]:
        """The symbols of each line, of the network's log Pr(character or blank) at its frames, blank last."""
        ...


def require(sampler: Any, protocol: type) -> None:
    """Raises UserError, which names it, for what a sampler lacks of one of the protocols above."""
    kind = type(sampler).__name__
    for name, member in vars(protocol).items():
        if not name.startswith("_") and callable(member) and not callable(getattr(sampler, name, None)):
            raise UserError(_lacking(kind, f"method {name}()", protocol))
    for name in protocol.__annotations__:
        if not hasattr(sampler, name):
            raise UserError(_lacking(kind, f"attribute {name}", protocol))


def _lacking(kind: str, what: str, protocol: type) -> str:
    return (
        f"sampler: {kind} has no {what}, so it does not draw for this checkpoint (see {protocol.__module__}."
        f"{protocol.__name__}); give another sampler, or leave sampler= out"
    )
