/* controls.h - what a drawing does to a generator's picture before the network sees it.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONTROLS_H
#define MGI_CONTROLS_H

#include "../base/text.h"
#include "mei.h"

/* One axis resized: output i is the sum of n[i] inputs from first[i] on, times w. */
typedef struct mgi_axis {
    mango_idx in, out, width;
    mango_idx *first, *n; /* (out)       */
    double *w;            /* (out,width) */
} mgi_axis;

typedef struct mgi_controls {
    mango_alloc al;
    mango_controls c;
    int grey, measured; /* measured: luminance, contrast or variation is asked for */
    mango_idx C0, H0, W0, C, H, W; /* of the generator's picture; of the network's   */
    mango_idx h, w, top, left;     /* the picture within the network's: size, corner */
    mgi_axis down, across;
    double *mask;       /* (h,w) 0 .. 1 */
    double *one, *half; /* (C H0 W0); (C h W0): before and between the two axes      */
    double *x, *soft, *softer, *part; /* (C,h,w) */
    mango_idx size;     /* C h w */
} mgi_controls;

/* Is anything to be done to a picture of C0 H0 W0 for a network of C H W? */
MGI_FN int mgi_controls_none(const mango_controls *c, mango_idx C0, mango_idx H0, mango_idx W0,
                             mango_idx C, mango_idx H, mango_idx W);
/* MANGO_E_ARG, MANGO_E_SHAPE: what does not fit is named. */
MGI_FN mango_status mgi_controls_new(mgi_controls **q, const mango_controls *c, mango_idx C0,
                                     mango_idx H0, mango_idx W0, mango_idx C, mango_idx H,
                                     mango_idx W, const mango_alloc *al, mango_err *err);
MGI_FN void mgi_controls_free(mgi_controls *q);
/* in (C0,H0,W0) within [0,1] -> out (C,H,W), not rounded. */
MGI_FN void mgi_controls_apply(mgi_controls *q, const float *in, float *out);

/* controls_level.c: luminance, contrast and total variation of q->x, brought to what is
 * asked for. */
MGI_FN void mgi_controls_level(mgi_controls *q);

/* "grey luminance=0.5 mask=0.9 surround=0.5", appended. */
MGI_FN void mgi_controls_text(const mango_controls *c, mgi_str *s);

#endif
