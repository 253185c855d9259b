/* test_slices.c - a run in slices of time gives the bits of a whole run, for
 * all inputs and for those that are kept.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* Static values used late, both presets, a residual, sums of every kind. */
static const char t_slices_net[] = "mango-graph 1\n"
                                   "net arch=toy T=9\n"
                                   "input input - shape=3x8x8\n"
                                   "c0 conv input out=12 kernel=3 pad=1 bias=1\n"
                                   "p0 avgpool c0 kernel=2 stride=2\n"
                                   "s0 lif c0 preset=snntorch U_thr=0.3\n"
                                   "m0 maxpool s0 kernel=2 stride=2\n"
                                   "c1 conv m0 out=12 kernel=3 pad=1 bias=1\n"
                                   "a1 add c1,p0\n"
                                   "s1 lif a1 preset=spikingjelly U_thr=0.4\n"
                                   "l2 linear s1 out=7 bias=1\n"
                                   "s2 lif l2 preset=snntorch reset=zero\n";
enum { T_SLICES_B = 5, T_SLICES_T = 9, T_SLICES_SIZE = 3 * 64, T_SLICES_MOST = 1 << 18 };

/* Readings of all layers, `what`, in one buffer; at[i]: values of an input, of layer i. */
static mango_idx t_slices_readings(const mango_net *net, mango_read what, float *y,
                                   mango_reading *r, mango_idx *each)
{
    const mango_idx n = mango_net_layers(net);
    for (mango_idx i = 0; i < n; i++) {
        const mgi_node *g = &net->node[i];
        const mango_reading q = {i, what, y};
        r[i] = q;
        each[i] = what == MANGO_READ_RATE ? g->C : g->C * g->H * g->W;
        y += each[i] * T_SLICES_B * (what == MANGO_READ_SPIKES ? T_SLICES_T : 1);
    }
    return n;
}

static mango_plan *t_slices_plan(const mango_net *net, mango_idx T, mango_idx slice,
                                 mango_idx n, const mango_reading *r)
{
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_err err = {""};
    mango_plan_defaults(&o);
    o.T = T;
    o.batch = T_SLICES_B;
    o.slice = slice;
    T_OK(mango_plan_create(&p, net, &o, n, r, NULL, &err), &err);
    return p;
}

/* Inputs left[0..n-1] of the layers from `first` on, in `got` one after the
 * other, are those of `want`. */
static int t_slices_same(const mango_reading *want, const mango_reading *got, mango_idx layers,
                         mango_idx first, const mango_idx *each, mango_idx n,
                         const mango_idx *left)
{
    int same = 1;
    for (mango_idx i = first; i < layers; i++)
        for (mango_idx b = 0; b < n; b++)
            same &= memcmp(want[i].out + left[b] * each[i], got[i].out + b * each[i],
                           (size_t)each[i] * sizeof(float)) == 0;
    return same;
}

/* Means and rates after slices of `dt` steps against whole runs of as many
 * steps; inputs are dropped on the way when `drop` (layers 0 .. 2 do not depend
 * on time: their readings stay as they were). */
static void t_slices_run(const mango_net *net, mango_read what, mango_idx dt, int drop,
                         const float *x, float *a, float *b)
{
    static const mango_idx first[] = {0, 2, 3, 4}, second[] = {1, 3};
    mango_reading want[16], got[16];
    mango_idx each[16], left[T_SLICES_B] = {0, 1, 2, 3, 4}, n = T_SLICES_B;
    const mango_idx layers = t_slices_readings(net, what, a, want, each);
    t_slices_readings(net, what, b, got, each);
    mango_plan *p = t_slices_plan(net, T_SLICES_T, dt, layers, got);
    T_REQUIRE(p != NULL);
    T_STATUS(mango_plan_start(p, T_SLICES_B, x), MANGO_OK);
    for (mango_idx t = 0, k = 0; t < T_SLICES_T; t += dt, k++) {
        const mango_idx steps = MGI_MIN(dt, T_SLICES_T - t);
        T_STATUS(mango_plan_advance(p, steps), MANGO_OK);
        mango_plan *q = t_slices_plan(net, t + steps, 0, layers, want);
        T_STATUS(mango_plan_run(q, T_SLICES_B, x), MANGO_OK);
        T_CHECK(t_slices_same(want, got, layers, drop ? 3 : 0, each, n, left));
        mango_plan_destroy(q);
        if (drop && k < 2) {
            const mango_idx m = k ? 2 : 4, *which = k ? second : first;
            T_STATUS(mango_plan_keep(p, m, which), MANGO_OK);
            for (mango_idx i = 0; i < m; i++)
                left[i] = left[which[i]];
            n = m;
        }
    }
    T_STATUS(mango_plan_advance(p, 1), MANGO_E_ARG);
    mango_plan_destroy(p);
}

/* Every step's values, written slice by slice into the layout of a whole run. */
static void t_slices_steps(const mango_net *net, const float *x, float *a, float *b)
{
    static const mango_idx all[] = {0, 1, 2, 3, 4};
    mango_reading want[16], got[16];
    mango_idx each[16], sum = 0;
    const mango_idx layers = t_slices_readings(net, MANGO_READ_SPIKES, a, want, each);
    t_slices_readings(net, MANGO_READ_SPIKES, b, got, each);
    mango_plan *p = t_slices_plan(net, T_SLICES_T, 4, layers, got);
    mango_plan *q = t_slices_plan(net, T_SLICES_T, 0, layers, want);
    T_REQUIRE(p && q);
    for (mango_idx i = 0; i < layers; i++)
        sum += each[i] * T_SLICES_B * T_SLICES_T;
    T_REQUIRE(sum <= T_SLICES_MOST);
    memset(b, 0, (size_t)sum * sizeof *b);
    T_STATUS(mango_plan_run(q, T_SLICES_B, x), MANGO_OK);
    T_STATUS(mango_plan_start(p, T_SLICES_B, x), MANGO_OK);
    for (mango_idx t = 0; t < T_SLICES_T; t += 3)
        T_STATUS(mango_plan_advance(p, 3), MANGO_OK);
    T_MEM(a, b, (size_t)sum * sizeof *b);
    T_STATUS(mango_plan_keep(p, 5, all), MANGO_OK);
    T_STATUS(mango_plan_keep(p, 4, all), MANGO_E_ARG);
    mango_plan_destroy(p);
    mango_plan_destroy(q);
}

static void t_slices_refuse(const mango_net *net, const float *x, float *a)
{
    static const mango_idx two[] = {1, 1}, far[] = {1, 5};
    mango_reading r[16];
    mango_idx each[16];
    const mango_idx layers = t_slices_readings(net, MANGO_READ_RATE, a, r, each);
    mango_plan *p = t_slices_plan(net, T_SLICES_T, 0, layers, r);
    mango_plan *q = t_slices_plan(net, T_SLICES_T, 3, layers, r);
    T_REQUIRE(p && q);
    T_STATUS(mango_plan_start(p, 2, x), MANGO_E_STATE);
    T_STATUS(mango_plan_advance(q, 1), MANGO_E_STATE);
    T_STATUS(mango_plan_keep(q, 1, two), MANGO_E_STATE);
    T_STATUS(mango_plan_start(q, T_SLICES_B + 1, x), MANGO_E_ARG);
    T_STATUS(mango_plan_start(q, 2, x), MANGO_OK);
    T_STATUS(mango_plan_advance(q, 0), MANGO_E_ARG);
    T_STATUS(mango_plan_advance(q, T_SLICES_T + 1), MANGO_E_ARG);
    T_STATUS(mango_plan_keep(q, 2, two), MANGO_E_ARG);
    T_STATUS(mango_plan_keep(q, 2, far), MANGO_E_ARG);
    T_STATUS(mango_plan_keep(q, 0, far), MANGO_E_ARG);
    T_STATUS(mango_plan_run(q, 2, x), MANGO_OK);
    T_STATUS(mango_plan_advance(q, 1), MANGO_E_STATE);
    mango_plan_destroy(p);
    mango_plan_destroy(q);
}

static mango_net *t_slices_make(float *x)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, t_slices_net, (mango_idx)strlen(t_slices_net), NULL, &err),
         &err);
    if (net)
        T_STATUS(mango_net_fill(net, 5, 2.0), MANGO_OK);
    for (mango_idx i = 0; i < T_SLICES_B * T_SLICES_SIZE; i++)
        x[i] = (float)(i * 41 % 103) / 103.0f;
    return net;
}

static void t_slices_equal(void)
{
    static float x[T_SLICES_B * T_SLICES_SIZE], a[T_SLICES_MOST], b[T_SLICES_MOST];
    mango_net *net = t_slices_make(x);
    T_REQUIRE(net != NULL);
    for (mango_idx dt = 1; dt <= T_SLICES_T; dt += 2)
        for (int drop = 0; drop < 2; drop++) {
            t_slices_run(net, MANGO_READ_RATE, dt, drop, x, a, b);
            t_slices_run(net, MANGO_READ_MEAN, dt, drop, x, a, b);
        }
    t_slices_steps(net, x, a, b);
    t_slices_refuse(net, x, a);
    mango_net_destroy(net);
}

void t_slices(void)
{
    T_CASE(t_slices_equal);
}
