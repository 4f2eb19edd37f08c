"""The gates (7)–(11) of one step, forward and backward, as one Triton kernel each.

Where the sequences lie, and which step it is, a kernel reads from a table in the GPU's memory
(`nn.cuda.loop`), so that the launch is the same at every step and can be part of a CUDA graph. A step past
the end of the sequence does nothing, nor does a row past those of the batch. A program is BLOCK units of one
row.

Shapes as in `nn.lstm`. Buffers hold one step: `product_BG` is W_h h', `seen_BF` what the next product reads
(h is its first H columns, in the dtype of the weights), `c_BH`, `dc_BH`, `dh_BF` and `dz_BG` what is carried
on. z_TBG and dz_TBG are of the weights' dtype, the other sequences float32; rows of h_TBF and dh_TBF are F
long. All is computed in float32. A NaN stays one.
"""

import triton
import triton.language as tl

BLOCK = 128

DONE, STEPS, ROWS, FIRST = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
"""Places in the table: how many steps are done, how many steps and rows there are, and then `sequences`."""


@triton.jit
def number(table, index):
    """The number at a place of the table."""
    return tl.load(table + FIRST + index)


@triton.jit
def address(table, index, kind: tl.constexpr):
    """The sequence at a place of the table, as a pointer."""
    return number(table, index).to(tl.pointer_type(kind))


@triton.jit
def tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def clipped(x, bound):
    """x in ±bound; comparisons with NaN are false, so that it stays."""
    return tl.where(x > bound, bound, tl.where(x < -bound, -bound, x))


@triton.jit(do_not_specialize=["step"])
def forward(
    table,  # z_TBG, a_TBG, c_TBH, h_TBF
    step,
    product_BG,
    seen_BF,
    c_BH,
    peephole_3H,
    H: tl.constexpr,
    F: tl.constexpr,
    BLOCK: tl.constexpr,
):
    t = tl.load(table + DONE) + step
    b, rows = tl.program_id(1), tl.load(table + ROWS)
    if (t >= tl.load(table + STEPS)) | (b >= rows):
        return
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = n < H
    row = t * rows + b
    z = address(table, 0, product_BG.dtype.element_ty) + row * (4 * H) + n
    a = address(table, 1, tl.float32) + row * (4 * H) + n
    product = product_BG + b * (4 * H) + n

    i = tl.load(z, real).to(tl.float32) + tl.load(product, real).to(tl.float32)
    f = tl.load(z + H, real).to(tl.float32) + tl.load(product + H, real).to(tl.float32)
    g = tl.load(z + 2 * H, real).to(tl.float32) + tl.load(product + 2 * H, real).to(tl.float32)
    o = tl.load(z + 3 * H, real).to(tl.float32) + tl.load(product + 3 * H, real).to(tl.float32)
    c = tl.load(c_BH + b * H + n, real)
    if peephole_3H is not None:
        i += tl.load(peephole_3H + n, real) * c
        f += tl.load(peephole_3H + H + n, real) * c
    i, f, g = tl.sigmoid(i), tl.sigmoid(f), tanh(g)
    c = f * c + i * g
    if peephole_3H is not None:
        o += tl.load(peephole_3H + 2 * H + n, real) * c
    o = tl.sigmoid(o)
    h = o * tanh(c)

    tl.store(a, i, real)
    tl.store(a + H, f, real)
    tl.store(a + 2 * H, g, real)
    tl.store(a + 3 * H, o, real)
    tl.store(address(table, 2, tl.float32) + row * H + n, c, real)
    tl.store(address(table, 3, tl.float32) + row * F + n, h, real)
    tl.store(c_BH + b * H + n, c, real)
    tl.store(seen_BF + b * F + n, h.to(seen_BF.dtype.element_ty), real)


@triton.jit(do_not_specialize=["step"])
def backward(
    table,  # dh_TBF, a_TBG, c_TBH, c0_BH, dz_TBG
    step,
    dh_BF,
    dc_BH,
    dz_BG,
    peephole_3H,
    dpeephole_B3H,
    clip,
    H: tl.constexpr,
    F: tl.constexpr,
    COMPLETE: tl.constexpr,  # dh_BF, (B, H) then, has the derivative from the sequence in it already
    BLOCK: tl.constexpr,
):
    t = tl.load(table + STEPS) - 1 - tl.load(table + DONE) - step
    b, rows = tl.program_id(1), tl.load(table + ROWS)
    if (t < 0) | (b >= rows):
        return
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = n < H
    row = t * rows + b
    a = address(table, 1, tl.float32) + row * (4 * H) + n
    c_seq = address(table, 2, tl.float32) + row * H + n
    kind: tl.constexpr = dz_BG.dtype.element_ty
    dz_seq = address(table, 4, kind) + row * (4 * H) + n
    dz = dz_BG + b * (4 * H) + n

    if COMPLETE:
        dh = tl.load(dh_BF + b * H + n, real)
    else:
        dh = tl.load(dh_BF + b * F + n, real).to(tl.float32)
        dh += tl.load(address(table, 0, tl.float32) + row * F + n, real)
    i, f, g, o = tl.load(a, real), tl.load(a + H, real), tl.load(a + 2 * H, real), tl.load(a + 3 * H, real)
    c = tl.load(c_seq, real)
    if t > 0:
        c_before = tl.load(c_seq - rows * H, real)
    else:
        c_before = tl.load(address(table, 3, tl.float32) + b * H + n, real)

    # o comes first: by (10) c_t has a part in it. Each is clipped before anything is computed from it.
    tanh_c = tanh(c)
    do = clipped(dh * tanh_c * o * (1 - o), clip)
    dc = tl.load(dc_BH + b * H + n, real) + dh * o * (1 - tanh_c * tanh_c)
    if peephole_3H is not None:
        dc += do * tl.load(peephole_3H + 2 * H + n, real)
    di = clipped(dc * g * i * (1 - i), clip)
    df = clipped(dc * c_before * f * (1 - f), clip)
    dg = clipped(dc * i * (1 - g * g), clip)
    dc *= f
    if peephole_3H is not None:
        dc += di * tl.load(peephole_3H + n, real) + df * tl.load(peephole_3H + H + n, real)

    tl.store(dc_BH + b * H + n, dc, real)
    if peephole_3H is not None:
        summed = dpeephole_B3H + b * (3 * H) + n
        tl.store(summed, tl.load(summed, real) + di * c_before, real)
        tl.store(summed + H, tl.load(summed + H, real) + df * c_before, real)
        tl.store(summed + 2 * H, tl.load(summed + 2 * H, real) + do * c, real)
    tl.store(dz_seq, di.to(kind), real)
    tl.store(dz_seq + H, df.to(kind), real)
    tl.store(dz_seq + 2 * H, dg.to(kind), real)
    tl.store(dz_seq + 3 * H, do.to(kind), real)
    tl.store(dz, di.to(kind), real)
    tl.store(dz + H, df.to(kind), real)
    tl.store(dz + 2 * H, dg.to(kind), real)
    tl.store(dz + 3 * H, do.to(kind), real)
