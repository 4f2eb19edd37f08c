"""`data=iam`: the IAM On-Line Handwriting Database (see `iam`)."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal
from unicodedata import normalize

from graves_lm.data.accents import ACCENTS_VERSION, MARKED, with_accents
from graves_lm.data.grafts import GRAFTS_VERSION, grafts, words_with_letters
from graves_lm.data.hershey.corpus import made_lines
from graves_lm.data.hershey.european import LETTERS, SIGNS
from graves_lm.data.hershey.lines import HERSHEY_VERSION, HersheyLines
from graves_lm.data.hershey.words import EUROPEAN
from graves_lm.data.iam.archive import locate
from graves_lm.data.iam.reading import SPLITS, iam_key, read_iam
from graves_lm.data.pen import PenCorpus, PenLines
from graves_lm.data.recombined import RECOMBINED_VERSION, recombined
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import CountOrNone

_ADDED = 2  # to be raised with how lines are added: part of the caches' keys
_OF_EACH = 100  # one in so many grafted words more for each letter and sign that English has not
LENGTHS = (2, 40)
"""Characters of generated lines, from and to: those of the database are about 29."""


@declared("data")
class IamData(PenCorpus):
    """IAM-OnDB from its owner's files; `source` is their folder, with archives or unpacked.

    Args:
        split: "paper" (train + test_t + test_f against test_v) or "owner" (trainset, testset_v as val,
            testset_t as val_t, testset_f as test).
        drop_suspect: leave out the lines of `suspect_lines.txt`, whose texts others found wrong.
        generated: lines of generated handwriting (see `hershey`) among those of the training split, where the
            characters that English prose lacks are not rare; each by a writer of its own.
        recombined: lines that are put together from words of the training split, each from one page (see
            `recombined`): other texts in people's own hands, short, and with rare characters more often.
        grafts: lines of the training split, or recombined ones where there are such, that are added once more
            with generated words before or behind them (see `grafts`): rare characters in people's own hands,
            nearly.
        accents: lines of the training split that are added once more with an accent or the like on some of
            their letters (see `accents`): the letters of Europe's Latin alphabets in people's own hands.
        characters: "full", all that the texts have; "european": generated lines and words have the letters
            of Europe's Latin alphabets and more signs, too; "paper", 57 symbols.
    """

    def __init__(
        self,
        split: Literal["paper", "owner"] = "paper",
        drop_suspect: bool = False,
        generated: CountOrNone = 0,
        recombined: CountOrNone = 0,
        grafts: CountOrNone = 0,
        accents: CountOrNone = 0,
        characters: Literal["full", "paper", "european"] = "full",
        **settings: Any,
    ):
        super().__init__("iam", characters="paper" if characters == "paper" else "full", **settings)
        if self.source is None:
            raise UserError(
                "data=iam needs data.source=DIR, the folder with IAM-OnDB's files as its owner ships them "
                "(registration: fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database)"
            )
        self.split, self.drop_suspect = split, drop_suspect
        self.generated, self.recombined = generated, recombined
        self.grafts, self.accents = grafts, accents
        self.european = characters == "european"
        if self.european and not (generated or grafts):
            raise UserError(
                "data.characters=european: the database has no such letters; generated lines and words "
                "have them, data.generated=2500 or data.grafts=2500 for example"
            )

    def cache_key(self) -> Mapping[str, Any]:
        assert self.source is not None
        place = locate(self.source)
        for folder in (place.line_strokes, place.transcripts):
            self.refuse_cache_in(folder)
        source = iam_key(self.source, drop_suspect=self.drop_suspect)
        key: dict[str, Any] = {"data": self.name, "source": source, "split": self.split}
        european = ["european"] * self.european
        if self.generated:
            key["generated"] = [self.generated, HERSHEY_VERSION, _ADDED, *european]
        if self.recombined:
            key["recombined"] = [self.recombined, RECOMBINED_VERSION]
        if self.grafts:
            key["grafts"] = [self.grafts, GRAFTS_VERSION, HERSHEY_VERSION, _ADDED, *european]
        if self.accents:
            key["accents"] = [self.accents, ACCENTS_VERSION, _ADDED]
        return key

    def read(self) -> PenLines:
        assert self.source is not None
        sets, report = read_iam(self.source, drop_suspect=self.drop_suspect)
        splits = {
            split: list(chain.from_iterable(sets[name] for name in names))
            for split, names in SPLITS[self.split].items()
        }
        whole = "".join(c for c in LETTERS + SIGNS if c not in MARKED)  # not of a letter and its marks
        rare = words_with_letters((), whole, EUROPEAN) if self.european else []
        added = recombined(splits["train"], self.recombined)
        added += grafts(added or splits["train"], self.grafts, words=rare, of_each=self.grafts // _OF_EACH)
        added += with_accents(splits["train"], self.accents)
        if self.generated:
            people = HersheyLines(self.generated, self.generated, characters=LENGTHS, european=self.european)
            added += made_lines({"train": people})["train"]
        # A mark is a character for all letters that it goes with, as in `accents`.
        added = [line._replace(text=normalize("NFD", line.text)) for line in added]
        table = f"{report.table()}\nevery line that was touched, by name: {self.cache / 'report.txt'}\n"
        about = f"IAM-OnDB, the {self.split}'s split (research use only, not to be passed on)"
        return PenLines(splits, about, table, {"report.txt": report.table() + "\n" + report.listing()}, added)
