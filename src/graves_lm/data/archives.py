"""The files in a zip or tar archive that a stranger may have made, one by one, in bounded memory and time.

Nothing is unpacked to disk. What an archive says of itself is not believed: bytes are counted as they come
out. Only regular files with the names asked for are read; links, devices, encrypted and damaged files, those
that are too large and those that come a second time are told with the reason.
"""

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from graves_lm.runtime.errors import UserError

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError,
           ValueError, OverflowError, MemoryError)  # fmt: skip
_HEADERS = 1 << 20  # bytes that may come before a file's content: its name, extended headers
_DIRECTORY = 8 << 20  # bytes of a zip's list of files; IAM-OnDB's is of 1.5 MB
_XZ_MEMORY = 128 << 20  # bytes; `xz -9` asks for 65 MiB
_PIECE = 1 << 16


class Bounds(NamedTuple):
    """What an archive may hold: bytes of one file and of all together, and the number of entries."""

    file: int
    total: int
    entries: int


class SourceFile(NamedTuple):
    """A file's name inside the source and its content."""

    name: str
    data: bytes


class Unreadable(NamedTuple):
    """A file, or the rest of an archive, that could not be read, and why."""

    name: str
    reason: str


def read_archive(
    place: Path, wanted: Callable[[str], bool], bounds: Bounds
) -> Iterator[SourceFile | Unreadable]:
    """Every file of a zip, or of a tar that is plain or compressed by gzip or xz, whose name is `wanted`.

    Raises UserError for an archive with a path that leaves its folder.
    """
    seen: set[str] = set()
    read = _read_zip if is_zip(place) else _read_tar
    for found in read(place, wanted, bounds):
        if isinstance(found, SourceFile):
            if found.name in seen:
                yield Unreadable(found.name, "it is there a second time; the first one is used")
                continue
            seen.add(found.name)
        yield found


def is_zip(place: Path) -> bool:
    """By its first bytes, whatever its name."""
    with open(place, "rb") as file:
        return file.read(4) in (b"PK\3\4", b"PK\5\6")


def too_large(size: int, most: int) -> str:
    """The reason for a file of that size."""
    return f"{size:,} bytes, more than the {most:,} a file of this kind can have"


def shown(name: str) -> str:
    """A name from an archive or a folder as text of one line: control characters, bytes that are none."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[:255])


class _TooMuch(ValueError):
    """An archive goes beyond its bounds."""


class _Counted:
    """Decompressed bytes of which no more are handed out than is allowed at the time."""

    def __init__(self, read: Callable[[int], bytes], total: int):
        self._read = read
        self.left, self.allowed = total, _HEADERS

    def read(self, count: int) -> bytes:
        data = self._read(count)
        self.left -= len(data)
        self.allowed -= len(data)
        if self.left < 0:
            raise _TooMuch("it unpacks to far more than it should")
        if self.allowed < 0:
            raise _TooMuch("a header without an end")
        return data


class _Xz:
    """Reads an .xz in bounded memory, which `lzma.open` does not."""

    def __init__(self, file: Any):
        self._file = file
        self._unpacker: lzma.LZMADecompressor | None = None

    def read(self, count: int) -> bytes:
        while True:
            waiting = b""
            if self._unpacker is None or self._unpacker.eof:
                waiting = (self._unpacker.unused_data if self._unpacker else b"") or self._file.read(_PIECE)
                if not waiting.strip(b"\0"):  # the padding of streams
                    return b""
                self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            elif self._unpacker.needs_input:
                waiting = self._file.read(_PIECE)
                if not waiting:
                    raise EOFError("it ends early")
            data = self._unpacker.decompress(waiting, count)
            if data:
                return data


def _read_tar(
    place: Path, wanted: Callable[[str], bool], bounds: Bounds
) -> Iterator[SourceFile | Unreadable]:
    count = 0
    try:
        with open(place, "rb") as packed:
            start = packed.read(6)
            packed.seek(0)
            read: Callable[[int], bytes] = packed.read
            if start.startswith(b"\x1f\x8b"):
                read = GzipFile(fileobj=packed).read1  # of a file that ends early what there is
            elif start == b"\xfd7zXZ\0":
                read = _Xz(packed).read
            stream = _Counted(read, bounds.total)
            # As a stream, so that nothing is read twice.
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:  # type: ignore
                for number, member in enumerate(archive):
                    if number >= bounds.entries:
                        raise _TooMuch(f"more than {bounds.entries:,} entries")
                    _refuse_escape(place, member.name)
                    name = shown(member.name)
                    if member.size > stream.left:  # tarfile would count its blocks to the last
                        raise _TooMuch("it unpacks to far more than it should")
                    stream.allowed = max(0, member.size) + _HEADERS
                    if not wanted(member.name) or member.isdir():
                        continue
                    if not member.isreg() or member.issparse():
                        yield Unreadable(name, "is a link or device, not a regular file")
                    elif member.size > bounds.file:
                        yield Unreadable(name, too_large(member.size, bounds.file))
                    else:
                        content = archive.extractfile(member)
                        assert content is not None  # regular files have content
                        data = content.read()
                        if len(data) != member.size:
                            raise EOFError("it ends early")
                        yield SourceFile(name, data)
                        count += 1
                # A damaged header is an end for tarfile; and a checksum comes last.
                if archive.fileobj.tell() <= archive.offset:
                    raise EOFError("it ends early")
                stream.allowed = bounds.total
                while rest := archive.fileobj.read(_PIECE):
                    if rest.strip(b"\0"):
                        raise EOFError("something follows its end")
    except _BROKEN as reason:
        yield Unreadable(place.name, f"archive damaged or cut short after {count} files ({_short(reason)})")


class _SmallReads(io.FileIO):
    """A zip's file: no more of it is read at once than its list of files may take."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = _DIRECTORY + 1
        if size > _DIRECTORY + 1:
            raise _TooMuch("its list of files is far too long")
        return super().read(size) or b""


def _read_zip(
    place: Path, wanted: Callable[[str], bool], bounds: Bounds
) -> Iterator[SourceFile | Unreadable]:
    left = bounds.total
    try:
        with _SmallReads(place) as packed, zipfile.ZipFile(packed) as archive:
            members = archive.infolist()
            if len(members) > bounds.entries:
                raise _TooMuch(f"more than {bounds.entries:,} entries")
            for member in members:
                _refuse_escape(place, member.filename)
                name = shown(member.filename)
                if not wanted(member.filename) or member.is_dir():
                    continue
                if member.file_size > bounds.file:
                    yield Unreadable(name, too_large(member.file_size, bounds.file))
                    continue
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    yield Unreadable(name, "compressed by an unusual method")
                    continue
                try:
                    data = _content(archive, member, bounds.file)
                except _BROKEN as reason:
                    yield Unreadable(name, f"damaged ({_short(reason)})")
                    continue
                left -= len(data)
                if left < 0:
                    raise _TooMuch("it unpacks to far more than it should")
                if len(data) > bounds.file:
                    yield Unreadable(name, too_large(len(data), bounds.file))
                else:
                    yield SourceFile(name, data)
    except _BROKEN as reason:
        yield Unreadable(place.name, f"archive damaged or cut short ({_short(reason)})")


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """A file's content, or somewhat more than `most` bytes of it: the size in the header may lie."""
    pieces, size = [], 0
    with archive.open(member) as content:
        while size <= most and (piece := content.read(_PIECE)):
            pieces.append(piece)
            size += len(piece)
    return b"".join(pieces)


def _refuse_escape(place: Path, name: str) -> None:
    """Nothing is unpacked, so such a path could do no harm here; but no honest copy of the data has one."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        raise UserError(
            f"{place} contains the path {name[:200]!r} that leaves its folder: do not trust this archive"
        )


def _short(reason: BaseException) -> str:
    return (str(reason) or type(reason).__name__).splitlines()[0][:120]
