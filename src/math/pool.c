/* pool.c - max, average and adaptive average pooling on (N,H,W,C) maps.
 *
 * A window is walked in (ky,kx) order with the channels innermost, so that
 * every inner loop is a run over consecutive floats. Forward passes are split
 * over output rows, backward passes over images: windows may overlap, and
 * within an image the gradients then add up in a fixed order.
 * SPDX-License-Identifier: MIT */
#include "loops.h"
#include "ops.h"
#include <float.h>

#define POOL_LANES 256 /* channels whose maxima and places are kept at hand */

MGI_FN int mgi_pool_shape(mgi_pool *p)
{
    if (p->kh < 1 || p->kw < 1 || p->sh < 1 || p->sw < 1 || p->ph < 0 || p->pw < 0)
        return 0;
    if (2 * p->ph > p->kh || 2 * p->pw > p->kw) /* a window could miss the map */
        return 0;
    const mango_idx h = p->H + 2 * p->ph - p->kh, w = p->W + 2 * p->pw - p->kw;
    if (p->H < 1 || p->W < 1 || h < 0 || w < 0)
        return 0;
    p->OH = h / p->sh + 1;
    p->OW = w / p->sw + 1;
    return 1;
}

/* The window of output (oy,ox), cut to the map: rows y0..y1-1, columns x0..x1-1. */
typedef struct pool_window {
    mango_idx y0, y1, x0, x1;
} pool_window;

static pool_window pool_fixed(const mgi_pool *p, mango_idx oy, mango_idx ox)
{
    const mango_idx y = oy * p->sh - p->ph, x = ox * p->sw - p->pw;
    pool_window w = {MGI_MAX(y, 0), MGI_MIN(y + p->kh, p->H), MGI_MAX(x, 0),
                     MGI_MIN(x + p->kw, p->W)};
    return w;
}

static pool_window pool_adaptive(const mgi_pool *p, mango_idx oy, mango_idx ox)
{
    pool_window w = {oy * p->H / p->OH, mgi_ceil_div((oy + 1) * p->H, p->OH),
                     ox * p->W / p->OW, mgi_ceil_div((ox + 1) * p->W, p->OW)};
    return w;
}

MGI_FN void mgi_maxpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            const pool_window w = pool_fixed(p, r % p->OH, ox);
            float *out = y + (r * p->OW + ox) * C;
            memcpy(out, in + (w.y0 * p->W + w.x0) * C, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->maximum(C, in + (iy * p->W + ix) * C, out);
        }
    }
}

/* Add dy of one output pixel, channels c..c+m-1, to the first maximum of its
 * window. in, dx: the image; dy: the pixel's channel c. */
static void pool_route(const mgi_loops *loops, const mgi_pool *p, pool_window w, mango_idx c,
                       mango_idx m, const float *in, const float *dy, float *dx)
{
    float best[POOL_LANES];
    int32_t place[POOL_LANES], q = 0;
    for (mango_idx j = 0; j < m; j++) {
        best[j] = -FLT_MAX;
        place[j] = 0;
    }
    for (mango_idx iy = w.y0; iy < w.y1; iy++)
        for (mango_idx ix = w.x0; ix < w.x1; ix++)
            loops->pool_best(m, q++, in + (iy * p->W + ix) * p->C + c, best, place);
    q = 0;
    for (mango_idx iy = w.y0; iy < w.y1; iy++)
        for (mango_idx ix = w.x0; ix < w.x1; ix++)
            loops->pool_give(m, q++, place, dy, dx + (iy * p->W + ix) * p->C + c);
}

MGI_FN void mgi_maxpool_backward(const mgi_pool *p, mango_idx N, const float *x,
                                 const float *dy, float *dx)
{
    const mgi_loops *loops = mgi_loops_get();
    const mango_idx C = p->C, size = p->H * p->W * C;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        memset(dx + n * size, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = pool_fixed(p, o / p->OW, o % p->OW);
            for (mango_idx c = 0; c < C; c += POOL_LANES)
                pool_route(loops, p, w, c, MGI_MIN(POOL_LANES, C - c), x + n * size,
                           dy + (n * p->OH * p->OW + o) * C + c, dx + n * size);
        }
    }
}

/* ---- averages: one loop for both kinds of window --------------------------- */

/* Elements an average is divided by: padding counts in the fixed kind. */
static float pool_count(const mgi_pool *p, int adaptive, pool_window w)
{
    return adaptive ? (float)((w.y1 - w.y0) * (w.x1 - w.x0)) : (float)(p->kh * p->kw);
}

static void pool_average(const mgi_pool *p, int adaptive, mango_idx N, const float *x,
                         float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (N * p->H * p->W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            const pool_window w =
                adaptive ? pool_adaptive(p, r % p->OH, ox) : pool_fixed(p, r % p->OH, ox);
            float *out = y + (r * p->OW + ox) * C;
            memset(out, 0, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->add(C, out, in + (iy * p->W + ix) * C, out);
            const float count = pool_count(p, adaptive, w);
            for (mango_idx c = 0; c < C; c++)
                out[c] = out[c] / count;
        }
    }
}

static void pool_average_backward(const mgi_pool *p, int adaptive, mango_idx N,
                                  const float *dy, float *dx)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, size = p->H * p->W * C;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *to = dx + n * size;
        memset(to, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = adaptive ? pool_adaptive(p, o / p->OW, o % p->OW)
                                           : pool_fixed(p, o / p->OW, o % p->OW);
            const float *g = dy + (n * p->OH * p->OW + o) * C;
            const float share = 1.0f / pool_count(p, adaptive, w);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->axpy(C, share, g, to + (iy * p->W + ix) * C);
        }
    }
}

MGI_FN void mgi_avgpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, 0, N, x, y);
}

MGI_FN void mgi_avgpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx)
{
    pool_average_backward(p, 0, N, dy, dx);
}

MGI_FN void mgi_adaptiveavg(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, 1, N, x, y);
}

MGI_FN void mgi_adaptiveavg_backward(const mgi_pool *p, mango_idx N, const float *dy,
                                     float *dx)
{
    pool_average_backward(p, 1, N, dy, dx);
}

MGI_FN void mgi_globalsum(mango_idx N, mango_idx HW, mango_idx C, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * HW * C >= 8 * MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++)
        for (mango_idx c = 0; c < C; c++) {
            double q = 0;
            for (mango_idx i = 0; i < HW; i++)
                q += x[(n * HW + i) * C + c];
            y[n * C + c] = (float)q;
        }
}

#undef POOL_LANES
