/* ttloops.h - inner loops of tensor-train cores with many levels, eight at a time.
 *
 * A wide core, of MGI_TT_W levels or more, is stored in blocks of MGI_TT_W levels:
 * (ceil(n/W), r1, r2, W), level i in block i / W, lane i % W; its V and U are
 * (ceil(n/W), r1, W). Levels beyond n are zeros. So one vector holds the same
 * number of eight levels; sums over levels stay chains in ascending order, of which
 * several, of other ranks or other samples, run side by side. One plain body,
 * compiled for the base machine and for AVX2 (without fma: nothing can be
 * contracted); the loops of opt/tt.c, the oracle, give the same bits.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TTLOOPS_H
#define MGI_TTLOOPS_H

#include "../../base/mgi.h"

#define MGI_TT_W 8      /* levels of a block */
#define MGI_TT_BLOCK 16 /* samples that advance together */
#define MGI_TT_B1 0.9   /* Adam */
#define MGI_TT_B2 0.999
#define MGI_TT_EPS 1e-8f

#if defined(__GNUC__) && defined(__OPTIMIZE__)
#define MGI_TT_INLINE static inline __attribute__((always_inline))
#elif defined(__GNUC__) /* without optimization gcc cannot inline a function passed on */
#define MGI_TT_INLINE static inline
#else
#define MGI_TT_INLINE static
#endif

/* MGI_TT_UNROLL goes before a loop over ranks: gcc unrolls it at -O2 only when told. */
#if defined(__GNUC__) && !defined(__clang__)
#define MGI_TT_UNROLL _Pragma("GCC unroll 5")
#else
#define MGI_TT_UNROLL
#endif

/* One step of Adam, (5) of tt.h; c1, c2: the two bias corrections. */
typedef struct mgi_tt_rule {
    float lr, c1, c2;
} mgi_tt_rule;

/* What the gradient of one wide core is made of, see mgi_tt_gradient. */
typedef struct mgi_tt_part {
    mango_idx n, r1, r2, K;
    const double *U, *z, *gz; /* U_j, z_{j+1}, (r1) d/dz_j                           */
    double zs, w;             /* the power of two in z_j; -1/K                       */
    const mango_idx *I;       /* level of row k at I[k*d]                            */
    mango_idx d, ld;
    const double *l, *c2, *ls; /* of row k: l_j at l + k*ld, d/dl_{j+1} at c2 + k*ld, scale */
    double *G;
    float *g, *m, *v;         /* g: where the gradient goes; NULL: into a step of Adam */
} mgi_tt_part;

typedef struct mgi_tt_loops {
    /* (5) for n parameters, n a multiple of 8. */
    void (*adam)(mango_idx n, const mgi_tt_rule *r, const float *g, float *m, float *v,
                 double *G);
    /* V[i] = G[i] z, z1 = sum_i V[i]: (1) for one core. */
    void (*right)(mango_idx n, mango_idx r1, mango_idx r2, const double *G, const double *z,
                  double *V, double *z1);
    /* P(i,k) = |q[0]| + .. + |q[i]| for K <= MGI_TT_BLOCK samples, (3); l (r1, MGI_TT_BLOCK),
     * zeros from K on; P (n, K rounded up to a multiple of 4). */
    void (*running)(mango_idx n, mango_idx r1, mango_idx K, const double *V, const double *l,
                    double *P);
    /* (3) for one row and what it says to U and c, as tt_condition of tt.c; q: n rounded
     * up to blocks. */
    double (*condition)(mango_idx n, mango_idx r1, const double *V, const double *l,
                        mango_idx ij, double *q, double *U, double *c);
    /* gz2 = d/dz_{j+1} = sum over i, a of (U[i][a] + zs gz[a]) G[i][a]. */
    void (*through)(mango_idx n, mango_idx r1, mango_idx r2, const double *G, const double *U,
                    double zs, const double *gz, double *gz2);
    /* The gradient of blocks from .. to-1, or one step of Adam down it. */
    void (*descend)(const mgi_tt_part *p, const mgi_tt_rule *r, mango_idx from, mango_idx to);
} mgi_tt_loops;

/* The loops that go with the kernel set in force; NULL for the plain one, which
 * knows no wide cores. */
MGI_FN const mgi_tt_loops *mgi_tt_loops_get(void);

#endif
