/* session.c - a search: optimizer, cache of queries, journal, exact resume.
 *
 * One step opens a batch (ask; codes not known yet become pending rows of the
 * cache) and fills it (evaluate the pending rows, then tell the whole batch).
 * A resumed session takes the same steps, but reads the values of the pending
 * rows from the journal for as long as it has lines: so its state cannot
 * differ from that of a session that was never interrupted.
 *
 * Lines:  {"mango":"journal", options, "notes":{...}, "budget":N}    once
 *         {"ask":A,"codes":[[...],...]}     batch A: the codes not known yet
 *         {"tell":A,"first":Q,"y":[...]}    values of queries Q, Q+1, ...
 * Batches that hold known codes only leave no line: they follow from the rest.
 * SPDX-License-Identifier: MIT */
#include "session.h"

#define SESSION_DRY 10 /* restarts in a row without a new code: give up */

mango_status mango_session_defaults(const char *opt, mango_session_options *o,
                                    mango_err *err)
{
    MGI_REQUIRE(o);
    memset(o, 0, sizeof *o);
    MGI_TRY(mango_opt_defaults(opt, &o->o, sizeof o->o, err));
    o->budget = 1000;
    o->stop_at = MGI_NAN;
    o->stall = 100;
    o->sync = 1;
    return MANGO_OK;
}

static int session_better(const mango_session *s, double y, double than)
{
    return s->minimize ? y < than : y > than;
}

/* ---- one batch ----------------------------------------------------------- */

static mango_status session_journal(mango_session *s, int now)
{
    const mango_status st = mgi_journal_write(&s->journal, &s->line, now, &s->err);
    if (st < 0)
        s->dead = st;
    return st;
}

/* The line of the batch just opened: compare it with the journal, or write it. */
static mango_status session_ask_line(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    if (replay) {
        mgi_json j;
        MGI_TRY(mgi_journal_next(&s->journal, "ask", &j, &s->err));
        const mgi_json_value *codes = mgi_json_get(&j, j.v, "codes");
        int same = codes && codes->kind == MGI_JSON_ARRAY && codes->n == c->n - c->done;
        for (mango_idx i = 0, r = same ? codes->child : -1; r >= 0; i++, r = j.v[r].next) {
            same &= j.v[r].kind == MGI_JSON_ARRAY && j.v[r].n == s->d;
            const int32_t *code = c->code + (c->done + i) * s->d;
            for (mango_idx e = same ? j.v[r].child : -1; e >= 0; e = j.v[e].next)
                same &= j.v[e].is_int && j.v[e].i == *code++;
        }
        mgi_json_free(&j);
        if (!same)
            return mgi_fail(
                &s->err, MANGO_E_FORMAT,
                "journal, line %td: the optimizer now proposes other codes; made "
                "by another version?",
                s->journal.line);
        return MANGO_OK;
    }
    if (!s->journal.log.f)
        return MANGO_OK;
    s->line.n = 0;
    mgi_str_printf(&s->line, "{\"ask\":%lld,\"codes\":[", (long long)s->asks - 1);
    for (mango_idx i = c->done; i < c->n; i++)
        for (mango_idx j = 0; j < s->d; j++)
            mgi_str_printf(&s->line, "%s%ld%s", j ? "," : i > c->done ? ",[" : "[",
                           (long)c->code[i * s->d + j], j == s->d - 1 ? "]" : "");
    mgi_str_puts(&s->line, "]");
    return session_journal(s, 0);
}

/* Enough memory for a batch, taken before anything changes. */
static mango_status session_reserve(mango_session *s)
{
    const mango_idx want = s->cache.n + s->cap;
    MGI_TRY(mgi_cache_reserve(&s->cache, s->cap));
    if (want <= s->cap_better)
        return MANGO_OK;
    mango_idx *p = mgi_resize(&s->al, s->better, s->cap_better, 2 * want, sizeof *p);
    if (!p)
        return MANGO_E_MEM;
    s->better = p, s->cap_better = 2 * want;
    return MANGO_OK;
}

/* Nothing new for long: restart the optimizer. MANGO_STOP_SPACE when in vain. */
static mango_status session_stall(mango_session *s)
{
    if (s->stalled < s->stall)
        return MANGO_OK;
    if (s->dry >= SESSION_DRY)
        return MANGO_STOP_SPACE;
    s->stalled = 0, s->dry++, s->restarts++;
    return mango_opt_restart(s->opt);
}

static mango_status session_open(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    if (session_reserve(s) < 0)
        return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
    const mango_status st = session_stall(s);
    if (st != MANGO_OK)
        return st;
    s->K = 0;
    if (mango_opt_ask(s->opt, s->cap, &s->K, s->I) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
    for (mango_idx k = 0; k < s->K; k++) {
        const mango_idx *I = s->I + k * s->d, known = mgi_cache_find(c, I);
        s->row[k] = known >= 0 ? known : mgi_cache_push(c, I);
        s->cached += known >= 0;
    }
    s->asks++;
    s->open = 1;
    if (c->n == c->done) {
        s->stalled++;
        return MANGO_OK;
    }
    s->stalled = s->dry = 0;
    return session_ask_line(s, replay);
}

/* Take m values of the rows from `done` on: the only place where they enter. */
static void session_take(mango_session *s, mango_idx m, const double *y)
{
    mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < m; i++, c->done++) {
        c->y[c->done] = mgi_is_finite(y[i]) ? y[i] : MGI_NAN;
        if (!mgi_is_finite(y[i])) {
            s->missing++;
        } else if (s->n_better == 0 || session_better(s, y[i], s->best)) {
            s->best = y[i];
            s->better[s->n_better++] = c->done;
        }
    }
}

/* Values of the next "tell" line. */
static mango_status session_replay(mango_session *s)
{
    mgi_cache *c = &s->cache;
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "tell", &j, &s->err));
    const mgi_json_value *first = mgi_json_get(&j, j.v, "first"),
                         *y = mgi_json_get(&j, j.v, "y");
    mango_idx n = 0;
    int ok = first && first->is_int && first->i == c->done && y &&
             y->kind == MGI_JSON_ARRAY && y->n >= 1 && y->n <= c->n - c->done;
    for (mango_idx e = ok ? y->child : -1; e >= 0; e = j.v[e].next) {
        ok &= j.v[e].kind == MGI_JSON_NUMBER || j.v[e].kind == MGI_JSON_NULL;
        s->y[n++] = j.v[e].kind == MGI_JSON_NUMBER ? j.v[e].d : MGI_NAN;
    }
    mgi_json_free(&j);
    if (!ok)
        return mgi_fail(&s->err, MANGO_E_FORMAT,
                        "journal, line %td: values of query %td expected", s->journal.line,
                        c->done);
    session_take(s, n, s->y);
    s->replayed += n;
    return MANGO_OK;
}

/* Evaluate the next m pending rows, write their line, take them. */
static mango_status session_evaluate(mango_session *s, mango_idx m)
{
    mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < m; i++)
        mgi_cache_code(c, c->done + i, s->J + i * s->d);
    const mango_status st = mgi_session_values(s, m);
    if (st < 0)
        return mgi_fail(&s->err, st, "evaluation of query %td failed: %s", c->done,
                        mango_status_text(st));
    if (st > 0)
        return st;
    if (s->journal.log.f) {
        s->line.n = 0;
        mgi_str_printf(&s->line, "{\"tell\":%lld,\"first\":%lld,\"y\":[",
                       (long long)s->asks - 1, (long long)c->done);
        for (mango_idx i = 0; i < m; i++) {
            mgi_str_puts(&s->line, i ? "," : "");
            mgi_str_float(&s->line, s->y[i]);
        }
        mgi_str_puts(&s->line, "]");
        MGI_TRY(session_journal(s, 1));
    }
    session_take(s, m, s->y);
    return MANGO_OK;
}

/* Values for all pending rows, then the tell. When replaying, stop quietly
 * where the journal ends. */
static mango_status session_fill(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    while (c->done < c->n) {
        const mango_idx m = MGI_MIN(c->n - c->done, s->budget - c->done);
        if (!replay && m <= 0)
            return MANGO_STOP_BUDGET;
        if (replay && !mgi_journal_more(&s->journal))
            return MANGO_OK;
        const mango_status st = replay ? session_replay(s) : session_evaluate(s, m);
        if (st != MANGO_OK)
            return st;
    }
    for (mango_idx k = 0; k < s->K; k++)
        s->y[k] = c->y[s->row[k]];
    if (mango_opt_tell(s->opt, s->K, s->I, s->y) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
    s->open = 0;
    return MANGO_OK;
}

/* ---- the search ---------------------------------------------------------- */

/* Is it over? Looked at before and after each step. */
static mango_status session_over(const mango_session *s)
{
    const mgi_cache *c = &s->cache;
    if (s->n_better > 0 && !mgi_is_nan(s->stop_at) &&
        !session_better(s, s->stop_at, s->best))
        return MANGO_STOP_TARGET;
    if (c->done >= s->budget)
        return MANGO_STOP_BUDGET;
    if (c->indexed && c->done - s->missing >= s->total)
        return MANGO_STOP_SPACE;
    return MANGO_OK;
}

mango_status mango_session_step(mango_session *s)
{
    MGI_REQUIRE(s);
    if (s->dead < 0)
        return s->dead;
    mango_status st = session_over(s);
    if (st != MANGO_OK)
        return st;
    if (!s->open)
        st = session_open(s, 0);
    if (st == MANGO_OK)
        st = session_fill(s, 0);
    if (st == MANGO_OK || st == MANGO_STOP_BUDGET) {
        if (s->observe && s->observe(s->observe_ud, s) != 0)
            return MANGO_STOP_USER;
    }
    return st == MANGO_OK ? session_over(s) : st;
}

mango_status mango_session_run(mango_session *s)
{
    mango_status st = MANGO_OK;
    while (st == MANGO_OK)
        st = mango_session_step(s);
    return st;
}

mango_status mgi_session_replay(mango_session *s)
{
    while (mgi_journal_more(&s->journal)) {
        if (!s->open) {
            const mango_status st = session_open(s, 1);
            MGI_TRY(st);
            if (st > 0)
                return mgi_fail(&s->err, MANGO_E_FORMAT,
                                "journal, line %td: the search has ended before it",
                                s->journal.line + 1);
        }
        MGI_TRY(session_fill(s, 1));
    }
    return MANGO_OK;
}

void mango_session_extend(mango_session *s, mango_idx budget)
{
    if (s && budget > 0)
        s->budget = budget;
}

const char *mango_session_error(const mango_session *s)
{
    return s ? s->err.text : "";
}

/* ---- what it found ------------------------------------------------------- */

void mango_session_get(const mango_session *s, mango_session_info *info)
{
    if (!s || !info)
        return;
    info->d = s->d, info->budget = s->budget;
    info->queries = s->cache.done;
    info->cached = s->cached, info->missing = s->missing;
    info->asks = s->asks, info->restarts = s->restarts;
    info->replayed = s->replayed, info->improvements = s->n_better;
    info->best = s->n_better > 0 ? s->best : MGI_NAN;
}

mango_status mango_session_query(const mango_session *s, mango_idx q, double *y,
                                 mango_idx *I)
{
    MGI_REQUIRE(s && q >= 0 && q < s->cache.done);
    if (y)
        *y = s->cache.y[q];
    if (I)
        mgi_cache_code(&s->cache, q, I);
    return MANGO_OK;
}

mango_status mango_session_best(const mango_session *s, double *y, mango_idx *I)
{
    MGI_REQUIRE(s);
    if (s->n_better == 0)
        return MANGO_E_STATE;
    return mango_session_query(s, s->better[s->n_better - 1], y, I);
}

mango_idx mango_session_improvement(const mango_session *s, mango_idx i)
{
    return s && i >= 0 && i < s->n_better ? s->better[i] : -1;
}

#undef SESSION_DRY
