/* objective_gradient.h - the inside of a derivative, for its tests too.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OBJECTIVE_GRADIENT_H
#define MGI_OBJECTIVE_GRADIENT_H

#include "../net/tape.h"
#include "expression.h"

/* A network on a tape, with values of its parameters of its own: those of the network may
 * be halves in a file, or given away to a plan. */
typedef struct mgi_taped {
    const mango_net *net;
    mgi_tape *tape;
    float *w;         /* (n_w) */
    mango_idx n_w;
} mgi_taped;

struct mango_derivative {
    mango_alloc al;
    mgi_taped gen, eye; /* eye: the network that looks */
    mango_space *space;
    mango_space_info info;
    mango_target t;
    mgi_expression *e;  /* NULL: one unit, t                                        */
    int n_layers, layer[MGI_TAPE_KEEP + 1]; /* that e looks at; the first is the deepest, where
                           the tape ends */
    float *inject[MGI_TAPE_KEEP]; /* (inject_n) derivatives by the values of the others   */
    mango_idx inject_n[MGI_TAPE_KEEP];
    mango_idx row_n;    /* the longest row of a leaf                                 */
    float *row;         /* (row_n) */
    double *slope;      /* (row_n) */
    double *y, *dy;     /* (e->n_leaves) */
    mango_idx B, T, d, m; /* m: numbers by which a mode is derived */
    mango_idx in, size;   /* floats of what the generator is given, of a picture */
    float *z;           /* (B,d) */
    float *given;       /* (B,in) */
    float *x, *through; /* (B,size) what the network sees; its derivative by the picture */
    double *mean;       /* (C) of the target's layer */
    int exact;          /* 1: pictures are not rounded to 8 bits (tests) */
    mango_err err;
};

/* objective_gradient_terms.c: for an expression. Which layers it looks at, MANGO_E_UNSUPPORTED
 * for a leaf without a derivative; memory, and the check of the tape, which is there; its
 * value for picture k of b, and where its derivative starts. */
MGI_FN mango_status mgi_derivative_layers(mango_derivative *x, mango_err *err);
MGI_FN mango_status mgi_derivative_terms(mango_derivative *x, mango_err *err);
MGI_FN double mgi_derivative_term(mango_derivative *x, mango_idx b, mango_idx k);
MGI_FN void mgi_derivative_terms_free(mango_derivative *x);

/* Values y (b) and derivatives dy of what stands in `given`, b <= B. */
MGI_FN mango_status mgi_derivative_at(mango_derivative *x, mango_idx b, double *y, float *dy);

#endif
