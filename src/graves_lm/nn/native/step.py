"""What `network_step` and `write_point` of step.c take: the weights of a network, as C structures.

They hold addresses: the tensors must outlive them.
"""

import ctypes
from ctypes import c_float, c_int64, c_void_p

import torch
from torch import Tensor

from graves_lm.nn.native import arguments, kernel

_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}


class CMatrix(ctypes.Structure):
    _fields_ = (
        ("weight", c_void_p),
        ("scale", c_void_p),
        ("bias", c_void_p),
        ("columns", c_int64),
        ("type", c_int64),
    )


class CLayer(ctypes.Structure):
    _fields_ = (("matrix", CMatrix), ("peephole", c_void_p), ("one_hot", c_void_p), ("inputs", c_int64))


class CNetwork(ctypes.Structure):
    _fields_ = (
        ("layers", c_int64),
        ("hidden", c_int64),
        ("outputs", c_int64),
        ("first_output", c_int64),
        ("symbols", c_int64),
        ("components", c_int64),
        ("largest_exponent", c_float),
        ("layer", ctypes.POINTER(CLayer)),
        ("window", CMatrix),
        ("output", CMatrix),
    )


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def c_matrix(stored_GI: Tensor, scale_G: Tensor | None, bias_G: Tensor) -> CMatrix:
    """Rows of float32, bfloat16 or int8, of a multiple of 64 columns."""
    columns, kind = stored_GI.shape[1], _TYPES[stored_GI.dtype]
    return CMatrix(address(stored_GI), address(scale_G), address(bias_G), columns, kind)


class Room:
    """What a step of up to `lines` lines needs beside weights and results. No weight may go before `free`."""

    def __init__(self, network: CNetwork, lines: int):
        make = kernel("room_make")
        assert make is not None
        self.lines, self.address = lines, c_void_p()
        self._network = network
        make(ctypes.byref(network), *arguments(lines), ctypes.byref(self.address))

    def free(self) -> None:
        """No thread reads the network's weights any more then. To be called once."""
        free = kernel("room_free")
        if free is not None:
            free(self.address)
