/* gradient.h - what gradient.c and gradient_swap.c share.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_GRADIENT_H
#define MGI_GRADIENT_H

#include "elite.h"

enum {
    MGI_SWAPS = 32,            /* swaps of a code that are tried: one a mode, the best */
    MGI_CLIMB_NOTES = 1 << 11, /* proposals whose climb is known */
    MGI_CLIMB_SEEN = 1 << 12   /* marks of codes where a climb by steps stood */
};

typedef struct mgi_swap {
    mango_idx mode, level;
    double slope, size;    /* g . (e_new - e_now), |e_new - e_now|^2 */
    double gain;
} mgi_swap;

/* One ascent from one start. */
typedef struct mgi_climb {
    uint64_t version;      /* changes with every code that it stands on */
    mango_idx *I;          /* (d) the code it stands on */
    double y, tie;         /* its value, NaN: not known yet; its tie */
    int shown;             /* the code was proposed */
    /* by steps */
    double *z, *m, *v;     /* (d) the real levels; the moments of (2) */
    double best;
    mango_idx steps, idle; /* of this start; since the best of it */
    /* by swaps */
    mgi_swap swap[MGI_SWAPS];
    mango_idx n_swaps, next; /* next: candidate to be proposed; ready: there are such */
    int ready;
    double bent;           /* the curvature that they were listed with */
    mango_idx *better;     /* (d) the best candidate told, */
    double better_y, better_tie; /* its value, NaN: none is better than y; its tie */
} mgi_climb;

typedef struct mgi_climb_note {
    uint64_t id;           /* plus 1; 0: none */
    uint64_t version, hash;
    mango_idx climb, what; /* what: step or candidate; -1: a start, -2: a mutant */
} mgi_climb_note;

typedef struct mgi_ascent {
    mgi_climb *climb;      /* (starts) */
    mango_idx starts, m, patience, *rows;
    double lr;
    int swaps;             /* by swaps of a codebook's levels; else by steps */
    double bend;           /* curvature by swaps, of all climbs; NaN: nothing seen yet */
    uint64_t drawn, versions;
    uint64_t *seen;        /* (MGI_CLIMB_SEEN) hash of a code, at hash % MGI_CLIMB_SEEN */
    mgi_climb_note *note;  /* (MGI_CLIMB_NOTES) */
    mango_idx *I;          /* (starts, d) of a call, */
    double *y;             /* (starts) */
    float *dy;             /* (starts, d, m) */
} mgi_ascent;

/* A fresh code into I (d): a reference code, else one of the prior or uniform; stand on
 * such a one. */
MGI_FN void mgi_climb_draw(mango_opt *o, mango_idx *I);
MGI_FN void mgi_climb_fresh(mango_opt *o, mgi_climb *c);
/* Values and derivatives of n codes in I, to be maximized. */
MGI_FN mango_status mgi_ascent_call(mango_opt *o, mango_idx n);

/* gradient_swap.c: values told since the last ask; swaps of climbs that have none yet; the
 * next proposal of climb i into I (d), noted; a told row. */
MGI_FN mango_status mgi_swap_ready(mango_opt *o);
MGI_FN void mgi_swap_propose(mango_opt *o, mango_idx i, mgi_climb_note *note, mango_idx *I);
MGI_FN void mgi_swap_tell(mango_opt *o, const mango_told *t);

#endif
