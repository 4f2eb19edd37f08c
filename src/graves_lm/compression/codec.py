"""A content to a compressed file and back, a step of all streams at a time."""

from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from graves_lm.compression.coding import Decoder, Encoder, OtherChances, whole
from graves_lm.compression.file_format import read_frames, write_end, write_frame, write_header
from graves_lm.compression.method import Method
from graves_lm.compression.model import Model
from graves_lm.compression.parts import PartWriter, active, columns, length_and_crc
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.runtime.errors import UserError, visible

_TINIEST = np.finfo(np.float64).tiny


def encode(source: BinaryIO, made: BinaryIO, task: CharacterTask, method: Method, name: str) -> float:
    """Write the compressed file. Returns the bits that the model predicts: −Σ log₂ of its chances.

    The task's weights are changed where the method has a rule. Raises UserError where the source is not, or
    no longer, what the method says.
    """
    write_header(made, method)
    encoder, bits = Encoder(), 0.0
    if method.length:
        model = Model(task, method)
        try:
            with progress(method.length, f"compress {name}") as bar:
                for step, byte_S in enumerate(columns(source, method.length, method.streams)):
                    chance_S256 = model.chances()[: len(byte_S)]
                    own_S = chance_S256[np.arange(len(byte_S)), byte_S]
                    bits -= float(np.log2(np.maximum(own_S, _TINIEST)).sum())
                    if frame := encoder.step(byte_S, whole(chance_S256)):
                        write_frame(made, frame)
                    model.update(byte_S)
                    bar.update(len(byte_S))
                    if step % 1024 == 0:
                        rate = 8 * encoder.bytes_so_far / max(1, bar.n)
                        bar.set_postfix_str(f"{rate:.3f} bits/B", refresh=False)
        except EOFError:
            raise UserError(f"{name}: it became shorter while it was read; try again") from None
        if frame := encoder.frame():
            write_frame(made, frame)
    write_end(made)
    if length_and_crc(source) != (method.length, method.content_crc):
        raise UserError(f"{name}: it changed while it was read; try again")
    return bits


def decode(source: BinaryIO, made: BinaryIO, task: CharacterTask, method: Method, name: str) -> None:
    """Write the content, from the frames behind the header.

    The task's weights are changed where the method has a rule. Raises UserError where what comes out is not
    what was compressed; at the latest at the end.
    """
    frames = read_frames(source, name, method.length)
    if method.length:
        model, writer = Model(task, method), PartWriter(made, method.length, method.streams)
        decoder = None
        with progress(method.length, f"decompress {name}") as bar:
            for step in range(-(-method.length // method.streams)):
                count = active(method.length, method.streams, step)
                decoder = decoder if decoder and decoder.left else Decoder(next(frames))
                try:
                    byte_S = decoder.step(whole(model.chances()[:count]))
                except OtherChances:
                    raise _unfit(name, method) from None
                model.update(byte_S)
                writer.step(byte_S)
                bar.update(count)
        writer.flush()
    for _ in frames:
        raise UserError(f"{name}: damaged; fetch it again")
    if length_and_crc(made) != (method.length, method.content_crc):
        raise _unfit(name, method)


def _unfit(name: str, method: Method) -> UserError:
    """What is to be said where the words are of other chances."""
    if method.portable:
        return UserError(f"{name}: damaged; fetch it again")
    return UserError(
        f"{name}: damaged, or made on another machine or with another version of torch, numpy or the C "
        "compiler; decompress it there"
    )


def progress(length: int, what: str) -> Any:
    """A bar of bytes, with their rate and the time that is left."""
    return tqdm(total=length, desc=visible(what), unit="B", unit_scale=True, mininterval=0.5)
