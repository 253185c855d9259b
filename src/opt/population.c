/* population.c - ranked codes, and a table of those that are known.
 * SPDX-License-Identifier: MIT */
#include "population.h"

#define POP_LEVELS ((mango_idx)1 << 21) /* of all codes together */
#define POP_LEAST 16
#define POP_SEEN ((uint64_t)1 << 16)    /* places of the table of known codes */
#define POP_WAYS 8                      /* places that one hash may take */

/* ---- known codes ------------------------------------------------------------- */

/* FNV-1a over the levels, then a mix of the high bits into the low; never 0. */
static uint64_t pop_hash(mango_idx d, const mango_idx *I)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (mango_idx j = 0; j < d; j++)
        h = (h ^ (uint64_t)I[j]) * 0x100000001b3u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return (h ^ h >> 32) | 1u;
}

/* The place of h in the table; -1: it is not there, *room is where it would go. */
static ptrdiff_t pop_find(const mgi_population *p, uint64_t h, uint64_t *room)
{
    *room = ((h >> 8) + (h >> 60) % POP_WAYS) % POP_SEEN; /* all taken: this one gives way */
    for (uint64_t i = 0; i < POP_WAYS; i++) {
        const uint64_t at = ((h >> 8) + i) % POP_SEEN;
        if (p->seen[at] == h)
            return (ptrdiff_t)at;
        if (p->seen[at] == 0) {
            *room = at;
            return -1;
        }
    }
    return -1;
}

static int pop_note(mgi_population *p, uint64_t h)
{
    uint64_t room;
    if (pop_find(p, h, &room) >= 0)
        return 1;
    p->seen[room] = h;
    return 0;
}

MGI_FN int mgi_population_note(mgi_population *p, const mango_idx *I)
{
    return pop_note(p, pop_hash(p->d, I));
}

MGI_FN int mgi_population_knows(const mgi_population *p, const mango_idx *I)
{
    uint64_t room;
    return pop_find(p, pop_hash(p->d, I), &room) >= 0;
}

/* ---- members ------------------------------------------------------------------- */

/* The member with this code, -1: none. */
static mango_idx pop_member(const mgi_population *p, const mango_idx *I, uint64_t h)
{
    const size_t row = (size_t)p->d * sizeof *I;
    for (mango_idx i = 0; i < p->n; i++)
        if (p->member[i].hash == h && memcmp(p->member[i].told.I, I, row) == 0)
            return i;
    return -1;
}

/* The place of the oldest member that is not among the better half. */
static mango_idx pop_weakest(const mgi_population *p)
{
    mango_idx r = p->cap / 2;
    for (mango_idx i = r + 1; i < p->n; i++)
        if (p->member[p->rank[i]].age < p->member[p->rank[r]].age)
            r = i;
    return p->rank[r];
}

/* Take the member out of the ranks (of m); into the ranks (of m before it). */
static void pop_unrank(mgi_population *p, mango_idx m, mango_idx at)
{
    mango_idx r = 0;
    while (p->rank[r] != at)
        r++;
    for (; r + 1 < m; r++)
        p->rank[r] = p->rank[r + 1];
}

static void pop_enrank(mgi_population *p, mango_idx m, mango_idx at)
{
    mango_idx r = m;
    for (; r > 0; r--) {
        const mgi_member *above = p->member + p->rank[r - 1];
        if (mgi_told_better(&above->told, &p->member[at].told))
            break;
        p->rank[r] = p->rank[r - 1];
    }
    p->rank[r] = at;
}

/* What is now known of a code: replaced, or pooled with another presentation of it. */
static void pop_again(mango_told *m, const mango_told *t)
{
    const int other = t->id != MANGO_UNASKED && m->id != MANGO_UNASKED && t->id != m->id;
    const mango_idx *I = m->I;
    const double a = (double)m->n, b = (double)t->n;
    const double y = other ? (a * m->y + b * t->y) / (a + b) : t->y;
    const mango_idx n = other && m->n < PTRDIFF_MAX - t->n ? m->n + t->n : t->n;
    *m = *t;
    m->I = I;
    m->y = y;
    m->n = n;
}

MGI_FN mango_idx mgi_population_tell(mgi_population *p, const mango_told *t)
{
    const uint64_t h = pop_hash(p->d, t->I);
    (void)pop_note(p, h);
    if (mgi_is_nan(t->y))
        return -1;
    mango_idx at = pop_member(p, t->I, h);
    if (at >= 0) {
        pop_unrank(p, p->n, at);
        pop_again(&p->member[at].told, t);
        pop_enrank(p, p->n - 1, at);
        return at;
    }
    at = p->n < p->cap ? p->n++ : pop_weakest(p);
    mgi_member *m = p->member + at;
    mango_idx *code = p->code + at * p->d;
    if (m->age != UINT64_MAX) /* it was another's */
        pop_unrank(p, p->n, at);
    memcpy(code, t->I, (size_t)p->d * sizeof *code);
    m->told = *t;
    m->told.I = code;
    m->hash = h;
    m->age = p->told++;
    pop_enrank(p, p->n - 1, at);
    return at;
}

/* ---- life ---------------------------------------------------------------------- */

MGI_FN void mgi_population_clear(mgi_population *p)
{
    p->n = 0;
    p->told = 0;
    for (mango_idx i = 0; i < p->cap; i++)
        p->member[i].age = UINT64_MAX;
}

MGI_FN mango_status mgi_population_create(mgi_population *p, mango_idx d, mango_idx most,
                                          const mango_alloc *al)
{
    const mgi_population none = {.d = d};
    *p = none;
    p->cap = MGI_MIN(most, MGI_MAX(POP_LEAST, POP_LEVELS / d));
    p->code = mgi_new(al, p->cap * d, sizeof *p->code);
    p->member = mgi_new(al, p->cap, sizeof *p->member);
    p->rank = mgi_new(al, p->cap, sizeof *p->rank);
    p->seen = mgi_new(al, (mango_idx)POP_SEEN, sizeof *p->seen);
    if (!p->code || !p->member || !p->rank || !p->seen)
        return MANGO_E_MEM;
    mgi_population_clear(p);
    return MANGO_OK;
}

MGI_FN void mgi_population_free(mgi_population *p, const mango_alloc *al)
{
    mgi_del(al, p->code, p->cap * p->d, sizeof *p->code);
    mgi_del(al, p->member, p->cap, sizeof *p->member);
    mgi_del(al, p->rank, p->cap, sizeof *p->rank);
    mgi_del(al, p->seen, (mango_idx)POP_SEEN, sizeof *p->seen);
    p->code = p->rank = NULL;
    p->member = NULL;
    p->seen = NULL;
}

#undef POP_LEVELS
#undef POP_LEAST
#undef POP_SEEN
#undef POP_WAYS
