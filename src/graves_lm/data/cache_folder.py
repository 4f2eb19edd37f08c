"""The files of a data cache, each as its manifest says, or a `UserError` that names it.

    manifest.json   {"format", "version", "files": {name: {"bytes": …, "sha256": [of each MiB]}}}

The manifest is written last (`seal`). A file's size is compared when it is opened, and each MiB with its
SHA-256 when it is first read, so that opening takes milliseconds and nothing is used unseen. Files are read,
not mapped into memory: a mapped file that shrinks ends the process with a signal. One that is deleted while
it is open stays readable; one that changes is compared again.
"""

import hashlib
import io
import json
import math
import os
import stat
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.runtime.errors import UserError

MANIFEST = "manifest.json"
FORMAT = "graves_lm.cache"
VERSION = 1
BLOCK = 1 << 20
_LARGEST_MANIFEST = 1 << 24
_HEADER = 1 << 12  # bytes; numpy's own are of 128


class DamagedCache(UserError):
    """A file of a cache is missing or not what was written."""


class CacheFolder:
    """A finished cache. Raises DamagedCache, here and when a file is read, for what is damaged or missing."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        text = _File(self.folder, MANIFEST, None).read(0, _LARGEST_MANIFEST)
        manifest = self._parse(MANIFEST, text)
        try:
            if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is not of format {FORMAT} {VERSION}")
            files = {name: _entry(entry) for name, entry in manifest["files"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            raise self.damaged(MANIFEST, f"not a manifest ({reason})") from None
        self._listed = files
        self._open: dict[str, _File] = {}

    def damaged(self, name: str, what: str) -> DamagedCache:
        """The error for one of the files."""
        return _damaged(self.folder, name, what)

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        file = self._file(name)
        return self._parse(name, file.read(0, file.size))

    def array(self, name: str, kinds: str, columns: int | None = None) -> "StoredArray":
        """An array `(N,)` or `(N, columns)` of one of the kinds of numbers, such as "iu" for whole ones."""
        return StoredArray(self, name, self._file(name), kinds, columns)

    def fingerprint(self, names: Iterable[str]) -> str:
        """SHA-256 of the names and contents of some of the files, all of which is read and compared."""
        total = hashlib.sha256()
        for name in sorted(names):
            file = self._file(name)
            total.update(f"{name}\0{file.size}\0".encode())
            for block, digest in enumerate(file.digests):
                file.verify(block)
                total.update(bytes.fromhex(digest))
        return total.hexdigest()

    def _file(self, name: str) -> "_File":
        if name not in self._listed:
            raise self.damaged(name, f"not listed in {MANIFEST}")
        if name not in self._open:
            self._open[name] = _File(self.folder, name, self._listed[name])
        return self._open[name]

    def _parse(self, name: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as reason:
            raise self.damaged(name, f"not JSON ({str(reason)[:80]})") from None


class _File:
    """An open file of a cache, compared with its entry in the manifest where there is one."""

    def __init__(self, folder: Path, name: str, entry: tuple[int, list[str]] | None):
        self.folder, self.name = folder, name
        try:
            # Without waiting for the other end of a pipe.
            self._handle = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            weakref.finalize(self, os.close, self._handle)
            found = os.fstat(self._handle)
        except FileNotFoundError:
            raise _damaged(folder, name, "missing") from None
        except (OSError, ValueError) as reason:
            raise _damaged(folder, name, f"cannot be opened ({_short(reason)})") from None
        if not stat.S_ISREG(found.st_mode):
            raise _damaged(folder, name, "not a regular file")
        self.size, self.digests = entry or (found.st_size, [])
        self._state = (found.st_size, found.st_mtime_ns)
        self._compared: set[int] = set()
        if found.st_size != self.size:
            raise _damaged(folder, name, f"{found.st_size:,} bytes long, not {self.size:,}")
        if entry is None and self.size > _LARGEST_MANIFEST:
            raise _damaged(folder, name, f"{self.size:,} bytes long, which is too much")

    def read(self, first: int, last: int) -> bytes:
        """The bytes from `first` to before `last`, or to the file's end."""
        last = min(last, self.size)
        data = self._read(first, last)
        if self.digests:
            found = os.fstat(self._handle)
            if (found.st_size, found.st_mtime_ns) != self._state:
                self._state = (found.st_size, found.st_mtime_ns)
                self._compared.clear()
            for block in range(first // BLOCK, -(-last // BLOCK)):
                if block not in self._compared:
                    self.verify(block)
        return data

    def verify(self, block: int) -> None:
        """Compare one MiB with the manifest."""
        data = self._read(block * BLOCK, min((block + 1) * BLOCK, self.size))
        if hashlib.sha256(data).hexdigest() != self.digests[block]:
            raise _damaged(self.folder, self.name, "its content is not what was written")
        self._compared.add(block)

    def _read(self, first: int, last: int) -> bytes:
        parts, at = [], first
        while at < last:
            try:
                part = os.pread(self._handle, last - at, at)
            except OSError as reason:
                raise _damaged(self.folder, self.name, f"cannot be read ({_short(reason)})") from None
            if not part:
                raise _damaged(self.folder, self.name, "shorter than it was when it was opened")
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class StoredArray(Sequence[Any]):
    """An array in a cache, `(N,)` or `(N, columns)`, of which slices are read when they are asked for.

    `allowed`, where it is set, tells for the numbers read what is wrong with them, or None.
    """

    def __init__(self, cache: CacheFolder, name: str, file: _File, kinds: str, columns: int | None):
        self._cache, self._name, self._file = cache, name, file
        self.allowed: Callable[[NDArray[Any]], str | None] | None = None
        header = io.BytesIO(file.read(0, _HEADER))
        try:
            version = np.lib.format.read_magic(header)
            if version != (1, 0):
                raise ValueError(f"version {version} of numpy's format")
            self.shape, by_column, self.dtype = np.lib.format.read_array_header_1_0(header)
            fits = self.shape[1:] == (() if columns is None else (columns,)) and len(self.shape) > 0
            if self.dtype.kind not in kinds or by_column or not fits:
                raise ValueError(f"numbers {self.dtype.str} in shape {self.shape}")
        except (ValueError, TypeError, EOFError, SyntaxError, RecursionError) as reason:
            raise cache.damaged(name, f"not the array it should be ({_short(reason)})") from None
        self._start = header.tell()
        self._row = self.dtype.itemsize * math.prod(self.shape[1:])
        if self._start + self._row * self.shape[0] != file.size:
            raise cache.damaged(name, f"not the size of its {self.shape[0]:,} rows")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            place = range(len(self))[index]
            return self._rows(place, place + 1)[0]
        first, last, step = index.indices(len(self))
        if step != 1:
            raise ValueError("a stored array is read in its order")
        return self._rows(first, max(first, last))

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _rows(self, first: int, last: int) -> NDArray[Any]:
        data = self._file.read(self._start + first * self._row, self._start + last * self._row)
        rows = np.frombuffer(data, dtype=self.dtype).reshape(last - first, *self.shape[1:])
        if self.allowed and len(rows) and (wrong := self.allowed(rows)):
            raise self._cache.damaged(self._name, wrong)
        return rows


def seal(folder: Path) -> None:
    """Write the manifest of all files in the folder, and see to it that they are on the disk."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digests = []
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digests.append(hashlib.sha256(block).hexdigest())
            os.fsync(file.fileno())
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digests}
    manifest = {"format": FORMAT, "version": VERSION, "files": files}
    with open(folder / MANIFEST, "w", encoding="utf-8") as file:
        json.dump(manifest, file)
        file.flush()
        os.fsync(file.fileno())


def write_array(path: Path, dtype: np.dtype, pieces: Iterable[NDArray[Any]]) -> int:
    """Write the pieces one after another as one array `(N,)` in numpy's format; returns N."""
    count = 0
    with open(path, "xb") as file:
        _write_header(file, dtype, 0)
        start = file.tell()
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, dtype=dtype).data)
            count += len(piece)
        file.seek(0)
        _write_header(file, dtype, count)  # numpy leaves room for any count
        if file.tell() != start:
            raise RuntimeError(f"the header of {count} numbers takes {file.tell()} bytes, not {start}")
    return count


def _write_header(file: Any, dtype: np.dtype, count: int) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, described)


def whole_number(value: Any, least: int = 0, most: int = 2**53) -> bool:
    """Whether a value of a JSON file is a whole number within the bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _entry(entry: Any) -> tuple[int, list[str]]:
    size, digests = entry["bytes"], entry["sha256"]
    if not whole_number(size) or not isinstance(digests, list) or len(digests) != -(-size // BLOCK):
        raise ValueError("a file without a size and its checksums")
    if not all(isinstance(one, str) and len(one) == 64 for one in digests):
        raise ValueError("a checksum that is none")
    for one in digests:
        bytes.fromhex(one)
    return size, digests


def _damaged(folder: Path, name: str, what: str) -> DamagedCache:
    return DamagedCache(
        f"{folder / name}: {what}; the cache is damaged: delete the folder {folder} and the next command "
        "makes it again"
    )


def _short(reason: BaseException) -> str:
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return text.splitlines()[0][:100]
