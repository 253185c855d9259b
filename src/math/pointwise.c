/* pointwise.c - what acts on single values or on rows: ReLU, tanh,
 * softmax, cross-entropy, and the change between (C,H,W) and (H,W,C).
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "loops.h"
#include "ops.h"
#include "transpose.h"

#define POINTWISE_CHUNK 8192
#define POINTWISE_BLOCK 1024

MGI_FN void mgi_relu(mango_idx n, const float *x, float *y)
{
    const mgi_kernels *k = mgi_kernels_get();
    MGI_OMP(parallel for schedule(static) if (n >= 8 * MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += POINTWISE_BLOCK)
        k->relu(MGI_MIN(POINTWISE_BLOCK, n - i), x + i, y + i);
}

MGI_FN void mgi_relu_backward(mango_idx n, const float *y, const float *dy, float *dx)
{
    const mgi_loops *loops = mgi_loops_get();
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += POINTWISE_CHUNK)
        loops->relu_back(MGI_MIN(POINTWISE_CHUNK, n - i), y + i, dy + i, dx + i);
}

MGI_FN void mgi_tanh(mango_idx n, const float *x, float *y)
{
    const mgi_kernels *k = mgi_kernels_get();
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += POINTWISE_CHUNK)
        k->tanh_n(MGI_MIN(POINTWISE_CHUNK, n - i), x + i, y + i);
}

MGI_FN void mgi_tanh_backward(mango_idx n, const float *y, const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++)
        dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

static float pointwise_max(mango_idx C, const float *x)
{
    float top = x[0];
    for (mango_idx c = 1; c < C; c++)
        top = x[c] > top ? x[c] : top;
    return top;
}

MGI_FN void mgi_softmax(mango_idx R, mango_idx C, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *in = x + r * C, top = pointwise_max(C, in);
        float *out = y + r * C;
        double sum = 0.0;
        for (mango_idx c = 0; c < C; c++) {
            out[c] = mgi_expf(in[c] - top);
            sum += (double)out[c];
        }
        for (mango_idx c = 0; c < C; c++)
            out[c] = (float)((double)out[c] / sum);
    }
}

/* dx = y (dy - sum y dy) */
MGI_FN void mgi_softmax_backward(mango_idx R, mango_idx C, const float *y, const float *dy,
                                 float *dx)
{
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *p = y + r * C, *g = dy + r * C;
        double sum = 0.0;
        for (mango_idx c = 0; c < C; c++)
            sum += (double)p[c] * (double)g[c];
        for (mango_idx c = 0; c < C; c++)
            dx[r * C + c] = (float)((double)p[c] * ((double)g[c] - sum));
    }
}

#define POINTWISE_TILE 16

/* y (N,B,A) = x (N,A,B) with the last two axes exchanged, some rows at a time. */
static void pointwise_transpose(mango_idx N, mango_idx A, mango_idx B, const float *x,
                                float *y)
{
    const mango_idx tiles = mgi_ceil_div(A, POINTWISE_TILE);
    MGI_OMP(parallel for schedule(static) if (N * A * B >= MGI_GRAIN))
    for (mango_idx k = 0; k < N * tiles; k++) {
        const mango_idx n = k / tiles, a0 = k % tiles * POINTWISE_TILE;
        mgi_transpose(MGI_MIN(POINTWISE_TILE, A - a0), B, x + (n * A + a0) * B, B,
                      y + n * A * B + a0, A);
    }
}

MGI_FN void mgi_to_nhwc(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y)
{
    pointwise_transpose(N, C, HW, x, y);
}

MGI_FN void mgi_to_nchw(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y)
{
    pointwise_transpose(N, HW, C, x, y);
}

#undef POINTWISE_TILE
#undef POINTWISE_CHUNK
#undef POINTWISE_BLOCK
