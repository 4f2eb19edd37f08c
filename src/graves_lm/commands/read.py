"""The read command: ink files in, the text of each line of handwriting out."""

import argparse
import sys
from typing import Literal

from graves_lm.commands.launch import is_mistake, one_line
from graves_lm.runtime import terminal
from graves_lm.runtime.errors import UserError


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="graves_lm read", description="the text of ink: InkML, UNIPEN and JSON files, or folders of them"
    )
    parser.add_argument("file", nargs="+", help="an ink file, or a folder of them")
    parser.add_argument("--ckpt", default="reader", help="of model=reader; default: the package's own")
    parser.add_argument("--y-axis", choices=("up", "down"), help="where a format's own is not kept to")
    with terminal.command("read"):
        given = parser.parse_args()
        try:
            for file in given.file:
                _read(file, given.ckpt, given.y_axis)
        except Exception as error:
            if not is_mistake(error):
                raise
            terminal.say("read", one_line(error, "read"))
            sys.exit(2)


def _read(file: str, ckpt: str, y_axis: Literal["up", "down"] | None) -> None:
    """Print the text of each line of a file; on standard error what could not be read."""
    from graves_lm.data.ink.reading import read_ink
    from graves_lm.trained.loading import load_reader

    lines, problems = read_ink(file, y_axis=y_axis)
    reader, unread = load_reader(ckpt), 0
    for line in lines:
        try:
            print(terminal.escaped(reader.read([line.strokes])[0]))
        except UserError as error:
            terminal.say("read", f"{line.id}: {error}")
            unread += 1
    for problem in problems:
        terminal.say("read", f"left out {problem.name}: {problem.reason}")
    if unread == len(lines):
        raise UserError(f"{file}: none of its lines can be read")
