/* numbers.c - rng, lif, sums, self-test.
 * SPDX-License-Identifier: MIT */
#include "public.h"

static void p_rng(void)
{
    mango_rng a, b;
    mango_idx p[5] = {0}, seen = 0;
    mango_rng_init(&a, 7, 1, 2);
    b = a;
    for (int i = 0; i < 10; i++)
        P_CHECK(mango_rng_u64(&a) == mango_rng_u64(&b));
    mango_rng_perm(&a, 5, p);
    for (int i = 0; i < 5; i++)
        seen |= (mango_idx)1 << p[i];
    P_CHECK(seen == 31);
    const double u = mango_rng_uniform(&a);
    P_CHECK(u >= 0 && u < 1);
}

/* A constant input of 0.5 under a threshold of 1 with beta 0.9: U = .5, .95, 1.355. */
static void p_lif(void)
{
    mango_lif rule;
    float X[1] = {0.5f}, U[1] = {0}, S[1];
    P_OK(mango_lif_preset("snntorch", &rule));
    P_OK(mango_lif_check(&rule, &p_err));
    for (int t = 0; t < 3; t++) {
        P_OK(mango_lif_step(&rule, 1, X, U, S));
        P_CHECK(S[0] == (t == 2 ? 1.0f : 0.0f));
    }
    rule.U_thr = -1;
    P_CHECK(mango_lif_check(&rule, &p_err) == MANGO_E_ARG && p_err.text[0]);
    P_CHECK(mango_lif_preset("none", &rule) == MANGO_E_NAME);
}

static void p_sums(void)
{
    const float A[4] = {1, 2, 3, 4}, B[4] = {5, 6, 7, 8};
    float C[4] = {0};
    float *work = calloc((size_t)mango_gemm_work(2, 2, 2) + 1, sizeof *work);
    P_OK(mango_gemm(2, 2, 2, A, B, C, work));
    P_CHECK(C[0] == 19 && C[1] == 22 && C[2] == 43 && C[3] == 50);
    free(work);
    P_CHECK(mango_exp(0) == 1 && mango_log(1) == 0);
    mango_kernels_info k;
    P_OK(mango_kernels_get(&k));
    P_CHECK(k.name[0] && k.rows > 0);
}

void p_numbers(void)
{
    uint64_t hash = 0;
    p_rng();
    p_lif();
    p_sums();
    P_OK(mango_selftest(&hash));
    P_CHECK(hash == MANGO_SELFTEST_HASH);
}
