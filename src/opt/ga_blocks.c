/* ga_blocks.c - a genetic algorithm on a grid of codes, without a model.
 *
 * ask:  the first `start` codes are reference codes in random order, or, without them, codes
 *       drawn from the prior; after that children (breed.h) of the best `parents` codes
 *       told, whenever they were told: there are no generations                       (1)
 * tell: a ranked population (population.h)                                             (2)
 *       Under noise codes are ranked by their posterior mean: with m and s^2 the mean and
 *       the variance of the true values, v the variance of one presentation, n of them,
 *             m + s^2/(s^2 + v/n) (y - m)                                              (3)
 * A search that stalls begins a new island (islands.h).
 * Source: (1) Whitley, "The GENITOR algorithm and selection pressure", 1989; (3) James,
 * Stein, "Estimation with quadratic loss", 1961 (shrinkage).
 * SPDX-License-Identifier: MIT */
#include "breed.h"
#include "islands.h"

#define GAB_RNG 0x47414201u
#define GAB_ORDER 0x47414202u

static const mango_opt_spec gab_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"start", "codes before the first children", MANGO_OPT_INT, 2, 1 << 20, 30, 0, NULL, NULL},
    {"parents", "codes to breed from", MANGO_OPT_INT, 2, MGI_BREED_PARENTS, 15, 0, NULL, NULL},
    {"alien", "share of the mates that are reference codes", MANGO_OPT_REAL, 0, 1, 0.15, 0,
     NULL, NULL},
    {"mutation", "highest share of the levels that mutate", MANGO_OPT_REAL, 0, 1, 0.04, 0,
     NULL, NULL},
    {"stall", "values without a better one before a new island; 0: never", MANGO_OPT_INT, 0,
     1 << 30, 1000, 0, NULL, NULL},
    {"references", "1: use the reference codes", MANGO_OPT_FLAG, 0, 1, 1, 0, NULL, NULL},
};

typedef struct mgi_gab {
    mgi_cross cross;
    mgi_population pop;
    mgi_breed breed;
    mgi_islands islands;
    mango_idx parents, start;
    mango_idx n_codes;        /* reference codes that are used, */
    mango_idx *order;         /* (n_codes) in random order      */
    mango_idx taken;          /* of them, so far                */
    mango_idx begun;          /* proposals of this island       */
    mgi_descent *how;         /* (batch) of the last ask        */
} mgi_gab;

/* ---- parents ---------------------------------------------------------------- */

/* Mean m, variance s2 of the true values, held to a twentieth of that of the told ones at
 * least, and variance v of a presentation; v is 0 where no variance is known. */
static void gab_noise(const mgi_population *p, double *m, double *s2, double *v)
{
    double sum = 0.0, square = 0.0, var = 0.0, inverse = 0.0;
    mango_idx known = 0;
    for (mango_idx i = 0; i < p->n; i++) {
        const mango_told *t = &p->member[i].told;
        sum += t->y;
        inverse += 1.0 / (double)t->n;
        if (!mgi_is_finite(t->var))
            continue;
        var += t->var;
        known++;
    }
    *m = sum / (double)p->n;
    *v = known > 0 ? var / (double)known : 0.0;
    for (mango_idx i = 0; i < p->n; i++)
        square += (p->member[i].told.y - *m) * (p->member[i].told.y - *m);
    *s2 = MGI_MAX(square - *v * inverse, square / 20.0) / (double)p->n;
}

/* The best by (3): an insertion into the list of parents, which is short. */
static void gab_parents_noisy(mgi_gab *g)
{
    const mgi_population *p = &g->pop;
    double m, s2, v, score[MGI_BREED_PARENTS];
    mango_idx have = 0;
    gab_noise(p, &m, &s2, &v);
    for (mango_idx r = 0; r < p->n; r++) {
        const mango_told *t = &mgi_population_at(p, r)->told;
        const double w = v > 0.0 ? s2 / (s2 + v / (double)t->n) : 1.0;
        const double x = m + w * (t->y - m);                                    /* (3) */
        mango_idx at = have;
        for (; at > 0 && score[at - 1] < x; at--) {
            if (at == g->parents)
                continue;
            score[at] = score[at - 1];
            g->breed.parent[at] = g->breed.parent[at - 1];
        }
        if (at == g->parents)
            continue;
        score[at] = x;
        g->breed.parent[at] = t->I;
        have += have < g->parents;
    }
    g->breed.n = have;
    mgi_breed_weights(&g->breed);
}

/* ---- ask, tell ---------------------------------------------------------------- */

/* A proposal without parents: the next reference code, or a drawn one. */
static void gab_first(mango_opt *o, mango_rng *rng, mango_idx *I, mgi_descent *how)
{
    mgi_gab *g = o->state;
    if (g->taken < g->n_codes) {
        const mgi_descent from = {.how = MGI_BREED_REFERENCE, .a = g->order[g->taken++]};
        memcpy(I, o->facts.codes + from.a * o->d, (size_t)o->d * sizeof *I);
        *how = from;
        return;
    }
    mgi_breed_draw(o, rng, I, how);
}

/* The turns of islands.h. */
static void gab_turn(mgi_gab *g)
{
    const mgi_islands_turn turn = mgi_islands_next(&g->islands, &g->pop);
    for (mango_idx i = 0; turn == MGI_ISLANDS_JOIN && i < g->islands.n; i++)
        (void)mgi_population_tell(&g->pop, g->islands.told + i);
    if (turn != MGI_ISLANDS_NEW)
        return;
    mgi_population_clear(&g->pop);
    g->begun = 0;
}

static mango_status gab_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_gab *g = o->state;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    gab_turn(g);
    if (o->facts.noisy && g->pop.n > 0)
        gab_parents_noisy(g);
    else
        mgi_breed_parents(&g->breed, &g->pop, g->parents);
    for (mango_idx k = 0; k < *K; k++) {
        mango_rng rng;
        mgi_descent how;
        mango_rng_init(&rng, o->seed, GAB_RNG, o->asked + (uint64_t)k);
        if (g->pop.n < 2 || (g->begun < g->start && g->pop.n < g->start))
            gab_first(o, &rng, I + k * o->d, &how);
        else
            mgi_breed_child(&g->breed, &g->cross, &g->pop, &rng, I + k * o->d, &how);
        g->begun++;
        (void)mgi_population_note(&g->pop, I + k * o->d);
        if (k < o->batch)
            g->how[k] = how;
    }
    return MANGO_OK;
}

static void gab_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_gab *g = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        mgi_islands_watch(&g->islands, &told);
        (void)mgi_population_tell(&g->pop, &told);
    }
}

/* ---- for people ----------------------------------------------------------------- */

static void gab_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_gab *g = o->state;
    mgi_str_printf(s, "population of %td, %td reference codes", g->pop.n, g->n_codes);
    if (g->pop.n == 0)
        return;
    mgi_str_puts(s, "; the best:");
    for (mango_idx r = 0; r < MGI_MIN(g->parents, g->pop.n); r++) {
        const double y = mgi_population_at(&g->pop, r)->told.y;
        mgi_str_puts(s, " ");
        mgi_str_float(s, o->minimize ? -y : y);
    }
}

static void gab_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_gab *g = o->state;
    if (k < o->batch)
        mgi_descent_text(g->how + k, s);
}

/* ---- life ------------------------------------------------------------------------- */

static void gab_restart(mango_opt *o, uint64_t epoch)
{
    mgi_gab *g = o->state;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, GAB_ORDER, epoch);
    mango_rng_perm(&rng, g->n_codes, g->order);
    mgi_population_clear(&g->pop);
    mgi_islands_clear(&g->islands);
    g->begun = g->taken = 0;
}

static void gab_destroy(mango_opt *o)
{
    mgi_gab *g = o->state;
    if (!g)
        return;
    mgi_cross_free(&g->cross, &o->al);
    mgi_population_free(&g->pop, &o->al);
    mgi_islands_free(&g->islands, &o->al);
    mgi_del(&o->al, g->order, g->n_codes, sizeof *g->order);
    mgi_del(&o->al, g->how, o->batch, sizeof *g->how);
    mgi_del(&o->al, g, 1, sizeof *g);
}

static mango_status gab_build(mango_opt *o)
{
    mgi_gab *g = o->state = mgi_new(&o->al, 1, sizeof *g);
    if (!g)
        return MANGO_E_MEM;
    o->batch = mgi_opt_int(o, "k");
    g->parents = mgi_opt_int(o, "parents");
    g->start = mgi_opt_int(o, "start");
    g->n_codes = mgi_opt_int(o, "references") ? o->facts.n_codes : 0;
    g->order = mgi_new(&o->al, g->n_codes, sizeof *g->order);
    g->how = mgi_new(&o->al, o->batch, sizeof *g->how);
    MGI_TRY(mgi_cross_init(&g->cross, o));
    MGI_TRY(mgi_population_create(&g->pop, o->d, 4 * g->parents, &o->al));
    MGI_TRY(mgi_islands_create(&g->islands, o->d, mgi_opt_int(o, "stall"), &o->al));
    return g->order && g->how ? MANGO_OK : MANGO_E_MEM;
}

static mango_status gab_create(mango_opt *o, mango_err *err)
{
    if (gab_build(o) < 0)
        return mgi_fail(err, MANGO_E_MEM, "ga-blocks: out of memory for %td modes", o->d);
    mgi_gab *g = o->state;
    o->retell = o->ties = 1;
    g->breed.alien = mgi_opt_real(o, "alien");
    g->breed.mutation = mgi_opt_real(o, "mutation");
    g->breed.codes = o->facts.codes;
    g->breed.mate = g->order;
    g->breed.n_mates = g->n_codes;
    gab_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_ga_blocks(void)
{
    static const mgi_method method = {
        .name = "ga-blocks",
        .option = gab_option,
        .n_options = MGI_COUNT(gab_option),
        .create = gab_create,
        .ask = gab_ask,
        .tell = gab_tell,
        .restart = gab_restart,
        .destroy = gab_destroy,
        .explain = gab_explain,
        .why = gab_why,
    };
    return &method;
}

#undef GAB_RNG
#undef GAB_ORDER
