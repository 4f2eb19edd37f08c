"""Where the IAM On-Line Handwriting Database lies, and its files one by one.

The owner ships `lineStrokes-all` and `ascii-all` as archives and four split files beside them. Archives
are read where they are, nothing is unpacked to disk; an unpacked tree is read as well.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from graves_lm.data.archives import Bounds, SourceFile, Unreadable, read_archive, shown, too_large
from graves_lm.runtime.errors import UserError

SETS = ("trainset", "testset_v", "testset_t", "testset_f")
ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".zip")
SIZE_LIMIT = 4 * 2**20  # bytes; the largest line of the database has 105,268
TOTAL_LIMITS = {".xml": 2**30, ".txt": 2**26}  # bytes of an archive; the database's have 434 and 0.55 million
ENTRIES_LIMIT = 50_000  # files and folders of an archive; the database's have 14,055 and 3,907


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
    root = Path(os.path.expanduser(source))
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
    else:
        bounds = Bounds(SIZE_LIMIT, TOTAL_LIMITS[suffix], ENTRIES_LIMIT)
        yield from read_archive(place, lambda name: name.endswith(suffix), bounds)


def read_small_file(path: Path) -> str:
    """A list that lies beside the archives (split file, suspects, writers), latin-1."""
    if path.stat().st_size > SIZE_LIMIT:
        raise UserError(f"{path} is {too_large(path.stat().st_size, SIZE_LIMIT)}: is it the right file?")
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


def _read_folder(place: Path, suffix: str) -> Iterator[SourceFile | Unreadable]:
    for folder, subfolders, files in os.walk(place):
        subfolders.sort()
        for file in sorted(f for f in files if f.endswith(suffix)):
            path = Path(folder, file)
            name = shown(path.relative_to(place.parent).as_posix())
            try:
                if not path.resolve().is_relative_to(place.resolve()):
                    yield Unreadable(name, "is a link that leaves the folder")
                elif not path.is_file():  # a pipe would block for ever
                    yield Unreadable(name, "is not a regular file")
                elif (size := path.stat().st_size) > SIZE_LIMIT:
                    yield Unreadable(name, too_large(size, SIZE_LIMIT))
                else:
                    yield SourceFile(name, path.read_bytes())
            except OSError as reason:
                yield Unreadable(name, reason.strerror or str(reason))
