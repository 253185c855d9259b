/* seen.h - which codes were asked or told, and their values, in memory of fixed size.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SEEN_H
#define MGI_SEEN_H

#include "../base/mgi.h"

enum { MGI_SEEN_WAYS = 8 }; /* places that a code may take */

/* A code is known by 64 bits of its levels: that two share them is as likely as one in
 * 10^9 for 10^5 codes, and then one takes the other's value. Where all places of a code
 * are taken, it takes one of them and an older code is forgotten. */
typedef struct mgi_seen {
    mango_alloc al;
    mango_idx slots; /* a power of two */
    uint64_t *key;   /* (slots) 0: free */
    double *y;       /* (slots) NaN: asked, or told without a value */
} mgi_seen;

/* Room for about `codes` of them. MANGO_OK or MANGO_E_MEM; free is legal after both. */
MGI_FN mango_status mgi_seen_init(mgi_seen *s, mango_idx codes, const mango_alloc *al);
MGI_FN void mgi_seen_free(mgi_seen *s);
MGI_FN void mgi_seen_clear(mgi_seen *s);
MGI_FN uint64_t mgi_seen_key(mango_idx d, const mango_idx *I); /* never 0 */
MGI_FN double *mgi_seen_find(const mgi_seen *s, uint64_t key); /* NULL: not seen */
/* The place of its value; a new one holds NaN. */
MGI_FN double *mgi_seen_put(mgi_seen *s, uint64_t key);

#endif
