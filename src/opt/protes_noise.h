/* protes_noise.h - an elite under noise: which of the values told are really the best?
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PROTES_NOISE_H
#define MGI_PROTES_NOISE_H

#include "../base/mgi.h"

/* What was told since the last ask: how many values, their mean, the squared distances
 * from it, and the sum of the squared standard errors. */
typedef struct mgi_spread {
    mango_idx n, known; /* known: with a variance above 0 */
    double mean, m2, s2;
} mgi_spread;

/* One value more, of squared standard error s2 >= 0. */
MGI_FN void mgi_spread_add(mgi_spread *a, double y, double s2);

/* mgi_protes_noise - the elite of n candidates, and what each of it counts.
 *   a      in   of all values told
 *   y, s2  in   (n) the candidates' values and squared standard errors
 *   k_top  in   wanted, >= 1
 *   order  out  (n) candidates by posterior mean, best first: the first k_top are the elite
 *   w      out  (k_top) weights, > 0, 1 in the mean
 * Returns  the size of the elite, min(n, k_top). */
MGI_FN mango_idx mgi_protes_noise(const mgi_spread *a, mango_idx n, const double *y,
                                  const double *s2, mango_idx k_top, mango_idx *order,
                                  double *w);

#endif
