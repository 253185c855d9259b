/* place.c - first fit by falling size. What lies where changes no result.
 * SPDX-License-Identifier: MIT */
#include "place.h"
#include <stdlib.h>

static int place_larger(const void *a, const void *b)
{
    const mgi_place_order *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->piece - y->piece;
}

/* The lowest place for u between n pieces that have theirs, by rising place. */
static mango_idx place_fit(const mgi_place *piece, const mgi_place *u, int n,
                           const mgi_place_order *order)
{
    mango_idx at = 0;
    for (int k = 0; k < n; k++) {
        const mgi_place *v = &piece[order[k].placed];
        if (v->last < u->first || v->first > u->last)
            continue;
        if (v->at - at >= u->size)
            break;
        at = MGI_MAX(at, v->at + v->size);
    }
    return at;
}

MGI_FN mango_idx mgi_place_all(int n, mgi_place *piece, mgi_place_order *order)
{
    mango_idx total = 0, end;
    for (int i = 0; i < n; i++) {
        order[i].size = piece[i].size;
        order[i].piece = i;
    }
    qsort(order, (size_t)n, sizeof *order, place_larger);
    for (int i = 0; i < n; i++) {
        mgi_place *u = &piece[order[i].piece];
        u->at = place_fit(piece, u, i, order);
        if (!mgi_add(u->at, u->size, &end))
            return -1;
        total = MGI_MAX(total, end);
        int k = i;
        for (; k > 0 && piece[order[k - 1].placed].at > u->at; k--)
            order[k].placed = order[k - 1].placed;
        order[k].placed = order[i].piece;
    }
    return total;
}
