"""Text that is there wherever Python is: the language's own documentation and source code."""

import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graves_lm.data.symbols import Symbols, codes_of
from graves_lm.data.text.corpus import TextCorpus, cut
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Count

PRINTABLE = frozenset(map(chr, range(32, 127))) | {"\n"}


@declared("data")
class StdlibText(TextCorpus):
    """The running Python's documentation topics and the source text of its standard library.

    Files are read in the order of their names and joined until `max_symbols`; a file with characters
    other than printable ASCII and newline is left out whole, so no symbol is altered. The text differs
    a little between Python versions: metrics on it are for trying things out.

    >>> data = StdlibText(max_symbols=2000, cache_dir="data", batch_size=2, length=10)
    >>> data.prepare()
    >>> data.open()
    >>> data.training_sequences
    180
    """

    def __init__(self, *, max_symbols: Count = 4_000_000, **text: Any):
        super().__init__("stdlib", **text)
        self.max_symbols = max_symbols

    def cache_key(self) -> dict[str, Any]:
        return {"corpus": "stdlib", "python": sys.version, "max_symbols": self.max_symbols}

    def encode_splits(self):
        topics = find_spec("pydoc_data.topics")
        library = Path(sysconfig.get_path("stdlib"))
        texts = []
        if topics is not None:
            from pydoc_data.topics import topics as documentation

            texts += [documentation[name] for name in sorted(documentation)]
        texts += [p.read_text(encoding="utf-8", errors="strict") for p in sorted(library.glob("*.py"))]
        kept, size = [], 0
        for text in texts:
            if size < self.max_symbols and PRINTABLE.issuperset(text):
                kept.append(text[: self.max_symbols - size])
                size += len(kept[-1])
        if not kept:
            raise UserError(f"data=stdlib: no library source found in {library}; use data=textfile")
        # Every twentieth piece of 20,000 characters goes to each held-out split: all kinds of text in all.
        joined = codes_of("".join(kept), "character")
        pieces = [joined[i : i + 20_000] for i in range(0, len(joined), 20_000)]
        held_out = {"val": pieces[9::20], "test": pieces[19::20]}
        if not held_out["test"]:
            splits = cut(joined, (0.9, 0.05, 0.05))
        else:
            train = [p for i, p in enumerate(pieces) if i % 20 not in (9, 19)]
            parts = {"train": train} | held_out
            splits = {name: np.concatenate(pieces) for name, pieces in parts.items()}
        symbols = Symbols("character", sorted(PRINTABLE))
        encoded = {name: [symbols.encode_codes(codes, "stdlib")] for name, codes in splits.items()}
        version = ".".join(map(str, sys.version_info[:3]))
        return symbols, encoded, f"documentation and source text of Python {version}"
