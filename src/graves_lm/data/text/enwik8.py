"""enwik8: the first 10^8 bytes of an English Wikipedia dump, predicted byte by byte (section 3.2)."""

import hashlib
import os
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

from graves_lm.data.archives import Bounds, SourceFile, is_zip, read_archive
from graves_lm.data.base import file_key, locked
from graves_lm.data.symbols import Symbols
from graves_lm.data.text.corpus import TextCorpus, cut
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared

URL = "https://mattmahoney.net/dc/enwik8.zip"
SCHEMES = ("https",)
LARGEST_DOWNLOAD = 2**26
"""Bytes; the zip has 36,445,475."""
LONGEST_DOWNLOAD = 3600.0
"""Seconds."""
SIZE = 100_000_000
MD5 = "a1fa5ffddb56f4953e226637dabbb36a"
SHARES = {"paper": (0.96, 0.04), "standard": (0.9, 0.05, 0.05)}


@declared("data")
class Enwik8(TextCorpus):
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
        if not self.source.is_file() and not self.source.is_dir():
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
        if self.source is None:
            with locked(file):  # both splits begin with the same file
                if not file.is_file():
                    download(URL, file)
        text = read_bytes(file)
        whole = len(text) == SIZE
        if len(text) > SIZE:
            raise UserError(
                f"{file}: {len(text):,} bytes, enwik8 has {SIZE:,}; use data=textfile for other text"
            )
        if whole and hashlib.md5(text.data, usedforsecurity=False).hexdigest() != MD5:
            raise UserError(f"{file}: wrong checksum: {SIZE:,} bytes long but not enwik8 (md5 {MD5})")
        if not whole and self.source is None:
            raise UserError(
                f"{file}: {len(text):,} bytes, enwik8 has {SIZE:,}; delete it and prepare again, or give "
                "data.source=FILE"
            )
        symbols = Symbols.of("byte", text)
        splits = cut(symbols.encode_codes(text, str(file)), SHARES[self.split])
        about = "enwik8" if whole else f"a PREFIX of enwik8, {len(text):,} of {SIZE:,} bytes"
        return symbols, {s: [part] for s, part in splits.items()}, f"{about}; split '{self.split}'"


def read_bytes(file: Path) -> np.ndarray:
    """The file's bytes, or its only member's when it is a zip; of neither more than one above `SIZE`."""
    if file.stat().st_size == 0:
        raise UserError(f"{file}: the file is empty")
    if is_zip(file):
        found = list(read_archive(file, "enwik8".__eq__, Bounds(SIZE, SIZE, 100)))
        if len(found) == 1 and isinstance(found[0], SourceFile):
            return np.frombuffer(found[0].data, dtype=np.uint8)
        reason = next((f.reason for f in found if not isinstance(f, SourceFile)), "no file enwik8 in it")
        raise UserError(f"{file}: not the zip of enwik8 ({reason}); delete it and prepare again")
    if file.suffix == ".zip":
        raise UserError(f"{file}: not a readable zip; delete it and prepare again")
    with open(file, "rb") as plain:
        return np.frombuffer(plain.read(SIZE + 1), dtype=np.uint8)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Goes on to addresses of `SCHEMES` only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _require_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise OSError(f"{url} is not fetched by {' or '.join(SCHEMES)}")


def download(url: str, target: Path) -> None:
    """Fetch `url` into `target` with a progress bar; a broken transfer leaves nothing behind."""
    partial = target.with_suffix(".download")
    target.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        _require_scheme(url)
        partial.unlink(missing_ok=True)  # of a process that was ended
        opener = urllib.request.build_opener(_SafeRedirects)
        with opener.open(url, timeout=30) as answer, open(partial, "xb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            done = 0
            with tqdm(total=size or None, unit="B", unit_scale=True, desc=target.name) as bar:
                while chunk := answer.read1(1 << 16):
                    file.write(chunk)
                    bar.update(len(chunk))
                    done += len(chunk)
                    if done > LARGEST_DOWNLOAD:
                        raise OSError(f"it is larger than {LARGEST_DOWNLOAD:,} bytes")
                    if time.monotonic() - started > LONGEST_DOWNLOAD:
                        raise OSError(f"it takes longer than {LONGEST_DOWNLOAD:.0f} seconds")
        if size and done != size:
            raise UserError(f"{url}: the transfer ended early; run the command again")
        os.replace(partial, target)
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(
            f"{url}: could not be fetched ({error}); download it and give data.source=FILE"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
