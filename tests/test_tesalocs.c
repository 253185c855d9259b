/* test_tesalocs.c - TESALOCS: samples of a tensor train and local search from them.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_TESA_D = 10, T_TESA_CAP = 128 };

static const mango_idx t_tesa_n[T_TESA_D] = {16, 7, 16, 5, 64, 1, 2, 16, 3, 8};

static mango_opt *t_tesa_new(const char *set, uint64_t seed)
{
    const mango_modes m = {T_TESA_D, t_tesa_n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("tesalocs", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

/* Distances to the middle of each mode, neighbours coupled; the best is 0. */
static double t_tesa_value(const mango_idx *I)
{
    double s = 0.0, before = 0.0;
    for (int j = 0; j < T_TESA_D; j++) {
        const double x = (double)(I[j] - t_tesa_n[j] / 2) / (double)t_tesa_n[j];
        s -= x * x + 0.5 * fabs(x) + 0.8 * x * before;
        before = x;
    }
    return s;
}

static mango_idx t_tesa_apart(const mango_idx *I, const mango_idx *J)
{
    mango_idx n = 0;
    for (int j = 0; j < T_TESA_D; j++)
        n += I[j] != J[j];
    return n;
}

static mango_idx t_tesa_round(mango_opt *p, mango_idx *I, double *y)
{
    mango_idx K = 0;
    T_STATUS(mango_opt_ask(p, T_TESA_CAP, &K, I), MANGO_OK);
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_tesa_value(I + k * T_TESA_D);
    T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    return K;
}

static void t_tesa_optimum(void)
{
    static mango_idx I[T_TESA_CAP * T_TESA_D];
    for (uint64_t seed = 0; seed < 4; seed++) {
        mango_opt *p = t_tesa_new(seed % 2 ? "quantized=0" : "", seed);
        double y[T_TESA_CAP], best;
        for (mango_idx q = 0; q < 2500;)
            q += t_tesa_round(p, I, y);
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        T_NEAR(best, 0.0, 1e-12);
        mango_opt_destroy(p);
    }
}

/* After k samples come neighbours of the best two of them, in turn: one mode apart. Each
 * step starts from the better of a start and its neighbours. */
static void t_tesa_steps(void)
{
    static mango_idx I[T_TESA_CAP * T_TESA_D], start[2 * T_TESA_D];
    double y[T_TESA_CAP], at[2];
    mango_opt *p = t_tesa_new("k=20,starts=2,tries=6", 3);
    char why[160];
    T_EQ(t_tesa_round(p, I, y), 20);
    T_CHECK(mango_opt_why(p, 0, why, sizeof why) > 0 && strstr(why, "sample"));
    mango_idx a = 0, b = -1;
    for (mango_idx k = 1; k < 20; k++)
        if (y[k] > y[a])
            a = k;
    for (mango_idx k = 0; k < 20; k++)
        if (k != a && (b < 0 || y[k] > y[b]))
            b = k;
    memcpy(start, I + a * T_TESA_D, T_TESA_D * sizeof *I);
    memcpy(start + T_TESA_D, I + b * T_TESA_D, T_TESA_D * sizeof *I);
    at[0] = y[a];
    at[1] = y[b];
    for (int step = 0; step < 3; step++) {
        T_EQ(t_tesa_round(p, I, y), 12);
        T_CHECK(mango_opt_why(p, 3, why, sizeof why) > 0 && strstr(why, "neighbour"));
        for (mango_idx k = 0; k < 12; k++)
            T_EQ(t_tesa_apart(I + k * T_TESA_D, start + k % 2 * T_TESA_D), 1);
        for (mango_idx k = 0; k < 12; k++)
            if (y[k] > at[k % 2]) {
                at[k % 2] = y[k];
                memcpy(start + k % 2 * T_TESA_D, I + k * T_TESA_D, T_TESA_D * sizeof *I);
            }
    }
    mango_opt_destroy(p);
}

/* A better code that nobody proposed becomes a start; told again as bad it is none. */
static void t_tesa_guest(void)
{
    static mango_idx I[T_TESA_CAP * T_TESA_D];
    double y[T_TESA_CAP];
    const mango_idx best[T_TESA_D] = {8, 3, 8, 2, 32, 0, 1, 8, 1, 4};
    mango_opt *p = t_tesa_new("k=20,starts=1,tries=8", 3);
    t_tesa_round(p, I, y);
    const double good = 1.0, bad = -100.0;
    T_STATUS(mango_opt_tell(p, 1, best, &good), MANGO_OK);
    T_EQ(t_tesa_round(p, I, y), 8);
    for (int k = 0; k < 8; k++)
        T_EQ(t_tesa_apart(I + k * T_TESA_D, best), 1);
    T_STATUS(mango_opt_tell(p, 1, best, &bad), MANGO_OK); /* the start loses its value */
    T_EQ(t_tesa_round(p, I, y), 8);
    int away = 0;
    for (int k = 0; k < 8; k++)
        away += t_tesa_apart(I + k * T_TESA_D, best) == 2;
    T_CHECK(away >= 6); /* one mode from a neighbour */
    mango_opt_destroy(p);
}

/* Equal values are ordered by their ties. */
static void t_tesa_ties(void)
{
    static mango_idx I[T_TESA_CAP * T_TESA_D];
    mango_told told[T_TESA_CAP];
    uint64_t id[T_TESA_CAP];
    mango_opt_info info;
    mango_idx first[T_TESA_D];
    mango_opt *p = t_tesa_new("k=10,starts=1,tries=4", 5);
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    T_CHECK(info.ties == 1 && info.retell == 1);
    for (int round = 0; round < 2; round++) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask_ids(p, T_TESA_CAP, &K, I, id), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const mango_told row = {id[k], I + k * T_TESA_D, 0.5, NAN, 1, k == 6 ? 2.0 : 1.0};
            told[k] = row;
        }
        if (round == 0)
            memcpy(first, I + 6 * T_TESA_D, sizeof first);
        else
            for (mango_idx k = 0; k < K; k++)
                T_EQ(t_tesa_apart(I + k * T_TESA_D, first), 1);
        T_STATUS(mango_opt_tell_all(p, K, told), MANGO_OK);
    }
    mango_opt_destroy(p);
}

/* Any order, any pieces: the same codes; and what they are, bit for bit. */
static void t_tesa_golden(void)
{
    static const struct { const char *set; uint64_t h; } want[] = {
        {"", 0x3081a0e9368afda5u},
        {"quantized=0,k=12,starts=3,tries=2,lr=0.3,minimize=1", 0xfdcd319e8bd8f86au}};
    static mango_idx I[2][T_TESA_CAP * T_TESA_D];
    for (int i = 0; i < 2; i++) {
        mango_opt *p[2] = {t_tesa_new(want[i].set, 7), t_tesa_new(want[i].set, 7)};
        uint64_t h = 0xcbf29ce484222325u;
        for (int round = 0; round < 60; round++) {
            mango_idx K = 0;
            for (int o = 0; o < 2; o++) {
                K = round % 5 == 4 ? 33 : 0;
                T_STATUS(mango_opt_ask(p[o], T_TESA_CAP, &K, I[o]), MANGO_OK);
            }
            T_REQUIRE(!memcmp(I[0], I[1], (size_t)(K * T_TESA_D) * sizeof **I));
            for (mango_idx k = 0; k < K * T_TESA_D; k++)
                h = (h ^ (uint64_t)I[0][k]) * 0x100000001b3u;
            for (mango_idx k = 0; k < K; k++)
                for (int o = 0; o < 2; o++) {
                    const mango_idx *at = I[o] + (o ? K - 1 - k : k) * T_TESA_D;
                    const double y = at[4] % 9 == 5 ? (double)NAN : t_tesa_value(at);
                    T_STATUS(mango_opt_tell(p[o], 1, at, &y), MANGO_OK);
                }
        }
        if (!T_CHECK(h == want[i].h))
            printf("    \"%s\": 0x%016llxu\n", want[i].set, (unsigned long long)h);
        mango_opt_destroy(p[0]);
        mango_opt_destroy(p[1]);
    }
}

void t_tesalocs(void)
{
    T_CASE(t_tesa_optimum);
    T_CASE(t_tesa_steps);
    T_CASE(t_tesa_guest);
    T_CASE(t_tesa_ties);
    T_CASE(t_tesa_golden);
}
