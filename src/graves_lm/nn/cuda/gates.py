"""The gates (7)–(11) of one step, forward and backward, on tiles of any shape.

All is float32; a NaN stays one. Peepholes are those of the tile's units; without PEEPHOLES none is looked at.
"""

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def clipped(x, bound):
    """x in ±bound; comparisons with NaN are false, so that it stays."""
    return tl.where(x > bound, bound, tl.where(x < -bound, -bound, x))


@triton.jit
def forward(i, f, g, o, c, peep_i, peep_f, peep_o, PEEPHOLES: tl.constexpr):
    """The four activations, c and h, from the pre-activations without peepholes and the c before."""
    if PEEPHOLES:
        i += peep_i * c
        f += peep_f * c
    i, f, g = tl.sigmoid(i), tl.sigmoid(f), tanh(g)
    c = f * c + i * g
    if PEEPHOLES:
        o += peep_o * c
    o = tl.sigmoid(o)
    return i, f, g, o, c, o * tanh(c)


@triton.jit
def backward(dh, dc, i, f, g, o, c, c_before, clip, peep_i, peep_f, peep_o, PEEPHOLES: tl.constexpr):
    """The gradients with respect to the four pre-activations and the c before.

    o comes first: by (10) c has a part in it. Each is clipped before anything is computed from it.
    """
    tanh_c = tanh(c)
    do = clipped(dh * tanh_c * o * (1 - o), clip)
    dc += dh * o * (1 - tanh_c * tanh_c)
    if PEEPHOLES:
        dc += do * peep_o
    di = clipped(dc * g * i * (1 - i), clip)
    df = clipped(dc * c_before * f * (1 - f), clip)
    dg = clipped(dc * i * (1 - g * g), clip)
    dc *= f
    if PEEPHOLES:
        dc += di * peep_i + df * peep_f
    return di, df, dg, do, dc
