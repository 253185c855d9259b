/* posterior.c - what the values of codes under noise say about the codes.
 *
 * The highest of many noisy values is high by luck as well. Code h of n values y_i has the
 * mean m over all of them; by its first value it was chosen to be shown again, so what is
 * said of chance is said by the n - 1 others, of mean r:
 *
 *     y_i = t + e_i,  e of variance v(t) = a + b t,  t of mean mu, variance tau2     (1)
 *     s2  = sum_(i>1) (y_i - r)^2/(n - 2)                   of codes with n >= 3     (2)
 *     a,b   least squares of s2 on r, weights n - 2;  a, b >= 0;  b = 0 if an r < 0  (3)
 *     mu  = mean of m                                                                (4)
 *     V   = variance of m  =  tau2 + mean(v(mu)/n)                                   (5)
 *     tau2 = max(V - v(mu) mean(1/n), V/100)                never all alike          (6)
 *     E[t] = mu + (m - mu) tau2/(tau2 + v(m)/n)             shrunk towards mu        (7)
 *
 * that is empirical Bayes (Efron and Morris 1975); b is 1/RATE for Poisson counts, a is the
 * variance of noise that does not depend on the value. The standard error of r takes the
 * code's own variance, with v(r) as if it had been seen in 4 more degrees of freedom, and
 * Student's t at 97.5%, by its series in 1/f (Fisher and Cornish 1960):
 *
 *     se^2 = ((n - 2) s2 + 4 v(r))/(n + 2)/(n - 1)                                   (8)
 *     t    = z + (z^3 + z)/(4 f) + (5 z^5 + 16 z^3 + 3 z)/(96 f^2)
 *              + (3 z^7 + 19 z^5 + 17 z^3 - 15 z)/(384 f^3),     z = 1.95996         (9)
 *            f = n - 2 + min(4, sum of all codes' n - 2)
 * SPDX-License-Identifier: MIT */
#include "posterior.h"

#define POSTERIOR_PRIOR 4.0 /* degrees of freedom */

static int posterior_counts(const mgi_cache *c, mango_idx row)
{
    return c->head[row] == row && c->all[row] > 0;
}

MGI_FN double mgi_posterior_again(const mgi_cache *c, mango_idx h)
{
    const double n = (double)c->all[h];
    return c->all[h] > 1 ? (n * c->mean[h] - c->first[h]) / (n - 1.0) : MGI_NAN;
}

/* (2) times n - 2: the squared distances without those that the first value brings */
static double posterior_sum2(const mgi_cache *c, mango_idx h)
{
    const double n = (double)c->all[h], t = c->first[h] - c->mean[h];
    const double sum2 = c->sum2[h] - t * t * (n / (n - 1.0));
    return c->all[h] > 2 && sum2 > 0.0 ? sum2 : 0.0;
}

static double posterior_noise(const mgi_posterior *p, double y)
{
    const double v = p->a + p->b * y;
    return v > 0.0 ? v : 0.0;
}

/* (3) */
static void posterior_line(mgi_posterior *p, const mgi_cache *c)
{
    double w = 0.0, r = 0.0, s = 0.0, rr = 0.0, rs = 0.0, least = 0.0;
    for (mango_idx h = 0; h < c->n; h++) {
        if (!posterior_counts(c, h) || c->all[h] < 3)
            continue;
        const double f = (double)(c->all[h] - 2), x = mgi_posterior_again(c, h);
        const double fs2 = posterior_sum2(c, h);
        w += f;
        r += f * x;
        s += fs2;
        rr += f * x * x;
        rs += x * fs2;
        least = MGI_MIN(least, x);
    }
    p->dof = w;
    p->a = w > 0.0 ? s / w : 0.0;
    p->b = 0.0;
    const double det = w * rr - r * r;
    if (least < 0.0 || !(det > 1e-12 * w * rr))
        return;
    const double b = (w * rs - r * s) / det, a = (s - b * r) / w;
    if (b > 0.0) {
        p->a = a > 0.0 ? a : 0.0;
        p->b = a > 0.0 ? b : rs / rr;
    }
}

/* (5): variance of the codes' means */
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
    double codes = 0.0, sum = 0.0, inverse = 0.0;
    posterior_line(p, c);
    for (mango_idx h = 0; h < c->n; h++) {
        if (!posterior_counts(c, h))
            continue;
        codes += 1.0;
        sum += c->mean[h];
        inverse += 1.0 / (double)c->all[h];
    }
    p->mu = codes > 0.0 ? sum / codes : 0.0;                                   /* (4) */
    const double V = posterior_spread(c, p->mu, codes);                        /* (5) */
    const double noise = codes > 0.0 ? posterior_noise(p, p->mu) * (inverse / codes) : 0.0;
    p->tau2 = MGI_MAX(V - noise, V / 100.0);                                   /* (6) */
}

MGI_FN double mgi_posterior_mean(const mgi_posterior *p, const mgi_cache *c, mango_idx h)
{
    const double m = c->mean[h], v = posterior_noise(p, m) / (double)c->all[h];
    if (!(p->tau2 + v > 0.0))
        return m;
    return p->mu + (m - p->mu) * (p->tau2 / (p->tau2 + v));                    /* (7) */
}

MGI_FN double mgi_posterior_se(const mgi_posterior *p, const mgi_cache *c, mango_idx h)
{
    const double n = (double)c->all[h];
    if (!(p->dof > 0.0) || c->all[h] < 2)
        return MGI_NAN;
    const double prior = POSTERIOR_PRIOR * posterior_noise(p, mgi_posterior_again(c, h));
    const double var = (posterior_sum2(c, h) + prior) / (n - 2.0 + POSTERIOR_PRIOR);
    return sqrt(var / (n - 1.0));                                              /* (8) */
}

MGI_FN double mgi_posterior_t(const mgi_posterior *p, const mgi_cache *c, mango_idx h)
{
    const double z = 1.959963984540054, z2 = z * z;
    const double f = (double)c->all[h] - 2.0 + MGI_MIN(POSTERIOR_PRIOR, p->dof);
    if (!(p->dof > 0.0) || c->all[h] < 2)
        return MGI_NAN;
    const double first = z * (z2 + 1.0) / (4.0 * f);
    const double second = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / (96.0 * f * f);
    const double third = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    return z + first + second + third / (f * f * f);                           /* (9) */
}

#undef POSTERIOR_PRIOR
