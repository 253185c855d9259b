/* resample.c - resampling of (N,H,W,C) maps to any size: nearest, bilinear, bicubic; and
 * x2 upsampling by itself.
 *
 * x2 bilinear, corners not aligned: output 2i lies a quarter before input i, output
 * 2i+1 a quarter after it, so both take 3/4 of input i and 1/4 of the neighbour
 * on that side, which at the border is input i itself.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

/* ---- any size ----------------------------------------------------------------- */

/* What one output of an axis is made of: n <= 4 inputs and their weights. */
typedef struct resample_tap {
    int32_t n, at[4];
    float w[4];
} resample_tap;
#define RESAMPLE_TAP ((mango_idx)(sizeof(resample_tap) / sizeof(float)))

/* One axis. */
typedef struct resample_axis {
    mango_idx in, out;
    float scale;
} resample_axis;

static resample_axis resample_of(const mgi_resample *r, mango_idx in, mango_idx out,
                                 double factor)
{
    resample_axis a = {in, out, factor > 0 ? (float)(1.0 / factor) : (float)in / (float)out};
    if (r->align)
        a.scale = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0f;
    return a;
}

static int32_t resample_inside(const resample_axis *a, mango_idx i)
{
    return (int32_t)MGI_MAX(0, MGI_MIN(i, a->in - 1));
}

static void resample_one(resample_tap *t, const resample_axis *a, mango_idx o)
{
    const float x = (float)o * a->scale;
    const mango_idx i = a->out == a->in ? o : a->out == 2 * a->in ? o / 2 : (mango_idx)x;
    t->n = 1;
    t->at[0] = resample_inside(a, i);
    t->w[0] = 1.0f;
}

static void resample_two(resample_tap *t, const resample_axis *a, float x)
{
    x = x > 0.0f ? x : 0.0f;
    t->n = 2;
    t->at[0] = resample_inside(a, (mango_idx)x);
    t->at[1] = resample_inside(a, t->at[0] + 1);
    const float far = x - (float)t->at[0];
    t->w[1] = far < 1.0f ? far : 1.0f;
    t->w[0] = 1.0f - t->w[1];
}

/* Keys' kernel at a distance of 0..1, and of 1..2. */
static float resample_near(float d)
{
    return (1.25f * d - 2.25f) * d * d + 1.0f;
}

static float resample_far(float d)
{
    return ((-0.75f * d + 3.75f) * d - 6.0f) * d + 3.0f;
}

static void resample_four(resample_tap *t, const resample_axis *a, float x)
{
    mango_idx i = (mango_idx)x;
    i -= (float)i > x; /* floor */
    const float d = x - (float)i;
    t->n = 4;
    for (int k = 0; k < 4; k++)
        t->at[k] = resample_inside(a, i - 1 + k);
    t->w[0] = resample_far(d + 1.0f);
    t->w[1] = resample_near(d);
    t->w[2] = resample_near(1.0f - d);
    t->w[3] = resample_far(2.0f - d);
}

/* The outputs of one axis. */
static void resample_taps(const mgi_resample *r, const resample_axis *a, resample_tap *t)
{
    for (mango_idx o = 0; o < a->out; o++) {
        const float x =
            r->align ? a->scale * (float)o : a->scale * ((float)o + 0.5f) - 0.5f;
        if (r->mode == MGI_NEAREST)
            resample_one(t + o, a, o);
        else if (r->mode == MGI_BILINEAR)
            resample_two(t + o, a, x);
        else
            resample_four(t + o, a, x);
    }
}

/* Both axes, rows first. */
static resample_tap *resample_table(const mgi_resample *r, float *work)
{
    resample_tap *t = (resample_tap *)(void *)work;
    const resample_axis y = resample_of(r, r->H, r->OH, r->fh);
    const resample_axis x = resample_of(r, r->W, r->OW, r->fw);
    resample_taps(r, &y, t);
    resample_taps(r, &x, t + r->OH);
    return t;
}

MGI_FN int mgi_resample_doubles(const mgi_resample *r)
{
    return r->mode != MGI_BICUBIC && !r->align && r->OH == 2 * r->H && r->OW == 2 * r->W &&
           (r->fh == 0 || r->fh == 2) && (r->fw == 0 || r->fw == 2);
}

MGI_FN mango_idx mgi_resample_work(const mgi_resample *r)
{
    return (r->OH + r->OW) * RESAMPLE_TAP;
}

MGI_FN void mgi_resample_forward(const mgi_resample *r, mango_idx N, const float *x, float *y,
                                 float *work)
{
    const mgi_kernels *k = mgi_kernels_get();
    const resample_tap *rows = resample_table(r, work), *columns = rows + r->OH;
    const mango_idx C = r->C;
    MGI_OMP(parallel for schedule(static) if (N * r->OH * r->OW * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < N * r->OH; i++) {
        const resample_tap *ty = rows + i % r->OH;
        const float *map = x + i / r->OH * r->H * r->W * C;
        for (mango_idx ox = 0; ox < r->OW; ox++) {
            const resample_tap *tx = columns + ox;
            float *out = y + (i * r->OW + ox) * C;
            if (r->mode == MGI_NEAREST) {
                memcpy(out, map + (ty->at[0] * r->W + tx->at[0]) * C, (size_t)C * sizeof *out);
                continue;
            }
            memset(out, 0, (size_t)C * sizeof *out);
            for (int a = 0; a < ty->n; a++)
                for (int b = 0; b < tx->n; b++)
                    k->axpy(C, ty->w[a] * tx->w[b], map + (ty->at[a] * r->W + tx->at[b]) * C,
                            out);
        }
    }
}

MGI_FN void mgi_resample_backward(const mgi_resample *r, mango_idx N, const float *dy,
                                  float *dx, float *work)
{
    const mgi_kernels *k = mgi_kernels_get();
    const resample_tap *rows = resample_table(r, work), *columns = rows + r->OH;
    const mango_idx C = r->C, size = r->H * r->W * C, out = r->OH * r->OW;
    MGI_OMP(parallel for schedule(static) if (N * out * C >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *to = dx + n * size;
        memset(to, 0, (size_t)size * sizeof *to);
        for (mango_idx o = 0; o < out; o++) {
            const resample_tap *ty = rows + o / r->OW, *tx = columns + o % r->OW;
            for (int a = 0; a < ty->n; a++)
                for (int b = 0; b < tx->n; b++)
                    k->axpy(C, ty->w[a] * tx->w[b], dy + (n * out + o) * C,
                            to + (ty->at[a] * r->W + tx->at[b]) * C);
        }
    }
}

#undef RESAMPLE_TAP

/* ---- x2 ----------------------------------------------------------------------- */

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
