/* test_gradient.c - ascent along a known derivative: by steps and by swaps.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GR_D = 12, T_GR_N = 64, T_GR_M = 3, T_GR_CAP = 16 };

/* An objective: how many calls, and whether it fails. */
typedef struct t_gr {
    float levels[T_GR_N * T_GR_M]; /* a codebook */
    mango_idx calls;
    int fails;
    double sign;
} t_gr;

/* -sum (c_j - 10 - 4 j)^2 of ordered levels, and its derivative. */
static double t_gr_bowl(const mango_idx *I, float *dy)
{
    double y = 0.0;
    for (mango_idx j = 0; j < T_GR_D; j++) {
        const double off = (double)(I[j] - 10 - 4 * j);
        y -= off * off;
        if (dy)
            dy[j] = (float)(-2.0 * off);
    }
    return y;
}

static mango_status t_gr_ordered(void *ud, mango_idx K, const mango_idx *I, double *y,
                                 float *dy)
{
    t_gr *g = ud;
    g->calls += K;
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_gr_bowl(I + k * T_GR_D, dy + k * T_GR_D);
    return g->fails ? MANGO_E_STATE : MANGO_OK;
}

/* -sum_j |e_j - target|^2 over the embeddings, and its derivative by them. */
static double t_gr_near(const t_gr *g, const mango_idx *I, float *dy)
{
    double y = 0.0;
    for (mango_idx j = 0; j < T_GR_D; j++)
        for (mango_idx c = 0; c < T_GR_M; c++) {
            const float off = g->levels[I[j] * T_GR_M + c] - 0.3f * (float)((j + c) % 3);
            y -= (double)off * (double)off;
            if (dy)
                dy[j * T_GR_M + c] = -2.0f * off;
        }
    return y;
}

static mango_status t_gr_codes(void *ud, mango_idx K, const mango_idx *I, double *y, float *dy)
{
    t_gr *g = ud;
    g->calls += K;
    for (mango_idx k = 0; k < K; k++) {
        y[k] = g->sign * t_gr_near(g, I + k * T_GR_D, dy + k * T_GR_D * T_GR_M);
        for (mango_idx i = 0; i < T_GR_D * T_GR_M; i++)
            dy[k * T_GR_D * T_GR_M + i] *= (float)g->sign;
    }
    return MANGO_OK;
}

static t_gr t_gr_new(void)
{
    t_gr g = {{0.0f}, 0, 0, 1.0};
    mango_rng rng;
    mango_rng_init(&rng, 1, 2, 3);
    for (mango_idx i = 0; i < T_GR_N * T_GR_M; i++)
        g.levels[i] = (float)mango_rng_normal(&rng);
    return g;
}

static mango_opt *t_gr_opt(t_gr *g, int codes, const char *set, uint64_t seed)
{
    mango_idx n[T_GR_D];
    for (mango_idx j = 0; j < T_GR_D; j++)
        n[j] = T_GR_N;
    const mango_modes m = {T_GR_D, n};
    mango_facts f;
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.gradient = codes ? t_gr_codes : t_gr_ordered;
    f.gradient_ud = g;
    f.level_dim = codes ? T_GR_M : 0;
    f.levels = codes ? g->levels : NULL;
    T_OK(mango_opt_defaults("gradient", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, &f, &o, seed, NULL, &err), &err);
    return p;
}

/* The best of so many queries. */
static double t_gr_run(t_gr *g, int codes, const char *set, uint64_t seed, mango_idx queries)
{
    mango_opt *p = t_gr_opt(g, codes, set, seed);
    double best = NAN;
    for (mango_idx q = 0; p && q < queries;) {
        mango_idx I[T_GR_CAP * T_GR_D], K = 0;
        double y[T_GR_CAP];
        T_STATUS(mango_opt_ask(p, T_GR_CAP, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++, q++)
            y[k] = codes ? g->sign * t_gr_near(g, I + k * T_GR_D, NULL)
                         : t_gr_bowl(I + k * T_GR_D, NULL);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
    mango_opt_destroy(p);
    return best;
}

/* Ordered levels: all twelve within a level of the top after 100 steps of each start,
 * with a call for each proposal at most. */
static void t_gr_steps(void)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        t_gr g = t_gr_new();
        T_CHECK(t_gr_run(&g, 0, "", seed, 400) >= -6.0);
        T_CHECK(g.calls <= 400);
    }
}

/* Codes: the derivative of a sum is exact enough to find each mode's nearest code; the
 * optimum is known by looking at all. */
static void t_gr_swaps(void)
{
    t_gr g = t_gr_new();
    mango_idx I[T_GR_D];
    for (mango_idx j = 0; j < T_GR_D; j++) {
        double best = -1e30;
        for (mango_idx l = 0; l < T_GR_N; l++) {
            double y = 0.0;
            for (mango_idx c = 0; c < T_GR_M; c++) {
                const double off =
                    (double)(g.levels[l * T_GR_M + c] - 0.3f * (float)((j + c) % 3));
                y -= off * off;
            }
            I[j] = y > best ? l : I[j];
            best = y > best ? y : best;
        }
    }
    const double top = t_gr_near(&g, I, NULL);
    for (uint64_t seed = 0; seed < 3; seed++) {
        const double found = t_gr_run(&g, 1, "", seed, 600);
        T_CHECK(found <= top + 1e-9 && found >= 2.0 * top); /* a start has some -40 */
    }
    g.sign = -1.0;
    T_CHECK(t_gr_run(&g, 1, "minimize=1", 0, 600) <= -2.0 * top);
}

/* A unit that is silent everywhere: ties lead, as values do. */
static void t_gr_ties(void)
{
    t_gr g = t_gr_new();
    mango_opt *p = t_gr_opt(&g, 1, "", 2);
    double first = -1e30, last = -1e30;
    for (mango_idx q = 0; p && q < 50; q++) {
        mango_idx I[T_GR_CAP * T_GR_D], K = 0;
        mango_told t[T_GR_CAP];
        uint64_t id[T_GR_CAP];
        T_STATUS(mango_opt_ask_ids(p, T_GR_CAP, &K, I, id), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const double tie = t_gr_near(&g, I + k * T_GR_D, NULL);
            const mango_told row = {id[k], I + k * T_GR_D, 0.0, NAN, 1, tie};
            t[k] = row;
            first = q == 0 && tie > first ? tie : first;
            last = tie > last ? tie : last;
        }
        T_STATUS(mango_opt_tell_all(p, K, t), MANGO_OK);
    }
    T_CHECK(last > 0.25 * first); /* a quarter of the distance at the start */
    mango_opt_destroy(p);
}

/* Without a derivative it says so; where the objective gives none, the ask does. */
static void t_gr_refused(void)
{
    static const mango_idx n[2] = {4, 4};
    const mango_modes m = {2, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_STATUS(mango_opt_defaults("gradient", &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 1, NULL, &err), MANGO_E_UNSUPPORTED);
    T_CHECK(!p && strstr(err.text, "needs a differentiable objective"));
    t_gr g = t_gr_new();
    mango_idx I[T_GR_CAP * T_GR_D], K = 4;
    g.fails = 1;
    p = t_gr_opt(&g, 0, "", 1);
    T_STATUS(mango_opt_ask(p, T_GR_CAP, &K, I), MANGO_OK); /* the starts */
    T_STATUS(mango_opt_ask(p, T_GR_CAP, &K, I), MANGO_E_STATE);
    T_CHECK(strstr(mango_opt_error(p), "no derivative"));
    mango_opt_destroy(p);
}

/* The same codes on every machine. */
static void t_gr_bits(void)
{
    static const uint64_t want[2] = {0xbcb4260f0cef9b84u, 0x2ea64b4cf716fa4au};
    for (int codes = 0; codes < 2; codes++) {
        t_gr g = t_gr_new();
        mango_opt *p = t_gr_opt(&g, codes, "", 7);
        uint64_t h = 0xcbf29ce484222325u;
        for (int q = 0; q < 40; q++) {
            mango_idx I[T_GR_CAP * T_GR_D], K = 0;
            double y[T_GR_CAP];
            T_STATUS(mango_opt_ask(p, T_GR_CAP, &K, I), MANGO_OK);
            for (mango_idx i = 0; i < K * T_GR_D; i++)
                h = (h ^ (uint64_t)I[i]) * 0x100000001b3u;
            for (mango_idx k = 0; k < K; k++)
                y[k] = codes ? t_gr_near(&g, I + k * T_GR_D, NULL)
                             : t_gr_bowl(I + k * T_GR_D, NULL);
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_CHECK(h == want[codes]);
        mango_opt_destroy(p);
    }
}

void t_gradient(void)
{
    T_CASE(t_gr_steps);
    T_CASE(t_gr_swaps);
    T_CASE(t_gr_ties);
    T_CASE(t_gr_refused);
    T_CASE(t_gr_bits);
}
