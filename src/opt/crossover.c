/* crossover.c - children of two codes: the operators of crossover.h.
 * SPDX-License-Identifier: MIT */
#include "crossover.h"

#define CROSS_NEAR 16    /* near levels kept of each             */
#define CROSS_MOST 4096  /* levels of a table: pairs are looked at */
#define CROSS_STEP 0.05  /* of the range: a near level of an ordered mode */

/* ---- near levels ------------------------------------------------------------ */

/* |e_i - e_k|^2, summed over the dimensions in ascending order, or as much of it as is more
 * than `most`. */
static double cross_distance(mango_idx dim, const float *e, mango_idx i, mango_idx k,
                             double most)
{
    double s = 0.0;
    for (mango_idx a = 0; a < dim && s <= most; a++) {
        const double x = (double)e[i * dim + a] - (double)e[k * dim + a];
        s += x * x;
    }
    return s;
}

/* Level k at distance x into the sorted list of the nearest, if it belongs there. Of
 * equally near ones the lower level stands first. */
static void cross_insert(mango_idx have, mango_idx most, int32_t *near, double *far,
                         mango_idx k, double x)
{
    mango_idx at = MGI_MIN(have, most);
    for (; at > 0 && far[at - 1] > x; at--) {
        if (at == most)
            continue;
        far[at] = far[at - 1];
        near[at] = near[at - 1];
    }
    if (at == most)
        return;
    far[at] = x;
    near[at] = (int32_t)k;
}

static void cross_table(mgi_cross *c, mango_idx dim, const float *e)
{
    double far[CROSS_NEAR];
    for (mango_idx i = 0; i < c->levels; i++) {
        mango_idx have = 0;
        for (mango_idx k = 0; k < c->levels; k++)
            if (k != i) {
                const double most = have < c->n_near ? HUGE_VAL : far[c->n_near - 1];
                cross_insert(have++, c->n_near, c->near + i * c->n_near, far, k,
                             cross_distance(dim, e, i, k, most));
            }
    }
}

/* Do the levels of the grid's modes mean the same everywhere? */
static int cross_alike(const mango_opt *o)
{
    for (mango_idx j = 1; j < o->facts.H * o->facts.W; j++)
        if (o->n[j] != o->n[0])
            return 0;
    return 1;
}

MGI_FN mango_status mgi_cross_init(mgi_cross *c, const mango_opt *o)
{
    const mgi_cross none = {.d = o->d, .n = o->n};
    *c = none;
    c->ordered = o->facts.prior == MANGO_PRIOR_NORMAL;
    if (o->facts.H > 0 && cross_alike(o)) {
        c->H = o->facts.H;
        c->W = o->facts.W;
    }
    c->alike = c->H > 0 ? c->H * c->W : o->d;
    if (o->facts.level_dim == 0 || o->n[0] < 2 || o->n[0] > CROSS_MOST)
        return MANGO_OK;
    c->levels = o->n[0];
    c->n_near = MGI_MIN(CROSS_NEAR, c->levels - 1);
    c->near = mgi_new(&o->al, c->levels * c->n_near, sizeof *c->near);
    if (!c->near)
        return MANGO_E_MEM;
    cross_table(c, o->facts.level_dim, o->facts.levels);
    return MANGO_OK;
}

MGI_FN void mgi_cross_free(mgi_cross *c, const mango_alloc *al)
{
    mgi_del(al, c->near, c->levels * c->n_near, sizeof *c->near);
    c->near = NULL;
}

/* ---- crossover -------------------------------------------------------------- */

static void cross_some(mango_idx from, mango_idx to, mango_rng *rng, double p,
                       const mango_idx *b, mango_idx *child)
{
    for (mango_idx j = from; j < to; j++)
        if (mango_rng_uniform(rng) < p)
            child[j] = b[j];                                                    /* (1) */
}

MGI_FN void mgi_cross_uniform(const mgi_cross *c, mango_rng *rng, double p,
                              const mango_idx *b, mango_idx *child)
{
    cross_some(0, c->d, rng, p, b, child);
}

MGI_FN void mgi_cross_behind(const mgi_cross *c, mango_rng *rng, double p,
                             const mango_idx *b, mango_idx *child)
{
    cross_some(c->H * c->W, c->d, rng, p, b, child);
}

MGI_FN void mgi_cross_two_point(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                                mango_idx *child)
{
    const mango_idx first = mango_rng_int(rng, c->d), m = 1 + mango_rng_int(rng, c->d);
    for (mango_idx i = 0; i < m; i++) {
        const mango_idx j = first < c->d - i ? first + i : first + i - c->d;
        child[j] = b[j];                                                        /* (2) */
    }
}

/* A side of lo .. hi cells on an axis of n. */
static mango_idx cross_side(mango_rng *rng, mango_idx n, mango_idx lo, mango_idx hi)
{
    const mango_idx most = MGI_MIN(hi, n), least = MGI_MIN(lo, most);
    return least + mango_rng_int(rng, most - least + 1);
}

MGI_FN mgi_box mgi_cross_box(const mgi_cross *c, mango_rng *rng, mango_idx lo, mango_idx hi)
{
    mgi_box box;
    box.h = cross_side(rng, c->H, lo, hi);
    box.w = cross_side(rng, c->W, lo, hi);
    box.y = mango_rng_int(rng, c->H - box.h + 1);
    box.x = mango_rng_int(rng, c->W - box.w + 1);
    return box;
}

MGI_FN void mgi_cross_tile(const mgi_cross *c, mgi_box to, mgi_box from, const mango_idx *b,
                           mango_idx *child)
{
    for (mango_idx v = 0; v < to.h; v++) {
        const mango_idx *row = b + (from.y + v % from.h) * c->W + from.x;
        mango_idx *x = child + (to.y + v) * c->W + to.x;
        for (mango_idx u = 0; u < to.w; u++)
            x[u] = row[u % from.w];                                             /* (5) */
    }
}

/* ---- mutation --------------------------------------------------------------- */

/* A place in CROSS_STEP of the range around it, at least the next one. */
static mango_idx cross_beside(mango_rng *rng, mango_idx n, mango_idx level)
{
    const mango_idx most = MGI_MAX(1, (mango_idx)(CROSS_STEP * (double)n));
    const mango_idx step = 1 + mango_rng_int(rng, most);
    const int up = mango_rng_int(rng, 2) == 1;
    if (up)
        return level + step < n ? level + step : level > 0 ? level - 1 : level + 1;
    return level >= step ? level - step : level + 1 < n ? level + 1 : level - 1;
}

MGI_FN mango_idx mgi_cross_level(const mgi_cross *c, mango_rng *rng, double near, mango_idx j,
                                 mango_idx level)
{
    const mango_idx n = c->n[j];
    const int close = mango_rng_uniform(rng) < near;
    if (close && c->near && j < c->alike)
        return c->near[level * c->n_near + mango_rng_int(rng, c->n_near)];      /* (6) */
    if (close && (c->ordered || n == MANGO_REAL))
        return cross_beside(rng, n, level);
    const mango_idx to = mango_rng_int(rng, n - 1);
    return to + (to >= level);
}

MGI_FN mango_idx mgi_cross_mutate(const mgi_cross *c, mango_rng *rng, double p,
                                  mango_idx *child)
{
    mango_idx changed = 0;
    for (mango_idx j = 0; j < c->d; j++) {
        if (c->n[j] < 2 || mango_rng_uniform(rng) >= p)
            continue;
        child[j] = mgi_cross_level(c, rng, 0.5, j, child[j]);
        changed++;
    }
    return changed;
}

#undef CROSS_NEAR
#undef CROSS_MOST
#undef CROSS_STEP
