/* See pen.h. */
#include "pen.h"
#include "noise.h"
#include <stdlib.h>

struct Pen {
    const Network *net;
    Room *room;
    PenSettings settings;
    End end;
    int64_t *text, U, read, M, primed, primed_read, kept;
    uint64_t key[2];
    float *prime, *states, *phi, *y, *race, x[1][3];
    float (*points)[3];
    int64_t room_for, drawn;
};

enum { STATES = 3 }; /* before and after a step, and the one that is kept */
static const float FAR_OFF = 1e-6f; /* the sum of φ on what the window does not see yet */

int64_t pen_state_size(const Network *net)
{
    return 2 * net->layers * net->hidden + net->components + net->symbols;
}

static void *copy(const void *of, int64_t size) { return memcpy(malloc(size ? size : 1), of ? of : "", of ? size : 0); }

void pen_make(const Network *net, const int64_t *text, int64_t length, int64_t read, const float *prime, int64_t primed,
              const uint64_t key[2], const PenSettings *settings, Pen **made)
{
    Pen *pen = calloc(1, sizeof *pen);
    pen->net = net, pen->settings = *settings;
    pen->U = read + length, pen->read = read, pen->M = (net->outputs - 1) / 6;
    pen->text = copy(text, pen->U * sizeof *text);
    pen->prime = copy(prime, 3 * primed * sizeof *prime), pen->primed = primed;
    memcpy(pen->key, key, sizeof pen->key);
    pen->end = end_of(&settings->end, length, read > 0);
    pen->states = calloc(STATES * pen_state_size(net), sizeof *pen->states);
    pen->phi = calloc(pen->U + 1, sizeof *pen->phi);
    pen->y = calloc(net->outputs, sizeof *pen->y);
    pen->race = calloc(pen->M, sizeof *pen->race);
    room_make(net, 1, &pen->room);
    *made = pen;
}

void pen_free(Pen *pen)
{
    room_free(pen->room);
    free(pen->text), free(pen->prime), free(pen->states), free(pen->phi), free(pen->y), free(pen->race);
    free(pen->points), free(pen);
}

/* The state before the next step is the one after the last. */
static void swap(Pen *pen)
{
    int64_t S = pen_state_size(pen->net);
    memcpy(pen->states, pen->states + S, S * sizeof *pen->states);
}

void pen_prime(Pen *pen, int64_t most, int64_t *left)
{
    int64_t S = pen_state_size(pen->net);
    /* The last one is read with the first step of the line. */
    for (; most && pen->primed_read + 1 < pen->primed; most--, pen->primed_read++) {
        network_step(pen->net, pen->room, 1, 1, pen->prime + 3 * pen->primed_read, NULL, pen->states,
                     pen->states + S, pen->text, &pen->U, pen->U, pen->phi, pen->y);
        swap(pen);
        float seen = 0;
        for (int64_t v = pen->read; v <= pen->U; v++)
            seen += pen->phi[v];
        if (seen < FAR_OFF && pen->kept == pen->primed_read) {
            memcpy(pen->states + 2 * S, pen->states, S * sizeof *pen->states);
            pen->kept = pen->primed_read + 1;
        }
    }
    *left = pen->primed ? pen->primed - 1 - pen->primed_read : 0;
    if (pen->primed && !*left)
        memcpy(pen->x, pen->prime + 3 * (pen->primed - 1), sizeof pen->x);
}

void pen_kept(const Pen *pen, const float **state, int64_t *points)
{
    *state = pen->states + 2 * pen_state_size(pen->net), *points = pen->kept;
}

void pen_resume(Pen *pen, const float *state, int64_t points)
{
    int64_t S = pen_state_size(pen->net);
    memcpy(pen->states, state, S * sizeof *state);
    memcpy(pen->states + 2 * S, state, S * sizeof *state);
    pen->primed_read = pen->kept = points;
}

void pen_point(Pen *pen, int64_t *ending, int64_t *begin, int64_t *count)
{
    float z[2], u, drawn[1][3];
    point_noise(pen->key, pen->drawn++, pen->M, pen->race, z, &u);
    next_points(pen->net, pen->room, 1, 1, 1, &pen->settings, pen->x, pen->states, pen->text, &pen->U, pen->U,
                pen->read, &pen->end, NULL, pen->phi, pen->y, pen->M, pen->race, z, &u, drawn);
    swap(pen);
    int64_t points = pen->end.points;
    if (points > pen->room_for) {
        pen->room_for = 2 * points + 256;
        pen->points = realloc(pen->points, pen->room_for * sizeof *pen->points);
    }
    if (pen->end.ended != BEFORE_IT)
        memcpy(pen->points[points - 1], drawn[0], sizeof drawn[0]);
    *ending = pen->end.ended, *begin = pen->end.begin, *count = points;
}

void pen_look(const Pen *pen, const float **points, const float **phi, const float **y)
{
    *points = (const float *)pen->points, *phi = pen->phi, *y = pen->y;
}
