"""The characters that a synthesis network can write. Part of its checkpoints."""

import string
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.symbols import MOST_SYMBOLS, is_character
from graves_lm.errors import UserError, near_misses

NON_LETTER = "#"
ON_UNKNOWN = ("error", "skip", "replace")

# Typographic characters, as a pen would write them.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t", " "),
        "\u2026": "...",
        "\u00df": "ss",
        "\u00e6": "ae",
        "\u00c6": "Ae",
        "\u0153": "oe",
        "\u0152": "Oe",
        "\u00f8": "o",
        "\u00d8": "O",
        "\u0142": "l",
        "\u0141": "L",
        "\u2044": "/",
    }
)


class Alphabet:
    """An ordered set of characters, and those that all count as one of them, the non-letter label.

    Args:
        characters: in index order.
        non_letters: characters written as `NON_LETTER`, which must then be among `characters`.
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
        """Indices of `text`, (U,). Raises UserError that names the first unknown character and its place."""
        for position, character in enumerate(text):
            if character not in self._index:
                name = unicodedata.name(character, "unnamed")
                raise UserError(
                    f"{where}: {character!r} ({name}) at position {position + 1} is not among the "
                    f"{len(self)} characters the network has learned: {self.summary()}; change it "
                    "(for a text to be written, on_unknown=replace or skip does)"
                )
        return np.array([self._index[c] for c in text], dtype=np.int64)

    def spell(self, text: str, on_unknown: str = "error", where: str = "text") -> str:
        """`text` in known characters; line breaks stay.

        Args:
            on_unknown: "error" refuses an unknown character; "replace" takes the plain form of typographic
                and accented ones (é as e, “ as ") and refuses those without; "skip" leaves unknown ones out.
        """
        if on_unknown not in ON_UNKNOWN:
            raise UserError(f"on_unknown={on_unknown}: {near_misses(str(on_unknown), ON_UNKNOWN)}")
        if on_unknown == "replace":
            text = "".join(c if c in self._index or c == "\n" else self._plain(c) for c in text)
        elif on_unknown == "skip":
            text = "".join(c for c in text if c in self._index or c == "\n")
        self.encode(text.replace("\n", ""), where)
        return text

    def _plain(self, character: str) -> str:
        """The character without accents and typography where that is known, else as it is."""
        plain = unicodedata.normalize("NFKD", character.translate(_PLAIN)).translate(_PLAIN)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        return plain if plain and all(c in self._index for c in plain) else character

    def summary(self) -> str:
        """All characters, for a message."""
        return "".join(self.characters)
