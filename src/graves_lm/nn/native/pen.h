/* A pen that draws a line, point after point: what sampling/synthesis.py does for one line, for programs without
   Python. */
#pragma once
#include "lines.h"

typedef struct Pen Pen;

/* A pen for the text, `length` symbols after the first `read`, which belong to the prime of `primed` points (n, 3); it
   has read none of them yet. `key` is that of the line's random numbers. */
void pen_make(const Network *net, const int64_t *text, int64_t length, int64_t read, const float *prime, int64_t primed,
              const uint64_t key[2], const PenSettings *settings, Pen **made);
void pen_free(Pen *pen);

/* Reads at most `most` points of the prime, and gives how many are left. */
void pen_prime(Pen *pen, int64_t most, int64_t *left);

/* What is read of a prime does not depend on the text after it until the window comes near that. `state`, of
   `pen_state_size` numbers, is that of the pen after the first `points` of its prime, before the window sees the text;
   a pen with the same prime and another text may go on from there. */
int64_t pen_state_size(const Network *net);
void pen_kept(const Pen *pen, const float **state, int64_t *points);
void pen_resume(Pen *pen, const float *state, int64_t points);

/* Draws the next point. `ending`: NOT_YET, WITH_IT or BEFORE_IT, after which there is no next one; `count`: points
   that the line has, and `begin`: the first that is the text's, −1 until that is known. */
void pen_point(Pen *pen, int64_t *ending, int64_t *begin, int64_t *count);

/* The points so far, (count, 3); φ at the last one, (U + 1), and ŷ, whose density it was drawn from. */
void pen_look(const Pen *pen, const float **points, const float **phi, const float **y);
