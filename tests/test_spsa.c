/* test_spsa.c - simultaneous perturbation: pairs, its step to the last digit, what a
 * missing or a late value does, known optima. SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_SPSA_D = 8 };

static mango_opt *t_spsa_new(const mango_modes *m, const char *set, uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("spsa", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

static mango_modes t_spsa_modes(mango_idx *n, mango_idx d, mango_idx levels)
{
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_modes m = {d, n};
    return m;
}

/* Both halves of a pair. */
static void t_spsa_pair(mango_opt *p, mango_idx *I)
{
    mango_idx K = 2;
    T_STATUS(mango_opt_ask(p, 2, &K, I), MANGO_OK);
}

/* The place of an interval's level, in standard deviations of the uniform law. */
static double t_spsa_place(mango_idx i)
{
    return sqrt(12.0) * ((double)i / (double)(MANGO_REAL - 1) - 0.5);
}

/* The first pairs lie about the middle, on both sides of it in every mode; pairs differ. */
static void t_spsa_pairs(void)
{
    mango_idx n[T_SPSA_D], I[2 * T_SPSA_D], ups = 0;
    const mango_modes m = t_spsa_modes(n, T_SPSA_D, 16);
    mango_opt *p = t_spsa_new(&m, "", 3);
    for (int k = 0; k < 200; k++) {
        t_spsa_pair(p, I);
        for (int j = 0; j < T_SPSA_D; j++) {
            T_CHECK((I[j] == 7 && I[T_SPSA_D + j] == 8) || (I[j] == 8 && I[T_SPSA_D + j] == 7));
            ups += I[j] == 7;
        }
    }
    T_NEAR(ups, 800, 80); /* four standard deviations */
    mango_opt_destroy(p);
}

/* Equations (1) and (2) on an interval, where places are known to 1e-9: two steps, and
 * none for a pair of which one value is missing. */
static void t_spsa_step(void)
{
    mango_idx n[1], I[2];
    const mango_modes m = t_spsa_modes(n, 1, MANGO_REAL);
    mango_opt *p = t_spsa_new(&m, "a=2,c=0.2,A=10", 5);
    double t = 0.0;
    int steps = 0;
    for (int k = 0; k < 6; k++) {
        const double c = 0.2 / pow(k + 1.0, 0.101);
        t_spsa_pair(p, I);
        const double minus = t_spsa_place(I[0]), plus = t_spsa_place(I[1]);
        T_NEAR(0.5 * (minus + plus), t, 1e-8);
        T_NEAR(0.5 * fabs(plus - minus), c, 1e-8);
        const double y[2] = {k == 3 ? (double)NAN : 0.3 * minus, 0.3 * plus + 0.1};
        T_STATUS(mango_opt_tell(p, 1, I + 1, y + 1), MANGO_OK); /* the second one first */
        T_STATUS(mango_opt_tell(p, 1, I, y), MANGO_OK);
        if (k == 3)
            continue;
        t += 2.0 / pow(steps + 1.0 + 10.0, 0.602) * (y[1] - y[0]) / (plus - minus);
        steps++;
    }
    mango_opt_destroy(p);
}

/* Told by code or by number, at once or late and out of order: the same codes follow. */
static void t_spsa_tells(void)
{
    enum { K = 7 }; /* odd: a pair lies in two asks */
    mango_idx n[T_SPSA_D], I[K * T_SPSA_D], J[K * T_SPSA_D];
    const mango_modes m = t_spsa_modes(n, T_SPSA_D, 64);
    mango_opt *p = t_spsa_new(&m, "scaled=1,a=1", 9), *q = t_spsa_new(&m, "scaled=1,a=1", 9);
    for (int round = 0; round < 30; round++) {
        mango_idx k = K;
        uint64_t id[K];
        double y[K];
        mango_told t[K];
        T_STATUS(mango_opt_ask(p, K, &k, I), MANGO_OK);
        T_STATUS(mango_opt_ask_ids(q, K, &k, J, id), MANGO_OK);
        T_MEM(J, I, sizeof I);
        for (k = 0; k < K; k++) {
            y[k] = 0.0;
            for (int j = 0; j < T_SPSA_D; j++)
                y[k] -= (double)((I[k * T_SPSA_D + j] - 40) * (I[k * T_SPSA_D + j] - 40));
            const mango_told row = {id[k], J + k * T_SPSA_D, y[k], NAN, 1, 0.0};
            t[k] = row;
        }
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        T_STATUS(mango_opt_tell_all(q, K, t), MANGO_OK);
        T_STATUS(mango_opt_tell_all(q, K, t), MANGO_OK); /* again: says nothing */
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* Three levels: the middle one is the only one near 0, so the pair is parted. */
static void t_spsa_parted(void)
{
    mango_idx n[T_SPSA_D], I[2 * T_SPSA_D];
    const mango_modes m = t_spsa_modes(n, T_SPSA_D, 3);
    mango_opt *p = t_spsa_new(&m, "", 3);
    for (int k = 0; k < 50; k++) {
        t_spsa_pair(p, I);
        for (int j = 0; j < T_SPSA_D; j++)
            T_CHECK(I[j] == 1 && I[T_SPSA_D + j] != 1);
    }
    mango_opt_destroy(p);
}

/* A minimum away from the middle, on levels, with a scale of 1 and of a million. */
static void t_spsa_optimum(void)
{
    for (int i = 0; i < 6; i++) {
        const double scale = i % 2 ? 1e6 : 1.0;
        mango_idx n[T_SPSA_D], I[2 * T_SPSA_D];
        const mango_modes m = t_spsa_modes(n, T_SPSA_D, 64);
        mango_opt *p = t_spsa_new(&m, "minimize=1,scaled=1,a=0.5", (uint64_t)i);
        double best = 0.0;
        for (int k = 0; k < 500; k++) {
            double y[2] = {0.0, 0.0};
            t_spsa_pair(p, I);
            for (int j = 0; j < 2 * T_SPSA_D; j++) {
                const double off = (double)(I[j] - 44 + 3 * (j % T_SPSA_D));
                y[j / T_SPSA_D] += scale * off * off;
            }
            T_STATUS(mango_opt_tell(p, 2, I, y), MANGO_OK);
        }
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        T_CHECK(best <= 40.0 * scale); /* of some 1,100 in the middle */
        mango_opt_destroy(p);
    }
}

/* The same codes on every machine. */
static void t_spsa_bits(void)
{
    mango_idx n[6] = {5, 9, MANGO_REAL, 2, MANGO_REAL, 64}, I[12];
    const mango_modes m = {6, n};
    mango_opt *p = t_spsa_new(&m, "scaled=1,a=1", 7);
    uint64_t h = 0xcbf29ce484222325u;
    for (int q = 0; q < 200; q++) {
        double y[2] = {0.0, 0.0};
        t_spsa_pair(p, I);
        for (int j = 0; j < 12; j++) {
            h = (h ^ (uint64_t)I[j]) * 0x100000001b3u;
            y[j / 6] -= fabs((double)I[j] / (double)n[j % 6] - 0.37);
        }
        T_STATUS(mango_opt_tell(p, 2, I, y), MANGO_OK);
    }
    T_CHECK(h == 0xcc572262594ef150u);
    mango_opt_destroy(p);
}

void t_spsa(void)
{
    T_CASE(t_spsa_pairs);
    T_CASE(t_spsa_step);
    T_CASE(t_spsa_tells);
    T_CASE(t_spsa_parted);
    T_CASE(t_spsa_optimum);
    T_CASE(t_spsa_bits);
}
