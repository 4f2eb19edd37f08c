"""A whole recurrence in one launch, backward, with or without the window.

How programs share the work is told in `nn.cuda.forward`. With the window a step has two ticks: the window,
and beside it what the step after hands back to h; the gates, which also hand back to w of the step before.
"""

import triton
import triton.language as tl

from graves_lm.nn.cuda import gates, window
from graves_lm.nn.cuda.barrier import arrive, wait
from graves_lm.nn.cuda.product import diagonals, place, product, terms


@triton.jit
def inputs(
    t,
    start,
    rows,
    tile,
    wanted,
    a_TBG,
    c_TBH,
    c0_BH,
    H: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    """The activations and c of step t, and c before it; zeros unless `wanted`."""
    at, real = place(t, start, rows, tile, 4 * H, H, ROWS, UNITS)
    a, real = a_TBG + at, real & wanted
    i, f = tl.load(a, real, 0.0), tl.load(a + H, real, 0.0)
    g, o = tl.load(a + 2 * H, real, 0.0), tl.load(a + 3 * H, real, 0.0)
    at, _ = place(t, start, rows, tile, H, H, ROWS, UNITS)
    c = tl.load(c_TBH + at, real, 0.0)
    if t > 0:
        c_before = tl.load(c_TBH + at - rows * H, real, 0.0)
    else:
        c_before = tl.load(c0_BH + at, real, 0.0)
    return i, f, g, o, c, c_before


@triton.jit
def handed_back(
    t,
    start,
    steps,
    rows,
    dz_TBG,
    w,
    of_w,
    real_w,
    H: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    SLICES: tl.constexpr,
    PART: tl.constexpr,
    CHUNKS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """What step t + 1 adds to the gradient with respect to h_t; after the last step there is none."""
    b = start + tl.arange(0, ROWS)
    row = (tl.cast(t, tl.int64) + 1) * rows + b
    of_x = dz_TBG + row[None, :, None] * (4 * H) + terms(SLICES, PART)[:, None, :]
    later = (b < rows) & (t + 1 < steps)
    return product(
        of_x, later, w, of_w, real_w, F, 4 * H, ROWS, UNITS, SLICES, PART, CHUNKS, STAGES, PRECISION
    )


@triton.jit
def carried(x_BH, start, rows, tile, H: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """The tile of what this program left at the step before."""
    at, real = place(0, start, rows, tile, H, H, ROWS, UNITS)
    return tl.load(x_BH + at, real, 0.0)


@triton.jit
def gates_step(
    t,
    start,
    rows,
    tile,
    dh,
    dc,
    i,
    f,
    g,
    o,
    c,
    c_before,
    dz_TBG,
    dc_BH,
    dpeephole_B3H,
    peephole_3H,
    peep_i,
    peep_f,
    peep_o,
    clip,
    dw_SBC,
    w_GF,
    w_4UC,
    counter,
    early,
    H: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    K: tl.constexpr,
    C_PLACES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The gradients with respect to step t's pre-activations, from that with respect to h_t; `early` as in
    `forward.step`."""
    di, df, dg, do, dc = gates.backward(
        dh, dc, i, f, g, o, c, c_before, clip, peep_i, peep_f, peep_o, peephole_3H is not None
    )
    kind: tl.constexpr = dz_TBG.dtype.element_ty
    at_dz, real = place(t, start, rows, tile, 4 * H, H, ROWS, UNITS)
    tl.store(dz_TBG + at_dz, di.to(kind), real)
    tl.store(dz_TBG + at_dz + H, df.to(kind), real)
    tl.store(dz_TBG + at_dz + 2 * H, dg.to(kind), real)
    tl.store(dz_TBG + at_dz + 3 * H, do.to(kind), real)
    if K > 0:
        window.towards_w(
            start,
            rows,
            tile,
            di,
            df,
            dg,
            do,
            dw_SBC,
            w_GF,
            w_4UC,
            H,
            F,
            ROWS,
            UNITS,
            C_PLACES,
            COLUMNS,
            PRECISION,
        )
    if early:
        arrive(counter)
    at, _ = place(0, start, rows, tile, H, H, ROWS, UNITS)
    tl.store(dc_BH + at, dc, real)
    if peephole_3H is not None:
        at, _ = place(0, start, rows, tile, 3 * H, H, ROWS, UNITS)
        summed = dpeephole_B3H + at
        tl.store(summed, tl.load(summed, real, 0.0) + di * c_before, real)
        tl.store(summed + H, tl.load(summed + H, real, 0.0) + df * c_before, real)
        tl.store(summed + 2 * H, tl.load(summed + 2 * H, real, 0.0) + do * c, real)


@triton.jit(do_not_specialize=["first", "last", "steps", "rows", "characters", "clip"])
def backward(
    dhw_TBF,
    a_TBG,
    c_TBH,
    dz_TBG,
    carried_BH,
    dc_BH,
    dpeephole_B3H,
    w_GF,
    peephole_3H,
    c0_BH,
    clip,
    symbol_BU,
    kappa_TBK,
    p_TBP,
    dkappa_TBK,
    dkappa_BK,
    dp_TBP,
    dp_BQ,
    dw_SBC,
    w_PH,
    characters,
    counter,
    first,
    last,
    steps,
    rows,
    H: tl.constexpr,
    F: tl.constexpr,
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
    K_PLACES: tl.constexpr,  # powers of two, at least K, C and the number of tiles
    C_PLACES: tl.constexpr,
    COLUMNS: tl.constexpr,  # of w in one go
    TILE_PLACES: tl.constexpr,
    CHARACTERS: tl.constexpr,
    OF_WINDOW: tl.constexpr,  # the precision of its products
):
    tile, group, tiles, groups = tl.program_id(0), tl.program_id(1), tl.num_programs(0), tl.num_programs(1)
    counter += group * 32
    n = tile * UNITS + tl.arange(0, UNITS)
    real_w = n < H
    k = terms(SLICES, PART)
    of_w = w_GF + k[:, :, None] * F + n[None, None, :]
    w = tl.load(of_w, real_w[None, None, :] & (k < 4 * H)[:, :, None], 0.0)
    peep_i, peep_f, peep_o = diagonals(peephole_3H, tile, H, UNITS)
    w_4KU, w_4UC = None, None
    if K > 0:
        w_4KU = window.weights_back(w_PH, tile, H, K, UNITS, K_PLACES)
        w_4UC = window.weights_of_w(w_GF, tile, 0, H, F, UNITS, COLUMNS)

    for tick in tl.range(first, last, num_stages=1):
        t, phase = steps - 1 - tick // TICKS, tick % TICKS
        more = tick + 1 < last
        if ONE:  # what no other program makes is read while they are waited for
            start = group * ROWS
            at, real = place(t, start, rows, tile, F, H, ROWS, UNITS)
            dh = tl.load(dhw_TBF + at, real & (phase == 0), 0.0)
            i, f, g, o, c, c_before = inputs(
                t, start, rows, tile, phase == TICKS - 1, a_TBG, c_TBH, c0_BH, H, ROWS, UNITS
            )
        if tick > first:
            wait(counter, (tick - first) * tiles)
        if TICKS == 1:
            if ONE:
                dc = carried(dc_BH, start, rows, tile, H, ROWS, UNITS)
                dh += handed_back(
                    t,
                    start,
                    steps,
                    rows,
                    dz_TBG,
                    w,
                    of_w,
                    real_w,
                    H,
                    F,
                    ROWS,
                    UNITS,
                    SLICES,
                    PART,
                    CHUNKS,
                    STAGES,
                    PRECISION,
                )
                gates_step(
                    t,
                    start,
                    rows,
                    tile,
                    dh,
                    dc,
                    i,
                    f,
                    g,
                    o,
                    c,
                    c_before,
                    dz_TBG,
                    dc_BH,
                    dpeephole_B3H,
                    peephole_3H,
                    peep_i,
                    peep_f,
                    peep_o,
                    clip,
                    dw_SBC,
                    w_GF,
                    w_4UC,
                    counter,
                    ONE & more,
                    H,
                    F,
                    ROWS,
                    UNITS,
                    K,
                    C_PLACES,
                    COLUMNS,
                    PRECISION,
                )
            else:
                for start in tl.range(group * ROWS, rows, groups * ROWS, num_stages=1):
                    at, real = place(t, start, rows, tile, F, H, ROWS, UNITS)
                    dh = tl.load(dhw_TBF + at, real, 0.0)
                    i, f, g, o, c, c_before = inputs(
                        t, start, rows, tile, True, a_TBG, c_TBH, c0_BH, H, ROWS, UNITS
                    )
                    dc = carried(dc_BH, start, rows, tile, H, ROWS, UNITS)
                    dh += handed_back(
                        t,
                        start,
                        steps,
                        rows,
                        dz_TBG,
                        w,
                        of_w,
                        real_w,
                        H,
                        F,
                        ROWS,
                        UNITS,
                        SLICES,
                        PART,
                        CHUNKS,
                        STAGES,
                        PRECISION,
                    )
                    gates_step(
                        t,
                        start,
                        rows,
                        tile,
                        dh,
                        dc,
                        i,
                        f,
                        g,
                        o,
                        c,
                        c_before,
                        dz_TBG,
                        dc_BH,
                        dpeephole_B3H,
                        peephole_3H,
                        peep_i,
                        peep_f,
                        peep_o,
                        clip,
                        dw_SBC,
                        w_GF,
                        w_4UC,
                        counter,
                        ONE & more,
                        H,
                        F,
                        ROWS,
                        UNITS,
                        K,
                        C_PLACES,
                        COLUMNS,
                        PRECISION,
                    )
        elif phase == 0:
            for start in tl.range(group * ROWS, rows, groups * ROWS, num_stages=1):
                for b in tl.range(start + tile, tl.minimum(start + ROWS, rows), tiles, num_stages=1):
                    window.backward(
                        t,
                        b,
                        steps,
                        rows,
                        dhw_TBF,
                        dw_SBC,
                        symbol_BU,
                        kappa_TBK,
                        p_TBP,
                        dkappa_TBK,
                        dkappa_BK,
                        dp_TBP,
                        dp_BQ,
                        characters,
                        tiles,
                        H,
                        F,
                        K,
                        K_PLACES,
                        C_PLACES,
                        TILE_PLACES,
                        CHARACTERS,
                    )
                if ONE == 0:
                    at, real = place(t, start, rows, tile, F, H, ROWS, UNITS)
                    dh = tl.load(dhw_TBF + at, real, 0.0)
                from_later = handed_back(
                    t,
                    start,
                    steps,
                    rows,
                    dz_TBG,
                    w,
                    of_w,
                    real_w,
                    H,
                    F,
                    ROWS,
                    UNITS,
                    SLICES,
                    PART,
                    CHUNKS,
                    STAGES,
                    PRECISION,
                )
                at, real = place(0, start, rows, tile, H, H, ROWS, UNITS)
                tl.store(carried_BH + at, dh + from_later, real)
        else:
            for start in tl.range(group * ROWS, rows, groups * ROWS, num_stages=1):
                if ONE == 0:
                    i, f, g, o, c, c_before = inputs(
                        t, start, rows, tile, True, a_TBG, c_TBH, c0_BH, H, ROWS, UNITS
                    )
                dh = carried(carried_BH, start, rows, tile, H, ROWS, UNITS)
                dc = carried(dc_BH, start, rows, tile, H, ROWS, UNITS)
                dh += window.handed_back(start, rows, dp_BQ, w_4KU, ROWS, UNITS, K_PLACES, OF_WINDOW)
                gates_step(
                    t,
                    start,
                    rows,
                    tile,
                    dh,
                    dc,
                    i,
                    f,
                    g,
                    o,
                    c,
                    c_before,
                    dz_TBG,
                    dc_BH,
                    dpeephole_B3H,
                    peephole_3H,
                    peep_i,
                    peep_f,
                    peep_o,
                    clip,
                    dw_SBC,
                    w_GF,
                    w_4UC,
                    counter,
                    ONE & more,
                    H,
                    F,
                    ROWS,
                    UNITS,
                    K,
                    C_PLACES,
                    COLUMNS,
                    PRECISION,
                )
        if (ONE == 0 or phase < TICKS - 1) and more:
            arrive(counter)
