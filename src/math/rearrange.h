/* rearrange.h - maps moved, padded, repeated and normalized in groups.
 *
 * Maps are channels last, (N,H,W,C). Sizes are trusted, as in ops.h. The same bits for
 * any number of threads.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_REARRANGE_H
#define MGI_REARRANGE_H

#include "../base/mgi.h"

/* ---- rearrange.c ---------------------------------------------------------------- */

/* What stands in the padding: a number, the picture mirrored without its edge, the edge,
 * the picture again. */
typedef enum mgi_pad_mode {
    MGI_PAD_CONSTANT,
    MGI_PAD_REFLECT,
    MGI_PAD_REPLICATE,
    MGI_PAD_CIRCULAR
} mgi_pad_mode;

/* A window of (OH,OW) pixels over maps of (H,W,C): pixel (y,x) of the output is that at
 * (y - top, x - left) of the input, which may lie outside. Reflected, a side is less than
 * the input; circular, at most. */
typedef struct mgi_window {
    mango_idx C, H, W, OH, OW, top, left;
    mgi_pad_mode mode;
    float value;
} mgi_window;
MGI_FN void mgi_window_forward(const mgi_window *w, mango_idx N, const float *x, float *y);
MGI_FN void mgi_window_backward(const mgi_window *w, mango_idx N, const float *dy, float *dx);

/* Axis i of the output, of (C,H,W), is axis order[i] of the input, of size in[order[i]]. */
MGI_FN void mgi_reorder(mango_idx N, const mango_idx in[3], const int order[3], const float *x,
                     float *y);

/* (C r^2,H,W) -> (C,rH,rW): channel c r^2 + i r + j is pixel (i,j) of a block; back. */
MGI_FN void mgi_shuffle(mango_idx N, mango_idx C, mango_idx H, mango_idx W, int r,
                        const float *x, float *y);
MGI_FN void mgi_unshuffle(mango_idx N, mango_idx C, mango_idx H, mango_idx W, int r,
                          const float *x, float *y);

/* R rows: y (n) = columns at.. of x (C); back: dx (C) is 0 elsewhere. */
MGI_FN void mgi_columns(mango_idx R, mango_idx C, mango_idx at, mango_idx n, const float *x,
                        float *y);
MGI_FN void mgi_columns_backward(mango_idx R, mango_idx C, mango_idx at, mango_idx n,
                                 const float *dy, float *dx);

/* ---- broadcast.c ---------------------------------------------------------------- */

typedef enum mgi_merge_op { MGI_MERGE_ADD, MGI_MERGE_SUB, MGI_MERGE_MUL } mgi_merge_op;

/* An input of a merge: an axis of size 1 is repeated; map i is map i % n of x. */
typedef struct mgi_merge_input {
    const float *x;
    mango_idx n, C, H, W;
} mgi_merge_input;

/* y (N,H,W,C) = x[0] op x[1] op .., from the left. */
MGI_FN void mgi_merge(mgi_merge_op op, mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                      int n_in, const mgi_merge_input *in, float *y);
/* The gradient of input k: dx [+]= dy (times the other inputs, or minus), summed over all
 * that was repeated, in double, ascending. */
MGI_FN void mgi_merge_backward(mgi_merge_op op, mango_idx N, mango_idx H, mango_idx W,
                               mango_idx C, int n_in, const mgi_merge_input *in, int k,
                               const float *dy, int add, float *dx);

/* ---- groupnorm.c ---------------------------------------------------------------- */

/* y = w (x - mean) rstd + b, rstd = 1/sqrt(var + eps), over each of N blocks of P pixels
 * and C channels in G groups of neighbouring channels; N, P are of the call. w and b, or
 * NULL, have a value for each channel (C), for each pixel (P), or for both (C,P). */
typedef enum mgi_norm_by { MGI_NORM_CHANNEL, MGI_NORM_PIXEL, MGI_NORM_BOTH } mgi_norm_by;
typedef struct mgi_groupnorm {
    mango_idx N, P, C, G;
    double eps;
    mgi_norm_by by;
    const float *w, *b;
} mgi_groupnorm;
MGI_FN mango_idx mgi_groupnorm_work(mango_idx N, mango_idx G); /* floats of scratch */
MGI_FN void mgi_groupnorm_forward(const mgi_groupnorm *g, const float *x, float *y,
                                  float *work);
/* Overwrites dx, adds into dw and db; each may be NULL. */
MGI_FN mango_idx mgi_groupnorm_backward_work(mango_idx N, mango_idx G);
MGI_FN void mgi_groupnorm_backward(const mgi_groupnorm *g, const float *x, const float *dy,
                                   float *dx, float *dw, float *db, float *work);

#endif
