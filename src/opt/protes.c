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

#define PROTES_BLOCK 16 /* samples drawn before their bits are joined */

typedef struct protes {
    mgi_tt tt;
    mgi_arena arena;
    mango_idx dq;          /* modes of the tensor train */
    mango_idx *Iq;         /* (PROTES_BLOCK, dq) samples before their bits are joined */
    mango_idx *top;        /* (k_top, dq) elite, best first */
    double *y;             /* (k_top) its values */
    mango_idx n_top;
} protes;

static mango_status protes_ask(mango_opt *o, mango_idx K, mango_idx *I)
{
    protes *p = o->state;
    if (p->n_top > 0)
        mgi_tt_learn(&p->tt, o->opt.k_gd, o->opt.lr, p->n_top, p->top);
    p->n_top = 0;
    if (!o->opt.quantized) {
        mgi_tt_sample(&p->tt, K, o->seed, o->asked, I);
        return MANGO_OK;
    }
    for (mango_idx k = 0; k < K; k += PROTES_BLOCK) {
        const mango_idx kn = MGI_MIN(PROTES_BLOCK, K - k);
        mgi_tt_sample(&p->tt, kn, o->seed, o->asked + (uint64_t)k, p->Iq);
        for (mango_idx i = 0; i < kn; i++)
            mgi_qtt_join(o->d, o->n, p->Iq + i * p->dq, I + (k + i) * o->d);
    }
    return MANGO_OK;
}

/* Keep the k_top best, best first; of equal values the one told first. */
static void protes_tell(mango_opt *o, mango_idx K, const mango_idx *I, const double *y)
{
    protes *p = o->state;
    const size_t row = (size_t)p->dq * sizeof *p->top;
    for (mango_idx k = 0; k < K; k++) {
        mango_idx at = p->n_top;
        while (at > 0 && y[k] > p->y[at - 1])
            at--;
        if (mgi_is_nan(y[k]) || at == o->opt.k_top)
            continue;
        p->n_top = MGI_MIN(p->n_top + 1, o->opt.k_top);
        const size_t move = (size_t)(p->n_top - 1 - at);
        memmove(p->y + at + 1, p->y + at, move * sizeof *p->y);
        memmove(p->top + (at + 1) * p->dq, p->top + at * p->dq, move * row);
        p->y[at] = y[k];
        if (o->opt.quantized)
            mgi_qtt_split(o->d, o->n, I + k * o->d, p->top + at * p->dq);
        else
            memcpy(p->top + at * p->dq, I + k * o->d, row);
    }
}

static void protes_restart(mango_opt *o, uint64_t epoch)
{
    protes *p = o->state;
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    p->n_top = 0;
}

static void protes_destroy(mango_opt *o)
{
    protes *p = o->state;
    if (!p)
        return;
    mgi_tt_free(&p->tt);
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status protes_alloc(mango_opt *o, protes *p)
{
    const mango_idx k_top = o->opt.k_top, dq = p->dq;
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

static mango_status protes_create(mango_opt *o, mango_err *err)
{
    protes *p = mgi_new(&o->al, 1, sizeof *p);
    if (!(o->state = p))
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory");
    mgi_arena_init(&p->arena, &o->al);
    const mango_idx dq = o->opt.quantized ? mgi_qtt_modes(o->d, o->n, NULL) : o->d;
    mango_idx *nq = mgi_new(&o->al, dq, sizeof *nq);
    if (!nq)
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory for %td modes", dq);
    if (o->opt.quantized)
        mgi_qtt_modes(o->d, o->n, nq);
    else
        memcpy(nq, o->n, (size_t)dq * sizeof *nq);
    p->dq = dq;
    mango_status st = mgi_tt_init(&p->tt, dq, nq, o->opt.r, o->opt.k_top, &o->al);
    mgi_del(&o->al, nq, dq, sizeof *nq);
    if (st == MANGO_OK)
        st = protes_alloc(o, p);
    if (st < 0)
        return mgi_fail(err, st, "protes: out of memory for %td cores of rank %td", dq,
                        o->opt.r);
    protes_restart(o, 0);
    return MANGO_OK;
}

static mango_idx protes_elite(const mango_opt_options *o)
{
    return o->k_top;
}

const mgi_method *mgi_method_protes(void)
{
    static const mgi_method method = {protes_create, protes_ask, protes_tell,
                                      protes_restart, protes_destroy, protes_elite, 0};
    return &method;
}

#undef PROTES_BLOCK
