"""What `hand=` says: one hand, or several with how much of each.

3                      number 3 of the package's
anna                   a file of that name in the folder of hands
me.inkml               a file
anna:0.7+ben:0.3       a mixture; without shares, as much of each
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from graves_lm.runtime.errors import UserError, visible

MOST = 16
"""Parts of a mixture."""


class Part(NamedTuple):
    """A hand by its name, and how much of it: the shares of all parts come to 1."""

    name: str
    share: float


def parts_of(hand: int | str | Path, is_name: Callable[[str], bool]) -> list[Part]:
    """The parts of `hand`, one or more.

    Args:
        is_name: whether a text with a + or a : in it is the name of one hand all the same.

    Raises UserError for an empty name, and for a share that is missing or no number above 0.
    """
    if not isinstance(hand, str) or is_name(hand):
        return [Part(os.fspath(hand) if isinstance(hand, Path) else str(hand), 1.0)]
    where = f"hand={visible(hand)}"
    pieces = [piece.strip() for piece in hand.split("+")]
    if len(pieces) > MOST:
        raise UserError(f"{where}: a mixture of {len(pieces)} hands; give {MOST} at most")
    named = [(piece, "") if is_name(piece) else _split(piece) for piece in pieces]
    for number, (name, _) in enumerate(named, 1):
        if not name:
            what = "its name is empty" if len(named) == 1 else f"part {number} has no name"
            raise UserError(f"{where}: {what}; give hands as in hand=anna:0.7+ben:0.3")
    without = [name for name, share in named if not share]
    if without and len(without) < len(named):
        raise UserError(f"{where}: {without[0]} has no share and others have; give all of them one, or none")
    shares = [1.0 if without else _number(share, name, where) for name, share in named]
    whole = math.fsum(shares)
    return [Part(name, share / whole) for (name, _), share in zip(named, shares, strict=True)]


def _split(piece: str) -> tuple[str, str]:
    """A name and what stands for its share, "" for none."""
    name, colon, share = piece.rpartition(":")
    return (name.strip(), share.strip() or ":") if colon else (piece, "")


def _number(share: str, name: str, where: str) -> float:
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not 1e-6 <= number <= 1e6:  # False for NaN
        raise UserError(f"{where}: the share of {name} is {share!r}: a number above 0 is needed, such as 0.5")
    return number
