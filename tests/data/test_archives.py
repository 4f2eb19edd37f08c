"""Archives of strangers: bounded in memory and time, whatever they say of themselves."""

import gzip
import io
import lzma
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from warnings import catch_warnings

import pytest

from graves_lm.data.archives import Bounds, SourceFile, Unreadable, read_archive
from graves_lm.runtime.errors import UserError

BOUNDS = Bounds(file=100_000, total=1_000_000, entries=50)
KINDS = ("tar", "tar.gz", "tar.xz", "zip")
Files = list[tuple[str, bytes]]


def tar_of(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, content in members:
            if info.type in tarfile.REGULAR_TYPES:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def pack(archive: Path, files: Files) -> Path:
    """By the kind that the name says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files:
                packed.writestr(name, content)
        return archive
    return compress(archive, tar_of([(tarfile.TarInfo(name), content) for name, content in files]))


def compress(archive: Path, data: bytes) -> Path:
    how: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    archive.write_bytes(how.get(archive.suffix, bytes)(data))
    return archive


def read(archive: Path, bounds: Bounds = BOUNDS, peak: int = 12_000_000) -> list[SourceFile | Unreadable]:
    """What is found of *.txt, in little memory and time."""
    started = time.perf_counter()
    tracemalloc.start()
    try:
        found = list(read_archive(archive, lambda name: name.endswith(".txt"), bounds))
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 10
    assert all("\n" not in part for f in found if isinstance(f, Unreadable) for part in f)
    return found


def names(found: list[SourceFile | Unreadable]) -> list[str]:
    return [f.name for f in found if isinstance(f, SourceFile)]


def reasons(found: list[SourceFile | Unreadable]) -> list[str]:
    return [f.reason for f in found if isinstance(f, Unreadable)]


@pytest.fixture(params=KINDS)
def archive(request, tmp_path) -> Path:
    return tmp_path / f"a.{request.param}"


def test_the_files_that_are_asked_for(archive):
    found = read(pack(archive, [("a/1.txt", b"one"), ("a/2.xml", b"two"), ("3.txt", b"three" * 9000)]))
    assert found == [("a/1.txt", b"one"), ("3.txt", b"three" * 9000)]


@pytest.mark.parametrize("name", ["big.txt", "big.xml"])
def test_a_bomb_is_not_unpacked(archive, name):
    """30 MB in one file, asked for or not."""
    found = read(pack(archive, [("1.txt", b"one"), (name, bytes(30_000_000)), ("2.txt", b"two")]))
    assert names(found)[:1] == ["1.txt"]
    if name == "big.txt" and archive.suffix == ".zip":
        assert "30,000,000 bytes, more than the 100,000" in reasons(found)[0]
    if archive.suffix != ".zip":  # through which the way to the next file leads
        assert names(found) == ["1.txt"]
        assert "it unpacks to far more than it should" in reasons(found)[-1]


def test_many_files_that_are_too_much_together(archive):
    found = read(pack(archive, [(f"{i}.txt", bytes(99_000)) for i in range(40)]))
    assert 8 <= len(names(found)) <= 10
    assert "it unpacks to far more than it should" in reasons(found)[-1]


def test_more_entries_than_there_can_be(archive):
    found = read(pack(archive, [(f"{i}.xml", b"") for i in range(60)]))
    assert names(found) == []
    assert "more than 50 entries" in reasons(found)[0]


def test_a_file_that_is_there_twice(archive):
    with catch_warnings(action="ignore"):  # zipfile has seen it too
        pack(archive, [("1.txt", b"one"), ("1.txt", b"other")])
    found = read(archive)
    assert found[0] == ("1.txt", b"one")
    assert reasons(found) == ["it is there a second time; the first one is used"]


def test_names_are_shown_in_one_line(archive):
    found = read(pack(archive, [("a\nb\x1b[31m.txt", b"one")]))
    assert names(found) == ["a\\nb\\x1b[31m.txt"]


@pytest.mark.parametrize("name", ["../1.txt", "/1.txt", "a/../../1.txt", "C:\\1.txt", "\\\\host\\1.txt"])
def test_paths_that_leave_the_archive(archive, name):
    with pytest.raises(UserError, match="do not trust this archive"):
        read(pack(archive, [(name, b"one")]))


@pytest.mark.parametrize("keep", [0, 3, 30, 0.5, 0.95])
def test_an_archive_that_is_cut(archive, keep):
    pack(archive, [(f"{i}.txt", bytes(range(256)) * 9) for i in range(9)])
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else keep])
    found = read(archive)
    if archive.suffix != ".tar" or keep != 0.95:  # the rest of that is zeros
        assert "archive damaged or cut short" in reasons(found)[-1]
    assert all(f.data == bytes(range(256)) * 9 for f in found if isinstance(f, SourceFile))


def test_a_damaged_header_is_no_end(tmp_path):
    """For tarfile it is, and all files after it would be missing without a word."""
    archive = pack(tmp_path / "a.tar", [(f"{i}.txt", b"text" * 300) for i in range(9)])
    data = bytearray(archive.read_bytes())
    at = data.index(b"4.txt")
    data[at : at + 5] = b"5.txt"
    archive.write_bytes(data)
    found = read(archive)
    assert names(found) == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert "something follows its end" in reasons(found)[-1]


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz"])
def test_a_wrong_checksum_is_seen(tmp_path, kind):
    archive = pack(tmp_path / f"a.{kind}", [("1.txt", b"one")])
    data = bytearray(archive.read_bytes())
    data[-6] ^= 1
    archive.write_bytes(data)
    assert "archive damaged" in reasons(read(archive))[-1]


# --- tar ------------------------------------------------------------------------------------------


def special(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("1.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_not_followed(tmp_path, kind):
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar_of([(special(kind), b""), (tarfile.TarInfo("2.txt"), b"two")]))
    found = read(archive)
    assert names(found) == ["2.txt"]
    assert reasons(found) == ["is a link or device, not a regular file"]


def header_that_says(size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo("x.txt")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("packed", ["tar.gz", "tar.xz"])
def test_a_header_that_would_fill_the_memory(tmp_path, kind, packed):
    """tarfile reads extended headers whole, whatever size they say."""
    data = header_that_says(2**33, kind) + bytes(30_000_000)
    found = read(compress(tmp_path / f"a.{packed}", data), Bounds(100_000, 2**40, 50))
    assert names(found) == []
    assert "a header without an end" in reasons(found)[0]


@pytest.mark.parametrize("size", [2**40, 200_000])
def test_a_member_that_says_another_size(tmp_path, size):
    (tmp_path / "a.tar").write_bytes(header_that_says(size, tarfile.REGTYPE) + b"short")
    found = read(tmp_path / "a.tar")
    assert names(found) == []
    assert ("it unpacks to far more" if size == 2**40 else "200,000 bytes, more than") in reasons(found)[0]
    (tmp_path / "b.tar").write_bytes(header_that_says(90_000, tarfile.REGTYPE) + b"short")
    assert "archive damaged or cut short" in reasons(read(tmp_path / "b.tar"))[0]


def test_a_dictionary_that_would_fill_the_memory(tmp_path):
    """An .xz says how much memory it needs to be read."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**29}]
    tar = tar_of([(tarfile.TarInfo("1.txt"), b"one")])
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(tar, filters=filters))
    assert (
        "archive damaged or cut short after 0 files (Memory usage limit"
        in reasons(read(tmp_path / "a.tar.xz"))[0]
    )


def test_streams_of_xz_one_after_another(tmp_path):
    tar = tar_of([(tarfile.TarInfo("1.txt"), b"one" * 10_000), (tarfile.TarInfo("2.txt"), b"two")])
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(tar[:9000]) + lzma.compress(tar[9000:]) + bytes(8))
    assert names(read(tmp_path / "a.tar.xz")) == ["1.txt", "2.txt"]


def test_archives_in_an_archive_are_left_alone(archive, tmp_path):
    inner = pack(tmp_path / "inner.zip", [("1.txt", b"one")])
    assert read(pack(archive, [("inner.zip", inner.read_bytes())])) == []


# --- zip ------------------------------------------------------------------------------------------


def patched(archive: Path, central: Iterator[tuple[int, str, int]] | list[tuple[int, str, int]]) -> Path:
    """A zip whose first entry in the list of files has other numbers: (offset, format, value)."""
    data = bytearray(archive.read_bytes())
    at = data.index(b"PK\1\2")
    for offset, code, value in central:
        struct.pack_into(code, data, at + offset, value)
    archive.write_bytes(data)
    return archive


def test_a_zip_that_lies_about_the_size(tmp_path):
    archive = pack(tmp_path / "a.zip", [("1.txt", bytes(50_000_000))])
    found = read(patched(archive, [(24, "<L", 3)]))
    assert names(found) == []
    assert len(reasons(found)) == 1


def test_an_encrypted_zip(tmp_path):
    archive = pack(tmp_path / "a.zip", [("1.txt", b"one")])
    assert "damaged" in reasons(read(patched(archive, [(8, "<H", 1)])))[0]


@pytest.mark.parametrize("method", [12, 14, 9, 99])
def test_methods_of_other_zips(tmp_path, method):
    archive = pack(tmp_path / "a.zip", [("1.txt", b"one")])
    assert reasons(read(patched(archive, [(10, "<H", method)]))) == ["compressed by an unusual method"]


def test_a_zip_with_a_list_of_files_without_an_end(tmp_path):
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    entries = (entry + b"a") * 250_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entries), 4, 0)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + entries + end)
    assert "its list of files is far too long" in reasons(read(tmp_path / "a.zip"))[0]
