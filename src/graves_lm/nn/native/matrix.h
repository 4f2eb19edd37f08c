/* Weights as they are read. */
#pragma once
#include <stdint.h>

enum { FLOAT32, BFLOAT16, INT8 };

typedef struct {
    const void *weight; /* rows of `columns` numbers, zeros after the last input */
    const float *scale; /* of the rows, int8 only */
    const float *bias;
    int64_t columns, type;
} Matrix;
