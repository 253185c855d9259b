/* gp_modes.c - a Gaussian process that knows of two codes only in how many modes they
 * agree, and a climb over single modes to where it promises most.
 *
 *     S(x,x') = number of modes with x_j = x'_j                                        (1)
 *     k(x,x') = lin S/u + rbf exp(-(d - S)/(length^2 u))   (1) of gp.h, with x a row of
 *               d unit vectors: x.x' = S, |x - x'|^2 = 2 (d - S)                        (2)
 *
 * The first term is a sum of one function a mode, the second lets modes act together. A
 * batch is a sample of what the function may be (Thompson): a draw w of the additive part
 * from its prior, corrected by the data (Matheron's rule, Wilson et al. 2020),
 *
 *     f(x) = sum_j w(j,x_j) + sum_i alpha_i k(x,x_i)                                   (3)
 *     alpha = (K + N)^-1 (y - w(X) - e),   w ~ N(0, t^2 lin s/u),  e ~ N(0, t^2 noise s)  (4)
 *
 * of which a climb from a good code, or from a random one, finds a maximum: one mode is
 * changed at a time. What each change of each mode gives costs one pass over the n d
 * levels of the known codes, since S grows or falls by one or stays:
 *
 *     A_i = alpha_i (k(S_i + 1) - k(S_i)),   B_i = alpha_i (k(S_i - 1) - k(S_i))         (5)
 *     gain(j,l) = w(j,l) - w(j,x_j) + sum over x_ij = l of A_i + sum over x_ij = x_j of B_i (6)
 *
 * Half of the batches learn from values, clipped, so that a sum of functions stays one; the
 * other half from the normal scores of ranks. Where the levels are too many for such a
 * table, children of the best codes take the model's place.
 * Source: ours; (2) Hutter 2009 (Hamming kernels), (3), (4) as above.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/rng.h"
#include "gp.h"
#include "population.h"

#define MODES_RNG 0x47504d31u
#define MODES_LEVELS ((mango_idx)1 << 12) /* of the table (6) */
#define MODES_D 1024                      /* modes with a model at most */
#define MODES_PARENTS 10
#define MODES_TRIES 20
#define MODES_CLIP 2.5 /* of a value below the median, in spreads */

typedef struct mgi_modes_gp {
    mgi_population pop;
    mgi_gp gp;
    int model;                /* the space has one */
    mango_idx start, free;    /* codes at random first; modes of two levels or more */
    mango_idx levels, *first; /* sum of n; (d) where the levels of a mode begin */
    double temper;
    mango_idx batches, chosen; /* tells so far; points when the rule was chosen */
    mango_idx *place;         /* (cap) the members that the rows of gp are */
    uint64_t *hash;
    int32_t *code;            /* (cap,d) their levels, as places in the table */
    float *dots;              /* (cap) */
    mango_idx *keep, *order, *agree; /* (cap) */
    double *y, *z, *A, *B;    /* (cap) */
    double *k;                /* (d+1) the kernel by S */
    double *w, *gain;         /* (levels) */
} mgi_modes_gp;

static const mango_opt_spec modes_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"start", "codes at random, or references, before there is a model", MANGO_OPT_INT, 1,
     1 << 20, 20, 0, NULL, NULL},
    {"points", "codes that the model holds", MANGO_OPT_INT, 16, 4096, 400, 0, NULL, NULL},
    {"temper", "how freely a sample strays from the mean", MANGO_OPT_REAL, 0, 10, 0.5, 0, NULL,
     NULL},
    {"mutants", "share of proposals that are mutants of good codes", MANGO_OPT_REAL, 0, 1, 0.2,
     0, NULL, NULL},
};

static const mgi_gp_rule modes_rule[] = {
    {1.0, 0.05, 1.0, 0.003}, {1.0, 0.5, 1.0, 0.003}, {0.5, 1.0, 0.7, 0.003},
    {0.3, 3.0, 1.5, 0.003},  {1.0, 0.5, 1.0, 0.05},  {0.3, 1.0, 1.0, 0.3},
};

/* ---- the model ------------------------------------------------------------ */

/* Rows of gp whose member has gone, or is another now, go. */
static void modes_drop(mgi_modes_gp *p)
{
    mango_idx n = 0;
    for (mango_idx i = 0; i < p->gp.n; i++) {
        const mango_idx at = p->place[i];
        if (at < p->pop.n && p->pop.member[at].hash == p->hash[i])
            p->keep[n++] = i;
    }
    if (n == p->gp.n)
        return;
    for (mango_idx i = 0; i < n; i++) {
        const mango_idx from = p->keep[i];
        p->place[i] = p->place[from];
        p->hash[i] = p->hash[from];
        memmove(p->code + i * p->pop.d, p->code + from * p->pop.d,
                (size_t)p->pop.d * sizeof *p->code);
    }
    mgi_gp_keep(&p->gp, n, p->keep);
}

/* (1) with the rows 0 .. n-1. */
static void modes_agree(const mgi_modes_gp *p, mango_idx n, const int32_t *x, mango_idx *S)
{
    const mango_idx d = p->pop.d;
    for (mango_idx i = 0; i < n; i++) {
        const int32_t *row = p->code + i * d;
        int32_t s = 0;
        for (mango_idx j = 0; j < d; j++)
            s += row[j] == x[j];
        S[i] = s;
    }
}

/* Member `at` becomes a row. */
static void modes_add(mgi_modes_gp *p, mango_idx at)
{
    const mango_idx n = p->gp.n, d = p->pop.d;
    const mgi_member *m = p->pop.member + at;
    int32_t *row = p->code + n * d;
    for (mango_idx j = 0; j < d; j++)
        row[j] = (int32_t)(p->first[j] + m->told.I[j]);
    modes_agree(p, n + 1, row, p->agree);
    for (mango_idx i = 0; i <= n; i++)
        p->dots[i] = (float)p->agree[i];
    p->place[n] = at;
    p->hash[n] = m->hash;
    mgi_gp_add_dots(&p->gp, p->dots);
}

/* Members that are no rows yet become rows: `order` marks those that are. */
static void modes_rows(mgi_modes_gp *p)
{
    modes_drop(p);
    for (mango_idx at = 0; at < p->pop.n; at++)
        p->order[at] = 0;
    for (mango_idx i = 0; i < p->gp.n; i++)
        p->order[p->place[i]] = 1;
    for (mango_idx at = 0; at < p->pop.n; at++)
        if (!p->order[at])
            modes_add(p, at);
}

/* Values about their median, in units of the best one's lead, the low ones clipped. */
static void modes_values(mgi_modes_gp *p, mango_idx n)
{
    mgi_order(n, p->y, NULL, p->order);
    const double mid = p->y[p->order[n / 2]], lead = p->y[p->order[n / 20]] - mid;
    for (mango_idx i = 0; i < n; i++) {
        const double z = lead > 0.0 ? (p->y[i] - mid) / lead : 0.0;
        p->z[i] = MGI_MAX(z, -MODES_CLIP);
    }
}

/* What the model knows: rows, targets, at times a new rule. */
static void modes_learn(mgi_modes_gp *p)
{
    modes_rows(p);
    const mango_idx n = p->gp.n;
    for (mango_idx i = 0; i < n; i++)
        p->y[i] = p->pop.member[p->place[i]].told.y;
    if (p->batches % 2)
        mgi_scores(n, p->y, NULL, p->order, p->z);
    else
        modes_values(p, n);
    mgi_gp_targets(&p->gp, p->z);
    if (n >= p->chosen + p->chosen / 4 + 10 || n < p->chosen) {
        mgi_gp_choose(&p->gp, MGI_COUNT(modes_rule), modes_rule);
        p->chosen = n;
    }
}

/* (4): w, and alpha of the sample. */
static const double *modes_sample(mgi_modes_gp *p, mango_rng *rng, double t)
{
    const mgi_gp *g = &p->gp;
    const mango_idx d = p->pop.d;
    const double s = MGI_MAX(g->s, 1e-12);
    const double a = t * sqrt(g->rule.lin * s / g->u), e = t * sqrt(g->rule.noise * s);
    for (mango_idx l = 0; l < p->levels; l++)
        p->w[l] = t > 0.0 ? a * mango_rng_normal(rng) : 0.0;
    for (mango_idx i = 0; i < g->n; i++) {
        double w = 0.0;
        for (mango_idx j = 0; j < d; j++)
            w += p->w[p->code[i * d + j]];
        p->y[i] = p->z[i] - w - (t > 0.0 ? e * mango_rng_normal(rng) : 0.0);
    }
    mgi_gp_targets(&p->gp, p->y);
    return mgi_gp_alpha(&p->gp);
}

/* (2) by S. */
static void modes_kernel(mgi_modes_gp *p)
{
    const mgi_gp_rule *r = &p->gp.rule;
    const mango_idx d = p->pop.d;
    const double h = 1.0 / (r->length * r->length * p->gp.u);
    for (mango_idx S = 0; S <= d; S++)
        p->k[S] = r->lin * (double)S / p->gp.u + r->rbf * mgi_exp(-h * (double)(d - S));
}

/* ---- the climb ------------------------------------------------------------ */

/* (5), (6) at x. */
static void modes_gains(mgi_modes_gp *p, const double *alpha, const int32_t *x)
{
    const mango_idx d = p->pop.d, n = p->gp.n;
    for (mango_idx i = 0; i < n; i++) {
        const mango_idx S = p->agree[i];
        p->A[i] = S < d ? alpha[i] * (p->k[S + 1] - p->k[S]) : 0.0;
        p->B[i] = S > 0 ? alpha[i] * (p->k[S - 1] - p->k[S]) : 0.0;
    }
    memcpy(p->gain, p->w, (size_t)p->levels * sizeof *p->gain);
    for (mango_idx j = 0; j < d; j++)
        p->gain[x[j]] = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        const int32_t *row = p->code + i * d;
        for (mango_idx j = 0; j < d; j++)
            p->gain[row[j]] += row[j] == x[j] ? p->B[i] : p->A[i];
    }
    /* gain[x_j] holds what leaving x_j costs in any case: it is part of each other level */
}

/* The change that gives most: mode *j, place *to; *to = -1: there is none.
 * Returns what it gives. */
static double modes_best(const mgi_modes_gp *p, const mango_opt *o, const int32_t *x,
                         mango_idx *j, int32_t *to)
{
    double most = -1e300;
    *to = -1;
    for (mango_idx m = 0; m < o->d; m++)
        for (mango_idx l = 0; l < o->n[m]; l++) {
            const mango_idx at = p->first[m] + l;
            const double gain = p->gain[at] - p->w[x[m]] + p->gain[x[m]];
            if (at == x[m] || gain <= most)
                continue;
            most = gain;
            *j = m;
            *to = (int32_t)at;
        }
    return most;
}

static void modes_step(mgi_modes_gp *p, int32_t *x, mango_idx *I, mango_idx j, int32_t to)
{
    const mango_idx d = p->pop.d;
    for (mango_idx i = 0; i < p->gp.n; i++) {
        const int32_t l = p->code[i * d + j];
        p->agree[i] += (l == to) - (l == x[j]);
    }
    x[j] = to;
    I[j] = to - p->first[j];
}

/* A change that gives most of those that lead to a code not known; random ones when the
 * best few are. */
static void modes_unknown(mgi_modes_gp *p, const mango_opt *o, mango_rng *rng, int32_t *x,
                          mango_idx *I)
{
    mango_idx j = 0;
    int32_t to;
    for (int i = 0; i < MODES_TRIES && mgi_population_knows(&p->pop, I); i++) {
        const double gain = modes_best(p, o, x, &j, &to);
        if (to < 0 || gain <= -1e300)
            break;
        const mango_idx old = I[j];
        I[j] = to - p->first[j];
        if (!mgi_population_knows(&p->pop, I))
            return;
        I[j] = old;
        p->gain[to] = -1e301; /* not this one again */
    }
    for (int i = 0; i < MODES_TRIES && mgi_population_knows(&p->pop, I); i++) {
        j = mango_rng_int(rng, o->d);
        I[j] = mango_rng_int(rng, o->n[j]);
    }
}

/* From I up to a maximum of (3), or the best change of it that is not known. */
static void modes_climb(mgi_modes_gp *p, const mango_opt *o, mango_rng *rng,
                        const double *alpha, int32_t *x, mango_idx *I)
{
    mango_idx j = 0;
    int32_t to;
    for (mango_idx m = 0; m < o->d; m++)
        x[m] = (int32_t)(p->first[m] + I[m]);
    modes_agree(p, p->gp.n, x, p->agree);
    for (mango_idx i = 0; i < 4 * o->d + MODES_TRIES; i++) {
        modes_gains(p, alpha, x);
        const double gain = modes_best(p, o, x, &j, &to);
        if (to < 0 || gain <= 1e-9)
            break;
        modes_step(p, x, I, j, to);
    }
    modes_unknown(p, o, rng, x, I);
}

/* ---- proposals ------------------------------------------------------------- */

static void modes_uniform(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = mango_rng_int(rng, o->n[j]);
}

/* One of the best, with weight exp(-rank/3). */
static const mango_idx *modes_parent(const mgi_modes_gp *p, mango_rng *rng)
{
    const mango_idx n = MGI_MIN(p->pop.n, MODES_PARENTS);
    const mango_idx r = (mango_idx)(-3.0 * mgi_log(1.0 - mango_rng_uniform(rng)));
    return mgi_population_at(&p->pop, MGI_MIN(r, n - 1))->told.I;
}

/* Levels from two of the best; then each free mode anew with probability 1/free, and one
 * of them in any case where the code is known. */
static void modes_mutant(const mgi_modes_gp *p, const mango_opt *o, mango_rng *rng,
                         mango_idx *I)
{
    const mango_idx *a = modes_parent(p, rng), *b = modes_parent(p, rng);
    for (mango_idx j = 0; j < o->d; j++) {
        I[j] = (mango_rng_u32(rng) & 3u) ? a[j] : b[j];
        if (mango_rng_int(rng, MGI_MAX(p->free, 1)) == 0)
            I[j] = mango_rng_int(rng, o->n[j]);
    }
    for (int i = 0; i < MODES_TRIES && mgi_population_knows(&p->pop, I); i++) {
        const mango_idx j = mango_rng_int(rng, o->d);
        I[j] = mango_rng_int(rng, o->n[j]);
    }
}

static void modes_first(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mango_facts *f = &o->facts;
    if (f->n_codes == 0) {
        modes_uniform(o, rng, I);
        return;
    }
    memcpy(I, f->codes + mango_rng_int(rng, f->n_codes) * o->d, (size_t)o->d * sizeof *I);
}

/* One proposal: x (d) is scratch. */
static void modes_propose(mgi_modes_gp *p, const mango_opt *o, mango_rng *rng, double mutants,
                          int32_t *x, mango_idx *I)
{
    if (p->pop.n < p->start) {
        modes_first(o, rng, I);
        return;
    }
    if (!p->model || mango_rng_uniform(rng) < mutants) {
        modes_mutant(p, o, rng, I);
        return;
    }
    const double t = p->temper * mango_rng_uniform(rng);
    const double *alpha = modes_sample(p, rng, t);
    if (mango_rng_int(rng, 4) == 0)
        modes_uniform(o, rng, I);
    else
        memcpy(I, modes_parent(p, rng), (size_t)o->d * sizeof *I);
    modes_climb(p, o, rng, alpha, x, I);
}

static mango_status modes_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_modes_gp *p = o->state;
    const double mutants = mgi_opt_real(o, "mutants");
    int32_t *x = p->model ? p->code + p->pop.cap * o->d : NULL;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    if (p->model && p->pop.n >= p->start) {
        modes_learn(p);
        modes_kernel(p);
    }
    for (mango_idx k = 0; k < *K; k++) {
        mango_rng rng;
        mango_idx *to = I + k * o->d;
        mango_rng_init(&rng, o->seed, MODES_RNG, o->asked + (uint64_t)k);
        modes_propose(p, o, &rng, mutants, x, to);
        (void)mgi_population_note(&p->pop, to);
    }
    return MANGO_OK;
}

/* ---- tell, restart ---------------------------------------------------------- */

static void modes_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_modes_gp *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        (void)mgi_population_tell(&p->pop, &row);
    }
    p->batches++;
}

static void modes_restart(mango_opt *o, uint64_t epoch)
{
    mgi_modes_gp *p = o->state;
    (void)epoch; /* the streams of the proposals go on */
    mgi_population_clear(&p->pop);
    if (p->model)
        mgi_gp_keep(&p->gp, 0, NULL);
    p->batches = p->chosen = 0;
}

static void modes_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_modes_gp *p = o->state;
    if (!p->model || p->gp.n == 0) {
        mgi_str_printf(s, "  %td codes known, no model yet\n", p->pop.n);
        return;
    }
    const mgi_gp_rule *r = &p->gp.rule;
    mgi_str_printf(s, "  model of %td codes: additive %.2g, joint %.2g of length %.2g, "
                      "noise %.2g\n", p->gp.n, r->lin, r->rbf, r->length, r->noise);
}

/* ---- life ------------------------------------------------------------------- */

static void modes_destroy(mango_opt *o)
{
    mgi_modes_gp *p = o->state;
    if (!p)
        return;
    const mango_alloc *al = &o->al;
    const mango_idx cap = p->pop.cap;
    if (p->model)
        mgi_gp_free(&p->gp);
    mgi_del(al, p->first, o->d, sizeof *p->first);
    mgi_del(al, p->place, cap, sizeof *p->place);
    mgi_del(al, p->hash, cap, sizeof *p->hash);
    mgi_del(al, p->code, (cap + 1) * o->d, sizeof *p->code);
    mgi_del(al, p->dots, cap, sizeof *p->dots);
    mgi_del(al, p->keep, cap, sizeof *p->keep);
    mgi_del(al, p->order, cap, sizeof *p->order);
    mgi_del(al, p->agree, cap, sizeof *p->agree);
    mgi_del(al, p->y, 4 * cap, sizeof *p->y);
    mgi_del(al, p->k, o->d + 1, sizeof *p->k);
    mgi_del(al, p->w, 2 * p->levels, sizeof *p->w);
    mgi_population_free(&p->pop, al);
    mgi_del(al, p, 1, sizeof *p);
}

/* What the model works with, of the population's room. */
static int modes_memory(mango_opt *o, mgi_modes_gp *p)
{
    const mango_alloc *al = &o->al;
    const mango_idx cap = p->pop.cap;
    p->place = mgi_new(al, cap, sizeof *p->place);
    p->hash = mgi_new(al, cap, sizeof *p->hash);
    p->code = mgi_new(al, (cap + 1) * o->d, sizeof *p->code);
    p->dots = mgi_new(al, cap, sizeof *p->dots);
    p->keep = mgi_new(al, cap, sizeof *p->keep);
    p->order = mgi_new(al, cap, sizeof *p->order);
    p->agree = mgi_new(al, cap, sizeof *p->agree);
    p->y = mgi_new(al, 4 * cap, sizeof *p->y);
    p->k = mgi_new(al, o->d + 1, sizeof *p->k);
    p->w = mgi_new(al, 2 * p->levels, sizeof *p->w);
    if (!p->place || !p->hash || !p->code || !p->dots || !p->keep || !p->order ||
        !p->agree || !p->y || !p->k || !p->w)
        return 0;
    p->z = p->y + cap;
    p->A = p->z + cap;
    p->B = p->A + cap;
    p->gain = p->w + p->levels;
    return 1;
}

/* The levels of all modes, one table; is there a model? */
static int modes_table(const mango_opt *o, mgi_modes_gp *p)
{
    for (mango_idx j = 0; j < o->d; j++) {
        p->free += o->n[j] >= 2;
        p->first[j] = p->levels;
        if (o->n[j] > MODES_LEVELS - p->levels)
            return 0;
        p->levels += o->n[j];
    }
    return o->d <= MODES_D;
}

static mango_status modes_create(mango_opt *o, mango_err *err)
{
    mgi_modes_gp *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "gp-modes: out of memory");
    p->first = mgi_new(&o->al, o->d, sizeof *p->first);
    const mango_idx points = mgi_opt_int(o, "points");
    if (!p->first || mgi_population_create(&p->pop, o->d, points, &o->al) < 0)
        return mgi_fail(err, MANGO_E_MEM, "gp-modes: out of memory for %td codes", points);
    if (modes_table(o, p)) {
        p->model = mgi_gp_init(&p->gp, 1, p->pop.cap, &o->al) == MANGO_OK;
        if (!p->model || !modes_memory(o, p))
            return mgi_fail(err, MANGO_E_MEM, "gp-modes: out of memory for %td points", points);
    }
    p->start = MGI_MIN(mgi_opt_int(o, "start"), p->pop.cap);
    p->temper = mgi_opt_real(o, "temper");
    o->batch = mgi_opt_int(o, "k");
    o->retell = o->ties = 1;
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_gp_modes(void)
{
    static const mgi_method method = {
        .name = "gp-modes",
        .option = modes_option,
        .n_options = MGI_COUNT(modes_option),
        .create = modes_create,
        .ask = modes_ask,
        .tell = modes_tell,
        .restart = modes_restart,
        .destroy = modes_destroy,
        .explain = modes_explain,
    };
    return &method;
}

#undef MODES_RNG
#undef MODES_LEVELS
#undef MODES_D
#undef MODES_PARENTS
#undef MODES_TRIES
#undef MODES_CLIP
