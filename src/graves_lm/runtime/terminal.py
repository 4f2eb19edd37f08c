"""What a command shows, and how it ends when nobody reads on, the disk is full or Ctrl-C is pressed.

A message begins on a line of its own, whatever bar is open. Where output is no terminal, as in a cluster's
log, a bar is a line every `SECONDS` and at its end. What the terminal cannot show becomes a
replacement mark. Control characters are shown as escapes: in a name or a checkpoint's text they might move
the cursor, retitle the window or press keys.
"""

import errno
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

from graves_lm.runtime.errors import brief, refusal, visible

STOPPED = 143
"""The exit status after SIGTERM, as a shell says of a process that it ended."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell says of a process that SIGINT ended."""
CLOSED = 141
"""The exit status where nobody reads on, as a shell says of a process that SIGPIPE ended."""
SECONDS = 20.0
"""From line to line of a bar that no terminal shows."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CURSOR = re.compile(r"\x1b\[[0-9;]*[mAK]")  # colours, a line up, the line cleared


@contextmanager
def command(name: str) -> Iterator[None]:
    """Let what is inside be a command: its output as the top of this file says, and SystemExit with
    `INTERRUPTED` or `CLOSED` where that is how it ends."""
    streams = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = _shown(name, *streams)
        try:
            os.getcwd()  # libraries end the process where it is gone
        except FileNotFoundError as error:
            say(name, str(refusal(error)))
            sys.exit(2)
        try:
            with _sigterm_raises():
                yield
        except _Terminated:
            begin_line()
            say(name, "stopped by SIGTERM")
            sys.exit(STOPPED)
        except KeyboardInterrupt:
            _interrupted(name)
        except SystemExit as stop:
            if _after_interrupt(stop):
                _interrupted(name)
            if stop.code:
                with suppress(SystemExit):
                    begin_line()
                raise
            _flush()
            raise
        except BaseException:  # a traceback begins on a line of its own, too
            with suppress(SystemExit):
                begin_line()
            raise
        _flush()
    finally:
        sys.stdout, sys.stderr = streams


class _Terminated(BaseException):
    """SIGTERM came, and nothing else had asked for it."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does, so that it cleans up. Training has its own handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> NoReturn:
        raise _Terminated

    before = signal.getsignal(signal.SIGTERM)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) == stop:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupted(name: str) -> NoReturn:
    begin_line(others=True)  # a terminal shows ^C
    say(name, "interrupted")
    sys.exit(INTERRUPTED)


def say(name: str, message: str) -> None:
    """A command's message to its user, on standard error and a line of its own."""
    begin_line()
    print(f"graves_lm {name}: {brief(visible(message))}", file=sys.stderr)


def begin_line(others: bool = False) -> None:
    """Leave all progress bars as they stand, and the cursor at the beginning of a line; also where other
    processes have written on the same terminal, with `others`."""
    if tqdm := sys.modules.get("tqdm"):
        for bar in list(tqdm.tqdm._instances):
            bar.close()
    if isinstance(sys.stderr, _Stream):
        sys.stdout.flush()
        sys.stderr.begin_line(others and sys.stderr.isatty())


def _after_interrupt(stop: BaseException) -> bool:
    """Whether it was Ctrl-C that made a library exit: Lightning's trainer does, with a status of its own."""
    cause = stop.__context__
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause is not None


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _shown(name: str, *streams: TextIO | None) -> "tuple[Any, ...]":
    lines: dict[Any, _Line] = {}
    return tuple(
        # One that was closed before the start would lend its number to the next file that is opened.
        _Stream(stream or open(os.devnull, "w", encoding="utf-8"), name, what, lines)
        for stream, what in zip(streams, ("standard output", "standard error"), strict=True)
    )


class _Line:
    """The terminal's last line, which several streams may share."""

    text = False  # it is not empty
    bar = False  # a bar stands on it
    kept = ""  # a bar that is not shown yet, where there is no terminal
    shown = 0.0  # when one was, or was first kept


class _Stream:
    """A text stream as this file says; all else is the stream's own."""

    def __init__(self, stream: TextIO, name: str, what: str, lines: dict[Any, _Line]):
        self._stream, self._name, self._what = stream, name, what
        try:
            status = os.fstat(stream.fileno())
            place: Any = (status.st_dev, status.st_ino)
        except (OSError, ValueError, AttributeError):
            place = self
        self._line = lines.setdefault(place, _Line())
        self._terminal = stream.isatty()
        if hasattr(stream, "reconfigure") and what == "standard output":
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not text or (not self._terminal and self._is_bars(text)):
            return len(text)
        # Bars and W&B begin with such a sequence; what comes from a file stands behind something.
        moves = text[0] in "\r\n\x1b"
        kept = _CURSOR.findall(text) if moves else []
        parts = [escaped(part) for part in (_CURSOR.split(text) if moves else [text])]
        shown = parts[0] + "".join(code + part for code, part in zip(kept, parts[1:], strict=True))
        if self._line.bar and not moves:
            shown = f"\n{shown}"
        last = shown.rpartition("\n")[2]
        if "\n" in shown or last.startswith("\r"):
            self._line.bar = last.startswith("\r") and bool(last.strip())
            self._line.text = False
        self._line.text |= bool(last.strip())
        self._ask("write", shown)
        return len(text)

    def _is_bars(self, text: str) -> bool:
        """Whether this is a bar's, which is then shown as a line if it is time to, or the bar has ended."""
        line, now = self._line, time.monotonic()
        moves = text[0] == "\r" and "\n" not in text
        if moves:
            line.shown = line.shown if line.kept else now
            line.kept = text.strip()
        ended = text == "\n" and bool(line.kept) and not line.text
        if ended or (moves and line.kept and now - line.shown >= SECONDS):
            kept, line.kept, line.shown = line.kept, "", now
            self.begin_line()
            self.write(f"{kept}\n")
            line.kept = "" if ended else kept
        return ended or moves or not _CURSOR.sub("", text)

    def begin_line(self, used: bool = False) -> None:
        """End the line where something stands on it."""
        if self._line.text or used:
            self.write("\n")

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._ask("flush")

    def _ask(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._stream, method)(*arguments)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> NoReturn:
        """End the command. SystemExit passes by what is ready for errors, such as a logger's handlers."""
        with suppress(OSError, ValueError):  # what is left in the buffer is written at the very end
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(CLOSED)
        if self is not sys.stderr:
            say(self._name, f"{self._what}: {error.strerror}; send it elsewhere, or make room")
        sys.exit(2)


def escaped(text: str) -> str:
    """The text with its control characters, but for tabs and the ends of lines, as escapes."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
