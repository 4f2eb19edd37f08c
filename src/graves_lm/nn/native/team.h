/* Threads that share work of a few microseconds, and of which none is waited for: the caller of a job does each
   part that nobody has begun, and again each that another thread has begun and, since other processes have its
   processor, does not end. So a busy machine takes no more than its share from a job. Two threads may compute a
   part, which therefore goes to memory of their own; one of them keeps it. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

enum { MOST_RESULTS = 1024 }; /* numbers of one part */

typedef struct {
    int64_t parts;
    _Atomic uint64_t *progress; /* of each part; zeros before the first job */
    void (*compute)(const void *work, int64_t part, float *result);
    void (*keep)(const void *work, int64_t part, const float *result);
    const void *work;
    int64_t threads;
} Job;

/* All parts, by at most `threads` threads. A late thread may still read what `compute` reads after this has
   returned, though what it makes of it is lost; so that may be written, but not freed before `team_leave`. */
void team_run(const Job *job);

/* Wait until no thread is at work on any job that is over. */
void team_leave(void);
