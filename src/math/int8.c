/* int8.c - weights of spikes in 8 bits, see spikes.h: quantised and packed in
 * panels of 64 outputs, which are one word of spikes and 64 bytes of weights; the
 * plain convolution, as oracle; the plain kernels.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "conv_geometry.h"
#include "spikes.h"

/* Added to a number below 2^22 and taken away, it rounds to the nearest integer, ties
 * to even. */
#define INT8_ROUND 12582912.0f

MGI_FN float mgi_int8_scale(mango_idx n, const float *w, float *per)
{
    float most = 0.0f;
    for (mango_idx i = 0; i < n; i++) {
        const float a = w[i] < 0.0f ? -w[i] : w[i];
        most = a > most ? a : most;
    }
    *per = most > 1e-30f ? 127.0f / most : 0.0f;
    return most > 1e-30f ? most / 127.0f : 0.0f;
}

MGI_FN int8_t mgi_int8_round(float w, float per)
{
    const float v = w * per + INT8_ROUND; /* |w per| <= 127 (1 + 2^-22): never 128 */
    return (int8_t)(v - INT8_ROUND);
}

/* Geometry of the panels: inputs of an output, groups of 64 outputs. */
static mango_idx int8_inputs(const mgi_conv *c, mgi_convgeo *g)
{
    mgi_convgeo_phase(c, 0, g);
    return g->kh * g->kw * g->C;
}

static mango_idx int8_groups(const mgi_conv *c)
{
    return mgi_ceil_div(c->O, MGI_INT8_OUT);
}

MGI_FN mango_idx mgi_int8_packed(const mgi_conv *c)
{
    mgi_convgeo g;
    const mango_idx K = int8_inputs(c, &g);
    return int8_groups(c) * MGI_INT8_OUT * (1 + (K + 3) / 4);
}

MGI_FN const int8_t *mgi_int8_panels(const mgi_conv *c, const float *packed)
{
    return (const int8_t *)(const void *)(packed + int8_groups(c) * MGI_INT8_OUT);
}

/* One output: its scale, and its column of a panel. */
static void int8_pack_one(const mgi_conv *c, const mgi_convgeo *g, mango_idx o,
                          const float *w, float *scale, int8_t *q)
{
    const mango_idx area = (mango_idx)c->kh * c->kw;
    float per;
    *scale = mgi_int8_scale(c->C * area, w + o * c->C * area, &per);
    for (mango_idx t = 0; t < g->kh * g->kw; t++) {
        const mango_idx at =
            (g->ky0 + t / g->kw * g->kys) * c->kw + g->kx0 + t % g->kw * g->kxs;
        for (mango_idx i = 0; i < c->C; i++, q += MGI_INT8_OUT)
            *q = mgi_int8_round(w[(o * c->C + i) * area + at], per);
    }
}

MGI_FN void mgi_int8_pack(const mgi_conv *c, const float *w, float *packed)
{
    mgi_convgeo g;
    const mango_idx K = int8_inputs(c, &g), all = int8_groups(c) * MGI_INT8_OUT;
    int8_t *q = (int8_t *)(void *)(packed + all);
    memset(packed, 0, (size_t)mgi_int8_packed(c) * sizeof *packed);
    MGI_OMP(parallel for schedule(static) if (K * c->O >= MGI_GRAIN))
    for (mango_idx o = 0; o < c->O; o++)
        int8_pack_one(c, &g, o, w, packed + o,
                      q + (o / MGI_INT8_OUT * K) * MGI_INT8_OUT + o % MGI_INT8_OUT);
}

/* ---- the oracle ---------------------------------------------------------------- */

/* The sum of (2) for one output at one place. */
static int32_t int8_ref_sum(const mgi_conv *c, const float *x, const float *w, float per,
                            mango_idx oy, mango_idx ox)
{
    int32_t sum = 0;
    for (mango_idx i = 0; i < c->C; i++)
        for (mango_idx ky = 0; ky < c->kh; ky++)
            for (mango_idx kx = 0; kx < c->kw; kx++, w++) {
                const mango_idx iy = oy * c->sh - c->ph + ky, ix = ox * c->sw - c->pw + kx;
                if (iy >= 0 && iy < c->H && ix >= 0 && ix < c->W &&
                    x[(iy * c->W + ix) * c->C + i] != 0.0f)
                    sum += mgi_int8_round(*w, per);
            }
    return sum;
}

MGI_FN void mgi_int8_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const mgi_epilogue *e, float *y)
{
    const mango_idx K = c->C * c->kh * c->kw, P = c->OH * c->OW, in = c->H * c->W * c->C;
    for (mango_idx o = 0; o < c->O; o++) {
        float per;
        const float scale = mgi_int8_scale(K, w + o * K, &per);
        for (mango_idx p = 0; p < N * P; p++) {
            const int32_t sum = int8_ref_sum(c, x + p / P * in, w + o * K, per, p % P / c->OW,
                                             p % c->OW);
            float v = mgi_fmaf(scale, (float)sum, e && e->bias ? e->bias[o] : 0.0f);
            v = e && e->residual ? v + e->residual[p * c->O + o] : v;
            y[p * c->O + o] = e && e->relu ? (v > 0.0f ? v : 0.0f) : v;
        }
    }
}

/* ---- the plain kernels ----------------------------------------------------------- */

#undef INT8_ROUND
