/* session_open.c - begin a session or resume one: options, header, replay.
 * SPDX-License-Identifier: MIT */
#include "session.h"
#include "../opt/method.h"
#include <stdio.h>

#define SESSION_NOTES 32
#define SESSION_WIDTH 32 /* codes of one evaluation in a race, at least */
#define SESSION_RACE_AUTO (-1.0)
#define SESSION_RACE 0.15 /* of the budget, won 20 to 32% on noisy neurons */

mango_status mango_session_defaults_sized(const char *opt, mango_session_options *o,
                                          size_t size, mango_err *err)
{
    mango_session_options own;
    MGI_CHECK(err, o, "mango_session_defaults: options expected");
    memset(&own, 0, sizeof own);
    MGI_TRY(mango_opt_defaults(opt, &own.o, err));
    own.budget = 1000;
    own.stop_at = MGI_NAN;
    own.stall = 100;
    own.shows = 1;
    own.sync = 1;
    own.race = SESSION_RACE_AUTO;
    own.race_leaders = 20;
    const mango_status st = mgi_options_out(o, size, &own, sizeof own);
    if (st < 0)
        return mgi_fail(err, st, "mango_session_defaults: size %llu is not of the options",
                        (unsigned long long)size);
    return st;
}

static mango_status session_check(const mango_modes *m, const mango_session_options *o,
                                  mango_err *err)
{
    MGI_CHECK(err, m && m->n && m->d >= 1, "session: modes expected");
    const struct { const char *name; mango_idx v, lo, hi; } field[] = {
        {"budget", o->budget, 1, PTRDIFF_MAX}, {"ahead", o->ahead, 0, (mango_idx)1 << 20},
        {"stall", o->stall, 1, 1000000},       {"shows", o->shows, 1, 1000000},
        {"sync", o->sync, 0, 2},               {"n_notes", o->n_notes, 0, SESSION_NOTES},
        {"n_start", o->n_start, 0, (mango_idx)1 << 24},
        {"race_leaders", o->race_leaders, 0, 1000},
        {"stagnate", o->stagnate, 0, PTRDIFF_MAX},
    };
    for (mango_idx i = 0; i < MGI_COUNT(field); i++)
        MGI_CHECK(err, field[i].v >= field[i].lo && field[i].v <= field[i].hi,
                  "session: %s is %td, expected %td..%td", field[i].name, field[i].v,
                  field[i].lo, field[i].hi);
    MGI_CHECK(err, o->n_notes == 0 || o->notes, "session: %td notes expected", o->n_notes);
    for (mango_idx i = 0; i < o->n_notes; i++)
        MGI_CHECK(err, o->notes[i].key && o->notes[i].value,
                  "session: note %td has no key or no value", i);
    MGI_CHECK(err, o->race == SESSION_RACE_AUTO || (o->race >= 0.0 && o->race < 1.0),
              "session: race is %g, expected 0 or more and below 1", o->race);
    MGI_CHECK(err, !o->facts->allows || o->facts->allows_name,
              "session: facts: a name for 'allows' expected");
    for (mango_idx j = 0; o->facts->allowed && j < m->d; j++)
        MGI_CHECK(err, m->n[j] >= 1 && m->n[j] < MANGO_REAL,
                  "session: facts: masks go with modes of levels, mode %td is real", j);
    MGI_CHECK(err, o->seconds >= 0.0, "session: seconds is %g, expected 0 or more",
              o->seconds);
    MGI_CHECK(err, o->n_start == 0 || o->start, "session: %td codes to start with expected",
              o->n_start);
    for (mango_idx e = 0; e < o->n_start * m->d; e++)
        MGI_CHECK(err, o->start[e] >= 0 && o->start[e] < m->n[e % m->d],
                  "session: code %td of the start has level %td in mode %td, expected 0..%td",
                  e / m->d, o->start[e], e % m->d, m->n[e % m->d] - 1);
    return MANGO_OK;
}

/* ---- header --------------------------------------------------------------- */

static void header_value(const char *before, const char *name, double v, mgi_str *s)
{
    mgi_str_printf(s, "%s\"%s\":", before, name);
    mgi_str_float(s, v);
}

/* Format 1: these stood in every journal, also of a method that has no such option. */
static void header_options_old(const mango_opt_options *o, mgi_str *s)
{
    static const struct { const char *name; double value; } old[] = {
        {"k", 1}, {"k_top", 1}, {"k_gd", 1}, {"lr", 0.05}, {"r", 5}, {"quantized", 0},
        {"minimize", 0}};
    for (mango_idx i = 0; i < MGI_COUNT(old); i++) {
        double v;
        if (mango_opt_value(o, old[i].name, &v, NULL) < 0)
            v = old[i].value;
        header_value(",", old[i].name, v, s);
    }
    mgi_str_puts(s, ",\"schedule\":0");
}

static void header_options(const mango_opt_options *o, mgi_str *s)
{
    mgi_str_puts(s, ",\"options\":{");
    const mango_idx n = mango_opt_option_count(o->preset);
    for (mango_idx i = 0; i < n; i++) {
        mango_opt_spec spec;
        double v;
        if (mango_opt_option(o->preset, i, &spec) == MANGO_OK &&
            mango_opt_value(o, spec.name, &v, NULL) == MANGO_OK)
            header_value(i ? "," : "", spec.name, v, s);
    }
    mgi_str_puts(s, "}");
}

static void header_notes(const mango_session_options *o, mgi_str *s)
{
    mgi_str_puts(s, ",\"notes\":{");
    for (mango_idx i = 0; i < o->n_notes; i++) {
        mgi_str_puts(s, i ? "," : "");
        mgi_json_quote(s, o->notes[i].key, (mango_idx)strlen(o->notes[i].key));
        mgi_str_puts(s, ":");
        mgi_json_quote(s, o->notes[i].value, (mango_idx)strlen(o->notes[i].value));
    }
    mgi_str_puts(s, "}");
}

/* A digest of the codes to start with, FNV-1a over their levels. */
static uint64_t header_codes(const mango_session_options *o, mango_idx d)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (mango_idx e = 0; e < o->n_start * d; e++)
        h = (h ^ (uint64_t)o->start[e]) * 0x100000001b3u;
    return h;
}

/* Masks as a digest, FNV-1a over their bytes, the predicate by its name. */
static void header_constraints(const mango_modes *m, const mango_facts *f, mgi_str *s)
{
    if (f->allowed) {
        mango_idx all = 0;
        uint64_t h = 0xcbf29ce484222325u;
        for (mango_idx j = 0; j < m->d; j++)
            all += m->n[j];
        for (mango_idx i = 0; i < all; i++)
            h = (h ^ (f->allowed[i] != 0)) * 0x100000001b3u;
        mgi_str_printf(s, ",\"allowed\":\"%016llx\"", (unsigned long long)h);
    }
    if (f->allows) {
        mgi_str_puts(s, ",\"allows\":");
        mgi_json_quote(s, f->allows_name, (mango_idx)strlen(f->allows_name));
    }
}

/* What stands there only where it is used, so that older journals have none of it. */
static void header_rules(const mango_session *x, const mango_modes *m,
                         const mango_session_options *o, mgi_str *s)
{
    char noise[512];
    if (x->noise.n > 0) {
        mango_noise_text(&x->noise, noise, sizeof noise);
        mgi_str_printf(s, ",\"noise\":\"%s\"", noise);
    }
    if (x->race > 0.0) {
        header_value(",", "race", x->race, s);
        mgi_str_printf(s, ",\"leaders\":%lld", (long long)x->leaders);
    }
    mgi_str_puts(s, x->rule.noisy ? ",\"noisy\":1" : "");
    mgi_str_puts(s, x->rule.retell ? ",\"retell\":1" : "");
    mgi_str_puts(s, x->rule.ties ? ",\"ties\":1" : "");
    header_constraints(m, o->facts, s);
    if (o->n_start > 0)
        mgi_str_printf(s, ",\"start\":\"%lld codes, %016llx\"", (long long)o->n_start,
                       (unsigned long long)header_codes(o, m->d));
}

/* The header's text, without its closing brace. */
static void session_header(const mango_session *x, const mango_modes *m,
                           const mango_session_options *o, mgi_str *s)
{
    const int format = x->format;
    mgi_str_printf(s, "{\"mango\":\"journal\",\"format\":%d,\"version\":\"%s\",\"opt\":",
                   format, MANGO_VERSION);
    mgi_json_quote(s, o->o.preset, (mango_idx)strlen(o->o.preset));
    mgi_str_printf(s, ",\"seed\":\"%llu\"", (unsigned long long)o->seed);
    if (format == 1)
        header_options_old(&o->o, s);
    else
        header_options(&o->o, s);
    mgi_str_printf(s, ",\"stall\":%lld,\"repeat\":%d", (long long)o->stall, o->repeat != 0);
    if (format > 1)
        mgi_str_printf(s, ",\"shows\":%lld", (long long)o->shows);
    mgi_str_puts(s, ",\"modes\":[");
    for (mango_idx j = 0; j < m->d; j++)
        mgi_str_printf(s, "%s%lld", j ? "," : "", (long long)m->n[j]);
    mgi_str_puts(s, "]");
    if (format > 1)
        header_rules(x, m, o, s);
    header_notes(o, s);
    mgi_str_printf(s, ",\"budget\":%lld", (long long)o->budget);
}

/* What a resumed run may have different. */
static int session_free(const char *key)
{
    return strcmp(key, "version") == 0 || strcmp(key, "budget") == 0 ||
           strcmp(key, "crc") == 0;
}

/* Format 1 has numbers among its notes that are cut to six digits. */
static int session_same_note(const mgi_json_value *a, const mgi_json_value *b)
{
    char six[64];
    double v;
    if (!mgi_parse_real(a->str, &v))
        return 0;
    snprintf(six, sizeof six, "%g", v);
    return strcmp(six, b->str) == 0;
}

/* A key of object a that object b has not; NULL: none. */
static const char *session_more(const mgi_json *ja, const mgi_json_value *a, const mgi_json *jb,
                                const mgi_json_value *b)
{
    for (mango_idx x = a->child; x >= 0; x = ja->v[x].next)
        if (!mgi_json_get(jb, b, ja->v[x].key))
            return ja->v[x].key;
    return NULL;
}

/* Are two JSON values the same? For objects `where` becomes the first key that
 * differs; at the top, some may. */
static int session_same(const mgi_json *ja, const mgi_json_value *a, const mgi_json *jb,
                        const mgi_json_value *b, int format, const char **where)
{
    const int top = a == ja->v;
    if (a->kind == MGI_JSON_STRING && b->kind == MGI_JSON_STRING && format == 1 &&
        a->parent > 0 && session_same_note(a, b))
        return 1;
    if (!top && a->kind == MGI_JSON_OBJECT && b->kind == MGI_JSON_OBJECT && a->n != b->n) {
        *where = session_more(ja, a, jb, b);
        *where = *where ? *where : session_more(jb, b, ja, a);
        return 0;
    }
    if (a->kind != b->kind || a->n != b->n)
        return 0;
    if (a->kind == MGI_JSON_NUMBER)
        return a->d == b->d && a->is_int == b->is_int;
    if (a->kind == MGI_JSON_STRING)
        return memcmp(a->str, b->str, (size_t)a->n) == 0;
    if (a->kind == MGI_JSON_ARRAY) {
        mango_idx x = a->child, y = b->child;
        for (; x >= 0 && y >= 0; x = ja->v[x].next, y = jb->v[y].next)
            if (!session_same(ja, ja->v + x, jb, jb->v + y, format, where))
                return 0;
        return 1;
    }
    for (mango_idx x = a->kind == MGI_JSON_OBJECT ? a->child : -1; x >= 0;
         x = ja->v[x].next) {
        const mgi_json_value *v = ja->v + x, *w = mgi_json_get(jb, b, v->key);
        const char *inner = NULL;
        if (top && session_free(v->key))
            continue;
        if (w && session_same(ja, v, jb, w, format, &inner))
            continue;
        *where = inner ? inner : v->key;
        return 0;
    }
    return 1;
}

/* The format that the journal's first line names. */
static mango_status session_format(mango_session *s, const mgi_json *theirs,
                                   const mango_session_options *o, mango_err *err)
{
    const mgi_json_value *format = mgi_json_get(theirs, theirs->v, "format"),
                         *crc = mgi_json_get(theirs, theirs->v, "crc");
    if (!crc || !format || !format->is_int || format->i < 1 || format->i > 2)
        return mgi_fail(err, MANGO_E_FORMAT, "%.120s: a journal of format 1 or 2 expected",
                        o->journal);
    s->format = (int)format->i;
    if (s->format == 1 && o->shows > 1)
        return mgi_fail(err, MANGO_E_STATE, "%.120s: was made with another 'shows'",
                        o->journal);
    return MANGO_OK;
}

/* Rules that are not asked for are those that the journal was begun with: one of an older
 * version has none of them. */
static mango_status session_rules(mango_session *s, const mgi_json *theirs,
                                  const mango_session_options *o, mango_err *err)
{
    const mgi_json_value *race = mgi_json_get(theirs, theirs->v, "race"),
                         *leaders = mgi_json_get(theirs, theirs->v, "leaders");
    s->rule.noisy = mgi_json_get(theirs, theirs->v, "noisy") != NULL;
    s->rule.retell = mgi_json_get(theirs, theirs->v, "retell") != NULL;
    s->rule.ties = mgi_json_get(theirs, theirs->v, "ties") != NULL;
    if (s->format == 1 && (o->n_start > 0 || s->noise.n > 0 || o->race > 0.0))
        return mgi_fail(err, MANGO_E_STATE, "%.120s: a journal of format 1 has no start, "
                        "noise or race", o->journal);
    if (o->race != SESSION_RACE_AUTO)
        return MANGO_OK;
    s->race = race && race->kind == MGI_JSON_NUMBER ? race->d : 0.0;
    if (leaders && leaders->is_int && leaders->i >= 1 && leaders->i <= 1000)
        s->leaders = (mango_idx)leaders->i;
    return MANGO_OK;
}

/* A key that a has and b lacks, or `where`. */
static const char *session_lacks(const mgi_json *a, const mgi_json *b, const char *where)
{
    for (mango_idx x = a->v->child; x >= 0; x = a->v[x].next)
        if (!mgi_json_get(b, b->v, a->v[x].key))
            where = a->v[x].key;
    return where;
}

/* The header that these options give, against the one that is there. */
static mango_status session_compare(mango_session *s, const mgi_json *theirs,
                                    const mango_modes *m, const mango_session_options *o,
                                    mango_err *err)
{
    mgi_json ours;
    const char *where = NULL;
    session_header(s, m, o, &s->line);
    mgi_str_puts(&s->line, ",\"crc\":\"\"}");
    if (s->line.bad)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    MGI_TRY(mgi_json_parse(&ours, s->line.p, s->line.n, &s->al, err));
    const int same = session_same(&ours, ours.v, theirs, theirs->v, s->format, &where);
    if (!where)
        where = session_lacks(&ours, theirs, session_lacks(theirs, &ours, "options"));
    const mango_status st =
        same ? MANGO_OK
             : mgi_fail(err, MANGO_E_STATE, "%.120s: was made with another '%.60s'",
                        o->journal, where);
    mgi_json_free(&ours);
    return st;
}

/* The journal's first line against these options. */
static mango_status session_match(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    mgi_json theirs;
    MGI_TRY(mgi_journal_next(&s->journal, "mango", &theirs, err));
    mango_status st = session_format(s, &theirs, o, err);
    if (st == MANGO_OK)
        st = session_rules(s, &theirs, o, err);
    if (st == MANGO_OK)
        st = session_compare(s, &theirs, m, o, err);
    mgi_json_free(&theirs);
    return st;
}

/* Its first line, when there is one: what it was begun with holds on. */
static mango_status session_journal_head(mango_session *s, const mango_modes *m,
                                         const mango_session_options *o, mango_err *err)
{
    MGI_TRY(mgi_journal_open(&s->journal, o->journal, o->resume, o->sync, &s->al, err));
    s->found = mgi_journal_more(&s->journal);
    return s->found ? session_match(s, m, o, err) : MANGO_OK;
}

/* Its other lines; a new one is begun. */
static mango_status session_journal_rest(mango_session *s, const mango_modes *m,
                                         const mango_session_options *o, mango_err *err)
{
    if (s->found) {
        const mango_status st = mgi_session_replay(s);
        if (st < 0)
            return mgi_fail(err, st, "%s", s->err.text);
    }
    MGI_TRY(mgi_journal_append(&s->journal, err));
    if (s->found)
        return MANGO_OK;
    s->line.n = 0;
    session_header(s, m, o, &s->line);
    return mgi_journal_write(&s->journal, &s->line, 1, err);
}

/* ---- create and destroy --------------------------------------------------- */

static mango_status session_memory(mango_session *s, const mango_idx *n, mango_err *err)
{
    mango_idx cells, wide, all;
    s->width = s->race > 0.0 ? MGI_MAX(s->cap, SESSION_WIDTH) : s->cap;
    if (!mgi_mul(s->cap, s->d, &cells) || !mgi_mul(s->width, s->d, &wide) ||
        !mgi_mul(s->ahead, s->d, &all))
        return mgi_fail(err, MANGO_E_MEM, "session: a batch of %td codes is too large",
                        MGI_MAX(s->cap, s->ahead));
    s->told = mgi_new(&s->al, s->cap, sizeof *s->told);
    s->id = mgi_new(&s->al, s->width, sizeof *s->id);
    s->J = mgi_new(&s->al, wide, sizeof *s->J);
    s->n = mgi_new(&s->al, s->d, sizeof *s->n);
    s->y = mgi_new(&s->al, s->width, sizeof *s->y);
    s->tie = mgi_new(&s->al, s->width, sizeof *s->tie);
    s->aI = mgi_new(&s->al, all, sizeof *s->aI);
    s->ay = mgi_new(&s->al, s->ahead, sizeof *s->ay);
    s->peek = mgi_new(&s->al, cells, sizeof *s->peek);
    const mango_status st = mgi_session_final_memory(s);
    if (!s->n || !s->told || !s->id || !s->J || !s->y || !s->tie || !s->aI || !s->ay ||
        !s->peek || st < 0)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    memcpy(s->n, n, (size_t)s->d * sizeof *n);
    return MANGO_OK;
}

/* The optimizer, and what it is to be told. */
static mango_status session_optimizer(mango_session *s, const mango_modes *m,
                                      const mango_session_options *o, mango_err *err)
{
    mango_opt_info info;
    mango_facts facts = *o->facts;
    facts.noisy |= s->rule.noisy;
    MGI_TRY(mango_opt_create(&s->opt, m, &facts, &o->o, o->seed, &s->al, err));
    MGI_TRY(mango_opt_get(s->opt, &info));
    s->minimize = info.minimize;
    s->cap = info.batch;
    if (!s->found) {
        s->rule.retell = info.retell;
        s->rule.ties = info.ties && o->ties && s->noise.n == 0;
    }
    s->retell = s->rule.retell && info.retell;
    s->ties = s->rule.ties ? o->ties : NULL;
    s->ties_ud = o->ties_ud;
    const int once = !o->repeat && o->shows == 1 && s->race <= 0.0;
    if (o->ahead > s->cap && once && info.oblivious)
        s->ahead = o->ahead;
    return MANGO_OK;
}

/* The codes to start with that were not offered yet: a run may be killed between them. */
static mango_status session_start(mango_session *s, const mango_session_options *o,
                                  mango_err *err)
{
    for (mango_idx k = s->n_offered; k < o->n_start; k = s->n_offered) {
        const mango_idx n = MGI_MIN(s->cap, o->n_start - k);
        if (mgi_session_reserve(s) < 0)
            return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
        mango_status st = mgi_session_write_offer(s, n, o->start + k * s->d);
        if (st == MANGO_OK)
            st = mgi_session_offer(s, n, o->start + k * s->d, NULL);
        if (st < 0)
            return mgi_fail(err, st, "%s", s->err.text);
    }
    return MANGO_OK;
}

static mango_status session_build(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    if (o->journal)
        MGI_TRY(session_journal_head(s, m, o, err));
    MGI_TRY(session_optimizer(s, m, o, err));
    s->total = 1;
    if (!mgi_prod((int)MGI_MIN(m->d, INT_MAX), s->opt->n, &s->total))
        s->total = PTRDIFF_MAX;
    MGI_TRY(session_memory(s, m->n, err));
    s->noisy = s->race > 0.0 || s->rule.noisy;
    if (o->journal)
        MGI_TRY(session_journal_rest(s, m, o, err));
    s->since = s->shown;
    s->began = time(NULL);
    for (mango_idx k = 0; k < o->n_start; k++)
        MGI_CHECK(err, mango_opt_allows(s->opt, o->start + k * s->d),
                  "session: code %td of the start is not allowed", k);
    return session_start(s, o, err);
}

static void session_init(mango_session *s, const mango_modes *m,
                         const mango_session_options *o)
{
    s->d = m->d;
    s->observe = o->observe;
    s->observe_ud = o->observe_ud;
    s->budget = o->budget;
    s->stall = o->stall;
    s->stop_at = o->stop_at;
    s->stagnate = o->stagnate;
    s->seconds = o->seconds;
    s->format = 2;
    s->seed = o->seed;
    s->leaders = o->race_leaders > 0 ? o->race_leaders : 20;
    s->rule.noisy = o->repeat != 0 || s->noise.n > 0 || o->facts->noisy;
    s->race = o->race == SESSION_RACE_AUTO ? s->rule.noisy ? SESSION_RACE : 0.0 : o->race;
    mgi_cache_init(&s->cache, m->d, !o->repeat, o->shows, &s->al);
    mgi_str_init(&s->line, &s->al);
    mgi_str_init(&s->journal.path, &s->al);
    s->journal.al = s->al;
}

/* drop: nothing came of it, so a journal that it made itself goes again. */
static void session_del(mango_session *s, int drop)
{
    const mango_alloc al = s->al;
    const mango_idx cells = s->cap * s->d, wide = s->width * s->d;
    if (drop)
        mgi_journal_drop(&s->journal);
    else
        mgi_journal_close(&s->journal);
    mango_opt_destroy(s->opt);
    mgi_session_free_batches(s);
    mgi_session_final_free(s);
    mgi_cache_free(&s->cache);
    mgi_str_free(&s->line);
    mgi_del(&al, s->told, s->cap, sizeof *s->told);
    mgi_del(&al, s->id, s->width, sizeof *s->id);
    mgi_del(&al, s->J, wide, sizeof *s->J);
    mgi_del(&al, s->n, s->d, sizeof *s->n);
    mgi_del(&al, s->y, s->width, sizeof *s->y);
    mgi_del(&al, s->tie, s->width, sizeof *s->tie);
    mgi_del(&al, s->aI, s->ahead * s->d, sizeof *s->aI);
    mgi_del(&al, s->ay, s->ahead, sizeof *s->ay);
    mgi_del(&al, s->peek, cells, sizeof *s->peek);
    mgi_del(&al, s->better, s->cap_better, sizeof *s->better);
    mgi_del(&al, s, 1, sizeof *s);
}

mango_status mango_session_create(mango_session **s, const mango_modes *modes,
                                  const mango_session_options *options, mango_evaluator f,
                                  void *ud, const mango_alloc *al, mango_err *err)
{
    mango_session_options o;
    mango_facts facts;
    MGI_CHECK(err, s, "mango_session_create: a place for the session expected");
    *s = NULL;
    MGI_TRY(mgi_options_in(&o, sizeof o, options, "mango_session_create", err));
    MGI_TRY(mango_facts_defaults(&facts));
    if (o.facts)
        MGI_TRY(mgi_options_in(&facts, sizeof facts, o.facts, "facts", err));
    o.facts = &facts;
    MGI_TRY(session_check(modes, &o, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_session *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    x->al = a;
    x->f = f;
    x->ud = ud;
    mango_status st = o.noise ? mango_noise_parse(&x->noise, o.noise, err) : MANGO_OK;
    o.repeat |= x->noise.n > 0;
    session_init(x, modes, &o);
    if (st >= 0)
        st = session_build(x, modes, &o, err);
    if (st < 0)
        session_del(x, 1);
    else
        *s = x;
    return st;
}

void mango_session_destroy(mango_session *s)
{
    if (s)
        session_del(s, 0);
}

#undef SESSION_NOTES
#undef SESSION_WIDTH
#undef SESSION_RACE_AUTO
#undef SESSION_RACE
