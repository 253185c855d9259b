/* test_optima_tt.c - Optima-TT: the largest entries of a tensor train that interpolates.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_OPTIMA_D = 8, T_OPTIMA_CAP = 256 };

static const mango_idx t_optima_n[T_OPTIMA_D] = {16, 7, 16, 5, 64, 16, 2, 16};

static mango_opt *t_optima_new(const char *set, mango_idx d, const mango_idx *n, uint64_t seed)
{
    const mango_modes m = {d, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("optima-tt", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

/* A table of random numbers a mode, from -1 to 1. */
static double t_optima_part(uint64_t seed, mango_idx j, mango_idx i)
{
    mango_rng rng;
    mango_rng_init(&rng, seed, 99, (uint64_t)(1000 * j + i));
    return 2.0 * mango_rng_uniform(&rng) - 1.0;
}

/* A sum of one term a mode: a tensor train of rank 2. */
static double t_optima_sum(uint64_t seed, mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += t_optima_part(seed, j, I[j]);
    return s;
}

static double t_optima_most(uint64_t seed)
{
    double s = 0.0;
    for (mango_idx j = 0; j < T_OPTIMA_D; j++) {
        double most = -2.0;
        for (mango_idx i = 0; i < t_optima_n[j]; i++)
            most = MGI_MAX(most, t_optima_part(seed, j, i));
        s += most;
    }
    return s;
}

/* A train of that rank holds such a function exactly, so that the code after the first
 * sweeps there and back is the best of all 587 million: after so few queries. */
static void t_optima_exact(void)
{
    static mango_idx I[T_OPTIMA_CAP * T_OPTIMA_D];
    for (uint64_t seed = 0; seed < 8; seed++) {
        mango_opt *p = t_optima_new("quantized=0,grow=0", T_OPTIMA_D, t_optima_n, seed);
        double y[T_OPTIMA_CAP], best = 0.0;
        int proposed = 0;
        for (mango_idx q = 0, K; q < 1400; q += K) {
            char why[200];
            K = 0;
            T_STATUS(mango_opt_ask(p, T_OPTIMA_CAP, &K, I), MANGO_OK);
            mango_opt_why(p, 0, why, sizeof why);
            proposed += strstr(why, "promises most") != NULL;
            for (mango_idx k = 0; k < K; k++)
                y[k] = t_optima_sum(seed, T_OPTIMA_D, I + k * T_OPTIMA_D);
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        T_NEAR(best, t_optima_most(seed), 1e-12);
        T_CHECK(proposed > 0);
        mango_opt_destroy(p);
    }
}

/* Modes as bits, ranks that grow, values of any size and sign, minimized. */
static void t_optima_bits(void)
{
    static const mango_idx n[4] = {32, 32, 32, 32};
    static mango_idx I[T_OPTIMA_CAP * 4];
    for (int i = 0; i < 3; i++) {
        const double scale = i == 0 ? 1.0 : i == 1 ? 1e250 : 1e-280;
        mango_opt *p = t_optima_new("minimize=1", 4, n, 5);
        mango_idx at[4];
        for (mango_idx q = 0, K; q < 3000; q += K) {
            double y[T_OPTIMA_CAP];
            K = 0;
            T_STATUS(mango_opt_ask(p, T_OPTIMA_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++) {
                y[k] = -5.0;
                for (int j = 0; j < 4; j++) {
                    const double x = (double)(I[4 * k + j] - 9 - 3 * j);
                    const double z = j ? (double)(I[4 * k + j - 1] - 6 - 3 * j) : 0.0;
                    y[k] += x * x - 0.7 * x * z;
                }
                y[k] *= scale;
            }
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_STATUS(mango_opt_best(p, NULL, at), MANGO_OK);
        T_CHECK(at[0] == 9 && at[1] == 12 && at[2] == 15 && at[3] == 18);
        mango_opt_destroy(p);
    }
}

/* Nothing twice as long as there is something else; also with missing values. */
static void t_optima_once(void)
{
    enum { MANY = 1200 };
    static mango_idx I[(MANY + T_OPTIMA_CAP) * T_OPTIMA_D];
    mango_opt *p = t_optima_new("", T_OPTIMA_D, t_optima_n, 3);
    mango_idx q = 0, twice = 0;
    for (mango_idx K; q < MANY; q += K) {
        double y[T_OPTIMA_CAP];
        mango_idx *at = I + q * T_OPTIMA_D;
        K = q % 3 ? 0 : 50;
        T_STATUS(mango_opt_ask(p, T_OPTIMA_CAP, &K, at), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = k % 4 == 1 ? (double)NAN : t_optima_sum(1, T_OPTIMA_D, at + k * T_OPTIMA_D);
        T_STATUS(mango_opt_tell(p, K, at, y), MANGO_OK);
    }
    for (mango_idx k = 0; k < q; k++)
        for (mango_idx l = 0; l < k; l++)
            twice += !memcmp(I + k * T_OPTIMA_D, I + l * T_OPTIMA_D, T_OPTIMA_D * sizeof *I);
    T_EQ(twice, 0);
    char text[4096];
    T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
    T_CHECK(strstr(text, "promised most") && strstr(text, "values told"));
    mango_opt_destroy(p);
}

/* The proposals stay what they are, bit for bit. */
static void t_optima_golden(void)
{
    static const struct { const char *set; uint64_t h; } want[] = {
        {"", 0x5d89f2a59e88f266u}, {"quantized=0,r=3,minimize=1", 0xb3152417f9b98a35u}};
    static mango_idx I[T_OPTIMA_CAP * T_OPTIMA_D];
    for (int i = 0; i < 2; i++) {
        mango_opt *p = t_optima_new(want[i].set, T_OPTIMA_D, t_optima_n, 21);
        uint64_t h = 0xcbf29ce484222325u;
        for (int round = 0; round < 60; round++) {
            double y[T_OPTIMA_CAP];
            mango_idx K = round % 5 == 4 ? 37 : 0;
            T_STATUS(mango_opt_ask(p, T_OPTIMA_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = k % 9 == 5 ? (double)NAN
                                  : t_optima_sum(4, T_OPTIMA_D, I + k * T_OPTIMA_D);
            for (mango_idx k = 0; k < K * T_OPTIMA_D; k++)
                h = (h ^ (uint64_t)I[k]) * 0x100000001b3u;
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
            if (round == 40)
                T_STATUS(mango_opt_restart(p), MANGO_OK);
        }
        if (!T_CHECK(h == want[i].h))
            printf("    \"%s\": 0x%016llxu\n", want[i].set, (unsigned long long)h);
        mango_opt_destroy(p);
    }
}

void t_optima_tt(void)
{
    T_CASE(t_optima_exact);
    T_CASE(t_optima_bits);
    T_CASE(t_optima_once);
    T_CASE(t_optima_golden);
}
