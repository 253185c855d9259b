/* test_protes_noise.c - the elite of PROTES where values have standard errors.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- posterior means and weights ------------------------------------------------------ */

static void t_pnoise_spread(void)
{
    const double y[5] = {3.0, -1.0, 4.0, 4.0, 0.0}, s2[5] = {0.0, 1.0, 0.0, 2.0, 0.5};
    mgi_spread a = {0, 0, 0.0, 0.0, 0.0};
    for (int i = 0; i < 5; i++)
        mgi_spread_add(&a, y[i], s2[i]);
    T_EQ(a.n, 5);
    T_EQ(a.known, 3);
    T_NEAR(a.mean, 2.0, 1e-15);
    T_NEAR(a.m2, 22.0, 1e-14); /* 1 + 9 + 4 + 4 + 4 */
    T_NEAR(a.s2, 3.5, 1e-15);
}

/* var = 4, mean s^2 = 1, so tau^2 = 3; a lucky 6 of s^2 = 9 falls behind a sure 5:
 * mu = 6 * 3/12 = 1.5 with v = 2.25; 5 with v = 0; 4 * 3/4 = 3 with v = .75. */
static void t_pnoise_equations(void)
{
    const mgi_spread a = {5, 3, 0.0, 16.0, 5.0};
    const double y[3] = {6.0, 5.0, 4.0}, s2[3] = {9.0, 0.0, 1.0};
    mango_idx order[3];
    double w[3];
    T_EQ(mgi_protes_noise(&a, 3, y, s2, 2, order, w), 2);
    T_CHECK(order[0] == 1 && order[1] == 2 && order[2] == 0);
    const double p = 0.5 * (1.0 + erf(3.5 / sqrt(2.0 * 2.25)));
    const double q = 0.5 * (1.0 + erf(1.5 / sqrt(2.0 * 3.0)));
    T_NEAR(w[0], 2.0 * p / (p + q), 1e-12);
    T_NEAR(w[1], 2.0 * q / (p + q), 1e-12);
    T_EQ(mgi_protes_noise(&a, 3, y, s2, 1, order, w), 1);
    T_CHECK(order[0] == 1 && w[0] == 1.0);
    T_EQ(mgi_protes_noise(&a, 2, y, s2, 5, order, w), 2); /* none left out: the mean */
    T_NEAR(w[0] + w[1], 2.0, 1e-14);
    const double sure[3] = {0.0, 0.0, 0.0}, same[3] = {1.0, 1.0, 1.0};
    const mgi_spread exact = {5, 0, 0.0, 16.0, 0.0}, equal = {3, 3, 1.0, 0.0, 3.0};
    T_EQ(mgi_protes_noise(&exact, 3, y, sure, 2, order, w), 2);
    T_CHECK(order[0] == 0 && order[1] == 1 && w[0] == 1.0 && w[1] == 1.0);
    T_EQ(mgi_protes_noise(&equal, 3, same, same, 2, order, w), 2); /* all equal: in order */
    T_CHECK(order[0] == 0 && order[1] == 1);
    T_NEAR(w[0], 1.0, 1e-14);
}

/* The gradient with weights is the sum of the rows' gradients times weight / K; with all
 * weights 1 it is the one without, bit for bit. Narrow and wide cores. */
static void t_pnoise_gradient(void)
{
    enum { D = 9, K = 4, MOST = 40000 };
    static const mango_idx n[D] = {2, 2, 64, 3, 8, 2, 100, 2, 5};
    static float g[MOST], h[MOST], sum[MOST];
    const double w[K] = {1.7, 0.3, 0.9, 1.1}, one[K] = {1.0, 1.0, 1.0, 1.0};
    mango_idx I[K * D];
    mgi_tt t;
    T_STATUS(mgi_tt_init(&t, D, n, 5, K, NULL), MANGO_OK);
    T_REQUIRE(t.size <= MOST);
    mgi_tt_uniform(&t, 3, 0);
    mgi_tt_sample(&t, K, 4, 0, I);
    for (mango_idx k = 0; k < K; k++) {
        mgi_tt_gradient(&t, 1, I + k * D, g);
        for (mango_idx i = 0; i < t.size; i++)
            sum[i] += (float)(w[k] / K) * g[i];
    }
    t.w = w;
    mgi_tt_gradient(&t, K, I, g);
    T_CLOSE(g, sum, t.size, 2e-6);
    t.w = one;
    mgi_tt_gradient(&t, K, I, h);
    t.w = NULL;
    mgi_tt_gradient(&t, K, I, g);
    T_MEM(g, h, (size_t)t.size * sizeof *g);
    mgi_tt_free(&t);
}

/* ---- through ask and tell ------------------------------------------------------------- */

enum { T_PNOISE_D = 24, T_PNOISE_CAP = 32 };

static mango_opt *t_pnoise_new(const char *name, const char *set, int noisy, uint64_t seed)
{
    static const mango_idx n[T_PNOISE_D] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
                                            4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    const mango_modes m = {T_PNOISE_D, n};
    mango_facts facts;
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    mango_facts_defaults(&facts);
    facts.noisy = noisy;
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, &facts, &o, seed, NULL, &err), &err);
    return p;
}

static double t_pnoise_true(const mango_idx *I)
{
    double s = 0.0;
    for (int j = 0; j < T_PNOISE_D; j++)
        s += I[j] == (j * 7) % 4 ? 1.0 : 0.0;
    return s;
}

/* Noise is large where mode 3 has level 0 or 1: these codes have the luckiest values. */
static double t_pnoise_sd(const mango_idx *I)
{
    return I[3] < 2 ? 6.0 : 0.5;
}

/* The mean true value of the last of 60 batches; how = 0: no variance is told. */
static double t_pnoise_run(const char *name, int noisy, int how, uint64_t seed, uint64_t *hash)
{
    static mango_idx I[T_PNOISE_CAP * T_PNOISE_D];
    mango_opt *p = t_pnoise_new(name, "k=30,k_top=4,lr=0.1", noisy, seed);
    mango_told told[T_PNOISE_CAP];
    uint64_t id[T_PNOISE_CAP];
    double mean = 0.0;
    mango_rng rng;
    mango_rng_init(&rng, seed, 5, 0);
    for (int round = 0; round < 60; round++) {
        mango_idx K = 0;
        mean = 0.0;
        T_STATUS(mango_opt_ask_ids(p, T_PNOISE_CAP, &K, I, id), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const mango_idx *at = I + k * T_PNOISE_D;
            const double sd = t_pnoise_sd(at), x = t_pnoise_true(at);
            const mango_told row = {id[k], at, x + sd * mango_rng_normal(&rng),
                                    how ? 2.0 * sd * sd : (double)NAN, 2, 0.0};
            told[k] = row;
            mean += x / (double)K;
        }
        for (mango_idx k = 0; k < K * T_PNOISE_D; k++)
            *hash = (*hash ^ (uint64_t)I[k]) * 0x100000001b3u;
        T_STATUS(mango_opt_tell_all(p, K, told), MANGO_OK);
    }
    mango_opt_destroy(p);
    return mean;
}

/* Without variances, or without noise among the facts, the codes are the same ones. */
static void t_pnoise_unchanged(void)
{
    static const char *const names[] = {"protes", "tt-b"};
    for (int i = 0; i < 2; i++) {
        uint64_t h[3] = {1, 1, 1};
        t_pnoise_run(names[i], 0, 0, 3, h);
        t_pnoise_run(names[i], 1, 0, 3, h + 1);
        t_pnoise_run(names[i], 0, 1, 3, h + 2);
        T_CHECK(h[0] == h[1] && h[0] == h[2]);
    }
}

static void t_pnoise_better(void)
{
    enum { SEEDS = 12 };
    double with = 0.0, without = 0.0;
    int wins = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t h = 1;
        const double a = t_pnoise_run("protes", 1, 1, seed, &h);
        const double b = t_pnoise_run("protes", 1, 0, seed, &h);
        with += a / SEEDS;
        without += b / SEEDS;
        wins += a > b;
    }
    if (getenv("MANGO_VERBOSE"))
        printf("    true value: with variances %.2f, without %.2f, better in %d of %d\n", with,
               without, wins, SEEDS);
    T_CHECK(with > without + 1.0 && wins >= 9);
}

void t_protes_noise(void)
{
    T_CASE(t_pnoise_spread);
    T_CASE(t_pnoise_equations);
    T_CASE(t_pnoise_gradient);
    T_CASE(t_pnoise_unchanged);
    T_CASE(t_pnoise_better);
}
