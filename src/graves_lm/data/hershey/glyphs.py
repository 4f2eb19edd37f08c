"""Dr. Hershey's single-stroke letters (1967), made ready for a hand to write.

A drawn letter becomes a written one: the small diamonds that stand for dots become taps of the pen, parts
that a hand writes in one go are joined, and dots and crossbars are set apart as marks, for many people
add them when the word is done. Units: those of `forms`.
"""

from functools import cache

import numpy as np
from HersheyFonts import HersheyFonts

from graves_lm.data.hershey.european import composed
from graves_lm.data.hershey.forms import Glyph, Path

PRINT_FONTS = ("futural", "rowmans")
CURSIVE_FONT = "cursive"
X_HEIGHT = {"futural": 14.0, "rowmans": 14.0, "cursive": 9.0}
CAP_HEIGHT = 21.0
_BASE_LINE = 9  # in the fonts' own coordinates
_STEM_LAST = "adgq"  # the fonts draw the stem first, a hand writes the bowl first
_ONE_STROKE = "abdghmnpqru"  # parts that a hand may write without lifting the pen
# The fonts draw square brackets with doubled lines.
_REDRAWN = {
    "[": [[(4, -16), (-3, -16), (-3, 16), (4, 16)]],
    "]": [[(-4, -16), (3, -16), (3, 16), (-4, 16)]],
}


@cache
def glyphs(font: str, one_stroke: bool) -> dict[str, Glyph]:
    """Character → glyph; with `one_stroke` the bodies of the letters that allow it are joined."""
    fonts = HersheyFonts()
    fonts.load_default_font(font)
    joined = "abcdefghijklmnopqrstuvwxyz" if font == CURSIVE_FONT else _ONE_STROKE if one_stroke else ""
    plain = {
        character: _glyph(character, drawn.strokes, drawn.left_offset, drawn.char_width, font, joined)
        for character, drawn in fonts.all_glyphs.items()
    }
    return plain | composed(plain, X_HEIGHT[font])


def _glyph(
    character: str, drawn: list[list[tuple[int, int]]], left: int, width: int, font: str, joined: str
) -> Glyph:
    strokes = [
        _tap(np.array(s, dtype=np.float64) - (left, _BASE_LINE)) for s in _REDRAWN.get(character, drawn)
    ]
    marks: list[Path] = []
    if character in "ij":  # the dot is drawn first
        marks, strokes = strokes[:1], strokes[1:]
    elif (character in "ft" and len(strokes) > 1) or (character == "x" and font == CURSIVE_FONT):
        # The bar, or the second arm of a joined x, is drawn last.
        marks, strokes = strokes[-1:], strokes[:-1]
    if character in _STEM_LAST and font in PRINT_FONTS:
        strokes = strokes[::-1]
    if character in joined and strokes:
        # From the end of one part straight to the start of the next: back along a stem, or up to its top.
        strokes = [np.concatenate(strokes)]
    return Glyph(tuple(strokes), tuple(marks), float(width))


def _tap(stroke: Path) -> Path:
    """A diamond becomes a short tick; a diamond with a tail (comma, apostrophe) keeps only the tail."""
    closed = (
        len(stroke) >= 5 and bool((stroke[0] == stroke[4]).all()) and np.ptp(stroke[:5], axis=0).max() <= 2
    )
    if not closed:
        return stroke
    if len(stroke) > 5:
        return stroke[4:]
    return stroke[:4].mean(axis=0) + np.array([[-0.5, -0.8], [0.5, 0.8]])
