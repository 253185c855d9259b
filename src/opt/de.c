/* de.c - differential evolution with two-point crossover.
 *
 * A population of places t (transition.h), one x of it a turn:
 *     v = x + F_1 (a - b) + F_2 (best - x),  a, b of the population               (1)
 *     child = v with the modes between two cuts, or those outside them, of x      (2)
 *     told: the child takes the place of x when its value is at least as good      (3)
 * With fewer than 4 modes (2) is uniform: each mode but one is taken from x with
 * probability 1/2. The first proposals are uniform codes until the population is full;
 * codes of others fill it too, and later replace its worst if they are better.
 * Source: Storn and Price, "Differential evolution", J. Global Optimization 11, 1997;
 * (1) is their current-to-best/1. (2) and the numbers, a population of 30 and F = .8, are
 * those of Nevergrad's TwoPointsDE, a part of its Portfolio.
 * SPDX-License-Identifier: MIT */
#include "../base/rng.h"
#include "transition.h"

#define DE_RNG 0x44450001u
#define DE_UNDER_WAY 4096 /* proposals whose parent is remembered */

static const mango_opt_spec de_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"population", "codes that are kept", MANGO_OPT_INT, 4, 4096, 30, 0, NULL, NULL},
    {"f1", "weight of the difference", MANGO_OPT_REAL, 0, 4, 0.8, 0, NULL, NULL},
    {"f2", "weight of the way to the best", MANGO_OPT_REAL, 0, 4, 0.8, 0, NULL, NULL},
    {"crossover", "two-points, or each mode by itself", MANGO_OPT_CHOICE, 0, 1, 0, 0,
     "two-points|uniform", NULL},
    MGI_AXES_OPTIONS,
};

/* One of the population; its places are a row of x. y NaN: not told yet. */
typedef struct mgi_de_row {
    double y, tie;
} mgi_de_row;

typedef struct mgi_de_route {
    uint64_t id;      /* of a proposal, plus 1; 0: none */
    mango_idx parent; /* whose place it may take        */
} mgi_de_route;

typedef struct mgi_de {
    mgi_axes axes;
    mango_idx population, filled, turn; /* turn: whose the next child is */
    double f1, f2;
    int uniform;
    double *x;             /* (population + 1, d); last: the best told */
    mgi_de_row *row;       /* (population + 1)                         */
    mgi_de_route *route;   /* (DE_UNDER_WAY) that of id at id % DE_UNDER_WAY */
    double *child;         /* (d) */
} mgi_de;

/* ---- ask ------------------------------------------------------------------ */

static void de_uniform_code(const mgi_de *p, mango_rng *rng, mango_idx *I)
{
    for (mango_idx j = 0; j < p->axes.d; j++)
        I[j] = mgi_axes_uniform(&p->axes, j, mango_rng_uniform(rng));
}

/* (1) into v. */
static void de_donor(const mgi_de *p, const double *x, mango_rng *rng, double *v)
{
    const mango_idx d = p->axes.d;
    const double *a = p->x + mango_rng_int(rng, p->population) * d;
    const double *b = p->x + mango_rng_int(rng, p->population) * d;
    const double *best = p->x + p->population * d;
    for (mango_idx j = 0; j < d; j++)
        v[j] = x[j] + p->f1 * (a[j] - b[j]) + p->f2 * (best[j] - x[j]);         /* (1) */
}

/* Two cuts among 0..d, not both at the ends: modes from .. to-1. */
static void de_cuts(mango_idx d, mango_rng *rng, mango_idx *from, mango_idx *to)
{
    mango_idx a = mango_rng_int(rng, d + 1), b = mango_rng_int(rng, d);
    b += b >= a;
    *from = MGI_MIN(a, b);
    *to = MGI_MAX(a, b);
    if (*from > 0 || *to < d)
        return;
    if (mango_rng_int(rng, 2))
        *from = 1 + mango_rng_int(rng, d - 1);
    else
        *to = 1 + mango_rng_int(rng, d - 1);
}

/* (2): modes of x into v. */
static void de_cross(const mgi_de *p, const double *x, mango_rng *rng, double *v)
{
    const mango_idx d = p->axes.d;
    if (p->uniform || d < 4) {
        const mango_idx stays = mango_rng_int(rng, d);
        for (mango_idx j = 0; j < d; j++)
            if (mango_rng_int(rng, 2) && j != stays)
                v[j] = x[j];
        return;
    }
    mango_idx from, to;
    de_cuts(d, rng, &from, &to);
    const int inside = (int)mango_rng_int(rng, 2);
    for (mango_idx j = 0; j < d; j++)
        if ((j >= from && j < to) == inside)
            v[j] = x[j];
}

/* Proposal `id`: one of the first, or the next child. Until a value is known all are
 * first ones. */
static void de_propose(mgi_de *p, uint64_t id, mango_rng *rng, mango_idx *I)
{
    const mango_idx d = p->axes.d;
    mgi_de_route *route = p->route + id % DE_UNDER_WAY;
    route->id = id + 1;
    if (p->filled == p->population && !mgi_is_nan(p->row[p->population].y)) {
        const double *x = p->x + p->turn * d;
        de_donor(p, x, rng, p->child);
        de_cross(p, x, rng, p->child);
        mgi_axes_code(&p->axes, p->child, I);
        route->parent = p->turn;
        p->turn = (p->turn + 1) % p->population;
        return;
    }
    de_uniform_code(p, rng, I);
    route->parent = p->filled < p->population ? p->filled++ : p->turn;
    p->turn = (route->parent + 1) % p->population;
    mgi_axes_places(&p->axes, I, p->x + route->parent * d);
}

static mango_status de_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_de *p = o->state;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        const uint64_t id = o->asked + (uint64_t)k;
        mango_rng rng;
        mango_rng_init(&rng, o->seed, DE_RNG, id);
        de_propose(p, id, &rng, I + k * o->d);
    }
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* Is t at least as good as row r? A row without a value is worse than any. */
static int de_as_good(const mango_told *t, const mgi_de_row *r)
{
    if (mgi_is_nan(r->y) || t->y != r->y)
        return !(t->y < r->y);
    return t->tie >= r->tie;
}

static void de_put(mgi_de *p, mango_idx r, const mango_told *t)
{
    p->row[r].y = t->y;
    p->row[r].tie = t->tie;
    mgi_axes_places(&p->axes, t->I, p->x + r * p->axes.d);
}

/* The worst of the population; one without a value is. */
static mango_idx de_worst(const mgi_de *p)
{
    mango_idx worst = 0;
    for (mango_idx r = 1; r < p->filled && !mgi_is_nan(p->row[worst].y); r++) {
        const mgi_de_row *a = p->row + r, *w = p->row + worst;
        if (mgi_is_nan(a->y) || a->y < w->y || (a->y == w->y && a->tie < w->tie))
            worst = r;
    }
    return worst;
}

/* Whose place the code of t may take. */
static mango_idx de_rival(mgi_de *p, const mango_told *t)
{
    const mgi_de_route *route = p->route + t->id % DE_UNDER_WAY;
    if (t->id != MANGO_UNASKED && route->id == t->id + 1)
        return route->parent;
    return p->filled < p->population ? p->filled++ : de_worst(p);
}

static void de_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_de *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        if (mgi_is_nan(row.y))
            continue;
        const mango_idx rival = de_rival(p, &row);
        if (de_as_good(&row, p->row + rival))
            de_put(p, rival, &row);                                             /* (3) */
        if (de_as_good(&row, p->row + p->population))
            de_put(p, p->population, &row);
    }
}

static void de_restart(mango_opt *o, uint64_t epoch)
{
    mgi_de *p = o->state;
    (void)epoch; /* the streams of the proposals go on */
    p->filled = p->turn = 0;
    for (mango_idx r = 0; r <= p->population; r++)
        p->row[r].y = MGI_NAN;
    memset(p->route, 0, DE_UNDER_WAY * sizeof *p->route);
}

/* ---- for people ----------------------------------------------------------- */

static void de_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_de *p = o->state;
    mango_idx told = 0;
    for (mango_idx r = 0; r < p->filled; r++)
        told += !mgi_is_nan(p->row[r].y);
    mgi_str_printf(s, "population of %td, %td in it, %td with a value\n", p->population,
                   p->filled, told);
    if (told > 0)
        mgi_str_printf(s, "worst %.4g, best told %.4g\n", p->row[de_worst(p)].y,
                       p->row[p->population].y);
}

static void de_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_de *p = o->state;
    const mgi_de_route *r = p->route + (o->asked - (uint64_t)(o->last - k)) % DE_UNDER_WAY;
    if (mgi_is_nan(p->row[r->parent].y))
        mgi_str_printf(s, "a uniform code for place %td of the population", r->parent);
    else
        mgi_str_printf(s, "child of %td of the population: a difference, towards the best, "
                       "crossed", r->parent);
}

/* ---- life ----------------------------------------------------------------- */

static void de_destroy(mango_opt *o)
{
    mgi_de *p = o->state;
    if (!p)
        return;
    const mango_idx rows = p->population + 1;
    mgi_axes_free(&p->axes);
    mgi_del(&o->al, p->x, rows * o->d, sizeof *p->x);
    mgi_del(&o->al, p->row, rows, sizeof *p->row);
    mgi_del(&o->al, p->route, DE_UNDER_WAY, sizeof *p->route);
    mgi_del(&o->al, p->child, o->d, sizeof *p->child);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status de_create(mango_opt *o, mango_err *err)
{
    mgi_de *p = mgi_new(&o->al, 1, sizeof *p);
    mango_idx numbers = 0;
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "de: out of memory");
    p->axes.al = o->al;
    p->population = mgi_opt_int(o, "population");
    p->f1 = mgi_opt_real(o, "f1");
    p->f2 = mgi_opt_real(o, "f2");
    p->uniform = mgi_opt_int(o, "crossover") == 1;
    MGI_TRY(mgi_axes_create(&p->axes, o, mgi_axes_how(o), err));
    const int fits = mgi_mul(p->population + 1, o->d, &numbers);
    p->x = fits ? mgi_new(&o->al, numbers, sizeof *p->x) : NULL;
    p->row = mgi_new(&o->al, p->population + 1, sizeof *p->row);
    p->route = mgi_new(&o->al, DE_UNDER_WAY, sizeof *p->route);
    p->child = mgi_new(&o->al, o->d, sizeof *p->child);
    if (!p->x || !p->row || !p->route || !p->child)
        return mgi_fail(err, MANGO_E_MEM, "de: out of memory for %td modes", o->d);
    o->batch = mgi_opt_int(o, "k");
    o->ties = 1;
    de_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_de(void)
{
    static const mgi_method method = {
        .name = "de",
        .option = de_option,
        .n_options = MGI_COUNT(de_option),
        .create = de_create,
        .ask = de_ask,
        .tell = de_tell,
        .restart = de_restart,
        .destroy = de_destroy,
        .explain = de_explain,
        .why = de_why,
    };
    return &method;
}

#undef DE_RNG
#undef DE_UNDER_WAY
