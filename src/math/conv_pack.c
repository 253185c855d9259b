/* conv_pack.c - the weights of a convolution packed for the kernel table: per stride
 * phase, panels of nr outputs, rows k = (ky,kx,c).
 * SPDX-License-Identifier: MIT */
#include "conv_group.h"
#include "spikes.h"
#include "winograd.h"
#include "../base/real.h"

#define CONV_PACK_TAPS 16
#define CONV_PACK_NR 32 /* the widest panel of any kernel set */

MGI_FN mango_idx mgi_conv_packed(const mgi_conv *c)
{
    if (c->groups > 1)
        return mgi_group_packed(c);
    if (c->winograd)
        return mgi_winograd_packed(c);
    if (c->int8)
        return mgi_int8_packed(c);
    mango_idx sum = 0;
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        sum += mgi_pack_size(g.kh * g.kw * g.C, g.O);
    }
    return c->half ? (sum + 1) / 2 : sum;
}

/* One row of a panel, `at` values behind P. */
static void conv_pack_row(const mgi_conv *c, mango_idx nr, const float *row, float *P,
                          mango_idx at)
{
    if (c->half)
        mgi_halves(nr, row, (uint16_t *)P + at);
    else
        memcpy(P + at, row, (size_t)nr * sizeof *P);
}

/* Panel p of one phase: for each input channel the kernel positions of nr
 * outputs are gathered in a small square, then written row by row. Inputs c0 .. c1-1;
 * weight (o,c) of the panel: w + o*so + (c-c0)*sc, then ky*kw + kx. */
static void conv_pack_panel(const mgi_convgeo *g, const mgi_conv *c, mango_idx p,
                            mango_idx nr, mango_idx c0, mango_idx c1, mango_idx so,
                            mango_idx sc, const float *w, float *P)
{
    const mango_idx n = MGI_MIN(nr, g->O - p * nr);
    const mango_idx taps = g->kh * g->kw, K = taps * g->C;
    float square[CONV_PACK_TAPS * CONV_PACK_NR] = {0.0f};
    mango_idx at[CONV_PACK_TAPS];
    for (mango_idx t0 = 0; t0 < taps; t0 += CONV_PACK_TAPS) {
        const mango_idx nt = MGI_MIN(CONV_PACK_TAPS, taps - t0);
        for (mango_idx t = 0; t < nt; t++)
            at[t] = (g->ky0 + (t0 + t) / g->kw * g->kys) * c->kw + g->kx0 +
                    (t0 + t) % g->kw * g->kxs;
        for (mango_idx i = c0; i < c1; i++) {
            const float *src = w + (i - c0) * sc;
            for (mango_idx j = 0; j < n; j++, src += so)
                for (mango_idx t = 0; t < nt; t++)
                    square[t * nr + j] = src[at[t]];
            for (mango_idx t = 0; t < nt; t++)
                conv_pack_row(c, nr, square + t * nr, P, (p * K + (t0 + t) * g->C + i) * nr);
        }
    }
}

MGI_FN void mgi_conv_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mango_idx nr = mgi_kernels_get()->nr, panels = mgi_ceil_div(c->O, nr);
    const mango_idx area = (mango_idx)c->kh * c->kw;
    const mango_idx so = c->transposed ? area : c->C * area;
    const mango_idx sc = c->transposed ? c->O * area : area;
    if (c->groups > 1) {
        mgi_group_pack(c, w, packed);
        return;
    }
    if (c->winograd) {
        mgi_winograd_pack(c, w, packed);
        return;
    }
    if (c->int8) {
        mgi_int8_pack(c, w, packed);
        return;
    }
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        const mango_idx K = g.kh * g.kw * g.C;
        MGI_OMP(parallel for if (K * g.O >= MGI_GRAIN))
        for (mango_idx p = 0; p < panels; p++)
            conv_pack_panel(&g, c, p, nr, 0, c->C, so, sc, w + p * nr * so, packed);
        packed += panels * nr * K;
    }
}

MGI_FN void mgi_conv_pack_part(const mgi_conv *c, mango_idx p, mango_idx c0, mango_idx n,
                               const float *w, float *packed)
{
    const mango_idx area = (mango_idx)c->kh * c->kw;
    mgi_convgeo g;
    assert(!c->transposed && !c->int8 && c->groups <= 1);
    if (c->winograd) {
        mgi_winograd_pack_part(c, p, c0, n, w, packed);
        return;
    }
    mgi_convgeo_phase(c, 0, &g);
    conv_pack_panel(&g, c, p, mgi_kernels_get()->nr, c0, c0 + n, n * area, area, w, packed);
}

/* ---- the oracle ---------------------------------------------------------- */
static float conv_ref_one(const mgi_conv *c, const float *x, const float *w, mango_idx o,
                          mango_idx oy, mango_idx ox)
{
    const int t = c->transposed;
    const mango_idx dh = MGI_MAX(c->dh, 1), dw = MGI_MAX(c->dw, 1);
    const mango_idx n = mgi_conv_inputs(c), Og = c->O / mgi_conv_groups(c), c0 = o / Og * n;
    float s = 0.0f;
    for (mango_idx a = 0; a < c->kh; a++)
        for (mango_idx b = 0; b < c->kw; b++) {
            const mango_idx ky = t ? c->kh - 1 - a : a, kx = t ? c->kw - 1 - b : b;
            const mango_idx sy = oy + c->ph - ky * dh, sx = ox + c->pw - kx * dw; /* if t */
            if (t && (sy % c->sh || sx % c->sw))
                continue;
            const mango_idx iy = t ? sy / c->sh : oy * c->sh - c->ph + ky * dh;
            const mango_idx ix = t ? sx / c->sw : ox * c->sw - c->pw + kx * dw;
            if (sy < 0 && t)
                continue;
            if (iy < 0 || iy >= c->H || ix < 0 || ix >= c->W)
                continue;
            for (mango_idx i = 0; i < n; i++) {
                const mango_idx row = t ? (c0 + i) * Og + o % Og : o * n + i;
                s = mgi_fmaf(x[(iy * c->W + ix) * c->C + c0 + i],
                             w[(row * c->kh + ky) * c->kw + kx], s);
            }
        }
    return s;
}

MGI_FN void mgi_conv_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const float *bias, float *y)
{
    for (mango_idx n = 0; n < N; n++, x += c->H * c->W * c->C)
        for (mango_idx oy = 0; oy < c->OH; oy++)
            for (mango_idx ox = 0; ox < c->OW; ox++)
                for (mango_idx o = 0; o < c->O; o++, y++)
                    *y = conv_ref_one(c, x, w, o, oy, ox) + (bias ? bias[o] : 0.0f);
}

#undef CONV_PACK_TAPS
#undef CONV_PACK_NR
