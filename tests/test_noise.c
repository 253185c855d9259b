/* test_noise.c - noise on values: its texts, its moments, and that a draw depends on seed
 * and presentation alone.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static void t_noise_text(void)
{
    mango_noise n;
    mango_err err = {""};
    char text[128];
    T_OK(mango_noise_parse(&n, "poisson:30,drop:0.05+drift:0.2", &err), &err);
    T_CHECK(n.n == 3 && n.kind[0] == MANGO_NOISE_POISSON && n.size[0] == 30.0);
    T_CHECK(n.kind[1] == MANGO_NOISE_DROP && n.kind[2] == MANGO_NOISE_DRIFT);
    T_EQ(mango_noise_text(&n, text, sizeof text), strlen("poisson:30+drop:0.05+drift:0.2"));
    T_STR(text, "poisson:30+drop:0.05+drift:0.2");
    const struct { const char *text; mango_status st; const char *say; } bad[] = {
        {"", MANGO_E_ARG, "poisson:30"},        {"poison:30", MANGO_E_NAME, "poisson"},
        {"poisson", MANGO_E_ARG, "a number"},   {"poisson:0", MANGO_E_ARG, "above 0"},
        {"normal:-1", MANGO_E_ARG, "0 or more"}, {"drop:1.5", MANGO_E_ARG, "too large"},
        {"mult:nan", MANGO_E_ARG, "a number"},  {"normal:1+", MANGO_E_NAME, "expected"},
        {"normal:1,normal:1,normal:1,normal:1,normal:1,normal:1,normal:1,normal:1,normal:1",
         MANGO_E_ARG, "at most 8"}};
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        T_STATUS(mango_noise_parse(&n, bad[i].text, &err), bad[i].st);
        T_CHECK(strstr(err.text, bad[i].say) != NULL);
        T_EQ(n.n, 3); /* as it was */
    }
}

/* Mean and variance of 20,000 presentations of one value. */
static void t_noise_moments_of(const char *text, double y, double mean, double var)
{
    enum { N = 20000 };
    static double v[N];
    mango_noise n;
    double sum = 0.0, sum2 = 0.0;
    T_STATUS(mango_noise_parse(&n, text, NULL), MANGO_OK);
    for (int i = 0; i < N; i++)
        v[i] = y;
    mango_noise_apply(&n, 3, 0, N, v);
    for (int i = 0; i < N; i++)
        sum += v[i];
    for (int i = 0; i < N; i++)
        sum2 += (v[i] - sum / N) * (v[i] - sum / N);
    T_NEAR(sum / N, mean, 5.0 * sqrt(var / N) + 1e-12);
    T_NEAR(sum2 / (N - 1), var, 0.06 * var + 1e-12);
}

static void t_noise_moments(void)
{
    t_noise_moments_of("poisson:30", 0.01, 0.01, 0.01 / 30);
    t_noise_moments_of("poisson:30", 0.5, 0.5, 0.5 / 30);
    t_noise_moments_of("poisson:100", 0.9, 0.9, 0.9 / 100);
    t_noise_moments_of("poisson:100000", 0.9, 0.9, 0.9 / 100000); /* rounded normal */
    t_noise_moments_of("poisson:30", -0.5, 0.0, 0.0);
    t_noise_moments_of("normal:0.3", 2.0, 2.0, 0.09);
    t_noise_moments_of("mult:0.1", 2.0, 2.0, 0.04);
    t_noise_moments_of("normal:0.3+mult:0.1", 2.0, 2.0, 0.09 + 0.01 * 4.09);
    t_noise_moments_of("normal:0", 2.0, 2.0, 0.0);
}

static void t_noise_drop(void)
{
    enum { N = 10000 };
    static double v[N];
    mango_noise n;
    int missing = 0;
    T_STATUS(mango_noise_parse(&n, "drop:0.2+poisson:30", NULL), MANGO_OK);
    for (int i = 0; i < N; i++)
        v[i] = i % 10 ? 1.0 : NAN;
    mango_noise_apply(&n, 1, 0, N, v);
    for (int i = 0; i < N; i++)
        missing += mgi_is_nan(v[i]);
    T_NEAR(missing, 0.1 * N + 0.2 * 0.9 * N, 150);
}

/* Slow: neighbours are alike, presentations far from each other are not. */
static void t_noise_drift(void)
{
    enum { N = 20000 };
    static double v[N];
    mango_noise n;
    double near = 0.0, far = 0.0, log_mean = 0.0;
    T_STATUS(mango_noise_parse(&n, "drift:0.2", NULL), MANGO_OK);
    for (int i = 0; i < N; i++)
        v[i] = 1.0;
    mango_noise_apply(&n, 1, 0, N, v);
    for (int i = 0; i + 500 < N; i++) {
        near = MGI_MAX(near, fabs(v[i + 1] - v[i]));
        far = MGI_MAX(far, fabs(v[i + 500] - v[i]));
        log_mean += log(v[i]) / N;
    }
    T_CHECK(near < 0.02 && far > 0.3);
    T_NEAR(log_mean, 0.0, 0.06);
}

/* In pieces, backwards, by the evaluator: the same bits, which are these. */
static void t_noise_bits(void)
{
    enum { N = 40 };
    double all[N], piece[N];
    mango_noisy x;
    uint64_t hash = 0;
    memset(&x, 0, sizeof x);
    T_STATUS(mango_noise_parse(&x.noise, "poisson:30+normal:0.1+mult:0.2+drift:0.3+drop:0.1",
                               NULL), MANGO_OK);
    for (int i = 0; i < N; i++)
        all[i] = piece[i] = 0.02 * i;
    mango_noise_apply(&x.noise, 9, 1000, N, all);
    for (int i = N - 1; i >= 0; i--)
        mango_noise_apply(&x.noise, 9, 1000 + (uint64_t)i, 1, piece + i);
    T_MEM(all, piece, sizeof all);
    for (int i = 0; i < N; i++) {
        uint64_t bits = 0;
        if (!mgi_is_nan(all[i]))
            memcpy(&bits, &all[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
    }
    T_CHECK(hash == 0xfb8526c8eca4c854u);
}

static mango_status t_noise_f(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = 0.1 * (double)I[k];
    return MANGO_OK;
}

static void t_noise_evaluator(void)
{
    const mango_idx I[4] = {1, 2, 3, 4};
    double y[4], want[4] = {0.1, 0.2, 0.1 * 3, 0.4};
    mango_noisy x = {.seed = 5, .next = 70, .f = t_noise_f};
    T_STATUS(mango_noise_parse(&x.noise, "normal:0.5", NULL), MANGO_OK);
    mango_noise_apply(&x.noise, 5, 70, 4, want);
    T_STATUS(mango_noisy_eval(&x, 1, I, y), MANGO_OK);
    T_STATUS(mango_noisy_eval(&x, 3, I + 1, y + 1), MANGO_OK);
    T_MEM(y, want, sizeof y);
    T_EQ(x.next, 74);
}

void t_noise(void)
{
    T_CASE(t_noise_text);
    T_CASE(t_noise_moments);
    T_CASE(t_noise_drop);
    T_CASE(t_noise_drift);
    T_CASE(t_noise_bits);
    T_CASE(t_noise_evaluator);
}
