/* eigen.h - eigenvalues and eigenvectors of a real symmetric matrix, in double.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_EIGEN_H
#define MGI_EIGEN_H

#include "../base/mgi.h"

/* mgi_eigen - A = sum_i w_i v_i v_i^T, with orthonormal v_i.
 *   n     in      >= 1
 *   A     in-out  (n,n) symmetric, both halves filled; destroyed
 *   w     out     (n) ascending
 *   V     out     (n,n) v_i in row i; NULL: values only
 *   work  out     (4,n) scratch
 * Errors of w are about 1e-16 max |w|; small eigenvalues of a graded matrix (its
 * diagonal ascending) come out better.
 * Returns  MANGO_E_NONFINITE when A has NaN or infinity in it.
 * Threads  any number, same bits. Cost: n^3 (2 flops values only, 9 in all). */
MGI_FN mango_status mgi_eigen(mango_idx n, double *A, double *w, double *V, double *work);
/* x.y of n values, in a fixed order of summation. */
MGI_FN double mgi_dot64(mango_idx n, const double *x, const double *y);

#endif
