/* tt.h - a tensor train as a probability distribution over multi-indices. A picture of it,
 * and the same written to be read instead of fast: protes_plain.c.
 *
 *   w(i_1..i_d) = G_1[i_1] G_2[i_2] ... G_d[i_d],  G_j[i] an (r_j, r_{j+1}) matrix
 *
 * Read from the left, each index has its own distribution given those before:
 *
 *   z_{d+1} = 1,  z_j = sum_i G_j[i] z_{j+1}                interface vectors  (1)
 *   l_1 = 1,      l_{j+1} = l_j G_j[i_j]                    left vectors       (2)
 *   q_j[i] = l_j G_j[i] z_{j+1},  p(i | i_1..i_{j-1}) = |q_j[i]| / sum |q_j|  (3)
 *   log p(i_1..i_d) = sum_j log p(i_j | i_1..i_{j-1})                         (4)
 *
 * p does not change when z_j or l_j is scaled, so both are held in range by
 * powers of two, which are exact. Cores may become negative; (3) is the only
 * place where an absolute value is taken. All in double, sums in one written
 * order: the same bits on every machine.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets 2023 (PROTES), the equations.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TT_H
#define MGI_TT_H

#include "../base/rng.h"
#include "../base/text.h"
#include "../math/kernel/ttloops.h"

typedef struct mgi_tt {
    mgi_arena arena;
    mango_idx d, rmax, nmax, rows;
    mango_idx narrow, np;    /* the most levels of a core that is not wide; of
                              * wide ones the most running sums of a draw      */
    const mgi_tt_loops *loops; /* NULL: plain, without wide cores              */
    mango_idx size, padded;  /* parameters of all cores; rounded up, zeros     */
    mango_idx *n, *r;        /* (d) levels, (d+1) ranks, r[0] = r[d] = 1       */
    mango_idx *off, *voff;   /* (d+1) where core j, where V_j begins           */
    double *G;               /* core j: (n_j, r_j, r_{j+1}) at G + off[j]; a
                              * wide one in the order of ttloops.h: mgi_tt_at  */
    float *g, *m, *v;        /* (padded) gradient and moments of Adam          */
    double b1t, b2t;         /* b1^t, b2^t after t steps                       */
    double *z, *zs;          /* (d+1, rmax) z_j; (d) the power of two in it    */
    double *V, *U;           /* (n_j, r_j): V_j[i] = G_j[i] z_{j+1}; U: d/dV   */
    double *L, *C, *ls;      /* (d+1, rows, rmax) l_j, d/dl_j; (d, rows) scale */
    double *gz;              /* (d+1, rmax) d/dz_j                             */
    double *q, *core;        /* scratch: (nmax), (narrow, rmax, rmax)          */
    double *lt, *P;          /* of draws from wide cores: (rmax, block), (np)  */
    int fresh;               /* z and V belong to the cores as they are        */
    const double *w;         /* weights of the rows of a gradient, > 0; NULL: 1 each; lent */
} mgi_tt;

/* Is core j wide? Where is G_j[i][a][b], of either kind? */
static inline int mgi_tt_wide(const mgi_tt *t, mango_idx j)
{
    return t->loops && t->n[j] >= MGI_TT_W;
}
static inline mango_idx mgi_tt_at(const mgi_tt *t, mango_idx j, mango_idx i, mango_idx a,
                                  mango_idx b)
{
    const mango_idx r1 = t->r[j], r2 = t->r[j + 1];
    if (!mgi_tt_wide(t, j))
        return t->off[j] + (i * r1 + a) * r2 + b;
    return t->off[j] + ((i / MGI_TT_W * r1 + a) * r2 + b) * MGI_TT_W + i % MGI_TT_W;
}

/* mgi_tt_init - allocate. n (d) levels >= 1; r the inner rank >= 1; rows: how
 * many multi-indices a gradient, and a block of samples, may have.
 * Returns MANGO_OK or MANGO_E_MEM; mgi_tt_free is legal after both. */
MGI_FN mango_status mgi_tt_init(mgi_tt *t, mango_idx d, const mango_idx *n, mango_idx r,
                                mango_idx rows, const mango_alloc *al);
MGI_FN void mgi_tt_free(mgi_tt *t);

/* mgi_tt_uniform - every core uniform in [0,1), stream (seed, purpose, index0 + j),
 * and Adam forgets its past. */
MGI_FN void mgi_tt_uniform(mgi_tt *t, uint64_t seed, uint64_t index0);
/* mgi_tt_touch - to be called after the caller wrote G. */
MGI_FN void mgi_tt_touch(mgi_tt *t);

/* mgi_tt_sample - K multi-indices I (K,d) from p. Row k draws from its own
 * stream (seed, purpose, first + k), so K samples at once or one by one are
 * the same. Where (3) is 0/0 the index is uniform. Cost O(K sum n r + K d r^2). */
MGI_FN void mgi_tt_sample(mgi_tt *t, mango_idx K, uint64_t seed, uint64_t first,
                          mango_idx *I);

/* mgi_tt_loglik - (4) for K rows, any K; -inf where p = 0. */
MGI_FN void mgi_tt_loglik(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll);

/* mgi_tt_gradient - g (size), in the order of G: d/dG of the mean over K <= rows rows
 * of -log p, each times its weight where t->w is given.
 * An index of probability zero, or a 0/0, adds no term of its own. Entries are
 * held within +-1e15 so that their squares stay finite in Adam.
 * Cost O(sum n r^2 + K d r^2). */
MGI_FN void mgi_tt_gradient(mgi_tt *t, mango_idx K, const mango_idx *I, float *g);

/* mgi_tt_learn - steps of Adam (b1 .9, b2 .999, eps 1e-8) down that gradient:
 *     m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2
 *     G = G - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)            (5)
 * g, m, v are floats: their memory is what a step costs. Source: Kingma, Ba 2015. */
MGI_FN void mgi_tt_learn(mgi_tt *t, mango_idx steps, double lr, mango_idx K,
                         const mango_idx *I);

/* tt_explain.c: how decided each mode is, and the levels of the most decided ones. */
MGI_FN void mgi_tt_explain(const mgi_tt *t, mgi_str *s);

/* ttwide.c: for a wide core j, what the functions of tt.c do for others. Draw K <=
 * MGI_TT_BLOCK levels; the pass from the left; the chain back; the gradient's parts. */
MGI_FN void mgi_ttw_draw(mgi_tt *t, mango_idx j, mango_idx K, mango_rng *rng, mango_idx *I);
MGI_FN void mgi_ttw_forward(mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I,
                            double *ll);
MGI_FN void mgi_ttw_back(mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I);
MGI_FN mgi_tt_part mgi_ttw_part(const mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I,
                                float *g);

#endif
