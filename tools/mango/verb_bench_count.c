/* verb_bench_count.c - what a network costs in numbers that no clock is needed
 * for: multiply-adds, and instructions where the kernel counts them.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* syscall */
#include "verb_bench.h"
#include <errno.h>
#include <math.h>
#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/perf_event.h>)
#define COUNT_PERF
#endif
#endif
#if defined(COUNT_PERF)
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- multiply-adds ---------------------------------------------------------- */

void bench_needed(const mango_net *net, mango_idx target, mango_idx from, char *need)
{
    memset(need, 0, (size_t)mango_net_layers(net));
    need[target] = 1;
    for (mango_idx i = target; i >= 0; i--)
        for (mango_idx k = 0; need[i] && i != from && k < cli_layer(net, i).inputs; k++)
            need[mango_net_layer_input(net, i, k)] = 1;
}

static int count_is(const mango_layer *l, const char *kind)
{
    return strcmp(l->kind, kind) == 0;
}

/* Zeros and ones alone? */
static int count_binary(const mango_net *net, mango_idx layer)
{
    const mango_layer l = cli_layer(net, layer);
    if (count_is(&l, "maxpool") || count_is(&l, "reshape"))
        return count_binary(net, mango_net_layer_input(net, layer, 0));
    return l.spiking;
}

mango_idx bench_ones_of(const mango_net *net, mango_idx layer)
{
    mango_layer l = cli_layer(net, layer);
    mango_idx i = mango_net_layer_input(net, layer, 0);
    if ((!count_is(&l, "conv") && !count_is(&l, "linear")) || !count_binary(net, i))
        return -1;
    for (l = cli_layer(net, i); count_is(&l, "reshape"); l = cli_layer(net, i))
        i = mango_net_layer_input(net, i, 0); /* as many ones before it */
    return i;
}

/* Multiply-adds with ones, mean over time and the B inputs of mean (B,C,H,W). */
static double count_ones(const mango_net *net, mango_idx layer, mango_idx B,
                         const bench_ones *ones)
{
    const mango_layer in = cli_layer(net, ones->layer);
    double sum = 0;
    for (mango_idx y = 0; y < in.H; y++)
        for (mango_idx x = 0; x < in.W; x++) {
            double active = 0;
            for (mango_idx i = 0; i < B * in.C; i++)
                active += (double)ones->mean[(i * in.H + y) * in.W + x];
            sum += active * mango_net_layer_uses(net, layer, y, x);
        }
    return sum / (double)B;
}

bench_macs bench_count(const mango_net *net, mango_idx target, mango_idx from, mango_idx T,
                       mango_idx B, mango_idx n, const bench_ones *ones)
{
    static char need[MANGO_LAYERS_MAX];
    bench_macs m = {0, 0};
    bench_needed(net, target, from, need);
    int steps = 0; /* does anything here depend on time? */
    for (mango_idx i = 0; i < mango_net_layers(net); i++)
        steps |= need[i] && cli_layer(net, i).spiking;
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        const mango_layer l = cli_layer(net, i);
        if (!need[i] || i == from)
            continue;
        const mango_idx at = l.macs > 0 ? bench_ones_of(net, i) : -1;
        mango_idx k = 0;
        while (k < n && ones[k].layer != at)
            k++;
        m.dense += l.macs * (steps ? (double)T : 1.0);
        m.needed += (l.timed ? (double)T : 1.0) *
                    (at >= 0 && k < n ? count_ones(net, i, B, &ones[k]) : l.macs_inside);
    }
    return m;
}

/* ---- instructions ----------------------------------------------------------- */

#if defined(__linux__) && defined(SYS_perf_event_open)
int bench_counter_open(char *why, mango_idx cap)
{
    struct perf_event_attr a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.type = PERF_TYPE_HARDWARE;
    a.config = PERF_COUNT_HW_INSTRUCTIONS;
    a.exclude_kernel = 1;
    a.exclude_hv = 1;
    a.inherit = 1; /* the threads started from now on */
    const long fd = syscall(SYS_perf_event_open, &a, 0, -1, -1, 0UL);
    if (fd < 0)
        snprintf(why, (size_t)cap, "perf_event_open: %s", strerror(errno));
    return fd < 0 ? -1 : (int)fd;
}

double bench_counter_read(int counter)
{
    uint64_t n = 0;
    if (counter < 0 || read(counter, &n, sizeof n) != (ssize_t)sizeof n)
        return (double)NAN;
    return (double)n;
}

void bench_counter_close(int counter)
{
    if (counter >= 0)
        close(counter);
}
#else
int bench_counter_open(char *why, mango_idx cap)
{
    snprintf(why, (size_t)cap, "no performance counters on this system");
    return -1;
}

double bench_counter_read(int counter)
{
    (void)counter;
    return (double)NAN;
}

void bench_counter_close(int counter)
{
    (void)counter;
}
#endif
