/* winograd.h - 3x3 convolutions of stride 1 by Winograd's minimal filtering
 * F(m x m, 3 x 3), m = 2 or 4. Private.
 *
 * The output is cut in tiles of m x m. A tile needs a = m + 2 rows and columns
 * of the input, and is, summed over the input channels c,
 *
 *     Y = A' [ sum_c (G g_c G') o (B' d_c B) ] A        o: element by element
 *
 * a*a products in place of 9 m*m: 16/36 of the work for m = 2, 36/144 for
 * m = 4. U = G g G' is made when weights are packed, in double, rounded once.
 * V = B'dB and the outer A'[.]A use the factors 1, 2, 4, 8 alone, so that a
 * product is exact and it does not matter whether it is fused with its sum.
 *
 * Bits. Every V, every chain over c (ascending, by fma, from +0) and every Y
 * is computed in one fixed order: the same for all kernel sets, thread counts
 * and batch sizes. They are not those of the plain form: hence the choice
 * between the two looks at the shape of a layer and nothing else, and what
 * reads spikes never takes this one. In training, gradients do, too
 * (winograd_grad.c).
 *
 * Error. Along any path from d to Y there are, in order, 2 r roundings in V, 1
 * in U, C in the chain and 2 s in Y, with r = 1, s = 2 for m = 2 and r = 2,
 * s = 3 for m = 4; the sums as written never cancel more than the matrices
 * themselves do. To first order in u = 2^-24, against exact arithmetic,
 *
 *     |error of Y| <= (C + 2r + 2s + 1) u S,   S = |A'| [ sum_c |U_c| o (|B'||d_c||B|) ] |A|
 *
 * element by element. The plain form has 9 C u sum |w||x|. With |x| <= X and
 * |w_c| <= w_c, S <= k X sum_c w_c, k the square of max_i sum_p |A'|_ip (|G|1)_p
 * (|B'|1)_p: k = 64 for m = 2 and 2304 (at the last row and column of a tile;
 * 256 to 1152 elsewhere) for m = 4, where sum |w||x| has 9. Real errors are far
 * smaller, mostly below 1/100 of the bound (0.15 of it was seen with 1 to 8
 * channels): 5e-7 of the largest output of a layer for
 * m = 2, up to 8e-6 for m = 4. tests/test_winograd.c checks the bound.
 * Inputs so large that 100 times as much overflows are not covered.
 *
 * Transposed, 4x4, stride 2, padding 1 (winograd = 3): each of the four phases of
 * the output (rows and columns odd or even) is a 2x2 convolution of stride 1 on
 * the same map: F(3x3, 2x2), a = 4, 16/36 of the work, with the B' of m = 2. The
 * phases read the same tiles if those of the odd ones start one output earlier,
 *     output 2(y0+i) + f - 1 of phase f = 0 (odd), 1 (even),  i = 0..2, from rows y0-1 .. y0+2
 * so V is made once and the 4 O outputs of a tile are one product. r = 1, s = 2;
 * k = 36, where sum |w||x| has 4. About the plain form's error.
 *
 * Source: S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin,
 * S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015 (F(4x4)).
 * SPDX-License-Identifier: MIT */
#ifndef MGI_WINOGRAD_H
#define MGI_WINOGRAD_H

#include "ops.h"

#define MGI_WINOGRAD_POINTS 36 /* a*a, at most */
#define MGI_WINOGRAD_OUT 16    /* m*m, at most */
/* Place in a set of what belongs to m. */
#define MGI_WINOGRAD_INPUT(m) ((m) / 4)
#define MGI_WINOGRAD_OUTPUT(m) ((m) == 3 ? 2 : (m) / 4)

/* m for a layer of this shape, as measured; 0: the plain form. N, the kernel
 * set and the number of threads have no say. */
MGI_FN int mgi_winograd_rule(const mgi_conv *c);

/* What mgi_conv_* do for c->winograd = m: sizes in floats. */
MGI_FN mango_idx mgi_winograd_packed(const mgi_conv *c);
MGI_FN void mgi_winograd_pack(const mgi_conv *c, const float *w, float *packed);
MGI_FN void mgi_winograd_pack_part(const mgi_conv *c, mango_idx p, mango_idx c0, mango_idx n,
                                   const float *w, float *packed);
MGI_FN mango_idx mgi_winograd_work(const mgi_conv *c, mango_idx N);
MGI_FN void mgi_winograd_forward(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *packed, const mgi_epilogue *e, float *y,
                                 float *work);
/* U (a,a,n) of n <= 32 kernels g (3,3,n). */
MGI_FN void mgi_winograd_filter(int m, mango_idx n, const float *g, float *U);

/* winograd_up.c: the same of a transposed convolution. The filter takes the
 * kernels of four phases, (2,2) each in the order of ascending inputs. */
MGI_FN int mgi_winograd_up_rule(const mgi_conv *c);
MGI_FN void mgi_winograd_up_filter(mango_idx n, const float *g, float *U);
MGI_FN void mgi_winograd_up_pack(const mgi_conv *c, const float *w, float *packed);

/* winograd_grad.c: mgi_conv_backward_data and _weights for c->winograd = m; scratch
 * in floats. _data: false, and nothing done, where the convolution of dy that gives
 * dx is of a shape that mgi_winograd_rule leaves to the plain form. */
MGI_FN mango_idx mgi_winograd_backward_work(const mgi_conv *c, mango_idx N);
MGI_FN int mgi_winograd_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                      const float *w, float *dx, float *work);
MGI_FN void mgi_winograd_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                          const float *dy, float *dw, float *work);
/* The pixels (y0,x0) .. (y0+a-1,x0+a-1) of an image (H,W,C); `zero` outside. */
MGI_FN void mgi_winograd_pixels(mango_idx a, mango_idx H, mango_idx W, mango_idx C,
                                const float *image, mango_idx y0, mango_idx x0,
                                const float *zero, const float **px);

/* The transforms of one tile, channels c0 .. n-1.
 * input   V[p][c] = B'dB at point p = i*a + j; d's pixel (i,j) is px[p] (n)
 *         V at V + p*plane
 * output  y = act(A'MA + bias + res): pixel (i,j) to y[i*m+j] (n), M as V.
 *         bias (n), res[i*m+j] (n): NULL for none; order as in kernels.h finish */
typedef void mgi_winograd_in(mango_idx c0, mango_idx n, const float *const *px, float *V,
                             mango_idx plane);
typedef void mgi_winograd_out(mango_idx c0, mango_idx n, const float *M, mango_idx plane,
                              const float *bias, const float *const *res, int relu,
                              float *const *y);
typedef struct mgi_winograd_set {
    mgi_winograd_in *input[2];   /* m = 2 and 3, 4 */
    mgi_winograd_in *grad[2];    /* m = 2, 4: Z = A dY A', pixel (i,j) of dY is px[i*m+j] */
    mgi_winograd_out *output[3]; /* m = 2, 4, 3    */
    void (*filter)(int m, mango_idx n, const float *g, float *U);
} mgi_winograd_set;
/* The set that goes with a kernel table; ref is the oracle. */
MGI_FN const mgi_winograd_set *mgi_winograd_get(const mgi_kernels *k);
MGI_FN const mgi_winograd_set *mgi_winograd_ref(void);
MGI_FN const mgi_winograd_set *mgi_winograd_sse2(void); /* NULL: not compiled in */
MGI_FN const mgi_winograd_set *mgi_winograd_avx2(void);
MGI_FN const mgi_winograd_set *mgi_winograd_avx512(void);
MGI_FN const mgi_winograd_set *mgi_winograd_neon(void);

#endif
