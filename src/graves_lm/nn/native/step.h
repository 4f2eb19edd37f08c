/* A network as drawing reads it, and a step of it: see step.c. */
#pragma once
#include "matrix.h"

typedef struct {
    Matrix matrix;         /* 4H rows: i, f, g, o; those of g are doubled, see `units` */
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

typedef struct Room Room;

void room_make(const Network *net, int64_t lines, Room **made);
void room_free(Room *room);
void network_step(const Network *net, Room *room, int64_t threads, int64_t lines, const float *x, const int64_t *symbol,
                  const float *before, float *after, const int64_t *text, const int64_t *length, int64_t U, float *phi,
                  float *y);
void write_point(const Network *net, Room *room, int64_t threads, int64_t lines, const float *x, const float *before,
                 float *after, const int64_t *text, const int64_t *length, int64_t U, int64_t read, float *phi, float *y,
                 int64_t M, float from, float to, const float *share, const float *race, const float *z, const float *u,
                 float (*drawn)[5]);
