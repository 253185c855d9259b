/* cache.h - every query of a search, in order, found by its code.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CACHE_H
#define MGI_CACHE_H

#include "../base/mgi.h"

/* Rows 0 .. done-1 are evaluated, rows done .. n-1 wait for their value. */
typedef struct mgi_cache {
    mango_alloc al;
    int indexed;             /* 0: nothing is ever found (repeats are wanted) */
    mango_idx d, n, done, cap;
    int32_t *code;           /* (cap,d) */
    double *y;               /* (cap) NaN: missing */
    mango_idx slots, *slot;  /* open addressing, a power of two; row + 1, 0: free */
} mgi_cache;

MGI_FN void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, const mango_alloc *al);
MGI_FN void mgi_cache_free(mgi_cache *c);
/* Room for `more` rows, so that push cannot fail; MANGO_E_MEM leaves c as it was. */
MGI_FN mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more);
/* The row of a code that has a finite value or waits for one; -1: none. */
MGI_FN mango_idx mgi_cache_find(const mgi_cache *c, const mango_idx *I);
MGI_FN mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I); /* the new row */
MGI_FN void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I);

#endif
