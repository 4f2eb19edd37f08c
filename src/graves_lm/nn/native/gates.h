/* The gates of (7)–(11) for a row of units. Gates are H apart in a row of z, a and dz, and `to_sum` in one of sum.
   "Product" arrays (z, sum, dh_next, dz and h_product) are bfloat16 or float, all else is float. */
#pragma once
#include "functions.h"

INLINE void forward_row(int64_t units, int64_t H, int64_t to_sum, int bfloat16, const void *restrict z,
                        const void *restrict sum, const float *restrict c_before, const float *restrict peephole, float *restrict a,
                        float *restrict c, float *restrict h, uint16_t *restrict h_product)
{
#pragma omp simd
    for (int64_t j = 0; j < units; j++) {
        float before = c_before[j];
        float i = load(z, j, bfloat16) + load(sum, j, bfloat16) + peephole[j] * before;
        float f = load(z, H + j, bfloat16) + load(sum, to_sum + j, bfloat16) + peephole[H + j] * before;
        float g = load(z, 2 * H + j, bfloat16) + load(sum, 2 * to_sum + j, bfloat16);
        float o = load(z, 3 * H + j, bfloat16) + load(sum, 3 * to_sum + j, bfloat16);
        i = sigmoid(i), f = sigmoid(f), g = hyperbolic_tangent(g);
        float c_j = f * before + i * g;
        o = sigmoid(o + peephole[2 * H + j] * c_j);
        float h_j = o * hyperbolic_tangent(c_j);
        a[j] = i, a[H + j] = f, a[2 * H + j] = g, a[3 * H + j] = o;
        c[j] = c_j, h[j] = h_j;
        if (bfloat16)
            h_product[j] = to_bfloat16(h_j);
    }
}

INLINE void backward_row(int64_t units, int64_t H, int bfloat16, float bound, const float *restrict dh,
                         const void *restrict dh_next, const float *restrict a, const float *restrict c,
                         const float *restrict c_before, const float *restrict peephole, float *restrict dc,
                         void *restrict dz, float *restrict dpeephole)
{
#pragma omp simd
    for (int64_t j = 0; j < units; j++) {
        float i = a[j], f = a[H + j], g = a[2 * H + j], o = a[3 * H + j], before = c_before[j];
        float tanh_c = hyperbolic_tangent(c[j]), dh_j = dh[j] + load(dh_next, j, bfloat16);
        float d_o = clip(dh_j * tanh_c * (o * (1 - o)), bound);
        float dc_j = dc[j] + dh_j * o * (1 - tanh_c * tanh_c) + d_o * peephole[2 * H + j];
        float di = clip(dc_j * g * (i * (1 - i)), bound);
        float df = clip(dc_j * before * (f * (1 - f)), bound);
        float dg = clip(dc_j * i * (1 - g * g), bound);
        dc[j] = dc_j * f + di * peephole[j] + df * peephole[H + j];
        store(dz, j, di, bfloat16);
        store(dz, H + j, df, bfloat16);
        store(dz, 2 * H + j, dg, bfloat16);
        store(dz, 3 * H + j, d_o, bfloat16);
        dpeephole[j] += di * before;
        dpeephole[H + j] += df * before;
        dpeephole[2 * H + j] += d_o * c[j];
    }
}
