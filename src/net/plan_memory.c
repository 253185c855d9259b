/* plan_memory.c - sizes and places of a plan's buffers in its one arena.
 *
 * Each buffer is in use during an interval of steps; place.c finds it a place. What
 * is placed where changes no result.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

#define PLAN_ALIGN 64
#define PLAN_NEAR 4194304.0 /* weights that a shared cache holds                 */
#define PLAN_USES 192.0     /* products for each weight of a chunk, from there   */
#define PLAN_USES_FAR 512.0 /* ... or from memory                                */

MGI_FN size_t mgi_elem_size(mgi_elem e)
{
    return e == MGI_ELEM_F32 ? sizeof(float) : sizeof(double); /* a word: 8 bytes */
}

/* Bytes of buffer u in chunks of b inputs and t steps; false on overflow. */
static int plan_size(const mango_plan *p, mgi_buf *u, mango_idx b, mango_idx t)
{
    mango_idx n = u->n, maps;
    if (!mgi_mul(b, t, &maps))
        return 0;
    if (u->scope == MGI_WORK) {
        const mgi_step *s = &p->step[u->first];
        n = mgi_step_work(p, s, s->dynamic ? maps : b);
    } else if (!mgi_mul(n, u->scope == MGI_PER_INPUT ? b : maps, &n)) {
        return 0;
    }
    if (!mgi_mul(n, (mango_idx)mgi_elem_size(u->elem), &n) ||
        !mgi_add(n, PLAN_ALIGN - 1, &n))
        return 0;
    u->bytes = n / PLAN_ALIGN * PLAN_ALIGN;
    return 1;
}

/* The steps during which u holds something; `over` when time is cut in chunks. */
static void plan_interval(const mango_plan *p, const mgi_buf *u, int over, int *first,
                          int *last)
{
    *first = u->first;
    *last = u->last;
    if (over && u->carried) {
        *first = MGI_MIN(u->first, p->first_dynamic);
        *last = p->n_steps - 1;
    }
}

MGI_FN int mgi_plan_place(mango_plan *p, mango_idx b, mango_idx t, mango_idx *bytes)
{
    const int over = p->first_dynamic < p->n_steps && (t < p->T || p->slice > 0);
    for (int i = 0; i < p->n_bufs; i++) {
        if (!plan_size(p, &p->buf[i], b, t))
            return 0;
        p->place[i].size = p->buf[i].bytes;
        plan_interval(p, &p->buf[i], over, &p->place[i].first, &p->place[i].last);
    }
    *bytes = mgi_place_all(p->n_bufs, p->place, p->order);
    if (*bytes < 0)
        return 0;
    for (int i = 0; i < p->n_bufs; i++)
        p->buf[i].offset = p->place[i].at;
    p->Bc = b;
    p->Tc = t;
    p->arena_bytes = *bytes;
    return 1;
}

/* The next smaller chunk: over the batch first, then over time; false: none. */
static int plan_halve(const mango_plan *p, mango_idx *b, mango_idx *t)
{
    if (*b > 1 && p->slice == 0)
        *b = (*b + 1) / 2;
    else if (*t > 1)
        *t = (*t + 1) / 2;
    else
        return 0;
    return 1;
}

/* Chunks of equal size, as many as chunks of `part` would need. */
static mango_idx plan_even(mango_idx whole, mango_idx part)
{
    const mango_idx chunks = mgi_ceil_div(whole, part);
    return mgi_ceil_div(whole, chunks);
}

/* With `maps` maps, do the matrix products of a tenth of the work or more have
 * too few rows, pixels of all maps? */
static int plan_few_rows(const mango_plan *p, mango_idx maps)
{
    double macs = 0;
    for (int i = 0; i < p->n_steps; i++)
        if (maps * p->step[i].conv.OH * p->step[i].conv.OW < MGI_PLAN_ROWS)
            macs += mgi_step_macs(p, &p->step[i]);
    return 10 * macs > p->macs;
}

/* Maps that a chunk should not go below: rows as above, and enough products for
 * each weight that a chunk reads once, more so when they lie outside the caches. */
static mango_idx plan_few(const mango_plan *p)
{
    double weights = 0;
    mango_idx maps = 1;
    if (p->first_dynamic < p->n_steps)
        return MGI_PLAN_MAPS;
    for (int i = 0; i < p->n_steps; i++)
        weights += (double)p->step[i].packed_n;
    const double uses = weights > PLAN_NEAR ? PLAN_USES_FAR : PLAN_USES;
    while (maps < MGI_PLAN_MAPS &&
           (plan_few_rows(p, maps) || (double)maps * p->macs < uses * weights))
        maps++;
    return maps;
}

/* The first chunk under the cap that also stays in a span of memory, or whose
 * next smaller one would have too few maps for the matrix products. */
MGI_FN mango_status mgi_plan_chunks(mango_plan *p, mango_err *err)
{
    const mango_idx most = p->slice > 0 ? p->slice : p->T;
    const mango_idx T = p->first_dynamic < p->n_steps ? most : 1;
    const mango_idx few = plan_few(p);
    const mango_idx span = p->first_dynamic < p->n_steps ? MGI_PLAN_SPAN : MGI_PLAN_STATIC;
    mango_idx b = p->B, t = T, bytes = 0;
    int fits = 0;
    for (;;) {
        mango_idx nb = b, nt = t;
        fits = mgi_plan_place(p, b, t, &bytes) && bytes <= p->memory;
        const int more = plan_halve(p, &nb, &nt);
        if (!more || (fits && (bytes <= span || nb * nt < few)))
            break;
        b = nb;
        t = nt;
    }
    if (!fits)
        return mgi_fail(err, MANGO_E_MEM,
                        "the plan needs %lld bytes for %lld inputs and one step at a time: "
                        "the memory cap is %lld",
                        (long long)bytes, (long long)b, (long long)p->memory);
    if (!mgi_plan_place(p, plan_even(p->B, b), plan_even(T, t), &bytes) ||
        bytes > p->memory)
        (void)mgi_plan_place(p, b, t, &bytes);
    return MANGO_OK;
}

#undef PLAN_ALIGN
#undef PLAN_NEAR
#undef PLAN_USES
#undef PLAN_USES_FAR
