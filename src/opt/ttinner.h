/* ttinner.h - small things that the files of the tensor train share.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TTINNER_H
#define MGI_TTINNER_H

#include "tt.h"
#include <float.h>
#include <math.h>

#define MGI_TT_SCALE(j) (((j) & 3) == 3) /* modes at which left vectors are scaled */

/* Samples that walk together through a wide core of n levels: their running sums
 * take memory. */
static inline mango_idx mgi_tt_together(mango_idx n)
{
    return n <= 65536 ? MGI_TT_BLOCK : 4;
}

/* Scale x (r) by a power of two when it leaves [2^-64, 2^64]; returns it. A
 * zero vector stays. Rarely taken, so off the critical path. */
MGI_TT_INLINE double mgi_tt_scale(mango_idx r, double *x)
{
    double m = 0.0, s = 1.0;
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r; a++) {
        const double b = fabs(x[a]);
        m = b > m ? b : m;
    }
    if ((m > 0x1p-64 && m < 0x1p64) || m == 0.0 || !(m <= DBL_MAX))
        return 1.0;
    for (; m * s > 0x1p32; s *= 0x1p-32) {}
    for (; m * s < 0x1p-32; s *= 0x1p32) {}
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r; a++)
        x[a] *= s;
    return s;
}

/* l2 = l Gi, one matrix, its entries `step` apart: (2). */
MGI_TT_INLINE void mgi_tt_left(mango_idx r1, mango_idx r2, mango_idx step, const double *Gi,
                               const double *l, double *l2)
{
    MGI_TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        l2[b] = 0.0;
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        MGI_TT_UNROLL
        for (mango_idx b = 0; b < r2; b++)
            l2[b] += l[a] * Gi[(a * r2 + b) * step];
}

/* c += s Gi c2: what d/dl_j gets through the chain, the transpose of (2). */
MGI_TT_INLINE void mgi_tt_chain(mango_idx r1, mango_idx r2, mango_idx step, const double *Gi,
                                double s, const double *c2, double *c)
{
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++) {
        double x = 0.0;
        MGI_TT_UNROLL
        for (mango_idx b = 0; b < r2; b++)
            x += Gi[(a * r2 + b) * step] * c2[b];
        c[a] += s * x;
    }
}

#endif
