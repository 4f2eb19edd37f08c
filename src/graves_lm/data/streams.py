"""Long sequences as parallel contiguous streams, for truncated back-propagation with carried state.

A sequence of N symbols is cut into R stretches, one for each stream, and the streams are shared out among
the processes. A row of the batch reads its stretch from the start to the end, T symbols per batch, so the
state after one batch is the right one before the next. Nothing is shuffled, repeated or left out.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graves_lm.data.cache_folder import whole_number
from graves_lm.runtime.errors import UserError

if TYPE_CHECKING:  # torch takes a second to import, and preparing data does without
    from torch import Tensor


class StreamBatch(NamedTuple):
    """The next T symbols of B streams.

    symbol_TB: int64 indices, T × B; where `scored_TB` is False the place may be filler (index 0).
    scored_TB: whether a symbol counts. Filler after a stretch's end and warm-up before its start do not.
    reset: start from the initial state instead of the carried one.
    size: how many symbols are scored, on the host.
    """

    symbol_TB: "Tensor"
    scored_TB: "Tensor"
    reset: bool
    size: int


class StreamLoader:
    """Iterates over the batches of one split; position is saved and restored with the trainer's.

    Args:
        sequence: all symbols in order, (N,), an array or one that is stored.
        streams: R, rows of all processes together. A process that gets none of fewer streams than
            processes has one row of filler, so that all take equally many steps.
        length: T, symbols that a row gets in a batch; gradients reach no further back.
        rank, world: this process's place among those that share the sequence.
        reset_every: start from the initial state every so many batches (None: only at the start).
        warm_up: symbols each row but the first reads, unscored, before its own stretch, so that it does
            not begin without context. Metrics then depend on the number of streams as little as wanted.

    Raises UserError when the sequence is too short to give every stream a symbol.
    """

    def __init__(
        self,
        sequence: np.ndarray | Sequence[Any],
        streams: int,
        length: int,
        *,
        rank: int = 0,
        world: int = 1,
        reset_every: int | None = None,
        warm_up: int = 0,
        name: str = "text",
    ):
        if streams == 1:
            warm_up = 0  # the only row begins where the text does
        if len(sequence) < streams + warm_up:
            raise UserError(
                f"{name}: {len(sequence)} symbols are too few for {streams} parallel streams with a warm-up "
                f"of {warm_up}: {streams + warm_up} are needed; use fewer streams (data.batch_size, "
                "data.eval_batch_size), a shorter data.warm_up or more text"
            )
        # Stream r ends at `ends[r]` and reads as many symbols as every other: stream 0 scores all of them,
        # the others all but the first `warm_up`.
        reads = (len(sequence) + (streams - 1) * warm_up) / streams
        ends = [round(reads + r * (reads - warm_up)) for r in range(streams)]
        starts = [0, *ends[:-1]]
        mine = range(streams * rank // world, streams * (rank + 1) // world)
        self.sequence = sequence
        self.length = length
        self.reset_every = reset_every
        self._read_from = [max(0, starts[r] - warm_up) for r in mine]
        self._score_from = [starts[r] for r in mine]
        self._end = [ends[r] for r in mine]
        if not mine:
            self._read_from, self._score_from, self._end = [0], [0], [0]  # filler only
        longest = max(end - max(0, start - warm_up) for start, end in zip(starts, ends, strict=True))
        self._batches = math.ceil(longest / length)
        self._longest = longest
        self._epoch = self._batches
        self._next = 0
        self._restored = 0

    def __len__(self) -> int:
        return self._batches

    def end_epochs_after(self, batches: int) -> None:
        """Say that an epoch is asked for no more than so many batches; a position there is its end."""
        self._epoch = min(batches, self._batches)
        self._restored %= self._epoch

    def batch(self, index: int) -> StreamBatch:
        """Batch `index` of the epoch."""
        start = index * self.length
        steps = min(self.length, self._longest - start)
        symbol_TB = np.zeros((steps, len(self._end)), dtype=np.int64)
        scored_TB = np.zeros((steps, len(self._end)), dtype=bool)
        for row, (read_from, score_from, end) in enumerate(
            zip(self._read_from, self._score_from, self._end, strict=True)
        ):
            first = read_from + start
            piece = self.sequence[first : max(first, min(first + steps, end))]
            symbol_TB[: len(piece), row] = piece
            scored_TB[max(0, score_from - first) : len(piece), row] = True
        reset = index == 0 or (self.reset_every is not None and index % self.reset_every == 0)
        size = int(scored_TB.sum())
        import torch

        return StreamBatch(torch.from_numpy(symbol_TB), torch.from_numpy(scored_TB), reset, size)

    def __iter__(self) -> Iterator[StreamBatch]:
        """From the restored position, if one was, to the end of the epoch.

        Only `load_state_dict` moves the start: a pass that was cut short does not.
        """
        first, self._restored = self._restored, 0
        for index in range(first, self._batches):
            batch = self.batch(index)
            self._next = (index + 1) % self._epoch
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"next_batch": self._next, "batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError when the streams are laid out differently from the saved run's."""
        next_batch, batches = state_numbers(state, "next_batch", "batches")
        if batches != self._batches:
            raise UserError(
                f"the checkpoint was made with {batches} batches an epoch, this run has "
                f"{self._batches}: resume with the same data, data.batch_size, data.length and devices"
            )
        self._next = self._restored = next_batch


def state_numbers(state: Any, *names: str) -> list[int]:
    """A loader's state from a checkpoint, each number at least 0. Raises UserError for anything else."""
    known = isinstance(state, dict) and all(whole_number(state.get(name)) for name in names)
    if not known or state["next_batch"] > state["batches"]:
        raise UserError(f"the checkpoint's position in the data is no {', '.join(names)}")
    return [state[name] for name in names]
