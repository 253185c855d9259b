/* gp_latent.h - what the files of gp-latent share: gp_latent.c the method, latent_pool.c
 * candidates and model.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_GP_LATENT_H
#define MGI_GP_LATENT_H

#include "../base/rng.h"
#include "gp.h"
#include "method.h"

#define MGI_GPL_NOISE (1 << 15) /* normal numbers drawn once; a candidate's begin anywhere */
#define MGI_GPL_WHYS 64         /* proposals of an ask that are explained */
#define MGI_GPL_SLOPES 8        /* of the best, whose slope is known */

enum {
    MGI_GPL_DRAW,
    MGI_GPL_FRESH,
    MGI_GPL_JITTER,
    MGI_GPL_CROSS,
    MGI_GPL_DIFFER,
    MGI_GPL_MEAN,
    MGI_GPL_CLIMB,
    MGI_GPL_SWAP,
    MGI_GPL_WAYS
};

/* How the last proposals came about. */
typedef struct mgi_gpl_why {
    int way;
    double mean, sd, beta; /* beta < 0: not screened */
} mgi_gpl_why;

typedef struct mgi_gpl {
    mgi_arena arena;
    mgi_gp gp;                  /* its points are rows of all that follows        */
    mango_idx d, dim, room, pool, first, classes;
    float *base, *unit;         /* (d) level i of mode j is z = base + i unit     */
    double radius, norm, grown; /* of draws and largest; 0: none                  */
    double *y, *tie, *var;      /* (room) told                                    */
    double *n;                  /* (room) presentations                           */
    uint64_t *key;              /* (room) of the code                             */
    double *score, *rank;       /* (room) normal scores; what parents go by       */
    mango_idx *order, *row;     /* (room) best first; scratch                     */
    float *noise;               /* (MGI_GPL_NOISE) normal numbers                     */
    float *x, *middle;          /* (pool, dim) candidates; (d) mean of the elite  */
    float *slope;               /* (MGI_GPL_SLOPES, dim) of the mean at the best, of length 1 */
    double *mean, *sd;          /* (pool)                                         */
    unsigned char *way, *used;  /* (pool)                                         */
    mango_idx left;             /* candidates not used                            */
    uint64_t pools;             /* so far: the stream of the next                 */
    mango_idx drawn, next;      /* proposals since the start; points at which the
                                 * rule is chosen again                           */
    int varied;                 /* not all values told are equal                  */
    int stale;                  /* something was told since the pool was made     */
    mgi_gpl_why why[MGI_GPL_WHYS];
} mgi_gpl;

/* The level of z in mode j, held within the range; the z of a level. */
MGI_FN mango_idx mgi_gpl_level(const mango_opt *o, mango_idx j, float z);
MGI_FN float mgi_gpl_value(const mgi_gpl *p, mango_idx j, mango_idx i);
/* The class of z becomes c, see (1); the one-hot part of x from its z. */
MGI_FN void mgi_gpl_class_set(const mgi_gpl *p, mango_idx c, float *z);
MGI_FN void mgi_gpl_features(const mango_opt *o, float *x);
/* A draw (2) into z; z of x made a code's: held within the norm, on levels, features. */
MGI_FN void mgi_gpl_draw(const mango_opt *o, mango_rng *rng, float *z);
MGI_FN void mgi_gpl_finish(const mango_opt *o, double to, float *x);
/* A new pool (3), with what the model says of it; the model learns what is new. */
MGI_FN void mgi_gpl_pool(const mango_opt *o);
/* Candidate j of the pool becomes one of the best in another class, of 2 or more. */
MGI_FN void mgi_gpl_swap(const mango_opt *o, mango_rng *rng, mango_idx j);

#endif
