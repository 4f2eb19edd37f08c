"""The read command: a line of text for each line of ink, and one clear line where there is none to read."""

import sys

import numpy as np
import pytest

from graves_lm.commands import read
from graves_lm.trained.loading import load_reader
from tests.data.lines import make_line, write_ink
from tests.runs import train


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory, generated):
    run_dir = tmp_path_factory.mktemp("read") / "run"
    train(run_dir, generated, "model=reader", "trainer.max_steps=2", "callbacks.samples=null")
    return run_dir / "checkpoints" / "best.ckpt"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys, ckpt):
    """Calls the command in a folder of its own: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, reader: str = str(ckpt)) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["read", *arguments, "--ckpt", reader])
        try:
            read.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return run


def test_a_line_of_text_for_each_line_of_ink(call, tmp_path, ckpt):
    lines = [make_line("a", 60, "x"), make_line("b", 90, "y")]
    write_ink(tmp_path / "two.json", lines)
    status, out, err = call("two.json")
    assert (status, err) == (0, "")
    assert out.splitlines() == load_reader(ckpt).read([line.strokes for line in lines])


def test_a_single_dot_is_no_writing(call, tmp_path):
    dot = make_line("dot", 30, "x")
    dot.strokes[:, :2] = 0
    write_ink(tmp_path / "dot.json", [dot])
    status, out, err = call("dot.json")
    assert (status, out) == (2, "")
    assert "no writing" in err
    assert "Traceback" not in err


def test_a_dot_among_lines_costs_that_line_alone(call, tmp_path):
    dot, line = make_line("dot", 30, "x"), make_line("b", 90, "y")
    dot.strokes[:, :2] = 0
    write_ink(tmp_path / "both.json", [dot, line])
    status, out, err = call("both.json")
    assert (status, len(out.splitlines())) == (0, 1)
    assert err.count("\n") == 1
    assert "dot" in err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.json", b""),
        ("empty.inkml", b""),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(np.arange(200, dtype=np.uint8))),
        ("photo.json", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("nothing.json", b"[]"),
    ],
)
def test_what_holds_no_ink_is_one_line(call, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    status, out, err = call(name)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert name in err


def test_a_file_that_is_not_there_and_a_reader_that_is_none(call, tmp_path):
    assert call("nowhere.json")[0] == 2
    write_ink(tmp_path / "one.json", [make_line("a", 60, "x")])
    status, _, err = call("one.json", reader="character")
    assert status == 2
    assert "model=reader" in err
