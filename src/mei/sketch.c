/* sketch.c - what a picture looks like in few numbers, without a network: colours of a
 * coarse grid, and how much edges of four orientations there are where.
 *
 *   c[g]    mean of a colour over cell g of an 8x8 grid                           (1)
 *   e[g,q]  sqrt(mean of (a_q.grad L)^2 over cell g of a 4x4 grid),               (2)
 *           a_q = (1,0), (0,1), (1,1)/sqrt 2, (1,-1)/sqrt 2,  L the mean colour,
 *           grad by differences of neighbours two apart, at the rim of itself
 *
 * (the coarse end of the "gist" of Oliva and Torralba 2001).
 * SPDX-License-Identifier: MIT */
#include "objective.h"
#include <math.h>

#define SKETCH_GRID 8
#define SKETCH_EDGES 4
#define SKETCH_WAYS 4

struct mango_sketch {
    mango_alloc al;
    mango_drawing *drawing; /* borrowed */
    mango_idx C, H, W, batch, d;
    mango_idx grid[2], edges[2]; /* cells down and across */
    mango_idx dim;
    float *rgb; /* (batch,C,H,W) */
    float *L;   /* (H,W)         */
};

mango_status mango_sketch_create(mango_sketch **s, mango_drawing *drawing,
                                 const mango_alloc *al, mango_err *err)
{
    mango_drawing_info d;
    mango_space_info space;
    MGI_CHECK(err, s, "mango_sketch_create: a place for the sketch expected");
    *s = NULL;
    MGI_CHECK(err, drawing, "mango_sketch_create: a drawing expected");
    MGI_TRY(mango_drawing_get(drawing, &d));
    MGI_TRY(mango_space_get(d.space, &space));
    const mango_alloc a = mgi_alloc_get(al);
    mango_sketch *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "sketch: out of memory");
    const mango_sketch own = {
        .al = a,
        .drawing = drawing,
        .C = d.C,
        .H = d.H,
        .W = d.W,
        .batch = d.batch,
        .d = space.modes.d,
        .grid = {MGI_MIN(d.H, SKETCH_GRID), MGI_MIN(d.W, SKETCH_GRID)},
        .edges = {MGI_MIN(d.H, SKETCH_EDGES), MGI_MIN(d.W, SKETCH_EDGES)},
    };
    *x = own;
    x->dim = x->C * x->grid[0] * x->grid[1] + SKETCH_WAYS * x->edges[0] * x->edges[1];
    x->rgb = mgi_new(&a, x->batch * x->C * x->H * x->W, sizeof *x->rgb);
    x->L = mgi_new(&a, x->H * x->W, sizeof *x->L);
    if (!x->rgb || !x->L) {
        mango_sketch_destroy(x);
        return mgi_fail(err, MANGO_E_MEM, "sketch: out of memory");
    }
    *s = x;
    return MANGO_OK;
}

void mango_sketch_destroy(mango_sketch *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    mgi_del(&al, s->rgb, s->batch * s->C * s->H * s->W, sizeof *s->rgb);
    mgi_del(&al, s->L, s->H * s->W, sizeof *s->L);
    mgi_del(&al, s, 1, sizeof *s);
}

mango_idx mango_sketch_dim(const mango_sketch *s)
{
    return s ? s->dim : -1;
}

/* ---- one picture ------------------------------------------------------------- */

/* Cell k of `cells` along `size` pixels begins here. */
static mango_idx sketch_edge(mango_idx k, mango_idx cells, mango_idx size)
{
    return k * size / cells;
}

/* (1) of one colour x (H,W). */
static void sketch_colour(const mango_sketch *s, const float *x, float *f)
{
    const mango_idx down = s->grid[0], across = s->grid[1];
    for (mango_idx g = 0; g < down * across; g++) {
        const mango_idx y0 = sketch_edge(g / across, down, s->H),
                        y1 = sketch_edge(g / across + 1, down, s->H),
                        x0 = sketch_edge(g % across, across, s->W),
                        x1 = sketch_edge(g % across + 1, across, s->W);
        double sum = 0.0;
        for (mango_idx y = y0; y < y1; y++)
            for (mango_idx i = x0; i < x1; i++)
                sum += (double)x[y * s->W + i];
        f[g] = (float)(sum / (double)((y1 - y0) * (x1 - x0)));                  /* (1) */
    }
}

/* The four squares of (2) at one pixel, added to q. */
static void sketch_gradient(const mango_sketch *s, mango_idx y, mango_idx x,
                            double q[SKETCH_WAYS])
{
    const mango_idx W = s->W;
    const mango_idx up = MGI_MAX(y - 1, 0), low = MGI_MIN(y + 1, s->H - 1),
                    left = MGI_MAX(x - 1, 0), right = MGI_MIN(x + 1, W - 1);
    const double gx = (double)s->L[y * W + right] - (double)s->L[y * W + left];
    const double gy = (double)s->L[low * W + x] - (double)s->L[up * W + x];
    q[0] += gx * gx;
    q[1] += gy * gy;
    q[2] += (gx + gy) * (gx + gy) * 0.5;
    q[3] += (gx - gy) * (gx - gy) * 0.5;
}

/* (2) of s->L. */
static void sketch_edges(const mango_sketch *s, float *f)
{
    const mango_idx down = s->edges[0], across = s->edges[1];
    for (mango_idx g = 0; g < down * across; g++) {
        const mango_idx y0 = sketch_edge(g / across, down, s->H),
                        y1 = sketch_edge(g / across + 1, down, s->H),
                        x0 = sketch_edge(g % across, across, s->W),
                        x1 = sketch_edge(g % across + 1, across, s->W);
        double q[SKETCH_WAYS] = {0.0};
        for (mango_idx y = y0; y < y1; y++)
            for (mango_idx x = x0; x < x1; x++)
                sketch_gradient(s, y, x, q);
        for (int w = 0; w < SKETCH_WAYS; w++)
            f[g * SKETCH_WAYS + w] =
                (float)sqrt(q[w] / (double)((y1 - y0) * (x1 - x0)));            /* (2) */
    }
}

static void sketch_picture(mango_sketch *s, const float *rgb, float *f)
{
    const mango_idx HW = s->H * s->W, cells = s->grid[0] * s->grid[1];
    for (mango_idx i = 0; i < HW; i++) {
        double sum = 0.0;
        for (mango_idx c = 0; c < s->C; c++)
            sum += (double)rgb[c * HW + i];
        s->L[i] = (float)(sum / (double)s->C);
    }
    for (mango_idx c = 0; c < s->C; c++)
        sketch_colour(s, rgb + c * HW, f + c * cells);
    sketch_edges(s, f + s->C * cells);
}

mango_status mango_sketch_pictures(mango_sketch *s, mango_idx K, const float *rgb, float *f)
{
    MGI_REQUIRE(s && K >= 0 && (K == 0 || (rgb && f)));
    for (mango_idx k = 0; k < K; k++)
        sketch_picture(s, rgb + k * s->C * s->H * s->W, f + k * s->dim);
    return MANGO_OK;
}

mango_status mango_sketch_codes(void *ud, mango_idx K, const mango_idx *I, float *f)
{
    mango_sketch *s = ud;
    MGI_REQUIRE(s && K >= 0 && (K == 0 || (I && f)));
    for (mango_idx k = 0; k < K; k += s->batch) {
        const mango_idx m = MGI_MIN(s->batch, K - k);
        MGI_TRY(mango_drawing_codes(s->drawing, m, I + k * s->d, s->rgb));
        MGI_TRY(mango_sketch_pictures(s, m, s->rgb, f + k * s->dim));
    }
    return MANGO_OK;
}

#undef SKETCH_GRID
#undef SKETCH_EDGES
#undef SKETCH_WAYS
