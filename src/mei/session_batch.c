/* session_batch.c - batches of a session: opened, handed out, filled, told.
 *
 * A batch is what one ask of the optimizer proposes. Codes not known yet become rows of
 * the cache; a row may be shown several times. When the last of its rows is whole, the
 * optimizer is told the batch. Which batch that is, and when, follows from the order of
 * asks and values alone, so a journal of these is enough to come here again.
 * SPDX-License-Identifier: MIT */
#include "session.h"

#define BATCH_DRY 10 /* restarts in a row without a new code: give up */

MGI_FN int mgi_session_better(const mango_session *s, double y, double than)
{
    return s->minimize ? y < than : y > than;
}

/* ---- memory --------------------------------------------------------------- */

static void batch_free(mango_session *s, mgi_proposals *b)
{
    mgi_del(&s->al, b->I, s->cap * s->d, sizeof *b->I);
    mgi_del(&s->al, b->row, s->cap, sizeof *b->row);
    mgi_del(&s->al, b->id, s->cap, sizeof *b->id);
    memset(b, 0, sizeof *b);
}

static mango_status batch_memory(mango_session *s, mgi_proposals *b)
{
    if (b->I)
        return MANGO_OK;
    b->I = mgi_new(&s->al, s->cap * s->d, sizeof *b->I);
    b->row = mgi_new(&s->al, s->cap, sizeof *b->row);
    b->id = mgi_new(&s->al, s->cap, sizeof *b->id);
    if (b->I && b->row && b->id)
        return MANGO_OK;
    batch_free(s, b);
    return MANGO_E_MEM;
}

MGI_FN void mgi_session_free_batches(mango_session *s)
{
    for (mango_idx i = 0; i < s->n_batch; i++)
        batch_free(s, s->batch + i);
    mgi_del(&s->al, s->batch, s->n_batch, sizeof *s->batch);
}

MGI_FN mango_status mgi_session_reserve(mango_session *s)
{
    MGI_TRY(mgi_cache_reserve(&s->cache, s->cap));
    if (s->n_open == s->n_batch) {
        const mango_idx more = s->n_batch + MGI_MAX(s->n_batch, 1);
        mgi_proposals *p = mgi_resize(&s->al, s->batch, s->n_batch, more, sizeof *p);
        if (!p)
            return MANGO_E_MEM;
        memset(p + s->n_batch, 0, (size_t)(more - s->n_batch) * sizeof *p);
        s->batch = p;
        s->n_batch = more;
    }
    return batch_memory(s, s->batch + s->n_open);
}

MGI_FN mango_status mgi_session_room(mango_session *s, mango_idx n)
{
    mango_idx want;
    if (!mgi_add(s->n_better, n, &want))
        return MANGO_E_MEM;
    if (want <= s->cap_better)
        return MANGO_OK;
    mango_improvement *p = mgi_resize(&s->al, s->better, s->cap_better, 2 * want, sizeof *p);
    if (!p)
        return MANGO_E_MEM;
    s->better = p;
    s->cap_better = 2 * want;
    return MANGO_OK;
}

/* ---- open ----------------------------------------------------------------- */

/* Nothing new for long: restart the optimizer. MANGO_STOP_SPACE when in vain. */
static mango_status batch_stall(mango_session *s)
{
    if (s->stalled < s->stall)
        return MANGO_OK;
    if (s->dry >= BATCH_DRY)
        return MANGO_STOP_SPACE;
    s->stalled = 0;
    s->dry++;
    s->restarts++;
    return mango_opt_restart(s->opt);
}

/* Tell the optimizer open batch i, and close it. */
static mango_status batch_tell(mango_session *s, mango_idx i)
{
    const mgi_cache *c = &s->cache;
    const mgi_proposals b = s->batch[i];
    for (mango_idx k = 0; k < b.K; k++) {
        const mango_idx row = b.row[k];
        mango_told *t = s->told + k;
        t->id = b.id[k];
        t->I = b.I + k * s->d;
        t->y = c->y[row];
        t->var = mgi_cache_var(c, row);
        t->n = MGI_MAX(c->good[row], 1);
        t->tie = c->tie[row];
    }
    s->n_open--;
    memmove(s->batch + i, s->batch + i + 1, (size_t)(s->n_open - i) * sizeof b);
    s->batch[s->n_open] = b;
    if (mango_opt_tell_all(s->opt, b.K, s->told) == MANGO_OK)
        return MANGO_OK;
    return s->dead = mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
}

/* The K proposals of b: rows of the cache, new ones where the code is not known. */
static void batch_rows(mango_session *s, mgi_proposals *b)
{
    mgi_cache *c = &s->cache;
    b->first = b->at = c->n;
    b->round = b->shared = 0;
    for (mango_idx k = 0; k < b->K; k++) {
        const mango_idx *I = b->I + k * s->d, known = mgi_cache_find(c, I);
        b->row[k] = known >= 0 ? known : mgi_cache_push(c, I);
        if (known < 0)
            c->ask[b->row[k]] = b->id[k];
        b->shared += known >= 0 && known < b->first && !mgi_cache_whole(c, known);
        s->cached += known >= 0;
    }
    b->end = c->n;
    b->waiting = b->end - b->first;
}

MGI_FN mango_status mgi_session_batch(mango_session *s)
{
    if (mgi_session_reserve(s) < 0)
        return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
    const mango_status st = batch_stall(s);
    if (st != MANGO_OK)
        return st;
    mgi_proposals *b = s->batch + s->n_open;
    b->K = 0;
    if (mango_opt_ask_ids(s->opt, s->cap, &b->K, b->I, b->id) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
    batch_rows(s, b);
    s->final.K = 0;
    b->offered = 0;
    s->asks++;
    s->n_open++;
    if (b->waiting > 0) {
        s->stalled = s->dry = 0;
        return MANGO_OK;
    }
    s->stalled++;
    s->silent++;
    return b->shared > 0 ? MANGO_OK : batch_tell(s, s->n_open - 1);
}

MGI_FN mango_status mgi_session_offer(mango_session *s, mango_idx K, const mango_idx *I,
                                      uint64_t *id)
{
    mgi_proposals *b = s->batch + s->n_open;
    memcpy(b->I, I, (size_t)(K * s->d) * sizeof *I);
    b->K = K;
    b->offered = 1;
    for (mango_idx k = 0; k < K; k++)
        b->id[k] = MANGO_UNASKED;
    batch_rows(s, b);
    for (mango_idx k = 0; id && k < K; k++)
        id[k] = (uint64_t)b->row[k];
    s->n_open++;
    s->n_offered += K;
    return b->waiting + b->shared > 0 ? MANGO_OK : batch_tell(s, s->n_open - 1);
}

/* ---- hand out ------------------------------------------------------------- */

/* The next row of b to be shown, -1: none is left. */
static mango_idx batch_next(const mango_session *s, mgi_proposals *b)
{
    const mgi_cache *c = &s->cache;
    while (b->round < c->shows) {
        if (b->at == b->end) {
            b->round++;
            b->at = b->first;
            continue;
        }
        const mango_idx row = b->at++;
        if (c->out[row] <= b->round && !mgi_cache_whole(c, row))
            return row;
    }
    return -1;
}

/* The next row to be shown, of the batches from *i on or of the race; -1: none. */
static mango_idx batch_hand(mango_session *s, mango_idx *i)
{
    if (mgi_session_racing(s))
        return mgi_session_final_next(s);
    mango_idx row = -1;
    while (row < 0 && *i < s->n_open) {
        row = batch_next(s, s->batch + *i);
        *i += row < 0;
    }
    return row;
}

MGI_FN mango_idx mgi_session_hand(mango_session *s, mango_idx most, uint64_t *id,
                                  mango_idx *I)
{
    const mango_idx end = mgi_session_racing(s) ? mgi_session_end(s) : mgi_session_limit(s);
    mango_idx n = 0, i = 0;
    most = MGI_MIN(most, end - s->shown - s->out);
    while (n < most) {
        const mango_idx row = batch_hand(s, &i);
        if (row < 0)
            break;
        s->cache.out[row]++;
        s->out++;
        id[n] = (uint64_t)row;
        mgi_cache_code(&s->cache, row, I + n * s->d);
        n++;
    }
    return n;
}

/* What is out of this row is out no more. */
static void batch_lost(mango_session *s, mango_idx row)
{
    mgi_cache *c = &s->cache;
    s->out -= c->out[row] - c->seen[row];
    c->out[row] = c->seen[row];
}

MGI_FN void mgi_session_again(mango_session *s, mango_idx row)
{
    for (mango_idx i = 0; i < s->final.K; i++)
        if (row < 0 || s->final.row[i] == row)
            batch_lost(s, s->final.row[i]);
    for (mango_idx i = 0; i < s->n_open; i++) {
        mgi_proposals *b = s->batch + i;
        for (mango_idx r = b->first; r < b->end; r++)
            if (row < 0 || r == row)
                batch_lost(s, r);
        b->round = 0;
        b->at = b->first;
    }
}

/* ---- fill ----------------------------------------------------------------- */

/* Query q is the best now; another one than before is an improvement. */
static void batch_new_best(mango_session *s, mango_idx q, double y)
{
    s->best = y;
    if (s->n_better > 0 && s->better[s->n_better - 1].query == q)
        return;
    const mango_improvement now = {q, s->cache.done, s->shown, y};
    s->better[s->n_better++] = now;
}

/* Is row a better than row b, or than none, -1? Equal values: their ties tell. */
static int batch_beats(const mango_session *s, mango_idx a, mango_idx b)
{
    const mgi_cache *c = &s->cache;
    if (!mgi_is_finite(c->y[a]) || b < 0)
        return mgi_is_finite(c->y[a]);
    if (c->y[a] == c->y[b])
        return mgi_session_better(s, c->tie[a], c->tie[b]);
    return mgi_session_better(s, c->y[a], c->y[b]);
}

/* The best of all whole rows, of equal ones the first. */
static void batch_best_of_all(mango_session *s)
{
    const mgi_cache *c = &s->cache;
    mango_idx best = -1;
    for (mango_idx q = 0; q < c->done; q++)
        if (batch_beats(s, c->order[q], best))
            best = c->order[q];
    batch_new_best(s, c->place[best], c->y[best]);
}

/* A whole row has its value, or another one than before. */
static void batch_best(mango_session *s, mango_idx row)
{
    const mgi_cache *c = &s->cache;
    const mango_idx q = c->place[row];
    const mango_idx best = s->n_better > 0 ? s->better[s->n_better - 1].query : -1;
    if (s->noisy || !mgi_is_finite(c->y[row]))
        return;
    if (best == q && mgi_session_better(s, s->best, c->y[row]))
        batch_best_of_all(s);
    else if (best == q || batch_beats(s, row, best < 0 ? -1 : c->order[best]))
        batch_new_best(s, q, c->y[row]);
}

/* Under noise: is the code of head h to be reported rather than that of `best`? One that
 * was shown again comes before all that were not; then the posterior mean decides. */
static int batch_reported(const mango_session *s, const mgi_posterior *p, mango_idx h,
                          mango_idx best)
{
    const mgi_cache *c = &s->cache;
    if (c->head[h] != h || c->all[h] == 0)
        return 0;
    if (best < 0 || (c->all[h] > 1) != (c->all[best] > 1))
        return best < 0 || c->all[h] > 1;
    return mgi_session_better(s, mgi_posterior_mean(p, c, h),
                              mgi_posterior_mean(p, c, best));
}

static mango_idx batch_racer(const mango_session *s, const mgi_posterior *p)
{
    mango_idx best = -1;
    for (mango_idx i = 0; i < s->final.K; i++) {
        const mango_idx row = s->final.row[i];
        if (mgi_cache_whole(&s->cache, row) && batch_reported(s, p, row, best))
            best = row;
    }
    return best;
}

MGI_FN void mgi_session_judge(mango_session *s)
{
    const mgi_cache *c = &s->cache;
    mgi_posterior p;
    mango_idx best = -1;
    if (!s->noisy)
        return;
    mgi_posterior_fit(&p, c);
    if (s->final.K > 0) /* of a race: who is still in it; the others lost */
        best = batch_racer(s, &p);
    for (mango_idx q = 0; s->final.K == 0 && q < c->done; q++)
        if (batch_reported(s, &p, c->order[q], best))
            best = c->order[q];
    if (best < 0)
        return;
    s->again = c->all[best];
    batch_new_best(s, c->place[best],
                   s->again > 1 ? mgi_posterior_again(c, best)
                                : mgi_posterior_mean(&p, c, best));
}

/* A row became whole: batches that waited for it, the earlier first. */
static mango_status batch_whole(mango_session *s, mango_idx row)
{
    mango_idx i = 0;
    while (i < s->n_open) {
        mgi_proposals *b = s->batch + i;
        if (row >= b->first && row < b->end)
            b->waiting--;
        else if (b->shared > 0)
            for (mango_idx k = 0; k < b->K; k++)
                b->shared -= b->row[k] == row;
        if (b->waiting == 0 && b->shared == 0)
            MGI_TRY(batch_tell(s, i)); /* the next one stands at i now */
        else
            i++;
    }
    return MANGO_OK;
}

/* The optimizer is told again of a row that was told before and has one value more. */
static mango_status batch_retell(mango_session *s, mango_idx row)
{
    const mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < s->n_open; i++)
        if (row >= s->batch[i].first && row < s->batch[i].end)
            return MANGO_OK; /* its batch is still to be told */
    if (!s->retell || !mgi_is_finite(c->y[row]))
        return MANGO_OK;
    mgi_cache_code(c, row, s->peek);
    const mango_told t = {c->ask[row],  s->peek,     c->y[row], mgi_cache_var(c, row),
                          c->good[row], c->tie[row]};
    if (mango_opt_tell_all(s->opt, 1, &t) == MANGO_OK)
        return MANGO_OK;
    return s->dead = mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
}

MGI_FN mango_status mgi_session_take(mango_session *s, mango_idx row, double y, double tie)
{
    mgi_cache *c = &s->cache;
    const int was_missing = mgi_cache_whole(c, row) && c->good[row] == 0;
    if (c->out[row] > c->seen[row])
        s->out--;
    else
        c->out[row]++;
    s->shown++;
    const int whole_now = mgi_cache_take(c, row, y);
    if (mgi_is_finite(y) && mgi_is_finite(tie))
        c->tie[row] = tie;
    if (!mgi_cache_whole(c, row))
        return MANGO_OK;
    s->missing += whole_now && c->good[row] == 0;
    s->missing -= was_missing && c->good[row] > 0;
    batch_best(s, row);
    return whole_now ? batch_whole(s, row) : batch_retell(s, row);
}

#undef BATCH_DRY
