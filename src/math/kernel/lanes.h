/* lanes.h - the inner loop of convolutions in small groups: outputs side by side, each of
 * the `part` channels of its group alone; part = 1 is depth-wise. Not in the kernel table,
 * but chosen with it.
 *
 *     v(i,j) = sum over t, p < part of x[tap(t).a + i*step + j/part*part + p] *
 *              w[tap(t).b + p*ldw + j],                    i < m, j < n
 *
 * one chain of fma over (t,p) ascending from +0, or from y with `load`; then as the kernel
 * `finish`: + bias[j], + res(i,j), relu; y(i,j) = v. y and res: rows ldy apart.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_LANES_H
#define MGI_LANES_H

#include "kernels.h"

typedef struct mgi_lanes {
    mango_idx m, n, ntap;
    const mgi_tap *tap; /* (ntap): a, b; n is not read */
    const float *x, *w;
    mango_idx step, ldw;
    int part;                /* 1, 2, 4 or 8; n is a multiple of it */
    const float *bias, *res; /* or NULL */
    int relu, load;
    float *y;
    mango_idx ldy;
} mgi_lanes;

typedef void mgi_lanes_fn(const mgi_kernels *k, const mgi_lanes *q);
/* The form that goes with a kernel set; to be asked for once a layer. */
MGI_FN mgi_lanes_fn *mgi_lanes_get(const mgi_kernels *k);
/* The same by the kernels scale_shift and finish: the oracle, and what sets without a
 * form of their own use. */
MGI_FN void mgi_lanes_plain(const mgi_kernels *k, const mgi_lanes *q);

#endif
