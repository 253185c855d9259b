/* cache.c - every query of a search, in order, found by its code.
 * SPDX-License-Identifier: MIT */
#include "cache.h"

#define CACHE_SEED 0xcbf29ce484222325u

void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, const mango_alloc *al)
{
    memset(c, 0, sizeof *c);
    c->al = mgi_alloc_get(al);
    c->d = d, c->indexed = indexed;
}

void mgi_cache_free(mgi_cache *c)
{
    mgi_del(&c->al, c->code, c->cap * c->d, sizeof *c->code);
    mgi_del(&c->al, c->y, c->cap, sizeof *c->y);
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
}

/* FNV-1a over 32-bit levels, then mixed so that the high bits are good. */
static uint64_t cache_mix(uint64_t h, uint32_t level)
{
    return (h ^ level) * 0x100000001b3u;
}

static mango_idx cache_slot(const mgi_cache *c, uint64_t h)
{
    h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
    return (mango_idx)((h >> 32) & (uint64_t)(c->slots - 1));
}

static void cache_link(mgi_cache *c, mango_idx row)
{
    uint64_t h = CACHE_SEED;
    for (mango_idx j = 0; j < c->d; j++)
        h = cache_mix(h, (uint32_t)c->code[row * c->d + j]);
    mango_idx s = cache_slot(c, h);
    while (c->slot[s] != 0)
        s = (s + 1) & (c->slots - 1);
    c->slot[s] = row + 1;
}

static mango_status cache_slots(mgi_cache *c, mango_idx rows)
{
    mango_idx want = 64;
    while (want < 2 * rows)
        want *= 2;
    if (!c->indexed || want <= c->slots)
        return MANGO_OK;
    mango_idx *slot = mgi_new(&c->al, want, sizeof *slot);
    if (!slot)
        return MANGO_E_MEM;
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
    c->slot = slot, c->slots = want;
    for (mango_idx i = 0; i < c->n; i++)
        cache_link(c, i);
    return MANGO_OK;
}

mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more)
{
    mango_idx rows, cells;
    if (!mgi_add(c->n, more, &rows) || !mgi_mul(rows, 4 * c->d, &cells))
        return MANGO_E_MEM;
    MGI_TRY(cache_slots(c, rows));
    if (rows <= c->cap)
        return MANGO_OK;
    rows = MGI_MAX(rows, 2 * c->cap);
    int32_t *code = mgi_new(&c->al, rows * c->d, sizeof *code);
    double *y = mgi_new(&c->al, rows, sizeof *y);
    if (!code || !y) {
        mgi_del(&c->al, code, rows * c->d, sizeof *code);
        mgi_del(&c->al, y, rows, sizeof *y);
        return MANGO_E_MEM;
    }
    if (c->n > 0) {
        memcpy(code, c->code, (size_t)(c->n * c->d) * sizeof *code);
        memcpy(y, c->y, (size_t)c->n * sizeof *y);
    }
    mgi_del(&c->al, c->code, c->cap * c->d, sizeof *c->code);
    mgi_del(&c->al, c->y, c->cap, sizeof *c->y);
    c->code = code, c->y = y, c->cap = rows;
    return MANGO_OK;
}

static int cache_same(const mgi_cache *c, mango_idx row, const mango_idx *I)
{
    const int32_t *code = c->code + row * c->d;
    mango_idx j = 0;
    while (j < c->d && code[j] == I[j])
        j++;
    return j == c->d;
}

mango_idx mgi_cache_find(const mgi_cache *c, const mango_idx *I)
{
    uint64_t h = CACHE_SEED;
    if (!c->indexed || c->slots == 0)
        return -1;
    for (mango_idx j = 0; j < c->d; j++)
        h = cache_mix(h, (uint32_t)I[j]);
    mango_idx s = cache_slot(c, h);
    for (; c->slot[s] != 0; s = (s + 1) & (c->slots - 1)) {
        const mango_idx row = c->slot[s] - 1;
        const int known = row >= c->done || c->y[row] - c->y[row] == 0.0;
        if (known && cache_same(c, row, I))
            return row;
    }
    return -1;
}

mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I)
{
    const mango_idx row = c->n;
    assert(row < c->cap);
    for (mango_idx j = 0; j < c->d; j++)
        c->code[row * c->d + j] = (int32_t)I[j];
    c->y[row] = 0.0;
    c->n++;
    if (c->indexed)
        cache_link(c, row);
    return row;
}

void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I)
{
    for (mango_idx j = 0; j < c->d; j++)
        I[j] = c->code[row * c->d + j];
}

#undef CACHE_SEED
