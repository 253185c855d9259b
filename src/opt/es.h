/* es.h - evolution strategies that adapt a normal distribution: what they share.
 *
 *     x_k = m + sigma C^(1/2) z_k,  z_k ~ N(0,1)                               (38)-(40)
 *     <y> = sum_{i <= mu} w_i y_{i:lambda},  y = (x - m)/sigma                      (41)
 *     m <- m + sigma <y>                                                            (42)
 *     p_s <- (1-c_s) p_s + sqrt(c_s (2-c_s) mu_eff) C^(-1/2) <y>                    (43)
 *     sigma <- sigma exp(c_s/d_s (|p_s|/E|N(0,1)| - 1))                             (44)
 *     p_c <- (1-c_c) p_c + h sqrt(c_c (2-c_c) mu_eff) <y>                           (45)
 *     w_i' = w_i, where it is negative times d/|C^(-1/2) y_i|^2                     (46)
 *     C <- (1 + c_1 (1-h) c_c (2-c_c) - c_1 - c_mu sum w) C
 *              + c_1 p_c p_c^T + c_mu sum_i w_i' y_i y_i^T                          (47)
 * with the weights and rates of its table 1, (48)-(58).
 *
 * Values are only compared. Equal ones share their weights, and of a generation whose
 * values are all equal nothing is learnt. A generation ends with the tell that brings the
 * lambda-th value of an own proposal, missing ones counted; all that came until then is
 * ranked. Of codes that others proposed the best few since then are ranked too, and take no
 * negative weight. A step longer than sqrt(d) + 2d/(d+2) is cut to that (Hansen, "Injecting
 * external solutions into CMA-ES", 2011): of codes from elsewhere, of late ones, and where
 * levels are farther apart than sigma.
 * On a real interval, that goes back at its ends, an own step is the one that was drawn,
 * wherever its level is: so nothing is special about the ends.
 * Where values are noisy (facts.noisy) one proposal of a generation is the mean itself.
 * When the distribution has shrunk onto one code the search starts again.
 * Source: Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772, whose
 * equation numbers these are.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ES_H
#define MGI_ES_H

#include "transition.h"

typedef struct mgi_es mgi_es;

/* What C is: the part in which the strategies differ. */
typedef struct mgi_es_shape {
    const char *name;
    void (*reset)(mgi_es *e);                                  /* C = 1         */
    void (*stretch)(const mgi_es *e, const double *z, double *y); /* y = C^(1/2) z;  */
    void (*whiten)(const mgi_es *e, const double *y, double *z);  /* z = C^(-1/2) y  */
    void (*learn)(mgi_es *e, double keep);                     /* (47)          */
    double (*widest)(const mgi_es *e);                         /* max C_jj^(1/2) */
} mgi_es_shape;

/* A value and where it stands; its code's places are a row of x. */
typedef struct mgi_es_row {
    double y, tie, w;  /* w: its weight, (53), then (46) */
    uint64_t id;       /* MANGO_UNASKED: somebody else's */
} mgi_es_row;

/* Rates for one size of a generation, table 1. */
typedef struct mgi_es_rates {
    double mu_eff, c_s, d_s, c_c, c_1, c_mu;
} mgi_es_rates;

struct mgi_es {
    mgi_axes axes;
    const mgi_es_shape *shape;
    mango_idx d, lambda, inject;
    mango_idx cap;      /* rows: own ones, then from `cap` on those of others (inject) */
    mango_idx rows, others;
    mango_idx told;     /* own values since the last update, with missing ones    */
    int active, separable; /* negative weights; rates of a diagonal C            */
    double sigma, sigma0, fade; /* fade: (1 - c_s)^(2g)                           */
    double *m, *ps, *pc; /* (d)                                                  */
    double *C, *B, *D;  /* full: (d,d), rows of B the axes, D (d) their lengths;  */
                        /* diagonal: C (d) and D = C^(1/2), no B                 */
    mango_idx stale;    /* generations since B and D were taken from C           */
    double *x;          /* (cap + inject, d)                                     */
    double *drawn;      /* (cap, d) of proposal id at id % cap; NULL: no real modes */
    uint64_t *drawn_id; /* (cap) plus 1; 0: none                                 */
    mgi_es_row *row;    /* (cap + inject)                                        */
    mango_idx *order;   /* (cap + inject) rows, best first                       */
    double *work;       /* (2,d) and what the shape needs: work_n                */
    mango_idx work_n;
    mgi_es_rates rate;
    uint64_t generations, restarts;
};

/* Options of a strategy that mgi_es_create reads. */
#define MGI_ES_OPTIONS(K, SIGMA, ACTIVE)                                                  \
    {"k", "values of a generation; 0: 4 + 3 ln d", MANGO_OPT_INT, 0, 4096, (K), 0, NULL,  \
     NULL},                                                                               \
        {"sigma", "first step, in standard deviations of a mode; 0: on latents 1.4, else " \
         ".3, from 18 modes on .15", MANGO_OPT_REAL, 0, 10, (SIGMA), 0, NULL, NULL},      \
        {"active", "1: on real and latent modes the worst push away", MANGO_OPT_FLAG, 0,  \
         1, (ACTIVE), 0, NULL, NULL},                                                     \
        {"inject", "codes that others proposed, taken into a generation at most",         \
         MANGO_OPT_INT, 0, 64, 1, 0, NULL, NULL},                                         \
        MGI_AXES_OPTIONS

/* The strategy of shape s in o->state. full: C is a matrix. */
MGI_FN mango_status mgi_es_create(mango_opt *o, const mgi_es_shape *s, int full,
                                  mango_err *err);
/* The hooks of a method. Proposal k has its own stream of random numbers. */
MGI_FN mango_status mgi_es_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I);
MGI_FN void mgi_es_tell(mango_opt *o, const mgi_tells *t);
MGI_FN void mgi_es_restart(mango_opt *o, uint64_t epoch);
MGI_FN void mgi_es_destroy(mango_opt *o);
MGI_FN void mgi_es_explain(const mango_opt *o, mgi_str *s);
MGI_FN void mgi_es_why(const mango_opt *o, mango_idx k, mgi_str *s);

/* sep_cma.c: C is diagonal. */
MGI_FN const mgi_es_shape *mgi_es_diagonal(void);

#endif
