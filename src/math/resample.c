/* resample.c - x2 upsampling of (N,H,W,C) maps: nearest and bilinear.
 *
 * Bilinear, corners not aligned: output 2i lies a quarter before input i, output
 * 2i+1 a quarter after it, so both take 3/4 of input i and 1/4 of the neighbour
 * on that side, which at the border is input i itself.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

MGI_FN void mgi_nearest2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                          const float *x, float *y)
{
    const size_t pixel = (size_t)C * sizeof(float);
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        float *out = y + r * 4 * W * C;
        for (mango_idx i = 0; i < W; i++) {
            memcpy(out + 2 * i * C, x + (r * W + i) * C, pixel);
            memcpy(out + (2 * i + 1) * C, x + (r * W + i) * C, pixel);
        }
        memcpy(out + 2 * W * C, out, 2 * (size_t)W * pixel);
    }
}

MGI_FN void mgi_nearest2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                   const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        for (mango_idx i = 0; i < W; i++) {
            const float *a = dy + (r * 4 * W + 2 * i) * C, *b = a + 2 * W * C;
            float *out = dx + (r * W + i) * C;
            for (mango_idx c = 0; c < C; c++)
                out[c] = (a[c] + a[C + c]) + (b[c] + b[C + c]);
        }
    }
}

/* The neighbour of input o/2 that output o of 2n also sees. */
static mango_idx resample_side(mango_idx o, mango_idx n)
{
    const mango_idx i = o % 2 ? o / 2 + 1 : o / 2 - 1;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

MGI_FN void mgi_bilinear2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                           const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * 2 * H; r++) {
        const mango_idx n = r / (2 * H), oy = r % (2 * H);
        const float *same = x + (n * H + oy / 2) * W * C;
        const float *side = x + (n * H + resample_side(oy, H)) * W * C;
        for (mango_idx ox = 0; ox < 2 * W; ox++) {
            const mango_idx i = ox / 2 * C, j = resample_side(ox, W) * C;
            const float *nn = same + i, *nf = same + j, *fn = side + i, *ff = side + j;
            float *out = y + (r * 2 * W + ox) * C;
            for (mango_idx c = 0; c < C; c++)
                out[c] = 0.75f * (0.75f * nn[c] + 0.25f * nf[c]) +
                         0.25f * (0.75f * fn[c] + 0.25f * ff[c]);
        }
    }
}

/* The outputs o[k] that see input i of n, and the weights w[k] they see it
 * with: 2i-1 .. 2i+2 where they exist, the border ones with their whole. */
static int resample_seen_by(mango_idx i, mango_idx n, mango_idx o[4], float w[4])
{
    int k = 0;
    if (i > 0) {
        o[k] = 2 * i - 1;
        w[k++] = 0.25f;
    }
    o[k] = 2 * i;
    w[k++] = i > 0 ? 0.75f : 1.0f;
    o[k] = 2 * i + 1;
    w[k++] = i < n - 1 ? 0.75f : 1.0f;
    if (i < n - 1) {
        o[k] = 2 * i + 2;
        w[k++] = 0.25f;
    }
    return k;
}

MGI_FN void mgi_bilinear2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                    const float *dy, float *dx)
{
    const mgi_kernels *kern = mgi_kernels_get();
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        const float *in = dy + r / H * 4 * H * W * C;
        mango_idx oy[4], ox[4];
        float wy[4], wx[4];
        const int ny = resample_seen_by(r % H, H, oy, wy);
        memset(dx + r * W * C, 0, (size_t)(W * C) * sizeof *dx);
        for (mango_idx i = 0; i < W; i++) {
            const int nx = resample_seen_by(i, W, ox, wx);
            for (int a = 0; a < ny; a++)
                for (int b = 0; b < nx; b++)
                    kern->axpy(C, wy[a] * wx[b], in + (oy[a] * 2 * W + ox[b]) * C,
                               dx + (r * W + i) * C);
        }
    }
}
