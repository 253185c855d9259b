/* test_session_killed.c - a session told from two threads in random order, late and in
 * part, killed at random moments, resumes to the same bytes.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "session.h"
#if (defined(__linux__) || defined(__APPLE__)) && !defined(__SANITIZE_THREAD__)
#define T_SESSION_KILLS 1
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct t_session_shared {
    pthread_mutex_t lock;
    mango_session *s;
    t_session_rig rig;
    int over;
} t_session_shared;

static void t_session_nap(long us)
{
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static void *t_session_thread(void *ud)
{
    t_session_shared *w = ud;
    mango_set_threads(1);
    for (int over = 0; !over;) {
        pthread_mutex_lock(&w->lock);
        w->over |= t_session_act(w->s, &w->rig) != MANGO_OK;
        over = w->over;
        pthread_mutex_unlock(&w->lock);
        t_session_nap(100);
    }
    return NULL;
}

static int t_session_ties; /* 1: the process that is killed tells ties */
static mango_idx t_session_budget; /* of it; 0: that of its options */

/* The process that is killed: resumes, says so through the pipe, and has two threads
 * ask and tell. Exit 7: it came to its end. */
static void t_session_child(const mango_session_options *o, uint64_t seed, int ready)
{
    static t_session_shared w;
    pthread_t thread[2];
    const mango_modes m = {T_SESSION_D, t_session_wide};
    mango_set_threads(1);
    pthread_mutex_init(&w.lock, NULL);
    w.rig.random = seed;
    w.rig.ties = t_session_ties;
    if (mango_session_create(&w.s, &m, o, NULL, NULL, NULL, NULL) != MANGO_OK)
        _exit(3);
    if (t_session_budget > 0)
        mango_session_extend(w.s, t_session_budget);
    if (write(ready, "r", 1) != 1)
        _exit(4);
    for (int k = 0; k < 2; k++)
        if (pthread_create(&thread[k], NULL, t_session_thread, &w) != 0)
            _exit(5);
    for (int k = 0; k < 2; k++)
        pthread_join(thread[k], NULL);
    _exit(7);
}

static double t_session_now(void)
{
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Run a child and kill it: one time in eight before it is ready, else up to 2 ms after, or
 * longer where it also takes long to begin. What the wait says. */
static int t_session_kill(const mango_session_options *o, t_session_rig *chance)
{
    static double least = 0.02; /* seconds that one took to begin */
    int pipe_fd[2], how = 0;
    char c;
    fflush(stdout);
    if (pipe(pipe_fd) != 0)
        return -1;
    const uint64_t seed = t_session_random(chance, 1u << 30);
    const double began = t_session_now();
    const pid_t pid = fork();
    if (pid == 0)
        t_session_child(o, seed, pipe_fd[1]);
    close(pipe_fd[1]);
    if (t_session_random(chance, 8) > 0) {
        if (read(pipe_fd[0], &c, 1) < 0)
            how = -1;
        least = MGI_MIN(least, t_session_now() - began);
    }
    t_session_nap((long)t_session_random(chance, 2000 + (uint64_t)(1e6 * least)));
    kill(pid, SIGKILL);
    waitpid(pid, &how, 0);
    close(pipe_fd[0]);
    return how;
}

/* Of a journal: its bytes up to the last whole line. */
static mango_idx t_session_good(const unsigned char *p, mango_idx n)
{
    while (n > 0 && p[n - 1] != '\n')
        n--;
    return n;
}

/* Two threads tell in random order, late and in part; the process is killed at 200
 * random moments and resumed. No whole line is ever lost or changed, and in the end
 * the journal and the state are, byte for byte, those of a session that was never
 * killed and was told the same in the same order. */
static void t_session_killed_200(void)
{
    static t_session_rig chance;
    char path[1024];
    unsigned char *before = NULL;
    mango_idx good = 0, had = 0, kept = 0;
    const int kills = t_fast() ? 50 : 200;
    mgi_copy(path, sizeof path, t_tmp("killed.jsonl"));
    mango_session_options o = t_session_options("tt-b", 1000000, path);
    o.resume = 1;
    chance.random = 12345;
    for (int k = 0; k < kills; k++) {
        mango_idx n = 0;
        const int how = t_session_kill(&o, &chance);
        T_REQUIRE(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        if (!t_exists(path))
            continue;
        unsigned char *after = t_session_slurp(path, &n);
        kept += n >= good && memcmp(before ? before : after, after, (size_t)good) == 0;
        t_session_drop(before, had);
        before = after;
        had = n;
        good = t_session_good(after, n);
    }
    T_CHECK(kept > kills * 3 / 4);
    t_session_drop(before, had);
    mango_session *s = t_session_new(&o, t_session_wide);
    mango_session_info i;
    T_REQUIRE(s != NULL);
    mango_session_get(s, &i);
    T_CHECK(i.replayed > kills / 2 && i.asks > 1);
    printf("  %d kills: %d values told in %d batches, %d codes; ", kills, (int)i.told,
           (int)i.asks, (int)i.asked);
    mango_session_destroy(s); /* an unfinished last line is cut off now */
    t_session_check(o, t_session_wide, path);
    printf("resumed to the same bytes as never killed\n");
}

/* The same with everything else: codes to start with, repeats, values told again with
 * their ties, races; the budget grows by kill, so that races begin and are left. */
static void t_session_killed_race(void)
{
    static t_session_rig chance;
    char path[1024];
    mango_idx n = 0, races = 0, start[30 * T_SESSION_D];
    mango_session_info i;
    const int kills = t_fast() ? 60 : 200;
    mgi_copy(path, sizeof path, t_tmp("killed_race.jsonl"));
    for (mango_idx e = 0; e < 30 * T_SESSION_D; e++)
        start[e] = e * e % t_session_wide[e % T_SESSION_D];
    mango_session_options o = t_session_options("ga-blocks", 60 + 3 * kills, path);
    o.resume = 1, o.repeat = 1, o.race = 0.4, o.race_leaders = 6;
    o.start = start, o.n_start = 30;
    chance.random = 4321;
    t_session_ties = 1;
    for (int k = 0; k < kills; k++) {
        t_session_budget = 60 + 3 * k;
        const int how = t_session_kill(&o, &chance);
        T_REQUIRE((WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) ||
                  (WIFEXITED(how) && WEXITSTATUS(how) == 7)); /* it came to its end */
    }
    t_session_ties = 0;
    t_session_budget = 0;
    mango_session *s = t_session_new(&o, t_session_wide);
    T_REQUIRE(s != NULL);
    mango_session_get(s, &i);
    mango_session_destroy(s);
    unsigned char *p = t_session_slurp(path, &n);
    for (char *at = (char *)p; (at = strstr(at, "{\"race\":")) != NULL; at++)
        races++;
    t_session_drop(p, n);
    T_CHECK(races > 0 && i.replayed > 60); /* more, the faster the machine */
    printf("  %d kills: %d values told, %d rounds of races; ", kills, (int)i.told,
           (int)races);
    t_session_check(o, t_session_wide, path);
    printf("resumed to the same bytes as never killed\n");
}

void t_session_killed(void)
{
    T_CASE(t_session_killed_200);
    T_CASE(t_session_killed_race);
}
#else
static void t_session_killed_not(void)
{
    T_SKIP("needs fork and signals");
}

void t_session_killed(void)
{
    T_CASE(t_session_killed_not);
}
#endif
