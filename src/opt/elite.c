/* elite.c - the best codes told so far, see elite.h.
 * SPDX-License-Identifier: MIT */
#include "elite.h"


#define ELITE_FADE 0.99 /* weight of a row told one row earlier */
#define ELITE_HOPE 2.0   /* standard deviations that a code may be better than its worth */
#define ELITE_LEAST 0.2  /* of the spread is never noise */

/* ---- life ----------------------------------------------------------------- */

MGI_FN void mgi_elites_clear(mgi_elites *e)
{
    e->n = 0;
    e->s2 = e->weight = e->off = e->noise = e->seen = e->mean = 0.0;
}

MGI_FN mango_status mgi_elites_create(mgi_elites *e, mango_idx d, mango_idx cap,
                                      const mango_alloc *al)
{
    mango_idx cells;
    e->d = d;
    e->cap = cap;
    if (!mgi_mul(d, cap, &cells))
        return MANGO_E_MEM;
    e->row = mgi_new(al, cap, sizeof *e->row);
    e->code = mgi_new(al, cells, sizeof *e->code);
    mgi_elites_clear(e);
    return e->row && e->code ? MANGO_OK : MANGO_E_MEM;
}

MGI_FN void mgi_elites_destroy(mgi_elites *e, const mango_alloc *al)
{
    mgi_del(al, e->row, e->cap, sizeof *e->row);
    mgi_del(al, e->code, e->d * e->cap, sizeof *e->code);
    memset(e, 0, sizeof *e);
}

/* ---- codes ---------------------------------------------------------------- */

MGI_FN uint64_t mgi_code_hash(mango_idx d, const mango_idx *I)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (mango_idx j = 0; j < d; j++) {
        h = (h ^ (uint64_t)I[j]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

MGI_FN void mgi_elites_code(const mgi_elites *e, mango_idx i, mango_idx *I)
{
    const int32_t *from = e->code + e->row[i].at * e->d;
    for (mango_idx j = 0; j < e->d; j++)
        I[j] = from[j];
}

static int elite_is(const mgi_elites *e, mango_idx i, uint64_t hash, const mango_idx *I)
{
    if (e->row[i].hash != hash)
        return 0;
    const int32_t *code = e->code + e->row[i].at * e->d;
    for (mango_idx j = 0; j < e->d; j++)
        if (code[j] != I[j])
            return 0;
    return 1;
}

/* ---- worth ---------------------------------------------------------------- */

/* Variances of one presentation and of what codes are worth; s2 0: not known. */
static void elite_variances(const mgi_elites *e, double *s2, double *tau2)
{
    const double spread = e->seen > 0.0 ? e->off / e->seen : 0.0;
    *s2 = e->weight > 0.0 ? e->s2 / e->weight : 0.0;                            /* (1) */
    if (!mgi_is_finite(spread + *s2))
        *s2 = 0.0;
    const double known = *s2 > 0.0 ? spread - *s2 * e->noise / e->seen : spread;
    *tau2 = MGI_MAX(known, ELITE_LEAST * spread);                               /* (2) */
}

static double elite_worth(const mgi_elites *e, const mgi_elite *r)
{
    double s2, tau2;
    elite_variances(e, &s2, &tau2);
    if (!(s2 > 0.0) || !(tau2 > 0.0))
        return r->y;
    const double m = e->mean / e->seen;
    return m + (r->y - m) * (tau2 / (tau2 + s2 / (double)r->n));                /* (3) */
}

MGI_FN mango_idx mgi_elites_unsure(const mgi_elites *e)
{
    double s2, tau2, most = -INFINITY;
    mango_idx best = 0;
    elite_variances(e, &s2, &tau2);
    for (mango_idx i = 0; i < e->n; i++) {
        const double v = s2 / (double)(e->row[i].n + e->row[i].again);
        const double sd = tau2 > 0.0 ? sqrt(tau2 * v / (tau2 + v)) : 0.0;
        const double could = e->row[i].worth + ELITE_HOPE * sd;                 /* (4) */
        best = could > most ? i : best;
        most = MGI_MAX(could, most);
    }
    return best;
}

static void elite_count(mgi_elites *e, const mango_told *t)
{
    const double off = e->seen > 0.0 ? t->y - e->mean / e->seen : 0.0;
    e->seen = ELITE_FADE * e->seen + 1.0;
    e->mean = ELITE_FADE * e->mean + t->y;
    e->off = ELITE_FADE * e->off + off * off;
    e->noise = ELITE_FADE * e->noise + 1.0 / (double)t->n;
    if (t->n >= 2 && mgi_is_finite(t->var)) {
        e->s2 += t->var * (double)(t->n - 1);
        e->weight += (double)(t->n - 1);
    }
}

static int elite_before(const mgi_elite *a, const mgi_elite *b)
{
    return a->worth != b->worth ? a->worth > b->worth : a->tie > b->tie;
}

/* Row i to its place among those before it. */
static void elite_rise(mgi_elites *e, mango_idx i)
{
    const mgi_elite r = e->row[i];
    for (; i > 0 && elite_before(&r, e->row + i - 1); i--)
        e->row[i] = e->row[i - 1];
    e->row[i] = r;
}

MGI_FN void mgi_elites_rank(mgi_elites *e)
{
    for (mango_idx i = 0; i < e->n; i++) {
        e->row[i].worth = elite_worth(e, e->row + i);
        elite_rise(e, i);
    }
}

/* ---- tell ----------------------------------------------------------------- */

/* The row for a code that is not there: a free one, or the last if r is better. */
static mango_idx elite_place(mgi_elites *e, const mgi_elite *r)
{
    if (e->n < e->cap) {
        e->row[e->n].at = e->n;
        return e->n++;
    }
    return elite_before(r, e->row + e->n - 1) ? e->n - 1 : -1;
}

static void elite_write(mgi_elites *e, mango_idx at, const mango_idx *I)
{
    int32_t *to = e->code + at * e->d;
    for (mango_idx j = 0; j < e->d; j++)
        to[j] = (int32_t)I[j];
}

MGI_FN void mgi_elites_tell(mgi_elites *e, const mango_told *t)
{
    mgi_elite r = {0.0, t->tie, t->y, t->n, 0, 0, mgi_code_hash(e->d, t->I)};
    elite_count(e, t);
    r.worth = elite_worth(e, &r);
    mango_idx i = 0;
    while (i < e->n && !elite_is(e, i, r.hash, t->I))
        i++;
    if (i < e->n) { /* known: its place and who counts it stay */
        e->row[i].y = r.y;
        e->row[i].n = r.n;
        e->row[i].tie = r.tie;
        e->row[i].again = 0;
        mgi_elites_rank(e);
        return;
    }
    i = elite_place(e, &r);
    if (i < 0)
        return;
    r.at = e->row[i].at;
    elite_write(e, r.at, t->I);
    e->row[i] = r;
    elite_rise(e, i);
}

#undef ELITE_FADE
#undef ELITE_HOPE
#undef ELITE_LEAST
