"""Where a line that is being sampled ends, from its points and from where the window looks.

The window is ahead of the pen: on real lines the stop rule of section 5.3 holds about 11 points before the
last one, mostly within the last stroke. So a line goes on from there to where the pen is lifted, and with
each stroke for which the pen goes back: the bar of a t, the dot of an i. After a full stop the rule often
holds a stroke too late: a dot ends a line as well when the window has half left the text and the next stroke
would begin with a gap (docs/adr/0016-end-of-a-line.md).

The rule follows many lines side by side, on the device where they are drawn; nn/native/end.h is the same for
the compiled kernel, with the same numbers in the same order.

Shape legend: L lines, V the characters of the longest text, those of a prime before it included, and one past
them, E the fields of `Known`.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class EndSettings:
    """What ends a line.

    Args:
        points_per_character: the cap on a line's points, beyond `least_cap` of them: the first and last
            characters of a short text may take long. As many points the last stroke may have after the stop
            rule.
        longest_dwell: points after which a line ends whose window stays on one character.
        dot: the most points that a dot has.
        half_left: φ(t, U+1) over the largest other φ from which on a dot may be a full stop.
        gap: how much further right than a mean step, in normalised units, the stroke after it then begins.
    """

    points_per_character: float = 75.0
    least_cap: int = 200
    longest_dwell: int = 400
    dot: int = 6
    half_left: float = 0.45
    gap: float = 1.0


class Look(NamedTuple):
    """Where the windows look when a point of each line is sampled.

    phi_LV: φ on each character and one past them; 0 beyond that.
    length_L: how many characters there are.
    past_end_L: whether the stop rule of section 5.3 holds.
    at_L: the character it looks at, counted from the first of the text; negative while it is on a prime.
    """

    phi_LV: Tensor
    length_L: Tensor
    past_end_L: Tensor
    at_L: Tensor


class Ending(enum.IntEnum):
    """What a point means for its line."""

    NOT_YET = 0
    WITH_IT = 1
    """It is the last one."""
    BEFORE_IT = 2
    """The one before it was the last one."""


class Known(NamedTuple):
    """What the rule knows of each line, (L,) each, all of them whole numbers but `after` and `largest`.

    Attributes:
        cap: the most points it may have.
        points: those it has.
        held: the point at which it was found to be past its text; negative before.
        stroke, lifted: points of the last stroke so far, and whether it is done.
        dwell, at: for so many points the window has stood on that character.
        reached: whether the window has reached the text, or was there from the first point on.
        after, largest: φ(t, U+1) at the last point, and the largest other.
        begin: the first point that belongs to the text; negative while that is not known. The window is
            ahead of the pen, so a stroke that ends before the window has come to the text still belongs to
            the prime: a crossbar, or the rest of a letter.
        ended: an `Ending`. From then on nothing changes.
    """

    cap: Tensor
    points: Tensor
    held: Tensor
    stroke: Tensor
    lifted: Tensor
    dwell: Tensor
    at: Tensor
    reached: Tensor
    after: Tensor
    largest: Tensor
    begin: Tensor
    ended: Tensor


class EndOfLine:
    """The rule for some lines, as a function of what it knows: nothing is kept here.

    Args:
        settings: see `EndSettings`.

    >>> rule = EndOfLine(EndSettings(points_per_character=1, least_cap=1))
    >>> known_LE = rule.begin([2, 1])
    >>> phi_LV = torch.tensor([[0.9, 0.1, 0.0], [0.9, 0.0, 0.0]])
    >>> look = Look(phi_LV, torch.tensor([2, 1]), torch.tensor([False, False]), torch.tensor([0, 0]))
    >>> for _ in range(2):
    ...     known_LE = rule.add(known_LE, torch.zeros(2, 3), look)
    >>> Known(*known_LE.unbind(1)).ended.tolist()  # the second has as many points as it may have
    [0.0, 1.0]
    """

    def __init__(self, settings: EndSettings):
        self.settings = settings

    def begin(
        self, characters: Sequence[int], primed: bool = False, device: torch.device | str = "cpu"
    ) -> Tensor:
        """known_LE before the first point of lines of U characters each, without a prime's."""
        of = self.settings
        caps = [of.least_cap + math.ceil(of.points_per_character * U) for U in characters]
        known_LE = torch.zeros(len(caps), len(Known._fields))
        known = Known(*known_LE.unbind(1))
        known.cap.copy_(torch.tensor(caps))
        known.held.fill_(-1)
        known.begin.fill_(-1 if primed else 0)
        return known_LE.to(device)

    def add(self, known_LE: Tensor, point_L3: Tensor, look: Look) -> Tensor:
        """known_LE after the next point of each line."""
        of, known = self.settings, Known(*known_LE.unbind(1))
        forth, _, up = point_L3.unbind(1)
        points, lifted = known.points, known.lifted > 0
        held = torch.where(look.past_end_L & (known.held < 0), points, known.held)
        at = look.at_L.to(known_LE)
        dwell = torch.where(at == known.at, known.dwell + 1, 1)
        # A stroke that begins further right is none of the line's once the stop rule has held. Nor is one
        # with a gap before it, after a dot when the window has half left the text: that was a full stop.
        begins = (known.reached > 0) & lifted & ~(forth < 0)
        dotted = (known.stroke <= of.dot) & (forth > of.gap) & (known.after > of.half_left * known.largest)
        held = torch.where(begins & dotted & (held < 0), points, held)
        is_before = begins & (held >= 0)

        points = points + 1
        stroke = torch.where(lifted, 1, known.stroke + 1)
        lifted = up > 0.5
        last_L1 = look.length_L.unsqueeze(1)
        after = look.phi_LV.gather(1, last_L1).squeeze(1)
        largest = look.phi_LV.scatter(1, last_L1, -math.inf).amax(1)
        reached = (known.reached > 0) | look.past_end_L | (at >= 0)
        too_long = torch.where(held >= 0, points - held > of.points_per_character, dwell > of.longest_dwell)
        over = too_long | (points == known.cap)
        others = points - torch.where(~reached & lifted, 1, stroke)
        begin = torch.where((known.begin < 0) & (reached | over), others, known.begin)
        new = (points, held, stroke, lifted, dwell, at, reached, after, largest, begin, over)
        with_LE = torch.stack([known.cap, *(v.to(known_LE) for v in new)], dim=1)
        before = known._replace(held=held, dwell=dwell, at=at, ended=torch.full_like(held, Ending.BEFORE_IT))
        new_LE = torch.where(is_before.unsqueeze(1), torch.stack(before, dim=1), with_LE)
        return torch.where((known.ended > 0).unsqueeze(1), known_LE, new_LE)

    def stopped(self, known: Known) -> Tensor:
        """Whether each line has come to the end of its text, (L,)."""
        return known.held >= 0

    def stuck(self, known: Known) -> Tensor:
        """The character on which each window has stood for too long, (L,); −1: on none."""
        stands = (known.dwell > self.settings.longest_dwell) & (known.held < 0)
        return torch.where(stands, known.at.clamp_min(0), -1)
