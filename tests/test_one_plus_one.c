/* test_one_plus_one.c - the (1+1) evolution strategy: expected times to known optima,
 * ties, holes, batches, minimization, odd spaces, resume.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_ONE_D = 64, T_ONE_CAP = 64 };

typedef double (*t_one_function)(mango_idx d, const mango_idx *I);

static mango_modes t_one_modes(mango_idx *n, mango_idx d, mango_idx levels)
{
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_modes m = {d, n};
    return m;
}

static mango_opt *t_one_new(const mango_modes *m, const char *set, uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("one-plus-one", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, NULL, &o, seed, NULL, &err), &err);
    return p;
}

/* One code of an ask. */
static void t_one_ask(mango_opt *p, mango_idx *I)
{
    mango_idx K = 0;
    T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
    T_EQ(K, 1);
}

static mango_idx t_one_distance(mango_idx d, const mango_idx *a, const mango_idx *b)
{
    mango_idx n = 0;
    for (mango_idx j = 0; j < d; j++)
        n += a[j] != b[j];
    return n;
}

/* ---- expected times ---------------------------------------------------------- */

static double t_one_ones(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += (double)I[j];
    return s;
}

static double t_one_leading(mango_idx d, const mango_idx *I)
{
    mango_idx j = 0;
    while (j < d && I[j] == 1)
        j++;
    return (double)j;
}

static double t_one_matches(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += I[j] == j % 7;
    return s;
}

/* Queries until f is `top`, the mean of 30 seeds. */
static double t_one_time(t_one_function f, mango_idx d, mango_idx levels, double top)
{
    enum { SEEDS = 30, MOST = 20000 };
    mango_idx n[T_ONE_D], I[T_ONE_D];
    const mango_modes m = t_one_modes(n, d, levels);
    double sum = 0.0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        mango_opt *p = t_one_new(&m, "", seed);
        double y = -1.0;
        int queries = 0;
        for (; p && y < top && queries < MOST; queries++) {
            t_one_ask(p, I);
            y = f(d, I);
            T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
        }
        T_CHECK(y == top);
        sum += queries;
        mango_opt_destroy(p);
    }
    return sum / SEEDS;
}

/* The theory: e n ln n - 1.89 n for the ones among n bits, 0.86 n^2 for the leading
 * ones, both of a mutation that may change nothing: here it never does, which saves a
 * share of about 1/e. With 7 levels a match is a sixth as likely. */
static void t_one_times(void)
{
    const double wait = 1.0 - 0.365;
    const double ones = wait * (2.718 * 64 * log(64.0) - 1.89 * 64);
    const double leading = wait * 0.86 * 32 * 32;
    T_NEAR(t_one_time(t_one_ones, 64, 2, 64), ones, 0.2 * ones);
    T_NEAR(t_one_time(t_one_leading, 32, 2, 32), leading, 0.2 * leading);
    const double matches = wait * 6 * 2.718 * 20 * log(20.0);
    T_NEAR(t_one_time(t_one_matches, 20, 7, 20), matches, 0.3 * matches);
}

/* ---- ordered modes: the 1/5 rule ----------------------------------------------- */

static double t_one_sphere(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        const double x = (double)I[j] / (double)(MANGO_REAL - 1) - (j == 0 ? 1.0 : 0.3);
        s += x * x;
    }
    return s;
}

/* A minimum on the edge of one mode and inside four: it is approached in steps that
 * shrink with the distance, a constant factor for each so many queries. */
static void t_one_real(void)
{
    mango_idx n[5], I[5];
    const mango_modes m = t_one_modes(n, 5, MANGO_REAL);
    for (uint64_t seed = 0; seed < 5; seed++) {
        mango_opt *p = t_one_new(&m, "minimize=1", seed);
        double best[3] = {1, 1, 1};
        for (int q = 0; p && q < 1500; q++) {
            t_one_ask(p, I);
            const double y = t_one_sphere(5, I);
            T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
            T_STATUS(mango_opt_best(p, best + q / 500, NULL), MANGO_OK);
        }
        T_CHECK(best[0] < 1e-4 && best[1] < 1e-8 && best[2] < 1e-12);
        mango_opt_destroy(p);
    }
}

/* Levels that a prior makes numbers, or that are said to be ordered, move by steps;
 * the same levels without that jump. */
static void t_one_ordered(void)
{
    mango_idx n[8], I[8], parent[8];
    const mango_modes m = t_one_modes(n, 8, 64);
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -4;
    f.prior_hi = 4;
    static const char *const set[4] = {"sigma=0.02", "sigma=0.02,ordered=all",
                                       "sigma=0.02,ordered=none", "sigma=0.02"};
    for (int i = 0; i < 4; i++) {
        mango_opt_options o;
        mango_opt *p = NULL;
        mango_err err = {""};
        mango_idx far = 0;
        const double one = 1.0, none = NAN;
        T_STATUS(mango_opt_defaults("one-plus-one", &o, NULL), MANGO_OK);
        T_OK(mango_opt_parse(&o, set[i], &err), &err);
        const mango_facts *use = i == 0 || i == 2 ? &f : NULL;
        T_OK_OR_RETURN(mango_opt_create(&p, &m, use, &o, 1, NULL, &err), &err);
        t_one_ask(p, parent);
        T_STATUS(mango_opt_tell(p, 1, parent, &one), MANGO_OK);
        for (int q = 0; q < 100; q++) {
            t_one_ask(p, I);
            for (int j = 0; j < 8; j++)
                far += I[j] > parent[j] + 8 || I[j] < parent[j] - 8;
            T_STATUS(mango_opt_tell(p, 1, I, &none), MANGO_OK);
        }
        T_CHECK(i < 2 ? far == 0 : far > 50);
        mango_opt_destroy(p);
    }
}

/* ---- the parent ------------------------------------------------------------------ */

/* An equal mutant takes the parent's place, a worse one does not, a missing one says
 * nothing, and no mutant is its parent. */
static void t_one_parent(void)
{
    mango_idx n[T_ONE_D], I[T_ONE_D] = {0}, parent[T_ONE_D];
    const mango_modes m = t_one_modes(n, T_ONE_D, 4);
    mango_opt *p = t_one_new(&m, "", 3);
    double y = NAN;
    mango_idx sum = 0;
    for (int q = 0; q < 20; q++) { /* nothing finite yet: uniform codes, not mutants */
        memcpy(parent, I, sizeof parent);
        t_one_ask(p, I);
        T_CHECK(q == 0 || t_one_distance(T_ONE_D, I, parent) > 30);
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
    }
    y = 5.0;
    T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
    memcpy(parent, I, sizeof parent);
    for (int q = 0; q < 300; q++) {
        t_one_ask(p, I);
        const mango_idx far = t_one_distance(T_ONE_D, I, parent);
        T_CHECK(far >= 1 && far <= 9);
        sum += far;
        y = q % 3 == 0 ? 5.0 : q % 3 == 1 ? 4.0 : -INFINITY;
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
        if (q % 3 == 0)
            memcpy(parent, I, sizeof parent);
    }
    T_NEAR((double)sum / 300, 1.0 / (1.0 - 0.365), 0.2); /* changes of a mutant */
    T_STATUS(mango_opt_restart(p), MANGO_OK);
    t_one_ask(p, I);
    T_CHECK(t_one_distance(T_ONE_D, I, parent) > 30);
    mango_opt_destroy(p);
}

/* A batch: all are mutants of one parent; the best told follows it, whoever proposed it
 * and in whatever order and pieces it is told. */
static void t_one_batch(void)
{
    mango_idx n[T_ONE_D], I[8 * T_ONE_D], J[8 * T_ONE_D], parent[T_ONE_D];
    const mango_modes m = t_one_modes(n, T_ONE_D, 4);
    mango_opt *p = t_one_new(&m, "k=8", 3), *q = t_one_new(&m, "k=8", 3);
    mango_opt_info info;
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    T_CHECK(info.batch == 8 && info.elite == 1 && !info.oblivious);
    for (int round = 0; round < 30; round++) {
        mango_idx K = 0, best = 0;
        double y[8], none = NAN;
        T_STATUS(mango_opt_ask(p, 8, &K, I), MANGO_OK);
        T_EQ(K, 8);
        for (mango_idx k = 0; k < K; k++) { /* one by one: the same */
            t_one_ask(q, J + k * T_ONE_D);
            T_CHECK(round == 0 || t_one_distance(T_ONE_D, I + k * T_ONE_D, parent) <= 9);
            y[k] = t_one_ones(T_ONE_D, I + k * T_ONE_D) + 1e-3 * (double)k;
            best = y[k] > y[best] ? k : best;
        }
        T_MEM(J, I, sizeof I);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        for (mango_idx k = K - 1; k >= 0; k--)
            T_STATUS(mango_opt_tell(q, 1, I + k * T_ONE_D, k == best ? y + k : &none),
                     MANGO_OK);
        double top;
        mango_opt_best(p, &top, parent);
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

static void t_one_minimize(void)
{
    mango_idx n[T_ONE_D], I[T_ONE_D], J[T_ONE_D];
    const mango_modes m = t_one_modes(n, T_ONE_D, 5);
    mango_opt *p = t_one_new(&m, "", 9), *q = t_one_new(&m, "minimize=1", 9);
    for (int i = 0; i < 200; i++) {
        t_one_ask(p, I);
        t_one_ask(q, J);
        T_MEM(J, I, sizeof I);
        const double y = t_one_ones(T_ONE_D, I), z = -y;
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
        T_STATUS(mango_opt_tell(q, 1, J, &z), MANGO_OK);
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* Its option of words: by word, as text, and what is no word of it. */
static void t_one_words(void)
{
    mango_opt_options o;
    mango_err err = {""};
    char text[128];
    double v = -1;
    T_STATUS(mango_opt_defaults("one-plus-one", &o, NULL), MANGO_OK);
    T_OK(mango_opt_parse(&o, "ordered=all,k=3", &err), &err);
    T_STATUS(mango_opt_value(&o, "ordered", &v, NULL), MANGO_OK);
    T_CHECK(v == 2);
    mango_opt_text(&o, text, sizeof text);
    T_CHECK(strcmp(text, "k=3,sigma=0.25,ordered=all,minimize=0") == 0);
    T_OK(mango_opt_parse(&o, text, &err), &err);
    T_STATUS(mango_opt_parse(&o, "ordered=al", &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "known|none|all") != NULL);
    T_STATUS(mango_opt_parse(&o, "ordered=2", &err), MANGO_E_ARG);
    T_STATUS(mango_opt_set(&o, "ordered", 3, &err), MANGO_E_ARG);
}

/* ---- odd spaces, memory, bits ------------------------------------------------------ */

/* One code, one mode, modes that cannot move, an interval; batches larger than the
 * space; flat, and with steps that became too small for the levels. */
static void t_one_odd(void)
{
    static const mango_idx shapes[][4] = {
        {1}, {2}, {MANGO_REAL}, {1, 1, 1}, {1, 3, 1, 1}, {2, MANGO_REAL, 1, 300}};
    static const mango_idx d[] = {1, 1, 1, 3, 4, 4};
    static const char *const set[] = {"", "k=64", "sigma=1e-12,ordered=all,minimize=1"};
    mango_idx I[T_ONE_CAP * 4], bad = 0;
    double y[T_ONE_CAP];
    for (mango_idx i = 0; i < MGI_COUNT(d) * MGI_COUNT(set); i++) {
        const mango_idx s = i % MGI_COUNT(d);
        const mango_modes m = {d[s], shapes[s]};
        mango_opt *p = t_one_new(&m, set[i / MGI_COUNT(d)], 3);
        for (int round = 0; p && round < 40; round++) {
            mango_idx K = 0;
            T_STATUS(mango_opt_ask(p, T_ONE_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = round % 2 ? (double)I[k * d[s]] : 0.0;
            for (mango_idx k = 0; k < K * d[s]; k++)
                bad += I[k] < 0 || I[k] >= shapes[s][k % d[s]];
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        mango_opt_destroy(p);
    }
    T_EQ(bad, 0);
}

static mango_status t_one_make(void *ud, const mango_alloc *al)
{
    mango_idx n[4];
    const mango_modes m = t_one_modes(n, 4, 3);
    mango_opt_options o;
    mango_opt *p;
    (void)ud;
    T_STATUS(mango_opt_defaults("one-plus-one", &o, NULL), MANGO_OK);
    MGI_TRY(mango_opt_create(&p, &m, NULL, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

static void t_one_memory(void)
{
    T_CHECK(t_oom_sweep(t_one_make, NULL) >= 6);
}

/* The same codes on every machine: unordered, stepping, and both. */
static void t_one_bits(void)
{
    static const uint64_t want[3] = {0xa7627629f626b70bu, 0xf5de7ef41e78f444u,
                                     0x66d0e3e7d5cbd82cu};
    for (int i = 0; i < 3; i++) {
        mango_idx n[6] = {5, 9, MANGO_REAL, 2, MANGO_REAL, 64}, I[6];
        const mango_modes m = {6, n};
        static const char *const set[3] = {"ordered=none", "ordered=all", ""};
        mango_opt *p = t_one_new(&m, set[i], 7);
        uint64_t h = 0xcbf29ce484222325u;
        for (int q = 0; q < 300; q++) {
            double y = 0.0;
            t_one_ask(p, I);
            for (int j = 0; j < 6; j++) {
                h = (h ^ (uint64_t)I[j]) * 0x100000001b3u;
                y -= fabs((double)I[j] / (double)n[j] - 0.37);
            }
            T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
        }
        T_CHECK(h == want[i]);
        mango_opt_destroy(p);
    }
}

/* ---- a session with it --------------------------------------------------------------- */

static mango_status t_one_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = (I[6 * k] + I[6 * k + 1]) % 5 == 4 ? (double)NAN : t_one_ones(6, I + 6 * k);
    return MANGO_OK;
}

/* Queries 0 .. budget-1 of a search that may go on with the journal. */
static void t_one_session(const char *journal, mango_idx budget, mango_idx *codes)
{
    mango_idx n[6];
    const mango_modes m = t_one_modes(n, 6, 5);
    mango_session_options o;
    mango_session *s = NULL;
    mango_err err = {""};
    T_OK(mango_session_defaults("one-plus-one", &o, &err), &err);
    o.budget = budget;
    o.seed = 2;
    o.journal = journal;
    o.resume = 1;
    o.sync = 0;
    T_OK_OR_RETURN(mango_session_create(&s, &m, &o, t_one_evaluate, NULL, NULL, &err), &err);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    for (mango_idx q = 0; q < budget; q++)
        T_STATUS(mango_session_query(s, q, NULL, codes + 6 * q), MANGO_OK);
    mango_session_destroy(s);
}

/* Stopped and resumed after every few queries, it asks the same codes. */
static void t_one_resume(void)
{
    enum { ALL = 120 };
    mango_idx whole[6 * ALL], parts[6 * ALL];
    char path[1024];
    mgi_copy(path, sizeof path, t_tmp("one.jsonl"));
    t_one_session(NULL, ALL, whole);
    for (mango_idx budget = 1; budget < ALL; budget += 17)
        t_one_session(path, budget, parts);
    t_one_session(path, ALL, parts);
    T_MEM(parts, whole, sizeof whole);
}

void t_one_plus_one(void)
{
    T_CASE(t_one_times);
    T_CASE(t_one_real);
    T_CASE(t_one_ordered);
    T_CASE(t_one_parent);
    T_CASE(t_one_batch);
    T_CASE(t_one_minimize);
    T_CASE(t_one_words);
    T_CASE(t_one_odd);
    T_CASE(t_one_memory);
    T_CASE(t_one_bits);
    T_CASE(t_one_resume);
}
