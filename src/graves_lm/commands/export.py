"""The export command: its arguments, and what it knows of the run that the checkpoint is of."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graves_lm.commands.launch import is_mistake, one_line
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine
from graves_lm.runtime import terminal
from graves_lm.runtime.errors import UserError


def metrics_of(checkpoints: Sequence[str]) -> Path | None:
    """metrics.json of the run that a single checkpoint lies in, if it lies in one."""
    folder = Path(checkpoints[0]).absolute().parent
    file = folder.parent / "metrics.json"
    return file if len(checkpoints) == 1 and folder.name == "checkpoints" and file.is_file() else None


def read_figures(file: Path | None) -> dict[str, Any]:
    """The metrics of a metrics.json; none without one. Raises UserError where it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return {key: value for key, value in found.items() if "/" in key or key in ("steps", "seed")}
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"--figures {file}: not a metrics.json that can be read ({error})") from error


def shares_of(given: Sequence[float] | None, count: int) -> Sequence[float] | None:
    """How much of each checkpoint. Raises UserError for none that are."""
    if given is not None and (len(given) != count or not all(0 < share < float("inf") for share in given)):
        raise UserError(f"--shares: give a number above 0 for each of the {count} checkpoints")
    return given


def hand_of(file: str | None) -> StrokeLine | None:
    """The first line of an ink file. Raises UserError where there is none, or it has no text."""
    if file is None:
        return None
    line = read_ink(file)[0][0]
    if not line.text.strip():
        raise UserError(f"--hand {file}: its first line has no text; give ink with texts")
    return line


def commit() -> str:
    """The commit of the clone that this is part of; "" where it is none."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="graves_lm export", description="weights as a small file, and their metadata"
    )
    parser.add_argument("checkpoint", nargs="+", help="of graves_lm.train, or exported before")
    parser.add_argument("file", help="FILE.safetensors; the metadata is FILE.json")
    parser.add_argument("--data", required=True, help="what the weights were learned from")
    parser.add_argument("--licence", required=True, help="what they may be used for")
    parser.add_argument("--command", required=True, help="that made them")
    parser.add_argument("--figures", type=Path, help="metrics.json of evaluate, in place of that of the run")
    parser.add_argument("--shares", type=float, nargs="+", help="of each in the mean; else equal ones")
    parser.add_argument("--hand", metavar="INK", help="ink with its text: the style of what they write")
    parser.add_argument("--sampler", nargs="*", default=[], metavar="KEY=VALUE", help="how they write best")
    with terminal.command("export"):
        given = parser.parse_args()
        from graves_lm.trained.checkpoint import read_checkpoint  # torch, which --help does without
        from graves_lm.trained.doubt import doubt_of_style
        from graves_lm.trained.exported import export
        from graves_lm.trained.loading import packaged_reader
        from graves_lm.trained.mean import mean

        try:
            hand = hand_of(given.hand)
            export(
                mean(
                    [read_checkpoint(path) for path in given.checkpoint],
                    shares_of(given.shares, len(given.checkpoint)),
                ),
                given.file,
                given.sampler,
                hand=hand,
                data=given.data,
                licence=given.licence,
                figures=read_figures(given.figures or metrics_of(given.checkpoint)),
                command=given.command,
                commit=commit(),
            )
            if hand is not None and (reader := packaged_reader()) is not None:
                for doubt in doubt_of_style(hand, reader):
                    terminal.say("export", doubt)
        except Exception as error:
            if not is_mistake(error):
                raise
            terminal.say("export", one_line(error, "export"))
            sys.exit(2)
