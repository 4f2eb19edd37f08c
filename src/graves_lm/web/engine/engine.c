/* The pen as WebAssembly: one network, one line at a time. All whole numbers are 32 bits, as JavaScript's are. */
#include "pen.h"
#include <stdlib.h>

#define EXPORT(NAME) __attribute__((export_name(#NAME))) NAME

static Network net;
static Layer *layers;
static PenSettings settings;
static Pen *pen;
static int64_t begin, count;

/* web/weights.py writes it: after a head of whole numbers, each array from a multiple of 64 bytes on. */
typedef struct {
    int32_t magic, layers, hidden, outputs, first_output, symbols, components;
    float largest_exponent;
    int32_t type;
} Head;

enum { MAGIC = 0x314d4c47 }; /* GLM1 */

static const uint8_t *at;

static const void *array(int64_t bytes)
{
    const uint8_t *here = at;
    at += (bytes + 63) / 64 * 64;
    return here;
}

static Matrix matrix(int64_t rows, int64_t inputs, int64_t type)
{
    int64_t columns = (inputs + 63) / 64 * 64, bytes = type == FLOAT32 ? 4 : type == BFLOAT16 ? 2 : 1;
    Matrix of = {.columns = columns, .type = type};
    of.weight = array(rows * columns * bytes);
    of.scale = type == INT8 ? array(rows * sizeof(float)) : NULL;
    of.bias = array(rows * sizeof(float));
    return of;
}

/* Room for `size` bytes, from a multiple of 64 on. */
void *EXPORT(engine_room)(int32_t size) { return aligned_alloc(64, (size + 63) / 64 * 64); }
void EXPORT(engine_free)(void *room) { free(room); }

/* Takes a network, which stays where it is. 0: it is one. */
int32_t EXPORT(engine_load)(const uint8_t *file)
{
    const Head *head = (const void *)file;
    if (head->magic != MAGIC)
        return 1;
    at = file + 64;
    int64_t N = head->layers, H = head->hidden;
    net = (Network){N, H, head->outputs, head->first_output, head->symbols, head->components, head->largest_exponent};
    net.layer = layers = realloc(layers, N * sizeof *layers);
    for (int64_t n = 0; n < N; n++) {
        layers[n].matrix = matrix(4 * H, 3 + net.symbols + (n ? H : 0) + H, head->type);
        layers[n].peephole = array(3 * H * sizeof(float));
        layers[n].one_hot = NULL, layers[n].inputs = 3;
    }
    net.window = matrix(3 * net.components, H, FLOAT32);
    net.output = matrix(net.outputs, (N - net.first_output) * H, head->type);
    return 0;
}

/* Where the settings of the lines to come are: see pen.h. */
PenSettings *EXPORT(engine_settings)(void) { return &settings; }

/* A line of `length` symbols after `read` of the prime's, which has `primed` points (n, 3). The seed is its 64 bits. */
void EXPORT(engine_begin)(const int32_t *text, int32_t length, int32_t read, const float *prime, int32_t primed,
                          uint32_t low, uint32_t high, uint32_t line, uint32_t candidate)
{
    int64_t symbols[read + length + 1];
    for (int32_t u = 0; u < read + length; u++)
        symbols[u] = text[u];
    uint64_t key[2] = {(uint64_t)high << 32 | low, (uint64_t)line << 32 | candidate};
    if (pen)
        pen_free(pen);
    pen_make(&net, symbols, length, read, prime, primed, key, &settings, &pen);
    begin = -1, count = 0;
}

/* See `pen_kept` and `pen_resume`, which comes before `engine_prime`: a prime that was read before is hardly read
   again. */
int32_t EXPORT(engine_state_size)(void) { return pen_state_size(&net); }
const float *EXPORT(engine_kept)(void)
{
    const float *state;
    int64_t points;
    pen_kept(pen, &state, &points);
    return state;
}
int32_t EXPORT(engine_kept_points)(void)
{
    const float *state;
    int64_t points;
    pen_kept(pen, &state, &points);
    return points;
}
void EXPORT(engine_resume)(const float *state, int32_t points) { pen_resume(pen, state, points); }

/* At most `most` points of the prime are read; how many are left. To be called till none is, if there is a prime. */
int32_t EXPORT(engine_prime)(int32_t most)
{
    int64_t left;
    pen_prime(pen, most, &left);
    return left;
}

/* The next point: 0, 1: it was the last, 2: it is none of the line's, which is done. */
int32_t EXPORT(engine_point)(void)
{
    int64_t ending;
    pen_point(pen, &ending, &begin, &count);
    return ending;
}

int32_t EXPORT(engine_first)(void) { return begin; } /* point of the text; −1: not known yet */
int32_t EXPORT(engine_count)(void) { return count; }

/* 0: the points, (count, 3); 1: φ at the last one, of the prime's symbols, the text's and one past them; 2: ŷ, whose
   density it was drawn from. */
const float *EXPORT(engine_look)(int32_t what)
{
    const float *of[3];
    pen_look(pen, of, of + 1, of + 2);
    return of[what];
}
