/* session_final.c - the final race: the last share of the budget decides among leaders.
 *
 * Of a search under noise the highest value was lucky. So its last B = floor(race budget)
 * presentations go to the L codes of the highest posterior means (posterior.c), in
 *
 *     R(A) = ceil(log2 A) rounds while A codes are left, at least 1               (1)
 *     m    = floor(left/(A R(A))) presentations of each in a round                (2)
 *     A    = L, ceil(A/2), ... 2: the better half goes on                         (3)
 *
 * the last round taking what is left: sequential halving (Karnin, Koren and Somekh 2013),
 * where the values from before count too. L is `race_leaders`, or the largest for which m
 * is not below 1. A round is a line of the journal; its presentations are told as all.
 * SPDX-License-Identifier: MIT */
#include "session.h"

MGI_FN mango_idx mgi_session_end(const mango_session *s)
{
    return s->closing != MANGO_OK ? s->close_end : s->budget;
}

MGI_FN mango_idx mgi_session_limit(const mango_session *s)
{
    if (s->closing != MANGO_OK)
        return s->close_at;
    return s->budget - (mango_idx)(s->race * (double)s->budget);
}

MGI_FN int mgi_session_racing(const mango_session *s)
{
    const mgi_final *f = &s->final;
    for (mango_idx i = 0; i < f->K; i++)
        if (s->cache.seen[f->row[i]] < f->want[i])
            return 1;
    return 0;
}

MGI_FN mango_idx mgi_session_final_next(mango_session *s)
{
    const mgi_final *f = &s->final;
    mango_idx next = -1, most = 0;
    for (mango_idx i = 0; i < f->K; i++) {
        const mango_idx left = f->want[i] - s->cache.out[f->row[i]];
        if (left > most) {
            most = left;
            next = f->row[i];
        }
    }
    return next;
}

/* (1) */
static mango_idx final_rounds(mango_idx A)
{
    mango_idx R = 1;
    while (R < 62 && ((mango_idx)1 << R) < A)
        R++;
    return R;
}

/* Code `row` to its place among the best `most` in f->row; *n of them, the best first. */
static void final_rank(mango_session *s, const mgi_posterior *p, mango_idx row,
                       mango_idx most, mango_idx *n)
{
    const mgi_cache *c = &s->cache;
    mgi_final *f = &s->final;
    const double y = mgi_posterior_mean(p, c, c->head[row]);
    mango_idx i = *n;
    while (i > 0 && mgi_session_better(s, y, f->mean[i - 1]))
        i--;
    if (i >= most)
        return;
    *n = MGI_MIN(*n + 1, most);
    for (mango_idx k = *n - 1; k > i; k--) {
        f->row[k] = f->row[k - 1];
        f->mean[k] = f->mean[k - 1];
    }
    f->row[i] = row;
    f->mean[i] = y;
}

/* The leaders of all codes; (2) with m = 1 limits how many. */
static void final_leaders(mango_session *s, const mgi_posterior *p, mango_idx left)
{
    const mgi_cache *c = &s->cache;
    mango_idx n = 0;
    for (mango_idx h = 0; h < c->n; h++)
        if (c->head[h] == h && c->all[h] > 0)
            final_rank(s, p, h, s->leaders, &n);
    while (n > 1 && n * final_rounds(n) > left)
        n--;
    s->final.K = n;
}

/* (3): the better half of a round */
static void final_halve(mango_session *s, const mgi_posterior *p)
{
    mgi_final *f = &s->final;
    const mango_idx A = f->K, half = (A + 1) / 2;
    mango_idx n = 0;
    memcpy(f->want, f->row, (size_t)A * sizeof *f->row);
    for (mango_idx i = 0; i < A; i++)
        final_rank(s, p, f->want[i], half, &n);
    f->K = n;
}

/* (2): presentations of each in this round */
static void final_shows(mango_session *s, mango_idx left)
{
    mgi_final *f = &s->final;
    const mango_idx R = final_rounds(f->K), A = f->K;
    const mango_idx m = left / (A * R), rest = R == 1 ? left % A : 0;
    for (mango_idx i = 0; i < A; i++)
        f->want[i] = s->cache.seen[f->row[i]] + MGI_MAX(m, 1) + (i < rest && m > 0);
}

MGI_FN mango_status mgi_session_final_open(mango_session *s)
{
    mgi_posterior p;
    const mango_idx left = mgi_session_end(s) - s->shown;
    mgi_posterior_fit(&p, &s->cache);
    if (s->final.K > 2)
        final_halve(s, &p);
    else
        final_leaders(s, &p, left);
    if (s->final.K == 0)
        return MANGO_STOP_BUDGET; /* nothing but missing values: nothing to decide */
    s->final.K = MGI_MIN(s->final.K, MGI_MAX(left, 1));
    final_shows(s, left);
    return mgi_session_write_race(s);
}

MGI_FN mango_status mgi_session_final_memory(mango_session *s)
{
    mgi_final *f = &s->final;
    if (s->race <= 0.0)
        return MANGO_OK;
    f->row = mgi_new(&s->al, s->leaders, sizeof *f->row);
    f->want = mgi_new(&s->al, s->leaders, sizeof *f->want);
    f->mean = mgi_new(&s->al, s->leaders, sizeof *f->mean);
    return f->row && f->want && f->mean ? MANGO_OK : MANGO_E_MEM;
}

MGI_FN void mgi_session_final_free(mango_session *s)
{
    mgi_del(&s->al, s->final.row, s->leaders, sizeof *s->final.row);
    mgi_del(&s->al, s->final.want, s->leaders, sizeof *s->final.want);
    mgi_del(&s->al, s->final.mean, s->leaders, sizeof *s->final.mean);
}
