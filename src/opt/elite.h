/* elite.h - the best codes told so far, ranked by what they are worth, not by their luck.
 *
 * A value y of n presentations, each of variance s2, where m is the mean of what was told
 * lately:
 *     s2   = the pooled variance of one presentation over all codes shown twice or more  (1)
 *     tau2 = mean (y - m)^2 - mean s2/n, at least a fifth of the first                   (2)
 *     worth = m + (y - m) tau2 / (tau2 + s2/n)                                           (3)
 *     could be worth + 2 sqrt(tau2 s2/n / (tau2 + s2/n))                                 (4)
 * Without noise, or as long as none is known of, worth = y.
 * Source: the posterior mean of a normal value under a normal prior; James and Stein,
 * "Estimation with quadratic loss", 1961.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ELITE_H
#define MGI_ELITE_H

#include "method.h"

typedef struct mgi_elite {
    double worth, tie;
    double y;         /* told */
    mango_idx n;      /* presentations */
    mango_idx again;  /* times proposed again since it was told: the owner counts */
    mango_idx at;     /* row of `code` */
    uint64_t hash;
} mgi_elite;

typedef struct mgi_elites {
    mango_idx d, cap, n;
    mgi_elite *row;        /* (cap), n of them, best first after mgi_elites_rank */
    int32_t *code;         /* (cap, d) */
    double s2, weight;     /* (1): sum of (n - 1) var, of n - 1 */
    double off, noise, seen; /* (2): sums of (y - m)^2, of 1/n, of 1; old rows fade */
    double mean;           /* sum of y, fading likewise */
} mgi_elites;

/* Room for cap >= 1 codes of d modes; after a failure destroy is called as ever. */
MGI_FN mango_status mgi_elites_create(mgi_elites *e, mango_idx d, mango_idx cap,
                                      const mango_alloc *al);
MGI_FN void mgi_elites_destroy(mgi_elites *e, const mango_alloc *al);
MGI_FN void mgi_elites_clear(mgi_elites *e);
/* One told code, y not NaN. A code that is there gets the new value; a new one takes the
 * place of the worst, if it is better. */
MGI_FN void mgi_elites_tell(mgi_elites *e, const mango_told *t);
/* Worth of all anew, best first; of equal ones the one that came first. */
MGI_FN void mgi_elites_rank(mgi_elites *e);
/* The row to be shown again: the one of the highest (4), with those of `again` counted as
 * shown. Needs n >= 1. */
MGI_FN mango_idx mgi_elites_unsure(const mgi_elites *e);
/* Code of row i into I (d). */
MGI_FN void mgi_elites_code(const mgi_elites *e, mango_idx i, mango_idx *I);
MGI_FN uint64_t mgi_code_hash(mango_idx d, const mango_idx *I);

#endif
