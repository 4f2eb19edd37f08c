"""A data cache that was damaged gives the right data or one line that says what to do, and nothing else."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from graves_lm.data import base, cache_folder
from graves_lm.data.base import Corpus
from graves_lm.data.cache_folder import BLOCK, MANIFEST, CacheFolder, DamagedCache, seal, write_array
from graves_lm.data.ink.corpus import InkData
from graves_lm.data.text.file import TextFile
from graves_lm.runtime.errors import UserError
from tests.data.cache_mutants import mutants
from tests.data.lines import make_line, write_ink

Make = Callable[[], Corpus]


@pytest.fixture
def text(tmp_path) -> Make:
    (tmp_path / "a.txt").write_text("a bite of text, byte by byte\n" * 20)
    settings: dict[str, Any] = {"batch_size": 2, "length": 20, "eval_batch_size": 2, "warm_up": 3}
    return lambda: TextFile(source=tmp_path / "a.txt", cache_dir=tmp_path / "cache", **settings)


@pytest.fixture
def pen(tmp_path) -> Make:
    write_ink(tmp_path / "ink.json", [make_line(f"note-{i}", 10 + 3 * i, "ab") for i in range(6)])
    return lambda: InkData(source=tmp_path / "ink.json", cache_dir=tmp_path / "cache", batch_size=2)


@pytest.fixture(params=["text", "pen"])
def make(request) -> Make:
    return request.getfixturevalue(request.param)


def ready(make: Make) -> Corpus:
    data = make()
    data.prepare()
    data.open()
    return data


def all_of(data: Corpus) -> list[bytes]:
    """Every number of every batch, and the facts."""
    loaders = [data.training_batches(), data.evaluation_batches("val")]
    parts = [
        part.numpy().tobytes()
        for loader in loaders
        for batch in loader
        for part in batch
        if hasattr(part, "numpy")
    ]
    facts = [json.dumps(fact.to_plain()).encode() for fact in data.facts().values()]
    return [*parts, *facts, str(data.training_sequences).encode()]


def test_any_damage_gives_the_right_data_or_one_line(make):
    data = ready(make)
    expected = all_of(data)
    refused = 0
    for what in mutants(np.random.default_rng(5), data.cache, 60):
        try:
            found = all_of(ready(make))
        except UserError as error:
            message = str(error)
            assert "\n" not in message, what
            assert f"delete the folder {data.cache} and the next command makes it again" in message, what
            assert len(message) < 600, what
            refused += 1
        else:
            assert found == expected, what
    assert refused > 30
    assert all_of(ready(make)) == expected


def test_what_the_line_says_is_true(make):
    data = ready(make)
    expected = all_of(data)
    (data.cache / "card.json").write_text("{}")
    with pytest.raises(DamagedCache, match=rf"^{data.cache}/card\.json: 2 bytes long, not "):
        ready(make)
    shutil.rmtree(data.cache)
    assert all_of(ready(make)) == expected


@pytest.mark.parametrize("key", ["counts", "symbols", "points", "normalisation", "characters"])
@pytest.mark.parametrize("value", [None, [], {}, -1, "x", {"train": -1, "val": 10**30}, [1, "ab"]])
def test_the_card_of_a_strangers_cache(make, key, value):
    """Here the checksums are right."""
    data = ready(make)
    card = json.loads((data.cache / "card.json").read_text())
    if key not in card or (key == "characters" and value == []):
        return
    card[key] = value
    (data.cache / "card.json").write_text(json.dumps(card))
    seal(data.cache)
    with pytest.raises(DamagedCache, match=rf"card\.json: .*delete the folder {data.cache} and"):
        ready(make)


def test_symbols_of_a_strangers_cache_that_there_are_not(text):
    data = ready(text)
    np.save(data.cache / "train.npy", np.full(len(data.sequence("train")), 200, np.uint8))
    seal(data.cache)
    with pytest.raises(DamagedCache, match=rf"train\.npy: symbol 200 of {len(data.symbols)}; "):
        all_of(ready(text))


def test_a_manifest_names_no_file_outside(text, tmp_path):
    data = ready(text)
    manifest = json.loads((data.cache / MANIFEST).read_text())
    manifest["files"]["../a.txt"] = {"bytes": 1, "sha256": ["0" * 64]}
    (data.cache / MANIFEST).write_text(json.dumps(manifest))
    assert all_of(ready(text)) == all_of(data)  # nobody asks for it


def test_a_huge_manifest_is_not_read(text):
    data = ready(text)
    os.truncate(data.cache / MANIFEST, 10**12)
    with pytest.raises(
        DamagedCache, match=r"manifest\.json: 1,000,000,000,000 bytes long, which is too much"
    ):
        ready(text)


# --- in the middle of a run -----------------------------------------------------------------------


def test_a_cache_that_goes_away_in_mid_run_is_still_read(make):
    data, other = ready(make), ready(make)
    shutil.rmtree(data.cache)
    assert all_of(data) == all_of(other)


@pytest.mark.parametrize("name", ["val.npy", "points.npy"])
@pytest.mark.parametrize("how", ["cut", "changed", "zeros"])
def test_a_cache_that_changes_in_mid_run(make, name, how):
    """Mapped into memory, the first is a signal and the others other data."""
    data = ready(make)
    path = data.cache / name
    if not path.exists():
        return
    all_of(data)
    whole = path.read_bytes()
    if how == "cut":
        os.truncate(path, 0)
    else:
        with open(path, "r+b") as file:
            file.seek(len(whole) - 4)
            file.write(bytes(4) if how == "zeros" else bytes(255 - b for b in whole[-4:]))
    if path.read_bytes() == whole:
        return
    with pytest.raises(DamagedCache, match=f"{name}: (shorter than it was|its content is not what was)"):
        all_of(data)
    path.write_bytes(whole)
    all_of(data)


def test_a_cache_that_was_touched_is_what_it_was(make):
    data = ready(make)
    expected = all_of(data)
    for path in data.cache.iterdir():
        os.utime(path)
    assert all_of(data) == expected


# --- stored arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5, BLOCK - 128, BLOCK - 127, 3 * BLOCK + 17])
def test_an_array_is_what_was_written(tmp_path, count):
    values = np.random.default_rng(0).integers(0, 60_000, count, dtype=np.uint16)
    write_array(tmp_path / "a.npy", np.dtype(np.uint16), [values[:3], values[3:3], values[3:]])
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)
    seal(tmp_path)
    stored = CacheFolder(tmp_path).array("a.npy", "u")
    assert len(stored) == count
    for first, last in (
        (0, count),
        (1, 4),
        (count - 2, count),
        (-3, None),
        (BLOCK // 2 - 70, BLOCK // 2 - 60),
    ):
        assert np.array_equal(stored[first:last], values[first:last])
    assert np.array_equal(np.asarray(stored), values)
    if count:
        assert (stored[0], stored[-1]) == (values[0], values[-1])
    with pytest.raises(IndexError):
        stored[count]


def test_only_what_is_read_is_compared_and_each_once(tmp_path, monkeypatch):
    write_array(tmp_path / "a.npy", np.dtype(np.uint8), [np.zeros(5 * BLOCK, np.uint8)])
    seal(tmp_path)
    compared, digest = [], cache_folder.hashlib.sha256
    monkeypatch.setattr(
        cache_folder.hashlib, "sha256", lambda data: compared.append(len(data)) or digest(data)
    )
    stored = CacheFolder(tmp_path).array("a.npy", "u")
    for _ in range(3):
        stored[2 * BLOCK : 2 * BLOCK + 10]
    assert compared == [BLOCK, BLOCK]  # the header's, and that
    with open(tmp_path / "a.npy", "r+b") as file:
        file.seek(4 * BLOCK)
        file.write(b"x")
    stored[BLOCK : BLOCK + 10]
    with pytest.raises(DamagedCache, match="not what was written"):
        stored[4 * BLOCK - 200 : 4 * BLOCK]


# --- what a run remembers of its data -------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_data_wherever_they_are(tmp_path):
    prints = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{place}.txt").write_text("abc" * 50)
        write_ink(tmp_path / place / "ink.json", [make_line(f"n{i}", 9 + i, "ab") for i in range(4)])
        source, cache = tmp_path / place / f"{place}.txt", tmp_path / place / "cache"
        pens = InkData(source=tmp_path / place / "ink.json", cache_dir=cache)
        modules = [TextFile(source=source, cache_dir=cache), pens]
        for data in modules:
            data.prepare()
            data.open()
        prints.add(tuple(data.fingerprint() for data in modules))
    assert len(prints) == 1
    assert len(set(prints.pop())) == 2


def test_other_data_of_the_same_symbols_have_another_fingerprint(tmp_path):
    prints = []
    for text in ("abc" * 50, "acb" * 50, "abc" * 51):
        (tmp_path / "a.txt").write_text(text)
        data = ready(lambda: TextFile(source=tmp_path / "a.txt", cache_dir=tmp_path / "cache"))
        prints.append(data.fingerprint())
    assert len(set(prints)) == 3


def test_the_fingerprint_of_a_damaged_cache_is_refused(make):
    data = ready(make)
    before = data.fingerprint()
    for name in data.content:
        path = data.cache / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(DamagedCache, match=f"{name}: its content is not what was written"):
            data.fingerprint()
        path.write_bytes(whole)
    assert data.fingerprint() == before


# --- building -------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_killed_commands_left_is_removed(make, tmp_path, caplog):
    data = make()
    for name in (data.cache.name, "iam-0123456789ab"):
        partial = tmp_path / "cache" / f".{name}.partial"
        (partial / "deep").mkdir(parents=True)
        (partial / "points.npy").write_text("half of it")
        partial.with_suffix(".lock").touch()
    with caplog.at_level("INFO"):
        ready(make)
    assert names(tmp_path / "cache") == [data.cache.name]
    assert ".iam-0123456789ab.partial, which a command that was ended left" in caplog.text


def test_what_another_process_is_making_stays(make, tmp_path):
    partial = tmp_path / "cache" / ".iam-0123456789ab.partial"
    partial.mkdir(parents=True)
    with FileLock(partial.with_suffix(".lock")):
        data = ready(make)
    assert names(tmp_path / "cache") == sorted(
        [partial.name, partial.with_suffix(".lock").name, data.cache.name]
    )


def test_who_waits_for_another_process_says_so(text, tmp_path, monkeypatch, caplog):
    data = text()
    (tmp_path / "cache").mkdir()
    held = threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / "cache" / f".{data.cache.name}.lock"):
            held.set()
            time.sleep(0.4)

    monkeypatch.setattr(base, "PATIENCE", 0.05)
    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    with caplog.at_level("INFO"):
        data.prepare()
    other.join()
    assert f"waiting for another process that makes {data.cache}" in caplog.text


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_something_else_in_the_caches_place(make, tmp_path, kind):
    data = make()
    (tmp_path / "cache").mkdir()
    if kind == "file":
        data.cache.touch()
    elif kind == "pipe":
        os.mkfifo(data.cache)
    else:
        data.cache.symlink_to(tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=rf"^{data.cache}: in the place of a cache, and not a folder; remove it"
    ):
        data.prepare()
    assert names(tmp_path / "cache") == [data.cache.name]


@pytest.mark.parametrize("what", ["lock", "partial"])
def test_links_in_the_way_are_not_followed(make, tmp_path, what):
    data = make()
    (tmp_path / "cache").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / "cache" / f".{data.cache.name}.{what}").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=r"^data\.cache_dir=.*: no cache can be written"):
        data.prepare()
    assert names(tmp_path / "mine") == ["kept"]


def test_a_cache_behind_a_link_is_used(make, tmp_path):
    data = ready(make)
    data.cache.rename(tmp_path / "elsewhere")
    data.cache.symlink_to(tmp_path / "elsewhere")
    assert all_of(ready(make)) == all_of(data)


def test_places_for_caches_that_are_none(text, tmp_path):
    file = tmp_path / "a.txt"
    text()
    for place in (file, file / "below", Path("/proc/nowhere"), Path("/dev/null"), tmp_path / ("x" * 300)):
        data = TextFile(source=file, cache_dir=place)
        with pytest.raises(UserError, match=r"^data\.cache_dir=.*: (cannot be made|no cache can be written)"):
            data.prepare()


def test_a_cache_among_the_files_of_its_source(pen, tmp_path):
    """It is not read as ink, and none is made where it would be."""
    pen()
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match=rf"^data\.cache_dir={tmp_path} lies in {tmp_path}, whose"):
        InkData(source=tmp_path, cache_dir=tmp_path).prepare()
    caches = set()
    for place in (tmp_path / "cache", tmp_path / "link" / "cache"):
        for _ in range(2):
            data = InkData(source=tmp_path, cache_dir=place)
            data.prepare()
            caches.add(data.cache.name)
    assert len(caches) == 1


def test_a_full_disk(make, tmp_path):
    """On a file system of 16 KiB."""
    (tmp_path / "cache").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path / "cache")]
    result = subprocess.run(mount, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
    try:
        expected = r"^data\.cache_dir=.*: no cache can be written \(.*No space left.*\); make room there"
        with pytest.raises(UserError, match=expected):
            make().prepare()
        assert [n for n in names(tmp_path / "cache") if not n.endswith(".lock")] == []
    finally:
        subprocess.run(["umount", str(tmp_path / "cache")], check=True)
