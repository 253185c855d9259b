/* objective.h - the inside of an objective, shared by objective.c, objective_values.c,
 * ties.c and race.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OBJECTIVE_H
#define MGI_OBJECTIVE_H

#include "../base/mgi.h"
#include "mei.h"

/* One reading of the network; several targets may look into it. */
typedef struct mgi_look {
    mango_idx layer;
    mango_read what;
    mango_idx row;  /* floats of one picture */
    float *act;     /* (batch,row)           */
} mgi_look;

/* A target and where its value stands. */
typedef struct mgi_aim {
    mango_target t;
    int look;       /* index of the reading  */
    mango_idx at;   /* its place in a row    */
    int current;    /* index of the reading of what drives its neurons; -1: none */
} mgi_aim;

/* All that is looked at: it changes as a whole. */
typedef struct mgi_sight {
    mango_idx n;     /* targets                        */
    mgi_aim *aim;    /* (n)                            */
    mgi_look *look;  /* (2 n) of which n_looks are used */
    int n_looks;
    mgi_arena arena; /* what the readings fill         */
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

/* mgi_race - values of K <= batch pictures in o->rgb, NaN for the stopped ones. */
MGI_FN mango_status mgi_race(mango_objective *o, mango_idx K, double *y);

#endif
