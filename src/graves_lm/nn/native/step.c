/* One step of a network for one line or text: all layers, the window and the output in one call, so that what it
   takes is little more than reading the weights. As sampling/packed.py does in torch, for weights of float32,
   bfloat16 or int8 (one scale a row); sums and state are float32. Each thread takes some of the rows. */
#pragma GCC optimize("fp-contract=fast") /* a product and a sum in one instruction */
#include "functions.h"
#include <math.h>
#include <stddef.h>

enum { FLOAT32, BFLOAT16, INT8 };
enum { UNITS = 8 }; /* whose gates are computed together */

typedef struct {
    const void *weight; /* rows of `columns` numbers, zeros after the last input */
    const float *scale; /* of the rows, int8 only */
    const float *bias;
    int64_t columns, type;
} Matrix;

typedef struct {
    Matrix matrix;         /* 4H rows: i, f, g, o; those of g are doubled: tanh a = 2σ(2a) − 1 */
    const float *peephole; /* (3, H) */
    const float *one_hot;  /* (symbols, 4H), what each symbol adds; NULL where the input is the pen's */
    int64_t inputs;        /* of the pen: 3, or 0 */
} Layer;

typedef struct {
    int64_t layers, hidden, outputs, first_output; /* the output sees the layers from `first_output` on */
    int64_t symbols, components;                   /* of the window; 0: none */
    float largest_exponent;                        /* of its α, β and steps */
    const Layer *layer;
    Matrix window, output;
} Network;

/* Sixteen numbers at once. */
typedef float Floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(32), aligned(2), may_alias));

INLINE Floats at(const float *x) { return *(const Floats *)x; }

/* Σ w x of some numbers: sixteen, of int8 64. */
INLINE Floats dot_float32(const float *w, const float *x) { return at(w) * at(x); }
INLINE Floats dot_bfloat16(const uint16_t *w, const float *x)
{
    return (Floats)(__builtin_convertvector(*(const Halves *)w, Ints) << 16) * at(x);
}
INLINE Floats dot_int8(const int8_t *w, const float *x)
{
    Ints four = *(const Ints *)w; /* int n has the weights of x[n], x[16 + n], x[32 + n], x[48 + n] */
    return __builtin_convertvector(four << 24 >> 24, Floats) * at(x) +
           __builtin_convertvector(four << 16 >> 24, Floats) * at(x + 16) +
           __builtin_convertvector(four << 8 >> 24, Floats) * at(x + 32) +
           __builtin_convertvector(four >> 24, Floats) * at(x + 48);
}

INLINE float sum(Floats v)
{
    float s[16];
    memcpy(s, &v, sizeof s);
    for (int half = 8; half; half /= 2) /* pairs: one after another each would wait for the last */
        for (int n = 0; n < half; n++)
            s[n] += s[n + half];
    return s[0];
}

#define ROWS(KIND, TYPE, AT_ONCE)                                                                                 \
    static void rows_##KIND(const Matrix *m, const int64_t row[4], const float *x, float out[4])                  \
    {                                                                                                             \
        const TYPE *w[4];                                                                                         \
        Floats s[4] = {{0}};                                                                                      \
        for (int n = 0; n < 4; n++)                                                                               \
            w[n] = (const TYPE *)m->weight + row[n] * m->columns;                                                 \
        for (int64_t k = 0; k < m->columns; k += AT_ONCE)                                                         \
            for (int n = 0; n < 4; n++)                                                                           \
                s[n] += dot_##KIND(w[n] + k, x + k);                                                              \
        for (int n = 0; n < 4; n++)                                                                               \
            out[n] = sum(s[n]);                                                                                   \
    }

ROWS(float32, float, 16)
ROWS(bfloat16, uint16_t, 16)
ROWS(int8, int8_t, 64)

/* W x + b for four rows. */
static void rows(const Matrix *m, const int64_t row[4], const float *x, float out[4])
{
    (m->type == INT8 ? rows_int8 : m->type == BFLOAT16 ? rows_bfloat16 : rows_float32)(m, row, x, out);
    for (int n = 0; n < 4; n++)
        out[n] = out[n] * (m->scale ? m->scale[row[n]] : 1) + m->bias[row[n]];
}

/* Rows `from` to `from` + 3 of W x + b, those that there are. */
static void some_rows(const Matrix *m, int64_t from, int64_t count, const float *x, float *out)
{
    int64_t row[4];
    float total[4];
    for (int n = 0; n < 4; n++)
        row[n] = from + n < count ? from + n : count - 1;
    rows(m, row, x, total);
    for (int n = 0; n < 4; n++)
        out[row[n]] = total[n];
}

/* (7)–(11) for the units from `first` on, at most UNITS. */
static void units(const Layer *layer, int64_t H, int64_t first, int64_t symbol, const float *x, const float *c,
                  float *h_after, float *c_after)
{
    float a[4][UNITS] = {{0}}, total[4];
    int64_t count = H - first < UNITS ? H - first : UNITS;
    for (int64_t j = 0; j < count; j++) {
        int64_t row[4] = {first + j, H + first + j, 2 * H + first + j, 3 * H + first + j};
        rows(&layer->matrix, row, x, total);
        for (int n = 0; n < 4; n++)
            a[n][j] = total[n] + (layer->one_hot && symbol >= 0 ? layer->one_hot[4 * H * symbol + row[n]] : 0);
    }
    const float *p = layer->peephole + first;
#pragma omp simd
    for (int64_t j = 0; j < count; j++) {
        float before = c[first + j];
        float i = sigmoid(a[0][j] + p[j] * before), f = sigmoid(a[1][j] + p[H + j] * before);
        float now = f * before + i * (2 * sigmoid(a[2][j]) - 1);
        c_after[first + j] = now;
        h_after[first + j] = sigmoid(a[3][j] + p[2 * H + j] * now) * hyperbolic_tangent(now);
    }
}

/* (46)–(51). phi gets the weights at u = 1 … U+1, w the sum over the text. */
static void window(const Network *net, const float *h, const int64_t *text, int64_t U, const float *kappa_before,
                   float *kappa, float *w, float *phi)
{
    int64_t K = net->components, P = 3 * K;
    float p[P], x[net->window.columns];
    memset(x, 0, sizeof x);
    memcpy(x, h, net->hidden * sizeof *h);
    for (int64_t from = 0; from < P; from += 4)
        some_rows(&net->window, from, P, x, p);
#pragma omp simd
    for (int64_t n = 0; n < P; n++)
        p[n] = exponential(p[n] > net->largest_exponent ? net->largest_exponent : p[n]);
    memset(phi, 0, (U + 1) * sizeof *phi);
    for (int64_t k = 0; k < K; k++) {
        float alpha = p[k], beta = p[K + k], at = kappa[k] = kappa_before[k] + p[2 * K + k];
#pragma omp simd
        for (int64_t u = 0; u <= U; u++)
            phi[u] += alpha * exponential(-beta * (at - (u + 1)) * (at - (u + 1)));
    }
    memset(w, 0, net->symbols * sizeof *w);
    for (int64_t u = 0; u < U; u++)
        w[text[u]] += phi[u];
}

/* From the pen's point x (or the symbol, −1: none) and the state before it to ŷ and the state after it. A state is
   h of all layers, c of all layers, κ, w. */
void network_step(const Network *net, int64_t threads, const float *x, int64_t symbol, const float *before, float *after,
                  const int64_t *text, int64_t U, float *phi, float *y)
{
    int64_t N = net->layers, H = net->hidden, K = net->components, C = net->symbols;
    const float *c = before + N * H, *kappa = c + N * H, *seen = kappa + K;
    float *c_after = after + N * H, *kappa_after = c_after + N * H, *seen_after = kappa_after + K;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t n = 0; n < N; n++) {
            const Layer *layer = net->layer + n;
            float input[layer->matrix.columns], *end = input;
            memset(input, 0, sizeof input);
            memcpy(end, x, layer->inputs * sizeof *x), end += layer->inputs;
            memcpy(end, n ? seen_after : seen, C * sizeof *x), end += C;
            if (n)
                memcpy(end, after + (n - 1) * H, H * sizeof *x), end += H;
            memcpy(end, before + n * H, H * sizeof *x);
#pragma omp for schedule(static)
            for (int64_t first = 0; first < H; first += UNITS)
                units(layer, H, first, symbol, input, c + n * H, after + n * H, c_after + n * H);
            if (n == 0 && K) {
#pragma omp single
                if (text)
                    window(net, after, text, U, kappa, kappa_after, seen_after, phi);
                else /* it stays where it is */
                    memcpy(kappa_after, kappa, (K + C) * sizeof *kappa);
            }
        }
        float input[net->output.columns];
        memset(input, 0, sizeof input);
        memcpy(input, after + net->first_output * H, (N - net->first_output) * H * sizeof *input);
#pragma omp for schedule(static)
        for (int64_t from = 0; from < net->outputs; from += 4)
            some_rows(&net->output, from, net->outputs, input, y);
    }
}

/* The point that random numbers stand for, as StrokeDistribution.biased(bias).point does, for M components. */
static void draw(const float *y, int64_t M, float bias, const float *race, const float *z, float u, float *point)
{
    const float *pi = y + 1, *mu = pi + M, *sigma = mu + 2 * M, *rho = sigma + 2 * M;
    float largest = pi[0], best = -INFINITY;
    int64_t j = 0;
    for (int64_t m = 1; m < M; m++)
        largest = pi[m] > largest ? pi[m] : largest;
    for (int64_t m = 0; m < M; m++) {
        float score = (pi[m] - largest) * (1 + bias) - logf(race[m]);
        if (score > best)
            best = score, j = m;
    }
    point[0] = mu[j] + expf(sigma[j] - bias) * z[0];
    point[1] = mu[M + j] + expf(sigma[M + j] - bias) * (tanhf(rho[j]) * z[0] + z[1] / coshf(rho[j]));
    point[2] = u < 1 / (1 + expf(y[0]));
}

/* A step and the drawing of the next point. The bias goes from one end of the text to the other, after the first
   `read` characters. `drawn` gets the point, whether the text is written (φ(t, U+1) > φ(t, u) for all
   u ≤ U), and where the window looks, counted from there. */
void write_point(const Network *net, int64_t threads, const float *x, const float *before, float *after,
                const int64_t *text, int64_t U, int64_t read, float *phi, float *y, int64_t M, float from, float to,
                const float *race, const float *z, const float *u, float *drawn)
{
    int64_t at = 0;
    network_step(net, threads, x, -1, before, after, text, U, phi, y);
    for (int64_t v = 1; v < U; v++)
        at = phi[v] > phi[at] ? v : at;
    draw(y, M, at > read ? from + (to - from) * (at - read) / (U - read) : from, race, z, *u, drawn);
    drawn[3] = U && phi[U] > phi[at];
    drawn[4] = at - read;
}
