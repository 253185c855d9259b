/* verb_bench_count.c - what a network costs in numbers that no clock is needed
 * for: multiply-adds, and instructions where the kernel counts them.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* syscall */
#include "verb_bench.h"
#include <errno.h>
#include <math.h>
#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- multiply-adds ---------------------------------------------------------- */

void bench_needed(const mango_net *net, mango_idx target, mango_idx from, char *need)
{
    memset(need, 0, (size_t)net->n_nodes);
    need[target] = 1;
    for (mango_idx i = target; i >= 0; i--)
        for (int k = 0; need[i] && i != from && k < net->node[i].n_in; k++)
            need[net->node[i].in[k]] = 1;
}

/* Zeros and ones alone? */
static int count_binary(const mango_net *net, int node)
{
    const mgi_node *g = &net->node[node];
    if (g->kind == MGI_MAXPOOL || g->kind == MGI_RESHAPE)
        return count_binary(net, g->in[0]);
    return g->kind == MGI_LIF;
}

static int count_is_product(mgi_kind k)
{
    return k == MGI_CONV || k == MGI_CONVT || k == MGI_LINEAR;
}

int bench_ones_of(const mango_net *net, int node)
{
    const mgi_node *g = &net->node[node];
    if (!count_is_product(g->kind) || g->conv.transposed || !count_binary(net, g->in[0]))
        return -1;
    int i = g->in[0];
    while (net->node[i].kind == MGI_RESHAPE) /* as many ones before it */
        i = net->node[i].in[0];
    return i;
}

/* Multiply-adds of one pass, zeros and padding counted. */
static double count_dense(const mango_net *net, const mgi_node *g)
{
    const mgi_conv *c = &g->conv;
    if (g->kind == MGI_VQ) {
        const mgi_node *in = &net->node[g->in[0]];
        return (double)(in->H * in->W * in->C) * (double)g->codes;
    }
    if (!count_is_product(g->kind))
        return 0;
    const double area = c->transposed ? (double)(c->H * c->W) : (double)(c->OH * c->OW);
    return area * (double)c->C * (double)c->O * c->kh * c->kw;
}

/* Outputs that the input at place i of an axis reaches. */
static double count_reach(mango_idx i, mango_idx out, int k, int stride, int pad)
{
    double n = 0;
    for (mango_idx o = 0; o < out; o++)
        n += i >= o * stride - pad && i < o * stride - pad + k;
    return n;
}

/* Pairs of input and output place that meet in a window, along one axis. */
static double count_pairs(mango_idx in, mango_idx out, int k, int stride, int pad)
{
    double n = 0;
    for (mango_idx i = 0; i < in; i++)
        n += count_reach(i, out, k, stride, pad);
    return n;
}

double bench_conv_inside(const mgi_conv *c)
{
    const double rows = c->transposed ? count_pairs(c->OH, c->H, c->kh, c->sh, c->ph)
                                      : count_pairs(c->H, c->OH, c->kh, c->sh, c->ph);
    const double cols = c->transposed ? count_pairs(c->OW, c->W, c->kw, c->sw, c->pw)
                                      : count_pairs(c->W, c->OW, c->kw, c->sw, c->pw);
    return rows * cols * (double)c->C * (double)c->O;
}

/* Multiply-adds with ones, mean over time and the B inputs of mean (B,C,H,W). */
static double count_ones(const mango_net *net, const mgi_node *g, mango_idx B,
                         const bench_ones *ones)
{
    const mgi_node *in = &net->node[ones->node];
    const mgi_conv *c = &g->conv;
    const int whole = g->kind == MGI_LINEAR; /* every input meets every output */
    double sum = 0;
    for (mango_idx y = 0; y < in->H; y++)
        for (mango_idx x = 0; x < in->W; x++) {
            double active = 0;
            for (mango_idx i = 0; i < B * in->C; i++)
                active += (double)ones->mean[(i * in->H + y) * in->W + x];
            sum += whole ? active
                         : active * count_reach(y, c->OH, c->kh, c->sh, c->ph) *
                               count_reach(x, c->OW, c->kw, c->sw, c->pw);
        }
    return sum * (double)c->O / (double)B;
}

bench_macs bench_count(const mango_net *net, mango_idx target, mango_idx from, mango_idx T,
                       mango_idx B, int n, const bench_ones *ones)
{
    static char need[MGI_MAX_NODES];
    bench_macs m = {0, 0};
    bench_needed(net, target, from, need);
    int steps = 0; /* does anything here depend on time? */
    for (int i = 0; i < net->n_nodes; i++)
        steps |= need[i] && net->node[i].kind == MGI_LIF;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *g = &net->node[i];
        if (!need[i] || i == from)
            continue;
        const double one = count_dense(net, g), t = g->spiking_input ? (double)T : 1.0;
        const int at = one > 0 ? bench_ones_of(net, i) : -1;
        int k = 0;
        while (k < n && ones[k].node != at)
            k++;
        m.dense += one * (steps ? (double)T : 1.0);
        m.needed += t * (at >= 0 && k < n    ? count_ones(net, g, B, &ones[k])
                         : g->kind == MGI_VQ ? one
                         : one > 0           ? bench_conv_inside(&g->conv)
                                             : 0);
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
