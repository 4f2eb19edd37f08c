"""A whole recurrence in one launch, forward, with or without the window.

A program has UNITS hidden units of ROWS rows of the batch: all four gates of them, and the whole sum over
what the recurrence sees, so that it finishes its part of a step alone. Before the next step it needs what
the other programs of the same rows made: they meet (`nn.cuda.barrier`) once a step, and with the window once
more for it. From one such meeting to the next is a *tick*. A launch goes through ticks `first` to `last`: a
sequence is one launch, or, where programs cannot wait for each other (Triton's interpreter), one a tick.

The weights of a product of one chunk are read once and stay with their program. Where it has ONE tile of
rows, what the next step needs of the sequences is on its way while others are waited for.

Shapes as in `nn.window_lstm`; without the window F = H. `seen_2BS` holds h and w of this step and the one
before, in the dtype of the weights, as z is; the other sequences are float32.
"""

import triton
import triton.language as tl

from graves_lm.nn.cuda import gates, window
from graves_lm.nn.cuda.barrier import arrive, wait
from graves_lm.nn.cuda.product import diagonals, four, place, product, terms


@triton.jit
def inputs(t, start, rows, tile, wanted, z_TBG, H: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """z of step t for the four gates; zeros unless `wanted`."""
    at, real = place(t, start, rows, tile, 4 * H, H, ROWS, UNITS)
    z, real = z_TBG + at, real & wanted
    i, f = tl.load(z, real, 0.0), tl.load(z + H, real, 0.0)
    return i, f, tl.load(z + 2 * H, real, 0.0), tl.load(z + 3 * H, real, 0.0)


@triton.jit
def step(
    t,
    start,
    rows,
    tile,
    z_i,
    z_f,
    z_g,
    z_o,
    a_TBG,
    c_TBH,
    hw_TBF,
    seen_2BS,
    c0_BH,
    peephole_3H,
    peep_i,
    peep_f,
    peep_o,
    w,
    of_w,
    real_w,
    summed_SBQ,
    w_UQ,
    counter,
    early,
    H: tl.constexpr,
    F: tl.constexpr,
    SEEN: tl.constexpr,
    K: tl.constexpr,
    K_PLACES: tl.constexpr,
    OF_WINDOW: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    SLICES: tl.constexpr,
    PART: tl.constexpr,
    CHUNKS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """(7)–(11) of step t for the rows from `start` on. With `early` it arrives when all is written that
    others wait for."""
    b = start + tl.arange(0, ROWS)
    at_c, real = place(t, start, rows, tile, H, H, ROWS, UNITS)
    if t > 0:
        c = tl.load(c_TBH + at_c - rows * H, real, 0.0)
    else:
        c = tl.load(c0_BH + at_c, real, 0.0)
    k = terms(SLICES, PART)
    of_x = seen_2BS + (t % 2) * rows * SEEN + b[None, :, None] * SEEN + k[:, None, :]
    sums = product(
        of_x, b < rows, w, of_w, real_w, 1, SEEN, ROWS, 4 * UNITS, SLICES, PART, CHUNKS, STAGES, PRECISION
    )
    i, f, g, o = four(sums, ROWS, UNITS)
    i, f = i + z_i.to(tl.float32), f + z_f.to(tl.float32)
    g, o = g + z_g.to(tl.float32), o + z_o.to(tl.float32)
    i, f, g, o, c, h = gates.forward(i, f, g, o, c, peep_i, peep_f, peep_o, peephole_3H is not None)
    at_h, _ = place(0, start, rows, tile, SEEN, H, ROWS, UNITS)
    tl.store(seen_2BS + ((t + 1) % 2) * rows * SEEN + at_h, h.to(seen_2BS.dtype.element_ty), real)
    if K > 0:
        window.products(start, rows, tile, h, summed_SBQ, w_UQ, ROWS, K_PLACES, OF_WINDOW)
    if early:
        arrive(counter)
    at_h, _ = place(t, start, rows, tile, F, H, ROWS, UNITS)
    tl.store(hw_TBF + at_h, h, real)
    at_a, _ = place(t, start, rows, tile, 4 * H, H, ROWS, UNITS)
    tl.store(a_TBG + at_a, i, real)
    tl.store(a_TBG + at_a + H, f, real)
    tl.store(a_TBG + at_a + 2 * H, g, real)
    tl.store(a_TBG + at_a + 3 * H, o, real)
    tl.store(c_TBH + at_c, c, real)


@triton.jit(do_not_specialize=["first", "last", "steps", "rows", "characters"])
def forward(
    z_TBG,
    a_TBG,
    c_TBH,
    hw_TBF,
    seen_2BS,
    w_GS,
    peephole_3H,
    c0_BH,
    symbol_BU,
    kappa_TBK,
    p_TBP,
    summed_SBQ,
    w_PH,
    b_P,
    kappa0_BK,
    characters,
    counter,
    first,
    last,
    steps,
    rows,
    H: tl.constexpr,
    F: tl.constexpr,
    SEEN: tl.constexpr,  # F up to a multiple of 16: rows of what is multiplied, zeros at their end
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    SLICES: tl.constexpr,
    PART: tl.constexpr,
    CHUNKS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
    ONE: tl.constexpr,  # tile of rows for each program
    TICKS: tl.constexpr,  # a step: 1, with the window 2
    K: tl.constexpr,
    K_PLACES: tl.constexpr,
    C_PLACES: tl.constexpr,
    TILE_PLACES: tl.constexpr,
    CHARACTERS: tl.constexpr,
    LARGEST: tl.constexpr,
    OF_WINDOW: tl.constexpr,  # the precision of its products
):
    tile, group, tiles, groups = tl.program_id(0), tl.program_id(1), tl.num_programs(0), tl.num_programs(1)
    counter += group * 32
    column = tl.arange(0, 4 * UNITS)
    unit = tile * UNITS + column % UNITS
    real_w = unit < H
    k = terms(SLICES, PART)
    of_w = w_GS + ((column // UNITS) * H + unit)[None, None, :] * SEEN + k[:, :, None]
    w = tl.load(of_w, real_w[None, None, :] & (k < SEEN)[:, :, None], 0.0)
    peep_i, peep_f, peep_o = diagonals(peephole_3H, tile, H, UNITS)
    w_UQ, b_Q = None, None
    if K > 0:
        w_UQ, b_Q = window.weights(w_PH, tile, H, K, UNITS, K_PLACES), window.bias(b_P, K, K_PLACES)

    for tick in tl.range(first, last, num_stages=1):
        t, phase = tick // TICKS, tick % TICKS
        more = tick + 1 < last
        if ONE:  # what no other program makes is read while they are waited for
            start = group * ROWS
            z_i, z_f, z_g, z_o = inputs(t, start, rows, tile, phase == 0, z_TBG, H, ROWS, UNITS)
        if tick > first:
            wait(counter, (tick - first) * tiles)
        if phase == 0:
            if ONE:
                step(
                    t,
                    start,
                    rows,
                    tile,
                    z_i,
                    z_f,
                    z_g,
                    z_o,
                    a_TBG,
                    c_TBH,
                    hw_TBF,
                    seen_2BS,
                    c0_BH,
                    peephole_3H,
                    peep_i,
                    peep_f,
                    peep_o,
                    w,
                    of_w,
                    real_w,
                    summed_SBQ,
                    w_UQ,
                    counter,
                    ONE & more,
                    H,
                    F,
                    SEEN,
                    K,
                    K_PLACES,
                    OF_WINDOW,
                    ROWS,
                    UNITS,
                    SLICES,
                    PART,
                    CHUNKS,
                    STAGES,
                    PRECISION,
                )
            else:
                for start in tl.range(group * ROWS, rows, groups * ROWS, num_stages=1):
                    z_i, z_f, z_g, z_o = inputs(t, start, rows, tile, True, z_TBG, H, ROWS, UNITS)
                    step(
                        t,
                        start,
                        rows,
                        tile,
                        z_i,
                        z_f,
                        z_g,
                        z_o,
                        a_TBG,
                        c_TBH,
                        hw_TBF,
                        seen_2BS,
                        c0_BH,
                        peephole_3H,
                        peep_i,
                        peep_f,
                        peep_o,
                        w,
                        of_w,
                        real_w,
                        summed_SBQ,
                        w_UQ,
                        counter,
                        ONE & more,
                        H,
                        F,
                        SEEN,
                        K,
                        K_PLACES,
                        OF_WINDOW,
                        ROWS,
                        UNITS,
                        SLICES,
                        PART,
                        CHUNKS,
                        STAGES,
                        PRECISION,
                    )
        if K > 0:
            if phase == 1:  # apart, so that without a window Triton leaves it out
                for start in tl.range(group * ROWS, rows, groups * ROWS, num_stages=1):
                    for b in tl.range(start + tile, tl.minimum(start + ROWS, rows), tiles, num_stages=1):
                        window.forward(
                            t,
                            b,
                            rows,
                            hw_TBF,
                            seen_2BS + ((t + 1) % 2) * rows * SEEN,
                            symbol_BU,
                            kappa_TBK,
                            p_TBP,
                            summed_SBQ,
                            b_Q,
                            kappa0_BK,
                            characters,
                            tiles,
                            H,
                            F,
                            SEEN,
                            K,
                            K_PLACES,
                            C_PLACES,
                            TILE_PLACES,
                            CHARACTERS,
                            LARGEST,
                        )
        if (ONE == 0 or phase == 1) and more:
            arrive(counter)
