/* statistics.h - are two methods different, and how sure is a mean: rank tests and the
 * bootstrap, for tables over units and seeds.
 *
 * Plain functions of numbers; the same bits on every machine.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_STATISTICS_H
#define MANGO_STATISTICS_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_test - the outcome of a rank test, two-sided. */
typedef struct mango_test {
    mango_idx more, less, equal; /* pairs with d > 0, d < 0, d = 0; of mango_rank_sum:
                                    pairs (x_i, y_j) with x_i > y_j, ...              */
    double statistic;            /* W+ of mango_wilcoxon, U of x of mango_rank_sum   */
    double p;                    /* of a statistic as far out or farther by chance   */
    int exact;                   /* 1: over all rearrangements; 0: normal approximation */
} mango_test;

/* mango_wilcoxon - signed-rank test of n differences d (n): is their median zero?
 *     W+ = sum of the ranks of |d_i| over all d_i > 0,  d_i = 0 left out             (1)
 *   tie  in  magnitudes a <= b count as equal when b - a <= tie b, and d_i as zero when
 *            |d_i| <= tie; 0: only equal ones. Equal magnitudes share their mean rank.
 * Exact over all 2^n signs, ties as they are, up to 200 differences; beyond them W+ is
 * taken as normal, its variance corrected for ties. No difference left: p is 1.
 * Returns MANGO_OK, MANGO_E_ARG for a d that is not finite, MANGO_E_MEM.
 * Source: Wilcoxon 1945; Pratt and Gibbons 1981. */
MANGO_API mango_status mango_wilcoxon(mango_idx n, const double *d, double tie,
                                      mango_test *test, const mango_alloc *al);

/* mango_rank_sum - do x (n) and y (m), n, m >= 1, come from one distribution?
 *     U = number of pairs (i, j) with x_i > y_j, and half of the equal ones          (2)
 *   tie  in  neighbours a, b in the order of all values are equal when
 *            |a - b| <= tie max(|a|, |b|); 0: only equal ones
 * Exact over all choices of n of the n + m values, ties as they are, for n + m up to 60;
 * beyond it U is taken as normal, corrected for ties and by half a step for continuity.
 * Returns as above. Source: Mann and Whitney 1947. */
MANGO_API mango_status mango_rank_sum(mango_idx n, const double *x, mango_idx m,
                                      const double *y, double tie, mango_test *test,
                                      const mango_alloc *al);

/* mango_bootstrap_mean - an interval for the mean of x (n), n >= 1: the means of so many
 * resamples with replacement, and their quantiles (1 -+ level)/2, between two of them by
 * straight lines.
 *   resamples  in   1 .. 10^6; 10,000 are usual
 *   level      in   in (0,1), for example .95
 *   ci         out  (2) lower and upper end
 * Resample b draws from its own stream (seed, purpose, b).
 * Returns as above. Source: Efron 1979. */
MANGO_API mango_status mango_bootstrap_mean(mango_idx n, const double *x,
                                            mango_idx resamples, double level,
                                            uint64_t seed, double ci[2],
                                            const mango_alloc *al);

#ifdef __cplusplus
}
#endif
#endif
