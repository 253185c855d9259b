/* protes.c - PROTES: optimization by sampling from a tensor train.
 *
 * ask:  K multi-indices drawn from the distribution p of the cores (tt.h).
 * tell: the k_top best of what was told since the last ask are the elite.
 *       Before the next ask the cores take k_gd steps of Adam that make the
 *       elite more likely: down the mean of -log p over it.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets, "PROTES: probabilistic
 * optimization with tensor sampling", 2023.
 * SPDX-License-Identifier: MIT */
#include "method.h"
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
    mgi_tt tt;
    mgi_arena arena;
    mango_idx k_top, k_gd, r;
    double lr;
    int quantized;
    mango_idx dq;          /* modes of the tensor train */
    mango_idx *Iq;         /* (PROTES_BLOCK, dq) samples before their bits are joined */
    mango_idx *top;        /* (k_top, dq) elite, best first */
    double *y;             /* (k_top) its values */
    mango_idx n_top;
    mango_idx learnt;      /* rows of `top` that the cores were taught last */
} mgi_protes;

static mango_status protes_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_protes *p = o->state;
    const mango_idx want = *K = mgi_opt_wanted(o->batch, cap, *K);
    if (p->n_top > 0)
        mgi_tt_learn(&p->tt, p->k_gd, p->lr, p->n_top, p->top);
    p->learnt = p->n_top;
    p->n_top = 0;
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

/* One value among the k_top best, best first; of equal values the one told first. */
static void protes_rank(mango_opt *o, const mango_told *t)
{
    mgi_protes *p = o->state;
    const size_t row = (size_t)p->dq * sizeof *p->top;
    mango_idx at = p->n_top;
    while (at > 0 && t->y > p->y[at - 1])
        at--;
    if (mgi_is_nan(t->y) || at == p->k_top)
        return;
    p->n_top = MGI_MIN(p->n_top + 1, p->k_top);
    const size_t move = (size_t)(p->n_top - 1 - at);
    memmove(p->y + at + 1, p->y + at, move * sizeof *p->y);
    memmove(p->top + (at + 1) * p->dq, p->top + at * p->dq, move * row);
    p->y[at] = t->y;
    if (p->quantized)
        mgi_qtt_split(o->d, o->n, t->I, p->top + at * p->dq);
    else
        memcpy(p->top + at * p->dq, t->I, row);
}

static void protes_tell(mango_opt *o, const mgi_tells *t)
{
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        protes_rank(o, &row);
    }
}

/* Mean of log p, (4), of the first n rows of the elite. */
static double protes_loglik(mgi_protes *p, mango_idx n, const mango_alloc *al)
{
    double sum = 0.0, *ll = mgi_new(al, n, sizeof *ll);
    if (!ll)
        return MGI_NAN;
    mgi_tt_loglik(&p->tt, n, p->top, ll);
    for (mango_idx k = 0; k < n; k++)
        sum += ll[k] / (double)n;
    mgi_del(al, ll, n, sizeof *ll);
    return sum;
}

/* Between a tell and the next ask: the elite. After an ask: what the cores made of it. */
static void protes_explain(const mango_opt *o, mgi_str *s)
{
    mgi_protes *p = o->state;
    if (p->n_top > 0) {
        mgi_str_puts(s, "elite");
        for (mango_idx k = 0; k < p->n_top; k++)
            mgi_str_printf(s, " %.5g", o->minimize ? -p->y[k] : p->y[k]);
        mgi_str_printf(s, "; mean log p of it before the update %.3f\n",
                       protes_loglik(p, p->n_top, &s->al));
        return;
    }
    if (p->learnt > 0)
        mgi_str_printf(s, "%td steps of Adam, lr %g: mean log p of the elite is now %.3f\n",
                       p->k_gd, p->lr, protes_loglik(p, p->learnt, &s->al));
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

static void protes_restart(mango_opt *o, uint64_t epoch)
{
    mgi_protes *p = o->state;
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    p->n_top = p->learnt = 0;
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

static mango_status protes_alloc(mgi_protes *p)
{
    const mango_idx k_top = p->k_top, dq = p->dq;
    mango_idx rows;
    if (!mgi_mul(k_top, dq, &rows))
        return MANGO_E_MEM;
    mgi_arena *a = &p->arena;
    mgi_arena_plan(a, PROTES_BLOCK * dq, sizeof(mango_idx));
    mgi_arena_plan(a, rows, sizeof(mango_idx));
    mgi_arena_plan(a, k_top, sizeof(double));
    MGI_TRY(mgi_arena_commit(a));
    p->Iq = mgi_arena_take(a, PROTES_BLOCK * dq, sizeof(mango_idx));
    p->top = mgi_arena_take(a, rows, sizeof(mango_idx));
    p->y = mgi_arena_take(a, k_top, sizeof(double));
    return MANGO_OK;
}

static void protes_options(mango_opt *o, mgi_protes *p)
{
    o->batch = mgi_opt_int(o, "k");
    o->elite = p->k_top = mgi_opt_int(o, "k_top");
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
