/* conv_pack.c - the geometry of convolutions, and their weights packed for the
 * kernel table: per stride phase, panels of nr outputs, rows k = (ky,kx,c).
 * SPDX-License-Identifier: MIT */
#include "conv_geometry.h"
#include "spikes.h"
#include "winograd.h"
#include "../base/real.h"

#define CONV_PACK_TAPS 16
#define CONV_PACK_NR 32 /* the widest panel of any kernel set */

MGI_FN int mgi_conv_shape(mgi_conv *c)
{
    if (c->transposed) {
        c->OH = (c->H - 1) * c->sh - 2 * c->ph + c->kh;
        c->OW = (c->W - 1) * c->sw - 2 * c->pw + c->kw;
    } else {
        const mango_idx h = c->H + 2 * c->ph - c->kh, w = c->W + 2 * c->pw - c->kw;
        c->OH = h < 0 ? 0 : h / c->sh + 1;
        c->OW = w < 0 ? 0 : w / c->sw + 1;
    }
    return c->OH > 0 && c->OW > 0;
}

MGI_FN mgi_conv mgi_conv_flip(const mgi_conv *c)
{
    mgi_conv f = *c;
    f.C = c->O, f.H = c->OH, f.W = c->OW;
    f.O = c->C, f.OH = c->H, f.OW = c->W;
    f.transposed = !c->transposed;
    f.winograd = f.half = f.int8 = 0;
    return f;
}

MGI_FN int mgi_convgeo_phases(const mgi_conv *c)
{
    return c->transposed ? c->sh * c->sw : 1;
}

/* One axis of a transposed convolution: phase f of stride s. */
static void convgeo_axis(mango_idx f, mango_idx k, mango_idx s, mango_idx p, mango_idx out,
                         mango_idx *nk, mango_idx *last, mango_idx *o0, mango_idx *pad,
                         mango_idx *count)
{
    *nk = f < k ? (k - 1 - f) / s + 1 : 0;
    *last = f + (*nk - 1) * s;
    *o0 = ((f - p) % s + s) % s;
    *pad = (*last - *o0 - p) / s; /* exact */
    *count = *o0 < out ? (out - 1 - *o0) / s + 1 : 0;
}

/* Leave out the kernel rows (columns) that meet the map at no position. */
static void convgeo_trim(mango_idx T, mango_idx s, mango_idx size, mango_idx *k, mango_idx *p,
                         mango_idx *k0, mango_idx ks)
{
    const mango_idx lo = MGI_MIN(*k, MGI_MAX(0, *p - (T - 1) * s)); /* of the last position */
    const mango_idx hi = MGI_MAX(lo, MGI_MIN(*k, size + *p));       /* of the first          */
    *k0 += lo * ks;
    *p -= lo;
    *k = hi - lo;
}

MGI_FN void mgi_convgeo_phase(const mgi_conv *c, int phase, mgi_convgeo *g)
{
    const mgi_convgeo plain = {.C = c->C, .H = c->H, .W = c->W, .O = c->O, .OH = c->OH,
                               .OW = c->OW, .kh = c->kh, .kw = c->kw, .sh = c->sh, .sw = c->sw,
                               .py = c->ph, .px = c->pw, .TH = c->OH, .TW = c->OW, .osy = 1,
                               .osx = 1, .kys = 1, .kxs = 1};
    *g = plain;
    if (c->transposed) {
        g->sh = g->sw = 1;
        g->osy = c->sh, g->osx = c->sw;
        g->kys = -c->sh, g->kxs = -c->sw;
        convgeo_axis(phase / c->sw, c->kh, c->sh, c->ph, c->OH, &g->kh, &g->ky0, &g->oy0,
                     &g->py, &g->TH);
        convgeo_axis(phase % c->sw, c->kw, c->sw, c->pw, c->OW, &g->kw, &g->kx0, &g->ox0,
                     &g->px, &g->TW);
    }
    convgeo_trim(g->TH, g->sh, g->H, &g->kh, &g->py, &g->ky0, g->kys);
    convgeo_trim(g->TW, g->sw, g->W, &g->kw, &g->px, &g->kx0, g->kxs);
    if (g->kh * g->kw == 0)
        g->kh = g->kw = 0;
}

MGI_FN mango_idx mgi_conv_packed(const mgi_conv *c)
{
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
static void conv_pack_panel(const mgi_convgeo *g, const mgi_conv *c, mango_idx p, mango_idx nr,
                            mango_idx c0, mango_idx c1, mango_idx so, mango_idx sc, const float *w,
                            float *P)
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
    assert(!c->transposed && !c->int8);
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
    float s = 0.0f;
    for (mango_idx a = 0; a < c->kh; a++)
        for (mango_idx b = 0; b < c->kw; b++) {
            const mango_idx ky = t ? c->kh - 1 - a : a, kx = t ? c->kw - 1 - b : b;
            const mango_idx sy = oy + c->ph - ky, sx = ox + c->pw - kx; /* transposed */
            if (t && (sy % c->sh || sx % c->sw))
                continue;
            const mango_idx iy = t ? sy / c->sh : oy * c->sh - c->ph + ky;
            const mango_idx ix = t ? sx / c->sw : ox * c->sw - c->pw + kx;
            if (iy < 0 || iy >= c->H || ix < 0 || ix >= c->W)
                continue;
            for (mango_idx i = 0; i < c->C; i++)
                s = mgi_fmaf(x[(iy * c->W + ix) * c->C + i],
                             w[((t ? i * c->O + o : o * c->C + i) * c->kh + ky) * c->kw + kx], s);
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
