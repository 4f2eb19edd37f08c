/* See team.h. Jobs are numbered. What is known of a part is four times its job's number, and how far it is: less
   than that, it waits to be begun. */
#define _POSIX_C_SOURCE 200809L
#include "team.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { BEGUN = 1, BEING_KEPT, DONE };
enum { MOST_WORKERS = 63 };
enum { PAUSES = 10000 }; /* of a thread without work before it sleeps: longer than from point to point */

typedef struct {
    _Atomic int busy;
    char apart[60]; /* no two on a line of the cache */
} Worker;

static struct {
    _Atomic uint64_t number; /* of the last job; odd while it is being written */
    Job job;
    _Atomic int sleeping;
    atomic_flag taken; /* by a caller */
    int workers;
    Worker worker[MOST_WORKERS];
    pthread_mutex_t mutex;
    pthread_cond_t work;
} team = {.taken = ATOMIC_FLAG_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static void pause_shortly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* A part, by whoever comes first: it may be done twice, but is kept once. */
static void do_part(const Job *job, uint64_t number, int64_t part)
{
    float result[MOST_RESULTS];
    uint64_t begun = 4 * number + BEGUN;
    job->compute(job->work, part, result);
    if (atomic_compare_exchange_strong(&job->progress[part], &begun, 4 * number + BEING_KEPT)) {
        job->keep(job->work, part, result);
        atomic_store_explicit(&job->progress[part], 4 * number + DONE, memory_order_release);
    }
}

static int begin_part(const Job *job, uint64_t number, int64_t part)
{
    uint64_t before = atomic_load_explicit(&job->progress[part], memory_order_relaxed);
    if (before >= 4 * number ||
        !atomic_compare_exchange_strong(&job->progress[part], &before, 4 * number + BEGUN))
        return 0;
    do_part(job, number, part);
    return 1;
}

/* All parts that nobody has begun: first thread `me`'s own, which are the same each time and may still be in its
   cache. How many they were. */
static int64_t do_parts(const Job *job, uint64_t number, int64_t me)
{
    int64_t done = 0, first = job->parts * me / job->threads, last = job->parts * (me + 1) / job->threads;
    for (int64_t part = first; part < last; part++)
        done += begin_part(job, number, part);
    for (int64_t part = job->parts; part--;)
        done += begin_part(job, number, part);
    return done;
}

static void publish(const Job *job)
{
    uint64_t number = atomic_load(&team.number);
    atomic_store(&team.number, number + 1);
    atomic_thread_fence(memory_order_seq_cst);
    team.job = *job;
    atomic_store(&team.number, number + 2);
}

/* The job of this number; 0: there is another by now. */
static int copied(Job *job, uint64_t number)
{
    memcpy(job, &team.job, sizeof *job);
    atomic_thread_fence(memory_order_seq_cst);
    return number % 2 == 0 && atomic_load(&team.number) == number;
}

static void await(uint64_t last)
{
    for (int n = 0; n < PAUSES; n++) {
        if (atomic_load_explicit(&team.number, memory_order_relaxed) != last)
            return;
        pause_shortly();
    }
    pthread_mutex_lock(&team.mutex);
    atomic_fetch_add(&team.sleeping, 1);
    while (atomic_load(&team.number) == last)
        pthread_cond_wait(&team.work, &team.mutex);
    atomic_fetch_sub(&team.sleeping, 1);
    pthread_mutex_unlock(&team.mutex);
}

static void *work(void *given)
{
    Worker *worker = given;
    int64_t me = worker - team.worker + 1;
    uint64_t last = 0;
    for (;;) {
        await(last);
        atomic_store(&worker->busy, 1); /* before the job is read: see team_leave */
        uint64_t number = atomic_load(&team.number);
        Job job;
        if (copied(&job, number)) {
            if (me < job.threads)
                do_parts(&job, number, me);
            last = number;
        }
        atomic_store(&worker->busy, 0);
        if (last != number) /* whoever writes it may not be running */
            sched_yield();
    }
    return NULL;
}

/* A child process has none of its parent's threads. */
static void forget(void)
{
    team.workers = 0;
    memset(team.worker, 0, sizeof team.worker);
    atomic_store(&team.sleeping, 0);
    atomic_store(&team.number, (atomic_load(&team.number) + 1) / 2 * 2);
    pthread_mutex_init(&team.mutex, NULL);
    pthread_cond_init(&team.work, NULL);
    atomic_flag_clear(&team.taken);
}

static void hire(int64_t threads)
{
    static int prepared;
    sigset_t all, before;
    pthread_t thread;
    if (!prepared)
        prepared = !pthread_atfork(NULL, NULL, forget);
    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (prepared && team.workers < threads - 1 && team.workers < MOST_WORKERS &&
           !pthread_create(&thread, NULL, work, &team.worker[team.workers])) {
        pthread_detach(thread);
        team.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Wait for a part as long as one takes, and do it then. */
static void see_done(const Job *job, uint64_t number, int64_t part, double patience)
{
    uint64_t done = 4 * number + DONE;
    if (atomic_load_explicit(&job->progress[part], memory_order_acquire) == done)
        return;
    for (double until = seconds() + patience; seconds() < until; pause_shortly())
        if (atomic_load_explicit(&job->progress[part], memory_order_acquire) == done)
            return;
    do_part(job, number, part);
    while (atomic_load_explicit(&job->progress[part], memory_order_acquire) != done)
        sched_yield(); /* it is being kept, which takes some nanoseconds */
}

void team_run(const Job *job)
{
    if (job->threads < 2 || job->parts < 2 || atomic_flag_test_and_set(&team.taken)) {
        float result[MOST_RESULTS];
        for (int64_t part = 0; part < job->parts; part++) {
            job->compute(job->work, part, result);
            job->keep(job->work, part, result);
        }
        return;
    }
    if (team.workers < job->threads - 1)
        hire(job->threads);
    publish(job);
    if (atomic_load(&team.sleeping))
        pthread_cond_broadcast(&team.work); /* who misses it sleeps on: nobody waits for him */
    uint64_t number = atomic_load(&team.number);
    double start = seconds();
    int64_t own = do_parts(job, number, 0);
    double each = own ? (seconds() - start) / own : 1e-5;
    for (int64_t part = 0; part < job->parts; part++)
        see_done(job, number, part, 2 * each);
    atomic_flag_clear(&team.taken);
}

void team_leave(void)
{
    Job none = {0};
    while (atomic_flag_test_and_set(&team.taken))
        sched_yield();
    publish(&none);
    for (int n = 0; n < team.workers; n++)
        while (atomic_load(&team.worker[n].busy))
            sched_yield();
    atomic_flag_clear(&team.taken);
}
