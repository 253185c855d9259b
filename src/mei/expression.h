/* expression.h - a target as it is computed: leaves that look into the network, and a list
 * of operations over them.
 *
 * target.c        the text of a target: a unit, or an expression
 * target_parse.c  the grammar
 * target_leaf.c   leaves checked against their layers; vectors from files
 * expression.c    values and derivatives
 * SPDX-License-Identifier: MIT */
#ifndef MGI_EXPRESSION_H
#define MGI_EXPRESSION_H

#include "../base/mgi.h"
#include "mei.h"

typedef enum mgi_leaf_kind {
    MGI_LEAF_VALUE,   /* mean over steps: spikes per step, or the value       */
    MGI_LEAF_SOFTMAX, /* of the means of a layer without a map                */
    MGI_LEAF_LATENCY, /* 1 - L/T, L the steps before the first spike, or T    */
    MGI_LEAF_MEMBRANE /* mean over steps of the membrane                      */
} mgi_leaf_kind;

/* What becomes of a layer's numbers. */
typedef enum mgi_leaf_over {
    MGI_OVER_UNIT, /* one channel or one neuron  */
    MGI_OVER_MEAN, /* of all channels            */
    MGI_OVER_MAX,
    MGI_OVER_MIN,
    MGI_OVER_VECTOR /* sum of vector times number */
} mgi_leaf_over;

typedef struct mgi_leaf {
    mgi_leaf_kind kind;
    mgi_leaf_over over;
    mango_idx layer, unit, y, x; /* y = x = -1: the whole channel                   */
    mango_idx C, H, W;           /* of the layer                                    */
    int spiking, timed;
    mango_idx from, to;          /* steps, both included; from = -1: all            */
    float *vector;               /* (n_vector) of MGI_OVER_VECTOR                   */
    mango_idx n_vector;          /* C: by channel; C H W: by neuron                 */
} mgi_leaf;

typedef enum mgi_do {
    MGI_DO_NUMBER,
    MGI_DO_LEAF,
    MGI_DO_ADD,
    MGI_DO_SUB,
    MGI_DO_MUL,
    MGI_DO_DIV,
    MGI_DO_MAX,
    MGI_DO_MIN
} mgi_do;

/* An operation over the results of earlier ones. */
typedef struct mgi_doing {
    mgi_do what;
    int a, b; /* operations; of MGI_DO_LEAF: a is the leaf */
    double v; /* of MGI_DO_NUMBER                          */
} mgi_doing;

/* The result of the last operation is the target's value. */
typedef struct mgi_expression {
    mango_alloc al;
    mgi_leaf *leaf;
    mgi_doing *doing;
    double *value, *slope; /* (cap) of each operation: scratch */
    int n_leaves, n_doings, cap;
    char *text;            /* a copy, NULL: none               */
    char vectors[65];      /* SHA-256 of all vectors, "": none */
} mgi_expression;

/* mgi_expression_parse - a target's text; names and ranges are checked against the net,
 * vectors are read. mgi_expression_unit - one unit, of a target that is no expression. */
MGI_FN mango_status mgi_expression_parse(mgi_expression **e, const mango_net *net,
                                         const char *text, const mango_alloc *al,
                                         mango_err *err);
MGI_FN mango_status mgi_expression_unit(mgi_expression **e, const mango_net *net,
                                        const mango_target *t, const mango_alloc *al,
                                        mango_err *err);
MGI_FN mgi_expression *mgi_expression_new(int cap, const mango_alloc *al);
MGI_FN void mgi_expression_free(mgi_expression *e);
/* A unit over all steps and nothing else? */
MGI_FN int mgi_expression_plain(const mgi_expression *e);
/* MANGO_E_ARG when a window of steps ends behind T. */
MGI_FN mango_status mgi_expression_steps(const mgi_expression *e, mango_idx T, mango_err *err);

/* mgi_expression_value - from y (n_leaves). mgi_expression_slopes - dy (n_leaves), the
 * derivative by each leaf at the place of the last value; of a maximum that of the first
 * of the largest. */
MGI_FN double mgi_expression_value(mgi_expression *e, const double *y);
MGI_FN void mgi_expression_slopes(mgi_expression *e, double *dy);

/* Leaves. A row has n = C numbers, one for each channel, or n = C H W, one for each neuron:
 * mgi_leaf_by_neuron - does this leaf want the second?
 * mgi_leaf_value     - of a row of means over steps (latency: of values 1 - L/T).
 * mgi_leaf_slopes    - adds g times its derivative by each number to d (n). */
MGI_FN int mgi_leaf_by_neuron(const mgi_leaf *l);
MGI_FN double mgi_leaf_value(const mgi_leaf *l, mango_idx n, const float *row);
MGI_FN void mgi_leaf_slopes(const mgi_leaf *l, mango_idx n, const float *row, double g,
                            double *d);

/* target_leaf.c: leaf against its layer, whose index it has; its vector, added to the
 * digest of all. */
MGI_FN mango_status mgi_leaf_layer(mgi_leaf *l, const mango_net *net, mango_err *err);
MGI_FN mango_status mgi_leaf_vector(mgi_leaf *l, const char *path, const mango_alloc *al,
                                    mango_err *err);

#endif
