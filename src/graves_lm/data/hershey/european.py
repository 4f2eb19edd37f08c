"""Letters of Europe's Latin alphabets, composed from the fonts' plain ones as a hand writes them: the letter
first, its marks later.

The fonts end with ASCII. A letter with an accent is its plain letter and a mark (Unicode's decomposition says
which); a few letters and signs that have no such parts are drawn here. Units: those of `glyphs`.
"""

import unicodedata
from collections.abc import Mapping

import numpy as np

from graves_lm.data.characters import plain_letter
from graves_lm.data.hershey.forms import Glyph, Path, path, shifted

LETTERS = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŸŹŻŽȘȚ"
    "ßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿāăąćčďđēėęěğģīįıķĺļľłńņňōőœŕřśşšţťūůűųźżžșț"
)
SIGNS = "$=@_¡¿«»–„“”€£°§"

# Above a letter, drawn about x = 0, with their lower edge at y = 0.
_ABOVE: Mapping[str, tuple[Path, ...]] = {
    "\u0300": (path((-3, -4), (1, 0)),),  # grave
    "\u0301": (path((3, -4), (-1, 0)),),  # acute
    "\u0302": (path((-4, 0), (0, -4), (4, 0)),),  # circumflex
    "\u0303": (path((-5, -1), (-4, -3), (-2, -3.5), (1, -1), (3, -0.5), (5, -3)),),  # tilde
    "\u0304": (path((-4, -1), (4, -1)),),  # macron
    "\u0306": (path((-4, -4), (-2, -1), (0, 0), (2, -1), (4, -4)),),  # breve
    "\u0307": (path((-0.5, -1.8), (0.5, -0.2)),),  # dot
    "\u0308": (path((-3.5, -1.8), (-2.5, -0.2)), path((2.5, -1.8), (3.5, -0.2))),  # diaeresis
    "\u030a": (path((0, 0), (-2, -1.5), (-2, -3.5), (0, -5), (2, -3.5), (2, -1.5), (0, 0)),),  # ring
    "\u030b": (path((-1, -4), (-4, 0)), path((4, -4), (1, 0))),  # double acute
    "\u030c": (path((-4, -4), (0, 0), (4, -4)),),  # caron
}
# Below a letter, with their upper end at (0, 0).
_BELOW: Mapping[str, tuple[Path, ...]] = {
    "\u0326": (path((0.5, 3), (0, 5), (-2, 7)),),  # comma
    "\u0327": (path((0, 0), (-0.5, 2), (2, 3), (2.5, 5), (0.5, 6.5), (-2.5, 6)),),  # cedilla
    "\u0328": (path((0, 0), (-2, 2), (-2.5, 4), (-1, 5.5), (1.5, 5)),),  # ogonek
}
_GAP = 3.5  # between a letter and its accent
_BESIDE = "ďľťĽ"  # whose caron is a tick behind the letter, for they are tall
_COMMAS = "ģĢķĶļĻņŅ"  # whose cedilla, in Unicode's words, is written as a comma, on ģ above
_TICK = path((1, 0), (0.5, 3), (-1, 5))
_PAIRS = {"æ": "ae", "œ": "oe", "Æ": "AE", "Œ": "OE"}
_SHARP_S = path(
    *((2, 0), (2, -16), (3, -19), (6, -21), (9, -21), (12, -19), (12, -16), (11, -14), (8, -12), (8, -11)),
    *((11, -9), (13, -7), (13, -3), (11, -1), (8, 0), (6, -1)),
)
_THORN = path((3, -21), (3, 7))
_BOWL = path(
    (3, -11),
    (5, -13),
    (7, -14),
    (10, -14),
    (12, -13),
    (14, -10),
    (14, -4),
    (12, -1),
    (10, 0),
    (7, 0),
    (3, -3),
)
_ETH = path(
    *((13, -9), (11, -13), (7, -14), (4, -12), (3, -8), (3, -5), (5, -1), (8, 0), (11, -1), (13, -4)),
    *((13, -10), (11, -15), (8, -19), (5, -21)),
)
_PARAGRAPH = path(
    *((11, -18), (9, -21), (5, -21), (3, -18), (5, -15), (10, -12), (12, -9), (10, -6)),
    *((5, -9), (3, -12), (5, -15)),
)


def composed(fonts: Mapping[str, Glyph], x_height: float) -> dict[str, Glyph]:
    """Character → glyph for `LETTERS` and `SIGNS`, from those of a font that has ASCII."""
    made = {letter: _letter(letter, fonts, x_height) for letter in LETTERS}
    return made | _signs(fonts)


def _letter(letter: str, fonts: Mapping[str, Glyph], x_height: float) -> Glyph:
    small = x_height / 14 if letter.islower() else 1.0  # of the plain fonts' own

    def drawn(width: float, *strokes: Path) -> Glyph:
        return Glyph(tuple(_lowered(s, x_height) for s in strokes), (), width * small)

    if letter in _PAIRS:
        return _side_by_side(*(fonts[c] for c in _PAIRS[letter]))
    if letter == "ß":
        return drawn(16.0, _SHARP_S)
    if letter == "þ":
        return drawn(17.0, _THORN, _BOWL)
    if letter == "Þ":
        stem, bowl = path((4, -21), (4, 0)), path((4, -16), (13, -16), (16, -14), (16, -8), (13, -5), (4, -5))
        return Glyph((stem, bowl), (), 20.0)
    if letter == "ð":
        eth = drawn(17.0, _ETH)
        return eth._replace(marks=(_lowered(path((5, -16), (12, -19)), x_height),))
    base, accents = plain_letter(letter), set(unicodedata.normalize("NFD", letter)[1:])
    glyph = fonts[base]
    if letter == "ı" or (base in "ij" and accents & set(_ABOVE)):
        glyph = glyph._replace(marks=())  # an accent takes the place of the dot
    return glyph._replace(marks=(*glyph.marks, *marks(letter, glyph, small)))


def marks(letter: str, plain: Glyph, small: float = 1.0) -> list[Path]:
    """What makes the letter of its plain form, drawn about the ink of that form; `small` times as large."""
    accents = unicodedata.normalize("NFD", letter)[1:]
    above_or_below = [m for accent in accents for m in _accent(letter, accent, plain, small)]
    return [*above_or_below, *_bar(letter, plain, small)]


def _accent(letter: str, accent: str, glyph: Glyph, small: float) -> list[Path]:
    ink = np.concatenate(glyph.body)
    left, right, top = ink[:, 0].min(), ink[:, 0].max(), min(ink[:, 1].min(), -12 * small)
    middle = (left + right) / 2
    scale = (max(small, 0.75), max(small, 0.75))
    if letter in _BESIDE:
        return [_TICK * scale + (right + 2.5, top)]
    if letter == "ģ":
        return [_TICK[::-1] * scale + (middle, top - _GAP - 5)]
    if accent == "\u0327" and letter in _COMMAS:
        accent = "\u0326"
    if accent in _BELOW:
        # An ogonek hangs from where the letter ends, others from its middle.
        x = max(right - 1.5, middle) if accent == "\u0328" else middle
        return [m * scale + (x, 0.0) for m in _BELOW[accent]]
    return [m * scale + (middle, top - _GAP * max(small, 0.75)) for m in _ABOVE[accent]]


def _bar(letter: str, glyph: Glyph, small: float) -> list[Path]:
    ink = np.concatenate(glyph.body)
    (left, top), (right, bottom) = ink.min(axis=0), ink.max(axis=0)
    middle = (left + right) / 2
    if letter in "øØ":
        return [path((right + 1, top - 1), (left - 1, bottom + 1))]
    if letter in "łŁ":
        stem = middle if letter == "ł" else left
        return [path((stem - 3.5, -8.5), (stem + 4, -12.5))]
    if letter == "đ":
        return [path((right - 5, top + 3.5), (right + 3, top + 3.5))]
    if letter in "ÐĐ":
        return [path((left - 3, -10.5), (left + 6, -10.5))]
    return []


def _side_by_side(left: Glyph, right: Glyph) -> Glyph:
    """Two letters whose neighbouring edges touch."""
    end = max(s[:, 0].max() for s in left.body)
    begin = min(s[:, 0].min() for s in right.body)
    shift = (end - begin, 0.0)
    body = (*left.body, *(s + shift for s in right.body))
    return Glyph(body, (*left.marks, *(m + shift for m in right.marks)), right.width + shift[0])


def _lowered(stroke: Path, x_height: float) -> Path:
    """A stroke drawn for small letters 14 high in those of another height; capitals' height stays."""
    if x_height == 14:
        return stroke
    x, y = stroke.T
    scale = x_height / 14
    tall = -x_height + (y + 14) * (21 - x_height) / 7
    return np.stack([x * scale, np.where(y < -14, tall, y * scale)], axis=1)


def _signs(fonts: Mapping[str, Glyph]) -> dict[str, Glyph]:
    comma, high = path((1, -1), (0.5, 2), (-1, 4)), path((1, -21), (0.5, -18), (-1, -16))
    low_quote = Glyph((shifted(comma, 4), shifted(comma, 8)), (), 12.0)
    quote = Glyph((shifted(high, 4), shifted(high, 8)), (), 12.0)
    opening = Glyph((shifted(high * (-1, 1), 4), shifted(high * (-1, 1), 8)), (), 12.0)
    left, right = path((7, -11), (3, -7), (7, -3)), path((3, -11), (7, -7), (3, -3))
    bars = (path((1, -12), (12, -12)), path((1, -8.5), (11, -8.5)))
    pound = path((14, -18), (12, -20), (9, -21), (7, -20), (6, -17), (6, -3), (4, 0), (15, 0), (16, -2))
    ring = path((5, -21), (3, -20), (2, -18), (3, -16), (5, -15), (7, -16), (8, -18), (7, -20), (5, -21))
    s, euro = fonts["S"], fonts["C"]
    turned = {
        sign: fonts[upright]._replace(
            body=tuple(
                path(*((fonts[upright].width, -14.0) - stroke)) for stroke in reversed(fonts[upright].body)
            )
        )
        for sign, upright in {"¡": "!", "¿": "?"}.items()
    }
    below = _PARAGRAPH * (-1, -1) + (15, -17)
    return {
        **turned,
        "$": s._replace(marks=(path((s.width / 2, -25), (s.width / 2, 4)),)),
        "=": fonts["="],
        "@": _at(),
        "_": fonts["_"],
        "«": Glyph((left, shifted(left, 5)), (), 16.0),
        "»": Glyph((right, shifted(right, 5)), (), 16.0),
        "–": Glyph((path((2, -8), (20, -8)),), (), 22.0),
        "„": low_quote,
        "“": opening,
        "”": quote,
        "€": euro._replace(marks=bars),
        "£": Glyph((pound,), (path((2, -10), (11, -10)),), 18.0),
        "°": Glyph((ring,), (), 10.0),
        "§": Glyph((_PARAGRAPH, below), (), 15.0),
    }


def _at() -> Glyph:
    """One stroke from the inner letter round it, as people write it, not the font's many."""
    inner = [
        (14, -11),
        (11, -13),
        (8, -12),
        (6, -9),
        (6, -6),
        (8, -4),
        (11, -4),
        (14, -7),
        (14, -12),
        (14, -6),
    ]
    outer = [(16, -4), (18, -5), (20, -9), (19, -14), (16, -18), (11, -19), (6, -18), (2, -14), (1, -8)]
    return Glyph((path(*inner, *outer, (2, -3), (6, 1), (11, 2), (16, 1)),), (), 22.0)
