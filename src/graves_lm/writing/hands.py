"""Named hands: lines that the package's network drew itself, each in another style, to be primes.

They stand beside its weights, in ink (`data.ink.json_ink`) in the units of the data that the network learned
from, and serve every network of those units that knows their characters (docs/adr/0024-hands.md).
"""

import json
from functools import cache
from pathlib import Path

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import PRETRAINED

BANK = PRETRAINED / "hands.json"


def hands_of(normalisation: Normalisation, alphabet: Alphabet) -> tuple[StrokeLine, ...]:
    """The hands that serve a network with these units and characters, hand 1 first: all or none."""
    units, lines = _bank(BANK) if BANK.is_file() else (None, ())
    known = all(alphabet.knows(character) for line in lines for character in line.text)
    return lines if known and units == normalisation else ()


def bank_size() -> int:
    """How many hands the package has."""
    return len(_bank(BANK)[1]) if BANK.is_file() else 0


def chosen(hands: tuple[StrokeLine, ...], hand: int | None, seed: int) -> StrokeLine:
    """Hand number `hand`, counted from 1; None: that of the seed, another one for the next seed.

    Raises UserError for a number that there is not.
    """
    if hand is not None and hand > len(hands):
        raise UserError(f"hand={hand}: there are {len(hands)} hands, counted from 1")
    return hands[seed % len(hands) if hand is None else hand - 1]


@cache
def _bank(path: Path) -> tuple[Normalisation, tuple[StrokeLine, ...]]:
    lines, _ = read_ink(path)
    for line in lines:
        line.strokes.setflags(write=False)
    plain = json.loads(path.read_text(encoding="utf-8"))["normalisation"]
    return Normalisation.from_plain(plain), tuple(lines)
