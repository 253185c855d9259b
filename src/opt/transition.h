/* transition.h - modes as real axes, for methods that move in R^d.
 *
 * Each axis t is measured in standard deviations of what a code is like before anything
 * is known, so that one step size serves all kinds:
 *   choice    t = Phi^-1((i + 1/2)/n),  i = floor(n Phi(t)): N(0,1) gives every level
 *             the same chance                                                        (1)
 *   latent    t = lo + i (hi - lo)/(n - 1), i the nearest: facts.prior NORMAL          (2)
 *   interval  t = sqrt(12) (i/(n - 1) - 1/2): MANGO_REAL; beyond the ends it goes back,
 *             as between mirrors                                                      (3)
 * Beyond the ends of a choice or a latent there is its last level. Methods are told the
 * place t of the level that was shown, not the t that they drew.
 * Levels of a codebook may be renamed: ordered along the first principal axis of its
 * points, so that neighbours on t look alike.                                          (4)
 * Source: (1) is TransitionChoice of Nevergrad (Rapin and Teytaud, 2018), as its
 * continuous methods see it.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TRANSITION_H
#define MGI_TRANSITION_H

#include "method.h"

typedef struct mgi_axes {
    mango_alloc al;
    mango_idx d;
    const mango_idx *n;       /* (d) of the optimizer                              */
    int latent;               /* (2) for all modes                                 */
    mango_idx real;           /* how many modes are (3)                            */
    double lo, hi;
    mango_idx same;           /* levels of mode 0; `place` is of modes with so many */
    double *place;            /* (same) of (1); NULL: computed                     */
    mango_idx cells;          /* modes 0 .. cells-1 are renamed; 0: none           */
    mango_idx *rank, *level;  /* (n[0]) level -> its rank along the axis, and back  */
} mgi_axes;

/* how: 0, or MGI_AXES_RENAME, for (4), where the facts have levels, and MGI_AXES_CHOICE,
 * for (1) instead of (2). free is legal after a failure.
 * MGI_AXES_OPTIONS: two options by which a method asks for that, see mgi_axes_how. */
enum { MGI_AXES_RENAME = 1, MGI_AXES_CHOICE = 2 };
MGI_FN mango_status mgi_axes_create(mgi_axes *a, const mango_opt *o, int how, mango_err *err);
MGI_FN int mgi_axes_how(const mango_opt *o);
#define MGI_AXES_OPTIONS                                                                  \
    {"axes", "known: latents as they are drawn; choice: each level as likely as any",     \
     MANGO_OPT_CHOICE, 0, 1, 0, 0, "known|choice", NULL},                                 \
        {"rename", "1: levels of a codebook in the order of its first axis",              \
         MANGO_OPT_FLAG, 0, 1, 1, 0, NULL, NULL}
MGI_FN void mgi_axes_free(mgi_axes *a);

/* The place of level i of mode j, and the level at t, whatever t is (NaN: a level too). */
MGI_FN double mgi_axes_place(const mgi_axes *a, mango_idx j, mango_idx i);
MGI_FN mango_idx mgi_axes_level(const mgi_axes *a, mango_idx j, double t);

/* A whole code: I (d) to its places t (d), and back. */
MGI_FN void mgi_axes_places(const mgi_axes *a, const mango_idx *I, double *t);
MGI_FN void mgi_axes_code(const mgi_axes *a, const double *t, mango_idx *I);

/* The level at u in [0,1), of all the same share: for u uniform. */
MGI_FN mango_idx mgi_axes_uniform(const mgi_axes *a, mango_idx j, double u);

#endif
