/* The gates of (7)–(11) at step t, forward and backward, in one pass each. Shapes as in nn/gates.py: T steps,
   B rows, H units; a row of z, a and dz is i, f, g, o side by side. "Product" arrays (z, sum, dh_next, dz and
   hx_product) are bfloat16 or float, all else is float. Rows of hx have F numbers and begin with those of h;
   strides are from row to row, in elements. */
#include "gates.h"

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
            forward_row(H, H, H, 1, z_, sum_, before, peephole, a_, c_, h_, hx_product + b * F);
        else
            forward_row(H, H, H, 0, z_, sum_, before, peephole, a_, c_, h_, 0);
    }
}

/* dh_next is what step t + 1 hands back. dc holds the gradient with respect to c_t and then that with respect to c_{t−1}. Row b adds to
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
            backward_row(H, H, 1, bound, dh_, next, a_, c_, before, peephole, dc_, dz_, dp);
        else
            backward_row(H, H, 0, bound, dh_, next, a_, c_, before, peephole, dc_, dz_, dp);
    }
}
