"""The hands command: what `hand=` can name, as a table, and a line in each hand as a picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from graves_lm.data.features import Features, features
from graves_lm.data.strokes import Floats, Normalisation
from graves_lm.rendering.labels import Label, labelled_png, labelled_svg
from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.files import check, write
from graves_lm.runtime.terminal import say
from graves_lm.trained.checkpoint import PRETRAINED
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.loading import load_trained
from graves_lm.writing.hand_files import in_folder, is_weights
from graves_lm.writing.hands import hands_of
from graves_lm.writing.named_hand import named_hand
from graves_lm.writing.output import CURVES
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenLine, paginate
from graves_lm.writing.writer import Writer

LONGEST = 60
"""Characters of what each hand writes: one line."""
_LABEL, _LETTERS = 26.0, 3.2  # millimetres: the room for names on the left, and their size
_SHOWN = 14  # characters of a name in the picture
_FORMATS = (".svg", ".png")


class Hand(NamedTuple):
    """A hand with a line that was written in it.

    kind: "package", "ink" or "weights".
    strokes: (T, 3), in the units of the package's data, or those of the weights that write in it.
    more: characters that its weights know and the others' do not.
    """

    name: str
    kind: str
    strokes: Floats
    text: str
    more: str

    @property
    def joining(self) -> float:
        """Letters written in a stroke, on average; a dot is a stroke, too."""
        return len(self.text.replace(" ", "")) / max(1, int((self.strokes[:, 2] > 0.5).sum()))


def run(cfg: DictConfig) -> None:
    """Print the table and write the picture that `cfg` (conf/hands.yaml) asks for.

    A file that is no hand is named on standard error, and the others are listed.
    """
    output = None if cfg.output is None else Path(cfg.output)
    if output is not None:
        if output.suffix.lower() not in _FORMATS:
            raise UserError(
                f"output={output}: a picture of hands is written as .svg or .png; use one of them"
            )
        check(output)
    trained = load_trained(cfg.ckpt or packaged(), task="synthesis")
    assert isinstance(trained, TrainedHandwriting)
    text = str(cfg.text).strip()
    if not 0 < len(text) <= LONGEST:
        raise UserError(f"text={visible(str(cfg.text))}: a line of 1 to {LONGEST} characters is needed")
    trained.alphabet.encode(text, where="text")  # an unknown character is found before the work
    folder, problems = Path(cfg.hands_dir).expanduser(), list[str]()
    found = list(hands(Writer(trained), folder, text, cfg.seed, problems))
    for problem in problems:
        say("hands", problem)
    if not found:
        raise UserError(f"hands_dir={folder}: no hand there, and none of the package's serves these weights")
    print(visible(table(found), keep="\n"))
    if output is not None:
        write(output, picture(found, output.suffix.lower() == ".png"))
        print(f"\n{visible(str(output))}")


def packaged() -> str:
    """The name of the package's weights."""
    if not (PRETRAINED / "synthesis.safetensors").is_file():
        raise UserError("the package has no weights for model=synthesis: give ckpt=PATH, which write instead")
    return "synthesis"


def hands(
    writer: Writer, folder: Path, text: str, seed: int, problems: list[str] | None = None
) -> Iterator[Hand]:
    """Those of the package that serve the writer's network, then those of the folder by name.

    The text is written in each, which takes about a second; progress is shown. What is wrong with files that
    are left out is added to `problems`, a line each.
    """
    trained = writer.trained
    numbers = range(1, len(hands_of(trained.normalisation, trained.alphabet)) + 1)
    files = in_folder(folder)
    asked = [*((str(n), "package") for n in numbers), *((name, _kind(path)) for name, path in files.items())]
    for name, kind in tqdm(asked, "writing", unit="hand", disable=not asked):
        # By its file: a folder may have a hand of the name 3.
        hand = int(name) if kind == "package" else str(files[name])
        try:
            written = writer.write(text, hand=hand, hands_dir=folder, seed=seed, width=LONGEST)
            own = named_hand(hand, folder).trained() if kind == "weights" else trained
        except UserError as reason:
            if problems is not None:
                problems.append(str(reason))
            continue
        more = "".join(c for c in own.alphabet.characters if c not in trained.alphabet)
        strokes = _in_units(written.strokes[0], own.normalisation, trained.normalisation)
        yield Hand(name, kind, strokes, text, more)


def _kind(path: Path) -> str:
    return "weights" if is_weights(path) else "ink"


def _in_units(strokes: Floats, own: Normalisation, wanted: Normalisation) -> Floats:
    """A line in other units, in which it varies as much."""
    factor = float(np.sqrt(np.prod(np.array(wanted.std) / np.array(own.std))))
    return strokes if own == wanted else (strokes * np.array([factor, factor, 1])).astype(np.float32)


def table(found: Sequence[Hand]) -> str:
    """A row for each hand, of the line that is drawn in it."""
    head = ("hand", "kind", "size", "slant", "speed", "letters a stroke", "further characters")
    rows = [head, *(_row(hand, features(hand.strokes)) for hand in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, 1, 6) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(hand: Hand, its: Features) -> tuple[str, ...]:
    figures = (f"{its.size:.0f}", f"{round(its.slant)}°", f"{its.speed:.1f}", f"{hand.joining:.1f}")
    return (visible(hand.name), hand.kind, *figures, hand.more)


def picture(found: Sequence[Hand], png: bool) -> str | bytes:
    """The lines under each other, each with the name of its hand, as SVG or PNG."""
    settings = PageSettings(height=None, margin_left=20.0 + _LABEL, line_height=16.0, x_height=0.2)
    (page,) = paginate([WrittenLine(hand.text, hand.strokes) for hand in found], settings)
    labels = [
        Label(20.0, line.baseline, _short(hand.name), _LETTERS)
        for hand, line in zip(found, page.lines, strict=True)
    ]
    if png:
        return labelled_png(page.drawing, labels)
    return labelled_svg(page.drawing, labels, CURVES)


def _short(name: str) -> str:
    name = visible(name)
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}…"
