/* fid.h - how far apart two sets of feature vectors are: the Frechet distance
 * of the two Gaussians with their means and covariances.
 *
 *     FID = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))
 *
 * On the features of a trained classifier it says how far generated pictures
 * are from real ones (Heusel et al. 2017, arXiv:1706.08500). It is biased by the
 * number of vectors: compare only figures for the same features and numbers.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_FID_H
#define MANGO_FID_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_moments - mean and covariance of vectors that come one after another. */
typedef struct mango_moments mango_moments;

/* mango_moments_create - of no vectors yet.
 *   dim  in  1..4096 features
 * Memory   about 8 dim^2 bytes from al, until mango_moments_destroy. */
MANGO_API mango_status mango_moments_create(mango_moments **m, mango_idx dim,
                                            const mango_alloc *al, mango_err *err);
/* mango_moments_add - n more vectors.
 *   x  in  (n,dim)
 * The result has the same bits however the vectors are cut into calls.
 * Returns  MANGO_E_NONFINITE for NaN or infinity in x; then none is added.
 * Memory   none allocated.  Threads  one call at a time on m, reading included. */
MANGO_API mango_status mango_moments_add(mango_moments *m, mango_idx n, const float *x,
                                         mango_err *err);
/* mango_moments_merge - as if the vectors of `from` came after those of m, but
 * for rounding. `from` stays as it is. MANGO_E_SHAPE when dim differs. */
MANGO_API mango_status mango_moments_merge(mango_moments *m, const mango_moments *from,
                                           mango_err *err);
MANGO_API mango_idx mango_moments_count(const mango_moments *m); /* -1 for NULL */
/* mango_moments_get - MANGO_E_STATE for fewer than 2 vectors.
 *   mean  out  (dim)
 *   cov   out  (dim,dim), divided by count - 1 */
MANGO_API mango_status mango_moments_get(const mango_moments *m, double *mean, double *cov,
                                         mango_err *err);
MANGO_API void mango_moments_destroy(mango_moments *m); /* NULL is fine */

/* mango_fid - the Frechet distance between two sets.
 *   a, b   in   at least 2 vectors each
 *   fid    out  >= 0: what rounding takes below is 0
 *   means  out  |m1 - m2|^2 of it; NULL: not wanted
 * Eigenvalues of C1 below dim 2^-52 of its largest count as 0, so fewer vectors
 * than features are fine. Error: about 1e-8 of the largest variance per feature in
 * the worst case (singular covariances of different ranges), else 1e-13 of the traces.
 * Returns  MANGO_E_SHAPE, MANGO_E_STATE, MANGO_E_MEM, MANGO_E_NONFINITE.
 * Memory   24 dim^2 bytes from al while it runs.  Cost: about 16 dim^3 flops. */
MANGO_API mango_status mango_fid(const mango_moments *a, const mango_moments *b,
                                 const mango_alloc *al, double *fid, double *means,
                                 mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
