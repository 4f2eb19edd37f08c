/* Drawing some lines side by side, several points at a time. */
#pragma once
#include "end.h"
#include "step.h"

/* How to draw. The bias goes from one number to the other along the text; a pen that moves by less than `whole` has
   less of it. `still` is the offset of a pen that rests. */
typedef struct {
    float bias[2], whole, still[2];
    EndSettings end;
} PenSettings;

void next_points(const Network *net, Room *room, int64_t threads, int64_t lines, int64_t points,
                 const PenSettings *settings, float (*x)[3], float *states, const int64_t *text,
                 const int64_t *length, int64_t U, int64_t read, End *end, float *coverage, float *phi, float *y,
                 int64_t M, const float *race, const float *z, const float *u, float (*drawn)[3]);
