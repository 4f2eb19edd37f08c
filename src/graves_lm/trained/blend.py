"""A style between those of several lines."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.passage import Prime
from graves_lm.trained.prime import prime_of


class Blend(NamedTuple):
    """Lines of handwriting, and how much of each: numbers above 0, whatever they come to."""

    lines: Sequence[StrokeLine]
    shares: Sequence[float]


Style = StrokeLine | Blend
"""What is written in the style of."""


def as_prime(style: Style, normalisation: Normalisation, alphabet: Alphabet) -> Prime:
    """A style as what a sample goes on from. Of a blend the line with the largest share comes first.

    Raises UserError as `prime_of` does, and for shares that are none.
    """
    if isinstance(style, StrokeLine):
        return prime_of(style, normalisation, alphabet)
    if not style.lines or len(style.lines) != len(style.shares):
        raise UserError(
            f"a blend has {len(style.lines)} lines and {len(style.shares)} shares: give each a share"
        )
    if not all(0 < share < math.inf for share in style.shares):  # False for NaN
        raise UserError("the shares of a blend are not all finite numbers above 0")
    whole = math.fsum(style.shares)
    parts = sorted(zip(style.lines, style.shares, strict=True), key=lambda part: -part[1])
    first, *others = ((prime_of(line, normalisation, alphabet), share / whole) for line, share in parts)
    return first[0]._replace(others=others)
