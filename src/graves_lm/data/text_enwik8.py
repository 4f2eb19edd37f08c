"""enwik8: the first 10^8 bytes of an English Wikipedia dump, predicted byte by byte (section 3.2)."""

import hashlib
import os
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from graves_lm.data.base import file_key
from graves_lm.data.symbols import Symbols
from graves_lm.data.text import TextDataModule, cut
from graves_lm.errors import UserError
from graves_lm.settings import declared

URL = "https://mattmahoney.net/dc/enwik8.zip"
SIZE = 100_000_000
MD5 = "a1fa5ffddb56f4953e226637dabbb36a"
SHARES = {"paper": (0.96, 0.04), "standard": (0.9, 0.05, 0.05)}


@declared("data")
class Enwik8(TextDataModule):
    """Bytes of enwik8; the symbol set is every byte value of the whole file (205 in the paper).

    Args:
        split: "paper": first 96 % to train on, last 4 % as validation (and test, as the paper has
            none); "standard": 90 / 5 / 5 %.
        source: the file, its zip, or a folder with one of them; a shorter prefix of the file works with
            the same proportions. None: downloaded into `cache_dir` and checked.
    """

    def __init__(self, *, split: Literal["paper", "standard"] = "paper", **text: Any):
        super().__init__("enwik8", **text)
        self.split = split

    def _file(self) -> Path:
        if self.source is None:
            return self.cache_dir / "enwik8.zip"
        if not self.source.exists():
            raise UserError(f"data.source={self.source}: no such file or folder; leave it out to download")
        if self.source.is_file():
            return self.source
        for name in ("enwik8", "enwik8.zip", "enwik8.prefix"):
            if (self.source / name).is_file():
                return self.source / name
        raise UserError(f"data.source={self.source}: no enwik8, enwik8.zip or enwik8.prefix in this folder")

    def cache_key(self) -> dict[str, Any]:
        content = MD5 if self.source is None else file_key(self._file())
        return {"corpus": "enwik8", "split": self.split, "content": content}

    def encode_splits(self):
        file = self._file()
        if self.source is None and not file.is_file():
            download(URL, file)
        text = read_bytes(file)
        whole = len(text) == SIZE
        if len(text) > SIZE:
            raise UserError(
                f"{file}: {len(text):,} bytes, enwik8 has {SIZE:,}; use data=textfile for other text"
            )
        if whole and hashlib.md5(text.data).hexdigest() != MD5:
            raise UserError(f"{file}: wrong checksum: {SIZE:,} bytes long but not enwik8 (md5 {MD5})")
        symbols = Symbols.of("byte", text)
        splits = cut(symbols.encode_codes(text, str(file)), SHARES[self.split])
        about = "enwik8" if whole else f"a PREFIX of enwik8, {len(text):,} of {SIZE:,} bytes"
        return symbols, splits, f"{about}; split '{self.split}'"


def read_bytes(file: Path) -> np.ndarray:
    """The file's bytes, memory-mapped, or its only member's when it is a zip."""
    if file.stat().st_size == 0:
        raise UserError(f"{file}: the file is empty")
    if not zipfile.is_zipfile(file):
        if file.suffix == ".zip":
            raise UserError(f"{file}: not a readable zip; delete it and prepare again")
        return np.memmap(file, dtype=np.uint8, mode="r")
    try:
        with zipfile.ZipFile(file) as archive:
            return np.frombuffer(archive.read("enwik8"), dtype=np.uint8)
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{file}: not the zip of enwik8 ({error}); delete it and prepare again") from error


def download(url: str, target: Path) -> None:
    """Fetch `url` into `target` with a progress bar; a broken transfer leaves nothing behind."""
    partial = target.with_suffix(".download")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=30) as answer, open(partial, "wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with tqdm(total=size or None, unit="B", unit_scale=True, desc=target.name) as bar:
                while chunk := answer.read(1 << 20):
                    file.write(chunk)
                    bar.update(len(chunk))
        if size and partial.stat().st_size != size:
            raise UserError(f"{url}: the transfer ended early; run the command again")
        os.replace(partial, target)
    except (OSError, HTTPException) as error:
        raise UserError(
            f"{url}: could not be fetched ({error}); download it and give data.source=FILE"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
