"""Tiles: where they lie, the product of one with the weights, its four gates.

The sum of a product is cut into SLICES, one a warp, of PART numbers each, which are added up in a fixed
order. Where that is not all of the sum, there are several such CHUNKS, loaded STAGES ahead.
"""

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def four(x, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """The four gates, (ROWS, UNITS) each, of a tile in which they lie side by side."""
    even, odd = x.reshape(ROWS, 2, 2, UNITS).permute(0, 3, 1, 2).split()
    i, g = even.split()
    f, o = odd.split()
    return i, f, g, o


@triton.jit
def side_by_side(i, f, g, o, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """The four gates of a tile as one, (4, ROWS, UNITS)."""
    both = tl.join(tl.join(i, g), tl.join(f, o))
    return both.permute(2, 3, 0, 1).reshape(4, ROWS, UNITS)


@triton.jit
def diagonals(peephole_3H, tile, H: tl.constexpr, UNITS: tl.constexpr):
    """The peepholes of a tile's units, (1, UNITS) each; zeros where there are none."""
    n = tile * UNITS + tl.arange(0, UNITS)
    if peephole_3H is None:
        zero = tl.zeros([1, UNITS], tl.float32)
        return zero, zero, zero
    else:
        i = tl.load(peephole_3H + n, n < H, 0.0)[None, :]
        f = tl.load(peephole_3H + H + n, n < H, 0.0)[None, :]
        o = tl.load(peephole_3H + 2 * H + n, n < H, 0.0)[None, :]
        return i, f, o


@triton.jit
def product(
    of_x,
    real_x,
    w,
    of_w,
    real_w,
    step_w,
    TERMS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SLICES: tl.constexpr,
    PART: tl.constexpr,
    CHUNKS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """x w, (ROWS, COLUMNS): from `w`, if that is all of the tile's weights, else from where it begins."""
    k = terms(SLICES, PART)
    if CHUNKS == 1:
        x = tl.load(of_x, real_x[None, :, None] & (k < TERMS)[:, None, :], 0.0, cache_modifier=".cg")
        sums = tl.dot(factor(x), factor(w), input_precision=PRECISION)
    else:
        sums = tl.zeros([SLICES, ROWS, COLUMNS], tl.float32)
        for chunk in tl.range(0, CHUNKS, num_stages=STAGES):
            at = chunk * (SLICES * PART)
            real_k = at + k < TERMS
            x = tl.load(of_x + at, real_x[None, :, None] & real_k[:, None, :], 0.0, cache_modifier=".cg")
            part = tl.load(of_w + at * step_w, real_k[:, :, None] & real_w[None, None, :], 0.0)
            sums = tl.dot(factor(x), factor(part), sums, input_precision=PRECISION)
    return added(sums, SLICES, ROWS, COLUMNS)


@triton.jit
def factor(x):
    """x as the interpreter can multiply it, which has no products of bfloat16; on a GPU as it is."""
    return x.to(tl.float32) if INTERPRETED else x


@triton.jit
def added(sums, SLICES: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The sum over the slices, (ROWS, COLUMNS), in a fixed order."""
    both = sums.permute(1, 2, 0)
    for level in tl.static_range(5):
        if SLICES >> (level + 1) >= 1:
            first, second = both.reshape(ROWS, COLUMNS, SLICES >> (level + 1), 2).split()
            both = first + second
    return both.reshape(ROWS, COLUMNS)


@triton.jit
def terms(SLICES: tl.constexpr, PART: tl.constexpr):
    """The numbers of the terms of a chunk's sums, (SLICES, PART)."""
    return (tl.arange(0, SLICES) * PART)[:, None] + tl.arange(0, PART)[None, :]


@triton.jit
def place(
    t, start, rows, tile, WIDTH: tl.constexpr, FIRST: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr
):
    """Where a tile's first FIRST columns lie in rows of WIDTH at step t, and which of them are real."""
    n = tile * UNITS + tl.arange(0, UNITS)
    b = start + tl.arange(0, ROWS)
    row = tl.cast(t, tl.int64) * rows + b
    return row[:, None] * WIDTH + n[None, :], (b < rows)[:, None] & (n < FIRST)[None, :]
