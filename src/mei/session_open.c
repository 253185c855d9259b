/* session_open.c - begin a session or resume one: options, header, replay.
 * SPDX-License-Identifier: MIT */
#include "session.h"

#define SESSION_NOTES 32

static mango_status session_check(const mango_modes *m, const mango_session_options *o,
                                  mango_err *err)
{
    if (!m || !m->n || m->d < 1)
        return mgi_fail(err, MANGO_E_ARG, "session: modes expected");
    if (o->budget < 1)
        return mgi_fail(err, MANGO_E_ARG, "session: budget is %td, expected 1 or more",
                        o->budget);
    if (o->ahead < 0 || o->ahead > (mango_idx)1 << 20)
        return mgi_fail(err, MANGO_E_ARG, "session: ahead is %td, expected 0..2^20",
                        o->ahead);
    if (o->stall < 1 || o->stall > 1000000)
        return mgi_fail(err, MANGO_E_ARG, "session: stall is %td, expected 1..1000000",
                        o->stall);
    if (o->n_notes < 0 || o->n_notes > SESSION_NOTES || (o->n_notes > 0 && !o->notes))
        return mgi_fail(err, MANGO_E_ARG, "session: 0..%d notes expected", SESSION_NOTES);
    for (mango_idx i = 0; i < o->n_notes; i++)
        if (!o->notes[i].key || !o->notes[i].value)
            return mgi_fail(err, MANGO_E_ARG, "session: note %td has no key or no value",
                            i);
    return MANGO_OK;
}

static void session_header_value(const char *name, double v, mgi_str *s)
{
    mgi_str_printf(s, ",\"%s\":", name);
    mgi_str_float(s, v);
}

/* Each option by its name. The first of them stood in every journal of format 1, also
 * of a method that has no such option. */
static void session_header_options(const mango_opt_options *o, mgi_str *s)
{
    static const struct { const char *name; double value; } old[] = {
        {"k", 1}, {"k_top", 1}, {"k_gd", 1}, {"lr", 0.05}, {"r", 5}, {"quantized", 0},
        {"minimize", 0}};
    mango_opt_spec spec;
    double v;
    for (mango_idx i = 0; i < MGI_COUNT(old); i++)
        session_header_value(
            old[i].name, mango_opt_value(o, old[i].name, &v, NULL) < 0 ? old[i].value : v, s);
    mgi_str_puts(s, ",\"schedule\":0");
    for (mango_idx i = 0; i < mango_opt_option_count(o->preset); i++) {
        int known = 0;
        mango_opt_option(o->preset, i, &spec, sizeof spec);
        for (mango_idx k = 0; k < MGI_COUNT(old); k++)
            known |= strcmp(old[k].name, spec.name) == 0;
        if (!known && mango_opt_value(o, spec.name, &v, NULL) == MANGO_OK)
            session_header_value(spec.name, v, s);
    }
}

/* The header's text, without its closing brace. */
static void session_header(const mango_modes *m, const mango_session_options *o, mgi_str *s)
{
    mgi_str_puts(s, "{\"mango\":\"journal\",\"format\":1,\"version\":\"" MANGO_VERSION
                    "\",\"opt\":");
    mgi_json_quote(s, o->o.preset, (mango_idx)strlen(o->o.preset));
    mgi_str_printf(s, ",\"seed\":\"%llu\"", (unsigned long long)o->seed);
    session_header_options(&o->o, s);
    mgi_str_printf(s, ",\"stall\":%lld,\"repeat\":%d,\"modes\":[", (long long)o->stall,
                   o->repeat != 0);
    for (mango_idx j = 0; j < m->d; j++)
        mgi_str_printf(s, "%s%lld", j ? "," : "", (long long)m->n[j]);
    mgi_str_puts(s, "],\"notes\":{");
    for (mango_idx i = 0; i < o->n_notes; i++) {
        mgi_str_puts(s, i ? "," : "");
        mgi_json_quote(s, o->notes[i].key, (mango_idx)strlen(o->notes[i].key));
        mgi_str_puts(s, ":");
        mgi_json_quote(s, o->notes[i].value, (mango_idx)strlen(o->notes[i].value));
    }
    mgi_str_printf(s, "},\"budget\":%lld", (long long)o->budget);
}

/* What a resumed run may have different. */
static int session_free(const char *key)
{
    return strcmp(key, "version") == 0 || strcmp(key, "budget") == 0 ||
           strcmp(key, "crc") == 0;
}

/* Are two JSON values the same? For objects `where` becomes the first key that
 * differs; at the top, some may. */
static int session_same(const mgi_json *ja, const mgi_json_value *a, const mgi_json *jb,
                        const mgi_json_value *b, const char **where)
{
    const int top = a == ja->v;
    if (a->kind != b->kind || a->n != b->n)
        return 0;
    if (a->kind == MGI_JSON_NUMBER)
        return a->d == b->d && a->is_int == b->is_int;
    if (a->kind == MGI_JSON_STRING)
        return memcmp(a->str, b->str, (size_t)a->n) == 0;
    if (a->kind == MGI_JSON_ARRAY) {
        mango_idx x = a->child, y = b->child;
        for (; x >= 0 && y >= 0; x = ja->v[x].next, y = jb->v[y].next)
            if (!session_same(ja, ja->v + x, jb, jb->v + y, where))
                return 0;
        return 1;
    }
    for (mango_idx x = a->kind == MGI_JSON_OBJECT ? a->child : -1; x >= 0;
         x = ja->v[x].next) {
        const mgi_json_value *v = ja->v + x, *w = mgi_json_get(jb, b, v->key);
        const char *inner = NULL;
        if (top && session_free(v->key))
            continue;
        if (w && session_same(ja, v, jb, w, &inner))
            continue;
        *where = inner ? inner : v->key;
        return 0;
    }
    return 1;
}

/* The journal's first line against these options. */
static mango_status session_match(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    mgi_json ours, theirs;
    const char *where = "options";
    session_header(m, o, &s->line);
    mgi_str_puts(&s->line, ",\"crc\":\"\"}");
    if (s->line.bad)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    MGI_TRY(mgi_journal_next(&s->journal, "mango", &theirs, err));
    mango_status st = mgi_json_parse(&ours, s->line.p, s->line.n, &s->al, err);
    if (st == MANGO_OK) {
        const mgi_json_value *crc = mgi_json_get(&theirs, theirs.v, "crc");
        if (!crc)
            st = MANGO_E_FORMAT;
        else if (!session_same(&ours, ours.v, &theirs, theirs.v, &where))
            st = MANGO_E_STATE;
        if (st < 0)
            mgi_fail(err, st, "%.120s: was made with another '%.60s'", o->journal, where);
        mgi_json_free(&ours);
    }
    mgi_json_free(&theirs);
    return st;
}

static mango_status session_journal_open(mango_session *s, const mango_modes *m,
                                         const mango_session_options *o, mango_err *err)
{
    MGI_TRY(mgi_journal_open(&s->journal, o->journal, o->resume, o->sync, &s->al, err));
    const int found = mgi_journal_more(&s->journal);
    if (found) {
        MGI_TRY(session_match(s, m, o, err));
        const mango_status st = mgi_session_replay(s);
        if (st < 0)
            return mgi_fail(err, st, "%s", s->err.text);
    }
    MGI_TRY(mgi_journal_append(&s->journal, err));
    if (found)
        return MANGO_OK;
    s->line.n = 0;
    session_header(m, o, &s->line);
    return mgi_journal_write(&s->journal, &s->line, 1, err);
}

static mango_status session_build(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    mango_opt_info info;
    MGI_TRY(mango_opt_create(&s->opt, m, NULL, &o->o, o->seed, &s->al, err));
    MGI_TRY(mango_opt_get(s->opt, &info, sizeof info));
    s->minimize = info.minimize;
    s->cap = info.batch;
    s->total = 1;
    if (!mgi_prod((int)MGI_MIN(m->d, INT_MAX), m->n, &s->total))
        s->total = PTRDIFF_MAX;
    mango_idx cells;
    if (!mgi_mul(s->cap, s->d, &cells))
        return mgi_fail(err, MANGO_E_MEM, "session: batch of %td codes is too large",
                        s->cap);
    s->I = mgi_new(&s->al, cells, sizeof *s->I);
    s->J = mgi_new(&s->al, cells, sizeof *s->J);
    s->row = mgi_new(&s->al, s->cap, sizeof *s->row);
    s->y = mgi_new(&s->al, s->cap, sizeof *s->y);
    if (!s->I || !s->J || !s->row || !s->y)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    if (o->ahead > s->cap && !o->repeat && info.oblivious) {
        s->ahead = o->ahead;
        mango_idx all;
        if (!mgi_mul(s->ahead, s->d, &all))
            return mgi_fail(err, MANGO_E_MEM, "session: %td codes ahead are too many",
                            s->ahead);
        s->aI = mgi_new(&s->al, all, sizeof *s->aI);
        s->ay = mgi_new(&s->al, s->ahead, sizeof *s->ay);
        s->peek = mgi_new(&s->al, cells, sizeof *s->peek);
        if (!s->aI || !s->ay || !s->peek)
            return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    }
    return o->journal ? session_journal_open(s, m, o, err) : MANGO_OK;
}

mango_status mango_session_create(mango_session **s, const mango_modes *modes,
                                  const mango_session_options *o, mango_evaluator f,
                                  void *ud, const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(s);
    *s = NULL;
    MGI_REQUIRE(o && f);
    MGI_TRY(session_check(modes, o, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_session *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    x->al = a, x->d = modes->d, x->f = f, x->ud = ud;
    x->observe = o->observe, x->observe_ud = o->observe_ud;
    x->budget = o->budget;
    x->stall = o->stall;
    x->stop_at = o->stop_at;
    mgi_cache_init(&x->cache, modes->d, !o->repeat, &a);
    mgi_str_init(&x->line, &a);
    mgi_str_init(&x->journal.path, &a);
    x->journal.al = a;
    const mango_status st = session_build(x, modes, o, err);
    if (st < 0)
        mango_session_destroy(x);
    else
        *s = x;
    return st;
}

void mango_session_destroy(mango_session *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    const mango_idx cells = s->cap * s->d;
    mgi_journal_close(&s->journal);
    mango_opt_destroy(s->opt);
    mgi_cache_free(&s->cache);
    mgi_str_free(&s->line);
    mgi_del(&al, s->I, cells, sizeof *s->I);
    mgi_del(&al, s->J, cells, sizeof *s->J);
    mgi_del(&al, s->row, s->cap, sizeof *s->row);
    mgi_del(&al, s->y, s->cap, sizeof *s->y);
    mgi_del(&al, s->aI, s->ahead * s->d, sizeof *s->aI);
    mgi_del(&al, s->ay, s->ahead, sizeof *s->ay);
    mgi_del(&al, s->peek, cells, sizeof *s->peek);
    mgi_del(&al, s->better, s->cap_better, sizeof *s->better);
    mgi_del(&al, s, 1, sizeof *s);
}

#undef SESSION_NOTES
