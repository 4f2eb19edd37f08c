/* The whole recurrence of (7)–(11) in float, forward and backward: the products with W_h and the gates, for all
   steps. Shapes as in nn/lstm.py. Each thread has a share of the units, whose weights stay in its cache, and of
   each step's results it needs those of the others once: one barrier a step. */
#include "gates.h"

#ifdef __AVX512F__ /* with half as many, half as wide registers a library's products are faster */

#ifdef _OPENMP
int omp_get_thread_num(void);
int omp_get_num_threads(void);
#else
#define omp_get_thread_num() 0
#define omp_get_num_threads() 1
#endif

#define WIDTH 16 /* units side by side, the width of a vector */
#define BLOCK 64 /* columns of one product: i, f, g, o of WIDTH units, or 4 times as many units */
#define ROWS 6   /* of one product: ROWS × BLOCK sums fill 24 of 32 registers */

typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));

/* out = x w for `rows` × `vectors` · WIDTH sums over K; rows of x, w and out are `to_` apart. */
INLINE void block_product(int rows, int vectors, int64_t K, const float *x, int64_t to_x, const float *w,
                          int64_t to_w, float *out)
{
    vector sum[ROWS][BLOCK / WIDTH] = {0};
    for (int64_t k = 0; k < K; k++)
        for (int v = 0; v < vectors; v++) {
            vector w_v = *(const vector *)(w + k * to_w + v * WIDTH);
            for (int r = 0; r < rows; r++)
                sum[r][v] += x[r * to_x + k] * w_v;
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            *(vector *)(out + r * BLOCK + v * WIDTH) = sum[r][v];
}

#define CASE(r, v)                                                                                                \
    case 8 * r + v:                                                                                               \
        block_product(r, v, K, x, to_x, w, to_w, out);                                                            \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)

static void product(int rows, int vectors, int64_t K, const float *x, int64_t to_x, const float *w, int64_t to_w,
                    float *out)
{
    switch (8 * rows + vectors) {
        CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6)
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* w has, for each WIDTH units, their four rows of W_h side by side: (units / WIDTH, H, 4, WIDTH), filled up with
   zeros. */
void lstm_forward(int64_t threads, int64_t T, int64_t B, int64_t H, const float *z, const float *w,
                  const float *peephole, const float *h0, const float *c0, float *a, float *c, float *h)
{
#pragma omp parallel num_threads(threads)
    {
        int64_t groups = (H + WIDTH - 1) / WIDTH, n = omp_get_num_threads(), i = omp_get_thread_num();
        for (int64_t t = 0; t < T; t++) {
            const float *h_before = t ? h + (t - 1) * B * H : h0, *c_before = t ? c + (t - 1) * B * H : c0;
            for (int64_t group = groups * i / n; group < groups * (i + 1) / n; group++)
                for (int64_t b = 0; b < B; b += ROWS) {
                    int64_t rows = least(ROWS, B - b), unit = group * WIDTH;
                    float sum[ROWS * BLOCK];
                    product(rows, 4, H, h_before + b * H, H, w + group * H * BLOCK, BLOCK, sum);
                    for (int64_t r = 0; r < rows; r++) {
                        int64_t row = t * B + b + r, at = row * H + unit;
                        forward_row(least(WIDTH, H - unit), H, WIDTH, 0, z + row * 4 * H + unit, sum + r * BLOCK,
                                    c_before + (b + r) * H + unit, peephole + unit, a + row * 4 * H + unit, c + at,
                                    h + at, 0);
                    }
                }
#pragma omp barrier
        }
    }
}

/* w is W_h, (4H, H), its rows filled up with zeros to `to_w`, a multiple of WIDTH. dh_next and dc hold what
   reaches h and c of the last step from after it, and then the gradients with respect to h0 and c0. */
void lstm_backward(int64_t threads, int64_t T, int64_t B, int64_t H, float bound, const float *dh, const float *a,
                   const float *c, const float *w, int64_t to_w, const float *peephole, const float *c0,
                   float *dh_next, float *dc, float *dz, float *dpeephole)
{
#pragma omp parallel num_threads(threads)
    {
        int64_t groups = (H + WIDTH - 1) / WIDTH, n = omp_get_num_threads(), i = omp_get_thread_num();
        int64_t first = groups * i / n * WIDTH, after = groups * (i + 1) / n * WIDTH;
        for (int64_t t = T - 1; t >= 0; t--) {
            const float *c_before = t ? c + (t - 1) * B * H : c0;
            for (int64_t b = 0; b < B; b++) {
                int64_t row = t * B + b, at = row * H + first, own = b * H + first;
                backward_row(least(after, H) - first, H, 0, bound, dh + at, dh_next + own, a + row * 4 * H + first,
                             c + at, c_before + own, peephole + first, dc + own, dz + row * 4 * H + first,
                             dpeephole + b * 3 * H + first);
            }
#pragma omp barrier
            for (int64_t unit = first; unit < after; unit += BLOCK)
                for (int64_t b = 0; b < B; b += ROWS) {
                    int64_t rows = least(ROWS, B - b), columns = least(BLOCK, after - unit);
                    float sum[ROWS * BLOCK];
                    product(rows, columns / WIDTH, 4 * H, dz + (t * B + b) * 4 * H, 4 * H, w + unit, to_w, sum);
                    for (int64_t r = 0; r < rows; r++)
                        memcpy(dh_next + (b + r) * H + unit, sum + r * BLOCK,
                               least(columns, H - unit) * sizeof *sum);
                }
        }
    }
}

#endif
