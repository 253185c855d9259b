/* test_mei.c - sessions: journal, exact resume, abuse; the cache.
 * SPDX-License-Identifier: MIT */
#include "test.h"
#if defined(__linux__)
#include <signal.h>
#include <sys/resource.h>
#endif

/* ---- a cheap objective --------------------------------------------------- */

enum { T_MEI_D = 5 };
static const mango_idx t_mei_n[T_MEI_D] = {4, 3, 8, 1, 2};

typedef struct t_mei_world {
    long calls, queries;
    long fail_at;       /* this query fails, from 1 */
    int holes;          /* every third value is missing */
} t_mei_world;

static mango_modes t_mei_modes(void)
{
    const mango_modes m = {T_MEI_D, t_mei_n};
    return m;
}

static double t_mei_value(const mango_idx *I)
{
    return 1.0 / (1.0 + (double)((I[0] - 2) * (I[0] - 2) + (I[1] - 1) * (I[1] - 1) +
                                 (I[2] - 6) * (I[2] - 6) + I[4]));
}

static mango_status t_mei_f(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    t_mei_world *w = ud;
    w->calls++;
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx *code = I + k * T_MEI_D;
        if (++w->queries == w->fail_at)
            return MANGO_E_CALLBACK;
        y[k] = w->holes && (code[0] + code[2]) % 3 == 0 ? NAN : t_mei_value(code);
    }
    return MANGO_OK;
}

static mango_session_options t_mei_options(const char *opt, mango_idx budget,
                                           const char *journal)
{
    mango_session_options o;
    T_STATUS(mango_session_defaults(opt, &o, NULL), MANGO_OK);
    o.budget = budget, o.seed = 5, o.journal = journal, o.sync = 0, o.stall = 20;
    return o;
}

/* Everything a user sees of a session, as text. */
static void t_mei_print(const mango_session *s, mgi_str *out)
{
    mango_session_info i;
    mango_idx I[T_MEI_D];
    double y;
    mango_session_get(s, &i);
    out->n = 0;
    mgi_str_printf(out, "%lld %lld %lld %lld %lld %lld\n", (long long)i.queries,
                   (long long)i.cached, (long long)i.missing, (long long)i.asks,
                   (long long)i.restarts, (long long)i.improvements);
    mgi_str_float(out, i.best);
    for (mango_idx q = 0; q < i.queries; q++) {
        T_STATUS(mango_session_query(s, q, &y, I), MANGO_OK);
        mgi_str_puts(out, "\n");
        mgi_str_float(out, y);
        for (int j = 0; j < T_MEI_D; j++)
            mgi_str_printf(out, " %d", (int)I[j]);
    }
    for (mango_idx k = 0; k < i.improvements; k++)
        mgi_str_printf(out, "\n%d", (int)mango_session_improvement(s, k));
}

/* Run to the end; the print into out (or NULL). Returns the stop reason. */
static mango_status t_mei_run(const mango_session_options *o, t_mei_world *w, mgi_str *out)
{
    mango_session *s = NULL;
    mango_err err = {""};
    const mango_modes m = t_mei_modes();
    if (!T_OK(mango_session_create(&s, &m, o, t_mei_f, w, NULL, &err), &err))
        return MANGO_E_STATE;
    const mango_status st = mango_session_run(s);
    if (out)
        t_mei_print(s, out);
    mango_session_destroy(s);
    return st;
}

static unsigned char *t_mei_slurp(const char *path, mango_idx *n)
{
    unsigned char *p = NULL;
    mango_err err = {""};
    T_OK(mgi_file_read(path, 1 << 20, NULL, &p, n, &err), &err);
    return p;
}

static void t_mei_drop(unsigned char *p, mango_idx n)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    if (p)
        mgi_del(&al, p, n + 1, 1);
}

/* ---- the search ---------------------------------------------------------- */

static void t_mei_search(void)
{
    static const char *const names[] = {"tt", "tt-s", "tt-b", "protes", "random"};
    const mango_modes m = t_mei_modes();
    for (int i = 0; i < 5; i++) {
        t_mei_world w = {0, 0, 0, 0};
        mango_session_options o = t_mei_options(names[i], 10000, NULL);
        mango_session *s = NULL;
        mango_session_info info;
        mango_idx I[T_MEI_D];
        double y = 0.0;
        o.stall = 200;
        T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, NULL), MANGO_OK);
        T_STATUS(mango_session_run(s), MANGO_STOP_SPACE); /* 192 codes: all of them */
        mango_session_get(s, &info);
        T_EQ(info.queries, 192);
        T_EQ(w.queries, 192);
        T_CHECK(info.cached > 0 && info.asks > 0);
        T_STATUS(mango_session_best(s, &y, I), MANGO_OK);
        T_CHECK(y == 1.0 && I[0] == 2 && I[1] == 1 && I[2] == 6 && I[3] == 0 && I[4] == 0);
        T_STATUS(mango_session_step(s), MANGO_STOP_SPACE);
        mango_session_destroy(s);
    }
    mango_session_destroy(NULL);
}

static int t_mei_watch(void *ud, const mango_session *s)
{
    mango_session_info i;
    mango_session_get(s, &i);
    return i.asks >= *(int *)ud;
}

static void t_mei_stops(void)
{
    t_mei_world w = {0, 0, 0, 0};
    mango_session_options o = t_mei_options("tt", 37, NULL);
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_BUDGET);
    T_EQ(w.queries, 37);
    o.budget = 1000, o.stop_at = 0.4;
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_TARGET);
    T_STATUS(mango_opt_set(&o.o, "minimize", 1, NULL), MANGO_OK);
    o.stop_at = 0.05;
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_TARGET);
    int three = 3;
    o = t_mei_options("tt", 1000, NULL);
    o.observe = t_mei_watch, o.observe_ud = &three;
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_USER);
    /* repeats cost a query each */
    o = t_mei_options("tt", 1000, NULL);
    o.repeat = 1, w.queries = 0;
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_BUDGET);
    T_EQ(w.queries, 1000);
}

/* One code in all of space, and a function that never answers. */
static void t_mei_odd(void)
{
    const mango_idx one[2] = {1, 1};
    const mango_modes m = {2, one};
    t_mei_world w = {0, 0, 0, 1};
    mango_session_options o = t_mei_options("tt", 100, NULL);
    mango_session *s;
    mango_session_info i;
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, NULL), MANGO_OK);
    mango_session_destroy(s);
    mgi_str out;
    mgi_str_init(&out, NULL);
    T_STATUS(t_mei_run(&o, &w, &out), MANGO_STOP_BUDGET); /* holes are asked again */
    T_CHECK(w.queries == 100 && strstr(out.p, "null"));
    mgi_str_free(&out);
    const mango_modes all = t_mei_modes();
    w.fail_at = 1, w.queries = 0;
    T_STATUS(mango_session_create(&s, &all, &o, t_mei_f, &w, NULL, NULL), MANGO_OK);
    T_STATUS(mango_session_best(s, NULL, NULL), MANGO_E_STATE);
    T_STATUS(mango_session_query(s, 0, NULL, NULL), MANGO_E_ARG);
    T_EQ(mango_session_improvement(s, 0), -1);
    T_STATUS(mango_session_step(s), MANGO_E_CALLBACK);
    T_CHECK(mango_session_error(s)[0] != '\0');
    mango_session_get(s, &i);
    T_CHECK(i.queries == 0 && i.asks == 1);
    w.fail_at = 0;
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET); /* and goes on */
    mango_session_destroy(s);
}

static void t_mei_bad(void)
{
    const mango_modes m = t_mei_modes();
    mango_session_options o;
    mango_session *s;
    mango_err err = {""};
    t_mei_world w = {0, 0, 0, 0};
    T_STATUS(mango_session_defaults("nothing", &o, &err), MANGO_E_NAME);
    o = t_mei_options("tt", 0, NULL);
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "budget") != NULL);
    o = t_mei_options("tt", 10, NULL), o.stall = 0;
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_ARG);
    o = t_mei_options("tt", 10, NULL);
    o.o.value[0] = 0; /* k */
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_ARG);
    o = t_mei_options("tt", 10, NULL);
    o.o.preset[1] = 0;
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_NAME);
    o = t_mei_options("tt", 10, "/nonexistent/folder/journal.jsonl");
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_IO);
    o = t_mei_options("tt", 10, NULL);
    T_STATUS(mango_session_create(&s, &m, &o, NULL, &w, NULL, &err), MANGO_OK);
    T_STATUS(mango_session_step(s), MANGO_E_STATE); /* no function: ask and tell only */
    mango_session_destroy(s);
    T_STATUS(mango_session_create(&s, NULL, &o, t_mei_f, &w, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_session_step(NULL), MANGO_E_ARG);
}

/* ---- journal and resume -------------------------------------------------- */

/* Killed after any byte of the journal, the resumed run ends as the whole one:
 * same queries, best, improvements, and the same journal. */
static void t_mei_every_byte_of(const char *opt, int holes, mango_idx step)
{
    t_mei_world w = {0, 0, 0, holes};
    mgi_str want, got;
    mango_idx n = 0;
    mgi_str_init(&want, NULL), mgi_str_init(&got, NULL);
    const char *path = t_tmp("whole.jsonl");
    remove(path);
    mango_session_options o = t_mei_options(opt, 45, path);
    o.stall = 3;
    T_STATUS(t_mei_run(&o, &w, &want), MANGO_STOP_BUDGET);
    unsigned char *whole = t_mei_slurp(path, &n);
    T_REQUIRE(whole && n > 500);
    o.journal = t_tmp("cut.jsonl"), o.resume = 1;
    int bad = 0;
    for (mango_idx cut = 0; cut <= n && bad < 3; cut += step) {
        mango_idx n2 = 0;
        t_write(o.journal, whole, (size_t)cut);
        T_STATUS(t_mei_run(&o, &w, &got), MANGO_STOP_BUDGET);
        unsigned char *again = t_mei_slurp(o.journal, &n2);
        bad += !T_STR(got.p, want.p);
        bad += !(n2 == n && T_MEM(again, whole, n));
        t_mei_drop(again, n2);
    }
    t_mei_drop(whole, n);
    mgi_str_free(&want), mgi_str_free(&got);
}

static void t_mei_every_byte(void)
{
    t_mei_every_byte_of("tt-s", 0, t_fast() ? 5 : 1);
    t_mei_every_byte_of("tt-s", 1, 7);
    t_mei_every_byte_of("random", 0, 7);
}

/* Every bit flipped before the last line is refused, and the file is as it was. */
static void t_mei_damage(void)
{
    t_mei_world w = {0, 0, 0, 0};
    const mango_modes m = t_mei_modes();
    mango_idx n = 0, last = 0;
    mango_err err = {""};
    const char *path = t_tmp("damage.jsonl");
    mango_session_options o = t_mei_options("tt-s", 20, path);
    T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_BUDGET);
    unsigned char *whole = t_mei_slurp(path, &n);
    T_REQUIRE(whole && n > 300);
    for (mango_idx i = 0; i + 1 < n; i++)
        last = whole[i] == '\n' ? i + 1 : last;
    o.resume = 1;
    for (mango_idx i = 0; i < last - 1; i += 3) {
        mango_session *s = NULL;
        mango_idx n2;
        whole[i] ^= (unsigned char)(1 << (i % 7));
        t_write(path, whole, (size_t)n);
        T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_FORMAT);
        unsigned char *after = t_mei_slurp(path, &n2);
        T_CHECK(n2 == n && memcmp(after, whole, (size_t)n) == 0);
        t_mei_drop(after, n2);
        whole[i] ^= (unsigned char)(1 << (i % 7));
    }
    T_CHECK(strstr(err.text, "line") != NULL);
    /* a line taken out of the middle, and a file that is none of ours */
    mango_session *s = NULL;
    const unsigned char *second = memchr(whole, '\n', (size_t)n);
    const unsigned char *third = memchr(second + 1, '\n', (size_t)(whole + n - second - 1));
    const size_t head = (size_t)(second + 1 - whole),
                 tail = (size_t)(whole + n - third - 1);
    char *cut = malloc((size_t)n);
    memcpy(cut, whole, head), memcpy(cut + head, third + 1, tail);
    t_write(path, cut, head + tail);
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_FORMAT);
    t_write(path, "my thesis", 9);
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), MANGO_E_FORMAT);
    free(cut);
    t_mei_drop(whole, n);
}

/* Other options are refused by name; a journal in the way, too. */
static void t_mei_match(void)
{
    t_mei_world w = {0, 0, 0, 0};
    const mango_modes m = t_mei_modes();
    const mango_note notes[2] = {{"net", "abc"}, {"target", "sn1:3"}};
    const mango_note other[2] = {{"net", "abc"}, {"target", "sn1:4"}};
    mango_err err = {""};
    mango_session *s;
    mango_session_options base = t_mei_options("tt-s", 20, t_tmp("match.jsonl")), o;
    base.notes = notes, base.n_notes = 2;
    T_STATUS(t_mei_run(&base, &w, NULL), MANGO_STOP_BUDGET);
    T_STATUS(mango_session_create(&s, &m, &base, t_mei_f, &w, NULL, &err), MANGO_E_STATE);
    base.resume = 1;
#define T_MEI_OTHER(change, name)                                                        \
    do {                                                                                 \
        o = base;                                                                        \
        change;                                                                          \
        T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err),              \
                 MANGO_E_STATE);                                                         \
        T_CHECK(strstr(err.text, "'" name "'") != NULL);                                 \
    } while (0)
    T_MEI_OTHER(o.seed = 6, "seed");
    T_MEI_OTHER(o.o = t_mei_options("tt", 20, NULL).o, "opt");
    T_MEI_OTHER(mango_opt_set(&o.o, "lr", 0.1, NULL), "lr");
    T_MEI_OTHER(mango_opt_set(&o.o, "k", 6, NULL), "k");
    T_MEI_OTHER(mango_opt_set(&o.o, "minimize", 1, NULL), "minimize");
    T_MEI_OTHER(o.repeat = 1, "repeat");
    T_MEI_OTHER(o.stall = 21, "stall");
    T_MEI_OTHER(o.notes = other, "target");
    T_MEI_OTHER(o.n_notes = 1, "target");
#undef T_MEI_OTHER
    const mango_idx n2[T_MEI_D] = {4, 3, 8, 1, 3};
    const mango_modes m2 = {T_MEI_D, n2};
    T_STATUS(mango_session_create(&s, &m2, &base, t_mei_f, &w, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'modes'") != NULL);
    T_OK(mango_session_create(&s, &m, &base, t_mei_f, &w, NULL, &err), &err);
    mango_session_destroy(s);
}

/* The budget in pieces, cutting batches anywhere: the same as at once. */
static void t_mei_extend(void)
{
    mgi_str want, got;
    mgi_str_init(&want, NULL), mgi_str_init(&got, NULL);
    t_mei_world w = {0, 0, 0, 0};
    mango_session_options o = t_mei_options("tt-b", 120, NULL);
    T_STATUS(t_mei_run(&o, &w, &want), MANGO_STOP_BUDGET);
    o.journal = t_tmp("extend.jsonl"), o.resume = 1, w.queries = 0;
    for (o.budget = 7; o.budget < 120; o.budget += 16)
        T_STATUS(t_mei_run(&o, &w, NULL), MANGO_STOP_BUDGET);
    o.budget = 120;
    T_STATUS(t_mei_run(&o, &w, &got), MANGO_STOP_BUDGET);
    T_STR(got.p, want.p);
    T_EQ(w.queries, 120);
    mango_session *s = NULL; /* and within one session */
    const mango_modes m = t_mei_modes();
    o.journal = NULL, o.budget = 3;
    T_STATUS(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, NULL), MANGO_OK);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_extend(s, 120);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    t_mei_print(s, &got);
    T_STR(got.p, want.p);
    mango_session_destroy(s);
    mgi_str_free(&want), mgi_str_free(&got);
}

#if defined(__linux__)
/* A full disk: the step fails and the session is spent; when there is room
 * again, a new one goes on from the last whole line. */
static void t_mei_full(void)
{
    const mango_modes m = t_mei_modes();
    t_mei_world w = {0, 0, 0, 0};
    mango_session *s = NULL;
    mango_err err = {""};
    mgi_str want, got;
    mgi_str_init(&want, NULL), mgi_str_init(&got, NULL);
    mango_session_options o = t_mei_options("tt-s", 60, NULL);
    T_STATUS(t_mei_run(&o, &w, &want), MANGO_STOP_BUDGET);
    o.journal = t_tmp("full.jsonl");
    struct rlimit was, small;
    T_REQUIRE(getrlimit(RLIMIT_FSIZE, &was) == 0);
    small = was, small.rlim_cur = 1500;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    fflush(stdout);
    T_OK(mango_session_create(&s, &m, &o, t_mei_f, &w, NULL, &err), &err);
    setrlimit(RLIMIT_FSIZE, &small);
    const mango_status first = mango_session_run(s), again = mango_session_step(s);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, old);
    T_CHECK(first == MANGO_E_SYSTEM && again == MANGO_E_SYSTEM);
    T_CHECK(strstr(mango_session_error(s), "full.jsonl") != NULL);
    mango_session_destroy(s);
    o.resume = 1;
    T_STATUS(t_mei_run(&o, &w, &got), MANGO_STOP_BUDGET);
    T_STR(got.p, want.p);
    mgi_str_free(&want), mgi_str_free(&got);
}
#endif

static mango_status t_mei_make(void *ud, const mango_alloc *al)
{
    const mango_modes m = t_mei_modes();
    t_mei_world w = {0, 0, 0, 0};
    mango_session *s;
    mango_session_options o = t_mei_options("tt-b", 60, ud);
    remove(ud ? (const char *)ud : "");
    o.resume = 1;
    for (int pass = 0; pass < (ud ? 2 : 1); pass++, o.budget = 120) {
        MGI_TRY(mango_session_create(&s, &m, &o, t_mei_f, &w, al, NULL));
        const mango_status st = mango_session_run(s);
        mango_session_destroy(s);
        MGI_TRY(st);
    }
    return MANGO_OK;
}

static void t_mei_memory(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", t_tmp("memory.jsonl"));
    T_CHECK(t_oom_sweep(t_mei_make, NULL) > 5);
    T_CHECK(t_oom_sweep(t_mei_make, path) > 20);
}

/* ---- cache --------------------------------------------------------------- */

static void t_mei_cache(void)
{
    enum { N = 5000 };
    mgi_cache c;
    mgi_cache_init(&c, 3, 1, 1, NULL);
    mango_idx I[3], wrong = 0;
    for (mango_idx i = 0; i < N; i++) {
        I[0] = i % 17, I[1] = i / 17, I[2] = i * 7 % 13;
        T_REQUIRE(mgi_cache_reserve(&c, 1) == MANGO_OK);
        wrong += mgi_cache_find(&c, I) != -1;
        wrong += mgi_cache_push(&c, I) != i;
        wrong += mgi_cache_find(&c, I) != i;
        wrong += mgi_cache_take(&c, i, i % 5 ? (double)i : NAN) != 1;
    }
    for (mango_idx i = 0; i < N; i++) {
        mango_idx J[3];
        I[0] = i % 17, I[1] = i / 17, I[2] = i * 7 % 13;
        wrong += mgi_cache_find(&c, I) != (i % 5 ? i : -1);
        mgi_cache_code(&c, i, J);
        wrong += memcmp(I, J, sizeof I) != 0;
    }
    T_EQ(wrong, 0);
    mgi_cache_free(&c);
}

void t_mei(void)
{
    T_CASE(t_mei_search);
    T_CASE(t_mei_stops);
    T_CASE(t_mei_odd);
    T_CASE(t_mei_bad);
    T_CASE(t_mei_every_byte);
    T_CASE(t_mei_damage);
    T_CASE(t_mei_match);
    T_CASE(t_mei_extend);
#if defined(__linux__)
    T_CASE(t_mei_full);
#endif
    T_CASE(t_mei_memory);
    T_CASE(t_mei_cache);
}
