"""Lines while they are drawn, and how.

Shape legend: L lines, P points of each, S a line's state, E what is known of its end, V the places of the
longest text and one past it, Y the network's outputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graves_lm.models.synthesis import Text
from graves_lm.sampling.end_of_line import EndOfLine, EndSettings, Known

FULL_BIAS = 0.5
"""The pen's way from point to point, in normalised units, from which on the whole bias holds: about half of
the points of real lines have it."""


def moving(x_L3: Tensor, still: tuple[float, float]) -> Tensor:
    """How much of the bias holds after each point, (L,): none for a pen that rests, rising with its way to 1.

    A pen that rests is likelier to rest on than to go. A bias makes that likelier still at every point, and a
    short rest endless (docs/adr/0026-bias-and-rest.md).
    """
    way_L = torch.hypot(x_L3[:, 0] - still[0], x_L3[:, 1] - still[1])
    return (way_L / FULL_BIAS).clamp_max(1)


class Manner(NamedTuple):
    """How lines are drawn.

    bias: from its first number to its second along the text; a pen that stands `still` has none of it.
    read: the characters of a prime, before the text.
    """

    bias: tuple[float, float]
    still: tuple[float, float]
    end: EndSettings
    read: int = 0


class Pens(NamedTuple):
    """Some lines while they are drawn.

    x_L3: their last points.
    state_LS: as `PackedNetwork` has it.
    known_LE: of their ends, see `end_of_line.Known`.
    coverage_LV: how many points the window has spent on each character, a prime's too, and past them.
    """

    text: Text
    x_L3: Tensor
    state_LS: Tensor
    known_LE: Tensor
    coverage_LV: Tensor

    @classmethod
    def begin(
        cls, text: Text, x_L3: Tensor, state_LS: Tensor, characters: Sequence[int], manner: Manner
    ) -> "Pens":
        """Before the first point of texts of so many characters each."""
        known_LE = EndOfLine(manner.end).begin(characters, manner.read > 0, x_L3.device)
        coverage_LV = x_L3.new_zeros(len(x_L3), text.symbol_BU.shape[1] + 1)
        return cls(text, x_L3, state_LS, known_LE, coverage_LV)

    def rows(self, index: Tensor) -> "Pens":
        """Some of the lines."""
        return Pens(self.text.rows(index), *(part[index] for part in self[1:]))

    def known(self) -> Known:
        return Known(*self.known_LE.unbind(1))


def joined(text: Text, some: Sequence[Pens], order_L: Tensor) -> Pens:
    """Lines of several as one, and in this order, with their texts and those of a prime before them."""
    places = text.symbol_BU.shape[1] + 1
    filled = [pens._replace(coverage_LV=_to_width(pens.coverage_LV, places)) for pens in some]
    parts = (torch.cat(part)[order_L] for part in zip(*(pens[1:] for pens in filled), strict=True))
    return Pens(text, *parts)


def _to_width(coverage_LV: Tensor, places: int) -> Tensor:
    """Beyond a line's text it is 0."""
    return torch.nn.functional.pad(coverage_LV[:, :places], (0, max(0, places - coverage_LV.shape[1])))


class Points(NamedTuple):
    """The next points of some lines, (P, L, 3), and ŷ whose density each was sampled from, (P, L, Y). What
    comes after a line's end means nothing."""

    point_PL3: Tensor
    y_PLY: Tensor
