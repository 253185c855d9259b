/* session_lines.c - the lines of a session's journal, written and read again.
 *
 * Format 2:  {"mango":"journal","format":2, options, "notes":{...}, "budget":N}    once
 *            {"ask":A,"first":Q,"codes":[[...],...]}   batch A; its new codes have the ids
 *                                                      Q, Q+1, ...
 *            {"tell":P,"id":[...],"y":[...]}           values, after P earlier ones; null:
 *                                                      missing. An id may come again
 *                                                      with the ties of the values, where
 *                                                      the optimizer looks at them:
 *                                                      ..."y":[...],"tie":[...]}
 *            {"race":P,"budget":N,"id":[...],"shows":[...]}
 *                                                      a round of the final race: after P
 *                                                      values of then N these codes come
 *                                                      again, each so many times
 *            {"offer":[[...],...]}                     codes of the caller's own; those that
 *                                                      are new have the next ids
 *            {"note":{"key":"text"}}                   of the caller; changes nothing
 * The order of the lines is the order in which things happened, and all the state there
 * is. Batches without a new code follow from the rest: they leave no line unless a tell
 * comes next; then one line, without codes, names the last of them.
 *
 * Format 1:  {"ask":A,"codes":[[...],...]}      one batch at a time,
 *            {"tell":A,"first":Q,"y":[...]}     values of queries Q, Q+1, ... in order
 * A journal that was begun in it goes on in it.
 * SPDX-License-Identifier: MIT */
#include "session.h"

/* ---- writing -------------------------------------------------------------- */

static mango_status lines_write(mango_session *s, int now)
{
    const mango_status st = mgi_journal_write(&s->journal, &s->line, now, &s->err);
    if (st < 0)
        s->dead = st;
    return st;
}

/* Level j of a code: the first opens it, the last closes it. */
static void lines_level(mango_session *s, int more, mango_idx j, long level)
{
    mgi_str_printf(&s->line, "%s%ld%s", j ? "," : more ? ",[" : "[", level,
                   j == s->d - 1 ? "]" : "");
}

MGI_FN mango_status mgi_session_write_ask(mango_session *s, mango_idx first)
{
    const mgi_cache *c = &s->cache;
    s->silent = 0;
    if (!s->journal.log.f)
        return MANGO_OK;
    s->line.n = 0;
    mgi_str_printf(&s->line, "{\"ask\":%lld", (long long)s->asks - 1);
    if (s->format > 1)
        mgi_str_printf(&s->line, ",\"first\":%lld", (long long)first);
    mgi_str_puts(&s->line, ",\"codes\":[");
    for (mango_idx i = first; i < c->n; i++) {
        const int32_t *code = c->code + i * s->d;
        for (mango_idx j = 0; j < s->d; j++)
            lines_level(s, i > first, j, (long)code[j]);
    }
    mgi_str_puts(&s->line, "]");
    return lines_write(s, 0);
}

/* Batches that left no line, which what comes now must not change places with. */
static mango_status lines_silent(mango_session *s)
{
    return s->format > 1 && s->silent > 0 ? mgi_session_write_ask(s, s->cache.n) : MANGO_OK;
}

MGI_FN mango_status mgi_session_write_offer(mango_session *s, mango_idx K,
                                            const mango_idx *I)
{
    if (!s->journal.log.f)
        return MANGO_OK;
    MGI_TRY(lines_silent(s));
    s->line.n = 0;
    mgi_str_puts(&s->line, "{\"offer\":[");
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < s->d; j++)
            lines_level(s, k > 0, j, (long)I[k * s->d + j]);
    mgi_str_puts(&s->line, "]");
    return lines_write(s, 1);
}

static void lines_reals(mango_session *s, const char *key, mango_idx n, const double *v)
{
    mgi_str_printf(&s->line, ",\"%s\":[", key);
    for (mango_idx i = 0; i < n; i++) {
        mgi_str_puts(&s->line, i ? "," : "");
        mgi_str_float(&s->line, v[i]);
    }
    mgi_str_puts(&s->line, "]");
}

MGI_FN mango_status mgi_session_write_tell(mango_session *s, mango_idx n, const uint64_t *id,
                                           const double *y, const double *tie)
{
    if (!s->journal.log.f)
        return MANGO_OK;
    MGI_TRY(lines_silent(s));
    s->line.n = 0;
    if (s->format == 1) {
        mgi_str_printf(&s->line, "{\"tell\":%lld,\"first\":%lld", (long long)s->asks - 1,
                       (long long)s->cache.done);
    } else {
        mgi_str_printf(&s->line, "{\"tell\":%lld,\"id\":[", (long long)s->shown);
        for (mango_idx i = 0; i < n; i++)
            mgi_str_printf(&s->line, "%s%llu", i ? "," : "", (unsigned long long)id[i]);
        mgi_str_puts(&s->line, "]");
    }
    lines_reals(s, "y", n, y);
    if (tie)
        lines_reals(s, "tie", n, tie);
    return lines_write(s, 1);
}

MGI_FN mango_status mgi_session_write_race(mango_session *s)
{
    const mgi_final *f = &s->final;
    if (!s->journal.log.f)
        return MANGO_OK;
    MGI_TRY(lines_silent(s));
    s->line.n = 0;
    mgi_str_printf(&s->line, "{\"race\":%lld,\"budget\":%lld,\"id\":[",
                   (long long)s->shown, (long long)mgi_session_end(s));
    for (mango_idx i = 0; i < f->K; i++)
        mgi_str_printf(&s->line, "%s%lld", i ? "," : "", (long long)f->row[i]);
    mgi_str_puts(&s->line, "],\"shows\":[");
    for (mango_idx i = 0; i < f->K; i++)
        mgi_str_printf(&s->line, "%s%lld", i ? "," : "",
                       (long long)(f->want[i] - s->cache.seen[f->row[i]]));
    mgi_str_puts(&s->line, "]");
    return lines_write(s, 0);
}

MGI_FN mango_status mgi_session_write_note(mango_session *s, const char *key,
                                           const char *value)
{
    if (!s->journal.log.f)
        return MANGO_OK;
    s->line.n = 0;
    mgi_str_puts(&s->line, "{\"note\":{");
    mgi_json_quote(&s->line, key, (mango_idx)strlen(key));
    mgi_str_puts(&s->line, ":");
    mgi_json_quote(&s->line, value, (mango_idx)strlen(value));
    mgi_str_puts(&s->line, "}");
    return lines_write(s, 1);
}

/* ---- reading -------------------------------------------------------------- */

static mango_status lines_other(mango_session *s, const char *expected)
{
    return mgi_fail(&s->err, MANGO_E_FORMAT, "journal, line %td: %s", s->journal.line,
                    expected);
}

static int lines_is(const mgi_json *j, const char *key, mango_idx want)
{
    const mgi_json_value *v = mgi_json_get(j, j->v, key);
    return v && v->is_int && v->i == want;
}

/* Are the line's codes the cache's from row `first` on? */
static int lines_codes(const mango_session *s, const mgi_json *j, mango_idx first)
{
    const mgi_cache *c = &s->cache;
    const mgi_json_value *codes = mgi_json_get(j, j->v, "codes");
    int same = codes && codes->kind == MGI_JSON_ARRAY && codes->n == c->n - first;
    const int32_t *code = c->code + first * s->d;
    for (mango_idx r = same ? codes->child : -1; r >= 0 && same; r = j->v[r].next) {
        same = j->v[r].kind == MGI_JSON_ARRAY && j->v[r].n == s->d;
        for (mango_idx e = same ? j->v[r].child : -1; e >= 0; e = j->v[e].next)
            same &= j->v[e].is_int && j->v[e].i == *code++;
    }
    return same;
}

/* Open the next batch, as the run did that wrote the journal. */
static mango_status lines_batch(mango_session *s)
{
    const mango_status st = mgi_session_batch(s);
    if (st > 0)
        return mgi_fail(&s->err, MANGO_E_FORMAT,
                        "journal, line %td: the search has ended before it",
                        s->journal.line + 1);
    return st;
}

/* The next line is {"ask"}: its batches, opened again, must bring the same codes. */
static mango_status lines_ask(mango_session *s, mango_idx first)
{
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "ask", &j, &s->err));
    const mgi_json_value *A = mgi_json_get(&j, j.v, "ask");
    mango_status st = MANGO_OK;
    int same = s->format == 1 || (A->is_int && A->i >= s->asks);
    while (s->format > 1 && same && st == MANGO_OK && s->asks <= A->i) {
        same = s->cache.n == first; /* only the last of them has new codes */
        if (same)
            st = lines_batch(s);
    }
    s->silent = 0;
    same = same && (s->format == 1 || lines_is(&j, "first", first)) &&
           lines_codes(s, &j, first);
    mgi_json_free(&j);
    if (st < 0 || same)
        return st;
    return lines_other(s, "the optimizer now proposes other codes; made by another version?");
}

/* A value of the tell line and its row; -1: not what is expected. */
static mango_idx lines_row(const mango_session *s, const mgi_json_value *id,
                           const mgi_json_value *y)
{
    const int told = y->kind == MGI_JSON_NUMBER || y->kind == MGI_JSON_NULL;
    const mango_idx row = s->cache.done; /* in format 1 they come in order */
    if (!told)
        return -1;
    if (!id)
        return row < s->cache.n ? row : -1;
    return id->is_int && id->i >= 0 && id->i < s->cache.n ? (mango_idx)id->i : -1;
}

static double lines_real(const mgi_json *j, mango_idx e)
{
    return e >= 0 && j->v[e].kind == MGI_JSON_NUMBER ? j->v[e].d : MGI_NAN;
}

/* The values of a line from y on, with their ids and ties; -1: the line has none. */
static mango_status lines_take(mango_session *s, const mgi_json *j, mango_idx id,
                               const mgi_json_value *y, mango_idx tie)
{
    MGI_TRY(mgi_session_room(s, y->n));
    for (mango_idx e = y->child; e >= 0; e = j->v[e].next) {
        const mango_idx row = lines_row(s, id >= 0 ? j->v + id : NULL, j->v + e);
        if (row < 0)
            return lines_other(s, "values of codes that were asked expected");
        MGI_TRY(mgi_session_take(s, row, lines_real(j, e), lines_real(j, tie)));
        s->replayed++;
        id = id >= 0 ? j->v[id].next : id;
        tie = tie >= 0 ? j->v[tie].next : tie;
    }
    mgi_session_judge(s);
    return MANGO_OK;
}

/* Is it absent, or an array of n? */
static int lines_array(const mgi_json_value *v, mango_idx n)
{
    return !v || (v->kind == MGI_JSON_ARRAY && v->n == n);
}

static mango_status lines_tell(mango_session *s)
{
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "tell", &j, &s->err));
    const mgi_json_value *y = mgi_json_get(&j, j.v, "y"), *id = mgi_json_get(&j, j.v, "id"),
                         *tie = mgi_json_get(&j, j.v, "tie");
    const int place = s->format == 1 ? lines_is(&j, "first", s->cache.done)
                                     : lines_is(&j, "tell", s->shown);
    const int ok = place && y && y->kind == MGI_JSON_ARRAY && y->n >= 1 &&
                   lines_array(id, y->n) && lines_array(tie, y->n) &&
                   (s->format == 1 || id);
    mango_status st = MANGO_OK;
    if (ok)
        st = lines_take(s, &j, s->format == 1 ? -1 : id->child, y, tie ? tie->child : -1);
    mgi_json_free(&j);
    return ok ? st : lines_other(s, "the next values expected");
}

/* The round of a race line; 0: not what is expected. */
static int lines_round(mango_session *s, const mgi_json *j)
{
    const mgi_json_value *id = mgi_json_get(j, j->v, "id"),
                         *shows = mgi_json_get(j, j->v, "shows");
    const mgi_cache *c = &s->cache;
    mgi_final *f = &s->final;
    if (s->race <= 0.0 || !lines_is(j, "race", s->shown) || !id || !shows ||
        id->kind != MGI_JSON_ARRAY || !lines_array(shows, id->n) || id->n < 1 ||
        id->n > s->leaders)
        return 0;
    f->K = 0;
    mango_idx m = shows->child;
    for (mango_idx e = id->child; e >= 0; e = j->v[e].next, m = j->v[m].next) {
        const mgi_json_value *row = j->v + e, *more = j->v + m;
        if (!row->is_int || row->i < 0 || row->i >= c->n || !more->is_int || more->i < 1 ||
            more->i > 1000000000)
            return 0;
        f->row[f->K] = (mango_idx)row->i;
        f->want[f->K++] = c->seen[row->i] + (mango_idx)more->i;
    }
    return 1;
}

static mango_status lines_race(mango_session *s)
{
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "race", &j, &s->err));
    const int ok = lines_round(s, &j);
    mgi_json_free(&j);
    return ok ? MANGO_OK : lines_other(s, "a round of codes that were asked expected");
}

/* The codes of an offer into s->J; how many, -1: not what is expected. */
static mango_idx lines_offered(mango_session *s, const mgi_json *j)
{
    const mgi_json_value *codes = mgi_json_get(j, j->v, "offer");
    mango_idx n = 0;
    if (codes->kind != MGI_JSON_ARRAY || codes->n < 1 || codes->n > s->cap)
        return -1;
    for (mango_idx r = codes->child; r >= 0; r = j->v[r].next) {
        if (j->v[r].kind != MGI_JSON_ARRAY || j->v[r].n != s->d)
            return -1;
        for (mango_idx e = j->v[r].child; e >= 0; e = j->v[e].next, n++) {
            const mgi_json_value *v = j->v + e;
            if (!v->is_int || v->i < 0 || v->i >= s->n[n % s->d])
                return -1;
            s->J[n] = (mango_idx)v->i;
        }
    }
    return codes->n;
}

static mango_status lines_offer(mango_session *s)
{
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "offer", &j, &s->err));
    const mango_idx K = lines_offered(s, &j);
    mgi_json_free(&j);
    if (K < 0)
        return lines_other(s, "codes of the space expected");
    if (mgi_session_reserve(s) < 0)
        return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
    return mgi_session_offer(s, K, s->J, NULL);
}

static mango_status lines_note(mango_session *s)
{
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "note", &j, &s->err));
    mgi_json_free(&j);
    return MANGO_OK;
}

/* One batch is under way at a time, and it is open until its last value is there. */
static mango_status lines_old(mango_session *s)
{
    const mango_idx first = s->cache.n;
    if (s->n_open > 0)
        return lines_tell(s);
    MGI_TRY(lines_batch(s));
    return s->cache.n > first ? lines_ask(s, first) : MANGO_OK;
}

static mango_status lines_next(mango_session *s)
{
    if (s->format == 1)
        return lines_old(s);
    if (mgi_journal_is(&s->journal, "ask"))
        return lines_ask(s, s->cache.n);
    if (mgi_journal_is(&s->journal, "note"))
        return lines_note(s);
    if (mgi_journal_is(&s->journal, "offer"))
        return lines_offer(s);
    if (mgi_journal_is(&s->journal, "race"))
        return lines_race(s);
    return lines_tell(s);
}

MGI_FN mango_status mgi_session_replay(mango_session *s)
{
    while (mgi_journal_more(&s->journal))
        MGI_TRY(lines_next(s));
    mgi_session_again(s, -1);
    return MANGO_OK;
}
