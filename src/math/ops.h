/* ops.h - the operators on feature maps, forward and backward.
 *
 * Feature maps are channels last: x is (N,H,W,C), so a pixel's channels are
 * consecutive. Convolution weights come in the source frameworks' order
 * (O,C,kh,kw), transposed ones in (C,O,kh,kw); they are packed once, at plan
 * time. The inner product runs over k = (ky,kx,c) in ascending order, always, c over
 * the channels of the output's group.
 * Backward functions ADD into parameter gradients (dw, db) and OVERWRITE dx.
 * All are deterministic for any thread count. Sizes are trusted: the callers
 * (graph shape inference) have checked them.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OPS_H
#define MGI_OPS_H

#include "kernel/kernels.h"

/* Scratch: the *_work functions count for the kernel set and the mango_threads()
 * of the moment; more threads later need more. A size for N serves every
 * smaller N. Packed weights belong to the kernel set they were packed for. */

/* ---- gemm.c ------------------------------------------------------------- */
/* C (M,N), row stride ldc = A (M,K) * B (K,N) [+ C when load]. op: 'n' or 't'.
 * With 't' the stored matrix is (K,M) for A, (N,K) for B. work: scratch for
 * packing of mgi_gemm_work(...) floats. Chains run over k ascending from +0,
 * or from C when load. */
MGI_FN mango_idx mgi_gemm_work(mango_idx M, mango_idx N, mango_idx K, int opa, int opb);
MGI_FN void mgi_gemm(int opa, int opb, mango_idx M, mango_idx N, mango_idx K, const float *A,
                     mango_idx lda, const float *B, mango_idx ldb, float *C, mango_idx ldc,
                     int load, float *work);
/* The plain triple loop with fma: the oracle of all the above. */
MGI_FN void mgi_gemm_ref(int opa, int opb, mango_idx M, mango_idx N, mango_idx K,
                         const float *A, mango_idx lda, const float *B, mango_idx ldb,
                         float *C, mango_idx ldc, int load);
/* Floats of a (K,N) matrix in panels of nr columns, for the kernel table in force. */
MGI_FN mango_idx mgi_pack_size(mango_idx K, mango_idx N);

/* ---- half.c ------------------------------------------------------------- */
/* Half precision, to nearest even, 65504 for all that is larger. Widening is exact. */
MGI_FN void mgi_halves(mango_idx n, const float *x, uint16_t *h);
MGI_FN void mgi_from_halves(mango_idx n, const uint16_t *h, float *x);
MGI_FN int mgi_halves_exact(mango_idx n, const float *x); /* is every x a half already? */

/* ---- conv.c ------------------------------------------------------------- */
typedef struct mgi_conv {
    mango_idx C, H, W;    /* input channels, height, width  */
    mango_idx O, OH, OW;  /* output                          */
    int kh, kw, sh, sw, ph, pw;
    int transposed;       /* 1: ConvTranspose2d, weights (C,O,kh,kw) */
    int winograd;         /* m of F(m x m, 3 x 3), see winograd.h; 0: the plain form */
    int int8; /* 1: packed weights in 8 bits, see spikes.h; for mgi_bits_conv alone */
    int half; /* 1: packed weights in half precision; not for transposed or winograd */
    int groups; /* parts of the channels that do not meet; 0 as 1. Weights are
                   (O,C/groups,kh,kw), transposed (C,O/groups,kh,kw)            */
    int dh, dw; /* dilation: steps between the rows, columns of the kernel; 0 as 1 */
    int oph, opw; /* transposed: rows, columns added at the end of the output     */
} mgi_conv;
/* Fill OH, OW from the rest; false when the output would be empty. */
MGI_FN int mgi_conv_shape(mgi_conv *c);
/* One group and no dilation: winograd, half, int8, and the forms for spikes are for such. */
static inline int mgi_conv_is_plain(const mgi_conv *c)
{
    return c->groups <= 1 && c->dh <= 1 && c->dw <= 1;
}
static inline mango_idx mgi_conv_groups(const mgi_conv *c)
{
    return MGI_MAX(c->groups, 1);
}
/* Inputs that one output sees, kernel positions apart; values of the weights. */
static inline mango_idx mgi_conv_inputs(const mgi_conv *c)
{
    return c->C / mgi_conv_groups(c);
}
static inline mango_idx mgi_conv_weights(const mgi_conv *c)
{
    return c->O * mgi_conv_inputs(c) * c->kh * c->kw;
}
/* What happens to a tile of outputs while it is still in cache:
 * y = act(acc + bias[o] + residual). relu after the add. NULL: none. */
typedef struct mgi_epilogue {
    const float *bias;     /* (O)                            */
    const float *residual; /* like y                         */
    int relu;
} mgi_epilogue;
MGI_FN mango_idx mgi_conv_packed(const mgi_conv *c);               /* floats */
MGI_FN void mgi_conv_pack(const mgi_conv *c, const float *w, float *packed);
/* Of that, outputs p*nr .. and inputs c0 .. c0+n-1: w (outputs,n,kh,kw) holds their
 * weights alone. Not transposed, not of 8 bits. */
MGI_FN void mgi_conv_pack_part(const mgi_conv *c, mango_idx p, mango_idx c0, mango_idx n,
                               const float *w, float *packed);
MGI_FN mango_idx mgi_conv_work(const mgi_conv *c, mango_idx N);    /* floats, all threads */
MGI_FN void mgi_conv_forward(const mgi_conv *c, mango_idx N, const float *x,
                             const float *packed, const mgi_epilogue *e, float *y,
                             float *work);
/* Transposed: k runs over the input pixels of an output, (iy,ix,c) ascending.
 * Finite numbers only: what lies in the padding is left out of the sums.
 * Backward: dx packs the weights on every call, since they change every step;
 * dw is one chain over the pixels (n,oy,ox) from +0, then added. With
 * c->winograd the dense sums are those of winograd_grad.c. */
MGI_FN mango_idx mgi_conv_backward_work(const mgi_conv *c, mango_idx N);
MGI_FN void mgi_conv_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                   const float *w, float *dx, float *work);
MGI_FN void mgi_conv_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                      const float *dy, float *dw, float *db /* or NULL */,
                                      float *work);
/* Plain loops, the oracle. */
MGI_FN void mgi_conv_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const float *bias, float *y);

/* Linear: y (N,O) = x (N,K) * w (O,K)^T + b, the 1x1 convolution of a 1x1 map.
 * After a flatten of an (C,H,W) map the columns of w are permuted to (H,W,C)
 * by the caller when it packs. */

/* ---- pool.c ------------------------------------------------------------- */
typedef struct mgi_pool {
    mango_idx C, H, W, OH, OW;
    int kh, kw, sh, sw, ph, pw;
    int dh, dw;  /* dilation: steps between the values of a window; 0 as 1         */
    int ceil;    /* 1: a last window may reach beyond the padding, but not start there */
    int inside;  /* 1: a mean divides by the values inside the map, not by those of the
                    padding as well                                                */
} mgi_pool;
/* OH, OW from the rest; false when there is no window, or one without a value. Padding
 * counts as -inf for the maximum, as 0 for sum and mean; what lies beyond it for nothing. */
MGI_FN int mgi_pool_shape(mgi_pool *p);
/* One axis of a window: the places lo, lo + step, ... < hi of the map; `count` of them,
 * those in the padding counted. adaptive: bin i covers floor(i*H/OH) .. ceil((i+1)*H/OH)-1. */
typedef struct mgi_pool_span {
    mango_idx lo, hi, step, count;
} mgi_pool_span;
MGI_FN mgi_pool_span mgi_pool_rows(const mgi_pool *p, int adaptive, mango_idx oy);
MGI_FN mgi_pool_span mgi_pool_columns(const mgi_pool *p, int adaptive, mango_idx ox);
/* What the mean of a window is divided by. */
MGI_FN float mgi_pool_divisor(const mgi_pool *p, mgi_pool_span y, mgi_pool_span x);
MGI_FN void mgi_maxpool(const mgi_pool *p, mango_idx N, const float *x, float *y);
/* First of equal maxima wins, in (ky,kx) order, as PyTorch's CPU kernel has it. */
MGI_FN void mgi_maxpool_backward(const mgi_pool *p, mango_idx N, const float *x,
                                 const float *dy, float *dx);
MGI_FN void mgi_avgpool(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_avgpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx);
MGI_FN void mgi_sumpool(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_sumpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx);
/* Adaptive to (OH,OW); global is (1,1). */
MGI_FN void mgi_adaptivemax(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_adaptivemax_backward(const mgi_pool *p, mango_idx N, const float *x,
                                     const float *dy, float *dx);
MGI_FN void mgi_adaptiveavg(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_adaptiveavg_backward(const mgi_pool *p, mango_idx N, const float *dy,
                                     float *dx);

/* ---- resample.c --------------------------------------------------------- */
/* Any size to any size, each axis by itself: output o lies at the place
 *     x = s (o + 1/2) - 1/2,   s = 1/factor, or H/OH without a factor;
 *     align: x = o (H-1)/(OH-1), the corners fall together
 * and is the value at floor(s o) (nearest), a mean of 2 values (bilinear, x no less than
 * 0) or of 4 (bicubic, Keys' kernel with a = -3/4); places beyond the border are those on it.
 * As PyTorch has it, in float. */
enum { MGI_NEAREST, MGI_BILINEAR, MGI_BICUBIC };
typedef struct mgi_resample {
    int mode, align;
    mango_idx OH, OW;
    double fh, fw; /* factors, 0: OH and OW say it */
    mango_idx H, W, C;
} mgi_resample;
/* Is it the x2 upsampling below? */
MGI_FN int mgi_resample_doubles(const mgi_resample *r);
MGI_FN mango_idx mgi_resample_work(const mgi_resample *r); /* floats */
MGI_FN void mgi_resample_forward(const mgi_resample *r, mango_idx N, const float *x, float *y,
                                 float *work);
MGI_FN void mgi_resample_backward(const mgi_resample *r, mango_idx N, const float *dy,
                                  float *dx, float *work);

/* x2 upsampling; bilinear with align_corners = false. (N,H,W,C) -> (N,2H,2W,C) */
MGI_FN void mgi_nearest2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                          const float *x, float *y);
MGI_FN void mgi_nearest2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                   const float *dy, float *dx);
MGI_FN void mgi_bilinear2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                           const float *x, float *y);
MGI_FN void mgi_bilinear2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                    const float *dy, float *dx);

/* The same in one pass over memory, with what stands before and after it:
 *     y = relu?(bn?(up(relu?(bn?(x))) + residual)),  bn(v) = fma(scale, v, shift)
 * each in this order, bit for bit as one after the other. Pointers NULL: none. */
typedef struct mgi_up {
    mango_idx H, W, C; /* of x                            */
    int bilinear;
    const float *scale, *shift; /* (C) before             */
    int relu_before;
    const float *residual;      /* (N,2H,2W,C)            */
    const float *after_scale, *after_shift; /* (C)        */
    int relu;
} mgi_up;
MGI_FN mango_idx mgi_upsample_work(const mgi_up *u); /* floats, all threads */
MGI_FN void mgi_upsample(const mgi_up *u, mango_idx N, const float *x, float *y, float *work);

/* ---- norm.c ------------------------------------------------------------- */
/* Inference form: y = fma(s[c], x, t[c]), s = w/sqrt(var+eps), t = b - mean*s. */
MGI_FN void mgi_batchnorm_fold(mango_idx C, const float *w, const float *b, const float *mean,
                               const float *var, double eps, float *s, float *t);
/* Training form over R = N*H*W rows. Saves mean, rstd (C); updates running
 * statistics with `momentum` (unbiased variance, as PyTorch). w, b may be NULL. */
MGI_FN void mgi_batchnorm_train(mango_idx R, mango_idx C, const float *x, const float *w,
                                const float *b, double eps, double momentum, float *run_mean,
                                float *run_var, float *mean, float *rstd, float *y);
MGI_FN void mgi_batchnorm_backward(mango_idx R, mango_idx C, const float *x, const float *w,
                                   const float *mean, const float *rstd, const float *dy,
                                   float *dx, float *dw, float *db);

/* Sums over all pixels: y (N,C), in double, pixels ascending. */
MGI_FN void mgi_globalsum(mango_idx N, mango_idx HW, mango_idx C, const float *x, float *y);

/* ---- merge.c ------------------------------------------------------------ */
/* N maps from several inputs; map i of input j is map i % nx[j] of x[j], so that one
 * without time joins each step of the others. z = x + y, n values a map: */
MGI_FN void mgi_add_maps(mango_idx N, mango_idx n, const float *x, mango_idx nx, const float *y,
                         mango_idx ny, float *z);
/* The channels C[j] of n inputs side by side, HW pixels a map. */
MGI_FN void mgi_concat(mango_idx N, mango_idx HW, int n, const mango_idx *C,
                       const float *const *x, const mango_idx *nx, float *y);

/* ---- quantize.c --------------------------------------------------------- */
/* The nearest of K rows e to x is the first smallest of |e|^2 - 2 e'x: weights -2e
 * (K,C) and constants |e|^2 (K) of that product; the first smallest of K scores; y
 * (R,C) = rows of e by codes. */
MGI_FN void mgi_vq_weights(mango_idx K, mango_idx C, const float *e, float *w, float *b);
MGI_FN mango_idx mgi_vq_least(mango_idx K, const float *score);
MGI_FN void mgi_vq_rows(mango_idx R, mango_idx C, const float *codes, const float *e, float *y);

/* ---- embed.c ------------------------------------------------------------ */
/* y (R,D) = rows of e (K,D) by codes (R), whole numbers 0 .. K-1; NaN for any other. Backward:
 * de += dy, rows ascending; other codes are passed over. */
MGI_FN void mgi_embed(mango_idx R, mango_idx K, mango_idx D, const float *codes, const float *e,
                      float *y);
MGI_FN void mgi_embed_backward(mango_idx R, mango_idx K, mango_idx D, const float *codes,
                               const float *dy, float *de);
MGI_FN int mgi_embed_is_code(float v, mango_idx K);

/* ---- pointwise.c -------------------------------------------------------- */
MGI_FN void mgi_relu(mango_idx n, const float *x, float *y); /* y may be x */
MGI_FN void mgi_relu_backward(mango_idx n, const float *y, const float *dy,
                              float *dx); /* dx = y > 0 ? dy : 0 */
MGI_FN void mgi_tanh(mango_idx n, const float *x, float *y);
MGI_FN void mgi_tanh_backward(mango_idx n, const float *y, const float *dy, float *dx);
/* Rows of C: y = softmax(x). */
MGI_FN void mgi_softmax(mango_idx R, mango_idx C, const float *x, float *y);
MGI_FN void mgi_softmax_backward(mango_idx R, mango_idx C, const float *y, const float *dy,
                                 float *dx);
/* (N,C,H,W) <-> (N,H,W,C) */
MGI_FN void mgi_to_nhwc(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y);
MGI_FN void mgi_to_nchw(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y);

#endif
