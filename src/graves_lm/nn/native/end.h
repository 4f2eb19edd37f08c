/* Where a line that is being drawn ends: sampling/end_of_line.py, which says why. */
#pragma once
#include <stdint.h>

typedef struct {
    float points_per_character, least_cap, longest_dwell, dot, half_left, gap;
} EndSettings;

enum { NOT_YET, WITH_IT, BEFORE_IT };

typedef struct {
    EndSettings settings;
    int64_t cap, points, held, stroke, dwell, at; /* held: the point at which its text was done; −1: not yet */
    int reached, lifted;
    float after, largest; /* φ one past the text at the last point, and the largest other */
} End;

static End end_of(EndSettings settings, int64_t characters)
{
    double more = (double)settings.points_per_character * characters;
    int64_t whole = (int64_t)more;
    return (End){.settings = settings, .cap = (int64_t)settings.least_cap + whole + (whole < more), .held = -1};
}

static int end_goes_on(End *end, float forth)
{
    if (!end->reached || !end->lifted || forth < 0)
        return 1;
    if (end->held < 0 && end->stroke <= end->settings.dot && forth > end->settings.gap &&
        end->after > end->settings.half_left * end->largest)
        end->held = end->points;
    return end->held < 0;
}

/* What the next point means for its line, when the window looks at character `at` with φ of U characters and one past
   them, and the text is `past` its end. */
static int end_add(End *end, const float point[3], const float *phi, int64_t U, int past, int64_t at)
{
    if (past && end->held < 0)
        end->held = end->points;
    end->dwell = at == end->at ? end->dwell + 1 : 1;
    end->at = at;
    if (!end_goes_on(end, point[0]))
        return BEFORE_IT;
    end->points++;
    end->stroke = end->lifted ? 1 : end->stroke + 1;
    end->lifted = point[2] > 0.5f;
    end->after = phi[U], end->largest = phi[0];
    for (int64_t u = 1; u < U; u++)
        end->largest = phi[u] > end->largest ? phi[u] : end->largest;
    end->reached = end->reached || past || at >= 0;
    int long_enough = end->held >= 0 ? end->points - end->held > end->settings.points_per_character
                                     : end->dwell > end->settings.longest_dwell;
    return long_enough || end->points == end->cap ? WITH_IT : NOT_YET;
}
