"""`data=ink`: lines of one's own pen (see `ink`)."""

import os
from collections.abc import Collection, Mapping
from typing import Any, Literal
from unicodedata import normalize

import numpy as np

from graves_lm.data.accents import ACCENTS_VERSION, with_accents
from graves_lm.data.base import file_key
from graves_lm.data.grafts import GRAFTS_VERSION, grafts, words_with_letters
from graves_lm.data.hershey.european import LETTERS
from graves_lm.data.ink.fit import fit
from graves_lm.data.ink.reading import direction, ink_files, one_line, read_ink
from graves_lm.data.pen import PenCorpus, PenLines
from graves_lm.data.strokes import StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import CountOrNone, ProperShare, Rate, Seed

_SHOWN = 30  # characters of the line that stands for a hand
_REPORT = "report.txt"
_READING_VERSION = 2  # to be raised with any change of what is read: part of the cache's key


@declared("data")
class InkData(PenCorpus):
    """InkML, UNIPEN and JSON files; `source` is one of them or a folder of them.

    Args:
        y_axis: "up" or "down" for devices that do not keep to their format; None: the format's own.
        rate: points per second, to which lines are brought whose times are known, as those that the page
            records; None: as the pen gave them.
        val_share: the share of the lines, at least one, that validate; chosen by `seed`.
        doubted: whether lines of which a reader reads something else altogether are named and kept, or named
            and left out; None: none are read.
        grafts: training lines added once more with a generated word of digits, capitals or signs beside
            them, in their size, slant and pace: what one has not written is not forgotten.
        accents: training lines added once more with accents on some of their letters (see `accents`), those
            that the lines' own letters have.
        seed: of those choices.
    """

    def __init__(
        self,
        y_axis: Literal["up", "down"] | None = None,
        rate: Rate | None = None,
        val_share: ProperShare = 0.1,
        doubted: Literal["keep", "leave_out"] | None = None,
        grafts: CountOrNone = 0,
        accents: CountOrNone = 0,
        seed: Seed = 0,
        **settings: Any,
    ):
        super().__init__("ink", **settings)
        if self.source is None:
            raise UserError("data=ink needs data.source=PATH, an ink file or a folder of them")
        self.y_axis, self.rate, self.val_share, self.seed = y_axis, rate, val_share, seed
        self.doubted, self.grafts, self.accents = doubted, grafts, accents
        self.doubtful: Collection[int] = ()
        """Lines of the store that a reader does not take for their texts."""

    def cache_key(self) -> Mapping[str, Any]:
        assert self.source is not None
        if self.source.resolve() == self.cache_dir.resolve():
            self.refuse_cache_in(self.source)
        inks, _ = ink_files(self.source, but=self.cache_dir)
        texts = [path.with_suffix(".txt") for path in inks]
        files = [file_key(path) for path in [*inks, *texts] if os.path.isfile(path)]
        settings = [self.y_axis, self.val_share, self.seed, *([] if self.rate is None else [self.rate])]
        key: dict[str, Any] = {"data": self.name, "files": files, "settings": settings}
        key["reading"] = _READING_VERSION
        key |= {"grafts": [self.grafts, GRAFTS_VERSION]} if self.grafts else {}
        return key | ({"accents": [self.accents, ACCENTS_VERSION]} if self.accents else {})

    def read(self) -> PenLines:
        assert self.source is not None
        lines, problems = read_ink(self.source, y_axis=self.y_axis, rate=self.rate, but=self.cache_dir)
        lines, unfit, scaled = fit(lines)
        problems += unfit
        if len(lines) < 2:
            lost = f"; left out was {problems[0].name}: {problems[0].reason}" if problems else ""
            raise UserError(
                f"data=ink: {one_line(self.source)} has one line of handwriting and two are the least, one "
                f"to train on and one to validate{lost}"
            )
        order = np.random.default_rng(self.seed).permutation(len(lines))
        held_out = min(max(1, round(self.val_share * len(lines))), len(lines) - 1)
        splits = {
            "train": [lines[i] for i in sorted(order[held_out:])],
            "val": [lines[i] for i in sorted(order[:held_out])],
        }
        texts = [line.text for line in splits["train"]]
        own = "".join(c for c in LETTERS if any(c in text for text in texts))
        rare = words_with_letters(texts, own, set().union(*texts))
        added = grafts(splits["train"], self.grafts, self.seed, rare)
        accented = with_accents(splits["train"], self.accents, own, self.seed)
        # Composed, as pens' texts are: which letters are known in parts, the weights say.
        added += [line._replace(text=normalize("NFC", line.text)) for line in accented]
        told = [f"{p.name}: left out: {p.reason}" for p in problems]
        told += [f"{p.name}: {p.reason}" for p in scaled]
        report = f"{len(lines):,} lines read, {len(problems):,} files or lines left out"
        report += f", {len(scaled):,} brought to the size of the others" if scaled else ""
        if told:
            report += f"; each by name in {one_line(self.cache / _REPORT)}:\n" + "\n".join(told[:10])
        listing = {_REPORT: "".join(f"{line}\n" for line in told)}
        return PenLines(splits, f"own pen, {one_line(self.source)}", report, listing, added)

    def told(self) -> list[str]:
        """What was left out of the files or changed, a line each."""
        return (self.cache / _REPORT).read_text(encoding="utf-8").splitlines()

    def y_grows(self) -> str:
        """ "up" or "down", as the file, or the first of them, was read."""
        assert self.source is not None
        return self.y_axis or direction(ink_files(self.source, but=self.cache_dir)[0][0])

    def own_lines(self) -> list[int]:
        """The numbers in the store of the lines to learn from that the person wrote."""
        train = self.store.indices("train")
        own: list[int] = np.setdiff1d(train[: len(train) - self.card.get("added", 0)], self.left_out).tolist()
        return own

    def hands(self) -> list[StrokeLine]:
        """The person's lines with texts, those first that show a hand best: not doubtful, and of about 30
        characters."""
        texts = self.store.texts
        written = [n for n in self.own_lines() if texts[n]]
        written.sort(key=lambda n: (n in self.doubtful, abs(len(texts[n]) - _SHOWN)))
        return [self.store[n] for n in written]
