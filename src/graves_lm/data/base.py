"""What all data sets share: a cache folder that is there whole or not at all, and its key."""

import errno
import hashlib
import json
import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from filelock import FileLock, Timeout

from graves_lm.data.cache_folder import CacheFolder, DamagedCache, seal
from graves_lm.runtime.errors import UserError

log = logging.getLogger(__name__)

CACHE_VERSION = 3
PATIENCE = 3.0
"""Seconds before a process says that it waits for another one."""
CARD = "card.json"
"""What a cache's content is: counts, symbols and the like."""
ABOUT = "about.json"
"""For people: a line on where the content is from, and a table of what was done to it."""


class Batches(Protocol):
    """An epoch's batches for a process. Where an iteration begins is saved and restored with the trainer's
    own place, so that a resumed run is the unbroken one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def end_epochs_after(self, batches: int) -> None:
        """Say that an epoch is asked for no more than so many batches; a place there is its end."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Share(NamedTuple):
    """Which part of the data is a process's: it is `rank` of `world` that share it."""

    rank: int = 0
    world: int = 1


ALL = Share()
"""What a process has that is alone."""


class Corpus(ABC):
    """A data set that is prepared once into `cache_dir` and read from there afterwards (see `cache_folder`).

    A subclass names what its cache depends on (`cache_key`), writes it, a card included (`build`,
    `write_card`), and opens it (`open_cache`); `gives` are the names of its `facts`, `content` the files that
    make up the data. The folder is built under a temporary name and renamed when complete, under a lock, so
    that several processes may start at once and a killed one leaves no partial cache.

    It knows no trainer: who asks for batches says for which share of the processes.

    Args:
        name: the first part of the cache folder's name.
        cache_dir: where caches are kept.
        source: the owner's files; None where the data need none.
        batch_size: sequences a batch *on each process*.
    """

    gives: ClassVar[tuple[str, ...]]
    content: ClassVar[tuple[str, ...]]
    card: Mapping[str, Any]
    about: Mapping[str, str]
    files: CacheFolder | None = None

    def __init__(self, name: str, cache_dir: str | Path, source: str | Path | None, batch_size: int):
        self.name = name
        self.cache_dir = Path(cache_dir)
        self.source = Path(os.path.expanduser(source)) if source is not None else None
        self.batch_size = batch_size

    @abstractmethod
    def cache_key(self) -> Mapping[str, Any]:
        """All that the cached content depends on, as plain values."""

    @abstractmethod
    def build(self, folder: Path) -> None:
        """Write the cache into the empty `folder`. Raises UserError for unusable sources."""

    @abstractmethod
    def open_cache(self, files: CacheFolder) -> None:
        """Open what `build` wrote; `card` and `about` are there.

        Raises DamagedCache, and anything that follows from a card that is not what it should be.
        """

    def open(self) -> None:
        """Open the cache, once. `card` then says what is in it, `card["counts"]` by split.

        Raises UserError, with the file's name, for a cache that is damaged.
        """
        files = CacheFolder(self.cache)
        self.card, self.about = files.json(CARD), files.json(ABOUT)
        try:
            self.open_cache(files)
        except DamagedCache:
            raise
        except (UserError, KeyError, TypeError, ValueError, AttributeError) as reason:
            raise files.damaged(CARD, f"not what it should be ({reason})") from None
        self.files = files

    def fingerprint(self) -> str:
        """SHA-256 of the data as prepared, wherever they are kept and came from; after `open`.

        All of it is read: raises UserError where the cache is damaged.
        """
        assert self.files is not None, "after open()"
        return self.files.fingerprint(self.content)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a task must know of the data it learns, and keeps in its checkpoints; after `open`."""

    @abstractmethod
    def read_as(self, facts: Mapping[str, Any]) -> None:
        """From now on, give these data as a task with these facts takes them.

        Raises UserError when that cannot be done.
        """

    @property
    @abstractmethod
    def training_sequences(self) -> int:
        """How many sequences an epoch of training has, by which adaptive weight noise divides."""

    @abstractmethod
    def summary(self) -> str:
        """A table for the terminal; after `open`."""

    @abstractmethod
    def training_batches(self, share: Share = ALL, *, shuffled: bool = True) -> Batches:
        """An epoch's batches for a process; not `shuffled`: always the same in the same order."""

    @abstractmethod
    def evaluation_batches(self, split: str, share: Share = ALL) -> Batches:
        """Batches of a split for a process; over all of them, everything is scored exactly once."""

    @cached_property
    def cache(self) -> Path:
        """This data set's cache folder, by the state in which the sources were first looked at."""
        try:
            key = json.dumps({"version": CACHE_VERSION, **self.cache_key()}, sort_keys=True, default=str)
        except OSError as error:
            raise UserError(
                f"data.source={self.source}: {error.filename or 'it'} cannot be looked at "
                f"({error.strerror or error})"
            ) from error
        # A name of a file may hold bytes that are no text.
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        return self.cache_dir / f"{self.name}-{digest[:12]}"

    def prepare(self) -> None:
        """Build the cache if it is not there. Safe to call from any number of processes.

        Raises UserError for sources that cannot be used and for a place that cannot be written.
        """
        cache = self.cache
        try:
            if cache.is_dir():
                return
            if os.path.lexists(cache):
                raise UserError(f"{cache}: in the place of a cache, and not a folder; remove it")
            self.cache_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data.cache_dir={self.cache_dir}: cannot be made ({error})") from error
        # A worker that imports an unguarded script would come here again and wait for its own parent: in it,
        # this raises, and tells of the guard.
        get_preparation_data("")
        try:
            with locked(cache):
                if not cache.is_dir():
                    self._build(cache)
        except OSError as error:
            raise self._refused(error) from error
        except MemoryError as error:
            raise UserError(f"data={self.name}: preparing it needs more memory than there is") from error

    def _build(self, cache: Path) -> None:
        partial = _hidden(cache, "partial")
        _clear_leftovers(self.cache_dir, partial)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            self.build(partial)
            seal(partial)
            os.replace(partial, cache)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        # Who waits for the lock, or takes a new one, looks for the cache first.
        _hidden(cache, "lock").unlink(missing_ok=True)

    def _refused(self, error: OSError) -> UserError:
        """What the operating system refused, in one line."""
        reason = error.strerror or str(error)
        place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        if place and not place.absolute().is_relative_to(self.cache_dir.absolute()):
            return UserError(f"data={self.name}: {place} cannot be read ({reason})")
        advice = "make room there, or choose" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose"
        where = f"{place}: " if place else ""
        return UserError(
            f"data.cache_dir={self.cache_dir}: no cache can be written ({where}{reason}); {advice} another "
            "data.cache_dir"
        )

    def refuse_cache_in(self, folder: Path) -> None:
        """Raises UserError where the cache would lie among the files of a source, and so be read as one."""
        if self.cache_dir.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"data.cache_dir={self.cache_dir} lies in {folder}, whose files are all read; choose another"
            )


def file_key(path: Path) -> str:
    """Identifies a file's content cheaply: its resolved path, size and time of change."""
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"


def write_card(folder: Path, content: Mapping[str, Any], about: str, report: str = "") -> None:
    """Write a cache's card: what its content is, and what people are told about it (see `CARD`, `ABOUT`).

    Apart, because the content is the same wherever it came from.
    """
    (folder / CARD).write_text(json.dumps(content), encoding="utf-8")
    (folder / ABOUT).write_text(json.dumps({"about": about, "report": report}), encoding="utf-8")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only process that makes `path`; say so when another one has to be waited for."""
    lock = FileLock(_hidden(path, "lock"))
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        log.info(f"waiting for another process that makes {path} …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _hidden(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def _clear_leftovers(cache_dir: Path, own: Path) -> None:
    """Remove what killed processes left of other caches: nobody holds the locks of these."""
    for partial in set(cache_dir.glob(".*-*.partial")) - {own}:
        lock = FileLock(partial.with_suffix(".lock"), timeout=0)
        with suppress(Timeout, OSError), lock:
            log.info(f"removing {partial}, which a command that was ended left")
            shutil.rmtree(partial)
            Path(lock.lock_file).unlink(missing_ok=True)
