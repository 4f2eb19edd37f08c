"""The soft window (46)–(51) of one step, forward and backward, as one Triton kernel each.

A program is one row of the batch: all K components, its whole text and the product with W_hp. Sums run in a
fixed order, with no atomic additions, so that results repeat to the bit. Everything is float32. How kernels
find their step is told in `nn.cuda.gates`, the derivatives in `nn.window_lstm`; shapes are as there.
"""

import triton
import triton.language as tl

from graves_lm.nn.cuda.gates import DONE, ROWS, STEPS, address, number

CHARACTERS = 32
UNITS = 64
"""How much of a text, and of the hidden layer, a program looks at in one go."""


@triton.jit(do_not_specialize=["step"])
def forward(
    table,  # z_TBG, a_TBG, c_TBH, hw_TBF, symbol_BU, kappa_TBK, p_TBP, and the number U
    step,
    seen_BF,
    kappa_BK,
    w_PH,
    b_P,
    H: tl.constexpr,
    F: tl.constexpr,
    K: tl.constexpr,
    LARGEST: tl.constexpr,
    K_PLACES: tl.constexpr,  # powers of two, at least K and C
    C_PLACES: tl.constexpr,
    UNITS: tl.constexpr,
    CHARACTERS: tl.constexpr,
):
    t = tl.load(table + DONE) + step
    b, rows = tl.program_id(0), tl.load(table + ROWS)
    if (t >= tl.load(table + STEPS)) | (b >= rows):
        return
    row = t * rows + b
    hw = address(table, 3, tl.float32) + row * F
    k = tl.arange(0, K_PLACES)
    real_k = k < K

    alpha = tl.load(b_P + k, real_k, 0.0)
    beta = tl.load(b_P + K + k, real_k, 0.0)
    advance = tl.load(b_P + 2 * K + k, real_k, 0.0)
    for start in range(0, H, UNITS):
        n = start + tl.arange(0, UNITS)
        h = tl.load(hw + n, n < H, 0.0)[None, :]
        w = w_PH + k[:, None] * H + n[None, :]
        real = real_k[:, None] & (n < H)[None, :]
        alpha += tl.sum(tl.load(w, real, 0.0) * h, 1)
        beta += tl.sum(tl.load(w + K * H, real, 0.0) * h, 1)
        advance += tl.sum(tl.load(w + 2 * K * H, real, 0.0) * h, 1)
    alpha = tl.exp(tl.where(alpha > LARGEST, LARGEST, alpha))
    beta = tl.exp(tl.where(beta > LARGEST, LARGEST, beta))
    advance = tl.exp(tl.where(advance > LARGEST, LARGEST, advance))
    kappa = tl.load(kappa_BK + b * K + k, real_k, 0.0) + advance
    tl.store(kappa_BK + b * K + k, kappa, real_k)
    tl.store(address(table, 5, tl.float32) + row * K + k, kappa, real_k)
    p = address(table, 6, tl.float32) + row * (3 * K) + k
    tl.store(p, alpha, real_k)
    tl.store(p + K, beta, real_k)
    tl.store(p + 2 * K, advance, real_k)

    alpha = tl.where(real_k, alpha, 0.0)
    characters = number(table, 7)
    text = address(table, 4, tl.int64) + b * characters
    j = tl.arange(0, C_PLACES)
    seen = tl.zeros([C_PLACES], tl.float32)
    for start in range(0, characters, CHARACTERS):
        u = start + tl.arange(0, CHARACTERS)
        symbol = tl.load(text + u, u < characters, -1)
        d = kappa[:, None] - (u + 1).to(tl.float32)[None, :]
        phi = tl.sum(alpha[:, None] * tl.exp(-beta[:, None] * d * d), 0)
        seen += tl.sum(tl.where(symbol[:, None] == j[None, :], phi[:, None], 0.0), 0)
    real_j = j < F - H
    tl.store(hw + H + j, seen, real_j)
    tl.store(seen_BF + b * F + H + j, seen.to(seen_BF.dtype.element_ty), real_j)


@triton.jit(do_not_specialize=["step"])
def backward(
    table,  # dhw_TBF, a_TBG, c_TBH, c0_BH, dz_TBG, symbol_BU, kappa_TBK, p_TBP, dkappa_TBK, dp_TBP, and U
    step,
    dhw_BF,
    dh_BH,
    dkappa_BK,
    w_PH,
    H: tl.constexpr,
    F: tl.constexpr,
    K: tl.constexpr,
    K_PLACES: tl.constexpr,
    UNITS: tl.constexpr,
    CHARACTERS: tl.constexpr,
):
    t = tl.load(table + STEPS) - 1 - tl.load(table + DONE) - step
    b, rows = tl.program_id(0), tl.load(table + ROWS)
    if (t < 0) | (b >= rows):
        return
    row = t * rows + b
    carried = dhw_BF + b * F
    given = address(table, 0, tl.float32) + row * F
    k = tl.arange(0, K_PLACES)
    real_k = k < K

    p = address(table, 7, tl.float32) + row * (3 * K) + k
    alpha, beta = tl.load(p, real_k, 0.0), tl.load(p + K, real_k, 0.0)
    kappa = tl.load(address(table, 6, tl.float32) + row * K + k, real_k, 0.0)
    for_alpha = tl.zeros([K_PLACES], tl.float32)  # Σ dφ e (1, d, d²)
    for_kappa = tl.zeros([K_PLACES], tl.float32)
    for_beta = tl.zeros([K_PLACES], tl.float32)
    characters = number(table, 10)
    text = address(table, 5, tl.int64) + b * characters
    for start in range(0, characters, CHARACTERS):
        u = start + tl.arange(0, CHARACTERS)
        symbol = tl.load(text + u, u < characters, -1)
        real_u = symbol >= 0
        dphi = tl.load(carried + H + symbol, real_u, 0.0).to(tl.float32)
        dphi += tl.load(given + H + symbol, real_u, 0.0)
        d = kappa[:, None] - (u + 1).to(tl.float32)[None, :]
        term = tl.where(real_u[None, :], dphi[None, :] * tl.exp(-beta[:, None] * d * d), 0.0)
        for_alpha += tl.sum(term, 1)
        for_kappa += tl.sum(term * d, 1)
        for_beta += tl.sum(term * d * d, 1)
    dkappa = tl.load(dkappa_BK + b * K + k, real_k, 0.0)
    dkappa += tl.load(address(table, 8, tl.float32) + row * K + k, real_k, 0.0)
    dkappa += -2 * alpha * beta * for_kappa
    dalpha = alpha * for_alpha
    dbeta = -alpha * beta * for_beta
    dadvance = tl.load(p + 2 * K, real_k, 0.0) * dkappa
    tl.store(dkappa_BK + b * K + k, dkappa, real_k)
    dp = address(table, 9, tl.float32) + row * (3 * K) + k
    tl.store(dp, dalpha, real_k)
    tl.store(dp + K, dbeta, real_k)
    tl.store(dp + 2 * K, dadvance, real_k)

    for start in range(0, H, UNITS):
        n = start + tl.arange(0, UNITS)
        real_n = n < H
        w = w_PH + k[:, None] * H + n[None, :]
        real = real_k[:, None] & real_n[None, :]
        dh = tl.load(carried + n, real_n, 0.0).to(tl.float32) + tl.load(given + n, real_n, 0.0)
        dh += tl.sum(tl.load(w, real, 0.0) * dalpha[:, None], 0)
        dh += tl.sum(tl.load(w + K * H, real, 0.0) * dbeta[:, None], 0)
        dh += tl.sum(tl.load(w + 2 * K * H, real, 0.0) * dadvance[:, None], 0)
        tl.store(dh_BH + b * H + n, dh, real_n)
