/* place.h - places in one arena for pieces that are needed for a while each.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PLACE_H
#define MGI_PLACE_H

#include "../base/mgi.h"

/* One piece: its size, and the steps during which it holds something, ends included. */
typedef struct mgi_place {
    mango_idx size, at;
    int first, last;
} mgi_place;
/* Scratch of mgi_place_all, one a piece. */
typedef struct mgi_place_order {
    mango_idx size;
    int piece, placed;
} mgi_place_order;

/* mgi_place_all - sets `at` of each piece: the largest first, of equals the first first,
 * each at the lowest place where it meets none that is needed at the same time. Returns
 * the size of the arena, -1 when that is beyond the range of an index. */
MGI_FN mango_idx mgi_place_all(int n, mgi_place *piece, mgi_place_order *order);

#endif
