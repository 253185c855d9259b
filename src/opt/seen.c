/* seen.c - a set-associative table of codes and their values.
 * SPDX-License-Identifier: MIT */
#include "seen.h"

MGI_FN mango_status mgi_seen_init(mgi_seen *s, mango_idx codes, const mango_alloc *al)
{
    memset(s, 0, sizeof *s);
    s->al = mgi_alloc_get(al);
    for (s->slots = MGI_SEEN_WAYS; s->slots < codes && s->slots < 1 << 24;)
        s->slots *= 2;
    s->key = mgi_new(&s->al, s->slots, sizeof *s->key);
    s->y = mgi_new(&s->al, s->slots, sizeof *s->y);
    return s->key && s->y ? MANGO_OK : MANGO_E_MEM;
}

MGI_FN void mgi_seen_free(mgi_seen *s)
{
    if (s->key)
        mgi_del(&s->al, s->key, s->slots, sizeof *s->key);
    if (s->y)
        mgi_del(&s->al, s->y, s->slots, sizeof *s->y);
    s->key = NULL;
    s->y = NULL;
}

MGI_FN void mgi_seen_clear(mgi_seen *s)
{
    memset(s->key, 0, (size_t)s->slots * sizeof *s->key);
}

MGI_FN uint64_t mgi_seen_key(mango_idx d, const mango_idx *I)
{
    uint64_t h = 0x243f6a8885a308d3u;
    for (mango_idx j = 0; j < d; j++) {
        h = (h ^ (uint64_t)I[j]) * 0x9fb21c651e98df25u;
        h ^= h >> 29;
    }
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    return h ? h : 1;
}

MGI_FN double *mgi_seen_find(const mgi_seen *s, uint64_t key)
{
    const mango_idx at = (mango_idx)(key & (uint64_t)(s->slots - MGI_SEEN_WAYS));
    for (mango_idx i = at; i < at + MGI_SEEN_WAYS; i++)
        if (s->key[i] == key)
            return s->y + i;
    return NULL;
}

MGI_FN double *mgi_seen_put(mgi_seen *s, uint64_t key)
{
    const mango_idx at = (mango_idx)(key & (uint64_t)(s->slots - MGI_SEEN_WAYS));
    mango_idx to = at + (mango_idx)(key >> 61);
    for (mango_idx i = at + MGI_SEEN_WAYS - 1; i >= at; i--) {
        if (s->key[i] == key)
            return s->y + i;
        if (s->key[i] == 0)
            to = i;
    }
    s->key[to] = key;
    s->y[to] = MGI_NAN;
    return s->y + to;
}
