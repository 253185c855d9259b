/* bootstrap.c - how sure a mean is: means of resamples.
 *
 *     m_b = mean of n draws from x with replacement, b = 1 .. B                      (1)
 *     interval: the quantiles (1 - level)/2 and (1 + level)/2 of all m_b             (2)
 * Source: Efron 1979 (percentile interval).
 * SPDX-License-Identifier: MIT */
#include "../base/mgi.h"
#include "../base/rng.h"
#include "statistics.h"
#include <stdlib.h>

#define BOOTSTRAP_STREAM 0x626f6f74u /* "boot" */

static int boot_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double boot_mean(mango_idx n, const double *x, uint64_t seed, mango_idx b)
{
    mango_rng rng;
    double sum = 0.0;
    mango_rng_init(&rng, seed, BOOTSTRAP_STREAM, (uint64_t)b);
    for (mango_idx i = 0; i < n; i++)
        sum += x[mango_rng_int(&rng, n)];
    return sum / (double)n; /* (1) */
}

/* Quantile q of sorted m (B). */
static double boot_quantile(mango_idx B, const double *m, double q)
{
    const double at = q * (double)(B - 1);
    const mango_idx i = (mango_idx)at;
    const double part = at - (double)i;
    return i + 1 < B ? m[i] + part * (m[i + 1] - m[i]) : m[B - 1];
}

mango_status mango_bootstrap_mean(mango_idx n, const double *x, mango_idx resamples,
                                  double level, uint64_t seed, double ci[2],
                                  const mango_alloc *al)
{
    MGI_REQUIRE(n >= 1 && x && ci && resamples >= 1 && resamples <= 1000000);
    MGI_REQUIRE(level > 0.0 && level < 1.0);
    for (mango_idx i = 0; i < n; i++)
        MGI_REQUIRE(mgi_is_finite(x[i]));
    const mango_alloc a = mgi_alloc_get(al);
    double *m = mgi_new(&a, resamples, sizeof *m);
    if (!m)
        return MANGO_E_MEM;
    for (mango_idx b = 0; b < resamples; b++)
        m[b] = boot_mean(n, x, seed, b);
    qsort(m, (size_t)resamples, sizeof *m, boot_order);
    ci[0] = boot_quantile(resamples, m, 0.5 * (1.0 - level)); /* (2) */
    ci[1] = boot_quantile(resamples, m, 0.5 * (1.0 + level));
    mgi_del(&a, m, resamples, sizeof *m);
    return MANGO_OK;
}

#undef BOOTSTRAP_STREAM
