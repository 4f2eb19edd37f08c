"""What all pen data share: lines in a store, batches of similar lengths."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.base import ALL, CARD, Corpus, Share, write_card
from graves_lm.data.cache_folder import CacheFolder
from graves_lm.data.line_batches import Indices, LineLoader
from graves_lm.data.line_store import FILES, LineStore
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.settings.kinds import Name, Place, Rows, Seed, ShareBelowOne


class PenLines(NamedTuple):
    """What a source of pen data gives: lines by split ("train", "val" and perhaps "test"), a line about
    them, a table of what was done to them, text files by name that are kept beside the cache, and lines that
    are added to the training split: they are learned from, in the units of those that were there."""

    splits: Mapping[str, Sequence[StrokeLine]]
    about: str
    report: str = ""
    files: Mapping[str, str] = {}
    added: Sequence[StrokeLine] = ()


class PenCorpus(Corpus):
    """Lines of handwriting with their texts, normalised by the training split.

    Args:
        batch_size, eval_batch_size: lines per batch on each process, training and evaluating.
        shuffle_seed: of the order of the training lines.
        characters: "full", all that the texts have, or "paper", its 57 symbols (see `Alphabet.paper`).
        rare_share: training lines with a character that fewer lines than this share have are read more often
            in an epoch, see `repeats`; 0: every line once.
        only_with: training lines are those that have one of these characters; None: all.
    """

    gives = ("normalisation", "alphabet")
    content = (CARD, *FILES)

    def __init__(
        self,
        name: str,
        *,
        cache_dir: Place = "data",
        source: Place | None = None,
        batch_size: Rows = 32,
        eval_batch_size: Rows = 32,
        shuffle_seed: Seed = 1,
        characters: Literal["full", "paper"] = "full",
        rare_share: ShareBelowOne = 0.0,
        only_with: Name | None = None,
    ):
        super().__init__(name, cache_dir, source, batch_size)
        self.eval_batch_size = eval_batch_size
        self.shuffle_seed = shuffle_seed
        self.characters = characters
        self.rare_share = rare_share
        self.only_with = only_with

    @abstractmethod
    def read(self) -> PenLines:
        """Reads or makes all lines. Raises UserError when there is nothing usable."""

    def build(self, folder: Path) -> None:
        lines = self.read()
        for split in ("train", "val"):
            if not lines.splits[split]:
                raise UserError(f"data={self.name}: no usable line in the {split} split; give more lines")
        splits = {**lines.splits, "train": [*lines.splits["train"], *lines.added]}
        LineStore.write(folder, splits)
        characters = Counter(c for part in splits.values() for line in part for c in line.text)
        content = {
            "counts": {split: len(part) for split, part in splits.items()},
            "points": {split: sum(len(x.strokes) - 1 for x in part) for split, part in splits.items()},
            "normalisation": Normalisation.fit(line.strokes for line in lines.splits["train"]).to_plain(),
            "characters": sorted(characters),
        } | ({"added": len(lines.added)} if lines.added else {})
        write_card(folder, content, lines.about, lines.report)
        for name, text in lines.files.items():
            (folder / name).write_text(text, encoding="utf-8")

    def open_cache(self, files: CacheFolder) -> None:
        store = LineStore.open(files)
        for split, (first, last) in store.parts.items():
            points = int(store.offsets[last] - store.offsets[first]) - (last - first)
            if self.card["counts"][split] != last - first or self.card["points"][split] != points:
                raise files.damaged(CARD, f"it counts other lines or points in {split}")
        self.normalisation = Normalisation.from_plain(self.card["normalisation"])
        full = Alphabet.from_plain({"characters": self.card["characters"], "non_letters": []})
        self.alphabet: Alphabet | None = Alphabet.paper() if self.characters == "paper" else full
        self.store = store
        self.left_out: Indices = np.zeros(0, np.int64)

    def leave_out(self, lines: Sequence[int]) -> None:
        """From now on, give no batch with these lines of the store.

        Raises UserError where none is left to learn from, or to validate.
        """
        self.left_out = np.array(lines, np.int64)
        for split in ("train", "val"):
            if not len(self.lines_of(split)):
                raise UserError(
                    f"data={self.name}: all lines of the {split} split are left out: give other lines"
                )

    def lines_of(self, split: str) -> Indices:
        """The lines of a split, by their numbers in the store."""
        return np.setdiff1d(self.store.indices(split), self.left_out)

    def facts(self) -> dict[str, Any]:
        return {"normalisation": self.normalisation, "alphabet": self.alphabet}

    def read_as(self, facts: Mapping[str, Any]) -> None:
        # A density is a number in units: a network is always given, and scored in, those it learned.
        self.normalisation = facts["normalisation"]
        self.alphabet = facts.get("alphabet")
        if self.alphabet is not None:
            self._require_texts(self.alphabet)

    def _require_texts(self, alphabet: Alphabet) -> None:
        """Raises UserError for the first line without a text, or with one that cannot be spelled."""
        for name, text in zip(self.store.ids, self.store.texts, strict=True):
            if not text:
                raise UserError(
                    f"data={self.name}: line {name} has no text, and model=synthesis learns to write texts; "
                    "give its text, or remove it"
                )
            alphabet.encode(text, where=f"data={self.name}, line {name}")

    @property
    def training_sequences(self) -> int:
        return int(self.card["counts"]["train"])

    def summary(self) -> str:
        """A table for the terminal: the source's own report, then what training will see."""
        rows = [
            f"{split:>6} {self.card['counts'][split]:>8,} lines {self.card['points'][split]:>11,} offsets"
            for split in self.card["counts"]
        ]
        points = self.store.lengths
        share = self.training_batches().padding_share()
        (mean_x, mean_y), (std_x, std_y) = self.normalisation.mean, self.normalisation.std
        about = [
            f"{self.name}: {self.about['about']}",
            *rows,
            f"points of a line: {points.mean():.0f} on average, {points.min()} to {points.max()}",
            f"offsets (training): mean ({mean_x:.2f}, {mean_y:.2f}), std ({std_x:.2f}, {std_y:.2f})",
            f"padding: {share:.1%} of the computed steps, in batches of {self.batch_size} lines",
            f"{len(self.card['characters'])} characters: {''.join(self.card['characters'])}",
            f"cache: {self.cache}",
        ]
        return "\n".join(([self.about["report"]] if self.about["report"] else []) + about)

    def training_batches(self, share: Share = ALL, *, shuffled: bool = True) -> LineLoader:
        lines = self.lines_of("train")
        if self.only_with:
            having = [not set(self.store.texts[i]).isdisjoint(self.only_with) for i in lines]
            lines = lines[np.array(having, bool)]
            if not len(lines):
                raise UserError(
                    f"data.only_with={self.only_with}: no training line has one of these characters"
                )
        if self.rare_share:
            lines = np.repeat(lines, repeats([self.store.texts[i] for i in lines], self.rare_share))
        return self._loader("train", share, lines, self.batch_size, self.shuffle_seed if shuffled else None)

    def evaluation_batches(self, split: str, share: Share = ALL) -> LineLoader:
        """Batches of a split in which every line is scored exactly once."""
        return self._loader(split, share, self.lines_of(split), self.eval_batch_size, None)

    def _loader(
        self, split: str, share: Share, lines: Indices, batch_size: int, seed: int | None
    ) -> LineLoader:
        return LineLoader(
            self.store,
            lines,
            self.normalisation,
            batch_size,
            alphabet=self.alphabet,
            rank=share.rank,
            world=share.world,
            seed=seed,
            name=f"data={self.name}, {split} lines",
        )

    def example(self, split: str = "val") -> StrokeLine:
        """A line of the split that is always the same: the first of median length."""
        lines = self.store.indices(split)
        length = self.store.lengths[lines]
        line: StrokeLine = self.store[int(lines[np.argsort(length, kind="stable")[len(lines) // 2]])]
        return line


def repeats(texts: Sequence[str], share: float) -> Indices:
    """How often each text is to be read, so that rare characters are learned too: √(share / f) times, rounded
    and at least once, for its rarest character, which a share f of the texts has ("repeat factor sampling",
    A. Gupta et al., "LVIS", CVPR 2019)."""
    having = Counter(c for text in texts for c in set(text))
    rarest = np.array([min((having[c] for c in text), default=len(texts)) for text in texts])
    times: Indices = np.maximum(1, np.rint(np.sqrt(share * len(texts) / rarest)).astype(np.int64))
    return times
