"""How a budget, of optimiser steps or of time, becomes the steps of stages."""

import math
from collections.abc import Sequence
from itertools import pairwise

from graves_lm.runtime.errors import UserError
from graves_lm.trained.stages import Pace

LEAST = 10
"""Steps below which a stage is none: neither warm-up nor schedule would have a shape."""
LONGEST_WARMUP = 0.2
"""Of a stage: a warm-up that is longer is cut to this share."""
VALIDATING = 0.15
"""Of a stage's time: validations that would take more are left out, but for the last one."""
RESERVE = 0.02
"""Of the whole time, kept for what was not foreseen."""
CLOSING = 4.0
"""Seconds kept for the last samples and files."""


def share_out(total: int, shares: Sequence[float]) -> list[int]:
    """`total` steps divided by shares, none lost. Raises UserError where a stage gets fewer than `LEAST`."""
    whole, ends, so_far = math.fsum(shares), [0], 0.0
    for share in shares:
        so_far += share
        ends.append(round(total * so_far / whole))
    steps = [after - before for before, after in pairwise(ends)]
    if min(steps) < LEAST:
        needed = math.ceil((LEAST + 1) * whole / min(shares))
        raise UserError(
            f"budget={total}: too short, a stage would have {min(steps)} step(s) and needs {LEAST}; give "
            f"budget={needed} or more, or fewer stages"
        )
    return steps


def time_of_stage(left: float, shares: Sequence[float], validation: float, whole: float) -> float:
    """Seconds for the first of the stages that are still to come (`shares`), of the `left` ones of `whole`.

    Kept back are the validations of the last and of the best weights at the end, the last files, and a
    reserve.
    """
    usable = left - 2 * validation - RESERVE * whole - min(CLOSING, 0.1 * whole)
    return max(0.0, usable) * shares[0] / math.fsum(shares)


def validations_in(seconds: float, asked: int, validation: float) -> int:
    """How many of the validations that are asked for find room in so many seconds; at least one."""
    room = asked if validation <= 0 else int(VALIDATING * seconds / validation)
    return max(1, min(asked, room))


def pace_of(steps: int, warmup: int, validations: int, average: float | None) -> Pace:
    """The pace of a stage of so many steps from its first one on; `average`: the share of them whose weights
    are averaged."""
    warmup = min(warmup, int(LONGEST_WARMUP * steps))
    return Pace(
        warmup, warmup, 0.0, steps, max(1, -(-steps // max(1, validations))), steps * (average or 0.0)
    )


def seconds_as_text(seconds: float) -> str:
    """`HH:MM:SS`."""
    whole = max(0, round(seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def seconds_of(duration: str) -> float:
    """The inverse for a setting `DD:HH:MM:SS`."""
    days, hours, minutes, seconds = (int(part) for part in duration.split(":"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
