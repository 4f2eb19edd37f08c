"""The file: a header, then frames, each of one range coder's words, then an empty frame.

    magic "GLM1", length of the method (1 byte), the method (msgpack), CRC-32 of all that
    frame: symbols, words (variable length each), 16 bits of the CRC-32 of its content's beginning, CRC-32 of
           its words;
           the words
    end: 0

Whole numbers are little-endian, of variable length in sevens of bits, the lowest first (LEB128). A frame ends
once it has 64 KiB, so that neither side keeps more, and what frames cost is below 0.05 % of a file.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from graves_lm.compression.method import Method
from graves_lm.runtime.errors import UserError

MAGIC = b"GLM1"
FRAME_WORDS = 1 << 14
"""Of 32 bits: a frame is closed when it has so many."""
_MOST_WORDS = FRAME_WORDS + (1 << 14)  # of one step of many streams more
_MOST_OF_A_WORD = 1 << 21  # symbols: a sure one takes 255/2²⁴ nats, 32 bits are 1.5 million of these
_LONGEST = 10  # bytes of a whole number


class Frame(NamedTuple):
    """symbols: how many it is of, all streams together. beginning_crc: the lower 16 bits of the CRC-32 of
    the first of them in the order of coding, by which a machine that computes otherwise is told early."""

    symbols: int
    beginning_crc: int
    words: bytes


def write_header(file: BinaryIO, method: Method) -> None:
    """The header. Raises ValueError for a method of more than 255 bytes."""
    packed = method.packed()
    head = MAGIC + bytes([len(packed)]) + packed
    file.write(head + struct.pack("<I", zlib.crc32(head)))


def read_header(file: BinaryIO, name: str) -> Method:
    """Raises UserError for a file that is none of these, of another version, or damaged."""
    begin = file.read(len(MAGIC) + 1)
    if begin and len(begin) < 5 and MAGIC.startswith(begin[:4]):
        raise UserError(f"{name}: cut off in its header; fetch it again")
    if begin[:3] != MAGIC[:3]:
        raise UserError(f"{name}: not a file that graves-lm compress wrote")
    if begin[:4] != MAGIC:
        raise UserError(f"{name}: of another version of the format; use the graves_lm that wrote it")
    packed, crc = file.read(begin[4]), file.read(4)
    if len(crc) < 4:
        raise UserError(f"{name}: cut off in its header; fetch it again")
    if struct.unpack("<I", crc)[0] != zlib.crc32(begin + packed):
        raise UserError(f"{name}: damaged in its header; fetch it again")
    try:
        return Method.unpacked(packed)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def write_frame(file: BinaryIO, frame: Frame) -> None:
    """One frame; it has symbols."""
    head = number(frame.symbols) + number(len(frame.words) // 4)
    file.write(head + struct.pack("<HI", frame.beginning_crc, zlib.crc32(frame.words)) + frame.words)


def write_end(file: BinaryIO) -> None:
    """What says that nothing is missing."""
    file.write(number(0))


def read_frames(file: BinaryIO, name: str, length: int) -> Iterator[Frame]:
    """The frames behind the header, of `length` symbols together.

    Raises UserError where they are not whole.
    """
    symbols = 0
    while count := _read_number(file, name):
        words = _read_number(file, name)
        crcs = file.read(6)
        if words > _MOST_WORDS or count > (words + 1) * _MOST_OF_A_WORD:
            raise UserError(f"{name}: damaged; fetch it again")
        data = file.read(4 * words)
        if len(crcs) < 6 or len(data) < 4 * words:
            raise UserError(f"{name}: cut off; fetch it again")
        beginning_crc, crc = struct.unpack("<HI", crcs)
        if crc != zlib.crc32(data):
            raise UserError(f"{name}: damaged; fetch it again")
        symbols += count
        if symbols > length:
            raise UserError(f"{name}: damaged; fetch it again")
        yield Frame(count, beginning_crc, data)
    if symbols != length or file.read(1):
        raise UserError(f"{name}: damaged; fetch it again")


def number(value: int) -> bytes:
    """A whole number of variable length.

    >>> number(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(file: BinaryIO, name: str) -> int:
    value = 0
    for place in range(_LONGEST):
        byte = file.read(1)
        if not byte:
            raise UserError(f"{name}: cut off; fetch it again")
        value |= (byte[0] & 127) << 7 * place
        if byte[0] < 128:
            return value
    raise UserError(f"{name}: damaged; fetch it again")
