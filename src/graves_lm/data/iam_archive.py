"""Where the IAM On-Line Handwriting Database lies, and its files one by one.

The owner ships `lineStrokes-all` and `ascii-all` as archives and four split files beside them. Archives
are read where they are, nothing is unpacked to disk; an unpacked tree is read as well.
"""

import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from graves_lm.errors import UserError

SETS = ("trainset", "testset_v", "testset_t", "testset_f")
ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".zip")
SIZE_LIMIT = 4 * 2**20  # bytes; the largest line of the database has 105,268
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


class SourceFile(NamedTuple):
    """A file's name inside the source and its content."""

    name: str
    data: bytes


class Unreadable(NamedTuple):
    """A file, or the rest of an archive, that could not be read, and why."""

    name: str
    reason: str


class IamSource(NamedTuple):
    """The pieces of the database: folders or archives, and the small files beside them."""

    line_strokes: Path
    transcripts: Path
    splits: dict[str, Path]
    form_writer: Path | None
    suspects: Path | None

    def files(self) -> list[Path]:
        """All that exist."""
        rest = [p for p in (self.form_writer, self.suspects) if p is not None]
        return [self.line_strokes, self.transcripts, *self.splits.values(), *rest]


def locate(source: str | os.PathLike[str]) -> IamSource:
    """Finds every piece in `source` or one folder below it, or says which one is missing or misplaced."""
    root = Path(source).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise UserError(
            f"data.source={root} {what}: give the folder with the lineStrokes and ascii archives "
            "(or the unpacked folders) and the split files"
        )
    folders = [root, *sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))]
    strokes, transcripts = _tree(folders, "lineStrokes"), _tree(folders, "ascii")
    splits = {name: _file(folders, f"{name}.txt") for name in SETS}
    missing = [
        f"{stem}-all.tar.gz (or its unpacked folder {stem})"
        for stem, found in (("lineStrokes", strokes), ("ascii", transcripts))
        if found is None
    ] + [f"{name}.txt" for name, found in splits.items() if found is None]
    if strokes is None or transcripts is None or missing:
        raise UserError(f"data.source={root} lacks {', '.join(missing)}{_misplaced(root, missing)}")
    return IamSource(
        strokes,
        transcripts,
        {name: path for name, path in splits.items() if path is not None},
        _file(folders, "form_writer.json"),
        _file(folders, "suspect_lines.txt"),
    )


def read_files(place: Path, suffix: str) -> Iterator[SourceFile | Unreadable]:
    """Every file of a folder or archive whose name ends with `suffix`."""
    if place.is_dir():
        yield from _read_folder(place, suffix)
    elif place.name.endswith(".zip"):
        yield from _read_zip(place, suffix)
    else:
        yield from _read_tar(place, suffix)


def read_small_file(path: Path) -> str:
    """A list that lies beside the archives (split file, suspects, writers), latin-1."""
    if path.stat().st_size > SIZE_LIMIT:
        raise UserError(f"{path} is {_too_large(path.stat().st_size)}: is it the right file?")
    return path.read_text(encoding="latin-1")


def _tree(folders: Sequence[Path], stem: str) -> Path | None:
    """The unpacked folder `stem` if there is one, else the archive whose name begins so."""
    for folder in folders:
        if (folder / stem).is_dir():
            return folder / stem
    for folder in folders:
        archives = sorted(p for p in folder.glob(f"{stem}*") if p.is_file() and p.name.endswith(ARCHIVES))
        if archives:
            return archives[0]
    return None


def _file(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _misplaced(root: Path, missing: Sequence[str]) -> str:
    """Points at a missing piece that lies above or too deep, else says where the database comes from."""
    for piece in missing:
        stem = re.split(r"[-.]", piece)[0]
        places = [*root.parent.glob(f"{stem}*"), *root.glob(f"*/*/{stem}*"), *root.glob(f"*/*/*/{stem}*")]
        if places:
            return f"; {places[0]} looks like it: give the folder that holds all pieces"
    return "; download them from the owner of the database (registration needed) into this folder"


def _too_large(size: int) -> str:
    return f"{size:,} bytes, more than the {SIZE_LIMIT:,} a file of this kind can have"


def _read_folder(place: Path, suffix: str) -> Iterator[SourceFile | Unreadable]:
    for folder, subfolders, names in os.walk(place):
        subfolders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            shown = path.relative_to(place.parent).as_posix()
            if not name.endswith(suffix):
                continue
            try:
                if not path.resolve().is_relative_to(place.resolve()):
                    yield Unreadable(shown, "is a link that leaves the folder")
                elif not path.is_file():  # a pipe would block for ever
                    yield Unreadable(shown, "is not a regular file")
                elif (size := path.stat().st_size) > SIZE_LIMIT:
                    yield Unreadable(shown, _too_large(size))
                else:
                    yield SourceFile(shown, path.read_bytes())
            except OSError as reason:
                yield Unreadable(shown, reason.strerror or str(reason))


def _read_tar(place: Path, suffix: str) -> Iterator[SourceFile | Unreadable]:
    count = 0
    try:
        with tarfile.open(place, "r:*") as archive:
            for member in archive:  # in the archive's order: one pass through the compressed stream
                _refuse_escape(place, member.name)
                if not member.name.endswith(suffix) or member.isdir():
                    continue
                if not member.isreg():
                    yield Unreadable(member.name, "is a link or device, not a regular file")
                elif member.size > SIZE_LIMIT:
                    yield Unreadable(member.name, _too_large(member.size))
                else:
                    content = archive.extractfile(member)
                    assert content is not None  # regular files have content
                    yield SourceFile(member.name, content.read())
                    count += 1
    except _BROKEN as reason:
        yield Unreadable(place.name, f"archive damaged or cut short after {count} files ({_short(reason)})")


def _read_zip(place: Path, suffix: str) -> Iterator[SourceFile | Unreadable]:
    try:
        with zipfile.ZipFile(place) as archive:
            for member in archive.infolist():
                _refuse_escape(place, member.filename)
                if not member.filename.endswith(suffix):
                    continue
                if member.file_size > SIZE_LIMIT:
                    yield Unreadable(member.filename, _too_large(member.file_size))
                    continue
                try:
                    with archive.open(member) as content:
                        data = content.read(SIZE_LIMIT + 1)  # the size in the header may lie
                except _BROKEN as reason:
                    yield Unreadable(member.filename, f"damaged ({_short(reason)})")
                    continue
                if len(data) > SIZE_LIMIT:
                    yield Unreadable(member.filename, _too_large(len(data)))
                else:
                    yield SourceFile(member.filename, data)
    except _BROKEN as reason:
        yield Unreadable(place.name, f"archive damaged or cut short ({_short(reason)})")


def _refuse_escape(place: Path, name: str) -> None:
    """Nothing is unpacked, so such a path could do no harm here; but no honest copy of the data has one."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        raise UserError(
            f"{place} contains the path {name!r} that leaves its folder: do not trust this archive"
        )


def _short(reason: BaseException) -> str:
    return (str(reason) or type(reason).__name__).splitlines()[0][:120]
