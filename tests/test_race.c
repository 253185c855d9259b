/* test_race.c - many targets in one pass, early stop, batches asked ahead.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_RACE_K = 12 };

typedef struct t_race_pair {
    mango_net *gen, *net;
    mango_idx d, I[T_RACE_K * 64];
} t_race_pair;

static int t_race_open(t_race_pair *p)
{
    mango_err err = {""};
    mango_rng r;
    memset(p, 0, sizeof *p);
    T_OK(mango_net_zoo(&p->gen, "vqvae,width=0.125", NULL, &err), &err);
    T_OK(mango_net_zoo(&p->net, "snn_conv,width=0.1", NULL, &err), &err);
    if (!p->gen || !p->net)
        return 0;
    T_STATUS(mango_net_fill(p->gen, 7, 2.0), MANGO_OK);
    T_STATUS(mango_net_fill(p->net, 7, 0.3), MANGO_OK);
    p->d = 64;
    mango_rng_init(&r, 3, 1, 0);
    for (mango_idx i = 0; i < T_RACE_K * p->d; i++)
        p->I[i] = mango_rng_int(&r, 512);
    return 1;
}

static void t_race_close(t_race_pair *p)
{
    mango_net_destroy(p->gen), mango_net_destroy(p->net);
}

/* ---- many targets -------------------------------------------------------- */

static void t_race_many(void)
{
    static const char *const more[] = {"spiking1:2:1:1", "spiking0:3", "class:4"};
    enum { UNITS = 2, N = UNITS + 3, K = 4 };
    t_race_pair p;
    mango_objective_options o;
    mango_objective *all = NULL, *one = NULL;
    mango_objective_info info;
    mango_target t[N];
    mango_err err = {""};
    double y[K * N], y1[K];
    if (!t_race_open(&p))
        return;
    T_OK_OR_RETURN(mango_target_parse(&t[0], p.net, "spiking1:0", &err), &err);
    for (int u = 1; u < UNITS; u++)
        t[u] = t[0], t[u].unit = u;
    for (int i = 0; i < N - UNITS; i++)
        T_OK_OR_RETURN(mango_target_parse(&t[UNITS + i], p.net, more[i], &err), &err);
    mango_objective_defaults(&o);
    o.T = 4, o.batch = 3;
    T_OK_OR_RETURN(
        mango_objective_create_many(&all, p.gen, p.net, N, t, &o, NULL, &err), &err);
    mango_objective_get(all, &info);
    T_EQ(info.n_targets, N);
    T_STATUS(mango_objective_eval_many(all, K, p.I, y), MANGO_OK);
    T_STATUS(mango_objective_eval(all, K, p.I, y1), MANGO_E_ARG); /* no evaluator */
    int differ = 0;
    for (int j = 0; j < N; j++) {
        T_OK_OR_RETURN(
            mango_objective_create_many(&one, p.gen, p.net, 1, &t[j], &o, NULL, &err), &err);
        T_STATUS(mango_objective_eval(one, K, p.I, y1), MANGO_OK);
        for (int k = 0; k < K; k++)
            T_MEM(&y[k * N + j], &y1[k], sizeof *y1);
        differ += j > 0 && y1[0] != y[0];
        mango_objective_destroy(one);
    }
    T_CHECK(differ > 1); /* the targets are not all alike */
    mango_objective_destroy(all);
    t[1].unit = 4000;
    T_STATUS(mango_objective_create_many(&all, p.gen, p.net, N, t, &o, NULL, &err),
             MANGO_E_NAME);
    T_STATUS(mango_objective_create_many(&all, p.gen, p.net, 0, t, &o, NULL, &err),
             MANGO_E_ARG);
    T_CHECK(all == NULL);
    t_race_close(&p);
}

static mango_status t_race_make_many(void *ud, const mango_alloc *al)
{
    t_race_pair *p = ud;
    mango_target t[2];
    mango_objective *f;
    mango_objective_options o;
    double y[2];
    MGI_TRY(mango_target_parse(&t[0], p->net, "spiking0:1", NULL));
    MGI_TRY(mango_target_parse(&t[1], p->net, "spiking0:1:2:2", NULL));
    mango_objective_defaults(&o);
    o.T = 2, o.batch = 1;
    MGI_TRY(mango_objective_create_many(&f, p->gen, p->net, 2, t, &o, al, NULL));
    T_STATUS(mango_objective_eval_many(f, 1, p->I, y), MANGO_OK);
    mango_objective_destroy(f);
    return MANGO_OK;
}

static void t_race_memory(void)
{
    t_race_pair p;
    if (!t_race_open(&p))
        return;
    T_CHECK(t_oom_sweep(t_race_make_many, &p) > 8);
    t_race_close(&p);
}

/* ---- early stop ---------------------------------------------------------- */

/* The latent is the picture; two spiking layers look at its 12 values. */
static const char t_race_gen[] =
    "mango-graph 1\nnet arch=tiny T=1\nlatent input - shape=12\n"
    "picture reshape latent shape=3x2x2\n";
static const char t_race_net[] =
    "mango-graph 1\nnet arch=tiny T=24\nimage input - shape=3x2x2\n"
    "conv0 conv image out=8 kernel=1 stride=1 pad=0 bias=1\n"
    "sn0 lif conv0 beta=0.9 U_thr=1\n"
    "conv1 conv sn0 out=6 kernel=2 stride=1 pad=0 bias=1\n"
    "sn1 lif conv1 beta=0.9 U_thr=1\n";

static int t_race_tiny(t_race_pair *p)
{
    mango_err err = {""};
    mango_rng r;
    memset(p, 0, sizeof *p);
    T_OK(mango_net_parse(&p->gen, t_race_gen, (mango_idx)strlen(t_race_gen), NULL, &err),
         &err);
    T_OK(mango_net_parse(&p->net, t_race_net, (mango_idx)strlen(t_race_net), NULL, &err),
         &err);
    if (!p->gen || !p->net)
        return 0;
    T_STATUS(mango_net_fill(p->net, 7, 1.0), MANGO_OK);
    p->d = 12;
    mango_rng_init(&r, 3, 1, 0);
    for (mango_idx i = 0; i < T_RACE_K * p->d; i++)
        p->I[i] = mango_rng_int(&r, 64);
    return 1;
}

/* Is a better than b? */
static int t_race_better(double a, double b, int minimize)
{
    return minimize ? a < b : a > b;
}

/* Against all values: what is there is right, and whoever has fewer than `elite`
 * better ones is there. Returns how many were stopped. */
static mango_idx t_race_exact(const double *full, const double *y, mango_idx elite,
                              int minimize)
{
    mango_idx stopped = 0;
    for (int k = 0; k < T_RACE_K; k++) {
        mango_idx above = 0;
        for (int j = 0; j < T_RACE_K; j++)
            above += t_race_better(full[j], full[k], minimize);
        T_CHECK(y[k] == full[k] || (y[k] != y[k] && above >= elite));
        stopped += y[k] != y[k];
    }
    return stopped;
}

static mango_idx t_race_one(t_race_pair *p, const char *target, mango_idx elite, int minimize)
{
    mango_objective_options o;
    mango_objective *plain = NULL, *race = NULL;
    mango_objective_info info;
    mango_err err = {""};
    double full[T_RACE_K], y[T_RACE_K], y2[T_RACE_K];
    mango_objective_defaults(&o);
    o.T = 24, o.batch = T_RACE_K;
    T_OK(mango_objective_create(&plain, p->gen, p->net, target, &o, NULL, &err), &err);
    o.elite = elite, o.minimize = minimize;
    T_OK(mango_objective_create(&race, p->gen, p->net, target, &o, NULL, &err), &err);
    if (!plain || !race)
        return 0;
    T_STATUS(mango_objective_eval(plain, T_RACE_K, p->I, full), MANGO_OK);
    mango_set_threads(1);
    T_STATUS(mango_objective_eval(race, T_RACE_K, p->I, y), MANGO_OK);
    mango_set_threads(0);
    T_STATUS(mango_objective_eval(race, T_RACE_K, p->I, y2), MANGO_OK);
    T_MEM(y2, y, sizeof y);
    const mango_idx stopped = t_race_exact(full, y, elite, minimize);
    mango_objective_get(race, &info);
    T_EQ(info.stopped, 2 * stopped);
    T_CHECK(info.steps_all == 2.0 * T_RACE_K * 24);
    T_CHECK(stopped ? info.steps < info.steps_all : info.steps == info.steps_all);
    mango_objective_destroy(plain), mango_objective_destroy(race);
    return stopped;
}

static void t_race_stops(void)
{
    static const char *const target[] = {"sn0:3", "sn0:4:1:1", "sn0:2:0:1", "sn0:7",
                                         "sn1:0", "sn1:4", "sn1:5"};
    t_race_pair p;
    mango_idx stopped[2] = {0, 0};
    if (!t_race_tiny(&p))
        return;
    for (mango_idx i = 0; i < MGI_COUNT(target); i++)
        for (int minimize = 0; minimize < 2; minimize++)
            for (mango_idx elite = 1; elite <= T_RACE_K; elite += 4)
                stopped[minimize] += t_race_one(&p, target[i], elite, minimize);
    T_CHECK(stopped[0] > 0 && stopped[1] > 0);
    t_race_close(&p);
}

static void t_race_refused(void)
{
    t_race_pair p;
    mango_objective_options o;
    mango_objective *f = NULL;
    mango_err err = {""};
    if (!t_race_open(&p))
        return;
    mango_objective_defaults(&o);
    o.T = 4, o.elite = 2;
    T_STATUS(mango_objective_create(&f, p.gen, p.net, "class:3", &o, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "early stop") != NULL);
    o.believed = 0.0;
    T_STATUS(mango_objective_create(&f, p.gen, p.net, "spiking1:3", &o, NULL, &err),
             MANGO_E_ARG);
    o.believed = 1.5;
    T_STATUS(mango_objective_create(&f, p.gen, p.net, "spiking1:3", &o, NULL, &err),
             MANGO_E_ARG);
    T_CHECK(f == NULL);
    t_race_close(&p);
}

/* ---- a search with it ------------------------------------------------------ */

static mango_opt_info t_race_traits(const char *preset)
{
    const mango_idx n[2] = {3, 3};
    const mango_modes m = {2, n};
    mango_opt_info info = {0};
    mango_opt_options o;
    mango_opt *opt = NULL;
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, 1, NULL, NULL), MANGO_OK);
    T_STATUS(mango_opt_get(opt, &info), MANGO_OK);
    mango_opt_destroy(opt);
    return info;
}

/* The codes of 100 queries, and the best. */
static void t_race_search(t_race_pair *p, const char *opt, int early, mango_idx *codes,
                          double best[1], mango_idx *missing)
{
    mango_session_options so;
    mango_objective_options o;
    mango_objective *f = NULL;
    mango_session *s = NULL;
    mango_session_info info;
    mango_modes m;
    mango_objective_info oi;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_session_defaults(opt, &so, &err), &err);
    mango_objective_defaults(&o);
    const mango_opt_info traits = t_race_traits(opt);
    o.T = 24, o.batch = traits.batch, o.elite = early ? traits.elite : 0;
    T_OK_OR_RETURN(
        mango_objective_create(&f, p->gen, p->net, "sn1:0", &o, NULL, &err), &err);
    mango_objective_get(f, &oi);
    mango_space_info si;
    mango_space_get(oi.space, &si);
    m = si.modes;
    so.budget = 100, so.seed = 5;
    T_OK_OR_RETURN(mango_session_create(&s, &m, &so, mango_objective_eval, f, NULL, &err),
                   &err);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    mango_session_get(s, &info);
    *missing = info.missing, *best = info.best;
    for (mango_idx q = 0; q < info.queries; q++)
        T_STATUS(mango_session_query(s, q, NULL, codes + q * m.d), MANGO_OK);
    mango_session_destroy(s), mango_objective_destroy(f);
}

/* What an optimizer that learns from the best finds is the same with early stop. */
static void t_race_same_search(void)
{
    static const char *const opt[] = {"tt", "tt-b", "random"};
    static mango_idx codes[2][100 * 12];
    t_race_pair p;
    mango_idx missing[2] = {0, 0}, cut = 0;
    double best[2] = {0, 1};
    if (!t_race_tiny(&p))
        return;
    for (mango_idx i = 0; i < MGI_COUNT(opt); i++) {
        for (int early = 0; early < 2; early++)
            t_race_search(&p, opt[i], early, codes[early], &best[early], &missing[early]);
        T_MEM(codes[1], codes[0], sizeof codes[0]);
        T_CHECK(best[1] == best[0]);
        T_EQ(missing[0], 0);
        cut += missing[1];
    }
    T_CHECK(cut > 10);
    T_EQ(t_race_traits("tt-b").elite, 5);
    t_race_close(&p);
}

/* ---- batches asked ahead --------------------------------------------------- */

typedef struct t_race_calls {
    mango_idx calls, codes, most;
} t_race_calls;

static mango_status t_race_count_calls(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    t_race_calls *c = ud;
    c->calls++, c->codes += K, c->most = MGI_MAX(c->most, K);
    for (mango_idx k = 0; k < K; k++)
        y[k] = (double)((I[3 * k] * 7 + I[3 * k + 1] * 3 + I[3 * k + 2]) % 11);
    return MANGO_OK;
}

/* A whole search of 343 codes: `ahead` and where its steps stop and go on. */
static t_race_calls t_race_ahead(const char *opt, mango_idx ahead, mango_idx budget,
                                 const char *journal, mango_session_info *info)
{
    const mango_idx n[3] = {7, 7, 7};
    const mango_modes m = {3, n};
    t_race_calls c = {0, 0, 0};
    mango_session_options so;
    mango_session *s = NULL;
    mango_err err = {""};
    T_OK(mango_session_defaults(opt, &so, &err), &err);
    so.budget = budget, so.seed = 4, so.ahead = ahead, so.journal = journal;
    so.resume = 1, so.sync = ahead ? 2 : 0;
    T_OK(mango_session_create(&s, &m, &so, t_race_count_calls, &c, NULL, &err), &err);
    if (!s)
        return c;
    T_CHECK(mango_session_run(s) > 0);
    mango_session_get(s, info);
    mango_session_destroy(s);
    return c;
}

static void t_race_same_journal(void)
{
    char path[3][1024];
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *p[3] = {NULL, NULL, NULL};
    mango_idx size[3];
    mango_session_info a, b;
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "ahead%d.jsonl", i);
        mgi_copy(path[i], sizeof path[i], t_tmp(name));
    }
    const t_race_calls one = t_race_ahead("random", 0, 300, path[0], &a);
    const t_race_calls many = t_race_ahead("random", 64, 300, path[1], &b);
    T_CHECK(one.codes == 300 && many.codes == 300 && one.most <= 10 && many.most == 64);
    T_CHECK(many.calls < one.calls / 4);
    T_CHECK(a.cached == b.cached && a.cached > 0 && a.best == b.best && a.asks == b.asks);
    t_race_ahead("random", 64, 130, path[2], &b); /* in two goes */
    t_race_ahead("random", 33, 300, path[2], &b);
    for (int i = 0; i < 3; i++)
        T_STATUS(mgi_file_read(path[i], 1 << 20, &al, &p[i], &size[i], NULL), MANGO_OK);
    T_REQUIRE(p[0] && p[1] && p[2]);
    T_EQ(size[1], size[0]);
    if (size[1] == size[0])
        T_MEM(p[1], p[0], size[0]);
    T_CHECK(b.queries == a.queries && b.best == a.best && b.cached == a.cached);
    for (int i = 0; i < 3; i++)
        mgi_del(&al, p[i], size[i] + 1, 1);
    const t_race_calls learns = t_race_ahead("tt", 64, 60, NULL, &b);
    T_CHECK(learns.most <= 10); /* what it asks next depends on what it is told */
    T_CHECK(t_race_traits("random").oblivious && !t_race_traits("tt-b").oblivious);
}

/* The whole space, to the last code: restarts and stalls as without. */
static void t_race_ahead_space(void)
{
    mango_session_info a, b;
    const t_race_calls one = t_race_ahead("random", 0, 1000, NULL, &a);
    const t_race_calls many = t_race_ahead("random", 100, 1000, NULL, &b);
    T_CHECK(one.codes == 343 && many.codes >= 343 && many.calls < one.calls);
    T_CHECK(a.queries == 343 && b.queries == 343);
    T_CHECK(a.asks == b.asks && a.restarts == b.restarts && a.cached == b.cached);
}

void t_race(void)
{
    T_CASE(t_race_many);
    T_CASE(t_race_memory);
    T_CASE(t_race_stops);
    T_CASE(t_race_refused);
    T_CASE(t_race_same_search);
    T_CASE(t_race_same_journal);
    T_CASE(t_race_ahead_space);
}
