/* gp_codes.c - codes on a grid by two Gaussian processes: one chooses reference codes, one
 * screens the children of a genetic algorithm.
 *
 * ask:  `first` reference codes at random, then `chosen` by (3) of refs.h              (1)
 *       (without reference codes `start` codes drawn from the prior); from then on, for
 *       each `k` proposals, a pool of children (breed.h) of the best `parents`, mates
 *       among the 60 reference codes that are expected to be best; of the pool
 *           argmax mean(x) + b sd(x),  b = beta Exp(1),  a share at random           (2)
 * tell: a ranked population of at most `points`, the best half and the newest          (3)
 *       x = numbers of a code (texture.h), y = normal scores, f ~ GP (gp.h), its setting,
 *       and whether it looks at textures or at places, by the evidence; under noise parents
 *       are ranked by mean(x), not by their luck                                      (4)
 * A search that stalls begins a new island (islands.h).
 * Source: (2) Srinivas, Krause, Kakade, Seeger, "Gaussian process optimization in the bandit
 * setting", 2010, with random weights; screening: Jin, "Surrogate-assisted evolutionary
 * computation", 2011.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "breed.h"
#include "islands.h"
#include "refs.h"

#define GPC_RNG_PICK 0x47504301u
#define GPC_RNG_POOL 0x47504302u
#define GPC_FEW 10      /* values before the model is asked */
#define GPC_WHYS 64

static const mango_opt_spec gpc_option[] = {
    {"k", "codes of one batch", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"first", "reference codes at random", MANGO_OPT_INT, 0, 1 << 20, 20, 0, NULL, NULL},
    {"chosen", "reference codes chosen by the model", MANGO_OPT_INT, 0, 1 << 20, 20, 0, NULL,
     NULL},
    {"start", "codes drawn without reference codes", MANGO_OPT_INT, 2, 1 << 20, 30, 0,
     NULL, NULL},
    {"pool", "children screened for a batch", MANGO_OPT_INT, 1, 1 << 16, 96, 0, NULL, NULL},
    {"points", "values the model keeps: the best and the newest", MANGO_OPT_INT, 16, 1 << 13,
     300, 0, NULL, NULL},
    {"parents", "codes to breed from", MANGO_OPT_INT, 2, MGI_BREED_PARENTS, 15, 0, NULL, NULL},
    {"alien", "share of the mates that are reference codes", MANGO_OPT_REAL, 0, 1, 0.15, 0,
     NULL, NULL},
    {"mutation", "highest share of the levels that mutate", MANGO_OPT_REAL, 0, 1, 0.04, 0,
     NULL, NULL},
    {"beta", "optimism in the choice", MANGO_OPT_REAL, 0, 100, 0.6, 0, NULL, NULL},
    {"random", "share of the proposals that is not screened", MANGO_OPT_REAL, 0, 1, 0.1, 0,
     NULL, NULL},
    {"stall", "values without a better one before a new island; 0: never", MANGO_OPT_INT, 0,
     1 << 30, 1000, 0, NULL, NULL},
    {"references", "1: use the reference codes", MANGO_OPT_FLAG, 0, 1, 1, 0, NULL, NULL},
};

static const mgi_gp_rule gpc_rule[] = {
    {1.0, 0.0, 1.0, 0.1}, {1.0, 0.0, 1.0, 0.4}, {1.0, 0.0, 1.0, 1.0},
    {0.5, 0.5, 0.7, 0.1}, {0.5, 0.5, 0.7, 0.4}, {0.5, 0.5, 0.7, 1.0},
};

/* Shares of the parts of texture.h: what there is counts wherever it is, or where it is. */
enum { GPC_SHARES = 2 };
static const double gpc_share[GPC_SHARES][MGI_TEXTURE_PARTS] = {{1.0, 0.5, 0.3, 0.5},
                                                               {0.3, 0.5, 1.0, 0.5}};
static const char *const gpc_share_name[GPC_SHARES] = {"what there is, anywhere",
                                                       "what stands where"};

/* How a proposal came about. */
typedef struct gpc_why {
    mgi_descent from;
    double mean, sd, beta; /* beta < 0: not screened */
} gpc_why;

typedef struct mgi_gpc {
    mgi_cross cross;
    mgi_population pop;
    mgi_islands islands;
    mgi_breed breed;
    mgi_texture tex;
    mgi_refs refs;
    mgi_gp gp;
    mango_idx dim;              /* numbers of a code in the model; 0: no model       */
    mango_idx *row, *place;     /* (points) of a member: its row; of a row: its place */
    double *y, *tie, *score;    /* (points) of the rows                               */
    mango_idx *order;           /* (points) scratch; rows, the best first             */
    mango_idx next, shares;     /* rows told at which the rule, the shares are chosen
                                 * again                                              */
    int share;                  /* the one in force                                   */
    uint64_t taken;             /* rows so far                                        */
    mango_idx pool, *code;      /* children; (pool,d)                                 */
    float *x;                   /* (pool,dim)                                         */
    float *raw;                 /* (points,dim) of a member, unweighted               */
    double *mean, *sd;          /* (pool)                                             */
    mgi_descent *how;           /* (pool)                                             */
    unsigned char *used;        /* (pool)                                             */
    mango_idx left, given;      /* children not used; proposals from this pool        */
    uint64_t pools;             /* so far: the stream of the next                     */
    mango_idx begun;            /* proposals of this island                           */
    gpc_why why[GPC_WHYS];
} mgi_gpc;

/* ---- the model ---------------------------------------------------------------- */

/* Rows of the members that are gone leave the model. */
static void gpc_drop(mgi_gpc *g)
{
    mango_idx m = 0;
    for (mango_idx i = 0; i < g->gp.n; i++)
        if (g->place[i] >= 0)
            g->order[m++] = i;
    if (m == g->gp.n)
        return;
    mgi_gp_keep(&g->gp, m, g->order);
    for (mango_idx i = 0; i < m; i++) {
        g->place[i] = g->place[g->order[i]];
        g->row[g->place[i]] = i;
    }
}

/* The members that have no row get one, as many at once as x has room for. */
static void gpc_take(mgi_gpc *g)
{
    for (mango_idx p = 0; p < g->pop.n;) {
        mango_idx m = 0;
        for (; p < g->pop.n && m < g->pool; p++) {
            if (g->row[p] >= 0)
                continue;
            float *raw = g->raw + p * g->dim;
            mgi_texture_raw(&g->tex, g->pop.member[p].told.I, raw);
            mgi_texture_weighted(&g->tex, raw, g->x + m * g->dim);
            g->row[p] = g->gp.n + m;
            g->place[g->gp.n + m++] = p;
        }
        mgi_gp_add(&g->gp, m, g->x, NULL);
        g->taken += (uint64_t)m;
    }
}

/* Variance of one presentation, in units of the scores, over the presentations of each. */
static void gpc_noises(mgi_gpc *g)
{
    const mango_idx n = g->gp.n;
    double one = 0.0, two = 0.0, var = 0.0, known = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        const mango_told *t = &g->pop.member[g->place[i]].told;
        one += t->y / (double)n;
        two += t->y * t->y / (double)n;
        if (mgi_is_nan(t->var))
            continue;
        var += t->var;
        known += 1.0;
    }
    const double spread = two - one * one;
    const double v = known > 0.0 && spread > 0.0 ? var / known / spread : 0.0;
    for (mango_idx i = 0; i < n; i++)
        g->tie[i] = (v < 100.0 ? v : 100.0) / (double)g->pop.member[g->place[i]].told.n;
    mgi_gp_noise(&g->gp, g->tie);
}

/* The posterior mean at the points themselves: y - N alpha, N the noise. */
static void gpc_believe(mgi_gpc *g)
{
    (void)mgi_gp_evidence(&g->gp); /* alpha is of now */
    for (mango_idx i = 0; i < g->gp.n; i++)
        g->score[i] -= (g->gp.rule.noise + g->gp.noise[i]) * g->gp.alpha[i];
}

static void gpc_targets(const mango_opt *o, mgi_gpc *g)
{
    mgi_gp_targets(&g->gp, g->score);
    if (o->facts.noisy)
        gpc_noises(g);
}

/* All rows anew, with other shares; the best rule for them. Returns its evidence. */
static double gpc_try(const mango_opt *o, mgi_gpc *g, int share)
{
    const mango_idx n = g->gp.n;
    g->share = share;
    mgi_texture_weigh(&g->tex, gpc_share[share]);
    mgi_gp_keep(&g->gp, 0, NULL);
    while (g->gp.n < n) {
        const mango_idx m = MGI_MIN(g->pool, n - g->gp.n);
        for (mango_idx i = 0; i < m; i++)
            mgi_texture_weighted(&g->tex, g->raw + g->place[g->gp.n + i] * g->dim,
                                 g->x + i * g->dim);
        mgi_gp_add(&g->gp, m, g->x, NULL);
    }
    gpc_targets(o, g);
    (void)mgi_gp_choose(&g->gp, MGI_COUNT(gpc_rule), gpc_rule);
    return mgi_gp_evidence(&g->gp);
}

/* The setting by the evidence: the shares now and then, the rule more often. */
static void gpc_settle(const mango_opt *o, mgi_gpc *g)
{
    if (g->taken >= (uint64_t)g->shares && g->gp.n >= GPC_FEW) {
        const int now = g->share;
        const double own = gpc_try(o, g, now), other = gpc_try(o, g, !now);
        if (own >= other)
            (void)gpc_try(o, g, now);
        g->shares = (mango_idx)g->taken + MGI_MAX(60, (mango_idx)MGI_MIN(g->taken, 2000));
    } else if (g->taken >= (uint64_t)g->next) {
        (void)mgi_gp_choose(&g->gp, MGI_COUNT(gpc_rule), gpc_rule);
    } else {
        return;
    }
    g->next = (mango_idx)g->taken + MGI_MAX(20, MGI_MIN(g->gp.n / 2, 150));
}

static void gpc_fit(const mango_opt *o, mgi_gpc *g)
{
    gpc_drop(g);
    gpc_take(g);
    const mango_idx n = g->gp.n;
    for (mango_idx i = 0; i < n; i++) {
        g->y[i] = g->pop.member[g->place[i]].told.y;
        g->tie[i] = g->pop.member[g->place[i]].told.tie;
    }
    mgi_scores(n, g->y, g->tie, g->order, g->score);
    gpc_targets(o, g);
    gpc_settle(o, g);
}

/* ---- parents and children ------------------------------------------------------- */

/* (4): the members of the highest posterior mean. */
static void gpc_parents_noisy(mgi_gpc *g, mango_idx most)
{
    gpc_believe(g);
    mgi_order(g->gp.n, g->score, NULL, g->order);
    g->breed.n = MGI_MIN(most, g->gp.n);
    for (mango_idx r = 0; r < g->breed.n; r++)
        g->breed.parent[r] = g->pop.member[g->place[g->order[r]]].told.I;
    mgi_breed_weights(&g->breed);
}

static void gpc_parents(const mango_opt *o, mgi_gpc *g)
{
    const mango_idx most = mgi_opt_int(o, "parents");
    if (g->dim > 0)
        gpc_fit(o, g);
    if (g->dim > 0 && o->facts.noisy)
        gpc_parents_noisy(g, most);
    else
        mgi_breed_parents(&g->breed, &g->pop, most);
    mgi_refs_mates(&g->refs, 60);
    g->breed.mate = g->refs.mate;
    g->breed.n_mates = g->refs.n_mates;
}

static void gpc_screen(mgi_gpc *g)
{
    for (mango_idx j = 0; j < g->pool; j++)
        mgi_texture_of(&g->tex, g->code + j * g->tex.d, g->x + j * g->dim);
    mgi_gp_predict(&g->gp, g->pool, g->x, g->mean, g->sd);
    for (mango_idx j = 0; j < g->pool; j++)
        g->sd[j] = sqrt(g->sd[j]);
}

static void gpc_pool(mango_opt *o)
{
    mgi_gpc *g = o->state;
    gpc_parents(o, g);
    for (mango_idx j = 0; j < g->pool; j++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, GPC_RNG_POOL,
                       g->pools * (uint64_t)g->pool + (uint64_t)j);
        mgi_breed_child(&g->breed, &g->cross, &g->pop, &rng, g->code + j * o->d, g->how + j);
        g->used[j] = 0;
        g->mean[j] = g->sd[j] = 0.0;
    }
    if (g->dim > 0 && g->gp.n >= GPC_FEW)
        gpc_screen(g);
    g->left = g->pool;
    g->given = 0;
    g->pools++;
}

/* ---- tell --------------------------------------------------------------------------- */

/* One value into the population; a member that is new has no row yet. */
static void gpc_told(mgi_gpc *g, const mango_told *t)
{
    const uint64_t before = g->pop.told;
    const mango_idx p = mgi_population_tell(&g->pop, t);
    if (p < 0 || g->pop.told == before)
        return;
    if (g->row[p] >= 0)
        g->place[g->row[p]] = -1; /* the member whose place this was is gone */
    g->row[p] = -1;
}

static void gpc_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_gpc *g = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        mgi_islands_watch(&g->islands, &told);
        gpc_told(g, &told);
        if (!mgi_is_nan(told.y))
            mgi_refs_tell(&g->refs, &told);
    }
}

/* A population without members, a model without points. */
static void gpc_empty(mgi_gpc *g)
{
    mgi_population_clear(&g->pop);
    if (g->dim > 0)
        mgi_gp_keep(&g->gp, 0, NULL);
    for (mango_idx i = 0; i < g->pop.cap; i++)
        g->row[i] = -1;
    g->left = g->given = g->begun = g->next = 0;
    g->taken = 0;
    g->shares = 60;
}

/* The turns of islands.h. */
static void gpc_turn(mgi_gpc *g)
{
    const mgi_islands_turn turn = mgi_islands_next(&g->islands, &g->pop);
    for (mango_idx i = 0; turn == MGI_ISLANDS_JOIN && i < g->islands.n; i++)
        gpc_told(g, g->islands.told + i);
    if (turn == MGI_ISLANDS_NEW)
        gpc_empty(g);
}

static void gpc_restart(mango_opt *o, uint64_t epoch)
{
    mgi_gpc *g = o->state;
    (void)epoch; /* the streams of the proposals and pools go on */
    gpc_empty(g);
    mgi_islands_clear(&g->islands);
    mgi_refs_restart(&g->refs);
}

/* ---- ask -------------------------------------------------------------------------- */

/* (2) among what is left; u >= 0: at random by it. */
static mango_idx gpc_best(const mgi_gpc *g, double b, double u)
{
    mango_idx best = -1, skip = u < 0.0 ? -1 : (mango_idx)(u * (double)g->left);
    for (mango_idx j = 0; j < g->pool; j++) {
        if (g->used[j])
            continue;
        if (u >= 0.0 && skip-- == 0)
            return j;
        if (best < 0 || g->mean[j] + b * g->sd[j] > g->mean[best] + b * g->sd[best])
            best = j;
    }
    return best;
}

/* A child that is not known, or the last that is left. */
static void gpc_pick(mango_opt *o, mango_rng *rng, mango_idx *I, gpc_why *why)
{
    mgi_gpc *g = o->state;
    const double b = -mgi_log(1.0 - mango_rng_uniform(rng)) * mgi_opt_real(o, "beta");
    const double u = mango_rng_uniform(rng), share = mgi_opt_real(o, "random");
    mango_idx j;
    if (g->left == 0 || g->given >= o->batch)
        gpc_pool(o);
    do {
        j = gpc_best(g, b, u < share ? u / share : -1.0);
        g->used[j] = 1;
        g->left--;
    } while (g->left > 0 && mgi_population_knows(&g->pop, g->code + j * o->d));
    g->given++;
    memcpy(I, g->code + j * o->d, (size_t)o->d * sizeof *I);
    const gpc_why w = {g->how[j], g->mean[j], g->sd[j], u < share || g->dim == 0 ? -1.0 : b};
    *why = w;
}

/* (1): proposal number g->begun of the island; a later island begins with chosen ones. */
static void gpc_first(mango_opt *o, mango_rng *rng, mango_idx *I, gpc_why *why)
{
    mgi_gpc *g = o->state;
    const gpc_why none = {.beta = -1.0};
    *why = none;
    if (g->refs.left == 0) {
        mgi_breed_draw(o, rng, I, &why->from);
        return;
    }
    if (g->begun >= mgi_opt_int(o, "first") || g->islands.number > 0)
        why->beta = -mgi_log(1.0 - mango_rng_uniform(rng)) * mgi_opt_real(o, "beta");
    const mango_idx i = mgi_refs_next(&g->refs, why->beta);
    why->from.how = MGI_BREED_REFERENCE;
    why->from.a = g->refs.order[i];
    why->mean = g->refs.mean[i];
    why->sd = g->refs.sd[i];
    memcpy(I, o->facts.codes + why->from.a * o->d, (size_t)o->d * sizeof *I);
}

/* How many proposals come before the first children? */
static mango_idx gpc_start(const mango_opt *o, const mgi_gpc *g)
{
    const mango_idx refs = mgi_opt_int(o, "first") + mgi_opt_int(o, "chosen");
    return g->refs.n > 0 ? MGI_MIN(refs, g->refs.n) : mgi_opt_int(o, "start");
}

static mango_status gpc_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_gpc *g = o->state;
    const mango_idx start = gpc_start(o, g);
    *K = mgi_opt_wanted(o->batch, cap, *K);
    gpc_turn(g);
    for (mango_idx k = 0; k < *K; k++, g->begun++) {
        gpc_why why;
        mango_rng rng;
        mango_rng_init(&rng, o->seed, GPC_RNG_PICK, o->asked + (uint64_t)k);
        if (g->pop.n < 2 || g->begun < start)
            gpc_first(o, &rng, I + k * o->d, &why);
        else
            gpc_pick(o, &rng, I + k * o->d, &why);
        (void)mgi_population_note(&g->pop, I + k * o->d);
        if (k < GPC_WHYS)
            g->why[k] = why;
    }
    return MANGO_OK;
}

/* ---- for people ---------------------------------------------------------------------- */

static void gpc_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_gpc *g = o->state;
    const mgi_gp_rule *r = &g->gp.rule;
    mgi_str_printf(s, "population of %td, %td of %td reference codes proposed\n", g->pop.n,
                   g->refs.n - g->refs.left, g->refs.n);
    if (g->dim > 0)
        mgi_str_printf(s,
                       "surrogate on %td values of %td numbers: linear %.2g, rbf %.2g of "
                       "length %.2g, noise %.2g; it looks at %s\n",
                       g->gp.n, g->dim, r->lin, r->rbf, r->length, r->noise,
                       gpc_share_name[g->share]);
    mgi_str_puts(s, "the best:");
    for (mango_idx i = 0; i < MGI_MIN(15, g->pop.n); i++) {
        const double y = mgi_population_at(&g->pop, i)->told.y;
        mgi_str_puts(s, " ");
        mgi_str_float(s, o->minimize ? -y : y);
    }
    mgi_str_puts(s, "\n");
}

static void gpc_why_text(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_gpc *g = o->state;
    if (k >= GPC_WHYS)
        return;
    mgi_descent_text(&g->why[k].from, s);
    if (g->why[k].beta >= 0.0)
        mgi_str_printf(s, ", expected %.2f +- %.2f", g->why[k].mean, g->why[k].sd);
}

/* ---- life ------------------------------------------------------------------------------ */

static void gpc_destroy(mango_opt *o)
{
    mgi_gpc *g = o->state;
    if (!g)
        return;
    const mango_idx points = g->pop.cap, pool = g->pool;
    mgi_refs_free(&g->refs, &o->al);
    if (g->gp.cap > 0)
        mgi_gp_free(&g->gp);
    mgi_texture_free(&g->tex, &o->al);
    mgi_cross_free(&g->cross, &o->al);
    mgi_population_free(&g->pop, &o->al);
    mgi_islands_free(&g->islands, &o->al);
    mgi_del(&o->al, g->row, points, sizeof *g->row);
    mgi_del(&o->al, g->place, points, sizeof *g->place);
    mgi_del(&o->al, g->order, points, sizeof *g->order);
    mgi_del(&o->al, g->y, points, sizeof *g->y);
    mgi_del(&o->al, g->tie, points, sizeof *g->tie);
    mgi_del(&o->al, g->score, points, sizeof *g->score);
    mgi_del(&o->al, g->code, pool * o->d, sizeof *g->code);
    mgi_del(&o->al, g->x, pool * g->dim, sizeof *g->x);
    mgi_del(&o->al, g->raw, points * g->dim, sizeof *g->raw);
    mgi_del(&o->al, g->mean, pool, sizeof *g->mean);
    mgi_del(&o->al, g->sd, pool, sizeof *g->sd);
    mgi_del(&o->al, g->how, pool, sizeof *g->how);
    mgi_del(&o->al, g->used, pool, 1);
    mgi_del(&o->al, g, 1, sizeof *g);
}

/* What is not of another file. */
static int gpc_arrays(mango_opt *o)
{
    mgi_gpc *g = o->state;
    const mango_idx points = g->pop.cap, pool = g->pool;
    g->row = mgi_new(&o->al, points, sizeof *g->row);
    g->place = mgi_new(&o->al, points, sizeof *g->place);
    g->order = mgi_new(&o->al, points, sizeof *g->order);
    g->y = mgi_new(&o->al, points, sizeof *g->y);
    g->tie = mgi_new(&o->al, points, sizeof *g->tie);
    g->score = mgi_new(&o->al, points, sizeof *g->score);
    g->code = mgi_new(&o->al, pool * o->d, sizeof *g->code);
    g->x = mgi_new(&o->al, pool * g->dim, sizeof *g->x);
    g->raw = mgi_new(&o->al, points * g->dim, sizeof *g->raw);
    g->mean = mgi_new(&o->al, pool, sizeof *g->mean);
    g->sd = mgi_new(&o->al, pool, sizeof *g->sd);
    g->how = mgi_new(&o->al, pool, sizeof *g->how);
    g->used = mgi_new(&o->al, pool, 1);
    return g->row && g->place && g->order && g->y && g->tie && g->score && g->code && g->x &&
           g->raw && g->mean && g->sd && g->how && g->used;
}

static mango_status gpc_build(mango_opt *o)
{
    mgi_gpc *g = o->state = mgi_new(&o->al, 1, sizeof *g);
    if (!g)
        return MANGO_E_MEM;
    o->batch = mgi_opt_int(o, "k");
    MGI_TRY(mgi_cross_init(&g->cross, o));
    MGI_TRY(mgi_population_create(&g->pop, o->d, mgi_opt_int(o, "points"), &o->al));
    MGI_TRY(mgi_islands_create(&g->islands, o->d, mgi_opt_int(o, "stall"), &o->al));
    MGI_TRY(mgi_texture_init(&g->tex, o));
    MGI_TRY(mgi_refs_init(&g->refs, o, &g->tex, mgi_opt_int(o, "references") != 0));
    g->dim = g->tex.dim;
    g->pool = g->dim > 0 ? mgi_opt_int(o, "pool") : MGI_MIN(o->batch, 16);
    if (!gpc_arrays(o))
        return MANGO_E_MEM;
    return g->dim > 0 ? mgi_gp_init(&g->gp, g->dim, g->pop.cap, &o->al) : MANGO_OK;
}

static mango_status gpc_create(mango_opt *o, mango_err *err)
{
    if (gpc_build(o) < 0)
        return mgi_fail(err, MANGO_E_MEM, "gp-codes: out of memory for %td modes", o->d);
    mgi_gpc *g = o->state;
    o->retell = o->ties = 1;
    g->breed.alien = mgi_opt_real(o, "alien");
    g->breed.mutation = mgi_opt_real(o, "mutation");
    g->breed.codes = o->facts.codes;
    gpc_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_gp_codes(void)
{
    static const mgi_method method = {
        .name = "gp-codes",
        .option = gpc_option,
        .n_options = MGI_COUNT(gpc_option),
        .create = gpc_create,
        .ask = gpc_ask,
        .tell = gpc_tell,
        .restart = gpc_restart,
        .destroy = gpc_destroy,
        .explain = gpc_explain,
        .why = gpc_why_text,
    };
    return &method;
}

#undef GPC_RNG_PICK
#undef GPC_RNG_POOL
#undef GPC_FEW
#undef GPC_WHYS
