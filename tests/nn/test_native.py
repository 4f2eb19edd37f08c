"""The loader of compiled kernels: made once, whole, and by nobody else."""

import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from graves_lm.nn import native
from graves_lm.nn.native import cache

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")


SMALL = {
    "gates.c": "/* A comment with ≤ and σ. */\nvoid gates_forward(long *x) { *x = 42; }\n",
    "window.c": "void window_backward(long *x) { *x = 43; }\n",
}
"""Sources in place of the package's, which take the compiler longer."""


@pytest.fixture
def fresh(monkeypatch, tmp_path, tmp_path_factory):
    """Nothing loaded, nothing compiled yet; the folder of caches, beside it that of temporary files."""
    home, temporary = tmp_path / "cache", tmp_path / "tmp"
    sources = tmp_path_factory.mktemp("sources")
    for name, text in SMALL.items():
        (sources / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(native, "_HERE", sources)
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.delenv("GRAVES_LM_NATIVE", raising=False)
    monkeypatch.delenv("CC", raising=False)
    native._library.cache_clear()
    yield home
    native._library.cache_clear()


def compiler_or_skip():
    if native.kernel("gates_forward") is None:
        pytest.skip("no C compiler here")


def load_again() -> bool:
    """Whether there are kernels, as for a process that begins now."""
    native._library.cache_clear()
    return native.kernel("gates_forward") is not None


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.so"))


def test_compiles_once_and_leaves_nothing_else(fresh):
    compiler_or_skip()
    (made,) = (fresh / "graves_lm").iterdir()
    before = made.stat().st_mtime_ns
    assert load_again()
    assert list((fresh / "graves_lm").iterdir()) == [made]
    assert made.stat().st_mtime_ns == before
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.parent.stat().st_mode & 0o777 == 0o700


def test_changed_sources_are_compiled_anew(fresh):
    compiler_or_skip()
    x = torch.zeros(1, dtype=torch.int64)
    native.kernel("gates_forward")(*native.arguments(x))
    assert x.item() == 42
    source = native._HERE / "gates.c"
    source.write_text(source.read_text(encoding="utf-8").replace("42", "44"), encoding="utf-8")
    native._library.cache_clear()
    native.kernel("gates_forward")(*native.arguments(x))
    assert x.item() == 44


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_a_locale_that_knows_ascii_alone(fresh):
    code = (
        "from pathlib import Path; from graves_lm.nn import native\n"
        f"native._HERE = Path({str(native._HERE)!r}); assert native.kernel('gates_forward') is not None"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": str(fresh)}
    subprocess.run([sys.executable, "-c", code], env=os.environ | plain, check=True)
    assert len(kept(fresh)) == 1


# --- which compiler -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiler", "told"),
    [
        ("false", "false made no kernels (exit status 1)"),
        ("true", "true made no kernels"),
        ("cat", "cat made no kernels"),
        ("/nowhere/cc", "no compiler CC=/nowhere/cc"),
        ("nowhere gcc -O2", "no compiler CC=nowhere gcc -O2"),
        ('gcc "-O2', 'no compiler CC=gcc "-O2'),
    ],
)
def test_without_a_compiler_one_line_says_so_and_plain_torch_serves(
    fresh, monkeypatch, caplog, compiler, told
):
    monkeypatch.setenv("CC", compiler)
    with caplog.at_level(logging.WARNING):
        assert native.kernel("gates_forward") is None
        assert native.kernel("gates_backward") is None
    (record,) = caplog.records
    assert "plain torch" in record.message
    assert told in record.message
    assert "\n" not in record.message
    assert kept(fresh.parent) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.parametrize(
    "form",
    ["{cc} -O2", "env -- {cc}", "'{cc}' '-DNAME=a b'", " {cc} ", "", "  ", "{spaces}", "'{spaces}' -g"],
)
def test_a_compiler_with_arguments_quotes_or_spaces_is_one(fresh, monkeypatch, form):
    folder = fresh / "my tools"
    folder.mkdir()
    (folder / "my cc").symlink_to(shutil.which("cc"))
    monkeypatch.setenv("CC", form.format(cc=shutil.which("cc"), spaces=folder / "my cc"))
    found = native.compiler()
    assert found is not None
    assert Path(shlex.split(found)[0]).is_absolute()
    assert native.kernel("gates_forward") is not None


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_a_compiler_named_from_here(fresh, monkeypatch):
    monkeypatch.chdir(fresh)
    (fresh / "mine").symlink_to(shutil.which("cc"))
    monkeypatch.setenv("CC", "./mine")
    assert native.kernel("gates_forward") is not None


def test_a_compiler_that_gives_no_answer_is_not_waited_for(fresh, monkeypatch, caplog):
    script = fresh / "hangs"
    script.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(native, "_LONGEST", 0.5)
    before = time.monotonic()
    assert native.kernel("gates_forward") is None
    assert time.monotonic() - before < 10
    assert len(caplog.records) == 1


# --- damaged libraries ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["empty", "half", "zeros", "flipped", "text", "folder"])
def test_a_damaged_library_is_made_anew(fresh, caplog, how):
    compiler_or_skip()
    (made,) = kept(fresh)
    whole = made.read_bytes()
    middle = len(whole) // 2
    made.unlink()
    if how == "folder":
        made.mkdir()
    else:
        made.write_bytes(
            {
                "empty": b"",
                "half": whole[:middle],
                "zeros": whole[:middle] + bytes(len(whole) - middle),
                "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                "text": b"no library\n",
            }[how]
        )
    assert load_again()
    assert not caplog.records
    if how != "folder":
        assert [path.read_bytes() for path in kept(fresh)] == [whole]


def test_one_that_cannot_be_loaded_there_is_made_elsewhere(fresh, monkeypatch):
    """As where nothing may be executed."""
    compiler_or_skip()
    load, tried = cache.ctypes.CDLL, []

    def refused(path):
        tried.append(path)
        if path.startswith(str(fresh)):
            raise OSError("failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(cache.ctypes, "CDLL", refused)
    for _ in range(2):
        assert load_again()
    assert len(tried) == 4
    assert len(kept(fresh.parent / "tmp")) == 1


def test_one_that_can_be_loaded_nowhere_is_told_of_in_one_line(fresh, monkeypatch, caplog):
    compiler_or_skip()

    def refused(path):
        raise OSError("undefined\nsymbol")

    monkeypatch.setattr(cache.ctypes, "CDLL", refused)
    assert not load_again()
    (record,) = caplog.records
    assert "undefined symbol): plain torch" in record.message


# --- where they are kept --------------------------------------------------------------------------


def planted(folder: Path) -> None:
    """A file of the right name and its own hash, which would be loaded."""
    content = b"planted"
    key = native._key(native._compiler(), (*native._FLAGS, "-fopenmp"))
    path = cache._named(folder, key, content)
    path.write_bytes(content)
    assert cache._kept(folder, key) == path or folder.stat().st_uid or path.stat().st_mode & 0o22


def to_folder(change):
    def make(folder: Path) -> None:
        planted(folder)
        change(folder)

    return make


def link(folder: Path) -> None:
    planted(folder)
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        to_folder(lambda folder: folder.chmod(0o777)),
        to_folder(lambda folder: folder.chmod(0o1777)),
        to_folder(lambda folder: folder.chmod(0o770)),
        to_folder(lambda folder: folder.parent.chmod(0o777)),
        pytest.param(to_folder(lambda folder: os.chown(folder, 12345, 12345)), marks=ROOT),
        pytest.param(to_folder(lambda folder: os.chown(folder.parent, 12345, 12345)), marks=ROOT),
        link,
    ],
)
def test_nothing_is_loaded_from_a_folder_that_others_can_change(fresh, monkeypatch, change, caplog):
    if native.compiler() is None:
        pytest.skip("no C compiler here")
    (fresh / "graves_lm").mkdir(mode=0o755)
    change(fresh / "graves_lm")
    monkeypatch.setattr(cache.ctypes, "CDLL", only_from(fresh.parent / "tmp"))
    assert load_again()
    assert load_again()
    (made,) = kept(fresh.parent / "tmp")
    assert made.parent.name == f"graves_lm-{os.geteuid()}"
    assert not caplog.records


def only_from(folder: Path):
    load = cache.ctypes.CDLL

    def checked(path):
        assert Path(path).is_relative_to(folder)
        return load(path)

    return checked


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.chmod(0o666),
        lambda path: path.chmod(0o660),
        pytest.param(lambda path: os.chown(path, 12345, 12345), marks=ROOT),
        lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")),
    ],
)
def test_a_file_that_others_can_change_is_replaced(fresh, change):
    compiler_or_skip()
    (made,) = kept(fresh)
    whole, before = made.read_bytes(), made.stat().st_ino
    change(made)
    assert load_again()
    (again,) = kept(fresh)
    assert again.lstat().st_ino != before
    assert again.read_bytes() == whole
    assert not again.is_symlink()


@ROOT
@pytest.mark.parametrize("place", ["planted", "file"])
def test_where_no_folder_is_safe_a_library_of_this_process_serves(fresh, place, caplog):
    other = fresh.parent / "tmp" / f"graves_lm-{os.geteuid()}"
    (fresh / "graves_lm").write_text("in the way")
    if place == "planted":
        other.mkdir()
        os.chown(other, 12345, 12345)
    else:
        other.write_text("in the way")
    if native.compiler() is None:
        pytest.skip("no C compiler here")
    assert load_again()
    assert kept(fresh.parent) == []
    assert not caplog.records
    assert list((fresh.parent / "tmp").iterdir()) == [other]


@pytest.mark.parametrize("home", ["none", "relative", "read-only"])
def test_a_user_without_a_home_to_write_in(fresh, monkeypatch, home, caplog):
    if native.compiler() is None:
        pytest.skip("no C compiler here")
    monkeypatch.chdir(fresh)
    if home == "none":
        monkeypatch.delenv("XDG_CACHE_HOME")

        def nobody():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", nobody)
    elif home == "relative":
        monkeypatch.setenv("XDG_CACHE_HOME", "here")
        monkeypatch.setenv("HOME", "/proc/none")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")
    assert load_again()
    assert len(kept(fresh.parent / "tmp")) == 1
    assert list(fresh.iterdir()) == []
    assert not caplog.records


def test_a_full_disk_is_left_for_another(fresh, monkeypatch):
    if native.compiler() is None:
        pytest.skip("no C compiler here")
    write = Path.write_bytes

    def full(path, data):
        if path.is_relative_to(fresh):
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert load_again()
    assert len(kept(fresh.parent / "tmp")) == 1
    assert kept(fresh) == []


def test_nowhere_to_write_is_no_error(fresh, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    assert not load_again()
    assert len(caplog.records) == 1


def test_what_a_killed_process_began_is_removed(fresh):
    compiler_or_skip()
    (made,) = kept(fresh)
    made.unlink()
    old, new = made.parent / "build-old", made.parent / "build-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "gates.o").touch()
    os.utime(old, (0, 0))
    assert load_again()
    assert sorted(path.name for path in made.parent.iterdir()) == ["build-new", made.name]


def test_switched_off_nothing_is_compiled_or_said(fresh, monkeypatch, caplog):
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    assert native.kernel("gates_forward") is None
    assert not (fresh / "graves_lm").exists()
    assert not caplog.records


@pytest.mark.slow
def test_processes_that_compile_at_once_all_get_the_library(fresh):
    compiler_or_skip()
    for path in (fresh / "graves_lm").iterdir():
        path.unlink()
    code = "from graves_lm.nn import native; assert native.kernel('gates_forward') is not None"
    processes = [subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert len(list((fresh / "graves_lm").iterdir())) == 1
