"""The soft window (46)–(51) of one step, forward and backward.

W_hp h is a sum over the hidden units, and the gradient with respect to w one over their gates: each program
adds up those of its own tile (`products`, `towards_w`). The rest is done a row at a time, by as many programs
as there are rows: the sum of all tiles, all K components, the whole text. Sums run in a fixed order, so that
results repeat to the bit. Everything is float32. The gradients are told in `nn.window_steps`; shapes are as
there, but for S tiles, C filled up to C_PLACES, and Q = 4 · K_PLACES: α̂, β̂, κ̂ and nothing, each filled up to
a power of two. What other programs made at this step is read from the cache that all share.
"""

import triton
import triton.language as tl

from graves_lm.nn.cuda.product import INTERPRETED, added, factor, side_by_side

UNDERFLOW = tl.constexpr(106.0)
"""exp(−x) is exactly 0 in float32 for an x above this."""


@triton.jit
def weights(w_PH, tile, H: tl.constexpr, K: tl.constexpr, UNITS: tl.constexpr, K_PLACES: tl.constexpr):
    """W_hp of a tile's units, (UNITS, Q)."""
    n, q = tile * UNITS + tl.arange(0, UNITS), tl.arange(0, 4 * K_PLACES)
    part, k = q // K_PLACES, q % K_PLACES
    real = ((part < 3) & (k < K))[None, :] & (n < H)[:, None]
    return tl.load(w_PH + (part * K + k)[None, :] * H + n[:, None], real, 0.0)


@triton.jit
def bias(b_P, K: tl.constexpr, K_PLACES: tl.constexpr):
    q = tl.arange(0, 4 * K_PLACES)
    part, k = q // K_PLACES, q % K_PLACES
    return tl.load(b_P + part * K + k, (part < 3) & (k < K), 0.0)


@triton.jit
def products(
    start,
    rows,
    tile,
    h,
    summed_SBQ,
    w_UQ,
    ROWS: tl.constexpr,
    K_PLACES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The part that a tile of h, (ROWS, UNITS), has in W_hp h."""
    b, q = start + tl.arange(0, ROWS), tl.arange(0, 4 * K_PLACES)
    at = (tile * rows + b)[:, None] * (4 * K_PLACES) + q[None, :]
    tl.store(summed_SBQ + at, tl.dot(h, w_UQ, input_precision=PRECISION), (b < rows)[:, None])


@triton.jit
def forward(
    t,
    b,
    rows,
    hw_TBF,
    after_BS,
    symbol_BU,
    kappa_TBK,
    p_TBP,
    summed_SBQ,
    b_Q,
    kappa0_BK,
    characters,
    tiles,
    H: tl.constexpr,
    F: tl.constexpr,
    SEEN: tl.constexpr,
    K: tl.constexpr,
    K_PLACES: tl.constexpr,  # powers of two, at least K, C and the number of tiles
    C_PLACES: tl.constexpr,
    TILE_PLACES: tl.constexpr,
    CHARACTERS: tl.constexpr,
    LARGEST: tl.constexpr,
):
    """(46)–(51) of step t of one row, from the tiles' `products`."""
    row = tl.cast(t, tl.int64) * rows + b
    k, q, tile = tl.arange(0, K_PLACES), tl.arange(0, 4 * K_PLACES), tl.arange(0, TILE_PLACES)
    real_k = k < K
    text, u = symbol_BU + b * characters, tl.arange(0, CHARACTERS)
    symbol = tl.load(text + u, u < characters, -1)
    of_kappa = kappa_TBK + row * K + k
    if t > 0:
        kappa = tl.load(of_kappa - rows * K, real_k, 0.0)
    else:
        kappa = tl.load(kappa0_BK + b * K + k, real_k, 0.0)
    at = (tile * rows + b)[:, None] * (4 * K_PLACES) + q[None, :]
    summed = tl.load(summed_SBQ + at, (tile < tiles)[:, None], 0.0, cache_modifier=".cg")
    p_Q = tl.sum(summed, 0) + b_Q
    p_Q = tl.exp(tl.where(p_Q > LARGEST, LARGEST, p_Q))
    even, odd = p_Q.reshape(2, 2, K_PLACES).permute(2, 0, 1).split()
    alpha, advance = even.split()
    beta, _ = odd.split()
    kappa += advance
    tl.store(of_kappa, kappa, real_k)
    p = p_TBP + row * (3 * K) + k
    tl.store(p, alpha, real_k)
    tl.store(p + K, beta, real_k)
    tl.store(p + 2 * K, advance, real_k)

    alpha = tl.where(real_k, alpha, 0.0)
    j = tl.arange(0, C_PLACES)
    seen = tl.zeros([C_PLACES], tl.float32)
    for start in tl.range(0, characters, CHARACTERS, num_stages=1):
        unseen = 0
        if characters > CHARACTERS:
            # Characters that no component reaches weigh exactly 0. A NaN reaches all.
            away = tl.maximum(start + 1 - kappa, kappa - (start + CHARACTERS))
            out = (away > 0) & (beta * away * away > UNDERFLOW) & (alpha == alpha)
            unseen = tl.min((out | (k >= K)).to(tl.int32))
        if unseen == 0:
            d = kappa[:, None] - (start + u + 1).to(tl.float32)[None, :]
            phi = tl.sum(alpha[:, None] * tl.exp(-beta[:, None] * d * d), 0)
            seen += tl.sum(tl.where(symbol[:, None] == j[None, :], phi[:, None], 0.0), 0)
        later = start + CHARACTERS + u
        symbol = tl.load(text + later, later < characters, -1)
    real_j = j < F - H
    tl.store(after_BS + b * SEEN + H + j, seen.to(after_BS.dtype.element_ty), real_j)
    tl.store(hw_TBF + row * F + H + j, seen, real_j)


@triton.jit
def _added(a0, a1, a2, b0, b1, b2):
    return a0 + b0, a1 + b1, a2 + b2


@triton.jit
def three_sums(a, b, c):
    """Over the characters, in one go; the interpreter would call Python for each number of them."""
    if INTERPRETED:
        return tl.sum(a, 1), tl.sum(b, 1), tl.sum(c, 1)
    else:
        return tl.reduce((a, b, c), 1, _added)


@triton.jit
def backward(
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
    H: tl.constexpr,
    F: tl.constexpr,
    K: tl.constexpr,
    K_PLACES: tl.constexpr,
    C_PLACES: tl.constexpr,
    TILE_PLACES: tl.constexpr,
    CHARACTERS: tl.constexpr,
):
    """The gradients of step t of one row with respect to p and κ, from the tiles' `towards_w`."""
    row = tl.cast(t, tl.int64) * rows + b
    j, tile = tl.arange(0, C_PLACES), tl.arange(0, TILE_PLACES)
    at = (tile * rows + b)[:, None] * C_PLACES + j[None, :]
    made = (tile < tiles) & (t + 1 < steps)  # after the last step nothing is handed back
    dw_C = tl.load(dhw_TBF + row * F + H + j, j < F - H, 0.0)
    dw_C += tl.sum(tl.load(dw_SBC + at, made[:, None], 0.0, cache_modifier=".cg"), 0)
    k, u = tl.arange(0, K_PLACES), tl.arange(0, CHARACTERS)
    real_k = k < K
    text = symbol_BU + b * characters
    symbol = tl.load(text + u, u < characters, -1)
    p = p_TBP + row * (3 * K) + k
    alpha, beta = tl.load(p, real_k, 0.0), tl.load(p + K, real_k, 0.0)
    advance = tl.load(p + 2 * K, real_k, 0.0)
    kappa = tl.load(kappa_TBK + row * K + k, real_k, 0.0)
    dkappa = tl.load(dkappa_BK + b * K + k, real_k, 0.0)
    if dkappa_TBK is not None:
        dkappa += tl.load(dkappa_TBK + row * K + k, real_k, 0.0)
    for_alpha = tl.zeros([K_PLACES], tl.float32)  # Σ dφ e (1, d, d²)
    for_kappa = tl.zeros([K_PLACES], tl.float32)
    for_beta = tl.zeros([K_PLACES], tl.float32)
    for start in tl.range(0, characters, CHARACTERS, num_stages=1):
        real_u = symbol >= 0
        dphi = tl.gather(dw_C, tl.maximum(symbol, 0).to(tl.int32), 0)
        d = kappa[:, None] - (start + u + 1).to(tl.float32)[None, :]
        term = tl.where(real_u[None, :], dphi[None, :] * tl.exp(-beta[:, None] * d * d), 0.0)
        one, first, second = three_sums(term, term * d, term * d * d)
        for_alpha += one
        for_kappa += first
        for_beta += second
        later = start + CHARACTERS + u
        symbol = tl.load(text + later, later < characters, -1)
    dkappa += -2 * alpha * beta * for_kappa
    dalpha, dbeta, dadvance = alpha * for_alpha, -alpha * beta * for_beta, advance * dkappa
    to_gates = dp_BQ + b * (4 * K_PLACES) + k
    tl.store(to_gates, dalpha, real_k)
    tl.store(to_gates + K_PLACES, dbeta, real_k)
    tl.store(to_gates + 2 * K_PLACES, dadvance, real_k)
    tl.store(dkappa_BK + b * K + k, dkappa, real_k)
    dp = dp_TBP + row * (3 * K) + k
    tl.store(dp, dalpha, real_k)
    tl.store(dp + K, dbeta, real_k)
    tl.store(dp + 2 * K, dadvance, real_k)


@triton.jit
def weights_back(w_PH, tile, H: tl.constexpr, K: tl.constexpr, UNITS: tl.constexpr, K_PLACES: tl.constexpr):
    """W_hp of a tile's units for the backward pass, (4, K_PLACES, UNITS)."""
    n, part, k = tile * UNITS + tl.arange(0, UNITS), tl.arange(0, 4), tl.arange(0, K_PLACES)
    real = ((part < 3)[:, None] & (k < K)[None, :])[:, :, None] & (n < H)[None, None, :]
    p = part[:, None] * K + k[None, :]
    return tl.load(w_PH + p[:, :, None] * H + n[None, None, :], real, 0.0)


@triton.jit
def weights_of_w(
    w_GF, tile, first, H: tl.constexpr, F: tl.constexpr, UNITS: tl.constexpr, COLUMNS: tl.constexpr
):
    """The weights from the characters of w from `first` on to the gates of a tile's units, (4, UNITS,
    COLUMNS)."""
    n, gate, j = tile * UNITS + tl.arange(0, UNITS), tl.arange(0, 4), first + tl.arange(0, COLUMNS)
    at = (gate[:, None, None] * H + n[None, :, None]) * F + H + j[None, None, :]
    return tl.load(w_GF + at, (n < H)[None, :, None] & (j < F - H)[None, None, :], 0.0)


@triton.jit
def towards_w(
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
    H: tl.constexpr,
    F: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    C_PLACES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The part that a tile's gates of one step, (ROWS, UNITS) each, have in the gradient with respect to w of
    the step before: with `w_4UC`, if that is all of the tile's weights, else so many characters in one go."""
    dz = factor(side_by_side(di, df, dg, do, ROWS, UNITS).to(w_4UC.dtype))
    b, j = start + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    of_part = dw_SBC + (tile * rows + b)[:, None] * C_PLACES + j[None, :]
    for first in tl.range(0, C_PLACES, COLUMNS, num_stages=1):
        w = w_4UC if COLUMNS == C_PLACES else weights_of_w(w_GF, tile, first, H, F, UNITS, COLUMNS)
        part = added(tl.dot(dz, factor(w), input_precision=PRECISION), 4, ROWS, COLUMNS)
        tl.store(of_part + first, part, (b < rows)[:, None])


@triton.jit
def handed_back(
    start,
    rows,
    dp_BQ,
    w_4KU,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    K_PLACES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """What the window adds to the gradient with respect to h: dp W_hp, (ROWS, UNITS)."""
    b, part, k = start + tl.arange(0, ROWS), tl.arange(0, 4), tl.arange(0, K_PLACES)
    at = b[None, :, None] * (4 * K_PLACES) + part[:, None, None] * K_PLACES + k[None, None, :]
    dp = tl.load(dp_BQ + at, (b < rows)[None, :, None], 0.0, cache_modifier=".cg")
    return added(tl.dot(dp, w_4KU, input_precision=PRECISION), 4, ROWS, UNITS)
