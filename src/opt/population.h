/* population.h - the codes that a search keeps, ranked, and whether a code is known.
 *
 * Of all codes told the better half of what is kept are the best so far, the other half the
 * newest: the best to breed from, the newest to learn a model of where the search is.
 * A code told again replaces what was known of it; under another id its presentations are
 * pooled. Equal values are ordered by their ties, then the newer stands first, so that a
 * search may walk over a plateau.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_POPULATION_H
#define MGI_POPULATION_H

#include "method.h"

typedef struct mgi_member {
    mango_told told;  /* I: its code, in the population; y is to be maximized  */
    uint64_t hash, age;
} mgi_member;

typedef struct mgi_population {
    mango_idx d, cap, n;
    mango_idx *code;    /* (cap,d)                                        */
    mgi_member *member; /* (cap), n of them, each at its place for life   */
    mango_idx *rank;    /* (cap) places of the members, the best first    */
    uint64_t *seen;     /* hashes of codes that were told or noted        */
    uint64_t told;      /* values so far: the age of the next             */
} mgi_population;

/* mgi_population_create - room for `most` members, fewer where codes are long: all codes
 * together have at most 2^21 levels, or 16 codes. MANGO_OK or MANGO_E_MEM; free is legal
 * after both. */
MGI_FN mango_status mgi_population_create(mgi_population *p, mango_idx d, mango_idx most,
                                          const mango_alloc *al);
MGI_FN void mgi_population_free(mgi_population *p, const mango_alloc *al);
MGI_FN void mgi_population_clear(mgi_population *p);

/* mgi_population_tell - one value. Returns the place of the member that is new or
 * changed; -1: the value is missing. */
MGI_FN mango_idx mgi_population_tell(mgi_population *p, const mango_told *t);

/* mgi_population_note - code (d) is known from now on; returns 1 where it was before. The
 * table holds some ten thousands and forgets older ones then. knows: is it? */
MGI_FN int mgi_population_note(mgi_population *p, const mango_idx *I);
MGI_FN int mgi_population_knows(const mgi_population *p, const mango_idx *I);

/* The member of rank r = 0 .. n-1, the best first. */
static inline const mgi_member *mgi_population_at(const mgi_population *p, mango_idx r)
{
    return p->member + p->rank[r];
}

#endif
