/* test_hammersley.c - Hammersley points: even in each mode and in pairs of modes, known
 * without a scramble, the same however they are asked.
 * SPDX-License-Identifier: MIT */
#include "opt_rig.h"

/* N points (N,d) of modes with so many levels, asked by `batch`. */
static void t_ham_points(const char *set, mango_idx N, mango_idx d, mango_idx levels,
                         mango_idx batch, uint64_t seed, mango_idx *I)
{
    mango_idx n[T_RIG_D];
    const mango_modes m = t_rig_modes(n, d, levels);
    mango_opt *p = t_rig_new("hammersley", &m, NULL, set, seed);
    for (mango_idx q = 0; q < N; q += batch) {
        mango_idx K = batch;
        T_STATUS(mango_opt_ask(p, batch, &K, I + q * d), MANGO_OK);
    }
    mango_opt_destroy(p);
}

/* Of p^2 points in a row each of p^2 levels of the mode with base p holds one, whatever
 * the scramble. With N known, the first mode holds each of N levels once. */
static void t_ham_even(void)
{
    enum { D = 6, MOST = 169 };
    static const mango_idx base[D] = {2, 3, 5, 7, 11, 13};
    static mango_idx I[MOST * (D + 1)];
    for (uint64_t seed = 0; seed < 4; seed++)
        for (int b = 0; b < D; b++)
            for (int known = 0; known < 2; known++) {
                const mango_idx N = base[b] * base[b], d = D + known;
                char set[32] = "";
                mango_idx count[2][MOST] = {{0}}, bad = 0;
                if (known)
                    snprintf(set, sizeof set, "points=%td", N);
                t_ham_points(set, N, d, N, 1, seed, I);
                for (mango_idx q = 0; q < N; q++) {
                    count[0][I[q * d + b + known]]++;
                    count[1][I[q * d]]++;
                }
                for (mango_idx i = 0; i < N; i++) {
                    /* points 1 .. N: p^2 is 0 in the two first digits, so is no point */
                    bad += count[0][i] != 1;
                    bad += known && count[1][i] != 1;
                }
                T_EQ(bad, 0);
            }
}

/* The star discrepancy in two modes, over corners of a grid: far below random points'. */
static double t_ham_discrepancy(mango_idx N, mango_idx d, mango_idx a, mango_idx b,
                                const mango_idx *I, mango_idx levels)
{
    double most = 0.0;
    for (mango_idx s = 1; s <= 16; s++)
        for (mango_idx t = 1; t <= 16; t++) {
            mango_idx in = 0;
            for (mango_idx q = 0; q < N; q++)
                in += 16 * I[q * d + a] < s * levels && 16 * I[q * d + b] < t * levels;
            most = fmax(most, fabs((double)in / (double)N - (double)(s * t) / 256.0));
        }
    return most;
}

static void t_ham_pairs(void)
{
    enum { N = 512, D = 5, L = 1 << 16 };
    static mango_idx I[N * D], n[D], R[N * D];
    const mango_modes m = t_rig_modes(n, D, L);
    mango_opt *p = t_rig_new("random", &m, NULL, "", 1);
    mango_idx K = N;
    T_STATUS(mango_opt_ask(p, N, &K, R), MANGO_OK);
    mango_opt_destroy(p);
    t_ham_points("points=512", N, D, L, 8, 1, I);
    for (int a = 0; a < D; a++)
        for (int b = 0; b < a; b++) {
            const double ours = t_ham_discrepancy(N, D, a, b, I, L);
            T_CHECK(ours < 0.016); /* log^2 N/N is .05 or so at worst, 1/sqrt N .04 */
            T_CHECK(ours < 0.7 * t_ham_discrepancy(N, D, a, b, R, L));
        }
}

/* How many are asked at once is the same; another seed, other points; and it is
 * oblivious. */
static void t_ham_batches(void)
{
    enum { N = 60, D = 20 };
    static mango_idx a[N * D], b[N * D];
    mango_idx n[D];
    const mango_modes m = t_rig_modes(n, D, 9);
    mango_opt_info info;
    t_ham_points("", N, D, 9, 1, 3, a);
    t_ham_points("", N, D, 9, 20, 3, b);
    T_MEM(a, b, sizeof a);
    t_ham_points("", N, D, 9, 20, 4, b);
    T_CHECK(memcmp(a, b, sizeof a) != 0);
    mango_opt *p = t_rig_new("hammersley", &m, NULL, "", 3);
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    T_CHECK(info.oblivious);
    mango_opt_destroy(p);
}

/* Beyond 168 modes they are random, and the first ones the same as without them. */
static void t_ham_many(void)
{
    enum { N = 40, D = 300 };
    mango_idx *I = calloc(N * D, sizeof *I), *n = calloc(D, sizeof *n), sum = 0;
    T_REQUIRE(I && n);
    const mango_modes m = t_rig_modes(n, D, 10);
    mango_opt *p = t_rig_new("hammersley", &m, NULL, "", 5);
    mango_idx K = N, few[N * 100], bad = 0;
    T_STATUS(mango_opt_ask(p, N, &K, I), MANGO_OK);
    t_ham_points("", N, 100, 10, 10, 5, few);
    for (int q = 0; q < N; q++)
        for (int j = 0; j < D; j++) {
            bad += j < 100 && I[q * D + j] != few[q * 100 + j];
            sum += j >= 168 ? I[q * D + j] : 0;
        }
    T_EQ(bad, 0);
    T_NEAR((double)sum / (N * 132.0), 4.5, 0.15); /* standard deviation .04 */
    mango_opt_destroy(p);
    free(I);
    free(n);
}

static void t_ham_hard(void)
{
    t_rig_hard("hammersley");
}

static void t_ham_memory(void)
{
    char name[] = "hammersley";
    T_CHECK(t_oom_sweep(t_rig_make, name) >= 6);
}

static void t_ham_bits(void)
{
    const uint64_t h = t_rig_hash("hammersley", NULL, "points=300");
    if (!T_CHECK(h == 0xd786a575ea9db6eau))
        printf("    0x%016llxu\n", (unsigned long long)h);
}

static void t_ham_resume(void)
{
    t_rig_resume("hammersley");
}

void t_hammersley(void)
{
    T_CASE(t_ham_even);
    T_CASE(t_ham_pairs);
    T_CASE(t_ham_batches);
    T_CASE(t_ham_many);
    T_CASE(t_ham_hard);
    T_CASE(t_ham_memory);
    T_CASE(t_ham_bits);
    T_CASE(t_ham_resume);
}
