/* The gates of (7)–(11) at step t, forward and backward, in one pass each. Shapes as in nn/gates.py: T steps,
   B rows, H units; a row of z, a and dz is i, f, g, o side by side. "Product" arrays (z, sum, dh_next, dz and
   hx_product) are bfloat16 or float, all else is float. Rows of hx have F numbers and begin with those of h;
   strides are from row to row, in elements. */
#include "functions.h"

INLINE void forward_row(int64_t H, int bfloat16, const void *restrict z, const void *restrict sum,
                        const float *restrict c_before, const float *restrict peephole, float *restrict a,
                        float *restrict c, float *restrict h, uint16_t *restrict h_product)
{
#pragma omp simd
    for (int64_t j = 0; j < H; j++) {
        float before = c_before[j];
        float i = load(z, j, bfloat16) + load(sum, j, bfloat16) + peephole[j] * before;
        float f = load(z, H + j, bfloat16) + load(sum, H + j, bfloat16) + peephole[H + j] * before;
        float g = load(z, 2 * H + j, bfloat16) + load(sum, 2 * H + j, bfloat16);
        float o = load(z, 3 * H + j, bfloat16) + load(sum, 3 * H + j, bfloat16);
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

void gates_forward(int64_t t, const void *sum, int64_t threads, int64_t B, int64_t H, int64_t F, int64_t bfloat16,
                   const void *z, const float *c0, const float *peephole, float *a, float *c, float *hx,
                   uint16_t *hx_product)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        int64_t row = t * B + b;
        const void *z_ = row_of(z, row, 4 * H, bfloat16), *sum_ = row_of(sum, b, 4 * H, bfloat16);
        const float *before = t ? c + (row - B) * H : c0 + b * H;
        float *a_ = a + row * 4 * H, *c_ = c + row * H, *h_ = hx + row * F;
        if (bfloat16)
            forward_row(H, 1, z_, sum_, before, peephole, a_, c_, h_, hx_product + b * F);
        else
            forward_row(H, 0, z_, sum_, before, peephole, a_, c_, h_, 0);
    }
}

INLINE void backward_row(int64_t H, int bfloat16, float bound, const float *restrict dh,
                         const void *restrict dh_next, const float *restrict a, const float *restrict c,
                         const float *restrict c_before, const float *restrict peephole, float *restrict dc,
                         void *restrict dz, float *restrict dpeephole)
{
#pragma omp simd
    for (int64_t j = 0; j < H; j++) {
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

/* dh_next is what step t + 1 hands back. dc holds the derivative of c_t and then that of c_{t−1}. Row b adds to
   the row b of dpeephole, (B, 3, H), so that sums do not depend on the number of threads. */
void gates_backward(int64_t t, const float *dh, int64_t dh_stride, const void *dh_next, int64_t dh_next_stride,
                    int64_t threads, int64_t B, int64_t H, int64_t bfloat16, float bound, const float *a,
                    const float *c, const float *c0, const float *peephole, float *dc, void *dz,
                    float *dpeephole)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        int64_t row = t * B + b;
        const float *dh_ = dh + b * dh_stride, *a_ = a + row * 4 * H, *c_ = c + row * H;
        const float *before = t ? c_ - B * H : c0 + b * H;
        const void *next = row_of(dh_next, b, dh_next_stride, bfloat16);
        void *dz_ = row_of(dz, row, 4 * H, bfloat16);
        float *dc_ = dc + b * H, *dp = dpeephole + b * 3 * H;
        if (bfloat16)
            backward_row(H, 1, bound, dh_, next, a_, c_, before, peephole, dc_, dz_, dp);
        else
            backward_row(H, 0, bound, dh_, next, a_, c_, before, peephole, dc_, dz_, dp);
    }
}
