"""`data=iam`: the IAM On-Line Handwriting Database (see `iam`)."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal

from graves_lm.data.iam.archive import locate
from graves_lm.data.iam.reading import SPLITS, iam_key, read_iam
from graves_lm.data.pen import PenCorpus, PenLines
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared


@declared("data")
class IamData(PenCorpus):
    """IAM-OnDB from its owner's files; `source` is their folder, with archives or unpacked.

    Args:
        split: "paper" (train + test_t + test_f against test_v) or "owner" (trainset, testset_v as val,
            testset_t as val_t, testset_f as test).
        drop_suspect: leave out the lines of `suspect_lines.txt`, whose texts others found wrong.
    """

    def __init__(
        self, split: Literal["paper", "owner"] = "paper", drop_suspect: bool = False, **settings: Any
    ):
        super().__init__("iam", **settings)
        if self.source is None:
            raise UserError(
                "data=iam needs data.source=DIR, the folder with IAM-OnDB's files as its owner ships them "
                "(registration: fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database)"
            )
        self.split, self.drop_suspect = split, drop_suspect

    def cache_key(self) -> Mapping[str, Any]:
        assert self.source is not None
        place = locate(self.source)
        for folder in (place.line_strokes, place.transcripts):
            self.refuse_cache_in(folder)
        source = iam_key(self.source, drop_suspect=self.drop_suspect)
        return {"data": self.name, "source": source, "split": self.split}

    def read(self) -> PenLines:
        assert self.source is not None
        sets, report = read_iam(self.source, drop_suspect=self.drop_suspect)
        splits = {
            split: list(chain.from_iterable(sets[name] for name in names))
            for split, names in SPLITS[self.split].items()
        }
        table = f"{report.table()}\nevery line that was touched, by name: {self.cache / 'report.txt'}\n"
        about = f"IAM-OnDB, the {self.split}'s split (research use only, not to be passed on)"
        return PenLines(splits, about, table, {"report.txt": report.table() + "\n" + report.listing()})
