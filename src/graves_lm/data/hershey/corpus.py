"""`data=hershey`: generated lines of handwriting (see `hershey`), there on every machine."""

import os
from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any, Literal

from msgspec import Meta
from tqdm import tqdm

from graves_lm.data.hershey.lines import HERSHEY_VERSION, HersheyLines
from graves_lm.data.pen import PenCorpus, PenLines
from graves_lm.data.strokes import StrokeLine
from graves_lm.data.workers import pool_of
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Characters, Lines, Seed

_CHUNK = 50  # lines handed to a process at once


@declared("data")
class HersheyData(PenCorpus):
    """Lines by invented writers; validation and test lines are of other writers and texts.

    Args:
        lines, writers: of the training split.
        eval_lines: of the validation and the test split each, by a tenth of the writers.
        line_characters: the least and the most of a line.
        rate: readings of the pen per second; fewer make shorter sequences and coarser curves.
        characters: "full", those of English prose; "european", with the letters of Europe's Latin
            alphabets and more signs; "paper", 57 symbols.
        same_writers: let the training writers write the validation and test lines too.
        seed: of the writers, texts and movements; not that of training.

    >>> few = {"lines": 4, "writers": 1, "eval_lines": 2, "line_characters": (2, 4), "batch_size": 2}
    >>> data = HersheyData(**few, cache_dir="data")
    >>> data.prepare()
    >>> data.open()
    >>> batch = next(iter(data.training_batches()))
    >>> batch.point_TB3.shape[1:], batch.symbol_BU.shape[0]
    (torch.Size([2, 3]), 2)
    """

    def __init__(
        self,
        lines: Lines,
        writers: Lines,
        eval_lines: Lines,
        line_characters: tuple[Characters, Characters] = (20, 40),
        rate: Annotated[float, Meta(ge=1, le=1000)] = 75.0,
        characters: Literal["full", "paper", "european"] = "full",
        same_writers: bool = False,
        seed: Seed = 0,
        **settings: Any,
    ):
        european = characters == "european"
        super().__init__("hershey", characters="paper" if characters == "paper" else "full", **settings)
        if self.source is not None:
            raise UserError("data=hershey is generated and takes no data.source; data=iam and data=ink do")
        fewer, size = max(1, writers // 10), (line_characters[0], line_characters[1])
        self._parts = {
            "train": HersheyLines(lines, writers, seed, "train", size, rate=rate, european=european),
        }
        people = "train" if same_writers else None
        for part in ("val", "test"):
            eval_writers = writers if same_writers else fewer
            self._parts[part] = HersheyLines(
                eval_lines, eval_writers, seed, part, size, people, rate, european
            )

    def cache_key(self) -> Mapping[str, Any]:
        parts = {
            name: [p.lines, p.writers, p.seed, p.characters, p.people, p.rate, *(["european"] * p.european)]
            for name, p in self._parts.items()
        }
        return {"data": self.name, "version": HERSHEY_VERSION, "parts": parts}

    def read(self) -> PenLines:
        made = made_lines(self._parts)
        writers = len({line.writer for line in chain.from_iterable(made.values())})
        return PenLines(made, f"sentences in single-stroke letters by {writers:,} generated writers")


def made_lines(parts: Mapping[str, HersheyLines]) -> dict[str, list[StrokeLine]]:
    """All lines of each part, made by as many processes as are of use."""
    chunks = [
        (name, part, range(start, min(start + _CHUNK, part.lines)))
        for name, part in parts.items()
        for start in range(0, part.lines, _CHUNK)
    ]
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    workers = min(len(mine), len(chunks) // 4)  # so few lines are quicker made here
    made: dict[str, list[StrokeLine]] = {name: [] for name in parts}
    total = sum(part.lines for part in parts.values())
    with tqdm(total=total, unit="line", desc="hershey", leave=False) as bar:
        if workers <= 1:
            for name, part, lines in chunks:
                for line in map(part.__getitem__, lines):
                    made[name].append(line)
                    bar.update()
        else:
            tasks = [(part, lines) for _, part, lines in chunks]
            with pool_of(workers) as pool:
                for (name, _, _), written in zip(chunks, pool.map(_write, tasks), strict=True):
                    made[name] += written
                    bar.update(len(written))
    return made


def _write(chunk: tuple[HersheyLines, range]) -> list[StrokeLine]:
    """Runs in a worker process."""
    part, lines = chunk
    return [part[i] for i in lines]
