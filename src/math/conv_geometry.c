/* conv_geometry.c - sizes of a convolution and of its gradient, and its stride phases.
 * SPDX-License-Identifier: MIT */
#include "conv_geometry.h"

MGI_FN int mgi_conv_shape(mgi_conv *c)
{
    const mango_idx eh = mgi_conv_extent(c->kh, MGI_MAX(c->dh, 1));
    const mango_idx ew = mgi_conv_extent(c->kw, MGI_MAX(c->dw, 1));
    if (c->transposed) {
        c->OH = (c->H - 1) * c->sh - 2 * c->ph + eh + c->oph;
        c->OW = (c->W - 1) * c->sw - 2 * c->pw + ew + c->opw;
    } else {
        const mango_idx h = c->H + 2 * c->ph - eh, w = c->W + 2 * c->pw - ew;
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

static mango_idx convgeo_gcd(mango_idx a, mango_idx b)
{
    return b == 0 ? a : convgeo_gcd(b, a % b);
}

/* One axis of a transposed convolution. */
typedef struct convgeo_axis {
    mango_idx s, k, p, d, out;           /* stride, kernel, padding, dilation, outputs     */
    mango_idx nk, last, step, o0, pad, count; /* rows of the phase: last, last - step, ... */
} convgeo_axis;

/* Phase f of it. */
static void convgeo_on_axis(convgeo_axis *a, mango_idx f)
{
    const mango_idx gcd = convgeo_gcd(a->d, a->s);
    mango_idx first = 0;
    a->step = a->s / gcd;
    while (first < a->step && a->d * first % a->s != f)
        first++;
    a->nk = first < a->step && first < a->k ? (a->k - 1 - first) / a->step + 1 : 0;
    a->last = first + (a->nk - 1) * a->step;
    a->o0 = ((f - a->p) % a->s + a->s) % a->s;
    a->pad = a->nk ? (a->d * a->last - a->o0 - a->p) / a->s : 0; /* exact */
    a->count = a->o0 < a->out ? (a->out - 1 - a->o0) / a->s + 1 : 0;
    a->d /= gcd;
}

/* Both axes of phase `phase` into g, whose dilation is that of the convolution. */
static void convgeo_transposed(const mgi_conv *c, int phase, mgi_convgeo *g)
{
    convgeo_axis y = {.s = c->sh, .k = c->kh, .p = c->ph, .d = g->dy, .out = c->OH};
    convgeo_axis x = {.s = c->sw, .k = c->kw, .p = c->pw, .d = g->dx, .out = c->OW};
    convgeo_on_axis(&y, phase / c->sw);
    convgeo_on_axis(&x, phase % c->sw);
    g->sh = g->sw = 1;
    g->osy = c->sh;
    g->osx = c->sw;
    g->kh = y.nk, g->kw = x.nk;
    g->ky0 = y.last, g->kx0 = x.last;
    g->kys = -y.step, g->kxs = -x.step;
    g->oy0 = y.o0, g->ox0 = x.o0;
    g->py = y.pad, g->px = x.pad;
    g->TH = y.count, g->TW = x.count;
    g->dy = y.d, g->dx = x.d;
}

/* Leave out the kernel rows (columns) that meet the map at no position. */
static void convgeo_trim(mango_idx T, mango_idx s, mango_idx d, mango_idx size, mango_idx *k,
                         mango_idx *p, mango_idx *k0, mango_idx ks)
{
    mango_idx lo, hi, none;
    mgi_conv_clip_by(T - 1, s, *p, *k, d, size, &lo, &none); /* of the last position */
    mgi_conv_clip_by(0, s, *p, *k, d, size, &none, &hi);     /* of the first         */
    hi = MGI_MAX(lo, hi);
    *k0 += lo * ks;
    *p -= lo * d;
    *k = hi - lo;
}

MGI_FN void mgi_convgeo_phase(const mgi_conv *c, int phase, mgi_convgeo *g)
{
    const mgi_convgeo plain = {.C = c->C, .H = c->H, .W = c->W, .O = c->O, .OH = c->OH,
                               .OW = c->OW, .kh = c->kh, .kw = c->kw, .sh = c->sh, .sw = c->sw,
                               .py = c->ph, .px = c->pw, .TH = c->OH, .TW = c->OW, .osy = 1,
                               .osx = 1, .kys = 1, .kxs = 1, .dy = MGI_MAX(c->dh, 1),
                               .dx = MGI_MAX(c->dw, 1)};
    *g = plain;
    if (c->transposed)
        convgeo_transposed(c, phase, g);
    convgeo_trim(g->TH, g->sh, g->dy, g->H, &g->kh, &g->py, &g->ky0, g->kys);
    convgeo_trim(g->TW, g->sw, g->dx, g->W, &g->kw, &g->px, &g->kx0, g->kxs);
    if (g->kh * g->kw == 0)
        g->kh = g->kw = 0;
}
