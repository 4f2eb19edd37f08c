"""What all text corpora share: symbols in stored arrays, batches as parallel streams."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from graves_lm.data.base import ALL, CARD, Corpus, Share, write_card
from graves_lm.data.cache_folder import CacheFolder, StoredArray, whole_number, write_array
from graves_lm.data.streams import StreamLoader
from graves_lm.data.symbols import MOST_SYMBOLS, Symbols
from graves_lm.runtime.errors import UserError
from graves_lm.settings.kinds import Count, Place, Rows, Steps

SPLITS = ("train", "val", "test")


class TextCorpus(Corpus):
    """A text with its splits `train`, `val` and `test`, each one long sequence of symbols.

    Args:
        batch_size: parallel streams (batch rows) on each process, training.
        length: T, symbols a stream advances per batch, and how far back gradients reach.
        reset_every: in training, start from the null state every so many batches; None: once an epoch.
        eval_batch_size: parallel streams when validating or testing, of all processes together: so the
            metrics do not depend on how many there are.
        warm_up: unscored symbols that every stream but the first reads before its own stretch when
            validating or testing. 0 and `eval_batch_size=1` give the metric of one unbroken pass.
    """

    gives = ("symbols",)
    content = (CARD, *(f"{split}.npy" for split in SPLITS))

    def __init__(
        self,
        name: str,
        *,
        cache_dir: Place = "data",
        source: Place | None = None,
        batch_size: Rows = 32,
        length: Steps = 100,
        reset_every: Count | None = None,
        eval_batch_size: Rows = 32,
        warm_up: Annotated[int, Meta(ge=0, le=10**6)] = 200,
    ):
        super().__init__(name, cache_dir, source, batch_size)
        self.length = length
        self.reset_every = reset_every
        self.eval_batch_size = eval_batch_size
        self.warm_up = warm_up
        self._symbols: Symbols | None = None
        self._sequences: dict[str, StoredArray] = {}
        self._index: np.ndarray | None = None  # of each stored symbol among those of who reads them

    @abstractmethod
    def encode_splits(self) -> tuple[Symbols, Mapping[str, Iterable[np.ndarray]], str]:
        """The symbol set, every split's indices in pieces, one after another, and a line about the corpus.

        The pieces are asked for in the order of `SPLITS`, each split's once.
        """

    def build(self, folder: Path) -> None:
        symbols, splits, about = self.encode_splits()
        if len(symbols) < 2:
            raise UserError(
                f"data={self.name}: the text holds {len(symbols)} different symbol(s) and at least 2 are "
                "needed to predict anything; give a text that is not empty and not one repeated symbol"
            )
        if len(symbols) > MOST_SYMBOLS:
            raise UserError(
                f"data={self.name}: the text holds {len(symbols):,} different {symbols.unit}s, more than the "
                f"{MOST_SYMBOLS:,} that a network can be given; is it the right text?"
            )
        counts = {s: write_array(folder / f"{s}.npy", symbols.dtype, splits[s]) for s in SPLITS}
        for split in SPLITS:
            if not counts[split]:
                raise UserError(f"data={self.name}: the {split} split is empty; give a longer text")
        write_card(folder, {"counts": counts, "symbols": symbols.to_plain()}, about)

    def open_cache(self, files: CacheFolder) -> None:
        symbols = Symbols.from_plain(self.card["symbols"])
        counts = self.card["counts"]
        sequences = {split: files.array(f"{split}.npy", "u") for split in SPLITS}
        for split, sequence in sequences.items():
            if not whole_number(counts[split], least=1) or counts[split] != len(sequence):
                raise files.damaged(CARD, f"it counts {counts[split]!r} symbols in {split}.npy")
            sequence.allowed = lambda indices: (
                f"symbol {indices.max()} of {len(symbols)}" if indices.max() >= len(symbols) else None
            )
        self._symbols, self._sequences = symbols, sequences

    @property
    def symbols(self) -> Symbols:
        """The symbol set; known after `open`."""
        if self._symbols is None:
            raise RuntimeError("symbols are known after prepare() and open()")
        return self._symbols

    @property
    def training_sequences(self) -> int:
        """Sequences of `length` symbols in the training split, by which adaptive weight noise divides."""
        return max(1, self.card["counts"]["train"] // self.length)

    def sequence(self, split: str) -> Sequence[Any]:
        """All symbols of a split, (N,), read when they are asked for; after `open`."""
        stored = self._sequences[split]
        return stored if self._index is None else Translated(stored, self._index)

    def facts(self) -> dict[str, Any]:
        return {"symbols": self.symbols}

    def read_as(self, facts: Mapping[str, Any]) -> None:
        known, stored = facts["symbols"], Symbols.from_plain(self.card["symbols"])
        place = {item: n for n, item in enumerate(known.items)}
        missing = [item for item in stored.items if item not in place]
        if missing or known.unit != stored.unit:
            what = f"has {missing[0]!r}, which the model has not learned" if missing else "is of another unit"
            raise UserError(
                f"data={self.name}: the text's symbol set is not the checkpoint's: it {what} "
                f"({len(stored)} against {len(known)} symbols); evaluate on the data it was trained on"
            )
        places = np.array([place[item] for item in stored.items], dtype=np.int64)
        self._symbols = known
        self._index = None if (places == np.arange(len(places))).all() else places

    def summary(self) -> str:
        """A table for the terminal."""
        rows = [f"{split:>6} {count:>13,} symbols" for split, count in self.card["counts"].items()]
        symbols = f"{len(self.symbols)} {self.symbols.unit}s: {self.symbols.summary()}"
        return "\n".join([f"{self.name}: {self.about['about']}", *rows, symbols, f"cache: {self.cache}"])

    def training_batches(self, share: Share = ALL, *, shuffled: bool = True) -> StreamLoader:
        """Streams in the order of the text; nothing is shuffled."""
        return StreamLoader(
            self.sequence("train"),
            self.batch_size * share.world,
            self.length,
            rank=share.rank,
            world=share.world,
            reset_every=self.reset_every,
            name=f"data={self.name}, training text",
        )

    def evaluation_batches(self, split: str, share: Share = ALL) -> StreamLoader:
        """Batches of a split in which every symbol is scored exactly once.

        Streams are dropped until each has its warm-up and as much again to score, so short texts work.
        """
        sequence = self.sequence(split)
        most = max(1, len(sequence) // (2 * max(self.warm_up, 1)))
        return StreamLoader(
            sequence,
            min(self.eval_batch_size, most),
            self.length,
            rank=share.rank,
            world=share.world,
            warm_up=self.warm_up,
            name=f"data={self.name}, {split} text",
        )


class Translated(Sequence[Any]):
    """A stored sequence in other indices, of which slices are read when they are asked for."""

    def __init__(self, stored: StoredArray, index: np.ndarray):
        self._stored, self._index = stored, index

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, place: Any) -> Any:
        return self._index[self._stored[place]]


def cut(sequence: np.ndarray, shares: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Consecutive train, val and test pieces by their shares; two shares make val and test the same."""
    bounds = [round(len(sequence) * sum(shares[:n])) for n in range(len(shares) + 1)]
    pieces = [sequence[a:b] for a, b in pairwise(bounds)]
    return dict(zip(SPLITS, [*pieces, pieces[-1]][:3], strict=True))
