/* test_ttopt.c - maximum volume, the table of codes, index sets, TTOpt.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- QR and maximum volume ---------------------------------------------------------- */

static void t_ttopt_random(mango_idx n, mango_idx r, uint64_t seed, double *A)
{
    mango_rng rng;
    mango_rng_init(&rng, seed, 77, 0);
    for (mango_idx i = 0; i < n * r; i++)
        A[i] = mango_rng_normal(&rng);
}

/* Orthonormal columns with the span of A, whatever its rank. */
static void t_ttopt_qr(void)
{
    enum { N = 12, R = 4 };
    for (int rank = 0; rank <= R; rank++) {
        double A[N * R], B[N * R], Q[N * R];
        t_ttopt_random(N, R, 3, A);
        for (mango_idx i = 0; i < N; i++)
            for (mango_idx c = rank; c < R; c++)
                A[i * R + c] = rank ? 2.0 * A[i * R + c % rank] : 0.0;
        memcpy(B, A, sizeof A);
        mgi_qr(N, R, B, Q);
        for (int a = 0; a < R; a++)
            for (int b = 0; b < R; b++) {
                double s = 0.0;
                for (int i = 0; i < N; i++)
                    s += Q[i * R + a] * Q[i * R + b];
                T_NEAR(s, a == b, 1e-14);
            }
        for (int i = 0; i < N; i++) /* Q Q^T A = A */
            for (int c = 0; c < R; c++) {
                double s = 0.0;
                for (int a = 0; a < R; a++)
                    for (int l = 0; l < N; l++)
                        s += Q[i * R + a] * Q[l * R + a] * A[l * R + c];
                T_NEAR(s, A[i * R + c], 1e-13);
            }
    }
}

/* A = B A[I], and the rows of I are unit vectors in B. */
static void t_ttopt_coefficients(mango_idx n, mango_idx cols, const double *A, mango_idx r,
                                 mango_idx wide, const double *B, const mango_idx *I)
{
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < cols; c++) {
            double s = 0.0;
            for (mango_idx k = 0; k < r; k++)
                s += B[i * wide + k] * A[I[k] * cols + c];
            T_NEAR(s, A[i * cols + c], 1e-11);
        }
    for (mango_idx k = 0; k < r; k++)
        for (mango_idx l = 0; l < r; l++)
            T_CHECK(B[I[k] * wide + l] == (k == l ? 1.0 : 0.0));
}

static double t_ttopt_det(const double *A, mango_idx i, mango_idx j)
{
    return fabs(A[2 * i] * A[2 * j + 1] - A[2 * i + 1] * A[2 * j]);
}

/* Of two columns: within a factor 2 of the best pair of rows, and no swap makes more. */
static void t_ttopt_volume(void)
{
    enum { N = 30 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        double A[N * 2], B[N * 2], most = 0.0;
        mango_idx I[2];
        unsigned char used[N];
        t_ttopt_random(N, 2, seed, A);
        memcpy(B, A, sizeof A);
        mgi_maxvol(N, 2, 2, B, 1.001, 1000, I, used);
        const double v = t_ttopt_det(A, I[0], I[1]);
        for (mango_idx i = 0; i < N; i++) {
            for (mango_idx j = 0; j < i; j++)
                most = MGI_MAX(most, t_ttopt_det(A, i, j));
            T_CHECK(t_ttopt_det(A, i, I[0]) <= 1.0011 * v);
            T_CHECK(t_ttopt_det(A, i, I[1]) <= 1.0011 * v);
            T_CHECK(used[i] == (i == I[0] || i == I[1]));
            T_CHECK(fabs(B[2 * i]) <= 1.001 && fabs(B[2 * i + 1]) <= 1.001);
        }
        T_CHECK(v >= 0.5 * most && v <= most);
        t_ttopt_coefficients(N, 2, A, 2, 2, B, I);
        mgi_maxvol_force(N, 2, 2, B, 5, I, used);
        T_CHECK(used[5] && (I[0] == 5 || I[1] == 5) && used[I[0]] + used[I[1]] == 2);
        t_ttopt_coefficients(N, 2, A, 2, 2, B, I);
    }
}

static void t_ttopt_rectangular(void)
{
    enum { N = 25, R = 3, WIDE = 9 };
    double A[N * R], B[N * WIDE] = {0}, v[N];
    mango_idx I[WIDE];
    unsigned char used[N];
    t_ttopt_random(N, R, 5, A);
    for (int i = 0; i < N; i++)
        memcpy(B + i * WIDE, A + i * R, R * sizeof *B);
    mgi_maxvol(N, R, WIDE, B, 1.001, 1000, I, used);
    const mango_idx r = mgi_maxvol_grow(N, R, WIDE, B, WIDE - R, I, used, v);
    T_CHECK(r > R && r <= WIDE);
    t_ttopt_coefficients(N, R, A, r, WIDE, B, I); /* still A = B A[I] */
    for (mango_idx i = 0; i < N; i++) {
        double F = 0.0;
        for (mango_idx k = 0; k < r; k++)
            F += B[i * WIDE + k] * B[i * WIDE + k];
        T_CHECK(r == WIDE || F <= 1.0 + 1e-12);
    }
}

/* ---- the table of codes --------------------------------------------------------------- */

static void t_ttopt_seen(void)
{
    enum { D = 5, N = 2000 };
    mgi_seen s;
    mango_idx I[D], kept = 0;
    T_STATUS(mgi_seen_init(&s, 4096, NULL), MANGO_OK);
    for (mango_idx k = 0; k < N; k++) {
        for (mango_idx j = 0; j < D; j++)
            I[j] = (k >> 3 * j) & 7;
        const uint64_t key = mgi_seen_key(D, I);
        T_REQUIRE(key != 0 && (k >= 1500 || !mgi_seen_find(&s, key)));
        double *y = mgi_seen_put(&s, key);
        T_CHECK(isnan(*y) && mgi_seen_find(&s, key) == y && mgi_seen_put(&s, key) == y);
        *y = (double)k;
    }
    for (mango_idx k = 0; k < N; k++) {
        for (mango_idx j = 0; j < D; j++)
            I[j] = (k >> 3 * j) & 7;
        const double *y = mgi_seen_find(&s, mgi_seen_key(D, I));
        T_CHECK(!y || *y == (double)k);
        kept += y != NULL;
    }
    T_CHECK(kept > N - 40); /* where all its places are taken a code displaces another */
    mgi_seen_clear(&s);
    T_CHECK(!mgi_seen_find(&s, mgi_seen_key(D, I)));
    mgi_seen_free(&s);
}

/* ---- TTOpt ------------------------------------------------------------------------------ */

enum { T_TTOPT_D = 7, T_TTOPT_N = 16, T_TTOPT_CAP = 256 };

static mango_opt *t_ttopt_new(const char *name, const char *set, mango_idx d,
                              const mango_idx *n, uint64_t seed)
{
    const mango_modes m = {d, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

static const mango_idx t_ttopt_n[T_TTOPT_D] = {16, 16, 16, 16, 16, 16, 16};

/* Best 0 at 11, 4, 11, 4, ...; modes interact. */
static double t_ttopt_value(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        const double x = (double)(I[j] - (j % 2 ? 4 : 11)) * 0.1;
        const double z = j ? (double)(I[j - 1] - (j % 2 ? 11 : 4)) * 0.1 : 0.0;
        s -= x * x + 0.5 * x * z + fabs(x) * 0.01 * (double)(j + 1);
    }
    return s;
}

static void t_ttopt_optimum(void)
{
    static const char *const names[] = {"ttopt", "ttopt-q"};
    static mango_idx I[T_TTOPT_CAP * T_TTOPT_D];
    for (int i = 0; i < 2; i++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            mango_opt *p = t_ttopt_new(names[i], "", T_TTOPT_D, t_ttopt_n, seed);
            double y[T_TTOPT_CAP], best = -1e9;
            mango_idx K, at[T_TTOPT_D];
            for (mango_idx q = 0; q < 6000; q += K) {
                K = 0;
                T_STATUS(mango_opt_ask(p, T_TTOPT_CAP, &K, I), MANGO_OK);
                T_REQUIRE(K >= 1 && K <= 100);
                for (mango_idx k = 0; k < K; k++)
                    y[k] = t_ttopt_value(T_TTOPT_D, I + k * T_TTOPT_D);
                T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
            }
            T_STATUS(mango_opt_best(p, &best, at), MANGO_OK);
            T_NEAR(best, 0.0, 1e-12);
            T_CHECK(at[0] == 11 && at[1] == 4 && at[6] == 11);
            mango_opt_destroy(p);
        }
}

/* Nothing is asked twice before all is known; then it goes on. */
static void t_ttopt_every_code(void)
{
    static const mango_idx n[3] = {5, 3, 4};
    mango_opt *p = t_ttopt_new("ttopt", "", 3, n, 2);
    int times[60] = {0};
    mango_idx I[60 * 3], K, asked = 0, other = 0;
    while (asked < 60) {
        double y[60];
        K = 0;
        T_STATUS(mango_opt_ask(p, 60, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            times[(I[3 * k] * 3 + I[3 * k + 1]) * 4 + I[3 * k + 2]]++;
            y[k] = (double)((I[3 * k] * 7 + I[3 * k + 1] * 5 + I[3 * k + 2] * 3) % 11);
        }
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        asked += K;
    }
    for (int i = 0; i < 60; i++)
        other += times[i] != 1;
    T_CHECK(other <= 2); /* the last few may be drawn at random */
    K = 60;
    T_STATUS(mango_opt_ask(p, 60, &K, I), MANGO_OK);
    T_EQ(K, 60);
    mango_opt_destroy(p);
}

/* Told in any order and in pieces: the same next batch. Without some, another one. */
static void t_ttopt_orders(void)
{
    static mango_idx I[4][T_TTOPT_CAP * T_TTOPT_D];
    mango_opt *p[4];
    mango_idx K[4];
    for (int i = 0; i < 4; i++)
        p[i] = t_ttopt_new("ttopt", "k=64", T_TTOPT_D, t_ttopt_n, 9);
    int parted = 0;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 4; i++) {
            K[i] = 0;
            T_STATUS(mango_opt_ask(p[i], T_TTOPT_CAP, K + i, I[i]), MANGO_OK);
        }
        for (int i = 1; i < 3; i++)
            T_REQUIRE(K[i] == K[0] &&
                      !memcmp(I[i], I[0], (size_t)(K[0] * T_TTOPT_D) * sizeof **I));
        parted |= K[3] != K[0] || memcmp(I[3], I[0], (size_t)(K[0] * T_TTOPT_D) * sizeof **I);
        for (int i = 0; i < 4; i++)
            for (mango_idx k = 0; k < K[i]; k++) {
                const mango_idx at = i == 1 ? K[i] - 1 - k : k; /* 1: backwards */
                const mango_idx *code = I[i] + at * T_TTOPT_D;
                const double y = t_ttopt_value(T_TTOPT_D, code), no = NAN;
                if (i == 2) /* missing first, then a value: replaced */
                    T_STATUS(mango_opt_tell(p[i], 1, code, &no), MANGO_OK);
                if (i != 3 || k % 3)
                    T_STATUS(mango_opt_tell(p[i], 1, code, &y), MANGO_OK);
            }
    }
    T_CHECK(parted);
    for (int i = 0; i < 4; i++)
        mango_opt_destroy(p[i]);
}

/* As many as wanted, of this core and of those that come next, none of them twice. */
static void t_ttopt_ahead(void)
{
    enum { MANY = 500 };
    static mango_idx I[MANY * T_TTOPT_D];
    mango_opt *p = t_ttopt_new("ttopt", "", T_TTOPT_D, t_ttopt_n, 4);
    mango_idx K = MANY, twice = 0;
    char why[200];
    T_STATUS(mango_opt_ask(p, MANY, &K, I), MANGO_OK);
    T_EQ(K, MANY);
    for (mango_idx k = 0; k < MANY; k++)
        for (mango_idx l = 0; l < k; l++)
            twice += !memcmp(I + k * T_TTOPT_D, I + l * T_TTOPT_D, T_TTOPT_D * sizeof *I);
    T_EQ(twice, 0);
    T_CHECK(mango_opt_why(p, 0, why, sizeof why) > 0 && strstr(why, "core 7, going left"));
    T_CHECK(mango_opt_why(p, MANY - 1, why, sizeof why) > 0 && strstr(why, "later core"));
    mango_opt_destroy(p);
}

/* Ranks grow when they may, and not beyond. */
static void t_ttopt_grow(void)
{
    mgi_ttc c = {0};
    static mango_idx I[T_TTOPT_CAP * T_TTOPT_D];
    mango_opt *p = t_ttopt_new("ttopt", "r=2,grow=1,r_most=5", T_TTOPT_D, t_ttopt_n, 1);
    for (int round = 0; round < 60; round++) {
        double y[T_TTOPT_CAP];
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(p, T_TTOPT_CAP, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_ttopt_value(T_TTOPT_D, I + k * T_TTOPT_D);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    memcpy(&c, p->state, sizeof c);
    for (mango_idx j = 1; j < T_TTOPT_D; j++)
        T_CHECK(c.rl[j] >= 2 && c.rl[j] <= 5 && c.rr[j] >= 2 && c.rr[j] <= 5);
    T_CHECK(c.rr[3] > 2 && c.rl[3] > 2);
    mango_opt_destroy(p);
}

/* A mode of very many levels: some of them, from the first to the last. */
static void t_ttopt_wide(void)
{
    static const mango_idx n[3] = {MANGO_REAL, 1000003, 65536};
    static mango_idx I[T_TTOPT_CAP * 3];
    for (int q = 0; q < 2; q++) {
        mango_opt *p = t_ttopt_new("ttopt", q ? "quantized=1" : "", 3, n, 1);
        mango_idx lo = MANGO_REAL, hi = 0;
        for (int round = 0; round < 200; round++) {
            mango_idx K = 0;
            double y[T_TTOPT_CAP];
            T_STATUS(mango_opt_ask(p, T_TTOPT_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++) {
                lo = MGI_MIN(lo, I[3 * k + 1]);
                hi = MGI_MAX(hi, I[3 * k + 1]);
                y[k] = (double)I[3 * k] - (double)I[3 * k + 2];
            }
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        double best;
        mango_idx at[3];
        T_STATUS(mango_opt_best(p, &best, at), MANGO_OK);
        if (q == 0)
            T_CHECK(lo >= 0 && hi < 1000003);
        else
            T_CHECK(at[0] == MANGO_REAL - 1 && at[2] == 0);
        mango_opt_destroy(p);
    }
}

/* The proposals stay what they are, bit for bit. */
static void t_ttopt_golden(void)
{
    static const mango_idx n[5] = {16, 3, 8, 1, 64};
    static const struct { const char *name, *set; uint64_t h; } want[] = {
        {"ttopt", "", 0x653b6bd92e1a4654u}, {"ttopt-q", "", 0xd9c2a056e1e6fe71u},
        {"ttopt", "r=2,grow=1,minimize=1", 0x192169c9474a1d5fu}};
    static mango_idx I[T_TTOPT_CAP * 5];
    for (int i = 0; i < 3; i++) {
        mango_opt *p = t_ttopt_new(want[i].name, want[i].set, 5, n, 11);
        uint64_t h = 0xcbf29ce484222325u;
        for (int round = 0; round < 40; round++) {
            double y[T_TTOPT_CAP];
            mango_idx K = round % 5 == 4 ? 37 : 0;
            T_STATUS(mango_opt_ask(p, T_TTOPT_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = k % 9 == 5 ? (double)NAN : t_ttopt_value(5, I + k * 5);
            for (mango_idx k = 0; k < K * 5; k++)
                h = (h ^ (uint64_t)I[k]) * 0x100000001b3u;
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        if (!T_CHECK(h == want[i].h))
            printf("    %s: 0x%016llxu\n", want[i].name, (unsigned long long)h);
        mango_opt_destroy(p);
    }
}

void t_ttopt(void)
{
    T_CASE(t_ttopt_qr);
    T_CASE(t_ttopt_volume);
    T_CASE(t_ttopt_rectangular);
    T_CASE(t_ttopt_seen);
    T_CASE(t_ttopt_optimum);
    T_CASE(t_ttopt_every_code);
    T_CASE(t_ttopt_orders);
    T_CASE(t_ttopt_ahead);
    T_CASE(t_ttopt_grow);
    T_CASE(t_ttopt_wide);
    T_CASE(t_ttopt_golden);
}
