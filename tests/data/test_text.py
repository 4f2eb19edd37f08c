"""The text corpora, on small files of our own in their owners' formats."""

import hashlib
import http.server
import io
import json
import os
import re
import string
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from warnings import catch_warnings

import numpy as np
import pytest

from graves_lm.data.cache_folder import StoredArray
from graves_lm.data.symbols import Symbols, codes_of
from graves_lm.data.text import corpus as text
from graves_lm.data.text import enwik8 as text_enwik8
from graves_lm.data.text.corpus import SPLITS, TextCorpus, cut
from graves_lm.data.text.enwik8 import Enwik8, download
from graves_lm.data.text.file import TextFile, codes_in
from graves_lm.data.text.ptb import PennTreebank
from graves_lm.data.text.stdlib import StdlibText
from graves_lm.runtime.errors import UserError

PTB_WORDS = {
    "train": " the cat sat \n the <unk> N sat \n",
    "valid": " the N sat \n",
    "test": " the cat \n the cat \n",
}


def ready(data: TextCorpus) -> TextCorpus:
    data.prepare()
    data.open()
    return data


def text_of(data: TextCorpus, split: str) -> str:
    return data.symbols.decode(data.sequence(split))


def refuse(data: TextCorpus) -> str:
    """The message of the error when `data` is prepared, after which no cache, whole or partial, is left."""
    with pytest.raises(UserError) as caught:
        data.prepare()
    if data.cache_dir.exists():
        left = [p for p in data.cache_dir.iterdir() if p.suffix not in (".lock", ".zip")]
        assert left == []
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- any file -------------------------------------------------------------------------------------


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_file_by_characters(tmp_path):
    text = "".join(f"{i} grün 日本\n" for i in range(100))
    data = ready(TextFile(source=write(tmp_path / "a.txt", text), cache_dir=tmp_path / "cache"))
    assert data.symbols.items == sorted(set(text))
    parts = {split: text_of(data, split) for split in SPLITS}
    assert "".join(parts.values()) == text
    assert [len(p) for p in parts.values()] == [981, 55, 54]  # of 1090
    assert data.training_sequences == len(parts["train"]) // 100


def test_a_file_by_bytes_need_not_be_utf8(tmp_path):
    content = bytes(range(256)) * 10
    file = write(tmp_path / "a.bin", content)
    data = ready(TextFile(source=file, unit="byte", shares=(0.5, 0.3, 0.2), cache_dir=tmp_path / "cache"))
    assert len(data.symbols) == 256
    assert [len(data.sequence(s)) for s in SPLITS] == [1280, 768, 512]
    joined = b"".join(data.symbols.piece(i) for s in SPLITS for i in data.sequence(s))
    assert joined == content
    message = refuse(TextFile(source=file, cache_dir=tmp_path / "cache2"))
    assert "a NUL at byte 0: not a UTF-8 text" in message
    assert "data.unit=byte" in message


def test_files_of_their_own_for_the_splits(tmp_path):
    files = {
        s: str(write(tmp_path / f"{s}.txt", t)) for s, t in zip(SPLITS, ("abc\n", "cab", "bb"), strict=True)
    }
    common = {"source": files["train"], "cache_dir": tmp_path / "cache", "val_source": files["val"]}
    three = ready(TextFile(**common, test_source=files["test"]))
    assert [text_of(three, s) for s in SPLITS] == ["abc\n", "cab", "bb"]
    two = ready(TextFile(**common))
    assert [text_of(two, s) for s in SPLITS] == ["abc\n", "cab", "cab"]


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_an_unknown_symbol_in_a_held_out_file(tmp_path, held_out):
    known, unknown = write(tmp_path / "k.txt", "abc\n"), write(tmp_path / "u.txt", "abxc")
    chosen = {"val_source": str(known), "test_source": str(known), f"{held_out}_source": str(unknown)}
    message = refuse(TextFile(source=known, cache_dir=tmp_path / "cache", **chosen))
    assert message.startswith(f"{unknown}: 'x' at position 2 is not among the model's 4 symbols")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", "holds 1 different symbol"),
        (b"ab", "the val split is empty"),
        (b"caf\xe9 au lait", "not UTF-8 at byte 3"),
        (b"\xef\xbb\xbf", "holds 0 different symbol"),
        (b"h\0e\0l\0l\0o\0", "a NUL at byte 1: not a UTF-8 text, perhaps UTF-16"),
        (b"\xff\xfeh\0e\0", "a NUL at byte 3"),
        (b"\xed\xa0\x80 half of a pair", "not UTF-8 at byte 0"),
        (b"cut in a character \xe2\x82", "not UTF-8 at byte 19"),
    ],
)
def test_files_that_cannot_be_learned_from(tmp_path, content, expected):
    file = write(tmp_path / "a.txt", content)
    assert expected in refuse(TextFile(source=file, cache_dir=tmp_path / "cache"))


def test_missing_files_are_named_with_their_setting(tmp_path):
    here = write(tmp_path / "a.txt", "abc\n")
    cache = tmp_path / "cache"
    assert refuse(TextFile(cache_dir=cache)).startswith("data=textfile needs data.source=FILE")
    gone = tmp_path / "gone.txt"
    assert refuse(TextFile(source=gone, cache_dir=cache)) == f"data.source={gone}: no such file"
    held_out = TextFile(source=here, val_source=str(gone), cache_dir=cache)
    assert refuse(held_out) == f"data.val_source={gone}: no such file"
    blocked = TextFile(source=here, cache_dir=here / "cache")
    with pytest.raises(UserError, match=r"^data\.cache_dir="):
        blocked.prepare()


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    file = write(tmp_path / "a.txt", "\ufeffabc\ufeff" * 20)
    data = ready(TextFile(source=file, cache_dir=tmp_path / "cache"))
    assert text_of(data, "train").startswith("abc\ufeff\ufeffabc")
    assert sum(data.card["counts"].values()) == 99
    bytewise = ready(TextFile(source=file, unit="byte", cache_dir=tmp_path / "cache"))
    assert bytewise.sequence("train")[:2].tolist() == [bytewise.symbols.items.index(b) for b in (0xEF, 0xBB)]


@pytest.mark.parametrize("setting", ["source", "val_source", "test_source"])
def test_what_is_no_regular_file_is_not_read(tmp_path, setting):
    here, pipe = write(tmp_path / "a.txt", "abc\n" * 50), tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        places = {"source": here, "val_source": str(here), "test_source": str(here)} | {setting: str(path)}
        message = refuse(TextFile(cache_dir=tmp_path / "cache", **places))
        assert message == f"data.{setting}={path}: not a regular file"


def test_a_file_of_a_size_that_no_text_has(tmp_path):
    file = write(tmp_path / "a.txt", "abc\n")
    os.truncate(file, 2**34 + 1)
    assert "larger than 17,179,869,184 bytes" in refuse(TextFile(source=file, cache_dir=tmp_path / "cache"))


def test_a_text_of_more_characters_than_a_network_can_be_given(tmp_path):
    file = write(tmp_path / "a.txt", "".join(map(chr, range(0xE000, 0x1F001))))
    message = refuse(TextFile(source=file, cache_dir=tmp_path / "cache"))
    assert "holds 69,633 different characters, more than the 65,536" in message


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path, monkeypatch):
    file = write(tmp_path / "a.txt", "abc" * 50)
    seen = Symbols.seen

    def then_cut(*args):
        found = seen(*args)
        os.truncate(file, 60)
        return found

    monkeypatch.setattr(Symbols, "seen", then_cut)
    message = refuse(TextFile(source=file, cache_dir=tmp_path / "cache"))
    assert "the text became shorter while it was read" in message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"unit": "word"}, "data.unit=word"),
        ({"shares": (0.9, 0.1, 0.0)}, "data.shares="),
        ({"shares": (0.5, 0.3, 0.3)}, "data.shares="),
        ({"shares": (0.9, 0.1)}, "data.shares="),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"length": 0}, "data.length=0"),
        ({"length": "abc"}, "data.length=abc"),
        ({"eval_batch_size": -1}, "data.eval_batch_size=-1"),
        ({"warm_up": -1}, "data.warm_up=-1"),
        ({"reset_every": 0}, "data.reset_every=0"),
    ],
)
def test_impossible_settings_are_named(settings, named):
    with pytest.raises(UserError) as caught:
        TextFile(**settings)
    assert str(caught.value).startswith(named)


def test_a_byte_order_or_character_across_the_pieces_read(tmp_path, monkeypatch):
    monkeypatch.setattr("graves_lm.data.text.file._CHUNK", 3)
    text = "aé日😀b" * 5
    file = write(tmp_path / "a.txt", text)
    pieces = list(codes_in(file, "character"))
    assert max(map(len, pieces)) <= 3
    assert np.array_equal(np.concatenate(pieces), codes_of(text, "character"))
    for at in (0, 1, 3, 6, 10, 11, 12, 25, 43, 54, 55):  # before a character
        broken = text.encode()[:at] + b"\xff" + text.encode()[at:]
        with pytest.raises(UserError, match=f"not UTF-8 at byte {at};"):
            list(codes_in(write(tmp_path / "b.txt", broken), "character"))


def test_the_cache_follows_the_file_and_the_settings(tmp_path):
    file = write(tmp_path / "a.txt", "abcabc" * 10)
    common = {"source": file, "cache_dir": tmp_path / "cache"}
    first = ready(TextFile(**common)).cache
    assert TextFile(**common, batch_size=3, length=9).cache == first  # neither changes what is kept
    assert TextFile(**common, unit="byte").cache != first
    assert TextFile(**common, shares=(0.8, 0.1, 0.1)).cache != first
    write(file, "abcdabcd" * 10)
    changed = ready(TextFile(**common))
    assert changed.cache != first
    assert changed.symbols.items == ["a", "b", "c", "d"]


def test_caches_stay_on_the_disk_and_are_small(tmp_path):
    file = write(tmp_path / "a.txt", "abcdé\n" * 1000)
    data = ready(TextFile(source=file, cache_dir=tmp_path / "cache"))
    for split in SPLITS:
        assert isinstance(data.sequence(split), StoredArray)
        assert data.sequence(split).dtype == np.uint8
        assert not data.sequence(split)[:5].flags.writeable
    assert isinstance(data.training_batches().sequence, StoredArray)


def test_a_prepared_corpus_is_not_built_again(tmp_path, monkeypatch):
    data = TextFile(source=write(tmp_path / "a.txt", "abc" * 50), cache_dir=tmp_path / "cache")
    data.prepare()
    monkeypatch.setattr(TextFile, "encode_splits", lambda self: pytest.fail("built twice"))
    data.prepare()


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path):
    data = TextFile(source=write(tmp_path / "a.txt", "abc" * 50), cache_dir=tmp_path / "cache")
    partial = data.cache.with_name(f".{data.cache.name}.partial")
    partial.mkdir(parents=True)
    write(partial / "train.npy", "half of it")
    write(partial / "old", "")
    ready(data)
    assert not partial.exists()
    files = ["about.json", "card.json", "manifest.json", "test.npy", "train.npy", "val.npy"]
    assert sorted(p.name for p in data.cache.iterdir()) == files


def test_failing_while_writing_leaves_nothing(tmp_path, monkeypatch):
    data = TextFile(source=write(tmp_path / "a.txt", "abc" * 50), cache_dir=tmp_path / "cache")
    write_array, calls = text.write_array, []

    def full_disk(path, *array):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write_array(path, *array)

    monkeypatch.setattr(text, "write_array", full_disk)
    expected = (
        rf"^data\.cache_dir={data.cache_dir}: no cache can be written \(No space left.*; make room there"
    )
    with pytest.raises(UserError, match=expected):
        data.prepare()
    assert [p.name for p in data.cache_dir.iterdir() if p.suffix != ".lock"] == []
    monkeypatch.undo()
    assert text_of(ready(data), "val").strip("abc") == ""


def test_threads_preparing_at_once_build_once(tmp_path, monkeypatch):
    file = write(tmp_path / "a.txt", "abcd" * 500)
    built, encode = [], TextFile.encode_splits
    start = threading.Barrier(4)

    def counted(self):
        built.append(self)
        return encode(self)

    monkeypatch.setattr(TextFile, "encode_splits", counted)

    def prepare():
        data = TextFile(source=file, cache_dir=tmp_path / "cache")
        start.wait()
        data.prepare()
        done.append(data)

    done: list[TextFile] = []
    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert len(built) == 1
    assert len(text_of(ready(done[0]), "train")) == 1800


def _prepare_at(file: Path, cache: Path, start) -> None:
    data = TextFile(source=file, cache_dir=cache)
    start.wait()
    data.prepare()
    data.open()
    assert len(data.sequence("train")) == 1800


@pytest.mark.slow
def test_processes_preparing_at_once(tmp_path):
    context = get_context("spawn")
    start = context.Barrier(2)
    file = write(tmp_path / "a.txt", "abcd" * 500)
    processes = [context.Process(target=_prepare_at, args=(file, tmp_path / "c", start)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0, 0]
    assert len([p for p in (tmp_path / "c").iterdir() if p.suffix != ".lock"]) == 1


@pytest.mark.parametrize("unit", ["byte", "character"])
def test_memory_while_encoding_a_large_file_is_that_of_its_pieces(tmp_path, unit):
    size = 20_000_000
    values = np.random.default_rng(0).integers(32, 127, size, dtype=np.uint8)
    file = write(tmp_path / "a.txt", values.tobytes())
    data = TextFile(source=file, unit=unit, cache_dir=tmp_path / "cache")
    tracemalloc.start()
    try:
        data.prepare()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000  # a few pieces, however large the file is
    data.open()
    found = np.array(data.symbols.items if unit == "byte" else [ord(c) for c in data.symbols.items])
    assert np.array_equal(found[data.sequence("val")[:]], values[round(0.9 * size) : round(0.95 * size)])


# --- loaders --------------------------------------------------------------------------------------


def test_training_goes_through_the_whole_text(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    file = write(tmp_path / "a.txt", text)
    data = ready(TextFile(source=file, cache_dir=tmp_path / "c", batch_size=3, length=7, reset_every=4))
    batches = list(data.training_batches())
    rows = np.concatenate([b.symbol_TB.numpy() for b in batches])
    scored = np.concatenate([b.scored_TB.numpy() for b in batches])
    assert data.symbols.decode(rows.T[scored.T]) == text[:900]
    assert [b.reset for b in batches[:5]] == [True, False, False, False, True]


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("n", [20, 300, 3000, 30_000])
def test_every_held_out_symbol_counts_once_however_short_the_text(tmp_path, split, n):
    file = write(tmp_path / "a.txt", ("abcde" * n)[:n])
    data = ready(TextFile(source=file, cache_dir=tmp_path / "c", warm_up=50, eval_batch_size=8))
    batches = list(data.evaluation_batches(split))
    rows = np.concatenate([b.symbol_TB.numpy() for b in batches])
    scored = np.concatenate([b.scored_TB.numpy() for b in batches])
    assert data.symbols.decode(rows.T[scored.T]) == text_of(data, split)
    assert rows.shape[1] == min(8, max(1, n // 20 // 100))


def test_too_many_streams_are_told_the_setting_and_the_split(tmp_path):
    data = ready(
        TextFile(source=write(tmp_path / "a.txt", "ab" * 50), cache_dir=tmp_path / "c", batch_size=91)
    )
    with pytest.raises(
        UserError, match=r"^data=textfile, training text: 90 symbols .* 91 are needed.*batch_size"
    ):
        data.training_batches()


def test_a_text_is_given_in_the_symbols_of_who_reads_it(tmp_path):
    data = ready(TextFile(source=write(tmp_path / "a.txt", "abcab" * 50), cache_dir=tmp_path / "c"))
    own, more = data.symbols, Symbols("character", ["d", "c", "b", "a"])
    before = np.asarray(data.sequence("train")[:])
    data.read_as({"symbols": more})
    assert data.facts() == {"symbols": more}
    after = data.sequence("train")
    assert len(after) == len(before)
    assert more.decode(after[:20]) == own.decode(before[:20])
    assert int(after[3]) == more.items.index(own.items[int(before[3])])
    data.read_as({"symbols": own})
    assert (np.asarray(data.sequence("train")[:]) == before).all()


def test_symbols_of_another_checkpoint_are_refused(tmp_path):
    data = ready(TextFile(source=write(tmp_path / "a.txt", "abc" * 50), cache_dir=tmp_path / "c"))
    assert data.facts() == {"symbols": Symbols("character", ["a", "b", "c"])}
    data.read_as(data.facts())
    with pytest.raises(UserError, match=r"has 'c', which the model has not learned .3 against 2"):
        data.read_as({"symbols": Symbols("character", ["a", "b"])})
    with pytest.raises(UserError, match="symbol set is not"):
        data.read_as({"symbols": Symbols("byte", [97, 98, 99])})


def test_summary_shows_counts_and_symbols(tmp_path):
    data = ready(TextFile(source=write(tmp_path / "a.txt", "ab\n" * 1000), cache_dir=tmp_path / "c"))
    lines = data.summary().splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["train", "2,700", "symbols"],
        ["val", "150", "symbols"],
        ["test", "150", "symbols"],
    ]
    assert lines[4] == "3 characters: \\nab"
    assert lines[5].endswith(str(data.cache))


def test_symbols_are_known_after_opening_only(tmp_path):
    data = TextFile(source=tmp_path / "a.txt")
    with pytest.raises(RuntimeError, match="open"):
        _ = data.symbols


@pytest.mark.parametrize("n", [1, 10, 99, 1234])
def test_cut_keeps_every_symbol_in_order(n):
    sequence = np.arange(n)
    parts = cut(sequence, (0.9, 0.05, 0.05))
    assert np.array_equal(np.concatenate([parts[s] for s in SPLITS]), sequence)
    two = cut(sequence, (0.96, 0.04))
    assert np.array_equal(np.concatenate([two["train"], two["val"]]), sequence)
    assert np.array_equal(two["val"], two["test"])


# --- Penn Treebank --------------------------------------------------------------------------------


def as_characters(words: str) -> str:
    """As in the owner's ptb.char files: symbols separated by spaces, `_` for the space."""
    lines = [" ".join(line.strip().replace(" ", "_")) + " \n" for line in words.splitlines()]
    return "".join(lines)


def ptb_files() -> dict[str, bytes]:
    files = {f"ptb.{s}.txt": t.encode() for s, t in PTB_WORDS.items()}
    return files | {f"ptb.char.{s}.txt": as_characters(t).encode() for s, t in PTB_WORDS.items()}


def write_ptb(folder: Path, kind: str, files: dict[str, bytes] | None = None) -> Path:
    """The corpus as an owner may have it; returns what `data.source` is to be."""
    files = ptb_files() if files is None else files
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        (folder / "simple-examples" / "data").mkdir(parents=True)
        for name, content in files.items():
            write(folder / "simple-examples" / "data" / name, content)
        return folder
    archive = folder / "simple-examples.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./simple-examples/data/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return archive if kind == "archive" else folder


@pytest.mark.parametrize("kind", ["archive", "folder of the archive", "folder"])
def test_ptb_characters(tmp_path, kind):
    source = write_ptb(tmp_path / "ptb", kind)
    data = ready(PennTreebank(source=source, cache_dir=tmp_path / "cache"))
    assert text_of(data, "train") == "the cat sat\nthe <unk> N sat\n"
    assert text_of(data, "val") == "the N sat\n"
    assert text_of(data, "test") == "the cat\nthe cat\n"
    assert data.symbols.items == sorted(set("the cat sat\nthe <unk> N sat\n"))
    assert data.name == "ptb_char"


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_ptb_words(tmp_path, kind):
    source = write_ptb(tmp_path / "ptb", kind)
    data = ready(PennTreebank(level="word", source=source, cache_dir=tmp_path / "cache"))
    assert data.symbols.items == ["<eos>", "<unk>", "N", "cat", "sat", "the"]
    words = {split: [data.symbols.items[i] for i in data.sequence(split)] for split in SPLITS}
    assert words["train"] == ["the", "cat", "sat", "<eos>", "the", "<unk>", "N", "sat", "<eos>"]
    assert words["val"] == ["the", "N", "sat", "<eos>"]
    assert words["test"] == ["the", "cat", "<eos>", "the", "cat", "<eos>"]


def test_ptb_levels_do_not_share_a_cache(tmp_path):
    source = write_ptb(tmp_path / "ptb", "archive")
    caches = {PennTreebank(level=level, source=source).cache for level in ("char", "word")}
    assert len(caches) == 2


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_ptb_word_unknown_in_a_held_out_file(tmp_path, kind):
    files = ptb_files() | {"ptb.test.txt": b" the cat \n the dog \n"}
    source = write_ptb(tmp_path / "ptb", kind, files)
    message = refuse(PennTreebank(level="word", source=source, cache_dir=tmp_path / "cache"))
    assert message.startswith("ptb.test.txt: word 'dog' at position 4")


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_ptb_unusable_sources(tmp_path, kind):
    def message_of(files):
        where = tmp_path / f"source{len(list(tmp_path.iterdir()))}"
        return refuse(PennTreebank(source=write_ptb(where, kind, files), cache_dir=tmp_path / "cache"))

    without = {n: c for n, c in ptb_files().items() if n != "ptb.char.valid.txt"}
    assert "ptb.char.valid.txt" in message_of(without)
    latin = message_of(ptb_files() | {"ptb.char.valid.txt": "t h é\n".encode("latin-1")})
    assert "not a readable" in latin or "not readable text" in latin


@pytest.mark.parametrize("how", ["bomb", "large", "twice", "link", "path", "pipe"])
def test_ptb_of_strangers(tmp_path, how):
    files = [(f"data/{name}", content) for name, content in ptb_files().items()]
    first = files[0][0].replace("ptb.train", "ptb.char.train")
    if how == "bomb":
        files.insert(0, ("models/rnn", bytes(600_000_000)))
    elif how in ("large", "twice"):
        files.insert(0, (first, bytes(40_000_000 if how == "large" else 5)))
    elif how == "path":
        files.insert(0, ("../../etc/cron.d/x", b""))
    archive = tmp_path / "simple-examples.tgz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if how == "link" and name == first:
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
            packed.addfile(member, io.BytesIO(content))
    if how == "pipe":
        archive.unlink()
        os.mkfifo(archive)
    message = refuse(PennTreebank(source=archive, cache_dir=tmp_path / "cache"))
    expected = {
        "bomb": "not a readable simple-examples.tgz .*it unpacks to far more",
        "large": "not a readable simple-examples.tgz .*40,000,000 bytes, more than",
        "twice": "not a readable simple-examples.tgz .*(a second time|ptb.char.train.txt)|is in it twice",
        "link": "not a readable simple-examples.tgz .*is a link or device",
        "path": "do not trust this archive",
        "pipe": "no such file or folder",
    }
    assert re.search(expected[how], message)


def test_ptb_files_of_strangers(tmp_path):
    source = write_ptb(tmp_path / "ptb", "folder")
    file = next(source.rglob("ptb.char.train.txt"))
    file.unlink()
    os.mkfifo(file)
    expected = "not a file of at most 33,554,432 bytes"
    assert expected in refuse(PennTreebank(source=source, cache_dir=tmp_path / "cache"))
    file.unlink()
    os.truncate(write(file, "a"), 2**40)
    assert expected in refuse(PennTreebank(source=source, cache_dir=tmp_path / "cache"))


def test_ptb_source_missing(tmp_path):
    cache = tmp_path / "cache"
    assert refuse(PennTreebank(cache_dir=cache)).startswith("data=ptb_char needs data.source=PATH")
    gone = tmp_path / "gone"
    assert refuse(PennTreebank(source=gone, cache_dir=cache)).startswith(f"data.source={gone}: no such")
    gone.mkdir()
    assert "neither simple-examples.tgz nor the files" in refuse(PennTreebank(source=gone, cache_dir=cache))


def test_ptb_archive_damaged(tmp_path):
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list(string.ascii_lowercase + " "), 40_000))
    archive = write_ptb(tmp_path / "ptb", "archive", ptb_files() | {"ptb.char.train.txt": text.encode()})
    whole = archive.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(255 - b for b in whole[middle : middle + 64]) + whole[middle + 64 :]
    for damaged in (whole[:middle], whole[:5], b"", b"not an archive", flipped):
        archive.write_bytes(damaged)
        message = refuse(PennTreebank(source=archive, cache_dir=tmp_path / "cache"))
        assert message.startswith(f"data.source={archive}: ")
        assert "not a readable simple-examples.tgz" in message or message.endswith("is it whole?")


# --- enwik8 ---------------------------------------------------------------------------------------


@pytest.fixture
def content() -> bytes:
    """Stands for enwik8: 5000 bytes with 205 different values."""
    values = np.random.default_rng(0).integers(0, 205, 5000).astype(np.uint8)
    values[:205] = np.arange(205)
    return values.tobytes()


@pytest.fixture
def as_enwik8(monkeypatch, content: bytes) -> bytes:
    monkeypatch.setattr(text_enwik8, "SIZE", len(content))
    monkeypatch.setattr(text_enwik8, "MD5", hashlib.md5(content).hexdigest())
    return content


def zipped(file: Path, content: bytes, name: str = "enwik8") -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file


@pytest.mark.parametrize(("split", "sizes"), [("paper", [4800, 200, 200]), ("standard", [4500, 250, 250])])
@pytest.mark.parametrize("kind", ["file", "zip", "folder", "folder with the zip"])
def test_enwik8_splits(tmp_path, as_enwik8, split, sizes, kind):
    folder = tmp_path / "source"
    folder.mkdir()
    file = zipped(folder / "enwik8.zip", as_enwik8) if "zip" in kind else write(folder / "enwik8", as_enwik8)
    source = folder if "folder" in kind else file
    data = ready(Enwik8(split=split, source=source, cache_dir=tmp_path / "cache"))
    parts = {s: b"".join(data.symbols.piece(i) for i in data.sequence(s)) for s in SPLITS}
    assert [len(parts[s]) for s in SPLITS] == sizes
    assert parts["train"] + parts["val"] + (b"" if split == "paper" else parts["test"]) == as_enwik8
    assert len(data.symbols) == 205
    assert data.about["about"] == f"enwik8; split '{split}'"


def test_enwik8_prefix_keeps_the_proportions_and_says_so(tmp_path, as_enwik8):
    write(tmp_path / "enwik8.prefix", as_enwik8[:1000])
    data = ready(Enwik8(source=tmp_path, cache_dir=tmp_path / "cache"))
    assert [len(data.sequence(s)) for s in SPLITS] == [960, 40, 40]
    assert "a PREFIX of enwik8, 1,000 of 5,000 bytes" in data.summary()


def test_enwik8_wrong_content(tmp_path, as_enwik8):
    cache = tmp_path / "cache"
    wrong = write(tmp_path / "enwik8", as_enwik8[:-1] + b"\xcb")
    assert "wrong checksum" in refuse(Enwik8(source=wrong, cache_dir=cache))
    longer = write(tmp_path / "longer", as_enwik8 + b"a")
    assert "5,001 bytes, enwik8 has 5,000" in refuse(Enwik8(source=longer, cache_dir=cache))
    empty = write(tmp_path / "empty", b"")
    assert "the file is empty" in refuse(Enwik8(source=empty, cache_dir=cache))
    other = zipped(tmp_path / "other.zip", as_enwik8, name="enwik9")
    assert "not the zip of enwik8" in refuse(Enwik8(source=other, cache_dir=cache))


def test_enwik8_damaged_zip(tmp_path, as_enwik8):
    whole = zipped(tmp_path / "enwik8.zip", as_enwik8).read_bytes()
    for at, end in ((2000, None), (2000, 2064), (60, 70)):
        changed = whole[:at] if end is None else whole[:at] + bytes(end - at) + whole[end:]
        file = write(tmp_path / "enwik8.zip", changed)
        assert "delete it and prepare again" in refuse(Enwik8(source=file, cache_dir=tmp_path / "cache"))


@pytest.mark.parametrize("how", ["bomb", "twice", "encrypted", "method", "nested", "link", "device"])
def test_enwik8_of_strangers(tmp_path, as_enwik8, how):
    file = tmp_path / "enwik8.zip"
    if how == "bomb":
        zipped(file, bytes(50_000_000))
    elif how == "nested":
        zipped(file, zipped(tmp_path / "inner.zip", as_enwik8).read_bytes(), name="enwik8.zip")
    elif how == "device":
        file.symlink_to("/dev/zero")
    else:
        zipped(file, as_enwik8)
    if how == "twice":
        with catch_warnings(action="ignore"), zipfile.ZipFile(file, "a") as archive:
            archive.writestr("enwik8", b"other")
    elif how in ("encrypted", "method"):
        data = bytearray(file.read_bytes())
        data[data.index(b"PK\1\2") + (8 if how == "encrypted" else 10)] |= 1 if how == "encrypted" else 14
        file.write_bytes(data)
    elif how == "link":
        file.rename(tmp_path / "real.zip")
        file.symlink_to("real.zip")
    data = Enwik8(source=file, cache_dir=tmp_path / "cache")
    if how == "link":
        assert len(ready(data).sequence("train")) == 4800
        return
    message = refuse(data)
    assert "not the zip of enwik8" in message or how == "device"


def test_enwik8_settings_and_places(tmp_path):
    with pytest.raises(UserError, match=r"data\.split=papr: one of paper, standard"):
        Enwik8(split="papr")
    gone = tmp_path / "gone"
    assert f"data.source={gone}: no such" in refuse(Enwik8(source=gone, cache_dir=tmp_path / "cache"))
    gone.mkdir()
    assert "no enwik8, enwik8.zip or enwik8.prefix" in refuse(
        Enwik8(source=gone, cache_dir=tmp_path / "cache")
    )


@pytest.fixture
def plain_http(monkeypatch):
    """What tests serve goes without encryption."""
    monkeypatch.setattr(text_enwik8, "SCHEMES", ("http",))


def test_enwik8_is_downloaded_once_with_progress(tmp_path, as_enwik8, monkeypatch, capfd, server, plain_http):
    _Server.zip = zipped(tmp_path / "served.zip", as_enwik8).read_bytes()
    monkeypatch.setattr(text_enwik8, "URL", f"{server}/whole")
    data = ready(Enwik8(cache_dir=tmp_path / "cache"))
    assert len(data.sequence("train")) == 4800
    assert (tmp_path / "cache" / "enwik8.zip").read_bytes() == _Server.zip
    assert "enwik8.zip: 100%" in capfd.readouterr().err
    monkeypatch.setattr(text_enwik8, "URL", f"{server}/gone")
    again = ready(Enwik8(split="standard", cache_dir=tmp_path / "cache"))  # the file is at hand
    assert len(again.sequence("train")) == 4500


def test_enwik8_that_cannot_be_fetched(tmp_path, server, monkeypatch, plain_http):
    monkeypatch.setattr(text_enwik8, "URL", f"{server}/gone")
    message = refuse(Enwik8(cache_dir=tmp_path / "cache"))
    assert "could not be fetched" in message
    assert "data.source=FILE" in message
    assert list((tmp_path / "cache").glob("*.zip")) == []


def test_a_download_that_is_not_all_of_enwik8_is_refused(
    tmp_path, server, monkeypatch, plain_http, as_enwik8
):
    _Server.zip = zipped(tmp_path / "served.zip", as_enwik8[:-1]).read_bytes()
    monkeypatch.setattr(text_enwik8, "URL", f"{server}/whole")
    assert "4,999 bytes, enwik8 has 5,000; delete it" in refuse(Enwik8(cache_dir=tmp_path / "cache"))


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves a zip, or does what servers should not."""

    protocol_version = "HTTP/1.1"
    zip = b""

    def do_GET(self) -> None:
        answer = self.path.strip("/")
        self.close_connection = True
        if answer in ("file", "ftp"):
            self.send_response(302)
            self.send_header("Location", f"{answer}:///etc/passwd")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(404 if answer == "gone" else 200)
        chunked = answer in ("chunked", "endless")
        length = {"whole": str(len(self.zip)), "gone": "0", "number": "many"}.get(answer, "1000")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", length)))
        self.end_headers()
        if answer == "whole":
            self.wfile.write(self.zip)
        elif answer == "endless":
            with suppress(OSError):
                while True:
                    self.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        elif answer != "gone":
            self.wfile.write(b"3e8\r\nhalf" if chunked else b"half")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("length", "the transfer ended early"),
        ("chunked", "could not be fetched"),
        ("number", "could not be fetched"),
        ("file", "could not be fetched .*file:"),
        ("ftp", "could not be fetched .*ftp:"),
        ("endless", "could not be fetched .it is larger than 1,000,000 bytes"),
    ],
)
@pytest.mark.usefixtures("plain_http")
def test_a_transfer_that_goes_wrong_leaves_nothing(tmp_path, server, monkeypatch, answer, expected):
    monkeypatch.setattr(text_enwik8, "LARGEST_DOWNLOAD", 1_000_000)
    folder = tmp_path / "cache"
    with pytest.raises(UserError, match=f"^{server}/{answer}: {expected}"):
        download(f"{server}/{answer}", folder / "enwik8.zip")
    assert list(folder.iterdir()) == []


def test_a_transfer_without_an_end_is_given_up(tmp_path, server, plain_http, monkeypatch):
    monkeypatch.setattr(text_enwik8, "LONGEST_DOWNLOAD", 0.0)
    with pytest.raises(UserError, match="it takes longer than"):
        download(f"{server}/endless", tmp_path / "enwik8.zip")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.zip", "file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_nothing_is_fetched_without_encryption(tmp_path, url):
    with pytest.raises(UserError, match="is not fetched by https"):
        download(url, tmp_path / "enwik8.zip")


# --- the text that is always there ----------------------------------------------------------------


def test_stdlib_text(tmp_path):
    data = ready(StdlibText(max_symbols=800_000, cache_dir=tmp_path))
    counts = data.card["counts"]
    assert sum(counts.values()) == 800_000
    assert counts["val"] == counts["test"] == 40_000
    assert data.symbols.items == sorted(set(string.printable) - set("\t\r\x0b\x0c"))
    assert "def " in text_of(data, "train") or "class" in text_of(data, "train")
    small = ready(StdlibText(max_symbols=10_000, cache_dir=tmp_path))
    assert list(small.card["counts"].values()) == [9000, 500, 500]
    assert text_of(small, "train") == text_of(data, "train")[:9000]


# --- the corpora themselves -----------------------------------------------------------------------


def owned(real_data: Path, name: str) -> Path:
    source = real_data / name
    if not source.exists():
        pytest.skip(f"{name} is not in {real_data} (set GRAVES_LM_DATA)")
    return source


def counts_of(data: TextCorpus) -> list[int]:
    counts = json.loads((data.cache / "card.json").read_text())["counts"]
    assert {s: len(data.sequence(s)[:]) for s in SPLITS} == counts
    return [counts[s] for s in SPLITS]


@pytest.mark.realdata
def test_ptb_counts_of_characters(real_data, tmp_path):
    data = ready(PennTreebank(source=owned(real_data, "ptb"), cache_dir=tmp_path))
    assert counts_of(data) == [5_017_482, 393_042, 442_423]
    assert len(data.symbols) == 50


@pytest.mark.realdata
def test_ptb_counts_of_words(real_data, tmp_path):
    data = ready(PennTreebank(level="word", source=owned(real_data, "ptb"), cache_dir=tmp_path))
    assert counts_of(data) == [929_589, 73_760, 82_430]
    assert len(data.symbols) == 10_000


@pytest.mark.realdata
def test_enwik8_counts(real_data, tmp_path):
    source = owned(real_data, "enwik8")
    if not (source / "enwik8.prefix").is_file():
        pytest.skip(f"enwik8.prefix is not in {source}")
    data = ready(Enwik8(source=source / "enwik8.prefix", cache_dir=tmp_path))
    assert counts_of(data) == [3_988_223, 166_176, 166_176]
