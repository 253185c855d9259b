/* posterior.h - what the values of codes under noise say about the codes: see posterior.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_POSTERIOR_H
#define MGI_POSTERIOR_H

#include "cache.h"

typedef struct mgi_posterior {
    double mu, tau2; /* of the codes' true values: mean, variance                   */
    double a, b;     /* variance of one presentation of a code of mean y: a + b y   */
    double dof;      /* it is known by so many degrees of freedom; 0: not known     */
} mgi_posterior;

MGI_FN void mgi_posterior_fit(mgi_posterior *p, const mgi_cache *c);
/* (7), of the code of a head that has a value. */
MGI_FN double mgi_posterior_mean(const mgi_posterior *p, const mgi_cache *c, mango_idx head);
/* Mean of its values but the first (NaN: none), standard error (8), t (9); the latter two
 * are NaN while the noise is not known. */
MGI_FN double mgi_posterior_again(const mgi_cache *c, mango_idx head);
MGI_FN double mgi_posterior_se(const mgi_posterior *p, const mgi_cache *c, mango_idx head);
MGI_FN double mgi_posterior_t(const mgi_posterior *p, const mgi_cache *c, mango_idx head);

#endif
