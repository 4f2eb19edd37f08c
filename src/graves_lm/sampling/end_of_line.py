"""Where a line that is being sampled ends, from its points and from where the window looks.

The window is ahead of the pen: on real lines the stop rule of section 5.3 holds about 11 points before the
last one, mostly within the last stroke. So a line goes on from there to where the pen is lifted, and with
each stroke for which the pen goes back: the bar of a t, the dot of an i. After a full stop the rule often
holds a stroke too late: a dot ends a line as well when the window has half left the text and the next stroke
would begin with a gap (docs/adr/0016-end-of-a-line.md).

Shape legend: V the characters of the text, those of a prime before it included, and one past them.
"""

import enum
import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from graves_lm.sampling.events import Point


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
    """Where the window looks when a point is sampled.

    phi_V: φ on each character and one past them.
    past_end: whether the stop rule of section 5.3 holds.
    at: the character it looks at, counted from the first of the text; negative while it is on a prime.
    """

    phi_V: Tensor
    past_end: bool
    at: int


class Ending(enum.Enum):
    """What a point means for its line."""

    NOT_YET = enum.auto()
    WITH_IT = enum.auto()
    """It is the last one."""
    BEFORE_IT = enum.auto()
    """The one before it was the last one."""


class EndOfLine:
    """Follows a line point after point, until it ends.

    Args:
        characters: U of its text, without a prime's.
        settings: see `EndSettings`.

    stopped: whether the line has come to the end of its text.
    reached: whether the window has reached its text, or was there from the first point on.
    """

    def __init__(self, characters: int, settings: EndSettings):
        self._settings = settings
        self._cap = settings.least_cap + math.ceil(settings.points_per_character * characters)
        self.reached = False
        self._points = 0
        self._held: int | None = None  # the point at which it was found to be past its text
        self._stroke, self._lifted = 0, False  # points of the last stroke so far, and whether it is done
        self._at, self._dwell = 0, 0  # the character that the window looks at, and for so many points
        self._phi_V: Tensor | None = None  # at the last point

    @property
    def stopped(self) -> bool:
        return self._held is not None

    @property
    def stuck(self) -> int | None:
        """The character on which the window has stood for too long; None: on none."""
        stands = self._dwell > self._settings.longest_dwell and not self.stopped
        return max(0, self._at) if stands else None

    def add(self, point: Point, look: Look) -> Ending:
        """What this point, the line's next, means for it. After an end the line takes no more."""
        forth, _, up = point
        if look.past_end and self._held is None:
            self._held = self._points
        self._dwell = self._dwell + 1 if look.at == self._at else 1
        self._at = look.at
        if not self._goes_on(forth):
            return Ending.BEFORE_IT
        self._points += 1
        self._stroke, self._lifted = 1 if self._lifted else self._stroke + 1, up > 0.5
        self._phi_V = look.phi_V
        self.reached = self.reached or look.past_end or look.at >= 0
        return Ending.WITH_IT if self._is_over() else Ending.NOT_YET

    def _goes_on(self, forth: float) -> bool:
        """Whether a point, `forth` more than a mean step to the right, still belongs to the line.

        A stroke that begins further right does not, once the stop rule has held; nor does one with a gap
        before it, after a dot when the window has half left the text: that dot was a full stop.
        """
        if not self.reached or not self._lifted or forth < 0:
            return True
        if self._held is None and self._stroke <= self._settings.dot and forth > self._settings.gap:
            assert self._phi_V is not None
            *text_U, after = self._phi_V.tolist()
            if after > self._settings.half_left * max(text_U):
                self._held = self._points
        return self._held is None

    def _is_over(self) -> bool:
        """Whether the line ends with its last point, wherever the pen is."""
        if self._held is not None:
            too_long = self._points - self._held > self._settings.points_per_character
        else:
            too_long = self._dwell > self._settings.longest_dwell
        return too_long or self._points == self._cap
