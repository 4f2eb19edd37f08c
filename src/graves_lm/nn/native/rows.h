/* W x + b for four rows of weights and up to LINES x at once; weights of float32, bfloat16 or int8 (one scale a
   row). The sums of a line are the same, to the last bit, whichever others are computed with it. */
#pragma once
#include "functions.h"
#include "matrix.h"
#include <stddef.h>

enum { LINES = 4 }; /* 4 × LINES sums: half of the registers */

/* Sixteen numbers at once. */
typedef float Floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(32), aligned(2), may_alias));
typedef float Eight __attribute__((vector_size(32)));
typedef float Four __attribute__((vector_size(16)));

typedef struct {
    Floats of[4];
} FourFloats;

/* Σ w x of some numbers: sixteen, of int8 64. */
INLINE Floats dot_float32(const float *w, Floats x) { return *(const Floats *)w * x; }
INLINE Floats dot_bfloat16(const uint16_t *w, Floats x)
{
    return (Floats)(__builtin_convertvector(*(const Halves *)w, Ints) << 16) * x;
}
INLINE Floats dot_int8(const int8_t *w, FourFloats x)
{
    Ints four = *(const Ints *)w; /* int n has the weights of x[n], x[16 + n], x[32 + n], x[48 + n] */
    return __builtin_convertvector(four << 24 >> 24, Floats) * x.of[0] +
           __builtin_convertvector(four << 16 >> 24, Floats) * x.of[1] +
           __builtin_convertvector(four << 8 >> 24, Floats) * x.of[2] +
           __builtin_convertvector(four >> 24, Floats) * x.of[3];
}

/* Σ of sixteen, in pairs: one after another each would wait for the last. */
INLINE float sum(Floats v)
{
    Eight half[2], eight;
    Four fourth[2], four;
    memcpy(half, &v, sizeof half), eight = half[0] + half[1];
    memcpy(fourth, &eight, sizeof fourth), four = fourth[0] + fourth[1];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

#define ROWS(KIND, TYPE, INPUT, COUNT)                                                                            \
    static void rows_##KIND##_##COUNT(const Matrix *m, const int64_t row[4], const float *x, float (*out)[4])     \
    {                                                                                                             \
        const TYPE *w[4];                                                                                         \
        Floats s[COUNT][4] = {{{0}}};                                                                             \
        for (int n = 0; n < 4; n++)                                                                               \
            w[n] = (const TYPE *)m->weight + row[n] * m->columns;                                                 \
        for (int64_t k = 0; k < m->columns; k += sizeof(INPUT) / sizeof(float)) {                                 \
            INPUT some[COUNT]; /* read once for four rows */                                                      \
            for (int l = 0; l < COUNT; l++)                                                                       \
                memcpy(some + l, x + l * m->columns + k, sizeof *some);                                           \
            for (int n = 0; n < 4; n++)                                                                           \
                for (int l = 0; l < COUNT; l++)                                                                   \
                    s[l][n] += dot_##KIND(w[n] + k, some[l]);                                                     \
        }                                                                                                         \
        for (int l = 0; l < COUNT; l++)                                                                           \
            for (int n = 0; n < 4; n++)                                                                           \
                out[l][n] = sum(s[l][n]);                                                                         \
    }
#define ROWS_OF(KIND, TYPE, INPUT)                                                                                \
    ROWS(KIND, TYPE, INPUT, 1)                                                                                    \
    ROWS(KIND, TYPE, INPUT, 2)                                                                                    \
    ROWS(KIND, TYPE, INPUT, 3)                                                                                    \
    ROWS(KIND, TYPE, INPUT, 4)

ROWS_OF(float32, float, Floats)
ROWS_OF(bfloat16, uint16_t, Floats)
ROWS_OF(int8, int8_t, FourFloats)

typedef void Rows(const Matrix *, const int64_t[4], const float *, float (*)[4]);
#define ALL(KIND) {rows_##KIND##_1, rows_##KIND##_2, rows_##KIND##_3, rows_##KIND##_4}
static Rows *const rows_of[][LINES] = {ALL(float32), ALL(bfloat16), ALL(int8)};

/* `x` holds `lines` lines of m->columns numbers, of which the last are zeros. */
static void rows(const Matrix *m, const int64_t row[4], int64_t lines, const float *x, float (*out)[4])
{
    rows_of[m->type][lines - 1](m, row, x, out);
    for (int64_t l = 0; l < lines; l++)
        for (int n = 0; n < 4; n++)
            out[l][n] = out[l][n] * (m->scale ? m->scale[row[n]] : 1) + m->bias[row[n]];
}
