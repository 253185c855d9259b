/* constraint.h - what the codes of an optimizer must be: see constraint.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CONSTRAINT_H
#define MGI_CONSTRAINT_H

#include "method.h"

typedef struct mgi_constraint {
    mango_idx d, *n;      /* (d) levels, all of them                                   */
    mango_idx all;        /* of all modes                                              */
    int masked;           /* 1: the method's modes have the allowed levels alone:      */
    mango_idx *few;       /* (d) how many                                              */
    mango_idx *from, *level; /* (d+1), (from[d]) level[from[j] + i]: number i of mode j */
    mango_idx *to, *back; /* (d+1), (to[d]) back[to[j] + l]: the number of level l, -1 */
    int (*allows)(void *ud, const mango_idx *I);
    void *allows_ud;
    char name[64];
    /* scratch */
    mango_idx rows;       /* grows with the largest ask and tell */
    mango_idx *I;         /* (rows,d) */
    mango_told *told;     /* (rows)   */
    mango_idx look_rows, *look; /* (look_rows,d) codes that the facts' callbacks see */
    mango_facts facts;    /* of the space: its callbacks alone */
} mgi_constraint;

/* mgi_constraint_create - of modes and facts that were checked; *out NULL: there is none.
 * MANGO_E_ARG for a mode without a level, MANGO_E_MEM. Free is legal after both. */
MGI_FN mango_status mgi_constraint_create(mgi_constraint **out, const mango_modes *modes,
                                          const mango_facts *facts, const mango_alloc *al,
                                          mango_err *err);
MGI_FN void mgi_constraint_free(mgi_constraint *c, const mango_alloc *al);
/* The facts as the method is to see them, copied; modes are those of the method. */
MGI_FN mango_status mgi_constraint_facts(mgi_constraint *c, mango_facts *to,
                                         const mango_facts *facts, const mango_modes *modes,
                                         const mango_alloc *al, mango_err *err);

/* mgi_constraint_allows - is code I (d), of all levels, allowed? c NULL: yes. */
MGI_FN int mgi_constraint_allows(const mgi_constraint *c, const mango_idx *I);
/* Codes (K,d) of the method become those of the space, in place. */
MGI_FN void mgi_constraint_out(const mgi_constraint *c, mango_idx K, mango_idx *I);
/* mgi_constraint_ask - the n proposals I (n,d) just asked of the method, ids id (n) or
 * NULL, become allowed codes of the space. */
MGI_FN mango_status mgi_constraint_ask(mango_opt *o, mango_idx n, mango_idx *I, uint64_t *id);
/* mgi_constraint_tell - t without what is not allowed, in the method's levels. */
MGI_FN mango_status mgi_constraint_tell(mango_opt *o, const mgi_tells *t, mgi_tells *out);

#endif
