/* objective.h - the inside of an objective, shared by objective.c, sight.c, follow.c,
 * objective_values.c, ties.c and race.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OBJECTIVE_H
#define MGI_OBJECTIVE_H

#include "expression.h"

/* One reading of the network; several targets may look into it. */
typedef struct mgi_look {
    mango_idx layer;
    mango_read what;
    mango_idx row;  /* floats of one picture */
    float *act;     /* (batch,row)           */
} mgi_look;

/* What is made of a reading while time goes on: a mean over a window of steps, a latency, a
 * mean membrane (follow.c). */
typedef struct mgi_follow {
    mgi_leaf_kind kind;
    int look;           /* index of the reading, of every neuron or, of a latency, as act */
    int counts;         /* its values are spikes: sums over time are whole numbers        */
    mango_idx from, to; /* steps, both included                                           */
    mango_idx row, HW;  /* floats of one picture; numbers of the reading for each of them */
    double *sum;        /* (batch, row HW)                                                */
    float *act;         /* (batch,row)                                                    */
} mgi_follow;

/* Where the number of a leaf of an expression stands. */
typedef struct mgi_sees {
    int look;    /* index of the reading                                         */
    int follow;  /* index of what is made of it over time; -1: nothing           */
    int current; /* index of the reading of what drives its neurons; -1: none    */
} mgi_sees;

/* A target and where its value stands: one unit in a row, or an expression over several. */
typedef struct mgi_aim {
    mango_target t;
    int look;       /* index of the reading                                       */
    mango_idx at;   /* its place in a row                                         */
    int current;    /* index of the reading of what drives its neurons; -1: none  */
    mgi_expression *e; /* NULL: one unit                                          */
    mango_idx first;   /* its leaves' places begin here in `sees`                 */
} mgi_aim;

/* All that is looked at: it changes as a whole. */
typedef struct mgi_sight {
    mango_idx n;        /* targets                            */
    mgi_aim *aim;       /* (n)                                */
    mango_idx n_leaves; /* of all expressions                 */
    mgi_look *look;     /* (2 n + 2 n_leaves), n_looks used   */
    mgi_follow *follow; /* (n_leaves), n_follows used         */
    mgi_sees *sees;     /* (n_leaves)                         */
    double *y, *dy;     /* (n_leaves) scratch                 */
    int n_looks, n_follows;
    mgi_arena arena;    /* what the readings fill             */
} mgi_sight;

struct mango_objective {
    mango_alloc al;
    mgi_arena arena;
    const mango_net *network;
    mango_drawing *drawing;  /* NULL: pictures alone           */
    mango_plan *plan;        /* of the network                 */
    mango_objective_options opt;
    mango_idx d, batch;
    mango_idx C, H, W, size; /* of the picture; C*H*W          */
    mgi_sight see;
    mango_idx T;
    int sliced;              /* the plan can be run in slices  */
    float *rgb;              /* (batch,size)                   */
    mango_idx *drawn;        /* (batch,d) codes of which n_drawn pictures are in rgb */
    mango_idx n_drawn;
    char gen[65], net[65];
    mango_err err;
    /* early stop (race.c) */
    mango_idx elite;         /* 0: every query runs to its end */
    int minimize;
    double believed;         /* highest rate of the rest of a query */
    mango_idx *runs, *still; /* (batch) queries still running; their places in the plan */
    double *low, *rank;      /* (batch) counts; scratch        */
    mango_idx stopped;       /* queries so far that were cut   */
    double steps, steps_all; /* network steps made; without early stop */
    /* ties of the last evaluation (ties.c) */
    double *tie;             /* (cap_tie) */
    mango_idx n_tie, cap_tie;
};

/* mgi_ties_room - for the ties of an evaluation of K codes, when they are wanted: none are
 * known yet. mgi_ties_add - those of K <= batch codes that the network has just seen. */
MGI_FN mango_status mgi_ties_room(mango_objective *o, mango_idx K);
MGI_FN void mgi_ties_add(mango_objective *o, mango_idx K);

/* sight.c: targets, copied, and where they look; n of them, for batches of B and T steps.
 * mgi_sight_free is legal after a failure. */
MGI_FN mango_status mgi_sight_new(mgi_sight *s, const mango_objective *o, mango_idx n,
                                  const mango_target *t, mango_err *err);
MGI_FN void mgi_sight_free(mgi_sight *s, const mango_alloc *al);
/* Value of target j for picture k of those that the network has just seen; of an
 * expression its leaves' values are in s->y then. */
MGI_FN double mgi_sight_value(mgi_sight *s, mango_idx j, mango_idx k);

/* mgi_follow_run - K <= batch pictures, step by step where that is needed. mgi_follow_slice
 * - steps that the plan should be made for at a time; 0: mango_plan_run is enough. */
MGI_FN mango_status mgi_follow_run(mango_objective *o, mango_idx K, const float *rgb);
MGI_FN mango_idx mgi_follow_slice(const mgi_sight *s, mango_idx T);

/* mgi_race - values of K <= batch pictures in o->rgb, NaN for the stopped ones. */
MGI_FN mango_status mgi_race(mango_objective *o, mango_idx K, double *y);

#endif
