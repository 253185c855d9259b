/* conv_thin.h - private to conv.c: convolutions with few outputs.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONVTHIN_H
#define MGI_CONVTHIN_H

#include "conv_geometry.h"

/* The thin form, where it is the faster one: true when it did the work. It
 * changes no bits. packed: as mgi_conv_pack leaves it; work: mgi_thin_work floats
 * (0: not for this shape). */
MGI_FN mango_idx mgi_thin_work(const mgi_conv *c);
MGI_FN int mgi_thin_forward(const mgi_conv *c, mango_idx N, const float *x, const float *packed,
                            const mgi_epilogue *e, float *y, float *work);

#endif
