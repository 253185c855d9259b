/* breed.c - the choice of parents, operators and rates: (1) to (5) of breed.h.
 * SPDX-License-Identifier: MIT */
#include "breed.h"
#include "../base/real.h"

#define BREED_TRIES 12
#define BREED_TILE 0.12
#define BREED_UNIFORM 0.25
#define BREED_SHIFTED 0.35

/* ---- codes without parents ------------------------------------------------------ */

/* The level of a mode whose value z is drawn from N(0,1), to the nearest level. */
static mango_idx breed_normal(const mango_facts *f, mango_idx n, mango_rng *rng)
{
    const double z = mango_rng_normal(rng), top = (double)(n - 1);
    const double i = (z - f->prior_lo) / (f->prior_hi - f->prior_lo) * top + 0.5;
    return i < 0.0 ? 0 : i > top ? n - 1 : (mango_idx)i;
}

MGI_FN void mgi_breed_draw(const mango_opt *o, mango_rng *rng, mango_idx *I,
                           mgi_descent *how)
{
    const mgi_descent drawn = {.how = MGI_BREED_PRIOR};
    const int normal = o->facts.prior == MANGO_PRIOR_NORMAL;
    *how = drawn;
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = normal ? breed_normal(&o->facts, o->n[j], rng) : mango_rng_int(rng, o->n[j]);
}

/* ---- parents ---------------------------------------------------------------------- */

MGI_FN void mgi_breed_weights(mgi_breed *b)
{
    const double s = (double)b->n / 3.0;
    double sum = 0.0;
    for (mango_idx r = 0; r < b->n; r++) {
        sum += mgi_exp(-(double)r / s);                                         /* (1) */
        b->share[r] = sum;
    }
}

MGI_FN void mgi_breed_parents(mgi_breed *b, const mgi_population *p, mango_idx most)
{
    b->n = MGI_MIN(MGI_MIN(most, p->n), MGI_BREED_PARENTS);
    for (mango_idx r = 0; r < b->n; r++)
        b->parent[r] = mgi_population_at(p, r)->told.I;
    mgi_breed_weights(b);
}

static mango_idx breed_parent(const mgi_breed *b, mango_rng *rng)
{
    const double u = mango_rng_uniform(rng) * b->share[b->n - 1];
    mango_idx r = 0;
    while (r < b->n - 1 && b->share[r] <= u)
        r++;
    return r;
}

/* The mate's code; its number goes to how->b. */
static const mango_idx *breed_mate(const mgi_breed *b, mango_idx d, mango_rng *rng,
                                   mgi_descent *how)
{
    how->alien = b->n_mates > 0 && mango_rng_uniform(rng) < b->alien;           /* (2) */
    if (how->alien) {
        how->b = b->mate[mango_rng_int(rng, b->n_mates)];
        return b->codes + how->b * d;
    }
    how->b = breed_parent(b, rng);
    if (how->b == how->a)
        how->b = (how->a + 1) % b->n;
    return b->parent[how->b];
}

/* ---- children --------------------------------------------------------------------- */

/* A part of n cells, at least one. */
static mango_idx breed_part(mango_idx n, mango_idx quarters)
{
    return MGI_MAX(1, n * quarters / 4);
}

static void breed_tile(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                       mango_idx *child, mgi_descent *how)
{
    const mango_idx h = MGI_MIN(c->H, c->W);
    how->how = MGI_BREED_TILE;
    how->from = mgi_cross_box(c, rng, breed_part(h, 1), breed_part(h, 2));
    how->to = mgi_cross_box(c, rng, breed_part(h, 2), h);
    mgi_cross_tile(c, how->to, how->from, b, child);
}

static void breed_block(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                        mango_idx *child, mgi_descent *how)
{
    const int shifted = mango_rng_uniform(rng) < BREED_SHIFTED;
    how->how = shifted ? MGI_BREED_SHIFTED : MGI_BREED_BLOCK;
    how->to = mgi_cross_box(c, rng, 1, breed_part(MGI_MIN(c->H, c->W), 3));
    how->from = how->to;
    if (shifted) {
        how->from.y = mango_rng_int(rng, c->H - how->from.h + 1);
        how->from.x = mango_rng_int(rng, c->W - how->from.w + 1);
    }
    mgi_cross_tile(c, how->to, how->from, b, child);
}

static void breed_uniform(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                          mango_idx *child, mgi_descent *how)
{
    static const double p[3] = {0.1, 0.3, 0.5};
    how->how = MGI_BREED_UNIFORM;
    mgi_cross_uniform(c, rng, p[mango_rng_int(rng, 3)], b, child);
}

static void breed_cross(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                        mango_idx *child, mgi_descent *how)
{
    const double u = mango_rng_uniform(rng), rest = (u - BREED_TILE) / (1.0 - BREED_TILE);
    if (c->H == 0 && u < 0.5) {
        breed_uniform(c, rng, b, child, how);
    } else if (c->H == 0) {
        how->how = MGI_BREED_TWO_POINT;
        mgi_cross_two_point(c, rng, b, child);                                  /* (4) */
    } else if (u < BREED_TILE) {
        breed_tile(c, rng, b, child, how);
    } else if (rest < BREED_UNIFORM) {
        breed_uniform(c, rng, b, child, how);
    } else {
        breed_block(c, rng, b, child, how);                                     /* (3) */
    }
    if (how->how != MGI_BREED_UNIFORM)
        mgi_cross_behind(c, rng, 0.5, b, child);
}

/* More mutation the more children were known already: from one place to a tenth. */
static double breed_rate(const mgi_breed *b, mango_idx d, int tries, mango_rng *rng)
{
    const double rate = b->mutation * mango_rng_uniform(rng);                   /* (5) */
    if (tries == 0)
        return rate;
    return MGI_MAX(rate, MGI_MIN(1.0, (double)tries / (double)d)) +
           0.1 * tries / BREED_TRIES;
}

MGI_FN void mgi_breed_child(const mgi_breed *b, const mgi_cross *c, const mgi_population *p,
                            mango_rng *rng, mango_idx *child, mgi_descent *how)
{
    for (int tries = 0; tries < BREED_TRIES; tries++) {
        const mgi_descent fresh = {.a = breed_parent(b, rng)};
        *how = fresh;
        memcpy(child, b->parent[how->a], (size_t)c->d * sizeof *child);
        breed_cross(c, rng, breed_mate(b, c->d, rng, how), child, how);
        how->mutated = mgi_cross_mutate(c, rng, breed_rate(b, c->d, tries, rng), child);
        if (!mgi_population_knows(p, child))
            return;
    }
}

/* ---- for people --------------------------------------------------------------------- */

static void descent_box(const mgi_descent *how, mgi_str *s)
{
    static const char *const word[] = {"block", "shifted block", "tile"};
    mgi_str_printf(s, "%s %tdx%td from %td,%td", word[how->how - MGI_BREED_BLOCK],
                   how->from.h, how->from.w, how->from.y, how->from.x);
    if (how->how == MGI_BREED_TILE)
        mgi_str_printf(s, " over %tdx%td", how->to.h, how->to.w);
    if (how->how != MGI_BREED_BLOCK)
        mgi_str_printf(s, " at %td,%td", how->to.y, how->to.x);
}

MGI_FN void mgi_descent_text(const mgi_descent *how, mgi_str *s)
{
    if (how->how == MGI_BREED_PRIOR || how->how == MGI_BREED_REFERENCE) {
        mgi_str_puts(s, how->how == MGI_BREED_PRIOR ? "drawn at random" : "reference code");
        if (how->how == MGI_BREED_REFERENCE)
            mgi_str_printf(s, " %td", how->a);
        return;
    }
    if (how->how >= MGI_BREED_BLOCK)
        descent_box(how, s);
    else
        mgi_str_puts(s, how->how == MGI_BREED_UNIFORM ? "some levels" : "a run of modes");
    mgi_str_printf(s, " of %s %td into parent %td", how->alien ? "reference" : "parent",
                   how->b, how->a);
    if (how->mutated > 0)
        mgi_str_printf(s, ", %td mutated", how->mutated);
}

#undef BREED_TRIES
#undef BREED_TILE
#undef BREED_UNIFORM
#undef BREED_SHIFTED
