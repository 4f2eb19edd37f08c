/* See lines.h. */
#include "lines.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The share of the point that each character has of the window. */
static void cover(float *coverage, const float *phi, int64_t places)
{
    float sum = 0;
    for (int64_t v = 0; v < places; v++)
        sum += phi[v] > 0 ? phi[v] : 0;
    for (int64_t v = 0; v < places; v++)
        coverage[v] += (phi[v] > 0 ? phi[v] : 0) / (sum > 1e-12f ? sum : 1e-12f);
}

/* The next points of each line, at most `points`; fewer, when all lines have ended. `x` are the points before, then
   the last ones, and `states`, (2, lines, …), begin with those before; those after `points` points are then the
   (points % 2)th. Of `text`, (lines, U), each line has its own `length`, and `read` characters are those of a prime.
   `end` and `coverage`, (lines, U + 1), go on until a line ends; `phi`, of that size too, is that of the last point.
   `y` is (points, lines, outputs), `drawn` (points, lines), and random numbers likewise. */
void next_points(const Network *net, Room *room, int64_t threads, int64_t lines, int64_t points,
                 const PenSettings *settings, float (*x)[3], float *states, const int64_t *text,
                 const int64_t *length, int64_t U, int64_t read, End *end, float *coverage, float *phi, float *y,
                 int64_t M, const float *race, const float *z, const float *u, float (*drawn)[3])
{
    int64_t all = lines * (2 * net->layers * net->hidden + net->components + net->symbols), open = lines;
    float *share = malloc(lines * sizeof *share), (*found)[5] = malloc(lines * sizeof *found);
    for (int64_t p = 0; p < points && open; p++) {
        for (int64_t l = 0; l < lines; l++) {
            float way = hypotf(x[l][0] - settings->still[0], x[l][1] - settings->still[1]);
            share[l] = way < settings->whole ? way / settings->whole : 1;
        }
        write_point(net, room, threads, lines, *x, states + (p % 2 ? all : 0), states + (p % 2 ? 0 : all), text, length,
                    U, read, phi, y, M, settings->bias[0], settings->bias[1], share, race, z, u, found);
        open = 0;
        for (int64_t l = 0; l < lines; l++) {
            memcpy(x[l], found[l], sizeof x[l]);
            memcpy(drawn[l], found[l], sizeof x[l]);
            const float *seen = phi + l * (U + 1);
            if (end[l].ended == NOT_YET &&
                end_add(end + l, &settings->end, x[l], seen, length[l], found[l][3] > 0, found[l][4]) != BEFORE_IT &&
                coverage)
                cover(coverage + l * (U + 1), seen, length[l] + 1);
            open += end[l].ended == NOT_YET;
        }
        y += lines * net->outputs, race += lines * M, z += 2 * lines, u += lines, drawn += lines;
    }
    free(share), free(found);
}
