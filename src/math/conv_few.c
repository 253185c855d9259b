/* conv_few.c - the gradient by the input of a convolution behind a max-pool.
 *
 * There most of dy is zero: each window gave its gradient to one pixel. dx is
 * the flipped convolution of dy; here an output pixel and a kernel position add
 * only the rows of weights where dy is not zero, in the order of the dense sum,
 * whose other terms are exact zeros and change nothing. Some images at a time
 * are turned into lists of (value, channel); for 64 channels of dx and one
 * kernel position the weights, turned into rows of 64, stay in the first-level
 * cache while all pixels of these images go by. The sums wait in dx.
 * SPDX-License-Identifier: MIT */
#include "loops.h"
#include "spikes_grad.h"

#define FEW_DENSITY 0.35  /* part of dy above which dense is faster     */
#define FEW_WIDE 64       /* channels of dx at a time                   */
#define FEW_ENTRIES 65536 /* of the lists of an item, about             */
#define FEW_STRETCH 1024  /* floats looked at in a row                */
#define FEW_LARGEST 262144 /* floats of a map of dy that is worth lists */

typedef struct few_job {
    const mgi_loops *l;
    mgi_convgeo g;
    mango_idx N, images;   /* images per item                                */
    const float *x, *rows; /* weights (groups of outputs,kh,kw,C,FEW_WIDE) */
    float *y;
} few_job;

/* The flipped convolution is an ordinary one only with stride 1. */
static int few_fits(const mgi_conv *c)
{
    return mgi_conv_is_plain(c) && !c->transposed && c->sh == 1 && c->sw == 1 &&
           c->O >= 16 && c->C >= 16 && c->O * c->OH * c->OW <= FEW_LARGEST;
}

static mango_idx few_up(mango_idx n)
{
    return mgi_round_up(n, 16);
}

static mango_idx few_images(const mgi_conv *c)
{
    return MGI_MAX(1, FEW_ENTRIES / (c->O * c->OH * c->OW));
}

/* Floats of one thread: the starts of the pixels, the entries. */
static mango_idx few_each(const mgi_conv *c)
{
    const mango_idx pixels = few_images(c) * c->OH * c->OW;
    return few_up(pixels + 1) + few_up(2 * pixels * c->O);
}

static mango_idx few_rows(const mgi_conv *c)
{
    return mgi_round_up(c->C, FEW_WIDE) * c->O * c->kh * c->kw;
}

MGI_FN mango_idx mgi_few_work(const mgi_conv *c)
{
    return few_fits(c) ? few_up(few_rows(c)) + mango_threads() * few_each(c) : 0;
}

/* The kernel positions of the flipped convolution, from w (O,C,kh,kw): row
 * (ky,kx,o) of a group of channels of dx. */
static void few_turn(const mgi_conv *c, const mgi_convgeo *g, const float *w, float *rows)
{
    const mango_idx groups = mgi_ceil_div(c->C, FEW_WIDE), taps = g->kh * g->kw;
    const mango_idx area = (mango_idx)c->kh * c->kw;
    MGI_OMP(parallel for if (groups * taps > 1))
    for (mango_idx i = 0; i < groups * taps; i++) {
        const mango_idx ky = i % taps / g->kw, kx = i % taps % g->kw, c0 = i / taps * FEW_WIDE;
        const mango_idx n = MGI_MIN(FEW_WIDE, c->C - c0);
        const float *from = w + (g->ky0 + ky * g->kys) * c->kw + g->kx0 + kx * g->kxs;
        float *to = rows + i * c->O * FEW_WIDE;
        for (mango_idx o = 0; o < c->O; o++, to += FEW_WIDE)
            for (mango_idx k = 0; k < n; k++)
                to[k] = from[(o * c->C + c0 + k) * area];
    }
}

static void few_lists(const few_job *j, const float *x, mango_idx pixels, uint32_t *from,
                      mgi_few *e)
{
    uint32_t at = 0;
    for (mango_idx p = 0; p < pixels; p++, x += j->g.C) {
        from[p] = at;
        for (mango_idx c = 0; c < j->g.C; c++) {
            const mgi_few f = {x[c], (uint32_t)c};
            e[at] = f;
            at += x[c] != 0.0f;
        }
    }
    from[pixels] = at;
}

/* One kernel position of one image, n channels from o0 on. */
static void few_tap(const few_job *j, mango_idx ky, mango_idx kx, mango_idx o0, mango_idx n,
                    const float *b, const uint32_t *from, const mgi_few *e, float *y)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx x0 = MGI_MAX(0, g->px - kx), x1 = MGI_MIN(g->TW, g->W + g->px - kx);
    for (mango_idx ty = MGI_MAX(0, g->py - ky); ty < MGI_MIN(g->TH, g->H + g->py - ky); ty++)
        if (x1 > x0)
            j->l->few(x1 - x0, n, from + (ty - g->py + ky) * g->W + x0 - g->px + kx, e, b,
                      FEW_WIDE, y + (ty * g->TW + x0) * g->O + o0, g->O);
}

static void few_item(const few_job *j, mango_idx item, float *scratch)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx n0 = item * j->images, m = MGI_MIN(j->images, j->N - n0);
    const mango_idx in = g->H * g->W, out = g->TH * g->TW * g->O, taps = g->kh * g->kw;
    uint32_t *from = (uint32_t *)(void *)scratch;
    mgi_few *e = (mgi_few *)(void *)(scratch + few_up(j->images * in + 1));
    few_lists(j, j->x + n0 * in * g->C, m * in, from, e);
    memset(j->y + n0 * out, 0, (size_t)(m * out) * sizeof(float));
    for (mango_idx o = 0; o < g->O; o += FEW_WIDE)
        for (mango_idx t = 0; t < taps; t++)
            for (mango_idx k = 0; k < m; k++)
                few_tap(j, t / g->kw, t % g->kw, o, MGI_MIN(FEW_WIDE, g->O - o),
                        j->rows + (o / FEW_WIDE * taps + t) * g->C * FEW_WIDE, from + k * in, e,
                        j->y + (n0 + k) * out);
}

/* Is dy thin enough? Of a large one every eighth stretch is looked at. */
static int few_enough(mango_idx n, const float *x)
{
    const mango_idx step = n > FEW_LARGEST ? 8 * FEW_STRETCH : FEW_STRETCH;
    mango_idx some = 0, seen = 0;
    for (mango_idx i = 0; i < n; i += step) {
        const int m = (int)MGI_MIN(FEW_STRETCH, n - i);
        int count = 0;
        for (int k = 0; k < m; k++)
            count += x[i + k] != 0.0f;
        some += count;
        seen += m;
    }
    return (double)some <= FEW_DENSITY * (double)seen;
}

MGI_FN int mgi_few_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                 const float *w, float *dx, float *work)
{
    const mgi_conv f = mgi_conv_flip(c);
    few_job j = {.l = mgi_loops_get(), .N = N, .images = few_images(c), .x = dy, .rows = work,
                 .y = dx};
    const mango_idx each = few_each(c), items = mgi_ceil_div(N, j.images);
    if (!few_fits(c) || !few_enough(N * c->OH * c->OW * c->O, dy))
        return 0;
    mgi_convgeo_phase(&f, 0, &j.g);
    few_turn(c, &j.g, w, work);
    work += few_up(few_rows(c));
    MGI_OMP(parallel for schedule(dynamic) if (items > 1))
    for (mango_idx i = 0; i < items; i++)
        few_item(&j, i, mgi_thread_scratch(work, each));
    return 1;
}

#undef FEW_DENSITY
#undef FEW_WIDE
#undef FEW_ENTRIES
#undef FEW_LARGEST
#undef FEW_STRETCH
