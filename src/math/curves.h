/* curves.h - functions of one value: the activations, and their derivatives.
 *
 * The inner loops are plain C in kernel/curves.c, without a branch, compiled once for
 * the base machine and once for AVX2 (without fma: nothing can be contracted), so all
 * sets give the same bits. exp and log are computed in double, so that a value is the
 * rounded exact one but for 1e-6 of cases.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CURVES_H
#define MGI_CURVES_H

#include "../base/mgi.h"

/* y of x, with the numbers a and b where the formula has them. */
typedef enum mgi_curve {
    MGI_CURVE_LEAKYRELU,   /* x > 0 ? x : a x                             */
    MGI_CURVE_ELU,         /* x > 0 ? x : a (exp(x) - 1)                  */
    MGI_CURVE_SELU,        /* 1.0507 (x > 0 ? x : 1.6733 (exp(x) - 1))    */
    MGI_CURVE_SILU,        /* x / (1 + exp(-x))                           */
    MGI_CURVE_SIGMOID,     /* 1 / (1 + exp(-x))                           */
    MGI_CURVE_HARDTANH,    /* min(max(x, a), b)                           */
    MGI_CURVE_SOFTPLUS,    /* a x > b ? x : log(1 + exp(a x)) / a         */
    MGI_CURVE_HARDSIGMOID, /* min(max(x + 3, 0), 6) / 6                   */
    MGI_CURVE_HARDSWISH,   /* x min(max(x + 3, 0), 6) / 6                 */
    MGI_CURVE_MISH,        /* x tanh(log(1 + exp(x)))                     */
    MGI_CURVE_GELU_TANH,   /* x/2 (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3))) */
    MGI_CURVE_AFFINE       /* a x + b                                     */
} mgi_curve;

/* n values: y = f(x), y may be x; dx = dy f'(x), dx may be dy. */
MGI_FN void mgi_curve_forward(mgi_curve f, double a, double b, mango_idx n, const float *x,
                              float *y);
MGI_FN void mgi_curve_backward(mgi_curve f, double a, double b, mango_idx n, const float *x,
                               const float *dy, float *dx);

/* R rows of C channels, y = x > 0 ? x : w x, w one number or, with `each`, one a channel.
 * The second adds into dw (NULL: not wanted) and overwrites dx (NULL). */
MGI_FN void mgi_prelu(mango_idx R, mango_idx C, int each, const float *w, const float *x,
                      float *y);
MGI_FN void mgi_prelu_backward(mango_idx R, mango_idx C, int each, const float *w,
                               const float *x, const float *dy, float *dx, float *dw);

/* kernel/curves.c: the functions of one value on one thread. */
typedef struct mgi_curves {
    void (*value)(mgi_curve f, double a, double b, mango_idx n, const float *x, float *y);
    void (*slope)(mgi_curve f, double a, double b, mango_idx n, const float *x,
                  const float *dy, float *dx);
} mgi_curves;
MGI_FN const mgi_curves *mgi_curves_get(void);

#endif
