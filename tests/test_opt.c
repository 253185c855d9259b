/* test_opt.c - ask/tell interface, presets, PROTES on problems with known optima.
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
        T_OK(mango_opt_defaults(name, &own, sizeof own, &err), &err);
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
    T_STATUS(mango_opt_defaults(preset, &o, sizeof o, NULL), MANGO_OK);
    return mango_opt_create(p, m, NULL, &o, seed, al, NULL);
}

static void t_opt_presets(void)
{
    static const struct { const char *name; mango_idx k, top; double lr; int q; } want[] = {
        {"tt", 10, 1, 0.05, 1},      {"tt-s", 5, 1, 0.05, 1},     {"tt-b", 25, 5, 0.05, 1},
        {"tt-exp", 100, 10, 0.1, 1}, {"protes", 100, 10, 0.05, 0},
    };
    mango_opt_options o;
    mango_err err = {""};
    for (mango_idx i = 0; i < MGI_COUNT(want); i++) {
        T_OK(mango_opt_defaults(want[i].name, &o, sizeof o, &err), &err);
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
    T_STATUS(mango_opt_defaults("tt-x", &o, sizeof o, &err), MANGO_E_NAME);
    T_CHECK(strstr(err.text, "tt-x") && strstr(err.text, "tt-s"));
    T_STATUS(mango_opt_defaults(NULL, &o, sizeof o, NULL), MANGO_E_NAME);
    T_STATUS(mango_opt_defaults("tt", NULL, sizeof o, NULL), MANGO_E_ARG);
    T_STATUS(mango_opt_defaults("tt", &o, sizeof o - 8, NULL), MANGO_E_ARG);
    const mango_modes m = t_opt_modes();
    T_CHECK(mango_opt_presets() >= 6);
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        mango_opt *p;
        mango_opt_preset_info row;
        T_STATUS(mango_opt_preset(i, &row, sizeof row), MANGO_OK);
        T_CHECK(row.name && row.method && row.meaning && strlen(row.meaning) > 8);
        T_STATUS(t_opt_on(&p, row.name, &m, 1, NULL), MANGO_OK);
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
    T_STATUS(mango_opt_defaults("tt", &base, sizeof base, NULL), MANGO_OK);
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
    T_STATUS(mango_opt_defaults("tt", &o, sizeof o, NULL), MANGO_OK);
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

/* ---- the 13 problems of shared data against the original PROTES ---- */

enum { T_OPT_DIM = 64 };
typedef struct t_opt_problem {
    const char *name;
    mango_idx d, n;
    double a[T_OPT_DIM], b[T_OPT_DIM], f0, Q[T_OPT_DIM][T_OPT_DIM];
} t_opt_problem;

static double t_opt_sum(const t_opt_problem *p, const double *x)
{
    const double PI = 3.14159265358979323846, d = (double)p->d;
    double s = 0.0, c = 0.0, prod = 1.0;
    for (mango_idx j = 0; j < p->d; j++) {
        const double t = x[j], i = (double)(j + 1);
        if (!strcmp(p->name, "ackley")) {
            s += t * t / d;
            c += cos(2.0 * PI * t) / d;
        } else if (!strcmp(p->name, "alpine"))
            s += fabs(t * sin(t) + 0.1 * t);
        else if (!strcmp(p->name, "griewank")) {
            s += t * t / 4000.0;
            prod *= cos(t / sqrt(i));
        } else if (!strcmp(p->name, "michalewicz"))
            s -= sin(t) * pow(sin(i * t * t / PI), 20.0);
        else if (!strcmp(p->name, "qing"))
            s += (t * t - i) * (t * t - i);
        else if (!strcmp(p->name, "rastrigin"))
            s += 10.0 + t * t - 10.0 * cos(2.0 * PI * t);
        else if (!strcmp(p->name, "schwefel"))
            s += 418.9829 - t * sin(sqrt(fabs(t)));
        else if (!strcmp(p->name, "schaffer") && j + 1 < p->d) {
            const double r2 = t * t + x[j + 1] * x[j + 1], w = 1.0 + 0.001 * r2;
            s += 0.5 + (pow(sin(sqrt(r2)), 2.0) - 0.5) / (w * w);
        } else if (!strcmp(p->name, "exp"))
            s += t * t;
    }
    if (!strcmp(p->name, "ackley"))
        return 20.0 - 20.0 * exp(-0.2 * sqrt(s)) - exp(c) + exp(1.0);
    if (!strcmp(p->name, "griewank"))
        return s - prod + 1.0;
    return !strcmp(p->name, "exp") ? -exp(-0.5 * s) : s;
}

static double t_opt_piston(const double *x)
{
    const double M = x[0], S = x[1], V0 = x[2], k = x[3], P0 = x[4], Ta = x[5], T0 = x[6];
    const double A = P0 * S + 19.62 * M - k * V0 / S;
    const double V = S / (2.0 * k) * (sqrt(A * A + 4.0 * k * P0 * V0 / T0 * Ta) - A);
    return 2.0 * 3.14159265358979323846 *
           sqrt(M / (k + S * S * P0 * V0 / T0 * Ta / (V * V)));
}

static double t_opt_eval(const t_opt_problem *p, const mango_idx *I)
{
    double x[T_OPT_DIM], y = p->f0;
    if (!strncmp(p->name, "qubo", 4)) {
        for (mango_idx i = 0; i < p->d; i++)
            for (mango_idx j = 0; I[i] && j < p->d; j++)
                y += I[j] ? p->Q[i][j] : 0.0;
        return y;
    }
    for (mango_idx j = 0; j < p->d; j++)
        x[j] = p->a[j] + (double)I[j] * (p->b[j] - p->a[j]) / (double)(p->n - 1);
    return !strcmp(p->name, "piston") ? t_opt_piston(x) : t_opt_sum(p, x);
}

static void t_opt_load(const mgi_json *j, const mgi_json_value *o, t_opt_problem *p)
{
    memset(p, 0, sizeof *p);
    p->name = o->key;
    p->d = (mango_idx)mgi_json_get(j, o, "d")->i;
    p->n = (mango_idx)mgi_json_get(j, o, "n")->i;
    const mgi_json_value *a = mgi_json_get(j, o, "a"), *b = mgi_json_get(j, o, "b");
    const mgi_json_value *Q = mgi_json_get(j, o, "Q"), *f0 = mgi_json_get(j, o, "f0");
    p->f0 = f0 ? f0->d : 0.0;
    T_REQUIRE(p->d <= T_OPT_DIM);
    for (mango_idx i = 0; i < p->d; i++) {
        p->a[i] = a ? mgi_json_at(j, a, i)->d : 0.0;
        p->b[i] = b ? mgi_json_at(j, b, i)->d : 0.0;
        for (mango_idx k = 0; Q && k < p->d; k++)
            p->Q[i][k] = mgi_json_at(j, mgi_json_at(j, Q, i), k)->d;
    }
    const mgi_json_value *s = mgi_json_get(j, o, "samples");
    for (mango_idx k = 0; k < s->n; k++) { /* are these the right functions? */
        const mgi_json_value *row = mgi_json_at(j, s, k), *i = mgi_json_get(j, row, "i");
        mango_idx I[T_OPT_DIM];
        for (mango_idx l = 0; l < p->d; l++)
            I[l] = (mango_idx)mgi_json_at(j, i, l)->i;
        const double y = mgi_json_get(j, row, "y")->d;
        T_NEAR(t_opt_eval(p, I), y, 1e-6 * (1.0 + fabs(y)));
    }
}

/* Best after 1,000 and after 10,000 queries of one run. */
static void t_opt_solve(const t_opt_problem *p, uint64_t seed, double best[2])
{
    static mango_idx I[100 * T_OPT_DIM];
    mango_idx n[T_OPT_DIM];
    double y[100];
    mango_opt_options o;
    mango_opt *opt;
    for (mango_idx j = 0; j < p->d; j++)
        n[j] = p->n;
    const mango_modes m = {p->d, n};
    T_STATUS(mango_opt_defaults("protes", &o, sizeof o, NULL), MANGO_OK);
    T_STATUS(mango_opt_set(&o, "minimize", 1, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, seed, NULL, NULL), MANGO_OK);
    for (int round = 0; round < 100; round++) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(opt, 100, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_opt_eval(p, I + k * p->d);
        T_STATUS(mango_opt_tell(opt, K, I, y), MANGO_OK);
        if (round == 9 || round == 99)
            T_STATUS(mango_opt_best(opt, best + (round == 99), NULL), MANGO_OK);
    }
    mango_opt_destroy(opt);
}

static void t_opt_stats(const double *x, mango_idx n, double *mean, double *var)
{
    *mean = *var = 0.0;
    for (mango_idx i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (mango_idx i = 0; i < n; i++)
        *var += (x[i] - *mean) * (x[i] - *mean) / (double)(n > 1 ? n - 1 : 1);
}

/* Not worse than the original by more than 4 standard errors of the difference. */
static void t_opt_level(const mgi_json *j, const mgi_json_value *o, const char *key,
                        const double *ours, mango_idx n)
{
    double theirs[64], m1, m2, v1, v2;
    const mgi_json_value *r = mgi_json_get(j, mgi_json_get(j, o, "results"), key);
    const mgi_json_value *b = r ? mgi_json_get(j, r, "best") : NULL;
    T_REQUIRE(b && b->n >= 1 && b->n <= 64);
    for (mango_idx i = 0; i < b->n; i++)
        theirs[i] = mgi_json_at(j, b, i)->d;
    t_opt_stats(ours, n, &m1, &v1);
    t_opt_stats(theirs, b->n, &m2, &v2);
    const double se = sqrt(v1 / (double)n + v2 / (double)b->n);
    if (getenv("MANGO_VERBOSE"))
        printf("    %-14s %-30s ours %.6g +- %.2g  original %.6g +- %.2g\n", o->key, key,
               m1, sqrt(v1), m2, sqrt(v2));
    T_CHECK(m1 <= m2 + 4.0 * se + 1e-6 * fabs(m2));
}

static void t_opt_problems(void)
{
    enum { SEEDS = 10 };
    static t_opt_problem p;
    const char *path = t_shared("data/problems.json");
    unsigned char *text = NULL;
    mango_idx size = 0;
    mgi_json j;
    mango_err err = {""};
    if (!path)
        T_SKIP("no shared data");
    const mango_alloc al = mgi_alloc_get(NULL);
    T_OK_OR_RETURN(mgi_file_read(path, 1 << 24, NULL, &text, &size, &err), &err);
    T_OK_OR_RETURN(mgi_json_parse(&j, (const char *)text, size, NULL, &err), &err);
    for (mango_idx i = 0; i < j.v[0].n; i++) {
        const mgi_json_value *o = mgi_json_at(&j, &j.v[0], i);
        double small[SEEDS], large[SEEDS], best[2] = {0.0, 0.0};
        t_opt_load(&j, o, &p);
        for (int s = 0; s < SEEDS; s++) {
            t_opt_solve(&p, (uint64_t)s, best);
            small[s] = best[0];
            large[s] = best[1];
        }
        t_opt_level(&j, o, "protes k=100 k_top=10 m=1000", small, SEEDS);
        t_opt_level(&j, o, "protes k=100 k_top=10 m=10000", large, SEEDS);
    }
    mgi_json_free(&j);
    mgi_del(&al, text, size + 1, 1);
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
    T_CASE(t_opt_problems);
}
