"""The symbol set of a text model: what a one-hot position stands for. Part of every checkpoint."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from graves_lm.runtime.errors import UserError

UNITS = ("byte", "character", "word")
MOST_SYMBOLS = 65_536
"""What a set may hold that comes from a file."""
_CHUNK = 1 << 20


class Symbols:
    """An ordered set of bytes, characters or words, with exact encoding and decoding.

    Args:
        unit: what one symbol is.
        items: the symbols in index order: integers for bytes, strings otherwise. In words mode the end
            of a line is the symbol "<eos>", as in the Penn Treebank files.

    >>> symbols = Symbols("character", "abc")
    >>> symbols.encode("cab").tolist()
    [2, 0, 1]
    """

    def __init__(self, unit: str, items: Iterable[Any]):
        if unit not in UNITS:
            raise ValueError(f"unit={unit!r}: one of {', '.join(UNITS)}")
        self.unit = unit
        self.items = list(items)
        if unit == "word":
            self._index = {word: i for i, word in enumerate(self.items)}
        else:
            codes = np.array([i if unit == "byte" else ord(i) for i in self.items], dtype=np.int64)
            self._lookup = np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)
            self._lookup[codes] = np.arange(len(codes))

    def __len__(self) -> int:
        return len(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbols) and (self.unit, self.items) == (other.unit, other.items)

    __hash__ = None  # type: ignore[assignment]

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every index."""
        return np.min_scalar_type(max(len(self) - 1, 0))

    def union(self, other: "Symbols") -> "Symbols":
        """These symbols in their places, and after them those that only `other` has.

        Raises UserError where they are of another unit.
        """
        if self.unit != other.unit:
            raise UserError(f"its symbols are {self.unit}s and those of the data {other.unit}s")
        mine = set(self.items)
        return Symbols(self.unit, [*self.items, *(item for item in other.items if item not in mine)])

    def to_plain(self) -> dict[str, Any]:
        """Plain containers, for a checkpoint."""
        return {"unit": self.unit, "items": self.items}

    @classmethod
    def from_plain(cls, plain: Any) -> "Symbols":
        """What `to_plain` gave. Raises UserError for anything else."""
        if wrong := _wrong_with(plain):
            raise UserError(f"symbols: {wrong}")
        return cls(plain["unit"], plain["items"])

    @classmethod
    def seen(cls, unit: str, pieces: Iterable[np.ndarray]) -> tuple["Symbols", int]:
        """The set of all bytes or characters among `pieces` (byte values or code points), sorted, and their
        number in all."""
        seen, count = np.zeros(256 if unit == "byte" else sys.maxunicode + 1, dtype=bool), 0
        for codes in pieces:
            for start in range(0, len(codes), _CHUNK):
                seen[codes[start : start + _CHUNK]] = True
            count += len(codes)
        return cls(unit, [int(c) if unit == "byte" else chr(c) for c in np.flatnonzero(seen)]), count

    @classmethod
    def of(cls, unit: str, codes: np.ndarray) -> "Symbols":
        """The set of all bytes or characters among `codes`."""
        return cls.seen(unit, [codes])[0]

    def encode_codes(self, codes: np.ndarray, where: str, first: int = 0) -> np.ndarray:
        """Byte values or code points to indices. Raises UserError for the first unknown one; its place is
        counted from `first`."""
        encoded = np.empty(len(codes), dtype=self.dtype)
        for start in range(0, len(codes), _CHUNK):
            chunk = codes[start : start + _CHUNK]
            inside = chunk < len(self._lookup)
            index = np.where(inside, self._lookup[np.where(inside, chunk, 0)], -1)
            if (index < 0).any():
                at = int(np.argmax(index < 0))
                code = int(chunk[at])
                shown = f"byte 0x{code:02x}" if self.unit == "byte" else repr(chr(code))
                raise UserError(
                    f"{where}: {shown} at position {first + start + at} is not among the model's "
                    f"{len(self)} symbols ({self.summary()}); remove it or train on text that has it"
                )
            encoded[start : start + _CHUNK] = index
        return encoded

    def encode(self, text: str, where: str = "text") -> np.ndarray:
        """Indices of `text`, (N,). Raises UserError that names an unknown symbol and its position."""
        if self.unit != "word":
            return self.encode_codes(codes_of(text, self.unit), where)
        words = [w for line in text.splitlines(keepends=True) for w in words_of(line)]
        for position, word in enumerate(words):
            if word not in self._index:
                raise UserError(
                    f"{where}: word {word!r} at position {position} is not among the model's "
                    f"{len(self)} words; use one that is, such as '<unk>'"
                )
        return np.array([self._index[w] for w in words], dtype=self.dtype)

    def piece(self, index: int) -> bytes:
        """What one symbol adds to a text, as UTF-8 bytes."""
        item = self.items[index]
        if self.unit == "byte":
            return bytes([item])
        if self.unit == "word":
            return b"\n" if item == "<eos>" else item.encode() + b" "
        return item.encode()

    def decode(self, indices: Iterable[int]) -> str:
        """The text of `indices`; bytes that are not UTF-8 are shown as replacement marks."""
        return b"".join(self.piece(int(i)) for i in indices).decode("utf-8", errors="replace")

    def summary(self, limit: int = 120) -> str:
        """A printable clause that shows the symbols."""
        if self.unit == "byte":
            shown = "".join(chr(i) if 32 <= i < 127 else f"\\x{i:02x}" for i in self.items)
        elif self.unit == "word":
            shown = " ".join(self.items[:20])
        else:
            shown = repr("".join(self.items))[1:-1]
        return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _wrong_with(plain: Any) -> str | None:
    """Why these are not the plain containers of a symbol set, if so."""
    if not isinstance(plain, dict) or set(plain) != {"unit", "items"}:
        return "a unit and items are needed"
    unit, items = plain["unit"], plain["items"]
    if not isinstance(unit, str) or unit not in UNITS:
        return f"the unit is one of {', '.join(UNITS)}"
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_SYMBOLS:
        return f"1 to {MOST_SYMBOLS:,} items in a list are needed"
    for item in items:
        if unit == "byte":
            good = isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 256
        else:
            good = isinstance(item, str) and (is_character(item) if unit == "character" else is_word(item))
        if not good:
            return f"{str(item)[:20]!r} is no {unit}"
    return "an item is there twice" if len(set(items)) < len(items) else None


def is_character(text: str) -> bool:
    """Whether it is one character that can be written: no half of a surrogate pair."""
    return len(text) == 1 and not "\ud800" <= text <= "\udfff"


def is_word(text: str) -> bool:
    """Whether it is what `words_of` can find: neither empty nor of several words."""
    return text.split() == [text] and not any("\ud800" <= c <= "\udfff" for c in text)


def codes_of(text: str, unit: str) -> np.ndarray:
    """Byte values of the UTF-8 form, or code points, of `text`.

    Bytes of a command line that are not UTF-8 come as lone surrogates: as bytes they are what they were.
    """
    if unit == "byte":
        return np.frombuffer(text.encode(errors="surrogateescape"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)


def words_of(line: str) -> list[str]:
    """The words of a line, closed by "<eos>" where the line is."""
    return line.split() + (["<eos>"] if line.endswith("\n") else [])
