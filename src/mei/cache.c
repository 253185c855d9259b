/* cache.c - every code that a search asked, found by its levels, and its values.
 *
 *   n values y_i of a row:  y = mean,  m2 = sum (y_i - y)^2, one at a time:
 *   n += 1    t = y_n - y    y += t/n    m2 += t (y_n - y)         (Welford 1962)
 * SPDX-License-Identifier: MIT */
#include "cache.h"

#define CACHE_SEED 0xcbf29ce484222325u

void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, mango_idx shows,
                    const mango_alloc *al)
{
    memset(c, 0, sizeof *c);
    c->al = mgi_alloc_get(al);
    c->d = d;
    c->indexed = indexed;
    c->shows = shows;
}

/* The columns, of which mgi_cache_reserve makes longer ones. */
static void cache_del_columns(const mgi_cache *c)
{
    mgi_del(&c->al, c->code, c->cap * c->d, sizeof *c->code);
    mgi_del(&c->al, c->y, c->cap, sizeof *c->y);
    mgi_del(&c->al, c->m2, c->cap, sizeof *c->m2);
    mgi_del(&c->al, c->tie, c->cap, sizeof *c->tie);
    mgi_del(&c->al, c->ask, c->cap, sizeof *c->ask);
    mgi_del(&c->al, c->head, c->cap, sizeof *c->head);
    mgi_del(&c->al, c->all, c->cap, sizeof *c->all);
    mgi_del(&c->al, c->mean, c->cap, sizeof *c->mean);
    mgi_del(&c->al, c->sum2, c->cap, sizeof *c->sum2);
    mgi_del(&c->al, c->first, c->cap, sizeof *c->first);
    mgi_del(&c->al, c->seen, c->cap, sizeof *c->seen);
    mgi_del(&c->al, c->good, c->cap, sizeof *c->good);
    mgi_del(&c->al, c->out, c->cap, sizeof *c->out);
    mgi_del(&c->al, c->order, c->cap, sizeof *c->order);
    mgi_del(&c->al, c->place, c->cap, sizeof *c->place);
}

void mgi_cache_free(mgi_cache *c)
{
    cache_del_columns(c);
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
}

/* Is the row to be found by its code? Where nothing is found but heads, heads alone. */
static int cache_linked(const mgi_cache *c, mango_idx row)
{
    return c->indexed || c->head[row] == row;
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
    if (want <= c->slots)
        return MANGO_OK;
    mango_idx *slot = mgi_new(&c->al, want, sizeof *slot);
    if (!slot)
        return MANGO_E_MEM;
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
    c->slot = slot;
    c->slots = want;
    for (mango_idx i = 0; i < c->n; i++)
        if (cache_linked(c, i))
            cache_link(c, i);
    return MANGO_OK;
}

static void *cache_longer(const mgi_cache *c, const void *old, mango_idx rows,
                          mango_idx width, size_t size)
{
    void *p = mgi_new(&c->al, rows * width, size);
    if (p && c->n > 0)
        memcpy(p, old, (size_t)(c->n * width) * size);
    return p;
}

/* Longer columns in x, with what c has in them; 0: not all. */
static int cache_columns(const mgi_cache *c, mgi_cache *x)
{
    x->code = cache_longer(c, c->code, x->cap, c->d, sizeof *x->code);
    x->y = cache_longer(c, c->y, x->cap, 1, sizeof *x->y);
    x->m2 = cache_longer(c, c->m2, x->cap, 1, sizeof *x->m2);
    x->tie = cache_longer(c, c->tie, x->cap, 1, sizeof *x->tie);
    x->seen = cache_longer(c, c->seen, x->cap, 1, sizeof *x->seen);
    x->good = cache_longer(c, c->good, x->cap, 1, sizeof *x->good);
    x->out = cache_longer(c, c->out, x->cap, 1, sizeof *x->out);
    x->order = cache_longer(c, c->order, x->cap, 1, sizeof *x->order);
    x->place = cache_longer(c, c->place, x->cap, 1, sizeof *x->place);
    x->ask = cache_longer(c, c->ask, x->cap, 1, sizeof *x->ask);
    x->head = cache_longer(c, c->head, x->cap, 1, sizeof *x->head);
    x->all = cache_longer(c, c->all, x->cap, 1, sizeof *x->all);
    x->mean = cache_longer(c, c->mean, x->cap, 1, sizeof *x->mean);
    x->sum2 = cache_longer(c, c->sum2, x->cap, 1, sizeof *x->sum2);
    x->first = cache_longer(c, c->first, x->cap, 1, sizeof *x->first);
    return x->code && x->y && x->m2 && x->tie && x->seen && x->good && x->out && x->order &&
           x->place && x->ask && x->head && x->all && x->mean && x->sum2 && x->first;
}

mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more)
{
    mango_idx rows, cells;
    if (!mgi_add(c->n, more, &rows) || !mgi_mul(rows, 8 * c->d, &cells))
        return MANGO_E_MEM;
    MGI_TRY(cache_slots(c, rows));
    if (rows <= c->cap)
        return MANGO_OK;
    mgi_cache x = *c;
    x.cap = MGI_MAX(rows, 2 * c->cap);
    const int ok = cache_columns(c, &x);
    cache_del_columns(ok ? c : &x);
    if (ok)
        *c = x;
    return ok ? MANGO_OK : MANGO_E_MEM;
}

static int cache_same(const mgi_cache *c, mango_idx row, const mango_idx *I)
{
    const int32_t *code = c->code + row * c->d;
    mango_idx j = 0;
    while (j < c->d && code[j] == I[j])
        j++;
    return j == c->d;
}

mango_idx mgi_cache_first(const mgi_cache *c, const mango_idx *I)
{
    uint64_t h = CACHE_SEED;
    for (mango_idx j = 0; j < c->d; j++)
        h = cache_mix(h, (uint32_t)I[j]);
    mango_idx s = c->slots > 0 ? cache_slot(c, h) : -1;
    for (; s >= 0 && c->slot[s] != 0; s = (s + 1) & (c->slots - 1))
        if (cache_same(c, c->slot[s] - 1, I))
            return c->head[c->slot[s] - 1];
    return -1;
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
        const int known = !mgi_cache_whole(c, row) || mgi_is_finite(c->y[row]);
        if (known && cache_same(c, row, I))
            return row;
    }
    return -1;
}

mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I)
{
    const mango_idx row = c->n;
    const mango_idx first = mgi_cache_first(c, I);
    assert(row < c->cap);
    for (mango_idx j = 0; j < c->d; j++)
        c->code[row * c->d + j] = (int32_t)I[j];
    c->y[row] = MGI_NAN;
    c->m2[row] = c->tie[row] = c->mean[row] = c->sum2[row] = 0.0;
    c->first[row] = 0.0;
    c->seen[row] = c->good[row] = c->out[row] = c->all[row] = 0;
    c->ask[row] = UINT64_MAX;
    c->head[row] = first >= 0 ? first : row;
    c->n++;
    if (cache_linked(c, row))
        cache_link(c, row);
    return row;
}

int mgi_cache_whole(const mgi_cache *c, mango_idx row)
{
    return c->seen[row] >= c->shows;
}

/* One more of n values with this mean and these squared distances from it. */
static void cache_add(mango_idx *n, double *mean, double *m2, double y)
{
    const double was = *n > 0 ? *mean : 0.0, t = y - was;
    ++*n;
    *mean = *n == 1 ? y : was + t / (double)*n;
    *m2 += *n == 1 ? 0.0 : t * (y - *mean);
}

int mgi_cache_take(mgi_cache *c, mango_idx row, double y)
{
    const int was = mgi_cache_whole(c, row);
    const mango_idx head = c->head[row];
    c->seen[row]++;
    if (mgi_is_finite(y)) {
        cache_add(c->good + row, c->y + row, c->m2 + row, y);
        if (c->all[head] == 0)
            c->first[head] = y;
        cache_add(c->all + head, c->mean + head, c->sum2 + head, y);
    }
    if (was || !mgi_cache_whole(c, row))
        return 0;
    c->place[row] = c->done;
    c->order[c->done++] = row;
    return 1;
}

double mgi_cache_var(const mgi_cache *c, mango_idx row)
{
    return c->good[row] < 2 ? MGI_NAN : c->m2[row] / (double)(c->good[row] - 1);
}

void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I)
{
    for (mango_idx j = 0; j < c->d; j++)
        I[j] = c->code[row * c->d + j];
}

#undef CACHE_SEED
