/* test_final.c - sessions under noise: the final race, what is reported, values told again;
 * ties, codes to start with, elites.
 * SPDX-License-Identifier: MIT */
#include "final.h"

/* ---- the model of values ------------------------------------------------------ */

/* Three codes of values 1; 2 4 6; 3 3 9 5: by hand. */
static void t_final_posterior(void)
{
    static const double values[3][4] = {{1}, {2, 4, 6}, {3, 3, 9, 5}};
    const mango_idx shown[3] = {1, 3, 4};
    mgi_cache c;
    mgi_posterior p;
    mgi_cache_init(&c, 1, 0, 1, NULL);
    T_STATUS(mgi_cache_reserve(&c, 8), MANGO_OK);
    for (mango_idx i = 0; i < 3; i++)
        for (mango_idx k = 0; k < shown[i]; k++) /* each a row of its own, of one head */
            mgi_cache_take(&c, mgi_cache_push(&c, &i), values[i][k]);
    T_CHECK(c.head[3] == 1 && c.all[1] == 3 && c.mean[1] == 4.0 && c.first[1] == 2.0);
    mgi_posterior_fit(&p, &c);
    /* r: 5, 17/3; s2: 2 (of 1), 56/3/2 (of 2); slope (56/3 - 4)/... is > 0, a < 0 */
    const double r1 = 5.0, r2 = 17.0 / 3.0, s1 = 2.0, s2 = 56.0 / 3.0;
    const double b = (r1 * s1 + r2 * s2) / (r1 * r1 + 2.0 * r2 * r2);
    T_CHECK(p.a == 0.0 && p.dof == 3.0);
    T_REL(p.b, b, 1e-12);
    const double mu = 10.0 / 3.0, V = (49.0 / 9 + 4.0 / 9 + 25.0 / 9) / 2.0;
    T_REL(p.mu, mu, 1e-12);
    const double tau2 = MGI_MAX(V - b * mu * (1.0 + 1.0 / 3 + 1.0 / 4) / 3.0, V / 100);
    T_REL(p.tau2, tau2, 1e-12);
    T_REL(mgi_posterior_mean(&p, &c, 1), mu + (4 - mu) * tau2 / (tau2 + b * 4 / 3), 1e-12);
    T_REL(mgi_posterior_again(&c, 4), r2, 1e-12);
    T_REL(mgi_posterior_se(&p, &c, 4), sqrt((s2 + 4 * b * r2) / 6 / 3), 1e-12);
    T_REL(mgi_posterior_t(&p, &c, 4), 2.5706, 4e-3); /* t of 5 degrees of freedom */
    T_CHECK(mgi_is_nan(mgi_posterior_se(&p, &c, 0)));
    mgi_cache_free(&c);
}

/* ---- the race ----------------------------------------------------------------- */

static mango_idx t_final_lines(const char *path, const char *kind)
{
    mango_idx n = 0, found = 0;
    unsigned char *p = t_session_slurp(path, &n);
    const size_t m = strlen(kind);
    for (mango_idx i = 0; p && i + (mango_idx)m < n; i++)
        found += (i == 0 || p[i - 1] == '\n') && memcmp(p + i, kind, m) == 0;
    t_session_drop(p, n);
    return found;
}

static void t_final_race(void)
{
    char path[1024];
    mango_idx calls = 0, I[T_SESSION_D];
    mango_session_info i;
    mango_estimate e;
    double y;
    mgi_copy(path, sizeof path, t_tmp("race.jsonl"));
    mango_session_options o = t_final_options("random", 400, path);
    mango_session *s = t_final_new(&o, &calls);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_get(s, &i);
    T_CHECK(i.told == 400 && calls == 400 && i.queries == 340 && i.asked == 340);
    T_EQ(t_final_lines(path, "{\"race\":"), 4); /* 60 presentations: 15, 8, 4, 2 codes */
    T_STATUS(mango_session_found(s, &e), MANGO_OK);
    T_CHECK(e.n > 10 && e.se > 0.0 && e.lo < e.again && e.again < e.hi);
    T_STATUS(mango_session_best(s, &y, I), MANGO_OK);
    T_CHECK(y == e.y && y == e.again && t_final_value(I) > 0.7);
    mango_session_destroy(s);
}

/* 60 searches: what the race reports is better than what a search without one does, and
 * nine of ten intervals hold the true value. */
static void t_final_worth(void)
{
    double with = 0.0, without = 0.0, claimed = 0.0;
    int holds = 0;
    enum { N = 60 };
    for (uint64_t seed = 0; seed < N; seed++) {
        mango_idx I[T_SESSION_D];
        mango_estimate e;
        mango_session_options o = t_final_options("random", 300, NULL);
        o.seed = seed;
        mango_session *s = t_final_new(&o, NULL);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_session_best(s, NULL, I), MANGO_OK);
        T_STATUS(mango_session_found(s, &e), MANGO_OK);
        T_CHECK(e.n >= 10); /* who came last through the race, not a lucky one that left */
        with += t_final_value(I) / N;
        claimed += e.y / N;
        holds += e.lo <= t_final_value(I) && t_final_value(I) <= e.hi;
        mango_session_destroy(s);
        o.race = 0.0;
        s = t_final_new(&o, NULL);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_session_best(s, NULL, I), MANGO_OK);
        without += t_final_value(I) / N;
        mango_session_destroy(s);
    }
    printf("  true value reported %.4f with the race, %.4f without; said %.4f; %d of %d "
           "intervals hold it\n", with, without, claimed, holds, N);
    T_CHECK(with > without + 0.04);
    T_NEAR(claimed, with, 0.03);
    T_CHECK(holds >= 52);
}

static mango_status t_final_plateau(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = I[k * T_SESSION_D] >= 8 ? 1.0 : 0.0;
    return MANGO_OK;
}

/* Half of all codes are the best: those that left the race after two lucky presentations
 * stand higher than who came through it, and are not reported. */
static void t_final_lucky(void)
{
    const mango_modes m = {T_SESSION_D, t_session_wide};
    for (uint64_t seed = 0; seed < 10; seed++) {
        mango_session *s = NULL;
        mango_estimate e;
        mango_session_options o = t_final_options("random", 300, NULL);
        o.seed = seed;
        T_STATUS(mango_session_create(&s, &m, &o, t_final_plateau, NULL, NULL, NULL),
                 MANGO_OK);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_session_found(s, &e), MANGO_OK);
        T_CHECK(e.n >= 8 && e.y < 1.25 && e.posterior < 1.3);
        mango_session_destroy(s);
    }
}

/* Whatever is left for it, the race ends with the budget. */
static void t_final_budgets(void)
{
    const char *const opts[] = {"tt-b", "one-plus-one", "ga-blocks"};
    for (int k = 0; k < 3; k++)
        for (mango_idx budget = 1; budget < 60; budget += 1 + budget / 9) {
            mango_session_options o = t_final_options(opts[k], budget, NULL);
            mango_session_info i;
            o.race = 0.5;
            o.noise = budget % 2 ? "drop:0.5" : "normal:0.1";
            mango_session *s = t_final_new(&o, NULL);
            T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
            mango_session_get(s, &i);
            T_CHECK(i.told == budget || i.missing == i.queries);
            mango_session_destroy(s);
        }
}

/* A larger budget: the search goes on, then there is another race. */
static void t_final_extend(void)
{
    char path[1024];
    mango_session_info i;
    mgi_copy(path, sizeof path, t_tmp("again.jsonl"));
    mango_session_options o = t_final_options("tt-b", 200, path);
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    const mango_idx races = t_final_lines(path, "{\"race\":");
    T_STATUS(mango_session_extend(s, 400), MANGO_OK);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_get(s, &i);
    T_CHECK(i.told == 400 && i.queries == 400 - 30 - 60);
    T_CHECK(races >= 3 && t_final_lines(path, "{\"race\":") > races);
    mango_session_destroy(s);
}

/* ---- resume ------------------------------------------------------------------- */

/* Killed after any byte, a noisy search with a race goes on to the same bytes. */
static void t_final_resume_of(const char *opt, const char *noise, mango_idx every)
{
    char whole[1024], path[1024];
    mango_idx n = 0, head = 1;
    mgi_copy(whole, sizeof whole, t_tmp("noisy.jsonl"));
    mgi_copy(path, sizeof path, t_tmp("noisy_cut.jsonl"));
    remove(whole);
    mango_session_options o = t_final_options(opt, 120, whole);
    o.noise = noise;
    o.race = 0.3;
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_destroy(s);
    unsigned char *p = t_session_slurp(whole, &n);
    while (head < n && p[head - 1] != '\n')
        head++;
    o.journal = path;
    o.resume = 1;
    for (mango_idx cut = head; cut <= n; cut += every) {
        t_write(path, p, (size_t)cut);
        s = t_final_new(&o, NULL);
        T_REQUIRE(s != NULL);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        mango_session_destroy(s);
        t_session_same_files(path, whole);
    }
    t_session_drop(p, n);
    o.noise = "normal:0.7";
    const mango_modes m = {T_SESSION_D, t_session_wide};
    mango_err err = {""};
    T_STATUS(mango_session_create(&s, &m, &o, t_final_f, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'noise'") != NULL);
    o.noise = NULL; /* the journal has what these options lack */
    T_STATUS(mango_session_create(&s, &m, &o, t_final_f, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'noise'") || strstr(err.text, "'repeat'"));
}

static void t_final_resume(void)
{
    t_final_resume_of("tt-s", "poisson:30", 37);
    t_final_resume_of("ga-blocks", "poisson:10+drop:0.1+drift:0.2", 61);
}

/* Values in any order, some shown again, rounds told in parts. */
static void t_final_orders_of(const char *opt, mango_idx shows, uint64_t seed)
{
    static t_session_rig r;
    char path[1024];
    memset(&r, 0, sizeof r);
    r.random = seed;
    r.ties = 1;
    mgi_copy(path, sizeof path, t_tmp("race_orders.jsonl"));
    remove(path);
    mango_session_options o = t_session_options(opt, 300, path);
    o.repeat = 1, o.race = 0.4, o.shows = shows;
    mango_session *s = t_session_new(&o, t_session_wide);
    mango_status st = MANGO_OK;
    for (int k = 0; k < 20000 && st == MANGO_OK; k++)
        st = t_session_act(s, &r);
    T_EQ(st, MANGO_STOP_BUDGET);
    mango_session_destroy(s);
    T_CHECK(t_final_lines(path, "{\"race\":") >= 3);
    t_session_check(o, t_session_wide, path);
}

static void t_final_orders(void)
{
    t_final_orders_of("tt-b", 1, 11);
    t_final_orders_of("ga-blocks", 1, 12);
    t_final_orders_of("random", 2, 13);
}

/* Where text begins in p (n); -1: nowhere. */
static mango_idx t_final_find(const unsigned char *p, mango_idx n, const char *text)
{
    const mango_idx m = (mango_idx)strlen(text);
    for (mango_idx i = 0; i + m <= n; i++)
        if (memcmp(p + i, text, (size_t)m) == 0)
            return i;
    return -1;
}

/* A journal of a version without races has none when it goes on. */
static void t_final_old(void)
{
    static const char *const cut = ",\"race\":0.15,\"leaders\":20,\"noisy\":1";
    char path[1024];
    mango_idx n = 0;
    mgi_journal j;
    mgi_str line;
    mango_err err = {""};
    mango_session_info i;
    mgi_copy(path, sizeof path, t_tmp("repeat.jsonl"));
    mango_session_options o = t_session_options("tt-s", 100, path);
    o.repeat = 1;
    mango_session_destroy(t_final_new(&o, NULL));
    unsigned char *p = t_session_slurp(path, &n);
    const mango_idx at = t_final_find(p, n, cut), crc = t_final_find(p, n, ",\"crc\":");
    T_REQUIRE(at > 0 && crc > at);
    const mango_idx after = at + (mango_idx)strlen(cut);
    mgi_str_init(&line, NULL);
    mgi_str_put(&line, (const char *)p, at);
    mgi_str_put(&line, (const char *)p + after, crc - after);
    remove(path);
    T_OK_OR_RETURN(mgi_journal_open(&j, path, 0, 0, NULL, &err), &err);
    T_OK_OR_RETURN(mgi_journal_append(&j, &err), &err);
    T_OK(mgi_journal_write(&j, &line, 1, &err), &err);
    mgi_journal_close(&j);
    mgi_str_free(&line);
    t_session_drop(p, n);
    o.resume = 1;
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_get(s, &i);
    T_CHECK(i.queries == 100 && t_final_lines(path, "{\"race\":") == 0);
    mango_session_destroy(s);
}

/* ---- told again ----------------------------------------------------------------- */

/* A method that takes it is told the mean of a code that was shown again; others are not
 * told twice. */
static void t_final_retell(void)
{
    const char *const opts[] = {"ga-blocks", "tt-b"};
    for (int k = 0; k < 2; k++) {
        uint64_t id[T_SESSION_CAP];
        double y[T_SESSION_CAP], best = 0.0;
        mango_idx I[T_SESSION_CAP * T_SESSION_D], K, all = 0;
        mango_session_info info;
        mango_session_options o = t_session_options(opts[k], 500, NULL);
        mango_session *s = t_final_new(&o, NULL);
        mango_session_get(s, &info);
        while (all == 0 || info.open > 0) {
            T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K, id, I), MANGO_OK);
            for (mango_idx i = 0; i < K; i++)
                y[i] = all + i == 2 ? 1.0 : 0.25;
            T_STATUS(mango_session_tell(s, K, id, y), MANGO_OK);
            all += K;
            mango_session_get(s, &info);
        }
        T_STATUS(mango_opt_best(s->opt, &best, NULL), MANGO_OK);
        T_EQ(best, 1.0);
        id[0] = 2, y[0] = 0.5;
        T_STATUS(mango_session_tell(s, 1, id, y), MANGO_OK);
        T_STATUS(mango_opt_best(s->opt, &best, NULL), MANGO_OK);
        T_CHECK(best == (k == 0 ? 0.75 : 1.0));
        mango_session_destroy(s);
    }
}

/* ---- ties ----------------------------------------------------------------------- */

typedef struct t_final_tied {
    mango_idx K, calls, told;
    double tie[T_SESSION_CAP];
} t_final_tied;

static mango_status t_final_flat(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    t_final_tied *t = ud;
    t->K = K;
    for (mango_idx k = 0; k < K; k++) {
        t->tie[k] = (double)I[k * T_SESSION_D + 2];
        y[k] = floor(4.0 * t_final_value(I + k * T_SESSION_D)) / 4.0;
    }
    return MANGO_OK;
}

static mango_status t_final_ties_of(void *ud, mango_idx K, double *tie)
{
    t_final_tied *t = ud;
    T_EQ(t->K, K);
    memcpy(tie, t->tie, (size_t)K * sizeof *tie);
    t->calls++;
    return MANGO_OK;
}

static void t_final_ties(void)
{
    const char *const opts[] = {"ga-blocks", "tt-b"};
    const mango_modes m = {T_SESSION_D, t_session_wide};
    for (int k = 0; k < 2; k++) {
        char whole[1024], path[1024];
        mango_idx n = 0, I[T_SESSION_D], J[T_SESSION_D];
        double y, best;
        mango_session *s = NULL;
        t_final_tied t = {0, 0, 0, {0}};
        mgi_copy(whole, sizeof whole, t_tmp(k ? "ties0.jsonl" : "ties1.jsonl"));
        mgi_copy(path, sizeof path, t_tmp("ties_cut.jsonl"));
        mango_session_options o = t_session_options(opts[k], 80, whole);
        o.ties = t_final_ties_of, o.ties_ud = &t;
        T_STATUS(mango_session_create(&s, &m, &o, t_final_flat, &t, NULL, NULL), MANGO_OK);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_session_best(s, &best, I), MANGO_OK);
        for (mango_idx q = 0; k == 0 && q < 80; q++) {
            T_STATUS(mango_session_query(s, q, &y, J), MANGO_OK);
            T_CHECK(y < best || J[2] <= I[2]);
        }
        T_CHECK((t.calls > 0) == (k == 0));
        mango_session_destroy(s);
        unsigned char *p = t_session_slurp(whole, &n);
        T_CHECK((strstr((char *)p, "\"tie\":[") != NULL) == (k == 0));
        o.journal = path, o.resume = 1;
        for (mango_idx cut = n / 2; cut <= n; cut += 101) {
            t_write(path, p, (size_t)cut);
            T_STATUS(mango_session_create(&s, &m, &o, t_final_flat, &t, NULL, NULL),
                     MANGO_OK);
            T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
            mango_session_destroy(s);
            t_session_same_files(path, whole);
        }
        t_session_drop(p, n);
    }
}

/* ---- codes to start with, elites ------------------------------------------------ */

static void t_final_start(void)
{
    char whole[1024], path[1024];
    mango_idx n = 0, head = 1, I[T_SESSION_D], start[60 * T_SESSION_D];
    mango_err err = {""};
    mango_session *s;
    const mango_modes m = {T_SESSION_D, t_session_wide};
    memset(start, 0, sizeof start);
    for (mango_idx k = 0; k < 60; k++) {
        start[k * T_SESSION_D] = k % 16;
        start[k * T_SESSION_D + 1] = k / 16;
    }
    mgi_copy(whole, sizeof whole, t_tmp("start.jsonl"));
    mgi_copy(path, sizeof path, t_tmp("start_cut.jsonl"));
    mango_session_options o = t_session_options("tt-b", 100, whole);
    o.start = start, o.n_start = 60; /* three lines of offers */
    s = t_final_new(&o, NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    T_EQ(t_final_lines(whole, "{\"offer\":"), 3);
    for (mango_idx q = 0; q < 60; q++) {
        T_STATUS(mango_session_query(s, q, NULL, I), MANGO_OK);
        T_MEM(I, start + q * T_SESSION_D, sizeof I);
    }
    mango_session_destroy(s);
    unsigned char *p = t_session_slurp(whole, &n);
    while (head < n && p[head - 1] != '\n')
        head++;
    o.journal = path, o.resume = 1;
    for (mango_idx cut = head; cut <= n; cut += 53) {
        t_write(path, p, (size_t)cut);
        s = t_final_new(&o, NULL);
        T_REQUIRE(s != NULL);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        mango_session_destroy(s);
        t_session_same_files(path, whole);
    }
    t_session_drop(p, n);
    start[0]++;
    T_STATUS(mango_session_create(&s, &m, &o, t_final_f, NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'start'") != NULL);
    start[3] = 5;
    T_STATUS(mango_session_create(&s, &m, &o, t_final_f, NULL, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mode 3") != NULL);
}

static void t_final_elites(void)
{
    mango_estimate e[12];
    mango_idx n, I[12][T_SESSION_D], best[T_SESSION_D];
    mango_session_options o = t_session_options("tt-b", 400, NULL);
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_elites(s, 12, 3, &n, e), MANGO_OK);
    T_EQ(n, 0);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    T_STATUS(mango_session_elites(s, 12, 3, &n, e), MANGO_OK);
    T_STATUS(mango_session_best(s, NULL, best), MANGO_OK);
    T_CHECK(n >= 4);
    for (mango_idx i = 0; i < n; i++) {
        T_STATUS(mango_session_code(s, e[i].id, I[i]), MANGO_OK);
        T_CHECK(e[i].n == 1 && e[i].y == t_final_value(I[i]));
        T_CHECK(i == 0 || e[i].y <= e[i - 1].y);
        for (mango_idx k = 0; k < i; k++) {
            int differ = 0;
            for (int j = 0; j < T_SESSION_D; j++)
                differ += I[i][j] != I[k][j];
            T_CHECK(differ >= 3);
        }
    }
    T_MEM(I[0], best, sizeof best);
    T_STATUS(mango_session_elites(s, 12, 0, &n, e), MANGO_OK);
    T_EQ(n, 12);
    mango_session_destroy(s);
}

void t_final(void)
{
    T_CASE(t_final_posterior);
    T_CASE(t_final_race);
    T_CASE(t_final_worth);
    T_CASE(t_final_lucky);
    T_CASE(t_final_budgets);
    T_CASE(t_final_extend);
    T_CASE(t_final_resume);
    T_CASE(t_final_orders);
    T_CASE(t_final_old);
    T_CASE(t_final_retell);
    T_CASE(t_final_ties);
    T_CASE(t_final_start);
    T_CASE(t_final_elites);
}
