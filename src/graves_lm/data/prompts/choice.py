"""Lines to write by hand, for a hand to be learned from them: which ones, and in which order.

What a set of lines is worth is a sum over the characters and the pairs of letters in them: each has a weight,
half of which its first time in the set brings, its second a quarter, and so on. Such a sum is submodular:
taking the line with the largest gain, again and again, gives at every length at least 1 - 1/e of what the
best lines of that number are worth (Nemhauser, Wolsey and Fisher 1978): who stops early has the most useful.

The page has the same rule in TypeScript (`web/page/prompts.ts`), with the lines and weights of `prompt_data`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from graves_lm.data.prompts.frequencies import LETTERS, PAIRS
from graves_lm.runtime.errors import UserError

LONGEST = 32
"""Characters of a line: what fits on the page's pad, and on a line of A4."""
MOST_CHARACTERS = 100
"""Of one's own, beside those that all lines are of."""
_CAPITAL, _DIGIT, _SIGN, _OWN = 5.0, 7.0, 4.0, 24.0
_RARE_SIGNS = "#*&[]+/;!()"

# Words for a character that no line has; {c} is it. A capital begins words, a sign is beside numbers.
_MADE_SMALL = (
    "{c}a {c}e {c}o, la{c} mi{c} so{c}",
    "a{c}a e{c}e o{c}u, an{c}e or{c}i",
    "te{c}, {c}en, u{c}, {c}ir, ma{c}o",
)
_MADE_CAPITAL = (
    "{c}an {c}el {c}ora {c}in {c}us",
    "{c}. Brown and {c}. Miller",
    "in {c}ada, {c}eno and {c}ilas",
)
_MADE_SIGN = ("1 {c} 2, 37 {c}, {c} 45", "a {c} b, no {c} one {c}", "{c} six {c} and {c} 80")


@cache
def english_lines() -> tuple[str, ...]:
    """The lines that everybody is given, of the characters of English."""
    return _lines_of("english.txt")


@cache
def foreign_lines() -> tuple[str, ...]:
    """Lines with characters of other languages, and signs that few need."""
    return _lines_of("foreign.txt")


@cache
def known_characters() -> frozenset[str]:
    """The characters of the English lines."""
    return frozenset("".join(english_lines()))


def _lines_of(name: str) -> tuple[str, ...]:
    return tuple(files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines())


def prompts(count: int = 40, characters: str = "") -> list[str]:
    """`count` lines, the most useful first; also with these characters of one's own.

    Raises UserError for more lines than there are, and for characters that no pen writes.
    """
    own = own_characters(characters)
    candidates = candidate_lines(own)
    if count > len(candidates):
        raise UserError(f"count={count}: there are {len(candidates)} lines; give at most so many")
    return in_order(candidates, weights(own), count)


def own_characters(text: str) -> list[str]:
    """The characters in a text that no English line has, composed, each once; spaces and commas part them.

    Raises UserError for what is no character that a pen writes alone.
    """
    own = dict.fromkeys(c for c in unicodedata.normalize("NFC", text) if not c.isspace() and c != ",")
    for character in own:
        if unicodedata.category(character)[0] in "CMZ":
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            raise UserError(f"characters: {name} is none that a pen writes alone; leave it out")
    own = {c: None for c in own if c not in known_characters()}
    if len(own) > MOST_CHARACTERS:
        raise UserError(f"characters: {len(own)} of your own; give at most {MOST_CHARACTERS}")
    return list(own)


def candidate_lines(own: Sequence[str]) -> list[str]:
    """The lines to choose from: the English ones, those that need no other characters than one's own, and
    ones that are made for characters without any."""
    allowed = known_characters() | set(own)
    found = [
        line
        for line in foreign_lines()
        if allowed.issuperset(line) and not known_characters().issuperset(line)
    ]
    there = set("".join(found))
    made = [line for character in own if character not in there for line in made_lines(character, own)]
    return list(dict.fromkeys([*english_lines(), *found, *made]))


def made_lines(character: str, own: Sequence[str]) -> list[str]:
    """Small words with a character: among Latin letters, of its own script, or as a sign."""
    category = unicodedata.category(character)
    if category[0] != "L":
        forms = _MADE_SIGN
    elif not unicodedata.name(character, "").startswith("LATIN"):
        return [_among(character, own)]
    else:
        forms = _MADE_CAPITAL if category in ("Lu", "Lt") else _MADE_SMALL
    return [form.replace("{c}", character) for form in forms]


def _among(character: str, own: Sequence[str]) -> str:
    """A line of words of the letters that have no line and are not Latin, this one among its neighbours."""
    row = [c for c in own if is_other_letter(c)]
    at = row.index(character)
    b, c, d = (row[(at + step) % len(row)] for step in (-1, 1, 2))
    a = character
    return f"{a}{c}{d} {b}{a} {c}{a}{d} {a}{a} {d}{a}"


def is_other_letter(character: str) -> bool:
    """Whether it is a letter of another script than the Latin one."""
    return unicodedata.category(character)[0] == "L" and not unicodedata.name(character, "").startswith(
        "LATIN"
    )


# --------------------------------------------------------------------------------------------- worth


@cache
def _english_weights() -> Mapping[str, float]:
    """Of characters and pairs. Roots of their frequencies, so that what is rare counts too."""
    found = {pair: per_mille**0.5 for pair, per_mille in PAIRS.items()}
    for character in sorted(known_characters() - {" "}):  # a page is the same, byte by byte
        if character in LETTERS:
            found[character] = 2 + LETTERS[character] ** 0.5
        elif character.isalpha():
            found[character] = _CAPITAL
        elif character.isdigit():
            found[character] = _DIGIT
        else:
            found[character] = _SIGN / 2 if character in _RARE_SIGNS else _SIGN
    return found


def weights(own: Iterable[str] = ()) -> dict[str, float]:
    """Of each character and pair of letters: what it is worth when it is there very often."""
    return {**_english_weights(), **dict.fromkeys(own, _OWN)}


def features(line: str) -> Counter[str]:
    """Its characters, and its pairs of letters, which may begin with a capital, as small ones."""
    pairs = re.findall(r"(?=([A-Za-z][a-z]))", line)
    return Counter(line) + Counter(pair.lower() for pair in pairs)


def gain(line: str, times: Mapping[str, int], weight: Mapping[str, float]) -> float:
    """What a line adds to lines that have each character and pair so many times."""
    return sum(
        weight[one] * (2.0 ** -times.get(one, 0) - 2.0 ** -(times.get(one, 0) + n))
        for one, n in features(line).items()
        if one in weight
    )


def in_order(candidates: Sequence[str], weight: Mapping[str, float], count: int) -> list[str]:
    """`count` of the lines, each the one with the largest gain among those left; of equals the first."""
    left, chosen, times = list(candidates), [], Counter[str]()
    for _ in range(count):
        best = max(left, key=lambda line: round(gain(line, times, weight), 6))
        left.remove(best)
        chosen.append(best)
        times += features(best)
    return chosen


def prompt_data() -> dict[str, Any]:
    """All that the choice follows from, as `web/page/prompts.ts` takes it."""
    return {
        "english": list(english_lines()),
        "foreign": list(foreign_lines()),
        "weights": {one: round(worth, 4) for one, worth in _english_weights().items()},
        "own": _OWN,
        "small": list(_MADE_SMALL),
        "capital": list(_MADE_CAPITAL),
        "sign": list(_MADE_SIGN),
        "most": MOST_CHARACTERS,
    }
