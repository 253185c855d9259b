/* protes.c - PROTES: optimization by sampling from a tensor train.
 *
 * ask:  K multi-indices drawn from the distribution p of the cores (tt.h).
 * tell: the k_top best of what was told since the last ask are the elite.
 *       Before the next ask the cores take k_gd steps of Adam that make the
 *       elite more likely: down the mean of -log p over it.
 * Under noise (facts.noisy), where variances are told, the elite is chosen and weighted by
 * what its values are worth: protes_noise.c. Without, nothing changes.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets, "PROTES: probabilistic
 * optimization with tensor sampling", 2023.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "protes_noise.h"
#include "tt.h"

#define PROTES_BLOCK 16                     /* samples drawn before their bits are joined */
#define PROTES_LEVELS ((mango_idx)1 << 24) /* most of a mode that is not quantized */

static const mango_opt_spec protes_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 100, 0, NULL, NULL},
    {"k_top", "elite: the best of each batch, which it learns from", MANGO_OPT_INT, 1,
     1 << 20, 10, 0, NULL, "k"},
    {"k_gd", "gradient steps a batch", MANGO_OPT_INT, 1, 10000, 1, 0, NULL, NULL},
    {"lr", "learning rate of Adam", MANGO_OPT_REAL, 0, 1e6, 0.05, 1, NULL, NULL},
    {"r", "rank of the tensor train", MANGO_OPT_INT, 1, 256, 5, 0, NULL, NULL},
    {"quantized", "modes of 2^q levels become q modes of 2 (QTT)", MANGO_OPT_FLAG, 0, 1, 0,
     0, NULL, NULL},
};

typedef struct mgi_protes {
    mgi_tt tt;             /* first, so that a test may look at the cores */
    mgi_arena arena;
    mango_idx k_top, k_gd, r;
    double lr;
    int quantized;
    mango_idx dq;          /* modes of the tensor train */
    mango_idx *Iq;         /* (PROTES_BLOCK, dq) samples before their bits are joined */
    mango_idx keep;        /* candidates kept: k_top, under noise more                */
    mango_idx *top;        /* (keep, dq) candidates, best first: the elite            */
    double *y, *s2;        /* (keep) their values; squared standard errors            */
    mango_idx n_top;
    mgi_spread told;       /* of all told since the last ask                          */
    mango_idx *order;      /* (keep) under noise: by posterior means                  */
    mango_idx *elite;      /* (k_top, dq) the elite of the last update                */
    double *w;             /* (k_top) its weights                                     */
    mango_idx n_elite;
    int weighted;          /* the last update went by them                            */
} mgi_protes;

/* The elite of what was told: the k_top best; under noise those of best posterior mean. */
static void protes_elite(mgi_protes *p)
{
    const size_t row = (size_t)p->dq * sizeof *p->top;
    p->weighted = p->keep > p->k_top && p->told.known > 0;
    p->tt.w = NULL;
    if (p->weighted) {
        p->n_elite = mgi_protes_noise(&p->told, p->n_top, p->y, p->s2, p->k_top, p->order,
                                      p->w);
        p->tt.w = p->w;
    } else {
        p->n_elite = MGI_MIN(p->n_top, p->k_top);
    }
    for (mango_idx k = 0; k < p->n_elite; k++) {
        const mango_idx from = p->weighted ? p->order[k] : k;
        memcpy(p->elite + k * p->dq, p->top + from * p->dq, row);
    }
}

static void protes_learn(mgi_protes *p)
{
    const mgi_spread none = {0, 0, 0.0, 0.0, 0.0};
    if (p->n_top == 0)
        return;
    protes_elite(p);
    mgi_tt_learn(&p->tt, p->k_gd, p->lr, p->n_elite, p->elite);
    p->tt.w = NULL;
    p->n_top = 0;
    p->told = none;
}

static mango_status protes_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_protes *p = o->state;
    const mango_idx want = *K = mgi_opt_wanted(o->batch, cap, *K);
    protes_learn(p);
    if (!p->quantized) {
        mgi_tt_sample(&p->tt, want, o->seed, o->asked, I);
        return MANGO_OK;
    }
    for (mango_idx k = 0; k < want; k += PROTES_BLOCK) {
        const mango_idx kn = MGI_MIN(PROTES_BLOCK, want - k);
        mgi_tt_sample(&p->tt, kn, o->seed, o->asked + (uint64_t)k, p->Iq);
        for (mango_idx i = 0; i < kn; i++)
            mgi_qtt_join(o->d, o->n, p->Iq + i * p->dq, I + (k + i) * o->d);
    }
    return MANGO_OK;
}

/* One value among the best, best first; of equal values the one told first. */
static void protes_rank(mango_opt *o, const mango_told *t, double s2)
{
    mgi_protes *p = o->state;
    const size_t row = (size_t)p->dq * sizeof *p->top;
    mango_idx at = p->n_top;
    while (at > 0 && t->y > p->y[at - 1])
        at--;
    if (at == p->keep)
        return;
    p->n_top = MGI_MIN(p->n_top + 1, p->keep);
    const size_t move = (size_t)(p->n_top - 1 - at);
    memmove(p->y + at + 1, p->y + at, move * sizeof *p->y);
    memmove(p->s2 + at + 1, p->s2 + at, move * sizeof *p->s2);
    memmove(p->top + (at + 1) * p->dq, p->top + at * p->dq, move * row);
    p->y[at] = t->y;
    p->s2[at] = s2;
    if (p->quantized)
        mgi_qtt_split(o->d, o->n, t->I, p->top + at * p->dq);
    else
        memcpy(p->top + at * p->dq, t->I, row);
}

static void protes_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_protes *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        const double s2 = row.var > 0.0 ? row.var / (double)row.n : 0.0;
        if (mgi_is_nan(row.y))
            continue;
        mgi_spread_add(&p->told, row.y, mgi_is_finite(s2) ? s2 : 0.0);
        protes_rank(o, &row, mgi_is_finite(s2) ? s2 : 0.0);
    }
}

static void protes_restart(mango_opt *o, uint64_t epoch)
{
    mgi_protes *p = o->state;
    const mgi_spread none = {0, 0, 0.0, 0.0, 0.0};
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    p->n_top = p->n_elite = 0;
    p->told = none;
}

static void protes_destroy(mango_opt *o)
{
    mgi_protes *p = o->state;
    if (!p)
        return;
    mgi_tt_free(&p->tt);
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

/* ---- words ----------------------------------------------------------------- */

/* Mean of log p, (4) of tt.h, of n rows. */
static double protes_loglik(mgi_protes *p, mango_idx n, const mango_idx *rows,
                            const mango_alloc *al)
{
    double sum = 0.0, *ll = mgi_new(al, n, sizeof *ll);
    if (!ll)
        return MGI_NAN;
    mgi_tt_loglik(&p->tt, n, rows, ll);
    for (mango_idx k = 0; k < n; k++)
        sum += ll[k] / (double)n;
    mgi_del(al, ll, n, sizeof *ll);
    return sum;
}

/* Between a tell and the next ask: the elite. After an ask: what the cores made of it. */
static void protes_explain(const mango_opt *o, mgi_str *s)
{
    mgi_protes *p = o->state;
    const mango_idx n = MGI_MIN(p->n_top, p->k_top);
    if (n > 0) {
        mgi_str_printf(s, "%td values told; elite", p->told.n);
        for (mango_idx k = 0; k < n; k++)
            mgi_str_printf(s, " %.5g", o->minimize ? -p->y[k] : p->y[k]);
        mgi_str_printf(s, "; mean log p of it before the update %.3f\n",
                       protes_loglik(p, n, p->top, &s->al));
        return;
    }
    if (p->n_elite > 0)
        mgi_str_printf(s, "%td steps of Adam, lr %g%s: mean log p of the elite is now %.3f\n",
                       p->k_gd, p->lr, p->weighted ? ", weighted by its uncertainty" : "",
                       protes_loglik(p, p->n_elite, p->elite, &s->al));
    mgi_str_printf(s, "tensor train of %td modes, rank %td%s\n", p->dq, p->r,
                   p->quantized ? ", bits of the levels, least significant first" : "");
    mgi_tt_explain(&p->tt, s);
}

static void protes_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    (void)o;
    (void)k;
    mgi_str_puts(s, "drawn from the tensor train");
}

/* ---- life ------------------------------------------------------------------ */

static mango_status protes_alloc(mgi_protes *p)
{
    const mango_idx k_top = p->k_top, keep = p->keep, dq = p->dq;
    mango_idx rows, elite;
    if (!mgi_mul(keep, dq, &rows) || !mgi_mul(k_top, dq, &elite))
        return MANGO_E_MEM;
    const mgi_piece piece[] = {
        {&p->Iq, PROTES_BLOCK * dq, sizeof *p->Iq}, {&p->top, rows, sizeof *p->top},
        {&p->y, keep, sizeof *p->y},                {&p->s2, keep, sizeof *p->s2},
        {&p->order, keep, sizeof *p->order},        {&p->w, k_top, sizeof *p->w},
        {&p->elite, elite, sizeof *p->elite},
    };
    return mgi_arena_all(&p->arena, MGI_COUNT(piece), piece);
}

static void protes_options(mango_opt *o, mgi_protes *p)
{
    o->batch = mgi_opt_int(o, "k");
    p->k_top = mgi_opt_int(o, "k_top");
    p->keep = o->facts.noisy ? 2 * p->k_top + 8 : p->k_top;
    o->elite = o->facts.noisy ? 0 : p->k_top; /* under noise all values count */
    p->k_gd = mgi_opt_int(o, "k_gd");
    p->lr = mgi_opt_real(o, "lr");
    p->r = mgi_opt_int(o, "r");
    p->quantized = mgi_opt_int(o, "quantized") != 0;
}

/* The modes of the tensor train: those of the space, or their bits. */
static mango_status protes_modes(mango_opt *o, mgi_protes *p, mango_err *err)
{
    for (mango_idx j = 0; j < o->d && !p->quantized; j++)
        MGI_CHECK(err, o->n[j] <= PROTES_LEVELS,
                  "protes: mode %td has %td levels; more than 2^24 need quantized=1", j,
                  o->n[j]);
    p->dq = p->quantized ? mgi_qtt_modes(o->d, o->n, NULL) : o->d;
    mango_idx *nq = mgi_new(&o->al, p->dq, sizeof *nq);
    if (!nq)
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory for %td modes", p->dq);
    if (p->quantized)
        mgi_qtt_modes(o->d, o->n, nq);
    else
        memcpy(nq, o->n, (size_t)p->dq * sizeof *nq);
    const mango_status st = mgi_tt_init(&p->tt, p->dq, nq, p->r, p->k_top, &o->al);
    mgi_del(&o->al, nq, p->dq, sizeof *nq);
    return st < 0 ? mgi_fail(err, st, "protes: out of memory for %td cores of rank %td",
                             p->dq, p->r)
                  : st;
}

static mango_status protes_create(mango_opt *o, mango_err *err)
{
    mgi_protes *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory");
    mgi_arena_init(&p->arena, &o->al);
    protes_options(o, p);
    MGI_TRY(protes_modes(o, p, err));
    if (protes_alloc(p) < 0)
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory for an elite of %td",
                        p->k_top);
    protes_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_protes(void)
{
    static const mgi_method method = {
        .name = "protes",
        .option = protes_option,
        .n_options = MGI_COUNT(protes_option),
        .create = protes_create,
        .ask = protes_ask,
        .tell = protes_tell,
        .restart = protes_restart,
        .destroy = protes_destroy,
        .explain = protes_explain,
        .why = protes_why,
    };
    return &method;
}

#undef PROTES_BLOCK
#undef PROTES_LEVELS
