/* posterior.h - what the values of codes under noise say about the codes: see posterior.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_POSTERIOR_H
#define MGI_POSTERIOR_H

#include "cache.h"

typedef struct mgi_posterior {
    double mu, tau2; /* of the codes' true values: mean, variance             */
    double s2, dof;  /* noise: variance of one presentation; NaN, 0: unknown  */
} mgi_posterior;

MGI_FN void mgi_posterior_fit(mgi_posterior *p, const mgi_cache *c);
/* (6), of a code with n >= 1 finite values and their mean. */
MGI_FN double mgi_posterior_mean(const mgi_posterior *p, mango_idx n, double mean);
/* (7), (8) of a code with n >= 1 values, m2: their squared distances from the mean, summed.
 * NaN while nothing was shown twice. */
MGI_FN double mgi_posterior_se(const mgi_posterior *p, mango_idx n, double m2);
MGI_FN double mgi_posterior_t(const mgi_posterior *p, mango_idx n);

#endif
