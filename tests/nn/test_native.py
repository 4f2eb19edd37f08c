"""The loader of compiled kernels."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from graves_lm.nn import native


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Nothing loaded, nothing compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GRAVES_LM_NATIVE", raising=False)
    native._library.cache_clear()
    yield tmp_path
    native._library.cache_clear()


def compiler_or_skip():
    if native.kernel("gates_forward") is None:
        pytest.skip("no C compiler here")


def test_compiles_once_and_leaves_nothing_else(fresh):
    compiler_or_skip()
    (made,) = (fresh / "graves_lm").iterdir()
    before = made.stat().st_mtime_ns
    native._library.cache_clear()
    assert native.kernel("window_backward") is not None
    assert list((fresh / "graves_lm").iterdir()) == [made]
    assert made.stat().st_mtime_ns == before


def test_changed_sources_are_compiled_anew(fresh, monkeypatch, tmp_path_factory):
    compiler_or_skip()
    sources = tmp_path_factory.mktemp("sources")
    (sources / "answer.c").write_text("void answer(long *x) { *x = 42; }\n")
    monkeypatch.setattr(native, "_HERE", sources)
    native._library.cache_clear()
    x = torch.zeros(1, dtype=torch.int64)
    native.kernel("answer")(*native.arguments(x))
    assert x.item() == 42
    (sources / "answer.c").write_text("void answer(long *x) { *x = 43; }\n")
    native._library.cache_clear()
    native.kernel("answer")(*native.arguments(x))
    assert x.item() == 43


@pytest.mark.parametrize("compiler", ["false", "/nowhere/cc"])
def test_without_a_compiler_one_line_says_so_and_plain_torch_serves(fresh, monkeypatch, caplog, compiler):
    monkeypatch.setenv("CC", compiler)
    with caplog.at_level(logging.WARNING):
        assert native.kernel("gates_forward") is None
        assert native.kernel("gates_backward") is None
    (record,) = caplog.records
    assert "plain torch" in record.message
    assert compiler in record.message
    assert "\n" not in record.message


def test_a_folder_that_cannot_be_written_is_no_error(fresh, monkeypatch, caplog):
    blocked = fresh / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with caplog.at_level(logging.WARNING):
        assert native.kernel("gates_forward") is None
    assert len(caplog.records) == 1


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
