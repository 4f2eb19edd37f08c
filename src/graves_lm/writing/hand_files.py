"""The files that are hands: trained weights and ink, anywhere, or by their names in one folder."""

import os
from pathlib import Path

from graves_lm.data.ink.reading import ENDINGS as INK
from graves_lm.runtime.errors import UserError, near_misses, refusal, visible
from graves_lm.writing.hands import bank_size

PACKAGE = "package"
"""The name of the package's own weights."""
WEIGHTS = (".safetensors", ".ckpt")
FOLDER = Path("hands")
"""Where hands are looked for by name: in the working directory, where runs and pages are, too."""


def is_weights(path: Path) -> bool:
    """Whether a file is one of weights, by its ending."""
    return path.suffix.lower() in WEIGHTS


def in_folder(folder: Path) -> dict[str, Path]:
    """The hands of a folder by their names, sorted; {} where there is no folder.

    Of files that differ in their ending alone the name is that of the weights, else of the first in the order
    of `INK`: the .json beside weights tells of them, and ink beside them is likely what they learned from.
    Raises UserError for a folder that cannot be read.
    """
    order = [*WEIGHTS, *INK]
    try:
        files = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise UserError(f"hands_dir={folder}: {refusal(error) or error}") from None
    found: dict[str, Path] = {}
    for path in files:
        ending = path.suffix.lower()
        if ending not in order or path.name.startswith(".") or not path.is_file():
            continue
        before = found.get(path.stem)
        if before is None or order.index(ending) < order.index(before.suffix.lower()):
            found[path.stem] = path
    return found


def find(name: str, folder: Path, where: str) -> Path:
    """The file of a hand: one at this path, or else of this name, with or without its ending, in the folder.

    Raises UserError where there is none, with the nearest names; `where` is how the message begins.
    """
    path = Path(os.path.expanduser(name))
    known = path.suffix.lower() in (*WEIGHTS, *INK)
    # Not `Path.is_file`, which fails on a name that is too long for a file.
    if known and os.path.isfile(path):
        return path
    if os.path.basename(name) == name:
        if known and os.path.isfile(folder / name):
            return folder / name
        if (found := in_folder(folder).get(name)) is not None:
            return found
    if os.path.isfile(path):
        endings = ", ".join([*WEIGHTS, *INK])
        raise UserError(f"{where}: {visible(name)} is no file of weights or of ink: {endings}")
    names = [*in_folder(folder), PACKAGE]
    numbers = f"; 1 to {bank_size()} are the package's" if bank_size() else ""
    raise UserError(
        f"{where}: {visible(name)} is no file, and {visible(str(folder))}/ has no hand of that name; "
        f"{near_misses(name, names)}{numbers}"
    )
