/* test_opt.c - ask/tell interface, presets, PROTES on a known optimum.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_OPT_D = 12, T_OPT_N = 8, T_OPT_CAP = 128 };

/* 12 modes of 8 levels: quantized, 36 modes of 2. */
static mango_modes t_opt_modes(void)
{
    static const mango_idx n[T_OPT_D] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};
    const mango_modes m = {T_OPT_D, n};
    return m;
}

static mango_opt *t_opt_new(const char *name, const mango_opt_options *o, uint64_t seed)
{
    mango_opt *p = NULL;
    mango_err err = {""};
    const mango_modes m = t_opt_modes();
    mango_opt_options own;
    if (!o)
        T_OK(mango_opt_defaults(name, &own, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, o ? o : &own, seed, NULL, &err), &err);
    return p;
}

/* Without ties: distinct codes have distinct values. The optimum is 5,2,5,2,... */
static double t_opt_value(const mango_idx *I)
{
    double s = 0.0;
    for (int j = 0; j < T_OPT_D; j++) {
        const double x = (double)(I[j] - (j % 2 ? 2 : 5));
        s -= x * x * (1.0 + 0.01 * j) + 1e-7 * (double)I[j] * pow(1.7, j);
    }
    return s;
}

static void t_opt_values(mango_idx K, const mango_idx *I, double *y)
{
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_opt_value(I + k * T_OPT_D);
}

/* One ask of the optimizer's own size and a full tell; returns K. */
static mango_idx t_opt_round(mango_opt *p, mango_idx *I, double *y)
{
    mango_idx K = 0;
    T_STATUS(mango_opt_ask(p, T_OPT_CAP, &K, I), MANGO_OK);
    t_opt_values(K, I, y);
    T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    return K;
}

/* ---- names, options ---- */

/* An optimizer of a preset's own options on any modes; its status. */
static mango_status t_opt_on(mango_opt **p, const char *preset, const mango_modes *m,
                             uint64_t seed, const mango_alloc *al)
{
    mango_opt_options o;
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    return mango_opt_create(p, m, NULL, &o, seed, al, NULL);
}

static void t_opt_presets(void)
{
    static const struct { const char *name; mango_idx k, top; double lr; int q; } want[] = {
        {"tt", 10, 1, 0.05, 1},      {"tt-s", 5, 1, 0.05, 1},     {"tt-b", 25, 5, 0.05, 1},
        {"tt-exp", 100, 10, 0.1, 1}, {"protes", 100, 10, 0.05, 0}, {"tt-paper", 10, 1, 0.05, 0},
    };
    mango_opt_options o;
    mango_err err = {""};
    for (mango_idx i = 0; i < MGI_COUNT(want); i++) {
        T_OK(mango_opt_defaults(want[i].name, &o, &err), &err);
        const double v[7] = {(double)want[i].k, (double)want[i].top, 1, want[i].lr, 5,
                             want[i].q, 0};
        static const char *const key[7] = {"k", "k_top", "k_gd", "lr", "r", "quantized",
                                           "minimize"};
        for (int j = 0; j < 7; j++) {
            double is = -1;
            T_STATUS(mango_opt_value(&o, key[j], &is, NULL), MANGO_OK);
            T_CHECK(is == v[j]);
        }
    }
    T_STATUS(mango_opt_defaults("tt-x", &o, &err), MANGO_E_NAME);
    T_CHECK(strstr(err.text, "tt-x") && strstr(err.text, "tt-s"));
    T_STATUS(mango_opt_defaults(NULL, &o, NULL), MANGO_E_NAME);
    T_STATUS(mango_opt_defaults_sized("tt", NULL, sizeof o, NULL), MANGO_E_ARG);
    T_STATUS(mango_opt_defaults_sized("tt", &o, sizeof o - 8, NULL), MANGO_E_ARG);
    const mango_modes m = t_opt_modes();
    T_CHECK(mango_opt_presets() >= 6);
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        mango_opt *p;
        mango_opt_preset_info row;
        T_STATUS(mango_opt_preset(i, &row), MANGO_OK);
        T_CHECK(row.name && row.method && row.meaning && strlen(row.meaning) > 8);
        const int white = strcmp(row.name, "gradient") == 0; /* wants a derivative */
        T_STATUS(t_opt_on(&p, row.name, &m, 1, NULL),
                 white ? MANGO_E_UNSUPPORTED : MANGO_OK);
        mango_opt_destroy(p);
    }
    mango_opt_destroy(NULL);
}

static void t_opt_bad_options(void)
{
    static const struct { const char *key; double value; } bad[] = {
        {"k", 0},       {"k", 2.5},     {"k", 1 << 21}, {"k_top", 0},   {"k_gd", 0},
        {"r", 0},       {"r", 257},     {"lr", 0.0},    {"lr", NAN},    {"lr", INFINITY},
        {"k", NAN},     {"k", 1e300},   {"quantized", 2}, {"quantized", -1}, {"minimize", 2}};
    mango_opt_options base, o;
    mango_opt *p;
    mango_err err = {""};
    const mango_modes m = t_opt_modes();
    T_STATUS(mango_opt_defaults("tt", &base, NULL), MANGO_OK);
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        o = base;
        T_STATUS(mango_opt_set(&o, bad[i].key, bad[i].value, &err), MANGO_E_ARG);
        T_CHECK(strstr(err.text, bad[i].key) != NULL && memcmp(&o, &base, sizeof o) == 0);
    }
    T_STATUS(mango_opt_set(&o, "k_top", 11, &err), MANGO_OK); /* but not with k = 10 */
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 1, NULL, &err), MANGO_E_ARG);
    T_CHECK(p == NULL && strstr(err.text, "k_top is 11") && strstr(err.text, "1..10"));
    o = base;
    o.value[0] = -1; /* written past mango_opt_set */
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 1, NULL, &err), MANGO_E_ARG);
    const mango_idx zero[2] = {4, 0}, big[2] = {4, MANGO_REAL + 1};
    const mango_modes none = {0, zero}, empty = {2, zero}, wide = {2, big};
    T_STATUS(mango_opt_create(&p, &none, NULL, &base, 1, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_create(&p, &empty, NULL, &base, 1, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_create(&p, &wide, NULL, &base, 1, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mode 1") != NULL);
    T_STATUS(mango_opt_create(&p, NULL, NULL, &base, 1, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_create(NULL, &m, NULL, &base, 1, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_create(&p, &m, NULL, NULL, 1, NULL, &err), MANGO_E_ARG);
    memset(&o, 0, sizeof o);
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 1, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mango_opt_defaults") != NULL);
}

/* ---- quantized modes ---- */

static void t_opt_bits(void)
{
    const mango_idx n[] = {64, 3, 1, 2, 512};
    mango_idx nq[32], Iq[32], back[5];
    T_EQ(mgi_qtt_modes(5, n, NULL), 6 + 1 + 1 + 1 + 9);
    mgi_qtt_modes(5, n, nq);
    T_CHECK(nq[0] == 2 && nq[5] == 2 && nq[6] == 3 && nq[7] == 1 && nq[8] == 2 &&
            nq[17] == 2);
    const mango_idx I[] = {37, 2, 0, 1, 257}, want[] = {1, 0, 1, 0, 0, 1, 2, 0, 1,
                                                        1, 0, 0, 0, 0, 0, 0, 0, 1};
    mgi_qtt_split(5, n, I, Iq);
    T_MEM(Iq, want, sizeof want);
    mgi_qtt_join(5, n, Iq, back);
    T_MEM(back, I, sizeof I);
}

static void t_opt_shapes(void)
{
    static const mango_idx shapes[][6] = {
        {1}, {7}, {2, 3}, {1, 1}, {16, 3, 1, 2, 5, 8}, {16777216, 2}, {4097, 5}};
    static const mango_idx d[] = {1, 1, 2, 2, 6, 2, 2};
    static const char *const names[] = {"tt-b", "protes", "random"};
    for (mango_idx s = 0; s < MGI_COUNT(d); s++)
        for (int i = 0; i < 3; i++) {
            const mango_modes m = {d[s], shapes[s]};
            mango_opt *p;
            mango_idx I[100 * 6], bad = 0, best[6];
            double y[100];
            if (s >= 5 && i == 1)
                continue; /* 16 million levels, not quantized: gigabytes */
            T_STATUS(t_opt_on(&p, names[i], &m, 3, NULL), MANGO_OK);
            for (int round = 0; p && round < 5; round++) {
                mango_idx K = 0;
                T_STATUS(mango_opt_ask(p, 100, &K, I), MANGO_OK);
                for (mango_idx k = 0; k < K * d[s]; k++)
                    bad += I[k] < 0 || I[k] >= shapes[s][k % d[s]];
                for (mango_idx k = 0; k < K; k++)
                    y[k] = (double)I[k * d[s]];
                T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
            }
            T_EQ(bad, 0);
            T_STATUS(mango_opt_best(p, y, best), MANGO_OK);
            mango_opt_destroy(p);
        }
}

/* ---- ask and tell, properly and otherwise ---- */

static void t_opt_ask(void)
{
    mango_opt *p = t_opt_new("tt", NULL, 1), *q = t_opt_new("tt", NULL, 1);
    mango_idx I[T_OPT_CAP * T_OPT_D], J[T_OPT_CAP * T_OPT_D], K = 0, best[T_OPT_D];
    double y;
    T_STATUS(mango_opt_best(p, &y, best), MANGO_E_STATE);
    T_STATUS(mango_opt_ask(p, T_OPT_CAP, &K, I), MANGO_OK);
    T_EQ(K, 10);
    K = 0;
    T_STATUS(mango_opt_ask(p, 3, &K, I), MANGO_OK);
    T_EQ(K, 3);
    K = 100;
    T_STATUS(mango_opt_ask(p, T_OPT_CAP, &K, I), MANGO_OK);
    T_EQ(K, 100);
    /* Nothing told between: the same 113 proposals, however they are asked for. */
    for (mango_idx at = 0; at < 113; at += K) {
        K = MGI_MIN(1 + at % 31, 113 - at);
        T_STATUS(mango_opt_ask(q, K, &K, J + (at % 13) * T_OPT_D), MANGO_OK);
        if (at >= 13)
            T_MEM(J + (at % 13) * T_OPT_D, I + (at - 13) * T_OPT_D,
                  (size_t)(K * T_OPT_D) * sizeof *J);
    }
    K = 5;
    T_STATUS(mango_opt_ask(p, 4, &K, I), MANGO_E_ARG);
    K = -1;
    T_STATUS(mango_opt_ask(p, 4, &K, I), MANGO_E_ARG);
    K = 0;
    T_STATUS(mango_opt_ask(p, 0, &K, I), MANGO_E_ARG);
    T_STATUS(mango_opt_ask(p, 4, NULL, I), MANGO_E_ARG);
    T_STATUS(mango_opt_ask(p, 4, &K, NULL), MANGO_E_ARG);
    T_CHECK(mango_opt_error(p)[0] != '\0');
    T_STATUS(mango_opt_ask(NULL, 4, &K, I), MANGO_E_ARG);
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

static void t_opt_tell(void)
{
    mango_opt *p = t_opt_new("tt-b", NULL, 1);
    mango_idx I[T_OPT_CAP * T_OPT_D] = {0}, best[T_OPT_D];
    double y[T_OPT_CAP], b;
    T_STATUS(mango_opt_tell(p, 0, NULL, NULL), MANGO_OK);
    T_STATUS(mango_opt_tell(p, -1, I, y), MANGO_E_ARG);
    T_STATUS(mango_opt_tell(p, 1, NULL, y), MANGO_E_ARG);
    y[0] = NAN;
    y[1] = INFINITY;
    y[2] = -INFINITY;
    T_STATUS(mango_opt_tell(p, 3, I, y), MANGO_OK);
    T_STATUS(mango_opt_best(p, &b, best), MANGO_E_STATE);
    y[0] = 1.0;
    y[1] = 5.0;
    I[T_OPT_D + 3] = T_OPT_N; /* row 1 out of range: nothing of the call is taken */
    T_STATUS(mango_opt_tell(p, 2, I, y), MANGO_E_ARG);
    T_CHECK(strstr(mango_opt_error(p), "row 1") && strstr(mango_opt_error(p), "mode 3"));
    T_STATUS(mango_opt_best(p, &b, best), MANGO_E_STATE);
    I[T_OPT_D + 3] = -1;
    T_STATUS(mango_opt_tell(p, 2, I, y), MANGO_E_ARG);
    I[T_OPT_D + 3] = 1;
    I[2 * T_OPT_D] = 7;
    y[2] = 5.0; /* a tie: the first stays */
    T_STATUS(mango_opt_tell(p, 3, I, y), MANGO_OK);
    T_STATUS(mango_opt_best(p, &b, best), MANGO_OK);
    T_CHECK(b == 5.0 && best[3] == 1 && best[0] == 0);
    T_STATUS(mango_opt_best(p, NULL, NULL), MANGO_OK);
    for (int i = 0; i < 20; i++)
        t_opt_round(p, I, y);
    mango_opt_destroy(p);
}

/* The same tells in another order, in pieces, padded with missing values and
 * with worse codes nobody asked for: the same proposals follow. */
static void t_opt_order(void)
{
    mango_opt *p = t_opt_new("tt-b", NULL, 4), *q = t_opt_new("tt-b", NULL, 4);
    mango_idx I[T_OPT_CAP * T_OPT_D], J[T_OPT_CAP * T_OPT_D], zeros[T_OPT_D] = {0};
    double y[T_OPT_CAP], low = -1e9, none = NAN;
    for (int round = 0; round < 12; round++) {
        const mango_idx K = t_opt_round(p, I, y);
        mango_idx L = 0;
        T_STATUS(mango_opt_ask(q, T_OPT_CAP, &L, J), MANGO_OK);
        T_EQ(L, K);
        T_MEM(J, I, (size_t)(K * T_OPT_D) * sizeof *I);
        T_STATUS(mango_opt_tell(q, 1, zeros, &none), MANGO_OK);
        for (mango_idx k = K - 1; k >= 0; k--) {
            T_STATUS(mango_opt_tell(q, 1, J + k * T_OPT_D, y + k), MANGO_OK);
            T_STATUS(mango_opt_tell(q, 1, zeros, &low), MANGO_OK);
        }
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* A good code nobody asked for pulls the search; one told alone is enough. */
static void t_opt_foreign(void)
{
    mango_opt *p = t_opt_new("tt", NULL, 4);
    mango_idx I[T_OPT_CAP * T_OPT_D], good[T_OPT_D], K;
    double y = 0.0, near = 0.0;
    for (int j = 0; j < T_OPT_D; j++)
        good[j] = j % 2 ? 2 : 5;
    for (int round = 0; round < 150; round++) {
        K = 0;
        T_STATUS(mango_opt_ask(p, T_OPT_CAP, &K, I), MANGO_OK);
        T_STATUS(mango_opt_tell(p, 1, good, &y), MANGO_OK);
    }
    for (mango_idx i = 0; i < K * T_OPT_D; i++)
        near += I[i] == good[i % T_OPT_D];
    T_CHECK(near > 0.9 * (double)(K * T_OPT_D));
    T_STATUS(mango_opt_restart(p), MANGO_OK);
    K = 0;
    T_STATUS(mango_opt_ask(p, T_OPT_CAP, &K, I), MANGO_OK);
    near = 0.0;
    for (mango_idx i = 0; i < K * T_OPT_D; i++)
        near += I[i] == good[i % T_OPT_D];
    T_CHECK(near < 0.5 * (double)(K * T_OPT_D));
    T_STATUS(mango_opt_best(p, &y, I), MANGO_OK);
    T_MEM(I, good, sizeof good);
    mango_opt_destroy(p);
}

static void t_opt_minimize(void)
{
    mango_opt_options o;
    T_STATUS(mango_opt_defaults("tt", &o, NULL), MANGO_OK);
    mango_opt *p = t_opt_new("tt", &o, 6);
    T_STATUS(mango_opt_set(&o, "minimize", 1, NULL), MANGO_OK);
    mango_opt *q = t_opt_new("tt", &o, 6);
    mango_idx I[T_OPT_CAP * T_OPT_D], J[T_OPT_CAP * T_OPT_D];
    double y[T_OPT_CAP], a, b;
    for (int round = 0; round < 20; round++) {
        const mango_idx K = t_opt_round(p, I, y);
        mango_idx L = 0;
        T_STATUS(mango_opt_ask(q, T_OPT_CAP, &L, J), MANGO_OK);
        T_MEM(J, I, (size_t)(K * T_OPT_D) * sizeof *I);
        for (mango_idx k = 0; k < K; k++)
            y[k] = -y[k];
        T_STATUS(mango_opt_tell(q, K, J, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &a, I), MANGO_OK);
    T_STATUS(mango_opt_best(q, &b, J), MANGO_OK);
    T_CHECK(a == -b);
    T_MEM(I, J, T_OPT_D * sizeof *I);
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* ---- the same bits on every machine, for any number of threads ---- */

static uint64_t t_opt_trace(const char *name, const mango_modes *m, int rounds)
{
    mango_opt *p = NULL;
    uint64_t h = 0xcbf29ce484222325u;
    mango_idx *I = calloc((size_t)(100 * m->d), sizeof *I);
    double y[100];
    T_STATUS(t_opt_on(&p, name, m, 7, NULL), MANGO_OK);
    for (int round = 0; round < rounds; round++) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(p, 100, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            y[k] = 0.0;
            for (mango_idx j = 0; j < m->d; j++) {
                h = (h ^ (uint64_t)I[k * m->d + j]) * 0x100000001b3u;
                y[k] += (double)(I[k * m->d + j] * (1 + j % 7 - j % 3));
            }
        }
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    mango_opt_destroy(p);
    free(I);
    return h;
}

static void t_opt_bits_fixed(void)
{
    mango_idx n[128], wide[60];
    for (int j = 0; j < 128; j++)
        n[j] = 64;
    for (int j = 0; j < 60; j++)
        wide[j] = 100;
    const mango_modes m = {128, n}, w = {60, wide};
    T_CHECK(t_opt_trace("tt", &m, 60) == 0x661a79109248eb6u);
    T_CHECK(t_opt_trace("tt-b", &m, 30) == 0x7b2593eac4ff52a2u);
    mango_set_threads(1);
    const uint64_t one = t_opt_trace("protes", &w, 20);
    mango_set_threads(2);
    T_CHECK(t_opt_trace("protes", &w, 20) == one);
    mango_set_threads(0);
    T_CHECK(one == 0xf6339a74462d5cc3u);
}

/* ---- memory ---- */

static mango_status t_opt_make(void *ud, const mango_alloc *al)
{
    const mango_modes m = t_opt_modes();
    mango_opt *p;
    mango_idx I[25 * T_OPT_D], K = 0;
    double y[25];
    MGI_TRY(t_opt_on(&p, ud, &m, 1, al));
    for (int round = 0; round < 3; round++) {
        K = 0;
        T_STATUS(mango_opt_ask(p, 25, &K, I), MANGO_OK);
        t_opt_values(K, I, y);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    mango_opt_destroy(p);
    return MANGO_OK;
}

static void t_opt_memory(void)
{
    char tt[] = "tt-b", rnd[] = "random";
    T_CHECK(t_oom_sweep(t_opt_make, tt) >= 3);
    T_CHECK(t_oom_sweep(t_opt_make, rnd) >= 3);
}

/* ---- optima ---- */

static void t_opt_optimum(void)
{
    static const char *const names[] = {"tt", "tt-s", "tt-b", "tt-exp", "protes"};
    mango_idx I[T_OPT_CAP * T_OPT_D];
    double y[T_OPT_CAP], best;
    for (int i = 0; i < 5; i++) {
        mango_opt *p = t_opt_new(names[i], NULL, 2);
        mango_idx queries = 0, same = 0;
        while (p && queries < 20000)
            queries += t_opt_round(p, I, y);
        T_STATUS(mango_opt_best(p, &best, I), MANGO_OK);
        for (int j = 0; j < T_OPT_D; j++)
            same += I[j] == (j % 2 ? 2 : 5);
        T_CHECK(same >= T_OPT_D - 1);
        mango_opt_destroy(p);
    }
}

void t_opt(void)
{
    T_CASE(t_opt_presets);
    T_CASE(t_opt_bad_options);
    T_CASE(t_opt_bits);
    T_CASE(t_opt_shapes);
    T_CASE(t_opt_ask);
    T_CASE(t_opt_tell);
    T_CASE(t_opt_order);
    T_CASE(t_opt_foreign);
    T_CASE(t_opt_minimize);
    T_CASE(t_opt_bits_fixed);
    T_CASE(t_opt_memory);
    T_CASE(t_opt_optimum);
}
