/* test_statistics.c - rank tests and the bootstrap against scipy 1.x and brute force.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* scipy.stats.wilcoxon(d, method="exact"), and W+ of its one-sided form. */
static void t_statistics_signed(void)
{
    const double d[] = {2.341, -2.256, 0.718,  -0.268, -0.153, 0.084,
                        -1.72, 0.068,  -0.565, 3.623,  0.526,  -0.053};
    mango_test t;
    T_STATUS(mango_wilcoxon(12, d, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.exact && t.more == 6 && t.less == 6 && t.equal == 0);
    T_NEAR(t.statistic, 42.0, 0.0);
    T_NEAR(t.p, 0.85009765625, 1e-15);
    const double one[] = {3.0};
    T_STATUS(mango_wilcoxon(1, one, 0.0, &t, NULL), MANGO_OK);
    T_NEAR(t.p, 1.0, 0.0);
    const double six[] = {1, 2, 3, 4, 5, 6};
    T_STATUS(mango_wilcoxon(6, six, 0.0, &t, NULL), MANGO_OK);
    T_NEAR(t.p, 2.0 / 64.0, 1e-16);
}

/* Equal magnitudes and zeros: all 2^11 signs, counted one by one with numpy. */
static void t_statistics_ties(void)
{
    const double d[] = {1, 1, -1, 2, 2, -2, 3, 0, 0, 4, -1, 5, 5};
    double near[13];
    mango_test t;
    T_STATUS(mango_wilcoxon(13, d, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.more == 8 && t.less == 3 && t.equal == 2);
    T_NEAR(t.statistic, 55.0, 0.0);
    T_NEAR(t.p, 0.0556640625, 1e-15);
    for (int i = 0; i < 13; i++) /* the same with rounding errors */
        near[i] = d[i] * (1.0 + 1e-14 * i) + 1e-15 * i;
    T_STATUS(mango_wilcoxon(13, near, 1e-12, &t, NULL), MANGO_OK);
    T_NEAR(t.p, 0.0556640625, 1e-15);
    T_STATUS(mango_wilcoxon(0, NULL, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.p == 1.0 && t.more == 0);
    T_STATUS(mango_wilcoxon(2, d + 7, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.p == 1.0 && t.equal == 2);
}

/* scipy.stats.wilcoxon(d, method="approx", correction=False). */
static void t_statistics_many(void)
{
    double d[300];
    mango_test t;
    for (int i = 0; i < 300; i++)
        d[i] = (double)(i * 7919 % 1009 - 480) / 100.0;
    T_STATUS(mango_wilcoxon(300, d, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(!t.exact);
    T_NEAR(t.statistic, 24631.0, 0.0);
    T_NEAR(t.p, 0.14038575768169398, 1e-14);
    T_STATUS(mango_wilcoxon(200, d, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.exact && t.p > 0.0 && t.p <= 1.0);
}

/* scipy.stats.mannwhitneyu, exact and with continuity; ties by brute force. */
static void t_statistics_rank_sum(void)
{
    const double x[] = {-0.281, -0.668, -1.055, -0.391, 0.482,
                        -0.239, 0.958,  -0.2,   0.024,  1.546};
    const double y[] = {1.345, 0.295, 0.617, 1.341, 2.735, 0.53, 0.556};
    const double a[] = {1, 1, 2, 3, 3, 3}, b[] = {1, 2, 3, 4, 4};
    double many[50], few[40];
    mango_test t;
    T_STATUS(mango_rank_sum(10, x, 7, y, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(t.exact && t.more == 11 && t.less == 59 && t.equal == 0);
    T_NEAR(t.statistic, 11.0, 0.0);
    T_NEAR(t.p, 0.01851090086384204, 1e-15);
    T_STATUS(mango_rank_sum(6, a, 5, b, 0.0, &t, NULL), MANGO_OK);
    T_NEAR(t.statistic, 10.0, 0.0);
    T_NEAR(t.p, 0.45021645021645024, 1e-15);
    for (int i = 0; i < 50; i++)
        many[i] = (double)(i * 37 % 101) / 10.0;
    for (int i = 0; i < 40; i++)
        few[i] = (double)(i * 53 % 97) / 9.0;
    T_STATUS(mango_rank_sum(50, many, 40, few, 0.0, &t, NULL), MANGO_OK);
    T_CHECK(!t.exact);
    T_NEAR(t.statistic, 1015.5, 0.0);
    T_NEAR(t.p, 0.9030532908129609, 1e-14);
    const double same[] = {9.6805, 9.6805}, other[] = {9.68049968, 9.68050003, 9.6805};
    T_STATUS(mango_rank_sum(2, same, 3, other, 1e-5, &t, NULL), MANGO_OK);
    T_CHECK(t.p == 1.0 && t.equal == 6);
}

/* Of {0, 0, 1}: means 0, 1/3, 2/3, 1 with chances 8, 12, 6, 1 of 27; of the other sample
 * the interval of scipy.stats.bootstrap with 200,000 resamples. */
static void t_statistics_bootstrap(void)
{
    const double x[] = {0, 0, 1}, one[] = {4.5};
    const double d[] = {2.341, -2.256, 0.718,  -0.268, -0.153, 0.084,
                        -1.72, 0.068,  -0.565, 3.623,  0.526,  -0.053};
    double ci[2], again[2];
    T_STATUS(mango_bootstrap_mean(3, x, 10000, .95, 1, ci, NULL), MANGO_OK);
    T_CHECK(ci[0] == 0.0 && ci[1] == 1.0);
    T_STATUS(mango_bootstrap_mean(3, x, 10000, .5, 1, ci, NULL), MANGO_OK);
    T_CHECK(ci[0] == 0.0);
    T_NEAR(ci[1], 2.0 / 3.0, 1e-12); /* 20/27 = .741 of the means are at most 1/3 */
    T_STATUS(mango_bootstrap_mean(1, one, 100, .95, 1, ci, NULL), MANGO_OK);
    T_CHECK(ci[0] == 4.5 && ci[1] == 4.5);
    T_STATUS(mango_bootstrap_mean(12, d, 20000, .95, 7, ci, NULL), MANGO_OK);
    T_NEAR(ci[0], -0.6145, 0.02);
    T_NEAR(ci[1], 1.0975, 0.02);
    T_STATUS(mango_bootstrap_mean(12, d, 20000, .95, 7, again, NULL), MANGO_OK);
    T_CHECK(ci[0] == again[0] && ci[1] == again[1]);
}

static void t_statistics_refused(void)
{
    const double bad[] = {1.0, NAN}, good[] = {1.0, 2.0};
    double ci[2];
    mango_test t;
    T_STATUS(mango_wilcoxon(2, bad, 0.0, &t, NULL), MANGO_E_ARG);
    T_STATUS(mango_wilcoxon(2, good, -1.0, &t, NULL), MANGO_E_ARG);
    T_STATUS(mango_rank_sum(2, good, 2, bad, 0.0, &t, NULL), MANGO_E_ARG);
    T_STATUS(mango_rank_sum(0, good, 2, good, 0.0, &t, NULL), MANGO_E_ARG);
    T_STATUS(mango_bootstrap_mean(2, bad, 10, .95, 0, ci, NULL), MANGO_E_ARG);
    T_STATUS(mango_bootstrap_mean(2, good, 10, 1.0, 0, ci, NULL), MANGO_E_ARG);
    T_STATUS(mango_bootstrap_mean(2, good, 0, .95, 0, ci, NULL), MANGO_E_ARG);
}

void t_statistics(void)
{
    T_CASE(t_statistics_signed);
    T_CASE(t_statistics_ties);
    T_CASE(t_statistics_many);
    T_CASE(t_statistics_rank_sum);
    T_CASE(t_statistics_bootstrap);
    T_CASE(t_statistics_refused);
}
