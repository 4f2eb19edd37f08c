"""The Penn Treebank in T. Mikolov's preparation (`simple-examples.tgz`), as characters or words."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from graves_lm.data.archives import Bounds, SourceFile, read_archive
from graves_lm.data.base import file_key
from graves_lm.data.symbols import Symbols, codes_of, words_of
from graves_lm.data.text.corpus import TextCorpus
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared

ARCHIVE = "simple-examples.tgz"
LIMITS = Bounds(file=2**25, total=2**29, entries=10_000)
"""The largest of the corpus's files has 10 million bytes; the whole archive some 100 million."""
OWNER_SPLITS = {"train": "train", "val": "valid", "test": "test"}


@declared("data")
class PennTreebank(TextCorpus):
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
        if not self.source.is_file() and not self.source.is_dir():
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
        files = self._files_of_folder(place) if place.is_dir() else self._files_of_archive(place)
        texts = {}
        for split, name in self.names.items():
            try:
                texts[split] = files[name].decode()
            except UnicodeDecodeError as error:
                raise UserError(
                    f"data.source={place}: {name} is not readable text (not UTF-8 at byte {error.start})"
                ) from error
        return texts

    def _files_of_folder(self, place: Path) -> dict[str, bytes]:
        files = {}
        for name in self.names.values():
            path = next(place.rglob(name))
            if not path.is_file() or path.stat().st_size > LIMITS.file:
                raise UserError(
                    f"{path}: not a file of at most {LIMITS.file:,} bytes, as the corpus's are; is it the "
                    "right one?"
                )
            files[name] = path.read_bytes()
        return files

    def _files_of_archive(self, place: Path) -> dict[str, bytes]:
        files, names = {}, set(self.names.values())
        for found in read_archive(place, lambda name: Path(name).name in names, LIMITS):
            if not isinstance(found, SourceFile):
                raise UserError(
                    f"data.source={place}: not a readable {ARCHIVE} ({found.name}: {found.reason})"
                )
            if (name := Path(found.name).name) in files:
                raise UserError(f"data.source={place}: {name} is in it twice; is it the right archive?")
            files[name] = found.data
        if absent := names - set(files):
            raise UserError(
                f"data.source={place}: the archive has no {', '.join(sorted(absent))}; is it whole?"
            )
        return files

    def encode_splits(self):
        texts = self._read()
        if self.level == "char":
            texts = {s: text.replace(" ", "").replace("_", " ") for s, text in texts.items()}
            symbols = Symbols.of("character", codes_of(texts["train"], "character"))
        else:
            words = {w for line in texts["train"].splitlines(keepends=True) for w in words_of(line)}
            symbols = Symbols("word", sorted(words))
        encoded: dict[str, list[np.ndarray]] = {
            split: [symbols.encode(text, where=self.names[split])] for split, text in texts.items()
        }
        return symbols, encoded, f"Penn Treebank, {self.level} level (LDC / WSJ, not to be passed on)"
