"""A write that fails leaves what was there; one that ends has replaced it, whatever stands at the path."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from graves_lm.runtime import files
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import check, replacing, write


def test_write_replaces(tmp_path):
    path = tmp_path / "a" / "b.svg"
    write(path, "first, é")
    write(path, b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["b.svg"]


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("round")
    names = ("file/below", "folder", "x" * 300, "round", "nu\0ll")
    for path in (*(tmp_path / name for name in names), Path("/proc/none/x"), Path("/dev/full")):
        with pytest.raises(UserError, match="cannot write") as error:
            write(path, "text")
        assert "\n" not in str(error.value)
        if path != Path("/dev/full"):
            with pytest.raises(UserError, match="cannot write"):
                check(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "round"]


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


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.bin"
    write(path, "old")

    def half() -> None:
        with replacing(path) as file:
            file.write(b"ne")
            raise error

    with pytest.raises(error):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.bin"]


# --- the name it has while it is written ----------------------------------------------------------


def names_used(path: Path) -> list[str]:
    """The temporary names of two writes."""
    seen = []
    for _ in range(2):
        with replacing(path):
            (name,) = set(os.listdir(path.parent)) - {path.name}
            seen.append(name)
    return seen


def test_temporary_names_cannot_be_foreseen_and_follow_no_link(tmp_path, monkeypatch):
    path, other = tmp_path / "a.svg", tmp_path / "other"
    first, second = names_used(path)
    assert first != second
    assert len(first) >= len(".a.svg.") + 16
    other.write_text("kept")
    tokens = iter(["0123456789abcdef", "fedcba9876543210"])
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: next(tokens))
    (tmp_path / ".a.svg.0123456789abcdef.tmp").symlink_to(other)
    with pytest.raises(UserError, match="File exists"):
        write(path, "new")
    write(path, "new")
    assert (path.read_text(), other.read_text()) == ("new", "kept")


@pytest.mark.parametrize("name", ["x" * 251 + ".svg", "ü" * 127, "a\udcff" * 50])
def test_names_as_long_as_a_name_can_be(tmp_path, name):
    write(tmp_path / name, "long")
    assert os.listdir(tmp_path) == [name]


def test_names_in_a_locale_that_knows_ascii_alone(tmp_path):
    program = "import sys; from graves_lm.runtime.files import write; write(sys.argv[1], 'x')"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, str(tmp_path / f"{'ü' * 80}.svg")]
    subprocess.run(command, env=os.environ | plain, check=True)
    assert os.listdir(tmp_path) == [f"{'ü' * 80}.svg"]


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    path = tmp_path / "a.svg"
    program = (
        "import os, sys; from graves_lm.runtime.files import replacing\n"
        "with replacing(sys.argv[1]) as file:\n    file.write(b'half'); os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -signal.SIGKILL
        assert len(os.listdir(tmp_path)) == 1
    (tmp_path / ".a.svg.4711.tmp").write_text("of an earlier version")
    for kept in (".a.svg.mine.tmp", ".b.svg.0123456789abcdef.tmp"):
        (tmp_path / kept).write_text("")
    write(path, "whole")
    assert sorted(os.listdir(tmp_path)) == [".a.svg.mine.tmp", ".b.svg.0123456789abcdef.tmp", "a.svg"]


def test_what_is_being_written_is_not_taken_for_a_left_over(tmp_path):
    path = tmp_path / "a.svg"
    with replacing(path) as slow:
        slow.write(b"slow")
        write(path, "quick")
    assert path.read_text() == "slow"
    assert os.listdir(tmp_path) == ["a.svg"]
    contents = [bytes([65 + n]) * 100_000 for n in range(4)]
    threads = [threading.Thread(target=lambda c=c: [write(path, c) for _ in range(20)]) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["a.svg"]


# --- modes and owners -----------------------------------------------------------------------------


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_of_any_and_an_old_one_keeps_its_own(tmp_path):
    path = tmp_path / "a.svg"
    write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for mode in (0o600, 0o664, 0o755):
        path.chmod(mode)
        write(path, "newer")
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays_the_owner(tmp_path):
    path = tmp_path / "a.svg"
    write(path, "theirs")
    os.chown(path, 12345, 54321)
    write(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    path.write_text("protected")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write to all of them
    for refused in (lambda: write(path, "new"), lambda: check(path)):
        with pytest.raises(UserError, match="Permission denied"):
            refused()
    assert path.read_text() == "protected"


# --- what is not a plain file ---------------------------------------------------------------------


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "near.svg").symlink_to("far.svg")
    (tmp_path / "far.svg").symlink_to(disk / "a.svg")
    for content in ("made", "replaced"):
        check(tmp_path / "near.svg")
        write(tmp_path / "near.svg", content)
        assert (disk / "a.svg").read_text() == content
    assert (tmp_path / "near.svg").is_symlink()
    assert os.listdir(disk) == ["a.svg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets a link for another user")
def test_a_link_that_another_user_has_set_is_refused(tmp_path):
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "a.svg").symlink_to(tmp_path / "mine")
    os.chown(tmp_path / "a.svg", 12345, 12345, follow_symlinks=False)
    with pytest.raises(UserError, match="a link that another user has set"):
        write(tmp_path / "a.svg", "new")
    assert (tmp_path / "mine").read_text() == "kept"


def test_devices_and_pipes_are_written_to(tmp_path):
    write("/dev/null", "nothing")
    os.mkfifo(tmp_path / "pipe.svg")
    (tmp_path / "linked.svg").symlink_to("pipe.svg")
    for path in (tmp_path / "pipe.svg", tmp_path / "linked.svg"):
        check(path)
        reader = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
        write(path, "through")
        assert reader.communicate(timeout=10)[0] == b"through"
    assert stat.S_ISFIFO((tmp_path / "pipe.svg").stat().st_mode)


@pytest.mark.parametrize("to", ["pipe", "file"])
def test_standard_output_is_gone_on_with(tmp_path, to):
    program = "from graves_lm.runtime.files import write; print('before'); "
    program += "write('/dev/stdout', 'here\\n'); print('after')"
    if to == "pipe":
        found = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE).stdout
    else:
        with open(tmp_path / "out", "wb") as file:
            subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
        found = (tmp_path / "out").read_bytes()
    assert found == b"before\nhere\nafter\n"
