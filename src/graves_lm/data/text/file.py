"""Any text file of one's own, as bytes or characters."""

import codecs
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graves_lm.data.base import file_key
from graves_lm.data.symbols import Symbols, codes_of
from graves_lm.data.text.corpus import SPLITS, TextCorpus
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Place, ProperShare

_CHUNK = 1 << 21
LARGEST = 2**34
"""Bytes of a text: 16 GiB. Texts pass through in pieces, so memory sets no bound."""
_MARK = "\ufeff"


@declared("data")
class TextFile(TextCorpus):
    """A file cut into consecutive train, val and test shares, or a file for each split.

    Args:
        source: the text file. A byte order mark at its start is not part of the text.
        unit: "character" (the file must be UTF-8) or "byte" (any file).
        shares: of the file's symbols for train, val, test; used when no `val_source` is given.
        val_source, test_source: files of their own; a symbol in them that the training file does not
            have is an error. Without `test_source` the test split is the validation split.

    >>> Path("book.txt").write_text("to be or not to be, " * 50)
    1000
    >>> data = TextFile(source="book.txt", cache_dir="data", batch_size=2, length=10)
    >>> data.prepare()
    >>> data.open()
    >>> len(data.symbols), next(iter(data.training_batches())).symbol_TB.shape
    (8, torch.Size([10, 2]))
    """

    def __init__(
        self,
        *,
        unit: Literal["character", "byte"] = "character",
        shares: tuple[ProperShare, ProperShare, ProperShare] = (0.9, 0.05, 0.05),
        val_source: Place | None = None,
        test_source: Place | None = None,
        **text: Any,
    ):
        super().__init__("textfile", **text)
        self.unit = unit
        self.shares = tuple(shares)
        if abs(sum(self.shares) - 1) > 1e-6:
            raise UserError(f"data.shares={list(shares)}: three positive shares that add up to 1")
        self.held_out = {"val": val_source, "test": test_source or val_source} if val_source else {}

    def _file(self, path: str | Path | None, key: str) -> Path:
        if path is None:
            raise UserError(f"data=textfile needs {key}=FILE, the text to learn")
        file = Path(os.path.expanduser(path))
        if not file.is_file():
            raise UserError(f"{key}={file}: {'not a regular file' if file.exists() else 'no such file'}")
        if file.stat().st_size > LARGEST:
            raise UserError(f"{key}={file}: larger than {LARGEST:,} bytes; give a part of it")
        return file

    def _files(self) -> dict[str, Path]:
        files = {"train": self._file(self.source, "data.source")}
        return files | {s: self._file(p, f"data.{s}_source") for s, p in self.held_out.items()}

    def cache_key(self) -> dict[str, Any]:
        files = {split: file_key(path) for split, path in self._files().items()}
        return {"corpus": "textfile", "unit": self.unit, "shares": self.shares, "files": files}

    def encode_splits(self):
        files = self._files()
        symbols, count = Symbols.seen(self.unit, codes_in(files["train"], self.unit))

        def encoded(split: str) -> Iterator[np.ndarray]:
            at = 0
            for codes in codes_in(files[split], self.unit):
                yield symbols.encode_codes(codes, str(files[split]), at)
                at += len(codes)

        about = f"{self.source}, by {self.unit}"
        if self.held_out:
            return symbols, {split: encoded(split) for split in SPLITS}, about
        return symbols, shared_out(encoded("train"), count, self.shares), about


def codes_in(path: Path, unit: str) -> Iterator[np.ndarray]:
    """Byte values, or code points of a UTF-8 file, in pieces.

    Raises UserError for an empty file and for one that is not UTF-8 text.
    """
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty; give a text to learn")
    decoder, position = codecs.getincrementaldecoder("utf-8")(), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            if unit == "byte":
                yield np.frombuffer(chunk, dtype=np.uint8)
                continue
            if (at := chunk.find(0)) >= 0:
                raise UserError(
                    f"{path}: a NUL at byte {position + at}: not a UTF-8 text, perhaps UTF-16; convert it, "
                    "or use data.unit=byte"
                )
            text = _decode(path, decoder, chunk, position)
            yield codes_of(text if position else text.removeprefix(_MARK), unit)
            position += len(chunk)
        if unit != "byte":
            _decode(path, decoder, b"", position)


def _decode(path: Path, decoder: codecs.IncrementalDecoder, chunk: bytes, position: int) -> str:
    """The text of the next piece, which begins at byte `position`; the last one is empty."""
    kept = len(decoder.getstate()[0])  # of a character whose first bytes came before
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 at byte {position - kept + error.start}; convert it, or use data.unit=byte"
        ) from error


def shared_out(
    pieces: Iterator[np.ndarray], count: int, shares: tuple[float, ...]
) -> Mapping[str, Iterator[np.ndarray]]:
    """`count` symbols as consecutive train, val and test pieces by their shares, to be taken in order."""
    ends = [round(count * sum(shares[: n + 1])) for n in range(len(shares))]
    left = np.zeros(0, dtype=np.uint8)

    def next_ones(number: int) -> Iterator[np.ndarray]:
        nonlocal left
        while number:
            if not len(left):
                left = next(pieces, left)
            if not len(left):
                raise UserError("the text became shorter while it was read; run the command again")
            yield left[:number]
            taken, left = len(left[:number]), left[number:]
            number -= taken

    sizes = np.diff([0, *ends]).tolist()
    return {split: next_ones(size) for split, size in zip(SPLITS, sizes, strict=True)}
