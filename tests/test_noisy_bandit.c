/* test_noisy_bandit.c - a bandit of ever more codes: their number, who is shown, what a
 * told mean does. SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_NB_D = 4, T_NB_MOST = 1000 };

static mango_opt *t_nb_new(const char *set, uint64_t seed)
{
    static const mango_idx n[T_NB_D] = {50, 50, 50, 50};
    const mango_modes m = {T_NB_D, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("noisy-bandit", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

/* The codes shown and how often. */
typedef struct t_nb_log {
    mango_idx I[T_NB_MOST][T_NB_D], shown[T_NB_MOST], n;
} t_nb_log;

static mango_idx t_nb_note(t_nb_log *log, const mango_idx *I)
{
    mango_idx i = 0;
    while (i < log->n && memcmp(log->I[i], I, sizeof log->I[i]) != 0)
        i++;
    if (i == log->n) {
        memcpy(log->I[i], I, sizeof log->I[i]);
        log->shown[i] = 0;
        log->n++;
    }
    log->shown[i]++;
    return i;
}

static double t_nb_true(const mango_idx *I)
{
    return (double)(I[0] + I[1]) * 0.01; /* 0 .. 0.98 */
}

/* Arms m after N queries: (m - 1)^3 <= 20 N < m^3; each of them is shown. */
static void t_nb_growth(void)
{
    static t_nb_log log;
    mango_opt *p = t_nb_new("", 2);
    memset(&log, 0, sizeof log);
    for (mango_idx q = 0; q < T_NB_MOST; q++) {
        mango_idx I[T_NB_D], K = 0;
        T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
        T_EQ(K, 1);
        t_nb_note(&log, I);
        const double y = t_nb_true(I), m = (double)log.n, N = (double)q;
        T_CHECK(q < 4 ? log.n == q + 1 : m * m * m > 20.0 * N);
        T_CHECK((m - 1.0) * (m - 1.0) * (m - 1.0) <= 20.0 * N);
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
    }
    mango_idx rare = 0;
    for (mango_idx i = 0; i < log.n; i++)
        rare += log.shown[i] < 2;
    T_CHECK(log.n == 28 && rare <= 3); /* the last ones, perhaps */
    mango_opt_destroy(p);
}

/* Noise as large as the whole range: the arm shown most is among the best three. */
static void t_nb_noise(void)
{
    static t_nb_log log;
    mango_idx good = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        mango_opt *p = t_nb_new("", seed);
        mango_rng rng;
        mango_rng_init(&rng, seed, 5, 0);
        memset(&log, 0, sizeof log);
        for (mango_idx q = 0; q < T_NB_MOST; q++) {
            mango_idx I[T_NB_D], K = 1;
            T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
            t_nb_note(&log, I);
            const double y = t_nb_true(I) + 0.5 * mango_rng_normal(&rng);
            T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
        }
        mango_idx most = 0, better = 0;
        for (mango_idx i = 1; i < log.n; i++)
            most = log.shown[i] > log.shown[most] ? i : most;
        for (mango_idx i = 0; i < log.n; i++)
            better += t_nb_true(log.I[i]) > t_nb_true(log.I[most]);
        good += better <= 2;
        mango_opt_destroy(p);
    }
    T_CHECK(good >= 8);
}

/* A mean of many presentations, told of codes it did not ask for, is what is known: the
 * best is shown most of the time that arms are not drawn by chance. Told again with a
 * worse one, it gives way. */
static void t_nb_again(void)
{
    mango_idx I[3 * T_NB_D] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, J[T_NB_D];
    mango_told t[3];
    mango_opt *p = t_nb_new("", 4);
    static const double y[2][3] = {{0.1, 0.9, 0.5}, {0.1, 0.2, 0.5}};
    for (int round = 0; round < 2; round++) {
        mango_idx shown[3] = {0, 0, 0}, K;
        for (int i = 0; i < 3; i++) {
            const mango_told row = {MANGO_UNASKED, I + i * T_NB_D, y[round][i], 1e-4, 50, 0.0};
            t[i] = row;
        }
        T_STATUS(mango_opt_tell_all(p, 3, t), MANGO_OK);
        for (int q = 0; q < 400; q++) {
            K = 1;
            T_STATUS(mango_opt_ask(p, 1, &K, J), MANGO_OK);
            for (int i = 0; i < 3; i++)
                shown[i] += memcmp(J, I + i * T_NB_D, sizeof J) == 0;
        }
        const int best = round ? 2 : 1;
        T_CHECK(shown[best] > 150 && shown[0] < 100 && shown[3 - best] < 100);
    }
    mango_opt_destroy(p);
}

/* The same codes on every machine. */
static void t_nb_bits(void)
{
    mango_opt *p = t_nb_new("k=3", 7);
    uint64_t h = 0xcbf29ce484222325u;
    for (int q = 0; q < 200; q++) {
        mango_idx I[3 * T_NB_D], K = 0;
        double y[3];
        T_STATUS(mango_opt_ask(p, 3, &K, I), MANGO_OK);
        for (mango_idx i = 0; i < K * T_NB_D; i++)
            h = (h ^ (uint64_t)I[i]) * 0x100000001b3u;
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_nb_true(I + k * T_NB_D) + 0.1 * (double)(q % 3);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_CHECK(h == 0x11b0bf3c6ca48550u);
    mango_opt_destroy(p);
}

void t_noisy_bandit(void)
{
    T_CASE(t_nb_growth);
    T_CASE(t_nb_noise);
    T_CASE(t_nb_again);
    T_CASE(t_nb_bits);
}
