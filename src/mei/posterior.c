/* posterior.c - what the values of codes under noise say about the codes.
 *
 * The highest of many noisy values is high by luck as well. Code h has n_h values y_hi;
 * its true value is t_h:
 *
 *     y_hi = t_h + e_hi,   e of variance s2,   t_h of mean mu, variance tau2      (1)
 *     s2   = sum_hi (y_hi - y_h)^2 / sum_h (n_h - 1)      y_h: mean of h's values (2)
 *     mu   = mean of y_h                                                          (3)
 *     V    = variance of y_h  =  tau2 + s2 mean(1/n_h)                            (4)
 *     tau2 = max(V - s2 mean(1/n_h), V/100)               never all alike         (5)
 *     E[t_h] = mu + (y_h - mu) tau2/(tau2 + s2/n_h)       shrunk towards mu       (6)
 *
 * that is empirical Bayes (Efron and Morris 1975). The standard error takes a code's own
 * variance, with that of all as if it had been seen in 4 more degrees of freedom, and
 * Student's t at 97.5%, by its series in 1/v (Fisher and Cornish 1960):
 *
 *     se^2 = (m2_h + 4 s2)/(n_h - 1 + 4)/n_h,   m2_h = sum_i (y_hi - y_h)^2       (7)
 *     t    = z + (z^3 + z)/(4 v) + (5 z^5 + 16 z^3 + 3 z)/(96 v^2),  z = 1.95996  (8)
 *            v = n_h - 1 + min(4, sum_h (n_h - 1))
 * SPDX-License-Identifier: MIT */
#include "posterior.h"

#define POSTERIOR_PRIOR 4.0 /* degrees of freedom */

static int posterior_counts(const mgi_cache *c, mango_idx row)
{
    return c->head[row] == row && c->all[row] > 0;
}

/* (4): variance of the codes' means */
static double posterior_spread(const mgi_cache *c, double mu, double codes)
{
    double sum = 0.0;
    for (mango_idx h = 0; h < c->n; h++)
        if (posterior_counts(c, h))
            sum += (c->mean[h] - mu) * (c->mean[h] - mu);
    return codes > 1.0 ? sum / (codes - 1.0) : 0.0;
}

MGI_FN void mgi_posterior_fit(mgi_posterior *p, const mgi_cache *c)
{
    double codes = 0.0, sum = 0.0, m2 = 0.0, dof = 0.0, inverse = 0.0;
    for (mango_idx h = 0; h < c->n; h++) {
        if (!posterior_counts(c, h))
            continue;
        const double n = (double)c->all[h];
        codes += 1.0;
        sum += c->mean[h];
        m2 += c->sum2[h];
        dof += n - 1.0;
        inverse += 1.0 / n;
    }
    p->dof = dof;
    p->s2 = dof > 0.0 ? m2 / dof : MGI_NAN;                                    /* (2) */
    p->mu = codes > 0.0 ? sum / codes : 0.0;                                   /* (3) */
    const double V = posterior_spread(c, p->mu, codes);                        /* (4) */
    const double noise = dof > 0.0 ? p->s2 * (inverse / codes) : 0.0;
    p->tau2 = MGI_MAX(V - noise, V / 100.0);                                   /* (5) */
}

MGI_FN double mgi_posterior_mean(const mgi_posterior *p, mango_idx n, double mean)
{
    const double noise = p->dof > 0.0 ? p->s2 / (double)n : 0.0;
    if (!(p->tau2 + noise > 0.0))
        return mean;
    return p->mu + (mean - p->mu) * (p->tau2 / (p->tau2 + noise));             /* (6) */
}

MGI_FN double mgi_posterior_se(const mgi_posterior *p, mango_idx n, double m2)
{
    const double own = (double)n - 1.0;
    if (!(p->dof > 0.0))
        return MGI_NAN;
    const double var = (m2 + POSTERIOR_PRIOR * p->s2) / (own + POSTERIOR_PRIOR);
    return sqrt(var / (double)n);                                              /* (7) */
}

MGI_FN double mgi_posterior_t(const mgi_posterior *p, mango_idx n)
{
    const double z = 1.959963984540054, z2 = z * z;
    const double v = (double)n - 1.0 + MGI_MIN(POSTERIOR_PRIOR, p->dof);
    const double first = z * (z2 + 1.0) / (4.0 * v);
    const double second = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / (96.0 * v * v);
    return z + first + second;                                                 /* (8) */
}

#undef POSTERIOR_PRIOR
