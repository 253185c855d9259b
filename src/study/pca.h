/* pca.h - principal components: many numbers of each vector to few that keep the most of
 * what sets the vectors apart.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_PCA_H
#define MANGO_PCA_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_pca - the first k principal components of n vectors:
 *
 *     y_i = V (x_i - m),  m the mean,  V (k,dim) the directions of largest variance
 *
 * in order of falling variance; the sign of each is such that the largest of its n
 * numbers, the first of equals, is positive. Where the vectors span less than k
 * directions the rest is zeros.
 *   n    in   1 .. 2^20 vectors
 *   dim  in   1 .. 2^20; the smaller of n and dim at most 4096
 *   x    in   (n,dim)
 *   k    in   1 .. 4096
 *   y    out  (n,k)
 * Returns  MANGO_E_NONFINITE for NaN or infinity in x, MANGO_E_ARG, MANGO_E_MEM.
 * Memory   8 (n dim + 2 s^2) bytes from al while it runs, s the smaller of n and dim.
 * Threads  any number, same bits.  Cost: n dim s + 9 s^3 flops. */
MANGO_API mango_status mango_pca(mango_idx n, mango_idx dim, const float *x, mango_idx k,
                                 float *y, const mango_alloc *al, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
