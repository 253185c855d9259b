/* transpose.h - a matrix with its axes exchanged.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TRANSPOSE_H
#define MGI_TRANSPOSE_H

#include "../base/mgi.h"

/* y(j,i) = x(i,j) for i < m, j < n; rows of x lie ldx floats apart, of y ldy. */
MGI_FN void mgi_transpose(mango_idx m, mango_idx n, const float *x, mango_idx ldx, float *y,
                          mango_idx ldy);

#endif
