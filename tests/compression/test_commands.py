"""compress and decompress as a user calls them: whole files or none, and one line for what cannot work."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from graves_lm.trained.checkpoint import PRETRAINED
from tests.runs import QUICK, TEXT
from tests.test_commands import Commands, call, run_process  # noqa: F401

SMALL = ("ckpt=none", "hidden_size=8", "layers=1", "streams=4")
needs_weights = pytest.mark.skipif(
    not (PRETRAINED / "character.safetensors").is_file(), reason="the package was built without weights"
)


@pytest.fixture
def text(call):  # noqa: F811
    (call.folder / "book.txt").write_text(TEXT * 5)
    return TEXT.encode() * 5


def test_a_file_and_back(call: Commands, text):  # noqa: F811
    made = call("compress", "book.txt", *SMALL)
    assert made.status == 0, made.err
    assert made.out.startswith("book.txt.glm: ")
    (call.folder / "book.txt").unlink()
    back = call("decompress", "book.txt.glm")
    assert back.out == f"book.txt: {len(text)} bytes\n"
    assert (call.folder / "book.txt").read_bytes() == text


def test_an_odd_name(call: Commands, text):  # noqa: F811
    (call.folder / "a=b, c's.txt").write_bytes(text)
    assert call("compress", "file=a=b, c's.txt", "output=x.glm", *SMALL).status == 0
    assert call("decompress", "x.glm", "output=out").status == 0
    assert (call.folder / "out").read_bytes() == text


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("compress", (), "give a FILE"),
        ("compress", ("nothing.txt",), "no such file"),
        ("compress", (".",), "not a file"),
        ("compress", ("book.txt", "output=book.txt"), "the file itself"),
        ("compress", ("book.txt", "output=nowhere/x.glm"), "its folder does not exist"),
        ("compress", ("book.txt", "streams=0"), "streams"),
        ("compress", ("book.txt", "stream=2"), "no such setting"),
        ("compress", ("book.txt", "ckpt=reader"), "this needs model=character"),
        ("compress", ("book.txt", "dynamic=sgd", "dynamic.streams=3", "ckpt=none"), "streams="),
        ("decompress", ("book.txt",), "give output=FILE"),
        ("decompress", ("book.txt", "output=x"), "not a file that graves-lm compress wrote"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(call: Commands, text, verb, arguments, said):  # noqa: F811
    if "ckpt=reader" in arguments and not (PRETRAINED / "reader.safetensors").is_file():
        pytest.skip("the package was built without weights")
    assert said in call.refuse(verb, *arguments)
    assert [p.name for p in call.folder.iterdir()] == ["book.txt"]
    assert (call.folder / "book.txt").read_bytes() == text


@needs_weights
def test_damaged_cut_and_of_other_weights(call: Commands, text, tmp_path_factory):  # noqa: F811
    (call.folder / "book.txt").write_bytes(text[:150])
    assert call("compress", "book.txt").status == 0
    file = call.folder / "book.txt.glm"
    whole = file.read_bytes()
    (call.folder / "out").write_bytes(b"what was there")
    train = [
        sys.executable,
        "-m",
        "graves_lm.train",
        "data=textfile",
        "data.source=book.txt",
        "data.unit=byte",
    ]
    train += ["data.batch_size=2", "data.length=5", "data.warm_up=2", "data.eval_batch_size=1", *QUICK]
    train += ["model.network.hidden_size=8", "model.network.layers=1", "sampler.length=5", "run_dir=run"]
    trained = tmp_path_factory.mktemp("other")
    (trained / "book.txt").write_bytes(text)
    assert run_process(train, trained).returncode == 0
    other = trained / "run" / "checkpoints" / "last.ckpt"
    for data, ckpt, said in [
        (whole[:-9], "character", "cut off"),
        (whole[:60] + b"\0" + whole[61:], "character", "damaged"),
        (whole, other, "made with other weights"),
    ]:
        file.write_bytes(data)
        assert said in call.refuse("decompress", "book.txt.glm", "output=out", f"ckpt={ckpt}")
        assert (call.folder / "out").read_bytes() == b"what was there"
    assert (
        call("compress", "book.txt", "output=own.glm", f"ckpt={other}").status == 0
    )  # any byte model serves
    assert call("decompress", "own.glm", "output=out", f"ckpt={other}").status == 0
    assert (call.folder / "out").read_bytes() == text[:150]
    assert sorted(p.name for p in call.folder.iterdir()) == ["book.txt", "book.txt.glm", "out", "own.glm"]


def test_to_a_stream_nothing_else_is_written(call: Commands, text):  # noqa: F811
    assert call("compress", "book.txt", "output=x.glm", *SMALL).status == 0
    out, into = os.pipe()
    assert call("decompress", "x.glm", f"output=/dev/fd/{into}").out == ""
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        assert pipe.read() == text


@pytest.mark.slow
def test_four_megabytes_in_flat_memory(tmp_path, real_data):
    """The beginning of enwik8, where it is, else as much text that repeats."""
    prefix = real_data / "enwik8" / "enwik8.prefix"
    long = prefix.read_bytes() if prefix.is_file() else (TEXT * 60_000).encode()[:4_000_000]
    assert len(long) >= 4_000_000
    memory = {}
    for size in (40_000, len(long)):
        (tmp_path / "book").write_bytes(long[:size])
        arguments = ["ckpt=none", "hidden_size=8", "layers=1", "streams=512", "counts=0"]
        for verb, file in (("compress", "book"), ("decompress", "book.glm")):
            program = (
                "import resource, sys; from graves_lm.__main__ import main\ntry: main()\nfinally: "
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
            )
            command = [sys.executable, "-c", program, verb, file, *(arguments if verb == "compress" else ())]
            done = run_process([*command, *(["output=back"] if verb == "decompress" else ())], tmp_path)
            assert done.returncode == 0, done.stderr
            memory[size, verb] = int(done.stderr.split()[-1]) / 1024
        assert (tmp_path / "back").read_bytes() == long[:size]
    assert (tmp_path / "book.glm").stat().st_size < 0.8 * len(long)
    for verb in ("compress", "decompress"):
        assert memory[len(long), verb] < memory[40_000, verb] + 30, memory


def test_killed_in_mid_way_it_leaves_nothing(tmp_path):
    (tmp_path / "book.txt").write_text(TEXT * 5000)
    for end in (signal.SIGTERM, signal.SIGKILL):
        ours, terminal = pty.openpty()  # elsewhere a bar is shown too seldom, and it needs room
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "graves_lm.compress", "book.txt", *SMALL],
            cwd=tmp_path,
            stderr=terminal,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        os.close(terminal)
        shown = b""
        while b"bits/B" not in shown:  # the bar moves: it is at work
            shown += os.read(ours, 4096)
        time.sleep(0.1)
        process.send_signal(end)
        process.wait(timeout=60)
        os.close(ours)
        assert process.returncode != 0
        assert [p.name for p in tmp_path.iterdir()] == ["book.txt"]
