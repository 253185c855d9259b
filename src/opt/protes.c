/* protes.c - PROTES: optimization by sampling from a tensor train.
 *
 * ask:  K multi-indices drawn from the distribution p of the cores (tt.h).
 * tell: the k_top best of what was told since the last ask are the elite.
 * Before the next ask the cores take k_gd steps of Adam on the mean of -log p
 * over the elite:
 *     m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2
 *     G = G - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)          (1)
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets, "PROTES: probabilistic
 * optimization with tensor sampling", 2023; Adam: Kingma and Ba, 2015.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "tt.h"
#include <math.h>

#define PROTES_B1 0.9
#define PROTES_B2 0.999
#define PROTES_EPS 1e-8f
#define PROTES_CHUNK MGI_TT_PAD /* parameters of one inner loop of Adam */
#define PROTES_GRAIN 131072     /* parameters below which Adam stays on one thread */

typedef struct protes {
    mgi_tt tt;
    mgi_arena arena;
    mango_idx dq;          /* modes of the tensor train */
    mango_idx block, *Iq;  /* (block, dq) samples before their bits are joined */
    mango_idx *top;        /* (k_top, dq) elite, best first */
    double *y;             /* (k_top) its values */
    mango_idx n_top;
    float *g, *m, *v;      /* (padded) gradient and moments */
    double b1t, b2t;       /* b1^t, b2^t */
} protes;

/* (1) for one chunk. c1, c2: the two bias corrections. Loops of fixed length
 * become vector code; the root has its own, as compilers keep it scalar.
 * Moments below 1e-18 are dropped: eps rules there, and denormals are slow. */
static void protes_adam(float lr, float c1, float c2, const float *restrict g,
                        float *restrict m, float *restrict v, double *restrict G)
{
    const float a1 = (float)(1.0 - PROTES_B1), a2 = (float)(1.0 - PROTES_B2);
    const float b1 = (float)PROTES_B1, b2 = (float)PROTES_B2;
    float root[PROTES_CHUNK];
    for (int i = 0; i < PROTES_CHUNK; i++) {
        const float mi = b1 * m[i] + a1 * g[i];
        const float vi = b2 * v[i] + a2 * (g[i] * g[i]);
        m[i] = fabsf(mi) > 1e-18f ? mi : 0.0f;
        v[i] = vi > 1e-36f ? vi : 0.0f;
    }
    for (int i = 0; i < PROTES_CHUNK; i++)
        root[i] = sqrtf(c2 * v[i]);
    for (int i = 0; i < PROTES_CHUNK; i++)
        G[i] -= (double)(lr * (c1 * m[i]) / (root[i] + PROTES_EPS));            /* (1) */
}

static void protes_step(protes *p, double lr)
{
    mgi_tt_gradient(&p->tt, p->n_top, p->top, p->g);
    p->b1t *= PROTES_B1, p->b2t *= PROTES_B2;
    const float c1 = (float)(1.0 / (1.0 - p->b1t)), c2 = (float)(1.0 / (1.0 - p->b2t));
    const mango_idx size = p->tt.padded;
    MGI_OMP(parallel for if (size >= PROTES_GRAIN))
    for (mango_idx i = 0; i < size; i += PROTES_CHUNK)
        protes_adam((float)lr, c1, c2, p->g + i, p->m + i, p->v + i, p->tt.G + i);
    mgi_tt_touch(&p->tt);
}

static mango_status protes_ask(mango_opt *o, mango_idx K, mango_idx *I)
{
    protes *p = o->state;
    if (p->n_top > 0)
        for (mango_idx s = 0; s < o->opt.k_gd; s++)
            protes_step(p, o->opt.lr);
    p->n_top = 0;
    if (!o->opt.quantized) {
        mgi_tt_sample(&p->tt, K, o->seed, o->asked, I);
        return MANGO_OK;
    }
    for (mango_idx k = 0; k < K; k += p->block) {
        const mango_idx kn = MGI_MIN(p->block, K - k);
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
        if (y[k] != y[k] || at == o->opt.k_top)
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
    const size_t bytes = (size_t)p->tt.padded * sizeof(float);
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    memset(p->m, 0, bytes);
    memset(p->v, 0, bytes);
    p->b1t = p->b2t = 1.0;
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
    const mango_idx k_top = o->opt.k_top, dq = p->dq, size = p->tt.padded;
    mango_idx rows;
    if (!mgi_mul(k_top, dq, &rows))
        return MANGO_E_MEM;
    mgi_arena *a = &p->arena;
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, size, sizeof(float));
    mgi_arena_plan(a, p->block * dq, sizeof(mango_idx));
    mgi_arena_plan(a, rows, sizeof(mango_idx));
    mgi_arena_plan(a, k_top, sizeof(double));
    MGI_TRY(mgi_arena_commit(a));
    p->g = mgi_arena_take(a, size, sizeof(float));
    p->m = mgi_arena_take(a, size, sizeof(float));
    p->v = mgi_arena_take(a, size, sizeof(float));
    p->Iq = mgi_arena_take(a, p->block * dq, sizeof(mango_idx));
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
    p->dq = dq, p->block = 16;
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

const mgi_method *mgi_method_protes(void)
{
    static const mgi_method method = {protes_create, protes_ask, protes_tell, protes_restart,
                                      protes_destroy};
    return &method;
}

#undef PROTES_B1
#undef PROTES_B2
#undef PROTES_EPS
#undef PROTES_CHUNK
#undef PROTES_GRAIN
