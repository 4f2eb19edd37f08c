"""The characters that a synthesis network can write. Part of its checkpoints."""

import string
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.characters import in_one_word, is_fraction, letters, place_in, plain_forms
from graves_lm.data.symbols import MOST_SYMBOLS, is_character
from graves_lm.runtime.errors import UserError, near_misses

NON_LETTER = "#"
FRACTION_SLASH = "\u2044"
ON_UNKNOWN = ("error", "skip", "replace")
_ADVICE = {"error": ", or give on_unknown=replace or skip", "replace": ", or give on_unknown=skip"}


class Alphabet:
    """An ordered set of characters, and those that all count as one of them, the non-letter label.

    Args:
        characters: in index order.
        non_letters: characters written as `NON_LETTER`, which must then be among `characters`.

    >>> Alphabet("abc ").encode("a cab").tolist()
    [0, 3, 2, 0, 1]
    >>> Alphabet("abc ").spell("cäb", "replace")
    'cab'
    """

    def __init__(self, characters: Iterable[str], non_letters: Iterable[str] = ()):
        self.characters = list(characters)
        self.non_letters = list(non_letters)
        self._index = {c: i for i, c in enumerate(self.characters)}
        if self.non_letters:
            self._index |= dict.fromkeys(self.non_letters, self._index[NON_LETTER])

    @classmethod
    def paper(cls) -> "Alphabet":
        """57 symbols: section 5 keeps the letters and little else, and replaces "all the digits and most
        of the punctuation" with one label. It does not list what it kept; here: space, full stop, comma and
        apostrophe."""
        kept = string.ascii_letters + " .,'"
        others = sorted(set(string.digits + string.punctuation) - set(kept))
        return cls(sorted(kept + NON_LETTER), others)

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return character in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]

    def union(self, other: "Alphabet") -> "Alphabet":
        """These characters in their places, and after them those that only `other` has: not é where e and its
        accent are known.

        Raises UserError where one of them writes characters as the non-letter label and the other does not.
        """
        if self.non_letters != other.non_letters:
            raise UserError(
                f"its alphabet writes {len(self.non_letters)} characters as {NON_LETTER}, that of the data "
                f"{len(other.non_letters)}; give the same data.characters"
            )
        new = (c for c in other.characters if not self.knows(c))
        return Alphabet([*self.characters, *new], self.non_letters)

    def to_plain(self) -> dict[str, list[str]]:
        """Plain lists, for checkpoints."""
        return {"characters": self.characters, "non_letters": self.non_letters}

    @classmethod
    def from_plain(cls, plain: Any) -> "Alphabet":
        """What `to_plain` gave. Raises UserError for anything else."""
        if not isinstance(plain, dict) or set(plain) != {"characters", "non_letters"}:
            raise UserError("alphabet: characters and non_letters are needed")
        for name, several in plain.items():
            if not isinstance(several, list) or len(several) > MOST_SYMBOLS:
                raise UserError(f"alphabet: its {name} are no list of at most {MOST_SYMBOLS:,}")
            if not all(isinstance(one, str) and is_character(one) for one in several):
                raise UserError(f"alphabet: one of its {name} is no character")
            if len(set(several)) < len(several):
                raise UserError(f"alphabet: one of its {name} is there twice")
        if plain["non_letters"] and NON_LETTER not in plain["characters"]:
            raise UserError(f"alphabet: it has characters to be written as {NON_LETTER}, and no {NON_LETTER}")
        return cls(plain["characters"], plain["non_letters"])

    def encode(self, text: str, where: str = "text") -> NDArray[np.int64]:
        """Indices of `text`, (U,), of é those of e and its accent where it is known so (see `parted`)."""
        return np.array([self._index[c] for c in self.parted(text, where)], dtype=np.int64)

    def parted(self, text: str, where: str = "text") -> str:
        """`text` in known characters alone: é as e and its accent, where it is not known itself but they are.

        Raises UserError that names the first unknown character and its place.
        """
        if self._index.keys() >= set(text):
            return text
        parts: list[str] = []
        for index, character in enumerate(text):
            form = self._parts(character)
            if form is None:
                raise self._unknown(character, text, index, where)
            parts.append(form)
        return "".join(parts)

    def knows(self, character: str) -> bool:
        """Whether it can be written, itself or in parts."""
        return self._parts(character) is not None

    def spell(self, text: str, on_unknown: str = "error", where: str = "text") -> str:
        """`text` in known characters.

        Line ends of any system become newlines, other white space spaces; what is invisible (byte order
        marks, soft hyphens, zero width, direction) is left out; accents that stand alone are composed, or the
        other way round, as letters are known.

        Args:
            on_unknown: "error" refuses an unknown character; "replace" takes the plain form of typographic
                and accented ones (é as e, “ as ") and refuses those without; "skip" leaves unknown ones out,
                and a space in their place where two words would become one.

        Raises UserError that names the first character that is refused, and its place in `text` as given.
        """
        if on_unknown not in ON_UNKNOWN:
            raise UserError(f"on_unknown={on_unknown}: {near_misses(str(on_unknown), ON_UNKNOWN)}")
        if text.isascii() and "\r" not in text and self._index.keys() >= set(text) - {"\n"}:
            return text
        spelt: list[str] = []
        left_out: list[str] = []
        for index, letter in letters(text, self._index):
            form = self._form(letter)
            if form is None and on_unknown == "replace":
                form = self._plain(letter)
                after_digit = bool(spelt) and spelt[-1][-1:].isdigit()
                if form and letter != FRACTION_SLASH and is_fraction(letter) and after_digit and " " in self:
                    form = f" {form}"  # 3½ is not 31/2
            elif form is None and on_unknown == "skip":
                form = "".join(c for c in letter if c in self._index)
                if not form:
                    left_out.append(letter)
                    continue
            if form is None:
                character = text[index]
                if character in self._index:  # so the accent is what is not
                    character = next(c for c in letter if c not in self._index)
                    index = max(index, text.find(character, index))
                raise self._unknown(character, text, index, where, _ADVICE[on_unknown])
            if left_out and spelt and " " in self and not in_one_word(spelt[-1][-1], left_out, form[0]):
                spelt.append(" ")
            left_out.clear()
            spelt.append(form)
        return "".join(spelt)

    def _form(self, letter: str) -> str | None:
        """The letter in the code in which it is known, composed or not."""
        return letter if letter == "\n" else self._parts(letter)

    def _parts(self, letter: str) -> str | None:
        """The known characters that make a letter."""
        forms = (letter, unicodedata.normalize("NFD", letter))
        return next((form for form in forms if all(c in self._index for c in form)), None)

    def _plain(self, letter: str) -> str | None:
        """Its closest plain form that is known."""
        forms = (f for f in plain_forms(letter) if f.strip())
        return next((f for f in forms if all(c in self._index for c in f)), None)

    def _unknown(self, character: str, text: str, index: int, where: str, advice: str = "") -> UserError:
        name = unicodedata.name(character, "unnamed")
        return UserError(
            f"{where}: {character!r} ({name}) at {place_in(text, index)}, U+{ord(character):04X}, is not "
            f"among the {len(self)} characters the network has learned: {self.summary()}; change it{advice}"
        )

    def summary(self) -> str:
        """All characters, for a message."""
        return "".join(self.characters)
