/* test_ties.c - ties of rates: the same in every batch, at no cost to values, and in the
 * order in which silent pictures come to fire.
 * SPDX-License-Identifier: MIT */
#include "../src/mei/objective.h"
#include "../src/net/graph.h"
#include "test.h"

enum { T_TIES_K = 60, T_TIES_D = 64 };

typedef struct t_ties_nets {
    mango_net *gen, *net;
    mango_idx I[T_TIES_K * T_TIES_D];
} t_ties_nets;

static void t_ties_open(t_ties_nets *t, const char *spec)
{
    mango_err err = {""};
    mango_rng r;
    memset(t, 0, sizeof *t);
    T_OK(mango_net_zoo(&t->gen, "vqvae,width=0.125", NULL, &err), &err);
    T_OK(mango_net_zoo(&t->net, spec, NULL, &err), &err);
    T_STATUS(mango_net_fill(t->gen, 3, 2.0), MANGO_OK);
    T_STATUS(mango_net_fill(t->net, 7, 1.0), MANGO_OK);
    mango_rng_init(&r, 1, 0x7135, 0);
    for (mango_idx i = 0; i < T_TIES_K * T_TIES_D; i++)
        t->I[i] = mango_rng_int(&r, 512);
}

static void t_ties_close(t_ties_nets *t)
{
    mango_net_destroy(t->gen);
    mango_net_destroy(t->net);
}

/* Values and ties (NULL: without) of all codes. */
static void t_ties_values(const t_ties_nets *t, const char *target, mango_idx batch, double *y,
                          double *tie)
{
    mango_objective_options o;
    mango_objective *x = NULL;
    mango_err err = {""};
    T_STATUS(mango_objective_defaults(&o), MANGO_OK);
    o.T = 8;
    o.batch = batch;
    o.ties = tie != NULL;
    T_OK_OR_RETURN(mango_objective_create(&x, t->gen, t->net, target, &o, NULL, &err), &err);
    T_STATUS(mango_objective_eval(x, T_TIES_K, t->I, y), MANGO_OK);
    if (tie)
        T_STATUS(mango_objective_ties(x, T_TIES_K, tie), MANGO_OK);
    mango_objective_destroy(x);
}

/* A layer's threshold times a factor. */
static void t_ties_threshold(t_ties_nets *t, const char *layer, float factor)
{
    mango_idx at = 0;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_net_find(t->net, layer, &at, &err), &err);
    t->net->node[at].lif.U_thr *= factor;
}

static void t_ties_same(void)
{
    static const char *const target[] = {"spiking0:3", "spiking1:2", "spiking1:2:1:1",
                                         "spiking2:5"};
    double y[T_TIES_K], z[T_TIES_K], tie[T_TIES_K], again[T_TIES_K];
    t_ties_nets t;
    t_ties_open(&t, "snn_conv,width=0.125");
    for (mango_idx i = 0; i < MGI_COUNT(target); i++) {
        t_ties_values(&t, target[i], 7, z, NULL);
        t_ties_values(&t, target[i], 7, y, tie);
        T_MEM(y, z, (mango_idx)sizeof y); /* values have the bits that they had */
        for (mango_idx batch = 1; batch <= T_TIES_K; batch += 59) {
            t_ties_values(&t, target[i], batch, z, again);
            T_MEM(again, tie, (mango_idx)sizeof tie);
        }
        mango_idx differ = 0;
        for (mango_idx k = 1; k < T_TIES_K; k++)
            differ += tie[k] != tie[0];
        T_CHECK(differ == T_TIES_K - 1);
    }
    t_ties_close(&t);
}

/* What does not spike has none. */
static void t_ties_none(void)
{
    double y[T_TIES_K], tie[T_TIES_K];
    t_ties_nets t;
    t_ties_open(&t, "snn_conv,width=0.125");
    t_ties_values(&t, "class:2", 10, y, tie);
    for (mango_idx k = 0; k < T_TIES_K; k++)
        T_CHECK(tie[k] == 0.0);
    t_ties_values(&t, "linear1:2", 10, y, tie);
    for (mango_idx k = 0; k < T_TIES_K; k++)
        T_CHECK(tie[k] == 0.0);
    t_ties_close(&t);
}

/* Of a random pair of codes with different rates at a lower threshold: how often does the
 * tie of the silent ones say which? */
static double t_ties_pairs(const double *rate, const double *tie)
{
    double right = 0, all = 0;
    for (mango_idx i = 0; i < T_TIES_K; i++)
        for (mango_idx j = 0; j < i; j++)
            if (rate[i] != rate[j]) {
                all += 1;
                right += (rate[i] > rate[j]) == (tie[i] > tie[j]);
            }
    return all > 100 ? right / all : 0.0;
}

/* The same for one target, of which 60 pictures have at least two rates; 0: they have not. */
static double t_ties_target(const char *layer, int unit)
{
    double silent[T_TIES_K], tie[T_TIES_K], rate[T_TIES_K], right;
    char target[32];
    t_ties_nets t;
    snprintf(target, sizeof target, "%s:%d", layer, unit);
    t_ties_open(&t, "snn_conv,width=0.125");
    t_ties_values(&t, target, 30, rate, NULL);
    t_ties_threshold(&t, layer, 1000.0f);
    t_ties_values(&t, target, 30, silent, tie);
    for (mango_idx k = 0; k < T_TIES_K; k++)
        T_CHECK(silent[k] == 0.0);
    right = t_ties_pairs(rate, tie);
    t_ties_close(&t);
    return right;
}

static void t_ties_silent(void)
{
    static const struct { const char *layer; int unit; double least; } want[] = {
        {"spiking1", 3, 0.80}, {"spiking1", 7, 0.85}, {"spiking2", 2, 0.95},
        {"spiking2", 4, 0.95}};
    for (mango_idx i = 0; i < MGI_COUNT(want); i++)
        T_CHECK(t_ties_target(want[i].layer, want[i].unit) > want[i].least);
}

static void t_ties_refused(void)
{
    double y[T_TIES_K], tie[T_TIES_K];
    mango_objective_options o;
    mango_objective *x = NULL;
    mango_err err = {""};
    t_ties_nets t;
    t_ties_open(&t, "snn_conv,width=0.125");
    T_STATUS(mango_objective_defaults(&o), MANGO_OK);
    T_EQ(o.ties, 0);
    o.T = 2;
    T_OK_OR_RETURN(mango_objective_create(&x, t.gen, t.net, "spiking1:2", &o, NULL, &err),
                   &err);
    T_STATUS(mango_objective_eval(x, 3, t.I, y), MANGO_OK);
    T_STATUS(mango_objective_ties(x, 3, tie), MANGO_E_STATE);
    mango_objective_destroy(x);
    o.ties = 1;
    T_OK_OR_RETURN(mango_objective_create(&x, t.gen, t.net, "spiking1:2", &o, NULL, &err),
                   &err);
    T_STATUS(mango_objective_ties(x, 0, NULL), MANGO_OK);
    T_STATUS(mango_objective_eval(x, 3, t.I, y), MANGO_OK);
    T_STATUS(mango_objective_ties(x, 2, tie), MANGO_E_STATE);
    T_STATUS(mango_objective_ties(x, 3, NULL), MANGO_E_ARG);
    T_STATUS(mango_objective_ties(x, 3, tie), MANGO_OK);
    T_STATUS(mango_objective_ties(x, 3, tie), MANGO_E_STATE); /* once */
    T_STATUS(mango_objective_ties(NULL, 3, tie), MANGO_E_ARG);
    mango_objective_destroy(x);
    o.elite = 1;
    T_STATUS(mango_objective_create(&x, t.gen, t.net, "spiking1:2", &o, NULL, &err),
             MANGO_E_ARG);
    t_ties_close(&t);
}

void t_ties(void)
{
    T_CASE(t_ties_same);
    T_CASE(t_ties_none);
    T_CASE(t_ties_silent);
    T_CASE(t_ties_refused);
}
