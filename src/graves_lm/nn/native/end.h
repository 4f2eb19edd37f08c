/* Where a line that is being drawn ends: sampling/end_of_line.py, which says why. */
#pragma once
#include <stdint.h>

typedef struct {
    float points_per_character, least_cap, longest_dwell, dot, half_left, gap;
} EndSettings;

enum { NOT_YET, WITH_IT, BEFORE_IT };

/* What the rule knows of a line, whole numbers but for two; `end_of_line.Known` says what they are. */
typedef struct {
    float cap, points, held, stroke, lifted, dwell, at, reached, after, largest, begin, ended;
} End;

static End end_of(const EndSettings *settings, int64_t characters, int primed)
{
    double more = (double)settings->points_per_character * characters;
    int64_t whole = (int64_t)more;
    return (End){
        .cap = settings->least_cap + whole + (whole < more), .held = -1, .begin = primed ? -1 : 0, .ended = NOT_YET};
}

static int end_goes_on(End *end, const EndSettings *settings, float forth)
{
    if (!end->reached || !end->lifted || forth < 0)
        return 1;
    if (end->held < 0 && end->stroke <= settings->dot && forth > settings->gap &&
        end->after > settings->half_left * end->largest)
        end->held = end->points;
    return end->held < 0;
}

/* What the next point means for its line, when the window looks at character `at` with φ of U characters and one past
   them, and the text is `past` its end. */
static int end_add(End *end, const EndSettings *settings, const float point[3], const float *phi, int64_t U, int past,
                   float at)
{
    if (past && end->held < 0)
        end->held = end->points;
    end->dwell = at == end->at ? end->dwell + 1 : 1;
    end->at = at;
    if (!end_goes_on(end, settings, point[0]))
        return end->ended = BEFORE_IT;
    end->points++;
    end->stroke = end->lifted ? 1 : end->stroke + 1;
    end->lifted = point[2] > 0.5f;
    end->after = phi[U], end->largest = phi[0];
    for (int64_t u = 1; u < U; u++)
        end->largest = phi[u] > end->largest ? phi[u] : end->largest;
    end->reached = end->reached || past || at >= 0;
    int over = (end->held >= 0 ? end->points - end->held > settings->points_per_character
                               : end->dwell > settings->longest_dwell) ||
               end->points == end->cap;
    /* Strokes that end before the window has reached the text are the prime's. */
    if (end->begin < 0 && (end->reached || over))
        end->begin = end->points - (!end->reached && end->lifted ? 1 : end->stroke);
    return end->ended = over ? WITH_IT : NOT_YET;
}
