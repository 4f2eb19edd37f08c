"""A hand by what `hand=` says: weights that write, or a style that weights are primed with.

A hand is a number of the package's, an ink file or a file of weights (`hand_files`), or a mixture of some
(`hand_name`): of weights the mean of their weights, of lines the mean of what they leave in the network
(docs/adr/0031-hands-as-files.md).
"""

import copy
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine
from graves_lm.runtime.errors import UserError, visible
from graves_lm.trained.blend import Blend, Style
from graves_lm.trained.checkpoint import hand_of, read_checkpoint
from graves_lm.trained.format import METADATA
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.loading import make_trained, packaged_reader
from graves_lm.trained.mean import mean
from graves_lm.trained.prime import prime_of
from graves_lm.trained.reader import errors
from graves_lm.writing.hand_files import PACKAGE, find, is_weights
from graves_lm.writing.hand_name import parts_of

LONGEST = 50
"""Characters of a line that is preferred as a prime: more show no more of a style, and cost time."""
LEGIBLE = 0.1
"""The share of characters that the reader may read otherwise in a line that is preferred."""
_JUDGED = 32  # lines of a file, at most, that the reader is asked about
_KEPT = 4  # networks of hands that are kept in memory

Spell = Callable[[str], str]
OneOf = Callable[[int], StrokeLine | None]


class Part(NamedTuple):
    """One hand of a mixture: its name, its share, and its number or its file; None for the package."""

    name: str
    share: float
    of: int | Path | None


class NamedHand(NamedTuple):
    """The parts of a hand, found and not yet read. `where` is how messages begin."""

    parts: Sequence[Part]
    where: str

    @property
    def of_weights(self) -> bool:
        """Whether it brings weights of its own; else it is a style for those that there are."""
        return _brings_weights(self.parts[0])

    @property
    def has_hand(self) -> bool:
        """Whether its weights were made for a hand: any but the package's are."""
        return any(part.of is not None for part in self.parts)

    def trained(self) -> TrainedHandwriting:
        """The network of a hand `of_weights`; of several the mean of their weights, with the blend of the
        hands that they carry. Kept, and the same as long as the files are.

        Raises UserError for files that are no weights of model=synthesis, and for those that have no mean.
        """
        files = tuple(("synthesis" if part.of is None else str(part.of)) for part in self.parts)
        shares = tuple(part.share for part in self.parts)
        return _trained(files, shares, tuple(map(_stamp, self.parts)), self.where)

    def style(self, spell: Spell, trained: TrainedHandwriting, numbered: OneOf) -> Style | None:
        """The line of a hand that is not `of_weights`, or the blend of several, for a network to be primed
        with. None: it has no line of that number to follow.

        Args:
            spell: a text in characters that the network knows.
            numbered: the line of a number.

        Raises UserError for files that cannot be read and for lines that are no prime.
        """
        lines = [
            numbered(part.of) if isinstance(part.of, int) else best_line(part, spell, trained, self.where)
            for part in self.parts
        ]
        found = [line for line in lines if line is not None]
        if len(self.parts) == 1:
            return found[0] if found else None
        if len(found) < len(lines):
            name = self.parts[lines.index(None)].name
            raise UserError(f"{self.where}: this network has no hand {name} to mix")
        return Blend(found, [part.share for part in self.parts])


def named_hand(hand: int | str | Path, folder: str | os.PathLike[str]) -> NamedHand:
    """The hand that `hand` says, its files found in `folder` or elsewhere.

    Raises UserError for a bad form, for no such hand, and for a mixture of weights with what is none.
    """
    where = f"hand={visible(str(hand))}"
    place = Path(os.path.expanduser(folder))

    def is_name(text: str) -> bool:
        return os.path.isfile(os.path.expanduser(text)) or (
            "/" not in text and any(os.path.isfile(place / f"{text}{ending}") for ending in _ANY)
        )

    parts = [Part(name, share, _found(name, place, where)) for name, share in parts_of(hand, is_name)]
    weights = [part for part in parts if _brings_weights(part)]
    if weights and len(weights) < len(parts):
        other = next(part for part in parts if part not in weights)
        raise UserError(
            f"{where}: {weights[0].name} is weights and {other.name} a line, which do not mix; to write with "
            f"the one in the style of the other give them as ckpt= and hand="
        )
    return NamedHand(parts, where)


_ANY = ("", ".safetensors", ".ckpt", ".json", ".inkml")


def _found(name: str, folder: Path, where: str) -> int | Path | None:
    if re.fullmatch(r"[+-]?[0-9]{1,12}", name):
        if int(name) < 1:
            raise UserError(f"{where}: hands are counted from 1")
        return int(name)
    return None if name == PACKAGE else find(name, folder, where)


def _brings_weights(part: Part) -> bool:
    return part.of is None or (isinstance(part.of, Path) and is_weights(part.of))


def best_line(part: Part, spell: Spell, trained: TrainedHandwriting, where: str) -> StrokeLine:
    """The line of an ink file that shows its hand best.

    Of lines that the network can be primed with and that the package's reader reads with at most a tenth of
    their characters otherwise, it is the longest of at most fifty characters (of longer ones alone, the
    shortest). Where none is read so well it is the one that is read best; where there is no reader, all
    count as read.

    Raises UserError where no line does.
    """
    assert isinstance(part.of, Path)
    try:
        lines, _ = read_ink(part.of)
    except UserError as reason:
        raise UserError(f"{where}: {reason}") from reason
    usable: list[StrokeLine] = []
    reasons: list[UserError] = []
    for line in lines:
        try:
            line = line._replace(text=spell(line.text).replace("\n", " ").strip())
            prime_of(line, trained.normalisation, trained.alphabet)
            usable.append(line)
        except UserError as reason:
            reasons.append(reason)
    if not usable:
        several = f"none of its {len(lines)} lines is a prime: " if len(lines) > 1 else ""
        beside = ""
        if not any(line.text.strip() for line in lines):
            beside = f"; write what it says into {part.of.with_suffix('.txt').name} beside it"
        raise UserError(f"{where}: {several}{reasons[0]}{beside}") from reasons[0]
    # The sort keeps the order of the file among lines of one length.
    usable.sort(key=lambda line: (len(line.text) > LONGEST, abs(LONGEST - len(line.text))))
    if len(usable) == 1 or (reader := packaged_reader()) is None:
        return usable[0]
    usable = usable[:_JUDGED]
    read = reader.read([line.strokes for line in usable])
    wrong = [
        errors(line.text, text) / len(line.text.replace(" ", ""))
        for line, text in zip(usable, read, strict=True)
    ]
    good = next((i for i, share in enumerate(wrong) if share <= LEGIBLE), None)
    return usable[wrong.index(min(wrong)) if good is None else good]


def _stamp(part: Part) -> tuple[int, int]:
    """What changes when a file is written anew."""
    try:
        found = os.stat(part.of) if isinstance(part.of, Path) else None
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size) if found else (0, 0)


@lru_cache(maxsize=_KEPT)
def _trained(
    files: tuple[str, ...], shares: tuple[float, ...], stamps: tuple[tuple[int, int], ...], where: str
) -> TrainedHandwriting:
    read: list[dict[str, Any]] = [read_checkpoint(file, "synthesis", "hand") for file in files]
    checkpoint = read[0]
    if len(read) > 1:
        try:
            checkpoint = mean(read, shares)
        except UserError as reason:
            raise UserError(f"{where}: {reason}") from reason
        checkpoint = copy.deepcopy(checkpoint)
        checkpoint["state_dict"] = {key: w.float() for key, w in checkpoint["state_dict"].items()}
        checkpoint[METADATA]["config"]["model"]["noise"] = None  # of the training, and not in the mean
    trained = make_trained(checkpoint)
    assert isinstance(trained, TrainedHandwriting)
    own = [
        (line, share)
        for one, share in zip(read, shares, strict=True)
        if (line := hand_of(one[METADATA])) is not None
    ]
    if len(own) == 1:
        trained.hand = own[0][0]
    elif own:
        lines, of_each = zip(*own, strict=True)
        trained.hand = Blend(lines, of_each)
    return trained
