/* protes_noise.c - an elite under noise, by posterior means and probabilities.
 *
 * Values y_i of standard errors s_i, told of codes whose true values x_i are taken to be
 * normal about the batch's mean m with variance tau^2:
 *     tau^2 = max(var(y) - mean(s^2), var(y)/1000)                                      (1)
 *     rho_i = tau^2 / (tau^2 + s_i^2)                                                   (2)
 *     mu_i = m + rho_i (y_i - m),   v_i = rho_i s_i^2      posterior mean and variance  (3)
 * The k_top largest mu are the elite: not the luckiest, the most promising. Each counts by
 * the probability that it is better than the best one left out, o:
 *     w_i ~ Phi((mu_i - mu_o) / sqrt(v_i + v_o)),   1 in the mean                       (4)
 * without one left out, m stands for mu_o. Where all s_i are 0 that is PROTES.
 * Source: (1) to (3) is the shrinkage of Efron and Morris, "Stein's estimation rule and its
 * competitors", 1973, with a variance for each value.
 * SPDX-License-Identifier: MIT */
#include "protes_noise.h"
#include "../base/real.h"

#define PNOISE_LEAST 1e-3 /* of a weight, and of tau^2 in parts of var(y) */
#define PNOISE_SQRT_HALF 0.70710678118654752

MGI_FN void mgi_spread_add(mgi_spread *a, double y, double s2)
{
    const double from = y - a->mean;
    a->n++;
    a->known += s2 > 0.0;
    a->mean += from / (double)a->n;
    a->m2 += from * (y - a->mean);
    a->s2 += s2;
}

static double pnoise_tau2(const mgi_spread *a)
{
    const double var = a->n > 1 ? a->m2 / (double)(a->n - 1) : 0.0;
    return MGI_MAX(var - a->s2 / (double)a->n, PNOISE_LEAST * var);                 /* (1) */
}

/* (2), and (3): the posterior mean, its variance into *v. */
static double pnoise_mean(const mgi_spread *a, double tau2, double y, double s2, double *v)
{
    const double rho = tau2 + s2 > 0.0 ? tau2 / (tau2 + s2) : 1.0;                  /* (2) */
    *v = rho * s2;
    return a->mean + rho * (y - a->mean);                                           /* (3) */
}

MGI_FN mango_idx mgi_protes_noise(const mgi_spread *a, mango_idx n, const double *y,
                                  const double *s2, mango_idx k_top, mango_idx *order,
                                  double *w)
{
    const double tau2 = pnoise_tau2(a);
    const mango_idx top = MGI_MIN(n, k_top);
    double v, vo = 0.0, sum = 0.0;
    for (mango_idx i = 0; i < n; i++) { /* by (3); of equal ones the first */
        const double mu = pnoise_mean(a, tau2, y[i], s2[i], &v);
        mango_idx at = i;
        for (; at > 0; at--) {
            const mango_idx before = order[at - 1];
            if (!(mu > pnoise_mean(a, tau2, y[before], s2[before], &v)))
                break;
            order[at] = before;
        }
        order[at] = i;
    }
    double out = a->mean;
    if (n > top)
        out = pnoise_mean(a, tau2, y[order[top]], s2[order[top]], &vo);
    for (mango_idx k = 0; k < top; k++) {
        const double d = pnoise_mean(a, tau2, y[order[k]], s2[order[k]], &v) - out;
        const double s = sqrt(v + vo);
        w[k] = s > 0.0 ? 0.5 * (1.0 + mgi_erf(PNOISE_SQRT_HALF * (d / s))) : 1.0;   /* (4) */
        w[k] = w[k] > PNOISE_LEAST ? w[k] : PNOISE_LEAST;
        sum += w[k];
    }
    for (mango_idx k = 0; k < top; k++)
        w[k] = w[k] * (double)top / sum;
    return top;
}

#undef PNOISE_LEAST
#undef PNOISE_SQRT_HALF
