/* conv_geometry.h - a convolution cut into stride phases, each an ordinary
 * convolution without holes.
 *
 *   iy = ty*sh - py + ky*dy,  ty = 0..TH-1,  ky = 0..kh-1     (the same in x)
 *   oy = oy0 + ty*osy
 *
 * An ordinary convolution is one phase with oy0 = 0, osy = 1. A transposed one
 * with stride s has s*s phases: output oy gets input iy from kernel row
 * ky' = oy + p - s*iy, so the phase f = (oy + p) mod s uses the rows ky' = f,
 * f+s, ..., in DESCENDING order, because iy then ascends. The k order of every
 * output is therefore (iy,ix,c) ascending in the input's own order. With a
 * dilation d it is d*ky' that equals f modulo s: rows s/gcd(d,s) apart, which
 * meet inputs d/gcd(d,s) apart; a phase that the gcd does not divide has none.
 * Kernel rows and columns that only ever meet padding are left out.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONVGEO_H
#define MGI_CONVGEO_H

#include "ops.h"

typedef struct mgi_convgeo {
    mango_idx C, H, W, O, OH, OW;
    mango_idx kh, kw, sh, sw, py, px;
    mango_idx dy, dx; /* inputs from kernel row to kernel row, column to column */
    mango_idx TH, TW, oy0, ox0, osy, osx;
    mango_idx ky0, kys, kx0, kxs; /* stored kernel row of ky is ky0 + ky*kys */
} mgi_convgeo;

MGI_FN int mgi_convgeo_phases(const mgi_conv *c);
MGI_FN void mgi_convgeo_phase(const mgi_conv *c, int phase, mgi_convgeo *g);
/* The convolution that computes dx of c from dy, with the same stored weights. */
MGI_FN mgi_conv mgi_conv_flip(const mgi_conv *c);

/* Inputs from the first to the last of k kernel rows, both counted. */
static inline mango_idx mgi_conv_extent(mango_idx k, mango_idx d)
{
    return k > 0 ? (k - 1) * d + 1 : 0;
}

/* Valid kernel columns [lo,hi) at output position t: 0 <= t*s - p + k*d < size. */
static inline void mgi_conv_clip_by(mango_idx t, mango_idx s, mango_idx p, mango_idx k,
                                    mango_idx d, mango_idx size, mango_idx *lo, mango_idx *hi)
{
    const mango_idx first = t * s - p;
    *lo = MGI_MIN(k, mgi_ceil_div(MGI_MAX(0, -first), d));
    *hi = MGI_MAX(*lo, MGI_MIN(k, mgi_ceil_div(MGI_MAX(0, size - first), d)));
}

/* The same without dilation. */
static inline void mgi_conv_clip(mango_idx t, mango_idx s, mango_idx p, mango_idx k,
                                 mango_idx size, mango_idx *lo, mango_idx *hi)
{
    const mango_idx first = t * s - p;
    *lo = MGI_MIN(k, MGI_MAX(0, -first));
    *hi = MGI_MAX(*lo, MGI_MIN(k, size - first));
}

#endif
