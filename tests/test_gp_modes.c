/* test_gp_modes.c - the Gaussian process on agreeing modes: sums of functions and of pairs
 * are solved in a few hundred values, small spaces are searched whole, a space without
 * room for a model goes on without one.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GPM_D = 24, T_GPM_CAP = 10 };

typedef struct t_gpm_space {
    mango_idx d, n[T_GPM_D];
    double own[T_GPM_D][16], pair[T_GPM_D][T_GPM_D];
} t_gpm_space;

static t_gpm_space t_gpm_make(mango_idx d, mango_idx levels, double own, double pair,
                              uint64_t seed)
{
    t_gpm_space s;
    mango_rng rng;
    memset(&s, 0, sizeof s);
    mango_rng_init(&rng, seed, 1, 0);
    s.d = d;
    for (mango_idx j = 0; j < d; j++) {
        s.n[j] = levels;
        for (mango_idx l = 0; l < levels; l++)
            s.own[j][l] = own * mango_rng_normal(&rng);
        for (mango_idx i = 0; i < j; i++)
            s.pair[j][i] = pair * mango_rng_normal(&rng);
    }
    return s;
}

static double t_gpm_value(const t_gpm_space *s, const mango_idx *I)
{
    double y = 0.0;
    for (mango_idx j = 0; j < s->d; j++) {
        y += s->own[j][I[j]];
        for (mango_idx i = 0; i < j; i++)
            y += I[i] == I[j] ? s->pair[j][i] : 0.0;
    }
    return y;
}

static mango_opt *t_gpm_new(const char *name, mango_idx d, const mango_idx *n, uint64_t seed)
{
    const mango_modes m = {d, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

/* Best after `budget` values. */
static double t_gpm_solve(const char *name, const t_gpm_space *s, mango_idx budget)
{
    mango_opt *p = t_gpm_new(name, s->d, s->n, 3);
    mango_idx I[T_GPM_CAP * T_GPM_D];
    double y[T_GPM_CAP], best = NAN;
    for (mango_idx told = 0; told < budget; told += T_GPM_CAP) {
        mango_idx K = T_GPM_CAP;
        T_STATUS(mango_opt_ask(p, T_GPM_CAP, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_gpm_value(s, I + k * s->d);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
    mango_opt_destroy(p);
    return best;
}

/* A sum of one function a mode: the optimum is known. */
static void t_gpm_sum(void)
{
    const t_gpm_space s = t_gpm_make(12, 8, 1, 0, 7);
    double best = 0.0;
    for (mango_idx j = 0; j < s.d; j++) {
        double most = s.own[j][0];
        for (mango_idx l = 1; l < 8; l++)
            most = MGI_MAX(most, s.own[j][l]);
        best += most;
    }
    T_NEAR(t_gpm_solve("gp-modes", &s, 400), best, 1e-9);
    T_CHECK(t_gpm_solve("one-plus-one", &s, 400) < best - 0.5);
}

/* Pairs of 16 modes of two levels, all 65,536 codes tried for the optimum. */
static void t_gpm_pairs(void)
{
    const t_gpm_space s = t_gpm_make(16, 2, 0.3, 1, 9);
    mango_idx I[16];
    double best = -INFINITY;
    for (int c = 0; c < 1 << 16; c++) {
        for (int j = 0; j < 16; j++)
            I[j] = c >> j & 1;
        const double y = t_gpm_value(&s, I);
        best = MGI_MAX(best, y);
    }
    T_NEAR(t_gpm_solve("gp-modes", &s, 300), best, 1e-9);
}

/* No code twice before all are known; then it goes on without a stall. */
static void t_gpm_whole(void)
{
    enum { ALL = 3 * 4 * 5 };
    const mango_idx n[3] = {3, 4, 5};
    int seen[ALL] = {0}, different = 0;
    mango_opt *p = t_gpm_new("gp-modes", 3, n, 1);
    for (int t = 0; t < 3 * ALL; t++) {
        mango_idx I[3], K = 1;
        T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
        const double y = (double)(I[0] * I[1]) - (double)I[2];
        const mango_idx at = (I[0] * 4 + I[1]) * 5 + I[2];
        different += !seen[at]++;
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
    }
    T_CHECK(different >= ALL - 6);
    mango_opt_destroy(p);
}

/* Too many levels for a table: no model, and still better than chance. */
static void t_gpm_large(void)
{
    enum { D = 3 };
    const mango_idx n[D] = {MANGO_REAL, MANGO_REAL, 2};
    char text[128];
    double y[T_GPM_CAP], best = 0.0;
    mango_opt *p = t_gpm_new("gp-modes", D, n, 1);
    for (int t = 0; t < 60; t++) {
        mango_idx I[T_GPM_CAP * D], K = T_GPM_CAP;
        T_STATUS(mango_opt_ask(p, T_GPM_CAP, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = (double)(I[k * D] / 4 + I[k * D + 1] / 4) / (double)MANGO_REAL;
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
    T_CHECK(best > 0.47 && best < 0.5);
    T_CHECK(mango_opt_explain(p, text, sizeof text) > 0 && strstr(text, "no model") != NULL);
    mango_opt_destroy(p);
}

void t_gp_modes(void)
{
    T_CASE(t_gpm_sum);
    T_CASE(t_gpm_pairs);
    T_CASE(t_gpm_whole);
    T_CASE(t_gpm_large);
}
