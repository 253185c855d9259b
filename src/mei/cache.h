/* cache.h - every code that a search asked, found by its levels, and its values.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_CACHE_H
#define MGI_CACHE_H

#include "../base/mgi.h"

/* A row is a code that was asked. It is whole when it was shown `shows` times; its
 * value is the mean of the finite values that it was given. Rows of the same code (repeats,
 * codes that went missing) have the first of them as head, where all their values meet. */
typedef struct mgi_cache {
    mango_alloc al;
    int indexed;             /* 0: find finds nothing (repeats are wanted) */
    mango_idx d, shows;
    mango_idx n, cap;        /* rows; room                                    */
    int32_t *code;           /* (cap,d)                                       */
    double *y;               /* (cap) mean of the finite values; NaN: none    */
    double *m2;              /* (cap) their squared distances from it, summed */
    double *tie;             /* (cap) orders equal values; of the last one; 0: nothing */
    mango_idx *seen, *good;  /* (cap) presentations told; of these finite     */
    mango_idx *out;          /* (cap) presentations handed out, told or not   */
    mango_idx done;          /* rows that are whole                           */
    mango_idx *order;        /* (cap) the whole ones, in the order they became it */
    mango_idx *place;        /* (cap) of a whole row: its place in order      */
    uint64_t *ask;           /* (cap) its number at the optimizer             */
    mango_idx *head;         /* (cap) the first row of the same code          */
    mango_idx *all;          /* (cap) of a head: finite values of the code,   */
    double *mean, *sum2;     /* (cap) their mean, squared distances from it   */
    double *first;           /* (cap) the first of them                       */
    mango_idx slots, *slot;  /* open addressing, a power of two; row + 1, 0: free */
} mgi_cache;

MGI_FN void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, mango_idx shows,
                           const mango_alloc *al);
MGI_FN void mgi_cache_free(mgi_cache *c);
/* Room for `more` rows, so that push cannot fail; MANGO_E_MEM leaves c as it was. */
MGI_FN mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more);
/* The row of a code that has a finite value or waits for one; -1: none. */
MGI_FN mango_idx mgi_cache_find(const mgi_cache *c, const mango_idx *I);
MGI_FN mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I); /* the new row */
MGI_FN int mgi_cache_whole(const mgi_cache *c, mango_idx row);
/* One more value of a row, NaN or infinite: missing. True when that made it whole. */
MGI_FN int mgi_cache_take(mgi_cache *c, mango_idx row, double y);
MGI_FN mango_idx mgi_cache_first(const mgi_cache *c, const mango_idx *I); /* head, or -1 */
/* Variance of one value of the row; NaN for fewer than two. */
MGI_FN double mgi_cache_var(const mgi_cache *c, mango_idx row);
MGI_FN void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I);

#endif
