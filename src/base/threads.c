/* threads.c - how many threads the library uses, and how they wait; serial without
 * OpenMP.
 *
 * A thread that spins at the end of a loop waits for one that works. On a busy
 * machine that one may not be running, and the spinning takes its place: the same
 * search took ten times as long. The runtime cannot know; but the system counts how
 * often it took a thread off its processor for another one (involuntary context
 * switches): some per second on an idle machine, hundreds on a busy one.
 *
 * How it is told to spin less: LLVM's runtime has a call. GNU's has none, but it
 * spins a hundred times only while it manages more threads than there are
 * processors; so, as long as the machine is busy, a team sleeps that makes them one more.
 * SPDX-License-Identifier: MIT */
#include "threads.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(_OPENMP) && defined(__GNUC__) && defined(__unix__)
#define THREADS_WATCH 1
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#endif

#define THREADS_PAUSE 0.05  /* seconds between two looks, at least            */
#define THREADS_SAMPLE 0.1  /* seconds of processor time that say something   */
#define THREADS_MANY 100.0  /* switches a second, of a busy machine           */
#define THREADS_OURS 0.85   /* part of the processors that spinning threads have
                               had on an idle one                             */
#define THREADS_TWICE 2     /* looks in a row that must say so: programs begin
                               with bursts of switches                        */
#define THREADS_HOLD 2.0    /* seconds that teams sleep at first; twice as long
                               each time that waking them was wrong ...       */
#define THREADS_LONGEST 32.0
#define THREADS_MOST 64     /* of a sleeping team                           */

void mango_set_threads(int n)
{
#if defined(_OPENMP)
    omp_set_num_threads(n >= 1 ? n : omp_get_num_procs());
#else
    (void)n;
#endif
}

int mango_threads(void)
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

MGI_FN mango_idx mgi_thread(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

MGI_FN int mgi_in_parallel(void)
{
#if defined(_OPENMP)
    return omp_in_parallel();
#else
    return 0;
#endif
}

/* ---- waiting ----------------------------------------------------------------- */

MGI_FN int mgi_threads_busy(int threads, double wall, double cpu, double taken)
{
    return cpu >= THREADS_SAMPLE && taken > THREADS_MANY * cpu &&
           cpu < THREADS_OURS * threads * wall;
}

#if defined(THREADS_WATCH)

/* What the looks have seen; whoever has `lock` may look. */
typedef struct threads_watch {
    int lock, silent; /* silent: the user says how threads wait    */
    int asleep;       /* teams go to sleep at once                 */
    int in_a_row;     /* looks that said busy                      */
    double next;      /* when the next look is due                 */
    double until;     /* asleep until then, at least               */
    double hold;      /* seconds of the next sleep                 */
    double wall, cpu, taken; /* of the last look                   */
    int started;
} threads_watch;
static threads_watch threads_seen = {.hold = THREADS_HOLD};

static double threads_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(KMP_VERSION_MAJOR) /* LLVM's runtime */

static void threads_sleep(int on)
{
    kmp_set_blocktime(on ? 0 : 200);
}

#else /* GNU's */

/* The thread that keeps the sleeping team. */
typedef struct threads_keeper {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t leave;
    int members;        /* of its team                                */
    int there, done;
    pid_t process;      /* a child of fork has no such thread         */
} threads_keeper;
static threads_keeper threads_kept = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                      .leave = PTHREAD_COND_INITIALIZER};

/* An empty parallel region would be left out by the compiler. */
static void *threads_keep(void *p)
{
    threads_keeper *k = (threads_keeper *)p;
    int awake = 0;
    MGI_OMP(parallel num_threads(k->members))
    {
        MGI_OMP(atomic)
        awake++;
    }
    pthread_mutex_lock(&k->mutex);
    while (!k->done)
        pthread_cond_wait(&k->leave, &k->mutex);
    pthread_mutex_unlock(&k->mutex);
    return NULL;
}

static void threads_sleep(int on)
{
    threads_keeper *k = &threads_kept;
    if (on) {
        k->members = omp_get_num_procs() - mango_threads() + 2;
        if (mango_threads() < 2 || k->members < 2 || k->members > THREADS_MOST)
            return;
        k->done = 0;
        k->process = getpid();
        k->there = pthread_create(&k->thread, NULL, threads_keep, k) == 0;
        return;
    }
    if (!k->there || k->process != getpid())
        return;
    pthread_mutex_lock(&k->mutex);
    k->done = 1;
    pthread_cond_signal(&k->leave);
    pthread_mutex_unlock(&k->mutex);
    pthread_join(k->thread, NULL);
    k->there = 0;
}

/* The library may be unloaded, and the keeper runs in its code. */
__attribute__((destructor)) static void threads_end(void)
{
    threads_sleep(0);
}

#endif

/* Asleep or not after this look? How busy it is cannot be told while teams sleep: a
 * thread that is woken takes the place of another of ours. So they are woken, and
 * sleep again, for longer, when that was wrong. */
static int threads_sleepy(threads_watch *w, double now, int busy)
{
    if (w->asleep)
        return now < w->until;
    w->in_a_row = busy ? w->in_a_row + 1 : 0;
    if (w->in_a_row < THREADS_TWICE) {
        if (now > w->until + w->hold)
            w->hold = THREADS_HOLD;
        return 0;
    }
    w->in_a_row = 0;
    w->until = now + w->hold;
    w->hold = MGI_MIN(2.0 * w->hold, THREADS_LONGEST);
    return 1;
}

static void threads_decide(threads_watch *w, double now)
{
    struct rusage r;
    if (getrusage(RUSAGE_SELF, &r) != 0)
        return;
    const double cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                       1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    const double taken = (double)r.ru_nivcsw;
    if (w->started && cpu - w->cpu < THREADS_SAMPLE)
        return;
    const int busy = w->started && mgi_threads_busy(mango_threads(), now - w->wall,
                                                    cpu - w->cpu, taken - w->taken);
    w->wall = now;
    w->cpu = cpu;
    w->taken = taken;
    w->started = 1;
    const int asleep = threads_sleepy(w, now, busy);
    if (asleep != w->asleep)
        threads_sleep(asleep);
    w->asleep = asleep;
}

MGI_FN void mgi_threads_look(void)
{
    threads_watch *w = &threads_seen;
    if (w->silent || omp_in_parallel() || __atomic_exchange_n(&w->lock, 1, __ATOMIC_ACQUIRE))
        return;
    const double now = threads_clock();
    if (!w->started)
        w->silent = getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") ||
                    getenv("KMP_BLOCKTIME");
    if (!w->silent && now >= w->next) {
        w->next = now + THREADS_PAUSE;
        threads_decide(w, now);
    }
    __atomic_store_n(&w->lock, 0, __ATOMIC_RELEASE);
}

#else

MGI_FN void mgi_threads_look(void)
{
}

#endif

#undef THREADS_WATCH
#undef THREADS_PAUSE
#undef THREADS_SAMPLE
#undef THREADS_HOLD
#undef THREADS_MANY
#undef THREADS_OURS
#undef THREADS_TWICE
#undef THREADS_LONGEST
#undef THREADS_MOST
