/* nn/native/team.h without threads. */
#include "team.h"

void team_run(const Job *job)
{
    float result[MOST_RESULTS];
    for (int64_t part = 0; part < job->parts; part++) {
        job->compute(job->work, part, result);
        job->keep(job->work, part, result);
    }
}

void team_leave(void) {}
