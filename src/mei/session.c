/* session.c - a search: ask for codes, tell their values, or let a step do both.
 *
 * A batch is opened when nothing is left to hand out; its codes go out with ids and
 * their values come back in any order. When a batch has all its values the optimizer
 * is told, whichever batch that is. Every batch and every value leaves a line in the
 * journal before it is acted upon, in the order in which things happen: so a resumed
 * session, which does again what the lines say, cannot differ from one that was
 * never interrupted.
 * SPDX-License-Identifier: MIT */
#include "session.h"

/* Is it to end before the budget does? What is out is waited for, then there is the race,
 * of its share of all. */
static void session_close(mango_session *s)
{
    const mango_idx better = s->n_better > 0 ? s->better[s->n_better - 1].told : 0;
    if (s->closing != MANGO_OK || mgi_session_racing(s) || s->shown >= mgi_session_limit(s))
        return;
    if (s->stagnate > 0 && s->shown - MGI_MAX(better, s->since) >= s->stagnate)
        s->closing = MANGO_STOP_STAGNATION;
    else if (s->seconds > 0.0 && difftime(time(NULL), s->began) >= s->seconds)
        s->closing = MANGO_STOP_TIME;
    else
        return;
    const double share = s->race / (1.0 - s->race);
    s->close_at = s->shown + s->out;
    s->close_end = s->close_at + (mango_idx)(share * (double)s->close_at);
    s->close_end = MGI_MIN(s->close_end, s->budget);
}

/* Is it over? */
static mango_status session_over(const mango_session *s)
{
    const mgi_cache *c = &s->cache;
    const int sure = s->n_better > 0 && (!s->noisy || s->again > 1);
    if (sure && !mgi_is_nan(s->stop_at) && !mgi_session_better(s, s->stop_at, s->best))
        return MANGO_STOP_TARGET;
    if (s->shown >= mgi_session_end(s))
        return s->closing != MANGO_OK ? s->closing : MANGO_STOP_BUDGET;
    if (c->indexed && c->done - s->missing >= s->total)
        return MANGO_STOP_SPACE;
    return MANGO_OK;
}

/* What is left of the budget is the final race's. */
static int session_final(const mango_session *s)
{
    const mango_idx limit = mgi_session_limit(s);
    return s->race > 0.0 && limit < mgi_session_end(s) && s->shown + s->out >= limit;
}

/* Nothing can be opened before something that is out is told: the budget is handed out,
 * the last batch repeats codes that are out, the race is among codes that are told, or the
 * journal is of one batch at a time. */
static int session_blocked(const mango_session *s)
{
    if (session_final(s))
        return s->out > 0;
    mango_idx i = s->n_open - 1;
    while (i >= 0 && s->batch[i].offered)
        i--;
    const mgi_proposals *last = i >= 0 ? s->batch + i : NULL;
    return s->shown + s->out >= mgi_session_end(s) || (last && last->first == last->end) ||
           (last && s->format == 1);
}

/* One more batch and its line, or a round of the race. */
static mango_status session_open(mango_session *s)
{
    if (session_final(s))
        return mgi_session_final_open(s);
    const mango_idx first = s->cache.n;
    const mango_status st = mgi_session_batch(s);
    if (st != MANGO_OK || s->cache.n == first)
        return st;
    return mgi_session_write_ask(s, first);
}

/* ---- ask and tell --------------------------------------------------------- */

mango_status mango_session_ask(mango_session *s, mango_idx cap, mango_idx *K, uint64_t *id,
                               mango_idx *I)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, K && id && I && cap >= 1,
              "mango_session_ask: K, id, I and cap >= 1 expected");
    *K = 0;
    mango_status st = s->dead == MANGO_OK && s->stop ? MANGO_STOP_USER : s->dead;
    s->stop = 0;
    while (st == MANGO_OK && *K == 0) {
        session_close(s);
        st = session_over(s);
        if (st != MANGO_OK)
            break;
        *K = mgi_session_hand(s, cap, id, I);
        if (*K == 0 && session_blocked(s))
            break;
        if (*K == 0)
            st = session_open(s);
    }
    return st;
}

/* The ids of a tell: codes that were asked; in format 1 the next ones, in order. */
static mango_status session_check_ids(mango_session *s, mango_idx n, const uint64_t *id)
{
    const mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < n; i++) {
        if (id[i] >= (uint64_t)c->n)
            return mgi_fail(&s->err, MANGO_E_ARG,
                            "mango_session_tell: id %llu was not asked, 0..%td were",
                            (unsigned long long)id[i], c->n - 1);
        if (s->format == 1 && id[i] != (uint64_t)(c->done + i))
            return mgi_fail(&s->err, MANGO_E_STATE,
                            "mango_session_tell: id %llu; the journal is of format 1, "
                            "where values come in order: %td expected",
                            (unsigned long long)id[i], c->done + i);
    }
    return MANGO_OK;
}

/* Values and their ties, NULL: none; the observer is not called. */
static mango_status session_told(mango_session *s, mango_idx n, const uint64_t *id,
                                 const double *y, const double *tie)
{
    MGI_CHECK(&s->err, n >= 0 && (n == 0 || (id && y)),
              "mango_session_tell: ids and values expected");
    MGI_TRY(s->dead);
    MGI_TRY(session_check_ids(s, n, id));
    if (tie && s->journal.log.f && s->format == 1)
        return mgi_fail(&s->err, MANGO_E_STATE,
                        "mango_session_tell: a journal of format 1 has no ties");
    if (mgi_session_room(s, n) < 0)
        return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
    if (n > 0)
        MGI_TRY(mgi_session_write_tell(s, n, id, y, tie));
    for (mango_idx i = 0; i < n; i++)
        MGI_TRY(mgi_session_take(s, (mango_idx)id[i], y[i], tie ? tie[i] : 0.0));
    mgi_session_judge(s);
    return MANGO_OK;
}

mango_status mango_session_tell_ties(mango_session *s, mango_idx n, const uint64_t *id,
                                     const double *y, const double *tie)
{
    MGI_REQUIRE(s);
    MGI_TRY(session_told(s, n, id, y, tie));
    if (s->observe && s->observe(s->observe_ud, s) != 0)
        s->stop = 1;
    return MANGO_OK;
}

mango_status mango_session_tell(mango_session *s, mango_idx n, const uint64_t *id,
                                const double *y)
{
    return mango_session_tell_ties(s, n, id, y, NULL);
}

mango_status mango_session_offer(mango_session *s, mango_idx K, const mango_idx *I,
                                 uint64_t *id)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, K >= 0 && (K == 0 || (I && id)),
              "mango_session_offer: codes and room for ids expected");
    MGI_TRY(s->dead);
    for (mango_idx e = 0; e < K * s->d; e++)
        MGI_CHECK(&s->err, I[e] >= 0 && I[e] < s->n[e % s->d],
                  "mango_session_offer: code %td has level %td in mode %td, expected 0..%td",
                  e / s->d, I[e], e % s->d, s->n[e % s->d] - 1);
    for (mango_idx k = 0; k < K; k++)
        MGI_CHECK(&s->err, mango_opt_allows(s->opt, I + k * s->d),
                  "mango_session_offer: code %td is not allowed", k);
    if (s->journal.log.f && s->format == 1)
        return mgi_fail(&s->err, MANGO_E_STATE,
                        "mango_session_offer: a journal of format 1 has no offers");
    for (mango_idx k = 0; k < K; k += s->cap) {
        const mango_idx m = MGI_MIN(s->cap, K - k);
        if (mgi_session_reserve(s) < 0)
            return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
        MGI_TRY(mgi_session_write_offer(s, m, I + k * s->d));
        MGI_TRY(mgi_session_offer(s, m, I + k * s->d, id + k));
    }
    return MANGO_OK;
}

mango_status mango_session_again(mango_session *s, mango_idx n, const uint64_t *id)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, n >= 0, "mango_session_again: n >= 0 expected");
    if (!id)
        mgi_session_again(s, -1);
    for (mango_idx i = 0; id && i < n; i++)
        MGI_CHECK(&s->err, id[i] < (uint64_t)s->cache.n,
                  "mango_session_again: id %llu was not asked", (unsigned long long)id[i]);
    for (mango_idx i = 0; id && i < n; i++)
        mgi_session_again(s, (mango_idx)id[i]);
    return MANGO_OK;
}

mango_status mango_session_note(mango_session *s, const char *key, const char *value)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, key && value, "mango_session_note: key and value expected");
    MGI_TRY(s->dead);
    if (s->journal.log.f && s->format == 1)
        return mgi_fail(&s->err, MANGO_E_STATE,
                        "mango_session_note: a journal of format 1 has no notes");
    return mgi_session_write_note(s, key, value);
}

/* ---- a step --------------------------------------------------------------- */

/* Values of the K presentations in s->id, s->J, with noise, if any, and their ties. */
static mango_status session_values(mango_session *s, mango_idx K)
{
    const mango_status st = mgi_session_values(s, K);
    if (st == MANGO_OK && s->noise.n > 0)
        mango_noise_apply(&s->noise, s->seed, (uint64_t)s->shown, K, s->y);
    return st == MANGO_OK && s->ties ? s->ties(s->ties_ud, K, s->tie) : st;
}

/* The same, had and then told. */
static mango_status session_evaluate(mango_session *s, mango_idx K)
{
    const mango_status st = session_values(s, K);
    if (st == MANGO_OK)
        return session_told(s, K, s->id, s->y, s->ties ? s->tie : NULL);
    for (mango_idx k = 0; k < K; k++)
        mgi_session_again(s, (mango_idx)s->id[k]);
    if (st > 0)
        return st;
    return mgi_fail(&s->err, st, "evaluation of query %td failed: %s", s->cache.done,
                    mango_status_text(st));
}

mango_status mango_session_step(mango_session *s)
{
    MGI_REQUIRE(s);
    MGI_TRY(s->dead);
    if (!s->f)
        return mgi_fail(&s->err, MANGO_E_STATE,
                        "mango_session_step: this session has no function");
    session_close(s);
    mango_status st = session_over(s);
    if (st != MANGO_OK)
        return st;
    mango_idx K = mgi_session_hand(s, s->width, s->id, s->J);
    if (K == 0 && session_blocked(s))
        return mgi_fail(&s->err, MANGO_E_STATE,
                        "mango_session_step: %td values of mango_session_ask are awaited",
                        s->out);
    if (K == 0) {
        st = session_open(s);
        K = st == MANGO_OK ? mgi_session_hand(s, s->width, s->id, s->J) : 0;
    }
    while (st == MANGO_OK && K > 0) {
        st = session_evaluate(s, K);
        K = mgi_session_hand(s, st == MANGO_OK ? s->width : 0, s->id, s->J);
    }
    if (st == MANGO_OK && s->observe && s->observe(s->observe_ud, s) != 0)
        return MANGO_STOP_USER;
    return st == MANGO_OK ? session_over(s) : st;
}

mango_status mango_session_run(mango_session *s)
{
    mango_status st = MANGO_OK;
    while (st == MANGO_OK)
        st = mango_session_step(s);
    return st;
}

mango_status mango_session_extend(mango_session *s, mango_idx budget)
{
    MGI_REQUIRE(s);
    MGI_CHECK(&s->err, budget >= 1, "mango_session_extend: a budget of 1 or more expected");
    s->budget = budget;
    s->closing = MANGO_OK;
    s->since = s->shown;
    s->began = time(NULL);
    return MANGO_OK;
}

const char *mango_session_error(const mango_session *s)
{
    return s ? s->err.text : "";
}
