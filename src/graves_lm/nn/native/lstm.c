/* The whole recurrence of (7)–(11) in float, forward and backward: the products with W_h and the gates, for all
   steps. Shapes as in nn/lstm.py. Each thread has a share of the units, whose weights stay in its cache, and of
   each step's results it needs those of the others once: one barrier a step. A product of few rows and units is
   followed by their gates; what these read and write is called into the cache while the product runs. */
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
#define EVERY 4  /* inputs of a product between two calls for a line of memory */
#define MOST (ROWS * 11 * BLOCK / WIDTH) /* lines of memory called for in a product: of eleven numbers a unit */

typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));

/* Lines of memory that are needed soon. */
typedef struct {
    int64_t count;
    const float *line[MOST];
} Soon;

INLINE void add(Soon *soon, const float *from, int64_t numbers)
{
    for (const float *at = from; at < from + numbers; at += WIDTH)
        soon->line[soon->count++] = at;
}

/* out = x w for `rows` × `vectors` · WIDTH sums over K; rows of x and w are `to_` apart, vectors of w
   `to_vector`, and rows of out BLOCK. */
INLINE void block_product(int rows, int vectors, int64_t K, const float *x, int64_t to_x, const float *w,
                          int64_t to_w, int64_t to_vector, float *out, const Soon *soon)
{
    vector sum[ROWS][BLOCK / WIDTH] = {0};
    for (int64_t k = 0, n = 0; k < K; n++) {
        if (n < soon->count)
            __builtin_prefetch(soon->line[n]);
        for (int64_t end = k + EVERY < K ? k + EVERY : K; k < end; k++)
            for (int v = 0; v < vectors; v++) {
                vector w_v = *(const vector *)(w + k * to_w + v * to_vector);
                for (int r = 0; r < rows; r++)
                    sum[r][v] += x[r * to_x + k] * w_v;
            }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            *(vector *)(out + r * BLOCK + v * WIDTH) = sum[r][v];
}

#define CASE(r, v)                                                                                                \
    case 8 * r + v:                                                                                               \
        block_product(r, v, K, x, to_x, w, to_w, to_vector, out, soon);                                           \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)

static void product(int rows, int vectors, int64_t K, const float *x, int64_t to_x, const float *w, int64_t to_w,
                    int64_t to_vector, float *out, const Soon *soon)
{
    switch (8 * rows + vectors) {
        CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6)
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Units and rows that are one thread's. */
typedef struct {
    int64_t unit, units, row, rows;
} Part;

/* This thread's part of B rows of H units: as many as the others have, of whole groups of WIDTH units but for the
   first and the last one, of which others have other rows. Gives the number of parts, three at most. */
static int parts_of(int64_t B, int64_t H, Part part[3])
{
    int64_t groups = (H + WIDTH - 1) / WIDTH, n = omp_get_num_threads(), i = omp_get_thread_num();
    int64_t begin = groups * B * i / n, end = groups * B * (i + 1) / n;
    int count = 0;
    while (begin < end) {
        int64_t group = begin / B, row = begin % B, whole = row ? 0 : (end - begin) / B;
        int64_t rows = whole ? B : least(B - row, end - begin);
        int64_t units = least((whole ? whole : 1) * WIDTH, H - group * WIDTH);
        part[count++] = (Part){group * WIDTH, units, row, rows};
        begin += whole ? whole * B : rows;
    }
    return count;
}

/* w has, for each WIDTH units, their four rows of W_h side by side: (units / WIDTH, H, 4, WIDTH), filled up with
   zeros. */
void lstm_forward(int64_t threads, int64_t T, int64_t B, int64_t H, const float *z, const float *w,
                  const float *peephole, const float *h0, const float *c0, float *a, float *c, float *h)
{
#pragma omp parallel num_threads(threads)
    {
        Part part[3];
        int parts = parts_of(B, H, part);
        for (int64_t t = 0; t < T; t++) {
            const float *h_before = t ? h + (t - 1) * B * H : h0, *c_before = t ? c + (t - 1) * B * H : c0;
            for (const Part *p = part; p < part + parts; p++)
                for (int64_t unit = p->unit; unit < p->unit + p->units; unit += WIDTH)
                    for (int64_t b = p->row; b < p->row + p->rows; b += ROWS) {
                        int64_t rows = least(ROWS, p->row + p->rows - b), units = least(WIDTH, H - unit);
                        float sum[ROWS * BLOCK];
                        Soon soon;
                        soon.count = 0;
                        for (int64_t row = t * B + b; row < t * B + b + rows; row++) {
                            for (int64_t gate = 4 * row; gate < 4 * row + 4; gate++)
                                add(&soon, z + gate * H + unit, units), add(&soon, a + gate * H + unit, units);
                            add(&soon, c + row * H + unit, units), add(&soon, h + row * H + unit, units);
                        }
                        product(rows, 4, H, h_before + b * H, H, w + unit * H * 4, BLOCK, WIDTH, sum, &soon);
                        for (int64_t r = 0; r < rows; r++) {
                            int64_t row = t * B + b + r, at = row * H + unit;
                            forward_row(units, H, WIDTH, 0, z + row * 4 * H + unit, sum + r * BLOCK,
                                        c_before + (b + r) * H + unit, peephole + unit, a + row * 4 * H + unit,
                                        c + at, h + at, 0);
                        }
                    }
#pragma omp barrier
        }
    }
}

/* w has, for each WIDTH units, their columns of W_h: (units / WIDTH, 4H, WIDTH), filled up with zeros. dh_next and
   dc hold what reaches h and c of the last step from after it, and then the gradients with respect to h0 and c0. */
void lstm_backward(int64_t threads, int64_t T, int64_t B, int64_t H, float bound, const float *dh, const float *a,
                   const float *c, const float *w, const float *peephole, const float *c0,
                   float *dh_next, float *dc, float *dz, float *dpeephole)
{
#pragma omp parallel num_threads(threads)
    {
        Part part[3];
        int parts = parts_of(B, H, part);
        for (int64_t t = T; t >= 0; t--) { /* the product of step t, and the gates of the one before */
            const float *c_before = t > 1 ? c + (t - 2) * B * H : c0;
            for (const Part *p = part; p < part + parts; p++)
                for (int64_t unit = p->unit; unit < p->unit + p->units; unit += BLOCK)
                    for (int64_t b = p->row; b < p->row + p->rows; b += ROWS) {
                        int64_t rows = least(ROWS, p->row + p->rows - b);
                        int64_t units = least(BLOCK, p->unit + p->units - unit);
                        float sum[ROWS * BLOCK];
                        Soon soon;
                        soon.count = 0;
                        for (int64_t r = 0; t && r < rows; r++) {
                            int64_t row = (t - 1) * B + b + r;
                            for (int64_t gate = 4 * row; gate < 4 * row + 4; gate++)
                                add(&soon, a + gate * H + unit, units), add(&soon, dz + gate * H + unit, units);
                            add(&soon, dh + row * H + unit, units), add(&soon, c + row * H + unit, units);
                            add(&soon, c_before + (b + r) * H + unit, units);
                        }
                        if (t < T)
                            product(rows, (units + WIDTH - 1) / WIDTH, 4 * H, dz + (t * B + b) * 4 * H, 4 * H,
                                    w + unit * 4 * H, WIDTH, 4 * H * WIDTH, sum, &soon);
                        for (int64_t r = 0; r < rows; r++) {
                            int64_t row = (t - 1) * B + b + r, at = row * H + unit, own = (b + r) * H + unit;
                            const float *next = t < T ? sum + r * BLOCK : dh_next + own;
                            if (t)
                                backward_row(units, H, 0, bound, dh + at, next, a + row * 4 * H + unit, c + at,
                                             c_before + own, peephole + unit, dc + own,
                                             dz + row * 4 * H + unit, dpeephole + (b + r) * 3 * H + unit);
                            else if (T)
                                memcpy(dh_next + own, next, units * sizeof *next);
                        }
                    }
#pragma omp barrier
        }
    }
}

#endif
