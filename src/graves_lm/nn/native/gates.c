/* The gates of (7)–(11), forward and backward, in one pass each. Shapes as in nn/lstm.py: B rows of H units,
   a row of a (and dz) is i, f, g, o side by side. Rows of h and dh are h_stride apart. */
#include "functions.h"

void gates_forward(int threads, int64_t B, int64_t H, float *restrict a, const float *restrict c_before,
                   const float *restrict peephole, float *restrict c, float *restrict h, int64_t h_stride)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        float *restrict i = a + 4 * H * b, *restrict f = i + H, *restrict g = f + H, *restrict o = g + H;
        const float *restrict before = c_before + H * b, *restrict p = peephole;
        float *restrict c_ = c + H * b, *restrict h_ = h + h_stride * b;
#pragma omp simd
        for (int64_t j = 0; j < H; j++) {
            i[j] = sigmoid(i[j] + p[j] * before[j]);
            f[j] = sigmoid(f[j] + p[H + j] * before[j]);
            g[j] = tanh_near(g[j]);
            c_[j] = f[j] * before[j] + i[j] * g[j];
            o[j] = sigmoid(o[j] + p[2 * H + j] * c_[j]);
            h_[j] = o[j] * tanh_near(c_[j]);
        }
    }
}
