"""A write that fails leaves what was there."""

import os

import pytest

from graves_lm.errors import UserError
from graves_lm.files import write


def test_write_replaces(tmp_path):
    path = tmp_path / "a" / "b.svg"
    write(path, "first, é")
    write(path, b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["b.svg"]


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300), "/proc/none/x"):
        with pytest.raises(UserError, match="cannot write") as error:
            write(path, "text")
        assert "\n" not in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_failed_move_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.svg"]
