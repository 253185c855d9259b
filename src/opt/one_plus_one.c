/* one_plus_one.c - the (1+1) evolution strategy: one parent, one mutant, the better stays.
 *
 * ask:  each proposal is a mutant of the parent x. Of m modes with unordered levels each
 *       takes another level, uniformly, with probability 1/m                        (1)
 *       Ordered modes, taken as [0,1], all move: x_j' = x_j + sigma N(0,1)          (2)
 *       At least one mode changes. Without a parent: a uniform code.
 * tell: the best value since the last ask, y', takes the parent's place if y' >= y (3)
 *       and then sigma = 2 sigma, else sigma = 2^(-1/4) sigma                       (4)
 *       so that sigma stays when one step in five succeeds.
 * Source: (1), (3) Droste, Jansen, Wegener, "On the analysis of the (1+1) evolutionary
 * algorithm", 2002; (2), (4) Rechenberg, "Evolutionsstrategie", 1973.
 * SPDX-License-Identifier: MIT */
#include "../base/rng.h"
#include "method.h"

#define ONE_RNG 0x4f4e4501u
#define ONE_TRIES 16                   /* mutants drawn until one differs, then a least step */
#define ONE_WIDER 2.0
#define ONE_NARROWER 0.84089641525371454 /* 2^(-1/4) */
#define ONE_LEAST 1e-9                 /* of sigma: one level of a real mode */

static const mango_opt_spec one_option[] = {
    {"k", "mutants of one ask", MANGO_OPT_INT, 1, 1 << 20, 1, 0, NULL, NULL},
    {"sigma", "first step of ordered modes, in parts of their range", MANGO_OPT_REAL, 0, 1,
     0.25, 1, NULL, NULL},
    {"ordered", "modes that move by steps; known: real ones and, given a prior, all",
     MANGO_OPT_CHOICE, 0, 2, 0, 0, "known|none|all", NULL},
};

typedef struct mgi_one {
    mango_idx *parent, *best;   /* (d) each */
    double parent_y, best_y;    /* NaN: there is none; best: told since the last ask */
    double sigma, first;
    int ordered;                /* 0 known, 1 none, 2 all */
    mango_idx loose, free;      /* modes of two and more levels: unordered; all */
} mgi_one;

/* Does mode j move by steps? */
static int one_steps(const mango_opt *o, mango_idx j)
{
    const mgi_one *p = o->state;
    if (p->ordered != 0)
        return p->ordered == 2;
    return o->n[j] == MANGO_REAL || o->facts.prior == MANGO_PRIOR_NORMAL;
}

/* ---- ask ------------------------------------------------------------------ */

/* x held in [0,1] by mirrors at both ends. */
static double one_mirror(double x)
{
    while (x < 0.0 || x > 1.0)
        x = x < 0.0 ? -x : 2.0 - x;
    return x;
}

static mango_idx one_step(double sigma, mango_idx n, mango_idx i, mango_rng *rng)
{
    const double top = (double)(n - 1);
    const double x = (double)i / top + sigma * mango_rng_normal(rng);           /* (2) */
    return (mango_idx)(one_mirror(x) * top + 0.5);
}

/* Another of n >= 2 levels. */
static mango_idx one_other(mango_idx n, mango_idx i, mango_rng *rng)
{
    const mango_idx to = mango_rng_int(rng, n - 1);
    return to + (to >= i);
}

/* A mutant into I (d); does it differ from the parent? */
static int one_mutate(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mgi_one *p = o->state;
    int differs = 0;
    for (mango_idx j = 0; j < o->d; j++) {
        I[j] = p->parent[j];
        if (o->n[j] < 2)
            continue;
        if (one_steps(o, j))
            I[j] = one_step(p->sigma, o->n[j], I[j], rng);
        else if (mango_rng_int(rng, p->loose) == 0)
            I[j] = one_other(o->n[j], I[j], rng);                               /* (1) */
        differs |= I[j] != p->parent[j];
    }
    return differs;
}

/* The least change: one mode, chosen uniformly, by one level or to another one. */
static void one_least(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mgi_one *p = o->state;
    mango_idx at = mango_rng_int(rng, p->free), j = 0;
    for (; o->n[j] < 2 || at > 0; j++)
        at -= o->n[j] >= 2;
    const mango_idx n = o->n[j], up = mango_rng_int(rng, 2);
    if (!one_steps(o, j))
        I[j] = one_other(n, I[j], rng);
    else if (I[j] == 0 || (up && I[j] < n - 1))
        I[j]++;
    else
        I[j]--;
}

static void one_uniform(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = mango_rng_int(rng, o->n[j]);
}

/* What was told since the last ask: (3), (4). */
static void one_learn(mango_opt *o)
{
    mgi_one *p = o->state;
    if (mgi_is_nan(p->best_y))
        return;
    const int first = mgi_is_nan(p->parent_y), better = first || p->best_y >= p->parent_y;
    if (better) {
        memcpy(p->parent, p->best, (size_t)o->d * sizeof *p->parent);
        p->parent_y = p->best_y;                                                /* (3) */
    }
    if (!first)
        p->sigma *= better ? ONE_WIDER : ONE_NARROWER;                          /* (4) */
    p->sigma = MGI_MIN(MGI_MAX(p->sigma, ONE_LEAST), 1.0);
    p->best_y = MGI_NAN;
}

/* Each proposal has its own stream, so that how many are asked at once is the same. */
static mango_status one_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    const mgi_one *p = o->state;
    one_learn(o);
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        mango_rng rng;
        mango_idx *to = I + k * o->d;
        mango_rng_init(&rng, o->seed, ONE_RNG, o->asked + (uint64_t)k);
        if (mgi_is_nan(p->parent_y) || p->free == 0) {
            one_uniform(o, &rng, to);
            continue;
        }
        int differs = 0;
        for (int i = 0; i < ONE_TRIES && !differs; i++)
            differs = one_mutate(o, &rng, to);
        if (!differs)
            one_least(o, &rng, to);
    }
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* The best since the last ask, of equal ones the first. The parent told again says
 * nothing of a mutant. */
static void one_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_one *p = o->state;
    const size_t row = (size_t)o->d * sizeof *p->parent;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        if (mgi_is_nan(told.y) || told.y <= p->best_y)
            continue;
        if (!mgi_is_nan(p->parent_y) && memcmp(told.I, p->parent, row) == 0)
            continue;
        memcpy(p->best, told.I, row);
        p->best_y = told.y;
    }
}

static void one_restart(mango_opt *o, uint64_t epoch)
{
    mgi_one *p = o->state;
    (void)epoch; /* the streams of the proposals go on */
    p->parent_y = p->best_y = MGI_NAN;
    p->sigma = p->first;
}

/* ---- life ----------------------------------------------------------------- */

static void one_destroy(mango_opt *o)
{
    mgi_one *p = o->state;
    if (!p)
        return;
    mgi_del(&o->al, p->parent, o->d, sizeof *p->parent);
    mgi_del(&o->al, p->best, o->d, sizeof *p->best);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status one_create(mango_opt *o, mango_err *err)
{
    mgi_one *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (p) {
        p->parent = mgi_new(&o->al, o->d, sizeof *p->parent);
        p->best = mgi_new(&o->al, o->d, sizeof *p->best);
    }
    if (!p || !p->parent || !p->best)
        return mgi_fail(err, MANGO_E_MEM, "one-plus-one: out of memory for %td modes", o->d);
    o->batch = mgi_opt_int(o, "k");
    o->elite = 1;
    p->first = mgi_opt_real(o, "sigma");
    p->ordered = (int)mgi_opt_int(o, "ordered");
    for (mango_idx j = 0; j < o->d; j++) {
        p->free += o->n[j] >= 2;
        p->loose += o->n[j] >= 2 && !one_steps(o, j);
    }
    one_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_one_plus_one(void)
{
    static const mgi_method method = {
        .name = "one-plus-one",
        .option = one_option,
        .n_options = MGI_COUNT(one_option),
        .create = one_create,
        .ask = one_ask,
        .tell = one_tell,
        .restart = one_restart,
        .destroy = one_destroy,
    };
    return &method;
}

#undef ONE_RNG
#undef ONE_TRIES
#undef ONE_WIDER
#undef ONE_NARROWER
#undef ONE_LEAST
