"""A content as several parts side by side, read and written a block at a time: memory stays flat.

Part s of S has the bytes after those of the parts before it; the first `length % S` parts have one byte more,
so that at every step those that still have one are the first.

Shape legend: T steps of a block, S parts.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 16  # bytes of all parts that are read or written together


def part_lengths(length: int, parts: int) -> list[int]:
    """Bytes of each part.

    >>> part_lengths(8, 3)
    [3, 3, 2]
    """
    return [length // parts + (s < length % parts) for s in range(parts)]


def _starts(length: int, parts: int) -> list[int]:
    return [0, *np.cumsum(part_lengths(length, parts))[:-1].tolist()]


def columns(file: BinaryIO, length: int, parts: int) -> Iterator[NDArray[np.int32]]:
    """At each step the next byte of each part that has one, (≤ S,).

    Raises EOFError for a file that is shorter.
    """
    lengths, starts, steps = part_lengths(length, parts), _starts(length, parts), max(1, _AT_ONCE // parts)
    for first in range(0, lengths[0], steps):
        block_TS = np.zeros((min(steps, lengths[0] - first), parts), np.int32)
        for s in range(parts):
            count = min(len(block_TS), lengths[s] - first)
            file.seek(starts[s] + first)
            read = file.read(max(0, count))
            if len(read) < count:
                raise EOFError
            block_TS[: len(read), s] = np.frombuffer(read, np.uint8)
        for t, row_S in enumerate(block_TS):
            yield row_S[: active(length, parts, first + t)]


def active(length: int, parts: int, step: int) -> int:
    """How many parts have a byte at this step."""
    return parts if step < length // parts else length % parts


class PartWriter:
    """The inverse of `columns`, into a file that can be read too."""

    def __init__(self, file: BinaryIO, length: int, parts: int):
        self._file, self._starts = file, _starts(length, parts)
        self._block_TS = np.zeros((max(1, _AT_ONCE // parts), parts), np.uint8)
        self._count_S = np.zeros(parts, np.int64)
        self._first = self._step = 0

    def step(self, byte_S: NDArray[np.int32]) -> None:
        self._block_TS[self._step, : len(byte_S)] = byte_S
        self._count_S[: len(byte_S)] += 1
        self._step += 1
        if self._step == len(self._block_TS):
            self.flush()

    def flush(self) -> None:
        for s, count in enumerate(self._count_S.tolist()):
            if count:
                self._file.seek(self._starts[s] + self._first)
                self._file.write(self._block_TS[:count, s].tobytes())
        self._first, self._step = self._first + self._step, 0
        self._count_S[:] = 0


def length_and_crc(file: BinaryIO) -> tuple[int, int]:
    """Of all of a file: bytes, and their CRC-32."""
    file.seek(0)
    length, crc = 0, 0
    while block := file.read(1 << 20):
        length, crc = length + len(block), zlib.crc32(block, crc)
    return length, crc
