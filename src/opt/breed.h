/* breed.h - how a search gets new codes: from a prior, from reference codes, or as children
 * of parents and mates by the operators of crossover.h.
 *
 *   parent of rank r = 0 .. n-1 with weight exp(-r/s), s = n/3                        (1)
 *   its mate: with probability `alien` one of the mates (reference codes), else
 *   another parent by (1)                                                             (2)
 *   crossover of a grid H x W, h = min(H,W): in .12 of cases (5) of crossover.h, tiles of
 *   1/4 to 1/2 h in a box of 1/2 to all of h; of the rest .25 uniform with p of .1, .3 or .5,
 *   else a block of a cell to 3/4 h, .35 of them shifted                              (3)
 *   crossover without a grid: uniform or two-point, as often                          (4)
 *   mutation: each mode with one probability, uniform in 0 .. `mutation`              (5)
 *
 * A child that is known already is made anew, with ever more mutation.
 * (1) Baker, "Adaptive selection methods for genetic algorithms", 1985 (ranks); the rest ours.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_BREED_H
#define MGI_BREED_H

#include "crossover.h"
#include "population.h"

enum { MGI_BREED_PARENTS = 64 };

typedef struct mgi_breed {
    double alien, mutation;
    mango_idx n;                                /* parents, <= MGI_BREED_PARENTS       */
    const mango_idx *parent[MGI_BREED_PARENTS]; /* (n) their codes, the best first     */
    double share[MGI_BREED_PARENTS];            /* (n) sums of the weights (1)         */
    const mango_idx *codes;                     /* reference codes (.,d), or NULL      */
    mango_idx n_mates;
    const mango_idx *mate;                      /* (n_mates) of the reference codes    */
} mgi_breed;

typedef enum mgi_breed_how {
    MGI_BREED_PRIOR, MGI_BREED_REFERENCE, MGI_BREED_UNIFORM, MGI_BREED_TWO_POINT,
    MGI_BREED_BLOCK, MGI_BREED_SHIFTED, MGI_BREED_TILE
} mgi_breed_how;

/* How one code came about: for people. */
typedef struct mgi_descent {
    mgi_breed_how how;
    mango_idx a, b;     /* ranks of parent and mate; of a reference code its number */
    int alien;          /* b is the number of a reference code                      */
    mgi_box to, from;   /* of cells, where there are boxes                          */
    mango_idx mutated;
} mgi_descent;

/* mgi_breed_parents - the first n members of a population, at most `most`, and (1). */
MGI_FN void mgi_breed_parents(mgi_breed *b, const mgi_population *p, mango_idx most);
/* mgi_breed_weights - (1) of parents that the caller has set. */
MGI_FN void mgi_breed_weights(mgi_breed *b);

/* mgi_breed_draw - a code from the prior of o, or uniform. */
MGI_FN void mgi_breed_draw(const mango_opt *o, mango_rng *rng, mango_idx *I,
                           mgi_descent *how);
/* mgi_breed_child - a code (d) that p does not know, if a few tries find one; n >= 1. */
MGI_FN void mgi_breed_child(const mgi_breed *b, const mgi_cross *c, const mgi_population *p,
                            mango_rng *rng, mango_idx *child, mgi_descent *how);
/* mgi_descent_text - "block 3x2 at 4,1 of parent 3 into parent 0, 2 levels mutated" */
MGI_FN void mgi_descent_text(const mgi_descent *how, mgi_str *s);

#endif
