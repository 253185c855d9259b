/* session.h - for tests of sessions: a small objective, a session as text, the order of
 * things taken from a journal, and a rig that answers when it likes.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_SESSION_H
#define MANGO_TEST_SESSION_H
#include "test.h"

enum { T_SESSION_D = 5, T_SESSION_CAP = 64 };
MGI_UNUSED static const mango_idx t_session_n[T_SESSION_D] = {4, 3, 8, 1, 2};
MGI_UNUSED static const mango_idx t_session_wide[T_SESSION_D] = {16, 8, 32, 5, 16};

static inline double t_session_value(const mango_idx *I)
{
    if ((I[0] + I[2]) % 3 == 0)
        return NAN;
    return 1.0 / (1.0 + (double)((I[0] - 2) * (I[0] - 2) + (I[1] - 1) * (I[1] - 1) +
                                 (I[2] - 6) * (I[2] - 6) + I[4]));
}

static inline mango_status t_session_f(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_session_value(I + k * T_SESSION_D);
    return MANGO_OK;
}

static inline mango_session_options t_session_options(const char *opt, mango_idx budget,
                                               const char *journal)
{
    mango_session_options o;
    T_STATUS(mango_session_defaults(opt, &o, NULL), MANGO_OK);
    o.budget = budget, o.seed = 5, o.journal = journal, o.sync = 0, o.stall = 20;
    return o;
}

static inline mango_session *t_session_new(const mango_session_options *o, const mango_idx *n)
{
    const mango_modes m = {T_SESSION_D, n};
    mango_session *s = NULL;
    mango_err err = {""};
    T_OK(mango_session_create(&s, &m, o, t_session_f, NULL, NULL, &err), &err);
    return s;
}

/* Everything a user sees of a session, as text. */
static inline void t_session_print(const mango_session *s, mgi_str *out)
{
    mango_session_info i;
    mango_value v;
    mango_idx I[T_SESSION_D];
    T_STATUS(mango_session_get(s, &i), MANGO_OK);
    out->n = 0;
    mgi_str_printf(out, "%lld %lld %lld %lld %lld %lld %lld %lld", (long long)i.queries,
                   (long long)i.cached, (long long)i.missing, (long long)i.asks,
                   (long long)i.restarts, (long long)i.improvements, (long long)i.told,
                   (long long)i.open);
    for (mango_idx q = 0; q < i.queries; q++) {
        T_STATUS(mango_session_value(s, q, &v), MANGO_OK);
        T_STATUS(mango_session_code(s, v.id, I), MANGO_OK);
        mgi_str_printf(out, "\n%lld %lld ", (long long)v.id, (long long)v.shown);
        mgi_str_float(out, v.y);
        mgi_str_puts(out, " ");
        mgi_str_float(out, v.var);
        for (int j = 0; j < T_SESSION_D; j++)
            mgi_str_printf(out, " %d", (int)I[j]);
    }
    for (mango_idx k = 0; k < i.improvements; k++)
        mgi_str_printf(out, "\n%d", (int)mango_session_improvement(s, k));
}

static inline unsigned char *t_session_slurp(const char *path, mango_idx *n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p = NULL;
    mango_err err = {""};
    *n = 0;
    T_OK(mgi_file_read(path, 1 << 26, &al, &p, n, &err), &err);
    return p;
}

static inline void t_session_drop(unsigned char *p, mango_idx n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    if (p)
        mgi_del(&al, p, n + 1, 1);
}

static inline void t_session_same_files(const char *a, const char *b)
{
    mango_idx n = 0, m = 0;
    unsigned char *p = t_session_slurp(a, &n), *q = t_session_slurp(b, &m);
    T_EQ(n, m);
    T_CHECK(p && q && n == m && memcmp(p, q, (size_t)n) == 0);
    t_session_drop(p, n);
    t_session_drop(q, m);
}

/* ---- the order of things, taken from a journal ----------------------------- */

/* Ask until batch A is there. */
static inline int t_session_ask_until(mango_session *s, mango_idx A)
{
    uint64_t id[T_SESSION_CAP];
    mango_idx I[T_SESSION_CAP * T_SESSION_D], K;
    mango_session_info i;
    for (int k = 0; k < 1000; k++) {
        mango_session_get(s, &i);
        if (i.asks > A)
            return 1;
        if (mango_session_ask(s, T_SESSION_CAP, &K, id, I) < 0)
            return 0;
    }
    return 0;
}

static inline int t_session_tell_line(mango_session *s, const mgi_json *j)
{
    uint64_t id[T_SESSION_CAP];
    double y[T_SESSION_CAP], tie[T_SESSION_CAP];
    const mgi_json_value *ties = mgi_json_get(j, j->v, "tie");
    mango_idx n = 0, e = mgi_json_get(j, j->v, "y")->child;
    mango_idx x = mgi_json_get(j, j->v, "id")->child, t = ties ? ties->child : -1;
    for (; e >= 0 && n < T_SESSION_CAP; e = j->v[e].next, x = j->v[x].next, n++) {
        y[n] = j->v[e].kind == MGI_JSON_NUMBER ? j->v[e].d : NAN;
        tie[n] = t >= 0 && j->v[t].kind == MGI_JSON_NUMBER ? j->v[t].d : NAN;
        id[n] = (uint64_t)j->v[x].i;
        t = t >= 0 ? j->v[t].next : t;
    }
    return mango_session_tell_ties(s, n, id, y, ties ? tie : NULL) == MANGO_OK;
}

/* A round of the final race: opened when nothing is out; what is given out is told by the
 * lines that follow. */
static inline int t_session_race_line(mango_session *s, const mgi_json *j)
{
    uint64_t id[T_SESSION_CAP];
    mango_idx I[T_SESSION_CAP * T_SESSION_D], K = 0;
    mango_session_info i;
    mango_session_get(s, &i);
    const mango_idx then = (mango_idx)mgi_json_get(j, j->v, "budget")->i;
    return mango_session_again(s, 0, NULL) == MANGO_OK &&
           mango_session_extend(s, then) == MANGO_OK &&
           mango_session_ask(s, T_SESSION_CAP, &K, id, I) == MANGO_OK && K > 0 &&
           mango_session_extend(s, i.budget) == MANGO_OK;
}

static inline int t_session_offer_line(mango_session *s, const mgi_json *j, mango_idx *start)
{
    uint64_t id[T_SESSION_CAP];
    mango_idx I[T_SESSION_CAP * T_SESSION_D], n = 0;
    const mgi_json_value *codes = mgi_json_get(j, j->v, "offer");
    *start -= codes->n;
    if (*start >= 0)
        return 1; /* a session offers the codes that it starts with itself */
    for (mango_idx r = codes->child; r >= 0; r = j->v[r].next)
        for (mango_idx e = j->v[r].child; e >= 0; e = j->v[e].next)
            I[n++] = (mango_idx)j->v[e].i;
    return mango_session_offer(s, codes->n, I, id) == MANGO_OK;
}

/* A session that was never killed, asked and told in the order of journal `from`. */
static inline void t_session_follow(mango_session *s, const char *from)
{
    mgi_journal j;
    mgi_json line;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_journal_open(&j, from, 1, 0, NULL, &err), &err);
    T_OK_OR_RETURN(mgi_journal_next(&j, "mango", &line, &err), &err);
    mgi_json_free(&line);
    mango_idx start = s->n_offered;
    int ok = 1;
    while (ok && mgi_journal_more(&j)) {
        const int ask = mgi_journal_is(&j, "ask"), note = mgi_journal_is(&j, "note");
        const int offer = mgi_journal_is(&j, "offer"), race = mgi_journal_is(&j, "race");
        const char *kind =
            ask ? "ask" : note ? "note" : offer ? "offer" : race ? "race" : "tell";
        ok = T_OK(mgi_journal_next(&j, kind, &line, &err), &err);
        if (!ok)
            break;
        if (ask)
            ok = t_session_ask_until(s, (mango_idx)mgi_json_get(&line, line.v, "ask")->i);
        else if (note)
            ok = mango_session_note(s, "rig", "shutter") == MANGO_OK;
        else if (race)
            ok = t_session_race_line(s, &line);
        else if (offer)
            ok = t_session_offer_line(s, &line, &start);
        else
            ok = t_session_tell_line(s, &line);
        T_CHECK(ok);
        mgi_json_free(&line);
    }
    mgi_journal_close(&j);
}

/* The journal `path` against one of a session never interrupted, told in its order. */
static inline void t_session_check(mango_session_options o, const mango_idx *n, const char *path)
{
    char other[1024];
    mgi_str want, got;
    mgi_str_init(&want, NULL);
    mgi_str_init(&got, NULL);
    mgi_copy(other, sizeof other, t_tmp("follow.jsonl"));
    remove(other);
    o.journal = path, o.resume = 1;
    mango_session *s = t_session_new(&o, n);
    t_session_print(s, &got);
    mango_session_destroy(s);
    o.journal = other, o.resume = 0;
    s = t_session_new(&o, n);
    t_session_follow(s, path);
    t_session_print(s, &want);
    mango_session_destroy(s);
    T_STR(got.p, want.p);
    t_session_same_files(path, other);
    mgi_str_free(&want);
    mgi_str_free(&got);
}

/* ---- a rig that answers when it likes -------------------------------------- */

typedef struct t_session_rig {
    uint64_t random;
    mango_idx n;                 /* handed out and not told */
    uint64_t id[4096];
    double y[4096];
    uint64_t told;               /* an id told before, for showing it again */
    double told_y;
    int ties;                    /* 1: it tells ties, too */
} t_session_rig;

static inline uint64_t t_session_random(t_session_rig *r, uint64_t below)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (r->random >> 33) % below;
}

/* Now and then a code of the rig's own. */
static inline mango_status t_session_own(mango_session *s, t_session_rig *r)
{
    uint64_t id;
    mango_idx I[T_SESSION_D];
    for (int j = 0; j < T_SESSION_D; j++)
        I[j] = (mango_idx)t_session_random(r, (uint64_t)t_session_n[j]);
    return mango_session_offer(s, 1, I, &id);
}

/* Ask for a few, or tell a few of those that are out, in any order. */
static inline mango_status t_session_act(mango_session *s, t_session_rig *r)
{
    uint64_t id[8];
    double y[8], tie[8];
    mango_idx I[8 * T_SESSION_D], K = 0;
    if (t_session_random(r, 20) == 0)
        return t_session_own(s, r);
    if (r->n < 40 && t_session_random(r, 2) == 0) {
        const mango_status st =
            mango_session_ask(s, 1 + (mango_idx)t_session_random(r, 8), &K, id, I);
        for (mango_idx k = 0; k < K; k++) {
            r->id[r->n] = id[k];
            r->y[r->n++] = t_session_value(I + k * T_SESSION_D);
        }
        if (st != MANGO_OK || K > 0 || r->n == 0)
            return st;
    }
    mango_idx n = 1 + (mango_idx)t_session_random(r, 6);
    n = MGI_MIN(n, r->n);
    for (mango_idx k = 0; k < n; k++) {
        const mango_idx at = (mango_idx)t_session_random(r, (uint64_t)r->n);
        id[k] = r->told = r->id[at];
        y[k] = r->told_y = r->y[at];
        r->n--;
        r->id[at] = r->id[r->n];
        r->y[at] = r->y[r->n];
    }
    if (n > 0 && t_session_random(r, 5) == 0) { /* the same again, with noise */
        id[n] = r->told;
        y[n++] = r->told_y + 0.125 * (double)t_session_random(r, 5) - 0.25;
    }
    for (mango_idx k = 0; k < n; k++)
        tie[k] = 0.25 * (double)(id[k] % 5);
    return mango_session_tell_ties(s, n, id, y, r->ties ? tie : NULL);
}

#endif
