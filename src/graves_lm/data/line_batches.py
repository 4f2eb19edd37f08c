"""Lines of handwriting as padded batches of similar lengths.

Lines differ in length tenfold, and a batch is as long as its longest line. So lines of similar length go
together: the shuffled lines are cut into groups of many batches, each group is sorted by length and cut
into batches, and the batches are shuffled. What is left of chance within a group is enough, and the
padding is a few per cent.

Shape legend: T steps, B lines, U characters; every line is padded at its end.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_store import LineStore
from graves_lm.data.streams import state_numbers
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError

if TYPE_CHECKING:  # torch takes a second to import, and preparing data does without
    from torch import Tensor

GROUP = 64
"""Batches sorted together. More: less padding, and batches more alike from epoch to epoch."""

Indices = NDArray[np.int64]


class LineBatch(NamedTuple):
    """B lines side by side, in normalised units.

    point_TB3: (T+1, B, 3); row 0 is the null vector that stands before the first prediction. A network
        reads point_TB3[:-1] and predicts point_TB3[1:].
    scored_TB: (T, B), whether point_TB3[t+1] is a point of the line rather than padding.
    symbol_BU: (B, U) indices of the texts' characters, -1 after a text's end; U is 0 without an alphabet.
    size: how many points are scored, on the host.
    """

    point_TB3: "Tensor"
    scored_TB: "Tensor"
    symbol_BU: "Tensor"
    size: int


def collate(
    lines: Sequence[StrokeLine], normalisation: Normalisation, alphabet: Alphabet | None = None
) -> LineBatch:
    """Lines of at least two points as one batch.

    A line's first point is where the pen begins: the null vector (its pen bit is the data's own). Raises
    UserError for a text with a character that is not in `alphabet`.
    """
    import torch

    length_B = np.array([len(line.strokes) for line in lines]) - 1
    T, B = int(length_B.max()), len(lines)
    point_TB3 = np.zeros((T + 1, B, 3), np.float32)
    texts = [alphabet.encode(line.text, where=line.id) if alphabet is not None else () for line in lines]
    symbol_BU = np.full((B, max(map(len, texts))), -1)
    for row, (line, text) in enumerate(zip(lines, texts, strict=True)):
        point_TB3[1 : len(line.strokes), row] = normalisation.apply(line.strokes[1:])
        point_TB3[0, row, 2] = line.strokes[0, 2]
        symbol_BU[row, : len(text)] = text
    scored_TB = np.arange(T)[:, None] < length_B
    point, scored, symbol = map(torch.from_numpy, (point_TB3, scored_TB, symbol_BU))
    return LineBatch(point, scored, symbol, int(length_B.sum()))


class LineLoader:
    """Batches of some lines of a store; shuffled anew each epoch when `seed` is given, else by length.

    Each of `lines` is in exactly one batch of one process, so that sums over batches and processes are exact.
    In training the processes must take equally many steps: the few lines that do not fill a last batch
    of at least one line a process are left out of that epoch, other ones each time.

    Args:
        store, lines: the lines are store[i] for i in `lines`, of at least two points each.
        normalisation, alphabet: see `collate`.
        batch_size: lines per batch on each process.
        rank, world: this process's place among those that share the lines.
        seed: of the shuffling, with the epoch's number; None: every line once, longest first.

    Raises UserError when there are fewer lines than processes.
    """

    def __init__(
        self,
        store: LineStore,
        lines: Indices,
        normalisation: Normalisation,
        batch_size: int,
        *,
        alphabet: Alphabet | None = None,
        rank: int = 0,
        world: int = 1,
        seed: int | None = None,
        name: str = "lines",
    ):
        if len(lines) < world:
            raise UserError(f"{name}: {len(lines)} line(s) cannot be shared by {world} processes")
        self.store, self.lines, self.normalisation, self.alphabet = store, lines, normalisation, alphabet
        self.batch_size, self.rank, self.world, self.seed = batch_size, rank, world, seed
        self._epoch = 0
        self._next = 0
        self._resume = False

    def __len__(self) -> int:
        return len(self.plan(self._epoch))

    def plan(self, epoch: int) -> list[Indices]:
        """The lines of each batch of an epoch on this process."""
        together = self.batch_size * self.world
        lengths = self.store.lengths
        if self.seed is None:
            order = self.lines[np.argsort(-lengths[self.lines], kind="stable")]
            batches = [order[i : i + together] for i in range(0, len(order), together)]
        else:
            random = np.random.default_rng((self.seed, epoch))
            order = random.permutation(self.lines)
            last = len(order) % together
            if 0 < last < self.world:
                order = order[:-last]
            batches = []
            # Groups of whole batches, so that only the epoch's last batch can be a small one.
            for start in range(0, len(order), GROUP * together):
                group = order[start : start + GROUP * together]
                group = group[np.argsort(lengths[group], kind="stable")]
                batches += [group[i : i + together] for i in range(0, len(group), together)]
            batches = [batches[i] for i in random.permutation(len(batches))]
        mine = [batch[self.rank :: self.world] for batch in batches]
        return [batch for batch in mine if len(batch)]

    def end_epochs_after(self, batches: int) -> None:
        """Say that an epoch is asked for no more than so many batches; a position there is its end."""
        self._resume = self._resume and self._next < batches

    def padding_share(self, epoch: int = 0) -> float:
        """The share of an epoch's computed steps that are padding, 0 to 1."""
        steps = self.store.lengths - 1
        plan = self.plan(epoch)
        useful = sum(int(steps[batch].sum()) for batch in plan)
        return 1 - useful / max(1, sum(int(steps[batch].max()) * len(batch) for batch in plan))

    def batch(self, lines: Indices) -> LineBatch:
        """The batch of the given lines."""
        return collate([self.store[int(i)] for i in lines], self.normalisation, self.alphabet)

    def __iter__(self) -> Iterator[LineBatch]:
        """A whole epoch, or the rest of the one that was restored."""
        if not self._resume:
            self._epoch += 1 if self._next else 0  # the epoch before was left or ended: other batches now
            self._next = 0
        self._resume = False
        plan = self.plan(self._epoch)
        for index in range(self._next, len(plan)):
            batch = self.batch(plan[index])
            self._next = index + 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "next_batch": self._next, "batches": len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError when the lines are divided into batches differently from the saved run's."""
        epoch, next_batch, batches = state_numbers(state, "epoch", "next_batch", "batches")
        if batches != len(self):
            raise UserError(
                f"the checkpoint was made with {batches} batches an epoch, this run has "
                f"{len(self)}: resume with the same data, data.batch_size and devices"
            )
        self._epoch, self._next = epoch, next_batch
        self._resume = next_batch < batches
