/* neurons.h - LIF layers whose rule is not plain (lif.h): constants of each neuron, synaptic
 * currents, recurrence, the membrane read out. For a plan's step and for tapes.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_NEURONS_H
#define MGI_NEURONS_H

#include "graph.h"
#include "lifrule.h"

/* Values of a layer's parameters; NULL: it has none of that. */
typedef struct mgi_neurons_values {
    const float *cell[MGI_CELLS], *weight, *bias;
} mgi_neurons_values;

/* A layer of n neurons a map, in the order of values (H,W,C), made ready. */
typedef struct mgi_neurons {
    const mgi_node *g;
    mgi_lif_rule rule;
    float rest;
    mango_idx n;
    const float *cell[MGI_CELLS]; /* (n), clamped; NULL: the rule's                       */
    const float *W;  /* recurrence: all: W transposed (n,n); a convolution: packed; NULL  */
    const float *b;  /* with W: (C)                                                       */
} mgi_neurons;

/* Floats of state that each neuron carries from step to step: its membrane, its current,
 * its last spike and what comes back of it. */
MGI_FN mango_idx mgi_neurons_state(const mgi_node *g);
/* Floats of what is made ready; 0: nothing. Pack writes them; the view points into them. */
MGI_FN mango_idx mgi_neurons_packed(const mgi_node *g);
MGI_FN void mgi_neurons_pack(const mgi_node *g, const mgi_neurons_values *w, float *packed);
MGI_FN mgi_neurons mgi_neurons_view(const mgi_node *g, const float *packed);
/* Lists the parameters that the rule asks for. */
MGI_FN void mgi_neurons_params(mango_net *n, mgi_node *q);
/* A finished net's layer gets a parameter for this constant; its index, -1 after an error. */
MGI_FN int mgi_neurons_own(mango_net *n, mgi_node *q, mgi_cell cell, mango_lif_per per,
                           mango_err *err);
/* What a parameter must be: (1), (C) or (C,H,W). Its rank. */
MGI_FN int mgi_neurons_shape(const mgi_node *q, int per, mango_idx shape[3]);

/* T steps of B maps, t slowest. */
typedef struct mgi_neurons_run {
    mango_idx T, B;
    const float *X;  /* step t of map k: n currents at X + t*ldX + k*n            */
    mango_idx ldX;
    float *state;    /* (B,state,n): what belongs to a map is together            */
    int first;       /* 1: begins at rest, else where the last run ended          */
    float *y;        /* (T,B,n) what the layer gives on, or                       */
    uint64_t *bits;  /* its spikes as words of its pixels                         */
    float *work;     /* mgi_neurons_work floats                                   */
} mgi_neurons_run;
MGI_FN mango_idx mgi_neurons_work(const mgi_node *g);
MGI_FN void mgi_neurons_forward(const mgi_neurons *l, const mgi_neurons_run *r);
/* R (n), of each of B maps: what comes back of the spikes P (n) of its last step. Those of
 * the next map are `ld` floats further. */
MGI_FN void mgi_neurons_back(const mgi_neurons *l, mango_idx B, mango_idx ld, const float *P,
                             float *R, float *work);


/* Gradients, neurons_grad.c: dcell, dW, db of parameters are added to where not NULL; dX is
 * overwritten, NULL: not wanted. */
typedef struct mgi_neurons_grad {
    mango_idx T, B;
    const float *X;   /* as in mgi_neurons_run                                    */
    mango_idx ldX;    /* 0: the same X (B,n) at each step, and dX (B,n) is summed */
    const float *dy;  /* (T,B,n) of what the layer gives on                       */
    float *dX;        /* (T,B,n) or (B,n)                                         */
    const float *cell[MGI_CELLS]; /* values of the parameters, and how many       */
    mango_idx count[MGI_CELLS];
    float *dcell[MGI_CELLS];
    const float *weight; /* recurrent, as the parameter is                        */
    float *dW, *db;
    float *work;      /* mgi_neurons_grad_work floats                             */
} mgi_neurons_grad;
MGI_FN mango_idx mgi_neurons_grad_work(const mgi_node *g, mango_idx T, mango_idx B);
MGI_FN void mgi_neurons_backward(const mgi_neurons *l, const mgi_neurons_grad *q);

#endif
