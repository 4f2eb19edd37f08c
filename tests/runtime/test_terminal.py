"""What a command shows on terminals of any kind, and how it ends when nobody reads on."""

import errno
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import pytest
from tqdm import tqdm

import graves_lm
from graves_lm.commands.launch import is_mistake, one_line
from graves_lm.runtime.errors import LONGEST, brief, refusal, visible
from graves_lm.runtime.terminal import CLOSED, INTERRUPTED, SECONDS, command, say

REFUSED = (
    *("ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "EISDIR", "ENOTDIR", "EEXIST"),
    *("ENOTEMPTY", "ENOENT", "ELOOP", "EMLINK", "EXDEV", "EIO", "ESTALE", "EMFILE", "ENFILE", "ENOMEM"),
    *("ETXTBSY", "EBUSY", "EFBIG", "ENOLCK", "EINVAL", "ENODEV", "EPIPE"),
)


def run(code: str, shell: str = "", **variables: str) -> subprocess.CompletedProcess:
    """A small command in a process of its own; `shell` is what follows it on a command line."""
    program = (
        "import os, sys, time\nfrom graves_lm.runtime.terminal import command, say\nwith command('test'):\n"
    )
    line = f'"$PY" -c "$CODE" {shell}'
    environment = (
        os.environ | {"PY": sys.executable, "CODE": program + textwrap.indent(code, "    ")} | variables
    )
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True)


def on_terminal(code: str) -> bytes:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))  # a bar needs room
    program = "import sys, time\nfrom graves_lm.runtime.terminal import command, say\nwith command('test'):\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program + textwrap.indent(textwrap.dedent(code), "    ")],
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # a pseudo-terminal's end of file
        pass
    process.wait()
    return shown.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("code", "shell"),
    [
        ("for i in range(100000): print(i)", "| head -1"),
        ("print('once')", "| (sleep 0.3; exec true)"),
        ("sys.exit(print('help'))", "| true"),
        ("for i in range(100000): print(i, file=sys.stderr)", "2>&1 >/dev/null | head -1"),
        (
            "import logging; logging.basicConfig(stream=sys.stdout)\nfor i in range(9999): logging.error(i)",
            "| true",
        ),
    ],
)
def test_nobody_reads_on(code, shell):
    ended = run(code, shell)
    assert ended.stderr == b""
    assert ended.returncode in (CLOSED, 0)  # 0: it was the faster


@pytest.mark.parametrize("code", ["print('a')", "for i in range(9999): print(i)", "sys.exit(print('a'))"])
def test_a_full_disk(code):
    ended = run(code, ">/dev/full")
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines() == [
        "graves_lm test: standard output: No space left on device; send it elsewhere, or make room"
    ]


def test_streams_that_were_closed_before_the_start():
    ended = run("print('a'); print('b', file=sys.stderr); sys.exit(3)", ">&- 2>&-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"", b"")


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["cp1252", "C"],
)
def test_terminals_that_are_not_utf_8(variables):
    ended = run("print('na\\u65e5ve \\udcff'); say('test', 'b\\u65e5')", **variables)
    assert (ended.returncode, ended.stdout) == (0, b"na?ve ?\n")
    assert ended.stderr == rb"graves_lm test: b\u65e5" + b"\n"


def test_ctrl_c_and_the_status_of_a_library_that_catches_it():
    for code in (
        "import _thread; _thread.interrupt_main(); time.sleep(9)",
        "try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: sys.exit(1)",
    ):
        ended = run(code)
        assert (ended.returncode, ended.stderr) == (INTERRUPTED, b"graves_lm test: interrupted\n")


def test_a_message_stands_on_a_line_of_its_own():
    shown = on_terminal(
        """
        from tqdm import tqdm
        for i in tqdm(range(3)):
            print("logged") if i == 1 else None
            if i == 2: say("test", "wrong"); break
        print("par", end=""); print("tial")
        """
    )
    assert b"\nlogged\n" in shown
    assert b"\ngraves_lm test: wrong\n" in shown
    assert shown.endswith(b"\npartial\n")


def test_the_bars_stream_is_not_another_files(capsys):
    """A newline to end a bar on standard error is not written to a file of figures."""
    with command("test"):
        bar = tqdm(total=3)
        print("figures")
        say("test", "done")
        bar.close()
    shown = capsys.readouterr()
    assert shown.out == "figures\n"
    assert shown.err.splitlines()[-1] == "graves_lm test: done"


def test_in_a_log_a_bar_is_a_line_now_and_then(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr("graves_lm.runtime.terminal.time.monotonic", lambda: now)
    with command("test"):
        bar = tqdm(total=110, desc="long", mininterval=0, miniters=1)
        for n in range(110):
            now += 1.0
            if n == 50:
                print("told", file=sys.stderr)
            bar.update()
        bar.close()
        for _ in tqdm(range(3), desc="short"):
            pass
        for _ in tqdm(range(3), desc="unseen", leave=False):
            pass
        print("\x1b[A", end="", file=sys.stderr)
        sys.stderr.write("\rwandb: a line that is no bar\n")
    lines = capsys.readouterr().err.splitlines()
    *lines, last = lines
    bars = [re.sub(r": .* (\d+)/.*", r" \1", line) for line in lines if line]
    assert last == "wandb: a line that is no bar"
    assert bars == ["long 20", "long 40", "told", "long 60", "long 80", "long 100", "long 110", "short 3"]
    assert not set("\r\x1b") & set("".join(lines))
    assert SECONDS == 20


def test_a_terminal_has_its_bar():
    shown = on_terminal(
        """
        from tqdm import tqdm
        for i in tqdm(range(3), desc="moves", mininterval=0): pass
        """
    )
    assert shown.count(b"\rmoves") >= 3


def test_control_characters_are_shown_not_sent(capsys):
    with command("test"):
        print("a\x1b]0;title\x07b\tc\x9b31m \x1b[31mred\x08")
        say("test", "x\x1b[2J\u202ey\nz")
    shown = capsys.readouterr()
    assert shown.out == "a\\x1b]0;title\\x07b\tc\\x9b31m \\x1b[31mred\\x08\n"
    assert shown.err == "graves_lm test: x\\x1b[2J\\u202ey\\nz\n"
    assert visible("é日 a\xa0b\ud800") == "é日 a\\xa0b\\ud800"


def test_long_messages_keep_their_beginning_and_their_end():
    text = "file: " + "x" * 5000 + "; give another"
    assert len(brief(text)) == LONGEST
    assert brief(text).startswith("file: xxx")
    assert brief(text).endswith("xxx; give another")
    assert brief("short") == "short"


# --- what the machine refuses ---------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_what_befalls_a_file_is_one_line_with_its_name(name):
    error = OSError(getattr(errno, name), os.strerror(getattr(errno, name)), "some/file")
    assert is_mistake(error)
    line = one_line(error, "train")
    assert line.startswith(f"some/file: {os.strerror(getattr(errno, name))}; ")
    assert "\n" not in line


def test_faults_of_the_program_keep_their_traceback():
    assert not is_mistake(OSError(errno.EBADF, "Bad file descriptor"))
    assert not is_mistake(OSError(errno.EINVAL, "Invalid argument"))
    assert not is_mistake(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert not is_mistake(OSError("no number"))
    assert not is_mistake(io.UnsupportedOperation("fileno"))
    assert not is_mistake(KeyError("x"))
    assert is_mistake(OSError(errno.ENOSPC, "No space left on device"))
    own = Path(graves_lm.__file__).parent / "a.c"
    assert "install graves_lm again" in str(refusal(FileNotFoundError(errno.ENOENT, "gone", str(own))))


def test_memory_and_depth():
    assert one_line(MemoryError("of 9 TiB"), "train").startswith("not enough memory (of 9 TiB): ask for less")
    assert is_mistake(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    with pytest.raises(RecursionError) as deep:
        json.loads("[" * 100_000)
    assert "nested too deep" in one_line(deep.value, "train")


def test_a_folder_that_is_gone(tmp_path):
    code = "print('unreached')"
    ended = run(code, shell="", **{"BASH_ENV": str(tmp_path / "env")})
    assert ended.stdout == b"unreached\n"
    (tmp_path / "env").write_text(f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone\n")
    ended = run(code, shell="", **{"BASH_ENV": str(tmp_path / "env")})
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"graves_lm test: the folder that this command runs in has been removed" in ended.stderr


def test_sigterm_ends_a_command_in_one_line(tmp_path):
    """And what it was doing is cleaned up."""
    program = (
        "import time\n"
        "from graves_lm.runtime import terminal\n"
        "with terminal.command('sample'):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (143, "cleaned\n", "graves_lm sample: stopped by SIGTERM\n")
