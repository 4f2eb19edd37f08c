"""What all data modules share: a cache folder that is there whole or not at all, and its key."""

import hashlib
import json
import os
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock

from graves_lm.errors import UserError

CACHE_VERSION = 2


class SequenceDataModule:
    """A data set that is prepared once into `cache_dir` and opened memory-mapped afterwards.

    `data.for_trainer` makes Lightning's data module of it; `trainer` is then the one that it is attached to.
    A subclass names what its cache depends on (`cache_key`) and writes it, with a card.json
    (`build`); `gives` are the names of its `facts`. The folder is built under a temporary name and renamed
    when complete, under a lock, so that several processes may start at once and a killed one leaves no
    partial cache.

    Args:
        name: the first part of the cache folder's name.
        cache_dir: where caches are kept.
        source: the owner's files; None where the data need none.
        batch_size: sequences a batch *on each process*.
    """

    gives: ClassVar[tuple[str, ...]]
    trainer: Any = None

    def __init__(self, name: str, cache_dir: str | Path, source: str | Path | None, batch_size: int):
        self.name = name
        self.cache_dir = Path(cache_dir)
        self.source = Path(source).expanduser() if source is not None else None
        self.batch_size = batch_size

    @abstractmethod
    def cache_key(self) -> Mapping[str, Any]:
        """All that the cached content depends on, as plain values."""

    @abstractmethod
    def build(self, folder: Path) -> None:
        """Write the cache into the empty `folder`. Raises UserError for unusable sources."""

    def setup(self, stage: str | None = None) -> None:
        """Open the cache, memory-mapped. `card` then says what is in it, `card["counts"]` by split."""
        self.card: dict[str, Any] = json.loads((self.cache / "card.json").read_text())

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a task must know of the data it learns, and keeps in its checkpoints; after `setup`."""

    @abstractmethod
    def read_as(self, facts: Mapping[str, Any]) -> None:
        """From now on, give these data as a task with these facts takes them.

        Raises UserError when that cannot be done.
        """

    @property
    @abstractmethod
    def training_sequences(self) -> int:
        """How many sequences an epoch of training has: what adaptive weight noise divides by."""

    @abstractmethod
    def summary(self) -> str:
        """A table for the terminal; after `setup`."""

    @abstractmethod
    def train_dataloader(self) -> Iterable[Any]:
        """An epoch's batches for this process."""

    @abstractmethod
    def eval_dataloader(self, split: str) -> Iterable[Any]:
        """Batches of a split in which everything is scored exactly once."""

    @cached_property
    def cache(self) -> Path:
        """This data set's cache folder, by the state in which the sources were first looked at."""
        key = json.dumps({"version": CACHE_VERSION, **self.cache_key()}, sort_keys=True, default=str)
        return self.cache_dir / f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def prepare_data(self) -> None:
        """Build the cache if it is not there. Safe to call from any number of processes."""
        cache = self.cache
        if cache.is_dir():
            return
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data.cache_dir={self.cache_dir}: cannot be made ({error})") from error
        # A worker that imports an unguarded script would come here again and wait for its own parent: in it,
        # this raises, and tells of the guard.
        get_preparation_data("")
        with FileLock(self.cache_dir / f".{cache.name}.lock"):
            if cache.is_dir():
                return
            partial = cache.with_name(f".{cache.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                self.build(partial)
                os.replace(partial, cache)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def rank_and_world(self) -> tuple[int, int]:
        """This process's place among the trainer's; (0, 1) without a trainer."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def file_key(path: Path) -> str:
    """Identifies a file's content cheaply: its resolved path, size and time of change."""
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
