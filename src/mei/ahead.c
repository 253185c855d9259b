/* ahead.c - evaluations that reach into batches to come.
 *
 * What an oblivious optimizer asks does not depend on what it is told: the codes
 * of its next batches are known now. They join the present batch until one
 * evaluation holds `ahead` codes, and wait with their values until their batch
 * is opened. Only the calls of the evaluator become fewer and larger: batches,
 * queries, journal and results are what they are without.
 * SPDX-License-Identifier: MIT */
#include "session.h"
#include "../opt/method.h"

/* How many of the m codes in s->J are the first that wait? Their values go to s->y. */
static mango_idx ahead_take(mango_session *s, mango_idx m)
{
    const size_t row = (size_t)s->d * sizeof *s->aI;
    mango_idx n = 0;
    while (n < m && n < s->n_ahead &&
           memcmp(s->aI + n * s->d, s->J + n * s->d, row) == 0) {
        s->y[n] = s->ay[n];
        n++;
    }
    const mango_idx left = n < m ? 0 : s->n_ahead - n; /* another order: start anew */
    if (left > 0) {
        memmove(s->aI, s->aI + n * s->d, (size_t)left * row);
        memmove(s->ay, s->ay + n, (size_t)left * sizeof *s->ay);
    }
    s->n_ahead = left;
    return n;
}

static int ahead_has(const mango_session *s, mango_idx n, const mango_idx *I)
{
    for (mango_idx i = 0; i < n; i++)
        if (memcmp(s->aI + i * s->d, I, (size_t)s->d * sizeof *I) == 0)
            return 1;
    return mgi_cache_find(&s->cache, I) >= 0;
}

/* New codes of the next proposals behind the n in s->aI, up to `most` in all. */
static mango_idx ahead_peek(mango_session *s, mango_idx n, mango_idx most)
{
    mango_idx skip = 0;
    while (n < most && skip < 4 * most) { /* nothing new for long: leave it */
        const mango_idx K = MGI_MIN(s->cap, most - n);
        if (mgi_opt_peek(s->opt, skip, K, s->peek) < 0)
            break;
        for (mango_idx k = 0; k < K; k++)
            if (!ahead_has(s, n, s->peek + k * s->d)) {
                memcpy(s->aI + n * s->d, s->peek + k * s->d,
                       (size_t)s->d * sizeof *s->aI);
                n++;
            }
        skip += K;
    }
    return n;
}

MGI_FN mango_status mgi_session_values(mango_session *s, mango_idx m)
{
    const mango_idx have = ahead_take(s, m), need = m - have;
    if (need == 0)
        return MANGO_OK;
    const mango_idx room = s->budget - s->shown - have;
    const mango_idx most = MGI_MIN(s->ahead, room);
    if (most <= need)
        return s->f(s->ud, need, s->J + have * s->d, s->y + have);
    memcpy(s->aI, s->J + have * s->d, (size_t)(need * s->d) * sizeof *s->aI);
    const mango_idx n = ahead_peek(s, need, most);
    const mango_status st = s->f(s->ud, n, s->aI, s->ay);
    if (st != MANGO_OK)
        return st;
    memcpy(s->y + have, s->ay, (size_t)need * sizeof *s->y);
    s->n_ahead = n - need;
    memmove(s->aI, s->aI + need * s->d, (size_t)(s->n_ahead * s->d) * sizeof *s->aI);
    memmove(s->ay, s->ay + need, (size_t)s->n_ahead * sizeof *s->ay);
    return MANGO_OK;
}
