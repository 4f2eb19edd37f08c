/* One step of a network for some lines or texts: all layers, the window and the output in one call, so that what it
   takes is little more than reading the weights. As sampling/packed.py does in torch, for weights of float32,
   bfloat16 or int8; sums and state are float32. Each thread takes some of the rows, and a line is the same, to the
   last bit, whichever lines and however many threads there are. */
#pragma GCC optimize("fp-contract=fast") /* a product and a sum in one instruction */
#include "rows.h"
#include "step.h"
#include "team.h"
#include <math.h>
#include <stdlib.h>

enum { UNITS = 8 }; /* whose gates are computed together */
enum { MOST_LINES = MOST_RESULTS / (2 * UNITS) }; /* of one job */

/* The work of a layer, or of the output: what is read is here, where it stays (see team.h). */
typedef struct {
    const Network *net;
    const Layer *layer; /* NULL: the output */
    int64_t lines;
    float *input;    /* (lines, columns), zeros after the last input */
    float *c;        /* (lines, H), before */
    int64_t *symbol; /* (lines), −1: none */
    float *h_after, *c_after, *y;
    int64_t apart; /* numbers from line to line of h_after and c_after */
} Phase;

/* Room for `lines` lines at a time. */
struct Room {
    int64_t lines;
    _Atomic uint64_t *progress;
    Phase phase[];
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* (7)–(11) for the units from `first` on, at most UNITS, of at most LINES lines; h and c of each go to `after`. */
static void units(const Layer *layer, int64_t H, int64_t first, int64_t lines, const int64_t *symbol, const float *x,
                  const float *c, float (*after)[2][UNITS])
{
    float all[LINES][4][UNITS] = {{{0}}}, total[LINES][4];
    int64_t count = least(H - first, UNITS);
    for (int64_t j = 0; j < count; j++) {
        int64_t row[4] = {first + j, H + first + j, 2 * H + first + j, 3 * H + first + j};
        rows(&layer->matrix, row, lines, x, total);
        for (int64_t l = 0; l < lines; l++)
            for (int n = 0; n < 4; n++)
                all[l][n][j] = total[l][n] +
                               (layer->one_hot && symbol[l] >= 0 ? layer->one_hot[4 * H * symbol[l] + row[n]] : 0);
    }
    const float *p = layer->peephole + first;
    for (int64_t l = 0; l < lines; l++) {
        float(*a)[UNITS] = all[l], *h_after = after[l][0], *c_after = after[l][1];
        const float *c_before = c + l * H + first;
#pragma omp simd
        for (int64_t j = 0; j < count; j++) {
            float before = c_before[j];
            float i = sigmoid(a[0][j] + p[j] * before), f = sigmoid(a[1][j] + p[H + j] * before);
            float now = f * before + i * (2 * sigmoid(a[2][j]) - 1);
            c_after[j] = now;
            h_after[j] = sigmoid(a[3][j] + p[2 * H + j] * now) * hyperbolic_tangent(now);
        }
    }
}

/* UNITS units of all lines: (lines, 2, UNITS). */
static void compute_units(const void *work, int64_t part, float *result)
{
    const Phase *of = work;
    float(*after)[2][UNITS] = (void *)result;
    int64_t H = of->net->hidden, columns = of->layer->matrix.columns, lines = of->lines;
    for (int64_t l = 0; l < lines; l += LINES)
        units(of->layer, H, part * UNITS, least(lines - l, LINES), of->symbol + l, of->input + l * columns,
              of->c + l * H, after + l);
}

static void keep_units(const void *work, int64_t part, const float *result)
{
    const Phase *of = work;
    int64_t H = of->net->hidden, first = part * UNITS, size = least(H - first, UNITS) * sizeof *result;
    for (int64_t l = 0; l < of->lines; l++) {
        memcpy(of->h_after + l * of->apart + first, result + l * 2 * UNITS, size);
        memcpy(of->c_after + l * of->apart + first, result + l * 2 * UNITS + UNITS, size);
    }
}

/* Rows `first` to `first` + 3 of W x + b, those that there are, of at most LINES lines. */
static void some_rows(const Matrix *m, int64_t first, int64_t count, int64_t lines, const float *x, float (*out)[4])
{
    int64_t row[4];
    for (int n = 0; n < 4; n++)
        row[n] = least(first + n, count - 1);
    rows(m, row, lines, x, out);
}

/* Four outputs of all lines: (lines, 4). */
static void compute_outputs(const void *work, int64_t part, float *result)
{
    const Phase *of = work;
    const Matrix *m = &of->net->output;
    for (int64_t l = 0; l < of->lines; l += LINES)
        some_rows(m, 4 * part, of->net->outputs, least(of->lines - l, LINES), of->input + l * m->columns,
                  (void *)(result + 4 * l));
}

static void keep_outputs(const void *work, int64_t part, const float *result)
{
    const Phase *of = work;
    int64_t all = of->net->outputs;
    for (int64_t l = 0; l < of->lines; l++)
        memcpy(of->y + l * all + 4 * part, result + 4 * l, least(all - 4 * part, 4) * sizeof *result);
}

/* (46)–(51). phi gets the weights at u = 1 … U+1, w the sum over the text. */
static void window(const Network *net, const float *h, const int64_t *text, int64_t U, const float *kappa_before,
                   float *kappa, float *w, float *phi)
{
    int64_t K = net->components, P = 3 * K;
    float p[P + 3], x[net->window.columns];
    memset(x, 0, sizeof x);
    memcpy(x, h, net->hidden * sizeof *h);
    for (int64_t first = 0; first < P; first += 4)
        some_rows(&net->window, first, P, 1, x, (void *)(p + first));
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

/* From the beginning of a line of the cache, so that no vector is read from two. */
static void *zeros(int64_t size)
{
    size = (size + 63) / 64 * 64;
    return memset(aligned_alloc(64, size), 0, size);
}

/* Room for `lines` lines at a time, at most MOST_LINES, of a network that stays where it is until `room_free`. */
void room_make(const Network *net, int64_t lines, Room **made)
{
    int64_t N = net->layers, H = net->hidden;
    Room *room = zeros(sizeof *room + (N + 1) * sizeof *room->phase);
    room->lines = least(lines, MOST_LINES);
    room->progress = zeros((H + net->outputs) * sizeof *room->progress);
    for (int64_t n = 0; n <= N; n++) {
        const Layer *layer = n < N ? net->layer + n : NULL;
        int64_t columns = layer ? layer->matrix.columns : net->output.columns;
        room->phase[n] = (Phase){
            .net = net,
            .layer = layer,
            .input = zeros(room->lines * columns * sizeof(float)),
            .c = layer ? zeros(room->lines * H * sizeof(float)) : NULL,
            .symbol = layer ? zeros(room->lines * sizeof(int64_t)) : NULL,
        };
    }
    *made = room;
}

void room_free(Room *room)
{
    team_leave();
    for (int64_t n = 0; n <= room->phase->net->layers; n++) {
        free(room->phase[n].input);
        free(room->phase[n].c);
        free(room->phase[n].symbol);
    }
    free(room->progress);
    free(room);
}

static void step(const Network *net, Room *room, int64_t threads, int64_t lines, const float *x, const int64_t *symbol,
                 const float *before, float *after, const int64_t *text, const int64_t *length, int64_t U, float *phi,
                 float *y)
{
    int64_t N = net->layers, H = net->hidden, K = net->components, C = net->symbols, S = 2 * N * H + K + C;
    for (int64_t n = 0; n <= N; n++) {
        Phase *of = room->phase + n;
        int64_t columns = of->layer ? of->layer->matrix.columns : net->output.columns;
        for (int64_t l = 0; l < lines; l++) {
            const float *h = before + l * S, *h_after = after + l * S;
            float *end = of->input + l * columns;
            if (!of->layer) {
                memcpy(end, h_after + net->first_output * H, (N - net->first_output) * H * sizeof *x);
                continue;
            }
            if (of->layer->inputs)
                memcpy(end, x + 3 * l, 3 * sizeof *x), end += 3;
            memcpy(end, (n ? h_after : h) + 2 * N * H + K, C * sizeof *x), end += C;
            if (n)
                memcpy(end, h_after + (n - 1) * H, H * sizeof *x), end += H;
            memcpy(end, h + n * H, H * sizeof *x);
            memcpy(of->c + l * H, h + (N + n) * H, H * sizeof *x);
            of->symbol[l] = symbol ? symbol[l] : -1;
        }
        of->lines = lines, of->apart = S, of->y = y;
        of->h_after = after + n * H, of->c_after = after + (N + n) * H;
        Job job = {
            .parts = of->layer ? (H + UNITS - 1) / UNITS : (net->outputs + 3) / 4,
            .progress = room->progress,
            .compute = of->layer ? compute_units : compute_outputs,
            .keep = of->layer ? keep_units : keep_outputs,
            .work = of,
            .threads = threads,
        };
        team_run(&job);
        for (int64_t l = 0; n == 0 && K && l < lines; l++) {
            const float *kappa = before + l * S + 2 * N * H;
            float *kappa_after = after + l * S + 2 * N * H;
            if (text)
                window(net, after + l * S, text + l * U, length[l], kappa, kappa_after, kappa_after + K,
                       phi + l * (U + 1));
            else /* it stays where it is */
                memcpy(kappa_after, kappa, (K + C) * sizeof *kappa);
        }
    }
}

/* From the pen's points x, (lines, 3), or symbols (NULL: none) and the states before them to ŷ and the states after
   them. A state is h of all layers, c of all layers, κ, w. Of `text`, (lines, U), each line has its own `length`;
   of `phi`, (lines, U + 1), what lies past the place after its end is left as it is. */
void network_step(const Network *net, Room *room, int64_t threads, int64_t lines, const float *x, const int64_t *symbol,
                  const float *before, float *after, const int64_t *text, const int64_t *length, int64_t U, float *phi,
                  float *y)
{
    int64_t S = 2 * net->layers * net->hidden + net->components + net->symbols;
    for (int64_t l = 0; l < lines; l += room->lines)
        step(net, room, threads, least(lines - l, room->lines), x + 3 * l, symbol ? symbol + l : NULL, before + l * S,
             after + l * S, text ? text + l * U : NULL, length ? length + l : NULL, U, phi + l * (U + 1),
             y + l * net->outputs);
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

/* A step and the drawing of the next points. The bias goes from one end of a text to the other, after the first
   `read` characters, and each line has its share of it. Of each line `drawn` gets the point, whether the text is
   written (φ(t, U+1) > φ(t, u) for all u ≤ U), and where the window looks, counted from there. */
void write_point(const Network *net, Room *room, int64_t threads, int64_t lines, const float *x, const float *before,
                 float *after, const int64_t *text, const int64_t *length, int64_t U, int64_t read, float *phi, float *y,
                 int64_t M, float from, float to, const float *share, const float *race, const float *z, const float *u,
                 float (*drawn)[5])
{
    network_step(net, room, threads, lines, x, NULL, before, after, text, length, U, phi, y);
    for (int64_t l = 0; l < lines; l++, phi += U + 1, y += net->outputs, race += M, z += 2, u++, drawn++) {
        int64_t at = 0, end = text ? length[l] : 0;
        for (int64_t v = 1; v < end; v++)
            at = phi[v] > phi[at] ? v : at;
        float bias = at > read ? from + (to - from) * (at - read) / (end - read) : from;
        draw(y, M, bias * *share++, race, z, *u, *drawn);
        (*drawn)[3] = end && phi[end] > phi[at];
        (*drawn)[4] = at - read;
    }
}
