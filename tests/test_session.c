/* test_session.c - ask and tell by id: any order, late, in part, several batches open,
 * several presentations; journals of format 1.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "session.h"
#if defined(__linux__)
#include <signal.h>
#include <sys/resource.h>
#endif

static void t_session_orders_of(const char *opt, const mango_idx *n, mango_idx budget,
                                mango_idx shows, uint64_t seed)
{
    static t_session_rig r;
    char path[1024];
    memset(&r, 0, sizeof r);
    r.random = seed;
    mgi_copy(path, sizeof path, t_tmp("orders.jsonl"));
    remove(path);
    mango_session_options o = t_session_options(opt, budget, path);
    o.shows = shows;
    mango_session *s = t_session_new(&o, n);
    T_REQUIRE(s != NULL);
    mango_status st = MANGO_OK;
    for (int k = 0; k < 20000 && st == MANGO_OK; k++) {
        st = t_session_act(s, &r);
        if (k % 50 == 0)
            T_STATUS(mango_session_note(s, "rig", "shutter"), MANGO_OK);
    }
    T_CHECK(st == MANGO_STOP_BUDGET || st == MANGO_STOP_SPACE);
    mango_session_destroy(s);
    t_session_check(o, n, path);
}

static void t_session_orders(void)
{
    t_session_orders_of("tt-s", t_session_n, 300, 1, 1); /* a small space: many repeats */
    t_session_orders_of("tt-b", t_session_wide, 600, 1, 2);
    t_session_orders_of("protes", t_session_wide, 600, 2, 3);
    t_session_orders_of("random", t_session_n, 400, 3, 4);
}

/* A loop of ask and tell that takes each batch whole is what a step does. */
static void t_session_loop(void)
{
    char a[1024], b[1024];
    uint64_t id[T_SESSION_CAP];
    double y[T_SESSION_CAP];
    mango_idx I[T_SESSION_CAP * T_SESSION_D], K;
    mgi_str want, got;
    mgi_str_init(&want, NULL);
    mgi_str_init(&got, NULL);
    mgi_copy(a, sizeof a, t_tmp("steps.jsonl"));
    mgi_copy(b, sizeof b, t_tmp("loop.jsonl"));
    mango_session_options o = t_session_options("tt-b", 150, a);
    mango_session *s = t_session_new(&o, t_session_n);
    const mango_status want_st = mango_session_run(s);
    t_session_print(s, &want);
    mango_session_destroy(s);
    o.journal = b;
    s = t_session_new(&o, t_session_n);
    mango_status st = mango_session_ask(s, T_SESSION_CAP, &K, id, I);
    for (; st == MANGO_OK; st = mango_session_ask(s, T_SESSION_CAP, &K, id, I)) {
        T_REQUIRE(K > 0);
        t_session_f(NULL, K, I, y);
        T_STATUS(mango_session_tell(s, K, id, y), MANGO_OK);
    }
    T_EQ(st, want_st);
    T_EQ(K, 0);
    t_session_print(s, &got);
    mango_session_destroy(s);
    T_STR(got.p, want.p);
    t_session_same_files(a, b);
    mgi_str_free(&want);
    mgi_str_free(&got);
}

/* Three batches open at once, told last first: each is told when it is whole. */
static void t_session_open(void)
{
    uint64_t id[3][T_SESSION_CAP];
    double y[T_SESSION_CAP];
    mango_idx I[3][T_SESSION_CAP * T_SESSION_D], K[3];
    mango_session_info i;
    mango_session_options o = t_session_options("tt-b", 200, NULL);
    o.seed = 7; /* no code comes twice */
    mango_session *s = t_session_new(&o, t_session_wide);
    T_REQUIRE(s != NULL);
    for (int b = 0; b < 3; b++)
        T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K[b], id[b], I[b]), MANGO_OK);
    mango_session_get(s, &i);
    T_CHECK(i.open == 3 && i.out == 75 && i.asked == 75);
    for (int b = 2; b >= 0; b--) {
        t_session_f(NULL, K[b], I[b], y);
        T_STATUS(mango_session_tell(s, K[b] - 1, id[b], y), MANGO_OK);
        mango_session_get(s, &i);
        T_EQ(i.open, b + 1);
        T_STATUS(mango_session_tell(s, 1, id[b] + K[b] - 1, y + K[b] - 1), MANGO_OK);
        mango_session_get(s, &i);
        T_EQ(i.open, b);
    }
    T_EQ(i.out, 0);
    T_EQ(i.queries, K[0] + K[1] + K[2]);
    mango_session_destroy(s);
}

/* Three presentations of each code: their mean counts, and later ones correct it. */
static void t_session_shows(void)
{
    const mango_idx two[1] = {2};
    const mango_modes m = {1, two};
    uint64_t id[8], first = 0;
    mango_idx I[8], K;
    mango_session *s = NULL;
    mango_session_info i;
    mango_value v;
    double y[8], best;
    mango_session_options o = t_session_options("random", 100, NULL);
    o.shows = 3;
    T_STATUS(mango_session_create(&s, &m, &o, NULL, NULL, NULL, NULL), MANGO_OK);
    T_STATUS(mango_session_ask(s, 8, &K, id, I), MANGO_OK);
    T_EQ(K, 6); /* two codes, each three times, all of one before the next round */
    T_CHECK(id[0] != id[1] && id[0] == id[2] && id[0] == id[4]);
    for (int k = 0; k < 6; k++)
        y[k] = id[k] == first ? (double)k : 3.5; /* 0 2 4, mean 2; 3.5 3.5 3.5 */
    y[5] = NAN;
    T_STATUS(mango_session_tell(s, 5, id, y), MANGO_OK);
    mango_session_get(s, &i);
    T_CHECK(i.queries == 1 && i.best == 2.0 && i.told == 5 && i.open > 0);
    T_STATUS(mango_session_tell(s, 1, id + 5, y + 5), MANGO_OK);
    T_STATUS(mango_session_value(s, 0, &v), MANGO_OK);
    T_CHECK(v.id == first && v.y == 2.0 && v.var == 4.0 && v.n == 3 && v.shown == 3);
    T_STATUS(mango_session_best(s, &best, I), MANGO_OK);
    T_CHECK(best == 3.5); /* of two values, one was missing */
    T_STATUS(mango_session_value(s, 1, &v), MANGO_OK);
    T_CHECK(v.n == 2 && v.shown == 3 && v.var == 0.0);
    y[0] = -4.0; /* the best, shown again: worse than the other now */
    T_STATUS(mango_session_tell(s, 1, &v.id, y), MANGO_OK);
    T_STATUS(mango_session_best(s, &best, NULL), MANGO_OK);
    T_CHECK(best == 2.0);
    T_STATUS(mango_session_ask(s, 8, &K, id, I), MANGO_STOP_SPACE);
    mango_session_destroy(s);
}

/* The caller's own codes: shown, told, learnt from; known ones are not shown again. */
static void t_session_offers(void)
{
    uint64_t id[T_SESSION_CAP], own[3], ask[T_SESSION_CAP];
    mango_idx K, L, J[T_SESSION_CAP * T_SESSION_D];
    const mango_idx I[15] = {15, 7, 31, 4, 15, 0, 0, 0, 0, 0, 15, 7, 31, 4, 15},
                    bad[5] = {0, 0, 0, 5, 0};
    double y[T_SESSION_CAP], best;
    mango_session_info i;
    mango_session_options o = t_session_options("tt-b", 200, NULL);
    mango_session *s = t_session_new(&o, t_session_wide);
    T_STATUS(mango_session_offer(s, 1, bad, own), MANGO_E_ARG);
    T_CHECK(strstr(mango_session_error(s), "mode 3") != NULL);
    T_STATUS(mango_session_offer(s, 3, I, own), MANGO_OK);
    T_CHECK(own[0] == 0 && own[1] == 1 && own[2] == 0);
    T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K, id, J), MANGO_OK);
    T_CHECK(K == 2 && id[0] == 0 && memcmp(J, I, 10 * sizeof *I) == 0);
    T_STATUS(mango_session_ask(s, T_SESSION_CAP, &L, ask, J), MANGO_OK);
    T_EQ(L, 25); /* the optimizer's own, while those are out */
    y[0] = 9.0;
    y[1] = 0.5;
    T_STATUS(mango_session_tell(s, 2, id, y), MANGO_OK);
    T_STATUS(mango_session_best(s, &best, NULL), MANGO_OK);
    mango_session_get(s, &i);
    T_CHECK(best == 9.0 && i.open == 1 && i.cached == 1 && i.asks == 1);
    T_STATUS(mango_session_offer(s, 1, I, own), MANGO_OK); /* known: told at once */
    mango_session_get(s, &i);
    T_CHECK(own[0] == 0 && i.open == 1);
    mango_session_destroy(s);
}

/* What is out comes again when it is lost; an unknown id changes nothing. */
static void t_session_lost(void)
{
    char path[1024];
    uint64_t id[16], again[16], bad[2] = {0, 99};
    const double y[2] = {0.5, 0.5};
    mango_idx I[16 * T_SESSION_D], K, L, n = 0, n2 = 0;
    mango_session_info i;
    mgi_copy(path, sizeof path, t_tmp("lost.jsonl"));
    mango_session_options o = t_session_options("tt", 20, path);
    mango_session *s = t_session_new(&o, t_session_wide);
    T_STATUS(mango_session_ask(s, 16, &K, id, I), MANGO_OK);
    unsigned char *was = t_session_slurp(path, &n);
    T_STATUS(mango_session_tell(s, 2, bad, y), MANGO_E_ARG);
    T_CHECK(strstr(mango_session_error(s), "99") != NULL);
    unsigned char *is = t_session_slurp(path, &n2);
    mango_session_get(s, &i);
    T_CHECK(i.told == 0 && n == n2 && memcmp(was, is, (size_t)n) == 0);
    t_session_drop(was, n);
    t_session_drop(is, n2);
    T_STATUS(mango_session_tell(s, 1, id + 1, y), MANGO_OK);
    T_STATUS(mango_session_again(s, 1, id + 2), MANGO_OK);
    T_STATUS(mango_session_ask(s, 16, &L, again, I), MANGO_OK);
    T_CHECK(L == 1 && again[0] == id[2]);
    T_STATUS(mango_session_again(s, 0, NULL), MANGO_OK);
    T_STATUS(mango_session_ask(s, 16, &L, again, I), MANGO_OK);
    T_EQ(L, K - 1);
    T_STATUS(mango_session_again(s, 1, bad + 1), MANGO_E_ARG);
    T_STATUS(mango_session_step(s), MANGO_OK); /* opens a batch of its own */
    mango_session_extend(s, 10 + K - 1);
    T_STATUS(mango_session_step(s), MANGO_E_STATE); /* all that is left is out */
    mango_session_destroy(s);
    o.resume = 1, o.budget = 40;
    s = t_session_new(&o, t_session_wide); /* after a resume it comes by itself */
    T_STATUS(mango_session_ask(s, 16, &L, again, I), MANGO_OK);
    T_CHECK(L == K - 1 && again[0] == id[0] && again[1] == id[2]);
    mango_session_destroy(s);
}

/* A space of which all is out: nothing more until values come. */
static void t_session_waits(void)
{
    const mango_idx two[2] = {2, 2};
    const mango_modes m = {2, two};
    uint64_t id[16];
    mango_idx I[32], K, all = 0;
    mango_session_info i;
    mango_session *s = NULL;
    mango_session_options o = t_session_options("tt", 100, NULL);
    T_STATUS(mango_session_create(&s, &m, &o, NULL, NULL, NULL, NULL), MANGO_OK);
    for (int k = 0; k < 50; k++) {
        T_STATUS(mango_session_ask(s, 16, &K, id + all, I), MANGO_OK);
        all += K;
    }
    mango_session_get(s, &i);
    T_CHECK(i.asks < 12 && i.restarts == 0); /* it does not ask on and on */
    const double y[4] = {1, 2, 3, 4};
    T_STATUS(mango_session_tell(s, all, id, y), MANGO_OK);
    mango_session_get(s, &i);
    T_CHECK(i.open == 0 && i.queries == all);
    mango_session_destroy(s);
}

/* Who ended right after the header left nothing to lose: it is begun anew. Anything else
 * in the file is in the way. */
static void t_session_header_only(void)
{
    char path[1024], whole[1024];
    const mango_modes m = {T_SESSION_D, t_session_wide};
    mango_session *s = NULL;
    mango_err err = {""};
    mango_idx n = 0;
    mgi_copy(path, sizeof path, t_tmp("header.jsonl"));
    mgi_copy(whole, sizeof whole, t_tmp("header_whole.jsonl"));
    mango_session_options o = t_session_options("tt", 20, whole);
    s = t_session_new(&o, t_session_wide);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_destroy(s);
    o.journal = path;
    mango_session_destroy(t_session_new(&o, t_session_wide));
    unsigned char *header = t_session_slurp(path, &n);
    T_REQUIRE(header && n > 100);
    o.seed++;
    T_STATUS(mango_session_create(&s, &m, &o, t_session_f, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "another 'seed'") != NULL);
    o.seed--;
    for (mango_idx cut = 1; cut < n; cut += 40) {
        t_write(path, header, (size_t)cut);
        T_STATUS(mango_session_create(&s, &m, &o, t_session_f, NULL, NULL, &err),
                 MANGO_E_STATE);
    }
    t_write(path, header, (size_t)n);
    t_session_drop(header, n);
    s = t_session_new(&o, t_session_wide);
    T_REQUIRE(s != NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_destroy(s);
    t_session_same_files(path, whole);
}

#if defined(__linux__)
/* A session that fails removes the journal that it made, and no other. */
static void t_session_removes(void)
{
    char path[1024];
    const mango_modes m = {T_SESSION_D, t_session_wide};
    mango_session *s = NULL;
    mango_err err = {""};
    struct rlimit was, small;
    mgi_copy(path, sizeof path, t_tmp("removes.jsonl"));
    mango_session_options o = t_session_options("tt", 20, path);
    T_REQUIRE(getrlimit(RLIMIT_FSIZE, &was) == 0);
    small = was;
    small.rlim_cur = 10; /* no room for the header */
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    fflush(stdout);
    for (int made = 0; made < 2; made++) {
        setrlimit(RLIMIT_FSIZE, &small);
        const mango_status st =
            mango_session_create(&s, &m, &o, t_session_f, NULL, NULL, &err);
        setrlimit(RLIMIT_FSIZE, &was);
        T_EQ(st, MANGO_E_SYSTEM);
        T_EQ(t_exists(path), made);
        t_write(path, "", 0); /* now it is somebody else's */
    }
    signal(SIGXFSZ, old);
    mango_session *running = t_session_new(&o, t_session_wide);
    T_STATUS(mango_session_create(&s, &m, &o, NULL, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "another process") && t_exists(path));
    T_STATUS(mango_session_step(running), MANGO_OK);
    mango_session_destroy(running);
    T_STATUS(mango_session_create(&s, &m, &o, NULL, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "exists") && t_exists(path));
}
#endif

/* ---- format 1 --------------------------------------------------------------- */

static mango_session_options t_session_old(const char *path)
{
    static const mango_note notes[] = {{"target", "sn1:3"}, {"early_stop", "0.1234567"}};
    mango_session_options o = t_session_options("tt-s", 45, path);
    o.stall = 3, o.notes = notes, o.n_notes = 2, o.resume = 1;
    return o;
}

/* A journal of version 0.2, cut after any byte, goes on as that version did. Its notes
 * have numbers of six digits. */
static void t_session_format1(void)
{
    const char *from = t_golden("journal_1.jsonl");
    char path[1024];
    mango_idx n = 0;
    mango_session_info i;
    if (!t_exists(from))
        T_SKIP("no golden files");
    unsigned char *whole = t_session_slurp(from, &n);
    T_REQUIRE(whole && n > 1000);
    mango_idx head = 1;
    while (head < n && whole[head - 1] != '\n')
        head++;
    mgi_copy(path, sizeof path, t_tmp("old.jsonl"));
    mango_session_options o = t_session_old(path);
    for (mango_idx cut = head; cut <= n; cut += 13) {
        t_write(path, whole, (size_t)cut);
        mango_session *s = t_session_new(&o, t_session_n);
        T_REQUIRE(s != NULL);
        mango_session_get(s, &i);
        T_EQ(i.format, 1);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        mango_session_destroy(s);
        t_session_same_files(path, from);
    }
    t_session_drop(whole, n);
}

/* Ask and tell work on it as far as it can say it. */
static void t_session_format1_tell(void)
{
    const char *from = t_golden("journal_1.jsonl");
    char path[1024];
    mango_idx n = 0, K, L, I[16 * T_SESSION_D];
    uint64_t id[16], other[16];
    double y[16];
    mango_err err = {""};
    if (!t_exists(from))
        T_SKIP("no golden files");
    unsigned char *whole = t_session_slurp(from, &n);
    mgi_copy(path, sizeof path, t_tmp("old_tell.jsonl"));
    mango_session_options o = t_session_old(path);
    t_write(path, whole, (size_t)n);
    t_session_drop(whole, n);
    o.budget = 60;
    mango_session *s = t_session_new(&o, t_session_n);
    T_STATUS(mango_session_ask(s, 16, &K, id, I), MANGO_OK);
    T_REQUIRE(K >= 3);
    t_session_f(NULL, K, I, y);
    T_STATUS(mango_session_ask(s, 16, &L, other, I), MANGO_OK);
    T_EQ(L, 0); /* one batch at a time */
    T_STATUS(mango_session_tell(s, 1, id + 1, y + 1), MANGO_E_STATE);
    T_STATUS(mango_session_tell(s, 2, id, y), MANGO_OK);
    T_STATUS(mango_session_tell(s, K - 2, id + 2, y + 2), MANGO_OK);
    T_STATUS(mango_session_note(s, "a", "b"), MANGO_E_STATE);
    mango_session_destroy(s);
    s = t_session_new(&o, t_session_n);
    mango_session_destroy(s);
    o.shows = 2;
    const mango_modes m = {T_SESSION_D, t_session_n};
    T_STATUS(mango_session_create(&s, &m, &o, t_session_f, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'shows'") != NULL);
}

void t_session(void)
{
    T_CASE(t_session_orders);
    T_CASE(t_session_loop);
    T_CASE(t_session_open);
    T_CASE(t_session_shows);
    T_CASE(t_session_offers);
    T_CASE(t_session_lost);
    T_CASE(t_session_waits);
    T_CASE(t_session_header_only);
#if defined(__linux__)
    T_CASE(t_session_removes);
#endif
    T_CASE(t_session_format1);
    T_CASE(t_session_format1_tell);
}
