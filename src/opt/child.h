/* child.h - several optimizers as the parts of one.
 *
 *              ask                          tell
 *     I of part 1, I of part 2, ...    its own proposals, under its own ids, to each part;
 *     each noted: id -> part, its id   the others' to those that share, as not asked
 *
 * A part is an ordinary mango_opt: made by the name of a preset and by options as text,
 * of the same space and facts, with a seed of its own. It maximizes.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CHILD_H
#define MGI_CHILD_H

#include "method.h"

enum {
    MGI_CHILDREN = 8,     /* parts at most */
    MGI_ROUTES = 1 << 14, /* proposals whose part is known; an older one is told as not asked */
    MGI_CHILD_ROWS = 1024 /* rows of one tell to a part; more come in several */
};

typedef struct mgi_part {
    const char *preset, *options;
    int shares; /* 1: it is told what the others proposed, too */
} mgi_part;

typedef struct mgi_route {
    uint64_t id;    /* of the whole, plus 1; 0: none */
    uint64_t own;   /* of the part */
    uint64_t hash;  /* of the code */
    int who;
} mgi_route;

typedef struct mgi_children {
    int n;
    mango_opt *opt[MGI_CHILDREN];
    int shares[MGI_CHILDREN];
    mgi_route *route; /* (MGI_ROUTES) that of id is at id % MGI_ROUTES */
    uint64_t *latest; /* (MGI_ROUTES) at hash % MGI_ROUTES: 1 + the id that had it last */
    uint64_t *id;     /* (MGI_CHILD_ROWS) */
    mango_told *told; /* (MGI_CHILD_ROWS) */
} mgi_children;

/* n <= MGI_CHILDREN parts of o, which know `facts`. After a failure destroy is called as
 * ever. */
MGI_FN mango_status mgi_children_create(mgi_children *c, const mango_opt *o,
                                        const mango_facts *facts, int n,
                                        const mgi_part *part, mango_err *err);
/* K proposals of part `who`, which become numbers first .. first + K - 1 of the whole. */
MGI_FN mango_status mgi_children_ask(mgi_children *c, int who, uint64_t first, mango_idx K,
                                     mango_idx *I);
/* The part that proposed what is told: by its id, or, told without one, by its code (d);
 * -1: not known. */
MGI_FN int mgi_children_whose(const mgi_children *c, const mango_told *t, mango_idx d);
/* All rows to whom they belong, see above. */
MGI_FN void mgi_children_tell(mgi_children *c, const mgi_tells *t);
MGI_FN void mgi_children_restart(mgi_children *c);
MGI_FN void mgi_children_destroy(mgi_children *c, const mango_alloc *al);
/* What each part has to say; how proposal id came about: "PART: ...". */
MGI_FN void mgi_children_explain(const mgi_children *c, mgi_str *s);
MGI_FN void mgi_children_why(const mgi_children *c, uint64_t id, mgi_str *s);

#endif
