"""How a recurrence is cut into programs: which share of the units and rows each has.

All programs of a launch run at once, at most one on a multiprocessor. What is fastest was measured
(docs/performance.md); `benchmarks/tune_cuda.py` measures it anew.
"""

import functools
from typing import NamedTuple

import torch
import triton

MANY = 2**31
"""No bound."""


class Shape(NamedTuple):
    """A step's product: `outputs` times `columns` results a row, each a sum of so many terms."""

    outputs: int
    terms: int
    columns: int
    rows: int


class Tiles(NamedTuple):
    """A program's part: rows of the batch and hidden units, the warps that share the sum, and how many
    numbers of it a warp takes at a time (0: all, and the weights stay with the program); `stages` are loaded
    ahead otherwise."""

    rows: int
    units: int
    warps: int
    part: int = 0
    stages: int = 3


SHARED = 160 * 1024
"""Bytes of shared memory that the fastest tiles need at most; GPUs for data centres have them."""

SMALL = Tiles(16, 16, 4, 16, 2)
"""What any GPU has room for."""


class Launch(NamedTuple):
    """A grid, and what the kernels are compiled for."""

    tiles: int
    groups: int
    constants: dict[str, int]


_FASTEST: dict[tuple[str, int], list[tuple[int, int, Tiles]]] = {
    ("forward", 2): [
        (512, 16, Tiles(16, 8, 4)),
        (512, 64, Tiles(16, 16, 8)),
        (512, 128, Tiles(32, 16, 8)),
        (512, MANY, Tiles(32, 32, 8)),
        (1024, 16, Tiles(16, 8, 4)),
        (1024, MANY, Tiles(32, 16, 4)),
        (MANY, MANY, Tiles(32, 16, 4, 64)),
    ],
    ("backward", 2): [
        (2048, 64, Tiles(16, 16, 8)),
        (2048, MANY, Tiles(32, 32, 4, 32)),
        (4096, 16, Tiles(16, 16, 4, 64)),
        (4096, 128, Tiles(16, 32, 4, 64)),
        (MANY, MANY, Tiles(64, 32, 4, 64)),
    ],
    ("forward", 4): [
        (MANY, 64, Tiles(16, 16, 4, 16)),
        (MANY, MANY, Tiles(32, 16, 4, 16)),
    ],
    ("backward", 4): [
        (MANY, 64, Tiles(16, 16, 8, 32)),
        (MANY, MANY, Tiles(32, 16, 8, 32)),
    ],
}
"""By direction and bytes of a weight: up to so many terms of a sum and rows of a batch, the fastest."""


def choose(shape: Shape, dtype: torch.dtype, shared: int = SHARED) -> Tiles:
    """What is fastest for this shape and format of the weights, on a GPU whose programs have so many bytes of
    shared memory."""
    if shared < SHARED:
        return SMALL
    rows = _FASTEST["forward" if shape.columns == 4 else "backward", dtype.itemsize]
    return next(tiles for terms, most, tiles in rows if shape.terms <= terms and shape.rows <= most)


def launch(tiles: Tiles, shape: Shape, processors: int, least_units: int = 1) -> Launch:
    """The grid of these tiles that fits a GPU of so many multiprocessors, a program on each."""
    units = max(tiles.units, least_units)
    while triton.cdiv(shape.outputs, units) > processors:
        units *= 2
    across = triton.cdiv(shape.outputs, units)
    groups = max(1, min(triton.cdiv(shape.rows, tiles.rows), processors // across))
    part = tiles.part or _part(shape.terms, tiles.warps)
    constants = {
        "ROWS": tiles.rows,
        "UNITS": units,
        "SLICES": tiles.warps,
        "PART": part,
        "CHUNKS": triton.cdiv(shape.terms, part * tiles.warps),
        "STAGES": tiles.stages,
        "ONE": shape.rows <= groups * tiles.rows,
        "num_warps": tiles.warps,
    }
    return Launch(across, groups, constants)


def _part(terms: int, warps: int) -> int:
    """A warp's share of a sum: a power of two, of which the tensor cores take 16 at a time."""
    return max(16, triton.next_power_of_2(triton.cdiv(terms, warps)))


class Processors(NamedTuple):
    """How many multiprocessors a GPU has, and the bytes of shared memory that a program may have."""

    number: int
    shared: int


@functools.cache
def processors(device: torch.device) -> Processors:
    if device.type == "cpu":
        return INTERPRETED
    facts = triton.runtime.driver.active.utils.get_device_properties(device.index)
    return Processors(facts["multiprocessor_count"], facts["max_shared_mem"])


INTERPRETED = Processors(4, SHARED)
"""What Triton's interpreter, which runs on a CPU, is taken to have: few, as it is slow by the program."""
