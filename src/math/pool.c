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

/* ---- windows ---------------------------------------------------------------- */

/* Places of the last value of a window behind its first. */
static mango_idx pool_reach(mango_idx k, mango_idx d)
{
    return (k - 1) * MGI_MAX(d, 1);
}

/* Windows along one axis; 0: none. */
static mango_idx pool_windows(mango_idx size, mango_idx k, mango_idx s, mango_idx p,
                              mango_idx d, int ceil)
{
    const mango_idx rest = size + 2 * p - pool_reach(k, d) - 1;
    if (rest < 0)
        return 0;
    mango_idx n = rest / s + 1;
    if (ceil && rest % s && n * s < size + p) /* it starts inside the map or before it */
        n++;
    return n;
}

/* One axis of output t, of windows that do not adapt. */
static mgi_pool_span pool_span(mango_idx t, mango_idx size, mango_idx k, mango_idx s,
                               mango_idx p, mango_idx d)
{
    const mango_idx step = MGI_MAX(d, 1), first = t * s - p;
    const mango_idx end = first + pool_reach(k, d) + 1, padded = MGI_MIN(end, size + p) - first;
    mgi_pool_span w = {first, MGI_MIN(end, size), step, padded};
    if (step == 1) {
        w.lo = MGI_MAX(first, 0);
        return w;
    }
    w.count = mgi_ceil_div(padded, step);
    w.lo += first < 0 ? mgi_ceil_div(-first, step) * step : 0;
    return w;
}

static mgi_pool_span pool_bin(mango_idx t, mango_idx size, mango_idx out)
{
    const mango_idx lo = t * size / out, hi = mgi_ceil_div((t + 1) * size, out);
    const mgi_pool_span w = {lo, hi, 1, hi - lo};
    return w;
}

MGI_FN mgi_pool_span mgi_pool_rows(const mgi_pool *p, int adaptive, mango_idx oy)
{
    return adaptive ? pool_bin(oy, p->H, p->OH)
                    : pool_span(oy, p->H, p->kh, p->sh, p->ph, p->dh);
}

MGI_FN mgi_pool_span mgi_pool_columns(const mgi_pool *p, int adaptive, mango_idx ox)
{
    return adaptive ? pool_bin(ox, p->W, p->OW)
                    : pool_span(ox, p->W, p->kw, p->sw, p->pw, p->dw);
}

MGI_FN int mgi_pool_shape(mgi_pool *p)
{
    if (p->kh < 1 || p->kw < 1 || p->sh < 1 || p->sw < 1 || p->ph < 0 || p->pw < 0)
        return 0;
    if (2 * p->ph > pool_reach(p->kh, p->dh) + 1 || 2 * p->pw > pool_reach(p->kw, p->dw) + 1)
        return 0; /* a window could miss the map */
    p->OH = p->H < 1 ? 0 : pool_windows(p->H, p->kh, p->sh, p->ph, p->dh, p->ceil);
    p->OW = p->W < 1 ? 0 : pool_windows(p->W, p->kw, p->sw, p->pw, p->dw, p->ceil);
    for (mango_idx t = 0; t < p->OH; t++) { /* with a dilation it could as well */
        const mgi_pool_span w = mgi_pool_rows(p, 0, t);
        if (w.lo >= w.hi)
            return 0;
    }
    for (mango_idx t = 0; t < p->OW; t++) {
        const mgi_pool_span w = mgi_pool_columns(p, 0, t);
        if (w.lo >= w.hi)
            return 0;
    }
    return p->OH > 0 && p->OW > 0;
}

/* The window of output (oy,ox). */
typedef struct pool_window {
    mgi_pool_span y, x;
} pool_window;

static pool_window pool_at(const mgi_pool *p, int adaptive, mango_idx oy, mango_idx ox)
{
    const pool_window w = {mgi_pool_rows(p, adaptive, oy), mgi_pool_columns(p, adaptive, ox)};
    return w;
}

/* ---- maxima ------------------------------------------------------------------ */

static void pool_largest(const mgi_pool *p, int adaptive, mango_idx N, const float *x, float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (N * p->H * p->W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        pool_window w = {.y = mgi_pool_rows(p, adaptive, r % p->OH)};
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            w.x = mgi_pool_columns(p, adaptive, ox);
            float *out = y + (r * p->OW + ox) * C;
            memcpy(out, in + (w.y.lo * p->W + w.x.lo) * C, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y.lo; iy < w.y.hi; iy += w.y.step)
                for (mango_idx ix = w.x.lo; ix < w.x.hi; ix += w.x.step)
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
    for (mango_idx iy = w.y.lo; iy < w.y.hi; iy += w.y.step)
        for (mango_idx ix = w.x.lo; ix < w.x.hi; ix += w.x.step)
            loops->pool_best(m, q++, in + (iy * p->W + ix) * p->C + c, best, place);
    q = 0;
    for (mango_idx iy = w.y.lo; iy < w.y.hi; iy += w.y.step)
        for (mango_idx ix = w.x.lo; ix < w.x.hi; ix += w.x.step)
            loops->pool_give(m, q++, place, dy, dx + (iy * p->W + ix) * p->C + c);
}

static void pool_largest_backward(const mgi_pool *p, int adaptive, mango_idx N, const float *x,
                                  const float *dy, float *dx)
{
    const mgi_loops *loops = mgi_loops_get();
    const mango_idx C = p->C, size = p->H * p->W * C;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        memset(dx + n * size, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = pool_at(p, adaptive, o / p->OW, o % p->OW);
            for (mango_idx c = 0; c < C; c += POOL_LANES)
                pool_route(loops, p, w, c, MGI_MIN(POOL_LANES, C - c), x + n * size,
                           dy + (n * p->OH * p->OW + o) * C + c, dx + n * size);
        }
    }
}

MGI_FN void mgi_maxpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_largest(p, 0, N, x, y);
}

MGI_FN void mgi_maxpool_backward(const mgi_pool *p, mango_idx N, const float *x,
                                 const float *dy, float *dx)
{
    pool_largest_backward(p, 0, N, x, dy, dx);
}

MGI_FN void mgi_adaptivemax(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_largest(p, 1, N, x, y);
}

MGI_FN void mgi_adaptivemax_backward(const mgi_pool *p, mango_idx N, const float *x,
                                     const float *dy, float *dx)
{
    pool_largest_backward(p, 1, N, x, dy, dx);
}

/* ---- means and sums: one loop for all kinds of window --------------------------- */

enum { POOL_MEAN, POOL_ADAPTIVE, POOL_SUM };

MGI_FN float mgi_pool_divisor(const mgi_pool *p, mgi_pool_span y, mgi_pool_span x)
{
    assert(y.step == 1 && x.step == 1); /* there are no dilated means */
    return (float)(p->inside ? (y.hi - y.lo) * (x.hi - x.lo) : y.count * x.count);
}

static void pool_average(const mgi_pool *p, int kind, mango_idx N, const float *x, float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    const int adaptive = kind == POOL_ADAPTIVE;
    MGI_OMP(parallel for schedule(static) if (N * p->H * p->W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        pool_window w = {.y = mgi_pool_rows(p, adaptive, r % p->OH)};
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            w.x = mgi_pool_columns(p, adaptive, ox);
            float *out = y + (r * p->OW + ox) * C;
            memset(out, 0, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y.lo; iy < w.y.hi; iy += w.y.step)
                for (mango_idx ix = w.x.lo; ix < w.x.hi; ix += w.x.step)
                    kern->add(C, out, in + (iy * p->W + ix) * C, out);
            if (kind == POOL_SUM)
                continue;
            const float count = mgi_pool_divisor(p, w.y, w.x);
            for (mango_idx c = 0; c < C; c++)
                out[c] = out[c] / count;
        }
    }
}

static void pool_average_backward(const mgi_pool *p, int kind, mango_idx N, const float *dy,
                                  float *dx)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, size = p->H * p->W * C;
    const int adaptive = kind == POOL_ADAPTIVE;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *to = dx + n * size;
        memset(to, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = pool_at(p, adaptive, o / p->OW, o % p->OW);
            const float *g = dy + (n * p->OH * p->OW + o) * C;
            const float share =
                kind == POOL_SUM ? 1.0f : 1.0f / mgi_pool_divisor(p, w.y, w.x);
            for (mango_idx iy = w.y.lo; iy < w.y.hi; iy += w.y.step)
                for (mango_idx ix = w.x.lo; ix < w.x.hi; ix += w.x.step)
                    kern->axpy(C, share, g, to + (iy * p->W + ix) * C);
        }
    }
}

MGI_FN void mgi_avgpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, POOL_MEAN, N, x, y);
}

MGI_FN void mgi_avgpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx)
{
    pool_average_backward(p, POOL_MEAN, N, dy, dx);
}

MGI_FN void mgi_sumpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, POOL_SUM, N, x, y);
}

MGI_FN void mgi_sumpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx)
{
    pool_average_backward(p, POOL_SUM, N, dy, dx);
}

MGI_FN void mgi_adaptiveavg(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, POOL_ADAPTIVE, N, x, y);
}

MGI_FN void mgi_adaptiveavg_backward(const mgi_pool *p, mango_idx N, const float *dy,
                                     float *dx)
{
    pool_average_backward(p, POOL_ADAPTIVE, N, dy, dx);
}

/* ---- all places --------------------------------------------------------------- */

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
