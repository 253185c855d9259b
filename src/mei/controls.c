/* controls.c - a generator's picture made fit for a network, and kept to what was asked for:
 * colours, size, mask. In this order:
 *
 *   grey      L = 0.299 R + 0.587 G + 0.114 B in every channel                        (1)
 *   size      each axis by a triangle of half-width s = max(1, in/out) pixels of the input,
 *             w_i = max(0, 1 - |i + 1/2 - (o + 1/2) in/out|/s) / sum: bilinear,
 *             antialiased where it shrinks                                            (2)
 *   levels    luminance, contrast, total variation: controls_level.c
 *   mask      x = surround + m (x - surround), m = min(1, max(0, r + 1/2 - |p|)), |p| the
 *             distance of a pixel's centre from the picture's, r the radius           (3)
 *   place     in the middle of the network's field, the rest is surround
 * SPDX-License-Identifier: MIT */
#include "controls.h"
#include <math.h>

/* ---- options ---------------------------------------------------------------- */

mango_status mango_controls_defaults_sized(mango_controls *c, size_t size)
{
    mango_controls own;
    memset(&own, 0, sizeof own);
    own.luminance = own.contrast = -1.0;
    own.surround = 0.5;
    return mgi_options_out(c, size, &own, sizeof own);
}

/* Does a picture keep its place and shape, and is nothing else asked for? */
MGI_FN int mgi_controls_none(const mango_controls *c, mango_idx C0, mango_idx H0, mango_idx W0,
                             mango_idx C, mango_idx H, mango_idx W)
{
    if (C0 != C || H0 != H || W0 != W)
        return 0;
    return !c || (!c->grey && c->luminance < 0.0 && c->contrast < 0.0 && c->mask == 0.0 &&
                  c->tv == 0.0 && c->H == 0 && c->W == 0);
}

static void controls_number(mgi_str *s, const char *name, double v)
{
    mgi_str_printf(s, "%s%s=", s->n ? " " : "", name);
    mgi_str_float(s, v);
}

MGI_FN void mgi_controls_text(const mango_controls *c, mgi_str *s)
{
    if (c->grey)
        mgi_str_puts(s, "grey");
    if (c->luminance >= 0.0)
        controls_number(s, "luminance", c->luminance);
    if (c->contrast >= 0.0)
        controls_number(s, "contrast", c->contrast);
    if (c->tv > 0.0)
        controls_number(s, "tv", c->tv);
    if (c->mask > 0.0)
        controls_number(s, "mask", c->mask);
    if (c->H > 0)
        mgi_str_printf(s, "%ssize=%tdx%td", s->n ? " " : "", c->H, c->W);
    if (c->mask > 0.0 || c->H > 0)
        controls_number(s, "surround", c->surround);
}

mango_idx mango_controls_text(const mango_controls *controls, char *text, mango_idx cap)
{
    mango_controls c;
    mgi_str s;
    if (!controls || cap < 0 || (cap > 0 && !text) || mango_controls_defaults(&c) < 0 ||
        mgi_options_in(&c, sizeof c, controls, "mango_controls_text", NULL) < 0)
        return -1;
    mgi_str_init(&s, NULL);
    mgi_controls_text(&c, &s);
    return mgi_str_out(&s, MANGO_OK, text, cap);
}

static mango_status controls_check(const mgi_controls *q, mango_err *err)
{
    const mango_controls *c = &q->c;
    const int size = c->H > 0 || c->W > 0;
    MGI_CHECK(err, (c->luminance < 0.0 || c->luminance <= 1.0) && c->luminance >= -1.0,
              "controls: luminance is %g, expected 0..1", c->luminance);
    MGI_CHECK(err, (c->contrast < 0.0 || c->contrast <= 0.5) && c->contrast >= -1.0,
              "controls: contrast is %g, expected 0..0.5", c->contrast);
    MGI_CHECK(err, c->mask >= 0.0 && c->mask <= 2.0, "controls: mask is %g, expected 0..2",
              c->mask);
    MGI_CHECK(err, c->surround >= 0.0 && c->surround <= 1.0,
              "controls: surround is %g, expected 0..1", c->surround);
    MGI_CHECK(err, c->tv >= 0.0 && c->tv <= 2.0, "controls: tv is %g, expected 0..2", c->tv);
    MGI_CHECK(err, !size || (c->H >= 1 && c->W >= 1 && c->H <= q->H && c->W <= q->W),
              "controls: size is %tdx%td, expected 1x1 to %tdx%td", c->H, c->W, q->H, q->W);
    if (q->C0 != q->C && !(q->C0 == 1 && q->C == 3) && !(q->C0 == 3 && q->C == 1))
        return mgi_fail(err, MANGO_E_SHAPE,
                        "the generator's picture is %tdx%tdx%td, the network takes "
                        "%tdx%tdx%td: as many channels, or 1 and 3, expected",
                        q->C0, q->H0, q->W0, q->C, q->H, q->W);
    if (q->measured && q->C != 1 && q->C != 3)
        return mgi_fail(err, MANGO_E_SHAPE, "controls: pictures of 1 or 3 channels expected, "
                        "not %td", q->C);
    return MANGO_OK;
}

/* ---- create and destroy ----------------------------------------------------- */

/* (2) of output o. */
static void axis_weights(mgi_axis *a, mango_idx o)
{
    const double ratio = (double)a->in / (double)a->out, s = ratio > 1.0 ? ratio : 1.0;
    const double centre = ((double)o + 0.5) * ratio;
    double *w = a->w + o * a->width, sum = 0.0;
    mango_idx n = 0;
    a->first[o] = -1;
    for (mango_idx i = 0; i < a->in; i++) {
        const double u = fabs(((double)i + 0.5 - centre) / s);
        if (u >= 1.0 || n == a->width)
            continue;
        if (n == 0)
            a->first[o] = i;
        w[n++] = 1.0 - u;
        sum += 1.0 - u;
    }
    a->n[o] = n;
    for (mango_idx i = 0; i < n; i++)
        w[i] /= sum;                                                            /* (2) */
}

static int axis_new(mgi_axis *a, mango_idx in, mango_idx out, const mango_alloc *al)
{
    a->in = in;
    a->out = out;
    a->width = 2 * (in / out + 1) + 3;
    a->first = mgi_new(al, out, sizeof *a->first);
    a->n = mgi_new(al, out, sizeof *a->n);
    a->w = mgi_new(al, out * a->width, sizeof *a->w);
    if (!a->first || !a->n || !a->w)
        return 0;
    for (mango_idx o = 0; o < out; o++)
        axis_weights(a, o);
    return 1;
}

static void axis_free(mgi_axis *a, const mango_alloc *al)
{
    mgi_del(al, a->first, a->out, sizeof *a->first);
    mgi_del(al, a->n, a->out, sizeof *a->n);
    mgi_del(al, a->w, a->out * a->width, sizeof *a->w);
}

/* (3), m of every pixel. */
static void controls_mask(mgi_controls *q)
{
    const double r = 0.5 * q->c.mask * (double)MGI_MIN(q->h, q->w);
    for (mango_idx i = 0; i < q->h * q->w; i++) {
        const double y = (double)(i / q->w) + 0.5 - 0.5 * (double)q->h;
        const double x = (double)(i % q->w) + 0.5 - 0.5 * (double)q->w;
        const double m = r + 0.5 - sqrt(y * y + x * x);
        q->mask[i] = q->c.mask == 0.0 ? 1.0 : m < 0.0 ? 0.0 : m > 1.0 ? 1.0 : m;
    }
}

static mango_status controls_build(mgi_controls *q, mango_err *err)
{
    MGI_TRY(controls_check(q, err));
    q->h = q->c.H > 0 ? q->c.H : q->H;
    q->w = q->c.H > 0 ? q->c.W : q->W;
    q->top = (q->H - q->h) / 2;
    q->left = (q->W - q->w) / 2;
    q->size = q->C * q->h * q->w;
    q->mask = mgi_new(&q->al, q->h * q->w, sizeof(double));
    q->one = mgi_new(&q->al, q->C * q->H0 * q->W0, sizeof(double));
    q->half = mgi_new(&q->al, q->C * q->h * q->W0, sizeof(double));
    q->x = mgi_new(&q->al, q->size, sizeof(double));
    q->soft = mgi_new(&q->al, q->size, sizeof(double));
    q->softer = mgi_new(&q->al, q->size, sizeof(double));
    q->part = mgi_new(&q->al, q->size, sizeof(double));
    const int axes = axis_new(&q->down, q->H0, q->h, &q->al) &&
                     axis_new(&q->across, q->W0, q->w, &q->al);
    if (!axes || !q->mask || !q->one || !q->half || !q->x || !q->soft || !q->softer || !q->part)
        return mgi_fail(err, MANGO_E_MEM, "controls: out of memory");
    controls_mask(q);
    return MANGO_OK;
}

MGI_FN mango_status mgi_controls_new(mgi_controls **q, const mango_controls *c, mango_idx C0,
                                     mango_idx H0, mango_idx W0, mango_idx C, mango_idx H,
                                     mango_idx W, const mango_alloc *al, mango_err *err)
{
    mgi_controls *x = mgi_new(al, 1, sizeof *x);
    *q = NULL;
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "controls: out of memory");
    x->al = *al;
    mango_status st = mango_controls_defaults(&x->c);
    if (st == MANGO_OK && c)
        st = mgi_options_in(&x->c, sizeof x->c, c, "mango_controls", err);
    x->C0 = C0;
    x->H0 = H0;
    x->W0 = W0;
    x->C = C;
    x->H = H;
    x->W = W;
    x->measured = x->c.grey || x->c.luminance >= 0.0 || x->c.contrast >= 0.0;
    if (st == MANGO_OK)
        st = controls_build(x, err);
    if (st < 0)
        mgi_controls_free(x);
    else
        *q = x;
    return st;
}

MGI_FN void mgi_controls_free(mgi_controls *q)
{
    if (!q)
        return;
    const mango_alloc al = q->al;
    mgi_del(&al, q->mask, q->h * q->w, sizeof(double));
    mgi_del(&al, q->one, q->C * q->H0 * q->W0, sizeof(double));
    mgi_del(&al, q->half, q->C * q->h * q->W0, sizeof(double));
    mgi_del(&al, q->x, q->size, sizeof(double));
    mgi_del(&al, q->soft, q->size, sizeof(double));
    mgi_del(&al, q->softer, q->size, sizeof(double));
    mgi_del(&al, q->part, q->size, sizeof(double));
    axis_free(&q->down, &al);
    axis_free(&q->across, &al);
    mgi_del(&al, q, 1, sizeof *q);
}

/* ---- one picture ------------------------------------------------------------ */

/* The colours that the network takes, in q->one. */
static void controls_colour(mgi_controls *q, const float *in)
{
    const mango_idx n = q->H0 * q->W0;
    const int mix = q->C0 == 3 && (q->C == 1 || q->c.grey);
    for (mango_idx i = 0; i < q->C * n; i++) {
        const mango_idx p = i % n;
        q->one[i] = mix ? 0.299 * (double)in[p] + 0.587 * (double)in[n + p] +   /* (1) */
                              0.114 * (double)in[2 * n + p]
                        : (double)in[q->C0 == 1 ? p : i];
    }
}

/* (2): x (outer, in, inner) -> y (outer, out, inner). */
static void controls_axis(const mgi_axis *a, mango_idx outer, mango_idx inner, const double *x,
                          double *y)
{
    for (mango_idx i = 0; i < outer * a->out; i++) {
        const mango_idx o = i % a->out;
        const double *from = x + (i / a->out * a->in + a->first[o]) * inner;
        for (mango_idx c = 0; c < inner; c++) {
            double sum = 0.0;
            for (mango_idx k = 0; k < a->n[o]; k++)
                sum += a->w[o * a->width + k] * from[k * inner + c];
            y[i * inner + c] = sum;
        }
    }
}

MGI_FN void mgi_controls_apply(mgi_controls *q, const float *in, float *out)
{
    const double grey = q->c.surround;
    controls_colour(q, in);
    controls_axis(&q->down, q->C, q->W0, q->one, q->half);
    controls_axis(&q->across, q->C * q->h, 1, q->half, q->x);
    mgi_controls_level(q);
    for (mango_idx i = 0; i < q->C * q->H * q->W; i++)
        out[i] = (float)grey;
    for (mango_idx i = 0; i < q->size; i++) {
        const mango_idx p = i % (q->h * q->w), c = i / (q->h * q->w);
        const mango_idx at = (c * q->H + q->top + p / q->w) * q->W + q->left + p % q->w;
        out[at] = (float)(grey + q->mask[p] * (q->x[i] - grey));                /* (3) */
    }
}
