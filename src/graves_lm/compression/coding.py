"""Symbols to words of 32 bits and back, by constriction's range coder.

Both sides round their chances to whole numbers of 2⁻²⁴; what is coded is a function of these alone. An
unlikely byte costs at most 24 bits, and a sure one 0.00002.

Shape legend: S streams that still have symbols, 256 bytes.
"""

import zlib

import constriction
import numpy as np
from numpy.typing import NDArray

from graves_lm.compression.file_format import FRAME_WORDS, Frame

Bytes = NDArray[np.int32]
CHECKED = 1024
"""Symbols at the beginning of a frame that its checksum is of, or those of the step with which there are so
many: who computes otherwise is told within a second, not after a frame of 64 KiB."""
_SCALE = float(1 << 24)
_FAMILY = constriction.stream.model.Categorical(perfect=False)


def whole(chance_SK: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chances in whole 2⁻²⁴, at least one each: exact as float64, sums of them included."""
    whole_SK: NDArray[np.float64] = np.floor(chance_SK * _SCALE) + 1
    return whole_SK


class OtherChances(ValueError):
    """The chances are not those that these words were made with."""


class _Sum:
    """CRC of the beginning of a frame's content, so that a decoder with other chances stops there."""

    def __init__(self) -> None:
        self._crc, self._symbols = 0, 0

    def add(self, byte_S: Bytes) -> None:
        if not self.complete:
            self._crc = zlib.crc32(byte_S.astype(np.uint8).tobytes(), self._crc)
            self._symbols += len(byte_S)

    @property
    def complete(self) -> bool:
        return self._symbols >= CHECKED

    @property
    def value(self) -> int:
        return self._crc & 0xFFFF


class Encoder:
    """A step of all streams at a time in, frames out."""

    def __init__(self) -> None:
        self._begin()
        self.words = 0
        """In all frames before this one."""

    def _begin(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self._symbols, self._sum = 0, _Sum()

    def step(self, byte_S: Bytes, whole_SK: NDArray[np.float64]) -> Frame | None:
        """Code a byte of each stream; a frame, where this filled it."""
        self._coder.encode(byte_S, _FAMILY, whole_SK)
        self._symbols += len(byte_S)
        self._sum.add(byte_S)
        return self.frame() if self._coder.num_words() >= FRAME_WORDS else None

    def frame(self) -> Frame | None:
        """What is coded and in no frame; None: nothing."""
        if not self._symbols:
            return None
        words = self._coder.get_compressed().astype("<u4").tobytes()
        frame = Frame(self._symbols, self._sum.value, words)
        self.words += len(words) // 4
        self._begin()
        return frame

    @property
    def bytes_so_far(self) -> int:
        return 4 * (self.words + int(self._coder.num_words()))


class Decoder:
    """One frame in, a step of all streams at a time out."""

    def __init__(self, frame: Frame):
        self._coder = constriction.stream.queue.RangeDecoder(
            np.frombuffer(frame.words, "<u4").astype(np.uint32)
        )
        self.left = frame.symbols
        """Symbols that are still to come."""
        self._expected, self._sum = frame.beginning_crc, _Sum()

    def step(self, whole_SK: NDArray[np.float64]) -> Bytes:
        """The next byte of each stream. Raises OtherChances where the frame was made with others."""
        if len(whole_SK) > self.left:
            raise OtherChances("a frame ends between steps")
        try:
            byte_S: Bytes = np.asarray(self._coder.decode(_FAMILY, whole_SK), dtype=np.int32)
        except (AssertionError, RuntimeError) as error:  # words that no encoder gives for these chances
            raise OtherChances("no code of these chances") from error
        self.left -= len(byte_S)
        if not self._sum.complete:
            self._sum.add(byte_S)
            if (self._sum.complete or not self.left) and self._sum.value != self._expected:
                raise OtherChances("other bytes than were coded")
        return byte_S
