/* crossover.h - a child of two codes: on a grid of cells, and on modes without one.
 *
 * A code x has levels x_1 .. x_d. On a grid, modes 1 .. H W are cells x(v,u) of row v,
 * column u; what happens to the modes behind the grid is (1). The child starts as a copy of
 * parent a and takes from its mate b:
 *
 *   uniform    x_j = b_j with probability p                                          (1)
 *   two-point  x_j = b_j for m neighbouring modes, past the last comes the first     (2)
 *   block      x(v,u) = b(v,u)              in a box of cells: what is there          (3)
 *   shifted    x(v,u) = b(v+s,u+t)          in a box: what is there stands elsewhere  (4)
 *   tile       x(v,u) = b(v0 + (v mod h), u0 + (u mod w))  in a box, v and u counted
 *                                           from its corner: a texture                (5)
 *   mutation   a place in so many takes another level: a near one or any              (6)
 *
 * (3) is (5) with one tile at the box's own place, (4) with one from another place. A
 * decoder is nearly the same everywhere, so a part of a picture is as good elsewhere, and a
 * unit that is averaged over space likes what it likes everywhere.
 * Sources: (1) Syswerda, "Uniform crossover in genetic algorithms", 1989; (2) De Jong,
 * "An analysis of the behavior of a class of genetic adaptive systems", 1975; (3) Cohoon,
 * Paris, "Genetic placement", 1987; (4), (5) ours.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CROSSOVER_H
#define MGI_CROSSOVER_H

#include "../base/rng.h"
#include "method.h"

/* What the operators know of a space. */
typedef struct mgi_cross {
    mango_idx d, H, W;    /* modes; cells, 0: no grid                          */
    const mango_idx *n;   /* (d) levels                                        */
    int ordered;          /* levels are places on a line: near ones are next   */
    mango_idx alike;      /* the first so many modes share the table           */
    mango_idx n_near;     /* near levels of each of their levels               */
    mango_idx levels;     /* n[0], where there is a table                      */
    int32_t *near;        /* (levels, n_near), the nearest first; NULL: none   */
} mgi_cross;

/* Cells of rows y .. y+h-1 and columns x .. x+w-1. */
typedef struct mgi_box {
    mango_idx y, x, h, w;
} mgi_box;

/* mgi_cross_init - of the space of o, with a table of near levels when the facts hold an
 * embedding of them. MANGO_OK or MANGO_E_MEM; mgi_cross_free is legal after both. */
MGI_FN mango_status mgi_cross_init(mgi_cross *c, const mango_opt *o);
MGI_FN void mgi_cross_free(mgi_cross *c, const mango_alloc *al);

/* mgi_cross_box - a box of lo .. hi cells a side (less where the grid ends), anywhere. */
MGI_FN mgi_box mgi_cross_box(const mgi_cross *c, mango_rng *rng, mango_idx lo, mango_idx hi);

/* The operators; child (d) holds parent a, and takes from b (d) what (1) .. (5) say.
 * behind: (1) for the modes behind the grid alone. */
MGI_FN void mgi_cross_uniform(const mgi_cross *c, mango_rng *rng, double p,
                              const mango_idx *b, mango_idx *child);
MGI_FN void mgi_cross_behind(const mgi_cross *c, mango_rng *rng, double p,
                             const mango_idx *b, mango_idx *child);
MGI_FN void mgi_cross_two_point(const mgi_cross *c, mango_rng *rng, const mango_idx *b,
                                mango_idx *child);
MGI_FN void mgi_cross_tile(const mgi_cross *c, mgi_box to, mgi_box from, const mango_idx *b,
                           mango_idx *child);

/* mgi_cross_level - another level for mode j, which has n[j] >= 2: near with probability
 * `near` where near ones are known, else any. */
MGI_FN mango_idx mgi_cross_level(const mgi_cross *c, mango_rng *rng, double near, mango_idx j,
                                 mango_idx level);
/* mgi_cross_mutate - (6), each mode with probability p, half of them to a near level. Returns
 * how many modes changed. */
MGI_FN mango_idx mgi_cross_mutate(const mgi_cross *c, mango_rng *rng, double p,
                                  mango_idx *child);

#endif
