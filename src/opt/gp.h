/* gp.h - Gaussian-process regression: what a function is likely to be between points
 * where it is known.
 *
 *   y_i = f(x_i) + e_i,  f ~ GP(0, k),  e_i ~ N(0, noise + v_i)
 *   k(x,x') = lin x.x'/u + rbf exp(-|x-x'|^2 / (2 length^2 u))                         (1)
 *   K + N = L L^T                       K_ij = k(x_i,x_j), N the noise                 (2)
 *   mean(x) = k(x)^T alpha,             alpha = L^-T L^-1 y,  k(x)_i = k(x_i,x)        (3)
 *   var(x) = s (k(x,x) - |L^-1 k(x)|^2)                                                (4)
 *   log p(y) = -n/2 log(2 pi s) - y^T alpha/(2 s) - sum_i log L_ii     the evidence    (5)
 *   s = y^T alpha / n, which maximizes (5); 1 where some v_i is not 0                  (6)
 * u is the variance of the points, the mean of |x_i - mean x|^2, as it was when the rule
 * was last chosen: lengths are in units of the cloud of points. Targets should have mean
 * 0 and variance about 1 (normal scores: mgi_scores), features mean about 0.
 * Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006:
 * (2)-(4) algorithm 2.1, (5) equation (2.30), (1) section 4.2.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_GP_H
#define MGI_GP_H

#include "../math/kernel/kernels.h"

#define MGI_GP_BLOCK 32 /* rows of L that are solved for together */

/* The setting of (1) and the noise every point has; lin, rbf >= 0, length, noise > 0. */
typedef struct mgi_gp_rule {
    double lin, rbf, length, noise;
} mgi_gp_rule;

typedef struct mgi_gp {
    mgi_arena arena;
    const mgi_kernels *k;
    mango_idx dim, cap, n;
    mango_idx factored; /* rows of L that belong to the points and the rule        */
    int solved;         /* v and alpha belong to L and y                           */
    int noisy;          /* some v_i is not 0                                       */
    int cloud;          /* u is known                                              */
    mgi_gp_rule rule;
    double u, s;
    float *X;           /* (n, dim) points                                         */
    float *G;           /* (n, cap) x_i.x_j                                        */
    float *L;           /* (n, cap) lower triangle                                 */
    float *D;           /* (blocks, BLOCK, BLOCK) -1/(diagonal blocks of L)        */
    float *W, *P, *T;   /* a panel of nr columns: (cap, nr), (dim, nr), (BLOCK, nr) */
    double *y, *noise;  /* (n) targets; v_i                                        */
    double *v, *alpha;  /* (n) L^-1 y; (3)                                         */
} mgi_gp;

/* mgi_gp_init - room for cap >= 1 points of dim >= 1 features: 4 cap (dim + 2 cap)
 * bytes and a little; nothing is allocated later. MANGO_OK or MANGO_E_MEM;
 * mgi_gp_free is legal after both. Threads: one object belongs to one thread. */
MGI_FN mango_status mgi_gp_init(mgi_gp *g, mango_idx dim, mango_idx cap,
                                const mango_alloc *al);
MGI_FN void mgi_gp_free(mgi_gp *g);

/* mgi_gp_add - K more points x (K,dim), finite, n + K <= cap, with targets 0; v (K)
 * their own noise variances, NULL: 0. Cost K n dim.
 * mgi_gp_keep - of the points only `row` (n), ascending. mgi_gp_keep(g, 0, NULL): none.
 * mgi_gp_targets - y (n) of all points, finite.
 * mgi_gp_noise - v (n) of all points, >= 0; NULL: 0. */
MGI_FN void mgi_gp_add(mgi_gp *g, mango_idx K, const float *x, const double *v);
MGI_FN void mgi_gp_keep(mgi_gp *g, mango_idx n, const mango_idx *row);
/* mgi_gp_add_dots - one more point that is known by dots (n+1) alone, its products with the
 * points 0 .. n, itself the last: for features that need not be written down. A set of such
 * points can be asked for alpha, not for predictions.
 * mgi_gp_alpha - alpha (n) of (3), owned by the GP, good until it changes. */
MGI_FN void mgi_gp_add_dots(mgi_gp *g, const float *dots);
MGI_FN const double *mgi_gp_alpha(mgi_gp *g);
MGI_FN void mgi_gp_targets(mgi_gp *g, const double *y);
MGI_FN void mgi_gp_noise(mgi_gp *g, const double *v);

/* mgi_gp_choose - that of `count` >= 1 rules whose evidence is the highest, of equal ones
 * the first, and u of the points as they are; returns its number. Cost
 * count (n^3/3 + 20 n^2): the x_i.x_j are kept.
 * mgi_gp_evidence - (5) of the rule in force; 0 without points.
 * After points were added only their rows of L are made; the same bits as all anew. */
MGI_FN mango_idx mgi_gp_choose(mgi_gp *g, mango_idx count, const mgi_gp_rule *rule);
MGI_FN double mgi_gp_evidence(mgi_gp *g);

/* mgi_gp_predict - (3) and (4) for m points x (m,dim): mean (m), var (m) of f, without
 * noise, or NULL. Without points: mean 0. Each point's result is the same bits whatever
 * stands beside it. Cost m n (dim + n); without var m n dim. */
MGI_FN void mgi_gp_predict(mgi_gp *g, mango_idx m, const float *x, double *mean, double *var);

/* mgi_gp_slope - d mean/dx at point i of the set into slope (dim): of (1), (3)
 *   sum_i alpha_i (lin x_i/u + rbf exp(..) (x_i - x)/(length^2 u)). Cost n dim. */
MGI_FN void mgi_gp_slope(mgi_gp *g, mango_idx i, float *slope);

/* ---- scores.c ------------------------------------------------------------- */
/* mgi_order - numbers 0..n-1 into `order`, best first: larger y, then larger tie (NULL:
 * none), then the smaller number. y without NaN. n log n, nothing allocated.
 * mgi_scores - z_i = Phi^-1((r_i + 1/2)/n) of the rank r_i from the worst, equal ones
 * share the mean of their ranks; order (n) is scratch, filled as by mgi_order. */
MGI_FN void mgi_order(mango_idx n, const double *y, const double *tie, mango_idx *order);
MGI_FN void mgi_scores(mango_idx n, const double *y, const double *tie, mango_idx *order,
                       double *z);

#endif
