/* curves.c - the activations of many values, in blocks that threads share out; and the one
 * whose slope is learned (He et al. 2015).
 * SPDX-License-Identifier: MIT */
#include "curves.h"
#include "../base/threads.h"

#define CURVES_BLOCK 1024
#define CURVES_LANES 16 /* channels whose sums are taken side by side */

MGI_FN void mgi_curve_forward(mgi_curve f, double a, double b, mango_idx n, const float *x,
                              float *y)
{
    const mgi_curves *k = mgi_curves_get();
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += CURVES_BLOCK)
        k->value(f, a, b, MGI_MIN(CURVES_BLOCK, n - i), x + i, y + i);
}

MGI_FN void mgi_curve_backward(mgi_curve f, double a, double b, mango_idx n, const float *x,
                               const float *dy, float *dx)
{
    const mgi_curves *k = mgi_curves_get();
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += CURVES_BLOCK)
        k->slope(f, a, b, MGI_MIN(CURVES_BLOCK, n - i), x + i, dy + i, dx + i);
}

/* ---- a learned slope ------------------------------------------------------------ */

/* The slope of each of m channels from c on. */
static void curves_slopes(int each, const float *w, mango_idx c, mango_idx m, float *s)
{
    for (mango_idx j = 0; j < m; j++)
        s[j] = w[each ? c + j : 0];
}

MGI_FN void mgi_prelu(mango_idx R, mango_idx C, int each, const float *w, const float *x,
                      float *y)
{
    const mango_idx parts = mgi_ceil_div(C, CURVES_LANES);
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx p = 0; p < parts; p++) {
            float s[CURVES_LANES];
            const mango_idx c = p * CURVES_LANES, m = MGI_MIN(CURVES_LANES, C - c);
            const float *in = x + r * C + c;
            float *out = y + r * C + c;
            curves_slopes(each, w, c, m, s);
            for (mango_idx j = 0; j < m; j++)
                out[j] = in[j] > 0.0f ? in[j] : s[j] * in[j];
        }
}

/* Sums of dy x over the rows where x <= 0, of channels c..c+m-1; dx on the way. */
static void curves_prelu_rows(mango_idx R, mango_idx C, mango_idx c, mango_idx m,
                              const float *s, const float *x, const float *dy, float *dx,
                              double *sum)
{
    for (mango_idx i = c; i < R * C; i += C)
        for (mango_idx j = 0; j < m; j++) {
            const float v = x[i + j], g = dy[i + j];
            sum[j] += v > 0.0f ? 0.0 : (double)g * (double)v;
            if (dx)
                dx[i + j] = v > 0.0f ? g : s[j] * g;
        }
}

MGI_FN void mgi_prelu_backward(mango_idx R, mango_idx C, int each, const float *w,
                               const float *x, const float *dy, float *dx, float *dw)
{
    double all = 0.0;
    for (mango_idx c0 = 0; c0 < C; c0 += CURVES_BLOCK) {
        double sum[CURVES_BLOCK] = {0.0};
        const mango_idx n = MGI_MIN(CURVES_BLOCK, C - c0);
        MGI_OMP(parallel for schedule(static) if (R * n >= MGI_GRAIN))
        for (mango_idx c = 0; c < n; c += CURVES_LANES) {
            float s[CURVES_LANES];
            const mango_idx m = MGI_MIN(CURVES_LANES, n - c);
            curves_slopes(each, w, c0 + c, m, s);
            curves_prelu_rows(R, C, c0 + c, m, s, x, dy, dx, sum + c);
        }
        for (mango_idx c = 0; c < n; c++) {
            all += sum[c];
            if (each && dw)
                dw[c0 + c] += (float)sum[c];
        }
    }
    if (!each && dw)
        dw[0] += (float)all;
}

#undef CURVES_BLOCK
#undef CURVES_LANES
