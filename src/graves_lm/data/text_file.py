"""Any text file of one's own, as bytes or characters."""

import codecs
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graves_lm.data.base import file_key
from graves_lm.data.symbols import Symbols
from graves_lm.data.text import TextDataModule, cut
from graves_lm.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Place, ProperShare

_CHUNK = 1 << 24


@declared("data")
class TextFile(TextDataModule):
    """A file cut into consecutive train, val and test shares, or a file for each split.

    Args:
        source: the text file.
        unit: "character" (the file must be UTF-8) or "byte" (any file).
        shares: of the file's symbols for train, val, test; used when no `val_source` is given.
        val_source, test_source: files of their own; a symbol in them that the training file does not
            have is an error. Without `test_source` the test split is the validation split.
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
        file = Path(path).expanduser()
        if not file.is_file():
            raise UserError(f"{key}={file}: no such file")
        return file

    def _files(self) -> dict[str, Path]:
        files = {"train": self._file(self.source, "data.source")}
        return files | {s: self._file(p, f"data.{s}_source") for s, p in self.held_out.items()}

    def cache_key(self) -> dict[str, Any]:
        files = {split: file_key(path) for split, path in self._files().items()}
        return {"corpus": "textfile", "unit": self.unit, "shares": self.shares, "files": files}

    def encode_splits(self):
        codes = {split: read_codes(path, self.unit) for split, path in self._files().items()}
        symbols = Symbols.of(self.unit, codes["train"])
        encoded = {s: symbols.encode_codes(c, str(self._files()[s])) for s, c in codes.items()}
        splits = encoded if self.held_out else cut(encoded["train"], self.shares)
        return symbols, splits, f"{self.source}, by {self.unit}"


def read_codes(path: Path, unit: str) -> np.ndarray:
    """Byte values (memory-mapped) or code points of a UTF-8 file, decoded chunk by chunk.

    Raises UserError for an empty file and for one that is not UTF-8.
    """
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty; give a text to learn")
    if unit == "byte":
        return np.memmap(path, dtype=np.uint8, mode="r")
    decoder, parts, position = codecs.getincrementaldecoder("utf-8")(), [], 0
    with open(path, "rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                parts.append(np.frombuffer(decoder.decode(chunk).encode("utf-32-le"), dtype=np.uint32))
                position += len(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: not UTF-8 near byte {position + error.start}; convert it, or use data.unit=byte"
            ) from error
    return np.concatenate(parts)
