"""Ink files from strangers: each costs at most itself."""

import json
import os
import random
import time
from pathlib import Path

import pytest

from graves_lm.data.ink.corpus import InkData
from graves_lm.data.ink.reading import read_ink
from graves_lm.runtime.errors import UserError
from tests.data.ink_mutants import SEEDS, mutants

STROKES = [[[i * i, 60 * (i % 2)] for i in range(12)]]
GOOD = json.dumps({"text": "mm", "strokes": STROKES})


def good(folder: Path, *names: str) -> None:
    """Each of another text, else one would be a copy of the other."""
    for name in names:
        (folder / name).write_text(GOOD.replace('"mm"', f'"{name[:1]}"'))


def test_the_seeds_of_the_mutants_are_ink(tmp_path):
    for ending, contents in SEEDS.items():
        for content in contents:
            path = tmp_path / f"seed{ending}"
            path.write_text(content, encoding="utf-8")
            lines, problems = read_ink(path)
            assert lines
            assert not problems


def test_mutants_are_read_or_refused(tmp_path):
    """Lines or one line of refusal, at once, and no fault of a reader that the folder's net had to catch."""
    read = 0
    for name, content in mutants(random.Random(15), 150):
        path = tmp_path / name
        path.write_bytes(content)
        began = time.process_time()
        try:
            lines, problems = read_ink(path)
            reasons = [problem.reason for problem in problems]
            assert all("\n" not in line.text + line.id + line.writer for line in lines), name
            read += 1
        except UserError as error:
            reasons = [str(error)]
        assert time.process_time() - began < 1, name
        assert all(reason.isprintable() and len(reason) < 1000 for reason in reasons), name
        assert not any("cannot be read (" in reason for reason in reasons), reasons
    assert 15 < read < 135


def test_mutants_are_the_same_again():
    assert list(mutants(random.Random(1), 20)) == list(mutants(random.Random(1), 20))


def test_a_fault_of_a_reader_costs_one_file(tmp_path, monkeypatch):
    good(tmp_path, "a.json", "c.json")
    (tmp_path / "b.inkml").write_text("<ink/>")

    for fault in (
        KeyError("x"),
        RecursionError("deep"),
        MemoryError(),
        AssertionError("two\nlines"),
        LookupError("e"),
    ):

        def broken(data, fault=fault):
            raise fault

        monkeypatch.setitem(
            __import__("graves_lm.data.ink.reading", fromlist=["x"])._READERS, ".inkml", (broken, "down")
        )
        lines, problems = read_ink(tmp_path)
        assert [line.id for line in lines] == ["a", "c"]
        ((name, reason),) = problems
        assert name.endswith("b.inkml")
        assert type(fault).__name__ in reason
        assert reason.isprintable()


def test_what_is_no_file_is_named(tmp_path):
    good(tmp_path, "a.json")
    os.mkfifo(tmp_path / "pipe.inkml")
    (tmp_path / "loop.inkml").symlink_to("loop.inkml")
    (tmp_path / "gone.inkml").symlink_to("nowhere.inkml")
    (tmp_path / "null.unipen").symlink_to("/dev/zero")
    (tmp_path / "passwd.dat").symlink_to("/etc/passwd")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "folder.json").mkdir()
    good(tmp_path / "folder.json", "b.json")
    (tmp_path / "within.json").symlink_to("a.json")
    lines, problems = read_ink(tmp_path)
    assert [line.id for line in lines] == ["a", "b", "within"]
    reasons = {Path(name).name: reason for name, reason in problems}
    assert sorted(reasons) == ["gone.inkml", "loop.inkml", "null.unipen", "passwd.dat", "pipe.inkml"]
    assert reasons["pipe.inkml"] == "is not a regular file"
    assert "leaves the folder" in reasons["passwd.dat"]
    data = InkData(source=tmp_path, cache_dir=tmp_path / "cache")
    data.prepare()
    assert "passwd.dat: left out: is a link" in (data.cache / "report.txt").read_text()


@pytest.mark.parametrize("name", ["pipe.inkml", "loop.inkml"])
def test_a_source_that_is_no_file(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.inkml")
    (tmp_path / "loop.inkml").symlink_to("loop.inkml")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        read_ink(tmp_path / name)


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "~nobody-of-this-name", "two\nlines"])
def test_sources_that_no_file_can_have(source):
    with pytest.raises(UserError, match="does not exist") as error:
        read_ink(source)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


def test_names_with_odd_characters(tmp_path):
    folder = os.fsencode(tmp_path)
    names = [
        b"caf\xe9.json",
        "日本 (1),='.json".encode(),
        b"two\nlines.json",
        b"-rf.json",
        b"\xff\n.inkml",
        b"$(x).JSON",
    ]
    for n, name in enumerate(names):
        with open(os.path.join(folder, name), "w") as file:
            file.write(GOOD.replace('"mm"', f'"{n}"'))
    lines, problems = read_ink(tmp_path)
    assert len(lines) == 5
    assert all(line.id.isprintable() for line in lines)
    ((name, _),) = problems
    assert name.isprintable()
    data = InkData(source=tmp_path, cache_dir=tmp_path / "cache")
    data.prepare()
    data.open()
    assert len(data.store) == 5
    assert (data.cache / "report.txt").read_text(encoding="utf-8").count("\n") == 1


def below(place: int, name: str) -> int:
    """The folder of this name, in the place of the one that it is in, which is closed."""
    folder = os.open(name, os.O_RDONLY, dir_fd=place)
    os.close(place)
    return folder


def test_folders_in_each_other(tmp_path):
    """More of them than Python's stack takes, or a path."""
    good(tmp_path, "a.json")
    depth, place = 0, os.open(tmp_path, os.O_RDONLY)
    try:
        for depth in range(1, 1501):  # noqa: B007
            os.mkdir("deep", dir_fd=place)
            place = below(place, "deep")
        lines, problems = read_ink(tmp_path)
    finally:  # where no path leads, pytest could not clear away
        for _ in range(depth):
            place = below(place, "..")
            os.rmdir("deep", dir_fd=place)
        os.close(place)
    assert [line.id for line in lines] == ["a"]
    assert [problem.reason for problem in problems] == ["File name too long"]


def test_a_folder_has_no_more_than_it_may(tmp_path, monkeypatch):
    good(tmp_path, "a.json", "b.json")
    with monkeypatch.context() as patch:
        patch.setattr("graves_lm.data.ink.reading.FILES_LIMIT", 1)
        with pytest.raises(UserError, match="more than 1 ink files"):
            read_ink(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("graves_lm.data.ink.reading.POINTS_LIMIT", 20)
        with pytest.raises(UserError, match="more than 20 points"):
            read_ink(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("graves_lm.data.ink.reading.POINTS", 10)
        with pytest.raises(UserError, match="more than 10 points"):
            read_ink(tmp_path)


def test_transcripts(tmp_path):
    good(tmp_path, "a.json", "b.json", "c.json", "d.json", "e.json")
    (tmp_path / "a.txt").write_text("hello\n", encoding="utf-8-sig")
    (tmp_path / "b.txt").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "c.txt")
    (tmp_path / "d.txt").write_text("a\ufeff\tb\u00a0c\n", encoding="utf-8")
    (tmp_path / "e.txt").mkdir()
    lines, problems = read_ink(tmp_path)
    assert [(line.id, line.text) for line in lines] == [("a", "hello"), ("d", "a b c")]
    assert [Path(problem.name).name for problem in problems] == ["b.json", "c.json", "e.json"]
    assert all(problem.reason.startswith("its transcript") for problem in problems)


def test_one_line_says_which_other_was_lost(tmp_path):
    good(tmp_path, "a.json")
    (tmp_path / "b.inkml").write_bytes(b"<ink>")
    with pytest.raises(
        UserError, match=r"has one line of handwriting .*; left out was .*b\.inkml: not well-formed"
    ):
        InkData(source=tmp_path, cache_dir=tmp_path / "cache").prepare()
