/* test_bandit.c - the bandit over methods: every arm first, the better one mostly, the
 * one that has become better soon; and auto, which stands on it.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static void t_bandit_first(void)
{
    mgi_bandit b;
    mgi_bandit_init(&b, 3, 0.9, 0.2);
    for (int i = 0; i < 3; i++) {
        T_EQ(mgi_bandit_next(&b), i);
        mgi_bandit_reward(&b, i, 1, 0);
    }
}

/* Rewards .2 and .5, exchanged half way: pulls of the better arm in each half. */
static void t_bandit_follows(void)
{
    mgi_bandit b;
    int good[2] = {0, 0};
    mgi_bandit_init(&b, 2, 0.9, 0.2);
    for (int t = 0; t < 200; t++) {
        const int half = t >= 100, arm = mgi_bandit_next(&b);
        good[half] += arm == half;
        mgi_bandit_reward(&b, arm, 1, arm == half ? 0.5 : 0.2);
    }
    T_CHECK(good[0] >= 65 && good[1] >= 60);
    T_CHECK(good[0] < 100 && good[1] < 100); /* the other is still tried */
}

/* The best 20 so far: equal values by their ties, missing ones never. */
static void t_bandit_enters(void)
{
    mgi_bandit b;
    mgi_bandit_init(&b, 2, 0.9, 0.2);
    for (int i = 0; i < 40; i++) {
        const mango_told t = {0, NULL, (double)(i * 7 % 40), NAN, 1, 0};
        mgi_bandit_enters(&b, &t);
    }
    for (int i = 0; i < MGI_BANDIT_ELITE; i++)
        T_CHECK(b.best[i].y == 39 - i);
    const mango_told low = {0, NULL, 19, NAN, 1, 0}, none = {0, NULL, NAN, NAN, 1, 9};
    const mango_told same = {0, NULL, 20, NAN, 1, 0}, tied = {0, NULL, 20, NAN, 1, 1};
    T_CHECK(!mgi_bandit_enters(&b, &low) && !mgi_bandit_enters(&b, &none));
    T_CHECK(!mgi_bandit_enters(&b, &same) && mgi_bandit_enters(&b, &tied));
}

/* ---- auto --------------------------------------------------------------------- */

enum { T_AUTO_D = 8, T_AUTO_K = 16 };

static mango_opt *t_auto_new(const mango_facts *f, const char *set)
{
    static const mango_idx n[T_AUTO_D] = {6, 6, 6, 6, 6, 6, 6, 6};
    const mango_modes m = {T_AUTO_D, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("auto", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, f, &o, 11, NULL, &err), &err);
    return p;
}

static double t_auto_value(const mango_idx *I)
{
    double s = 0.0;
    for (int j = 0; j < T_AUTO_D; j++)
        s -= (double)((I[j] - j % 6) * (I[j] - j % 6));
    return s;
}

/* Best after 500 values, in batches that do not divide the method's own. */
static double t_auto_run(mango_opt *p, mango_idx K)
{
    mango_idx I[T_AUTO_K * T_AUTO_D];
    double y[T_AUTO_K], best = NAN;
    for (mango_idx told = 0; told < 500; told += K) {
        mango_idx n = K;
        T_STATUS(mango_opt_ask(p, T_AUTO_K, &n, I), MANGO_OK);
        T_EQ(n, K);
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_auto_value(I + k * T_AUTO_D);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
    return best;
}

/* Whatever is known of the space, a small one is solved. */
static void t_auto_spaces(void)
{
    mango_facts none, grid, latent;
    T_STATUS(mango_facts_defaults(&none), MANGO_OK);
    grid = latent = none;
    grid.H = 2;
    grid.W = 4;
    latent.prior = MANGO_PRIOR_NORMAL;
    latent.prior_lo = -4;
    latent.prior_hi = 4;
    const mango_facts *const facts[] = {NULL, &none, &grid, &latent};
    for (mango_idx i = 0; i < MGI_COUNT(facts); i++)
        for (mango_idx K = 1; K <= T_AUTO_K; K += 5) {
            mango_opt *p = t_auto_new(facts[i], "alone=50");
            const double best = t_auto_run(p, K);
            T_CHECK(best >= -2);
            mango_opt_destroy(p);
        }
}

void t_bandit(void)
{
    T_CASE(t_bandit_first);
    T_CASE(t_bandit_follows);
    T_CASE(t_bandit_enters);
    T_CASE(t_auto_spaces);
}
