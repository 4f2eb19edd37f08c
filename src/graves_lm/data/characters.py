"""Characters as texts from anywhere have them (Windows, macOS, PDFs, web pages), and their plain forms."""

import re
import unicodedata
from collections.abc import Container, Iterator

_STEP = re.compile(r"\r\n|.", re.DOTALL)
_LINE_ENDS = ("\r\n", *"\n\r\v\f\x85\u2028\u2029")
_BYTE_ORDER_MARK = "\ufeff"
# Unicode's Default_Ignorable_Code_Point (soft hyphen, zero width, direction, variation, …), and the anchors
# of annotations: nothing that a pen writes.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_APOSTROPHES = "'\u2019\u02bc\uff07"
_FRACTION_SLASH = "\u2044"

# Typographic characters and letters without a decomposition, as a pen would write them.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u00b4\u02bb\u02bc\u02b9`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2022\u2023\u25e6", "-"),
        **{"\u2e3a": "--", "\u2e3b": "---", "\u2026": "...", "\u00b7": ".", "\u00d7": "x"},
        **{"\u3001": ",", "\u3002": ".", "\u00a9": "(c)", "\u00ae": "(r)"},
        **{"\u2190": "<-", "\u2192": "->", "\u21d2": "=>"},
        **{_FRACTION_SLASH: "/", "\u2215": "/", "\u2223": "|", "\u223c": "~", "\u2217": "*"},
        **{"\u00df": "ss", "\u1e9e": "SS", "\u00e6": "ae", "\u00c6": "Ae", "\u0153": "oe", "\u0152": "Oe"},
        **{"\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D"},
        **{"\u00f0": "d", "\u00d0": "D", "\u00fe": "th", "\u00de": "Th", "\u0127": "h", "\u0126": "H"},
        **{"\u0131": "i", "\u0138": "k", "\u014b": "n", "\u014a": "N", "\u0167": "t", "\u0166": "T"},
    }
)


def letters(text: str, kept: Container[str] = ()) -> Iterator[tuple[int, str]]:
    """What a reader sees of the text, one after another, each with its index in it.

    A newline for a line's end of any system, a space for other white space, else a letter with its accents,
    composed where Unicode has it (NFC). What is invisible is left out, but for what is among `kept`.
    """
    place, letter = 0, ""
    for step in _STEP.finditer(text):
        seen = step[0]
        if _INVISIBLE.match(seen) and (seen == _BYTE_ORDER_MARK or seen not in kept):
            continue
        if letter and len(seen) == 1 and _joins(seen):
            letter += seen
            continue
        if letter:
            yield place, unicodedata.normalize("NFC", letter)
        place, letter = step.start(), ""
        if seen in _LINE_ENDS:
            yield place, "\n"
        elif seen.isspace():
            yield place, " "
        else:
            letter = seen
    if letter:
        yield place, unicodedata.normalize("NFC", letter)


def _joins(character: str) -> bool:
    """Whether it goes with the character before: an accent, or a later part of a Korean syllable."""
    return bool(unicodedata.combining(character)) or "\u1160" <= character <= "\u11ff"


def plain_forms(letter: str) -> Iterator[str]:
    """What can stand for a letter, the closest first: the same in other codes (ﬁ as fi, ² as 2), then
    without typography and accents (é as e, “ as ")."""
    yield unicodedata.normalize("NFKC", letter)
    plain = unicodedata.normalize("NFKD", letter.translate(_PLAIN)).translate(_PLAIN)
    yield "".join(c for c in plain if not unicodedata.combining(c))


def plain_letter(letter: str) -> str:
    """The character that a letter is a form of: itself without accents, or the first of those that are
    written for it (ß as s); the letter where it has no other."""
    return next((plain[0] for plain in plain_forms(letter) if plain and plain != letter), letter)


def is_fraction(letter: str) -> bool:
    """Whether it is one of ½, ¼, …, which a whole number may stand right before."""
    return _FRACTION_SLASH in unicodedata.normalize("NFKD", letter)


def in_one_word(before: str, left_out: list[str], after: str) -> bool:
    """Whether what stands around letters that were left out is, without them, still one word: these were
    letters of its script or an apostrophe, or there is no word on one of the sides."""
    if not (before.isalnum() and after.isalnum()):
        return True
    scripts = {_script(before), _script(after)}
    return all(letter in _APOSTROPHES or {_script(letter)} == scripts for letter in left_out)


def _script(letter: str) -> str:
    return unicodedata.name(letter[0], letter[0]).partition(" ")[0]


def place_in(text: str, index: int) -> str:
    """Where a character is, for a person with an editor: its line, and its column or position from 1."""
    before = re.split(r"\r\n|\r|\n", text[:index])
    if not re.search(r"[\r\n]", text):
        return f"position {index + 1}"
    return f"line {len(before)}, column {len(before[-1]) + 1}"
