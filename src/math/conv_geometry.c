/* conv_geometry.c - sizes of a convolution and of its gradient, and its stride phases.
 * SPDX-License-Identifier: MIT */
#include "conv_geometry.h"

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
    f.C = c->O;
    f.H = c->OH;
    f.W = c->OW;
    f.O = c->C;
    f.OH = c->H;
    f.OW = c->W;
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
        g->osy = c->sh;
        g->osx = c->sw;
        g->kys = -c->sh;
        g->kxs = -c->sw;
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
