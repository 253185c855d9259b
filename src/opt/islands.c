/* islands.c - (1) to (3) of islands.h.
 * SPDX-License-Identifier: MIT */
#include "islands.h"

MGI_FN mango_status mgi_islands_create(mgi_islands *s, mango_idx d, mango_idx stall,
                                       const mango_alloc *al)
{
    const mgi_islands none = {.d = d, .stall = stall};
    *s = none;
    s->code = mgi_new(al, MGI_ISLANDS_HALL * d, sizeof *s->code);
    if (!s->code)
        return MANGO_E_MEM;
    mgi_islands_clear(s);
    return MANGO_OK;
}

MGI_FN void mgi_islands_free(mgi_islands *s, const mango_alloc *al)
{
    mgi_del(al, s->code, MGI_ISLANDS_HALL * s->d, sizeof *s->code);
    s->code = NULL;
}

static void islands_begin(mgi_islands *s)
{
    s->quiet = 0;
    s->has = s->joined = 0;
}

MGI_FN void mgi_islands_clear(mgi_islands *s)
{
    islands_begin(s);
    s->n = s->number = 0;
    s->joined = 1;
}

MGI_FN void mgi_islands_watch(mgi_islands *s, const mango_told *t)
{
    if (!mgi_is_nan(t->y) && (!s->has || mgi_told_better(t, &s->best))) {
        s->best = *t;
        s->has = 1;
        s->quiet = 0;
        return;
    }
    s->quiet += s->has && s->quiet < s->stall;                                  /* (1) */
}

/* A place for one more code: a new one, or the worst's, if that is worse; -1: none. */
static mango_idx islands_place(mgi_islands *s, const mango_told *t)
{
    mango_idx worst = 0;
    if (s->n < MGI_ISLANDS_HALL)
        return s->n++;
    for (mango_idx i = 1; i < s->n; i++)
        if (mgi_told_better(s->told + worst, s->told + i))
            worst = i;
    return mgi_told_better(t, s->told + worst) ? worst : -1;
}

static int islands_holds(const mgi_islands *s, const mango_idx *I)
{
    for (mango_idx i = 0; i < s->n; i++)
        if (memcmp(s->told[i].I, I, (size_t)s->d * sizeof *I) == 0)
            return 1;
    return 0;
}

static void islands_send(mgi_islands *s, const mango_told *t)
{
    if (islands_holds(s, t->I))
        return;
    const mango_idx at = islands_place(s, t);
    if (at < 0)
        return;
    mango_idx *code = s->code + at * s->d;
    memcpy(code, t->I, (size_t)s->d * sizeof *code);
    s->told[at] = *t;
    s->told[at].I = code;
}

MGI_FN mgi_islands_turn mgi_islands_next(mgi_islands *s, const mgi_population *p)
{
    if (s->stall == 0 || s->quiet < s->stall)
        return MGI_ISLANDS_STAY;
    s->quiet = 0;
    if (!s->joined) {
        s->joined = 1;
        return MGI_ISLANDS_JOIN;                                                /* (2) */
    }
    for (mango_idx r = 0; r < MGI_MIN(MGI_ISLANDS_SENT, p->n); r++)
        islands_send(s, &mgi_population_at(p, r)->told);
    islands_begin(s);
    s->number++;
    return MGI_ISLANDS_NEW;                                                     /* (3) */
}
