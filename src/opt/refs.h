/* refs.h - which reference codes to show first: the ones a Gaussian process expects to be
 * good, from what it saw of others.
 *
 *   x_r = (features of code r stored with it, of variance 1 each; texture of code r)  (1)
 *   y_r = normal scores of the values of the codes told so far; f ~ GP (gp.h)         (2)
 *   next: argmax over codes not yet proposed of mean(x_r) + b sd(x_r), b = beta Exp(1) (3)
 *   mates for crossover: the best of all by mean(x_r)                                 (4)
 *
 * Stored features come from networks that have nothing to do with the unit: what looks alike
 * to them looks alike to it. Without them the texture of the code alone says less, but
 * something.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_REFS_H
#define MGI_REFS_H

#include "gp.h"
#include "texture.h"
#include "../base/rng.h"

enum { MGI_REFS_MOST = 4096, MGI_REFS_POINTS = 128, MGI_REFS_MATES = 64 };

typedef struct mgi_refs {
    mango_idx n, d, dim;      /* codes looked at, 0: none; modes; numbers of each (1) */
    const mango_idx *codes;   /* the facts'                                           */
    mango_idx *order;         /* (n) their numbers among the facts', in random order  */
    float *x;                 /* (n, dim), of number order[i] at i                    */
    uint64_t *hash;           /* (n)                                                  */
    unsigned char *asked;     /* (n)                                                  */
    mango_idx left;           /* not asked yet                                        */
    mango_idx *at;            /* (POINTS) of the points of the process: their i       */
    double *y, *tie, *z;      /* (POINTS) told; scores                                */
    mango_idx *sorted;        /* (n) scratch                                          */
    double *mean, *sd;        /* (n) predicted                                        */
    int stale, mated;         /* told since the last prediction; mates are of now     */
    mgi_gp gp;
    mango_idx n_mates;
    mango_idx mate[MGI_REFS_MATES]; /* numbers of the facts' codes                    */
} mgi_refs;

/* mgi_refs_init - of the space of o; `use` 0: none. t: its texture. MANGO_OK or
 * MANGO_E_MEM; free is legal after both. */
MGI_FN mango_status mgi_refs_init(mgi_refs *r, const mango_opt *o, const mgi_texture *t,
                                  int use);
MGI_FN void mgi_refs_free(mgi_refs *r, const mango_alloc *al);
/* mgi_refs_restart - forget the values; codes that were proposed stay so until all were. */
MGI_FN void mgi_refs_restart(mgi_refs *r);

/* mgi_refs_tell - one value, not missing; of another code: nothing. */
MGI_FN void mgi_refs_tell(mgi_refs *r, const mango_told *t);
/* mgi_refs_next - the place i of the next code: in random order, or, with b >= 0 and
 * enough told, by (3). left > 0 is expected. The code is order[i] of the facts'. */
MGI_FN mango_idx mgi_refs_next(mgi_refs *r, double b);
/* mgi_refs_mates - (4), of at most `most`; all of them in random order when too few were
 * told. */
MGI_FN void mgi_refs_mates(mgi_refs *r, mango_idx most);

#endif
