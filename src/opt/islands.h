/* islands.h - what a search does that finds nothing better: it starts anew elsewhere, and
 * later lets the old best breed with the new.
 *
 *   quiet: values told in a row that were not better than the island's best           (1)
 *   quiet = stall, alone:   the hall's codes join the population                      (2)
 *   quiet = stall, joined:  its best go to the hall, the population is emptied, and a new
 *                           island begins                                             (3)
 *
 * The first island joins an empty hall, so that it turns into the second at its first stall.
 * Source: Tanese, "Distributed genetic algorithms", 1989, the islands here one after
 * another in time.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ISLANDS_H
#define MGI_ISLANDS_H

#include "population.h"

enum { MGI_ISLANDS_HALL = 16, MGI_ISLANDS_SENT = 4 };

typedef struct mgi_islands {
    mango_idx d, stall, quiet; /* stall 0: never                                  */
    mango_idx number;          /* islands so far, less one                         */
    int has, joined;           /* is there a best; did the hall join               */
    mango_told best;           /* of the island: y, tie                            */
    mango_idx n;               /* codes in the hall                                */
    mango_idx *code;           /* (HALL,d)                                         */
    mango_told told[MGI_ISLANDS_HALL];
} mgi_islands;

typedef enum mgi_islands_turn { MGI_ISLANDS_STAY, MGI_ISLANDS_JOIN, MGI_ISLANDS_NEW }
    mgi_islands_turn;

/* MANGO_OK or MANGO_E_MEM; free is legal after both. */
MGI_FN mango_status mgi_islands_create(mgi_islands *s, mango_idx d, mango_idx stall,
                                       const mango_alloc *al);
MGI_FN void mgi_islands_free(mgi_islands *s, const mango_alloc *al);
MGI_FN void mgi_islands_clear(mgi_islands *s); /* the first island, an empty hall */

/* mgi_islands_watch - (1), for each value told. */
MGI_FN void mgi_islands_watch(mgi_islands *s, const mango_told *t);
/* mgi_islands_next - is it time? JOIN: the caller tells the n codes of the hall to its
 * population, told[i] with its I; NEW: the best of p are in the hall, and the caller empties
 * p and starts anew. */
MGI_FN mgi_islands_turn mgi_islands_next(mgi_islands *s, const mgi_population *p);

#endif
