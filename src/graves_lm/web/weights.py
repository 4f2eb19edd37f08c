"""A network as the engine in WebAssembly reads it: `engine/engine.c`, `engine_load`."""

import struct

import numpy as np
import torch
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.nn.window import LARGEST_EXPONENT
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.packed_weights import can_be_packed, pack_weights
from graves_lm.sampling.weights import KINDS, Matrix

_MAGIC = b"GLM1"
_APART = 64  # each array begins at a multiple of so many bytes


def engine_weights(network: SynthesisNetwork, kind: str = "int8") -> bytes:
    """The file; `kind`: float32, bf16 or int8, as `sampling.weights`.

    Raises UserError for a network of another cell than the LSTM, which is all that the engine knows.
    """
    if not can_be_packed(network):
        cell = type(network.stack.recurrences[0]).__qualname__
        raise UserError(f"the page draws with the LSTM, and this network is of {cell}; sample draws with it")
    packed = pack_weights(network, kind)
    assert packed.window is not None
    head = struct.pack(
        "<4s6ifi",
        _MAGIC,
        len(packed.layers),
        packed.hidden,
        len(packed.output.bias_G),
        packed.first_output,
        packed.symbols,
        packed.components,
        LARGEST_EXPONENT,
        KINDS.index(kind),
    )
    parts = [head]
    for layer in packed.layers:
        parts += [*_matrix(layer.matrix), _bytes(layer.peephole_3H)]
    parts += [*_matrix(packed.window), *_matrix(packed.output)]
    return b"".join(part + bytes(-len(part) % _APART) for part in parts)


def _matrix(m: Matrix) -> list[bytes]:
    return [_bytes(t) for t in (m.stored_GI, m.scale_G, m.bias_G) if t is not None]


def _bytes(numbers: Tensor) -> bytes:
    """Little-endian, as WebAssembly is."""
    numbers = numbers.detach().cpu().contiguous()
    array = numbers.view(torch.int16).numpy() if numbers.dtype == torch.bfloat16 else numbers.numpy()
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
