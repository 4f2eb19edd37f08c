"""The Penn Treebank in T. Mikolov's preparation (`simple-examples.tgz`), as characters or words."""

import tarfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graves_lm.data.base import file_key
from graves_lm.data.symbols import Symbols, codes_of, words_of
from graves_lm.data.text import TextDataModule
from graves_lm.errors import UserError
from graves_lm.settings import declared

ARCHIVE = "simple-examples.tgz"
OWNER_SPLITS = {"train": "train", "val": "valid", "test": "test"}


@declared("data")
class PennTreebank(TextDataModule):
    """Section 3.1 of the paper: 49 characters and the end of a line, or 10,000 words.

    Args:
        level: "char" (files ptb.char.*.txt: symbols separated by spaces, `_` for the space) or "word".
        source: the archive, the folder it lies in, or the folder it was unpacked to.
    """

    def __init__(self, *, level: Literal["char", "word"] = "char", **text: Any):
        super().__init__(f"ptb_{level}", **text)
        self.level = level
        self.names = {
            split: f"ptb.{'char.' if level == 'char' else ''}{owner}.txt"
            for split, owner in OWNER_SPLITS.items()
        }

    def _archive_or_folder(self) -> Path:
        if self.source is None:
            raise UserError(
                f"data={self.name} needs data.source=PATH: {ARCHIVE} of Mikolov's RNNLM toolkit, the folder "
                "it lies in, or where it was unpacked"
            )
        if not self.source.exists():
            raise UserError(f"data.source={self.source}: no such file or folder; give the path of {ARCHIVE}")
        if self.source.is_file():
            return self.source
        if (self.source / ARCHIVE).is_file():
            return self.source / ARCHIVE
        if all(any(self.source.rglob(name)) for name in self.names.values()):
            return self.source
        raise UserError(
            f"data.source={self.source}: neither {ARCHIVE} nor the files {', '.join(self.names.values())} "
            "are in this folder"
        )

    def cache_key(self) -> dict[str, Any]:
        place = self._archive_or_folder()
        files = [place] if place.is_file() else [next(place.rglob(n)) for n in self.names.values()]
        return {"corpus": "ptb", "level": self.level, "files": [file_key(f) for f in files]}

    def _read(self) -> dict[str, str]:
        place = self._archive_or_folder()
        try:
            if place.is_dir():
                files = {split: next(place.rglob(name)) for split, name in self.names.items()}
                return {split: file.read_bytes().decode() for split, file in files.items()}
            with tarfile.open(place) as archive:
                members = {Path(m.name).name: m for m in archive.getmembers() if m.isfile()}
                absent = [name for name in self.names.values() if name not in members]
                if absent:
                    raise UserError(
                        f"data.source={place}: the archive has no {', '.join(absent)}; is it whole?"
                    )
                parts = {s: archive.extractfile(members[name]) for s, name in self.names.items()}
                return {split: part.read().decode() for split, part in parts.items() if part}
        except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
            what = "the files are not readable text" if place.is_dir() else f"not a readable {ARCHIVE}"
            reason = str(error).partition("\n")[0]
            raise UserError(f"data.source={place}: {what} ({reason})") from error

    def encode_splits(self):
        texts = self._read()
        if self.level == "char":
            texts = {s: text.replace(" ", "").replace("_", " ") for s, text in texts.items()}
            symbols = Symbols.of("character", codes_of(texts["train"], "character"))
        else:
            words = {w for line in texts["train"].splitlines(keepends=True) for w in words_of(line)}
            symbols = Symbols("word", sorted(words))
        encoded: dict[str, np.ndarray] = {
            split: symbols.encode(text, where=self.names[split]) for split, text in texts.items()
        }
        return symbols, encoded, f"Penn Treebank, {self.level} level (LDC / WSJ, not to be passed on)"
