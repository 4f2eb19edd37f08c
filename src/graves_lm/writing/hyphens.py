"""Where words may be divided, by Pyphen's dictionaries."""

import re
from itertools import accumulate
from unicodedata import normalize

from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.runtime.extras import require_package
from graves_lm.writing.wrap import Divide

_LETTER = re.compile("[^\\W\\d_][\u0300-\u036f]*")
_LETTERS = re.compile(f"(?:{_LETTER.pattern})+")
HYPHEN = "-"


def divider(language: str) -> Divide:
    """Divides words as a language does ("en_GB", "de"), and after a hyphen that they have.

    Raises UserError for a language without a dictionary and where Pyphen is not installed.
    """
    require_package("pyphen", "desk", f"hyphenate={language}")
    import pyphen

    known = pyphen.language_fallback(language)
    if known is None:
        raise UserError(f"hyphenate={language}: {near_misses(language, sorted(pyphen.LANGUAGES))}")
    dictionary = pyphen.Pyphen(lang=known)

    def divide(word: str, most: int) -> tuple[str, int] | None:
        best: tuple[str, int] | None = None
        for letters in _LETTERS.finditer(word):
            # Dictionaries have é as one letter, and a text may have it as e and its accent.
            each = _LETTER.findall(letters[0])
            ends = list(accumulate(map(len, each)))
            known = "".join(normalize("NFC", letter)[0] for letter in each)
            places = [letters.start() + ends[place - 1] for place in dictionary.positions(known)]
            divided = [(word[:place] + HYPHEN, place) for place in places]
            if word[letters.end() : letters.end() + 1] == HYPHEN and letters.end() + 1 < len(word):
                divided.append((word[: letters.end() + 1], letters.end() + 1))
            best = max((d for d in divided if len(d[0]) <= most), key=lambda d: d[1], default=best)
        return best

    return divide
