/* test_fork.c - a host that uses the library, forks, and uses it again in the child.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "test.h"
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>

/* The sum of what a network answers to made-up pictures; NaN when it fails. */
static double t_fork_once(void)
{
    mango_net *n = NULL;
    mango_plan *p = NULL;
    mango_plan_options o;
    double sum = (double)NAN;
    static float x[4 * 3 * 32 * 32], y[4 * 10];
    mango_fill_u("input", 5, MGI_COUNT(x), x);
    mango_plan_defaults(&o);
    o.batch = 4, o.raw = 1;
    if (mango_net_zoo(&n, "resnet18,width=0.25", NULL, NULL) >= 0 &&
        mango_net_fill(n, 7, 1) >= 0) {
        const mango_reading r = {mango_net_layers(n) - 1, MANGO_READ_MEAN, y};
        if (mango_plan_create(&p, n, &o, 1, &r, NULL, NULL) >= 0 &&
            mango_plan_run(p, 4, x) >= 0)
            sum = 0;
    }
    for (mango_idx i = 0; i < MGI_COUNT(y); i++)
        sum += (double)y[i];
    mango_plan_destroy(p);
    mango_net_destroy(n);
    return sum;
}

/* As the manual says (THREADS): the child first sets one thread. */
static void t_fork_child(void)
{
    const int threads = mango_threads();
    int status = -1;
    mango_set_threads(2);
    const double sum = t_fork_once();
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(60); /* it would wait for threads that are not here */
        mango_set_threads(1);
        _exit(memcmp(&sum, &(double){t_fork_once()}, sizeof sum) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    T_CHECK(WIFEXITED(status));
    T_EQ(WEXITSTATUS(status), 0);
    mango_set_threads(threads);
}

void t_fork(void)
{
    T_CASE(t_fork_child);
}
#else
void t_fork(void)
{
}
#endif
