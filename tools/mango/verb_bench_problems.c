/* verb_bench_problems.c - `mango bench problems`: optimizers on classic problems, beside
 * what the originals found.
 *
 * A query is one proposal, a repeated one too, as the originals count. Two methods are
 * called level at a budget when a two-sided rank-sum test over their seeds has p >= .01;
 * values that differ by less than 1e-5 of themselves are ties (originals compute in single
 * precision).
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "verb_bench.h"
#include "../../src/study/problems.h"
#include <stdlib.h>

static const cli_doc bp_doc = {
    "bench problems", "compare optimizers on classic problems",
    "mango bench problems [--problems FILE] [--opts LIST] [options]\n"
    "       mango bench problems --check [--problems FILE]",
    "The problems, sample values of each and what others found on them stand in FILE, by\n"
    "default data/problems.json of the folder MANGO_SHARED. A problem whose formula does "
    "not\n"
    "give the sample values is refused; --check prints how near they are, and exits with "
    "1\n"
    "when one is not. All problems are minimized.\n"
    "\n"
    "Of each optimizer: mean and standard deviation over seeds; then the same of its "
    "original,\n"
    "where the file has one with as many queries, and of the best of all originals by the\n"
    "mean. `level`: p of the rank-sum test over seeds is .01 or more, ties within 1e-5; "
    "else\n"
    "better or worse. A query is one proposal, repeated ones are counted.\n"
    "\n"
    "--out DIR: problems.tsv and problems.json there. --json: test, rows[] {problem, opt,\n"
    "queries, mean, sd, seconds, original, original_mean, original_sd, p, is, peer, "
    "peer_mean,\n"
    "peer_sd, peer_p, peer_is}; --check: problems[] {problem, samples, error}.\n",
    "  mango bench problems --problems problems.json --check\n"
    "  mango bench problems --opts protes,one-plus-one --seeds 10\n"
    "  mango bench problems --opts auto --budgets 1000 --only qing,qubo_mvc --out found\n"};

#define BP_TIE 1e-5
#define BP_LEVEL 0.01
#define BP_NEAR 1e-9 /* of 1 + |y|: formulas agree */
#define BP_ASK 4096

/* Our optimizers and what their originals are called in the file. */
static const char *const bp_original[][2] = {
    {"protes", "protes k=100 k_top=10"},
    {"ttopt", "ttopt rank=4"},
    {"portfolio", "nevergrad Portfolio TransitionChoice"},
    {"one-plus-one", "nevergrad OnePlusOne TransitionChoice"},
    {"noisy-bandit", "nevergrad NoisyBandit TransitionChoice"},
    {"spsa", "nevergrad SPSA TransitionChoice"},
};

typedef struct bp_all {
    cli c;
    const char *path, *methods, *budgets, *only, *out;
    int64_t seeds;
    int check, n_method, n_budget;
    bo_method method[BO_METHODS];
    mango_idx budget[BO_BUDGETS];
    mango_problems *p;
    char found[4096];                                       /* path */
    double best[BO_BUDGETS][BO_SEEDS], seconds[BO_BUDGETS]; /* of one problem and method */
    mgi_str json, tsv;
    int rows;
    int count[BO_METHODS][BO_BUDGETS][2][3]; /* original or best: better, level, worse */
    double since, done, total;
} bp_all;

/* One of our results beside one of theirs. */
typedef struct bp_versus {
    mango_problem_found theirs; /* method NULL: none */
    double mean, sd, p;
    int is; /* 0 better, 1 level, 2 worse */
} bp_versus;

static const char *const bp_is[] = {"better", "level", "worse"};

/* ---- runs -------------------------------------------------------------------------- */

/* Best value of the first q proposals, for each budget. */
static void bp_take(bp_all *a, int seed, mango_idx before, mango_idx K, const double *y)
{
    for (int b = 0; b < a->n_budget; b++)
        for (mango_idx k = 0; k < K && before + k < a->budget[b]; k++)
            if (!(y[k] >= a->best[b][seed]))
                a->best[b][seed] = y[k];
}

static mango_status bp_search(bp_all *a, mango_idx problem, mango_opt *opt, mango_idx *I,
                              double *y, int seed)
{
    const double since = cli_now();
    const mango_idx most = a->budget[a->n_budget - 1];
    for (mango_idx q = 0, K; q < most; q += K) {
        K = 0;
        MGI_TRY(mango_opt_ask(opt, MGI_MIN(BP_ASK, most - q), &K, I));
        MGI_TRY(mango_problem_eval(a->p, problem, K, I, y));
        MGI_TRY(mango_opt_tell(opt, K, I, y));
        bp_take(a, seed, q, K, y);
        for (int b = 0; b < a->n_budget; b++)
            if (q < a->budget[b] && q + K >= a->budget[b])
                a->seconds[b] += (cli_now() - since) / (double)a->seeds;
        if (cli_interrupted())
            return MANGO_STOP_USER;
    }
    return MANGO_OK;
}

static mango_status bp_run(bp_all *a, mango_idx problem, const bo_method *m, int seed,
                           mango_err *err)
{
    mango_problem_info info;
    mango_opt_options o = m->o;
    mango_opt *opt = NULL;
    mango_problem_get(a->p, problem, &info);
    mango_idx *n = malloc(sizeof *n * (size_t)info.d);
    mango_idx *I = malloc(sizeof *I * (size_t)(BP_ASK * info.d));
    double *y = malloc(sizeof *y * BP_ASK);
    mango_status st = n && I && y ? MANGO_OK : MANGO_E_MEM;
    for (mango_idx j = 0; n && j < info.d; j++)
        n[j] = info.n;
    const mango_modes modes = {info.d, n};
    if (st >= 0)
        st = mango_opt_set(&o, "minimize", 1, err);
    if (st >= 0)
        st = mango_opt_create(&opt, &modes, NULL, &o, (uint64_t)(a->c.seed + seed), NULL,
                              err);
    if (st >= 0)
        st = bp_search(a, problem, opt, I, y, seed);
    if (st < 0 && opt)
        mgi_fail(err, st, "%.60s on %.60s: %.100s", m->label, info.name,
                 mango_opt_error(opt)[0] ? mango_opt_error(opt) : mango_status_text(st));
    mango_opt_destroy(opt);
    free(n);
    free(I);
    free(y);
    return st;
}

/* ---- comparison ----------------------------------------------------------------------- */

static void bp_moments(mango_idx n, const double *x, double *mean, double *sd)
{
    double var = 0.0;
    *mean = 0.0;
    for (mango_idx i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (mango_idx i = 0; i < n; i++)
        var += (x[i] - *mean) * (x[i] - *mean) / (double)MGI_MAX(n - 1, 1);
    *sd = sqrt(var);
}

static mango_status bp_compare(const bp_all *a, int budget, bp_versus *v)
{
    mango_test t;
    bp_moments(v->theirs.n, v->theirs.best, &v->mean, &v->sd);
    MGI_TRY(mango_rank_sum((mango_idx)a->seeds, a->best[budget], v->theirs.n,
                           v->theirs.best, BP_TIE, &t, NULL));
    v->p = t.p;
    v->is = t.p >= BP_LEVEL ? 1 : t.less > t.more ? 0 : 2;
    return MANGO_OK;
}

static int bp_is_original(const bo_method *m, const char *method)
{
    for (mango_idx i = 0; i < MGI_COUNT(bp_original); i++)
        if (!strcmp(m->o.preset, bp_original[i][0]) && !strcmp(method, bp_original[i][1]))
            return 1;
    return 0;
}

/* v[0]: the original of m; v[1]: the best of all. */
static mango_status bp_versus_of(const bp_all *a, mango_idx problem, const bo_method *m,
                                 int budget, bp_versus v[2])
{
    mango_problem_info info;
    double least = INFINITY;
    memset(v, 0, 2 * sizeof *v);
    mango_problem_get(a->p, problem, &info);
    for (mango_idx k = 0; k < info.results; k++) {
        mango_problem_found f;
        double mean, sd;
        mango_problem_result(a->p, problem, k, &f);
        if (f.queries != a->budget[budget])
            continue;
        bp_moments(f.n, f.best, &mean, &sd);
        if (bp_is_original(m, f.method))
            v[0].theirs = f;
        if (mean < least) {
            least = mean;
            v[1].theirs = f;
        }
    }
    for (int i = 0; i < 2; i++)
        if (v[i].theirs.method)
            MGI_TRY(bp_compare(a, budget, v + i));
    return MANGO_OK;
}

/* ---- rows ------------------------------------------------------------------------------ */

static void bp_json_versus(mgi_str *s, const char *name, const char *mark,
                           const bp_versus *v)
{
    if (!v->theirs.method)
        return;
    mgi_str_puts(s, ",");
    cli_quote(s, name, v->theirs.method);
    mgi_str_printf(s, ",\"%s_mean\":", name);
    mgi_str_float(s, v->mean);
    mgi_str_printf(s, ",\"%s_sd\":", name);
    mgi_str_float(s, v->sd);
    mgi_str_printf(s, ",\"%sp\":%.6g,\"%sis\":\"%s\"", mark, v->p, mark, bp_is[v->is]);
}

static void bp_row_json(bp_all *a, const char *problem, const bo_method *m, int b,
                        double mean, double sd, const bp_versus v[2])
{
    mgi_str *s = &a->json;
    mgi_str_puts(s, a->rows++ ? ",{" : "{");
    cli_quote(s, "problem", problem);
    mgi_str_puts(s, ",");
    cli_quote(s, "opt", m->label);
    mgi_str_printf(s, ",\"queries\":%td,\"mean\":", a->budget[b]);
    mgi_str_float(s, mean);
    mgi_str_puts(s, ",\"sd\":");
    mgi_str_float(s, sd);
    mgi_str_printf(s, ",\"seconds\":%.5f", a->seconds[b]);
    bp_json_versus(s, "original", "", v);
    bp_json_versus(s, "peer", "peer_", v + 1);
    mgi_str_puts(s, "}");
}

static void bp_row_tsv(bp_all *a, const char *problem, const bo_method *m, int b,
                       double mean, double sd, const bp_versus v[2])
{
    mgi_str *s = &a->tsv;
    mgi_str_printf(s, "%s\t%s\t%td\t%.9g\t%.4g\t%.5f", problem, m->label, a->budget[b],
                   mean, sd, a->seconds[b]);
    for (int i = 0; i < 2; i++)
        if (v[i].theirs.method)
            mgi_str_printf(s, "\t%s\t%.9g\t%.4g\t%.4g\t%s", v[i].theirs.method, v[i].mean,
                           v[i].sd, v[i].p, bp_is[v[i].is]);
        else
            mgi_str_puts(s, "\t\t\t\t\t");
    mgi_str_puts(s, "\n");
}

static void bp_row_text(bp_all *a, const char *problem, const bo_method *m, int b,
                        double mean, double sd, const bp_versus v[2])
{
    char theirs[2][64] = {"-", "-"};
    for (int i = 0; i < 2; i++)
        if (v[i].theirs.method)
            snprintf(theirs[i], sizeof theirs[i], "%10.6g %8.2g  %-6s %.2g", v[i].mean,
                     v[i].sd, bp_is[v[i].is], v[i].p);
    cli_print(&a->c, "%-14s %-14s %6ld %10.6g %8.2g %7.3f   %-36s %-36s %.22s\n", problem,
              m->label, (long)a->budget[b], mean, sd, a->seconds[b], theirs[0], theirs[1],
              v[1].theirs.method ? v[1].theirs.method : "");
}

static mango_status bp_row(bp_all *a, mango_idx problem, int method, int b)
{
    const bo_method *m = a->method + method;
    mango_problem_info info;
    bp_versus v[2];
    double mean, sd;
    mango_problem_get(a->p, problem, &info);
    bp_moments((mango_idx)a->seeds, a->best[b], &mean, &sd);
    MGI_TRY(bp_versus_of(a, problem, m, b, v));
    for (int i = 0; i < 2; i++)
        if (v[i].theirs.method)
            a->count[method][b][i][v[i].is]++;
    bp_row_json(a, info.name, m, b, mean, sd, v);
    bp_row_tsv(a, info.name, m, b, mean, sd, v);
    bp_row_text(a, info.name, m, b, mean, sd, v);
    return MANGO_OK;
}

/* ---- all of it --------------------------------------------------------------------------- */

static mango_status bp_one(bp_all *a, mango_idx problem, int method, mango_err *err)
{
    for (int b = 0; b < a->n_budget; b++) {
        a->seconds[b] = 0.0;
        for (int s = 0; s < a->seeds; s++)
            a->best[b][s] = MGI_NAN;
    }
    for (int s = 0; s < a->seeds; s++) {
        const mango_status st = bp_run(a, problem, a->method + method, s, err);
        if (st != MANGO_OK)
            return st;
        a->done += 1;
        cli_progress(&a->c, a->since, 0, a->done, a->total, a->method[method].label);
    }
    for (int b = 0; b < a->n_budget; b++)
        MGI_TRY(bp_row(a, problem, method, b));
    return MANGO_OK;
}

static void bp_counts(bp_all *a)
{
    static const char *const with[] = {"its original", "the best of them"};
    for (int m = 0; m < a->n_method; m++)
        for (int b = 0; b < a->n_budget; b++)
            for (int i = 0; i < 2; i++) {
                const int *n = a->count[m][b][i];
                if (n[0] + n[1] + n[2] > 0)
                    cli_print(&a->c,
                              "%s, %ld queries, beside %s: better %d, level %d, "
                              "worse %d\n",
                              a->method[m].label, (long)a->budget[b], with[i], n[0], n[1],
                              n[2]);
            }
}

static mango_status bp_write(bp_all *a, const char *name, const mgi_str *s, mango_err *err)
{
    char path[4096];
    if (s->bad)
        return mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, a->out, name, err));
    return mgi_file_write(path, s->p, s->n, err);
}

/* The formulas must give the sample values. */
static mango_status bp_near(bp_all *a, mango_err *err)
{
    for (mango_idx i = 0; i < mango_problems_count(a->p); i++) {
        mango_problem_info info;
        mango_problem_get(a->p, i, &info);
        if (!(info.error <= BP_NEAR))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "problem %.40s: its formula is %.3g from a sample value",
                            info.name, info.error);
    }
    return MANGO_OK;
}

static mango_status bp_compare_all(bp_all *a, mango_err *err)
{
    const mango_idx n = mango_problems_count(a->p);
    MGI_TRY(bp_near(a, err));
    if (a->out)
        MGI_TRY(cli_mkdir(a->out, err));
    mgi_str_puts(&a->json, "{\"test\":\"rank sum, two-sided, level from p .01 on\","
                           "\"rows\":[");
    mgi_str_puts(&a->tsv, "problem\toptimizer\tqueries\tmean\tsd\tseconds\toriginal\t"
                          "original_mean\toriginal_sd\tp\tis\tpeer\tpeer_mean\tpeer_sd\t"
                          "peer_p\tpeer_is\n");
    cli_print(&a->c, "%-14s %-14s %6s %10s %8s %7s   %-36s %s\n", "problem", "optimizer",
              "q", "mean", "sd", "seconds", "original: mean, sd, ours is, p",
              "best of originals");
    a->since = cli_now();
    for (mango_idx i = 0; i < n; i++)
        for (int m = 0; m < a->n_method; m++) {
            mango_problem_info info;
            mango_problem_get(a->p, i, &info);
            const mango_status st =
                bench_wants(a->only, info.name) ? bp_one(a, i, m, err) : MANGO_OK;
            if (st != MANGO_OK)
                return st;
        }
    mgi_str_puts(&a->json, "]}");
    bp_counts(a);
    if (a->out)
        MGI_TRY(bp_write(a, "problems.tsv", &a->tsv, err));
    return a->out ? bp_write(a, "problems.json", &a->json, err) : MANGO_OK;
}

/* --check: how near the formulas are; false: one is not. */
static int bp_check(bp_all *a)
{
    int good = 1;
    mgi_str_puts(&a->json, "{\"problems\":[");
    for (mango_idx i = 0; i < mango_problems_count(a->p); i++) {
        mango_problem_info info;
        mango_problem_get(a->p, i, &info);
        const int near = info.error <= BP_NEAR;
        cli_print(&a->c, "%-14s %ld modes of %ld, %ld samples, off by %.3g  %s\n",
                  info.name, (long)info.d, (long)info.n, (long)info.samples, info.error,
                  near ? "agrees" : "DIFFERS");
        mgi_str_puts(&a->json, i ? ",{" : "{");
        cli_quote(&a->json, "problem", info.name);
        mgi_str_printf(&a->json, ",\"samples\":%td,\"error\":", info.samples);
        mgi_str_float(&a->json, info.error);
        mgi_str_puts(&a->json, "}");
        good &= near;
    }
    mgi_str_puts(&a->json, "]}");
    return good;
}

/* Those of ours that have an original in the file, and auto: what there is of them. */
static void bp_usual(char *list, size_t cap)
{
    mango_opt_options o;
    size_t n = 0;
    list[0] = 0;
    if (mango_opt_defaults("auto", &o, NULL) == MANGO_OK)
        n += (size_t)snprintf(list, cap, "auto");
    for (mango_idx i = 0; i < MGI_COUNT(bp_original); i++)
        if (mango_opt_defaults(bp_original[i][0], &o, NULL) == MANGO_OK)
            n += (size_t)snprintf(list + n, cap - n, "%s%s", n ? "," : "",
                                  bp_original[i][0]);
}

static mango_status bp_open(bp_all *a, mango_err *err)
{
    const char *shared = getenv("MANGO_SHARED");
    if (!a->path) {
        MGI_TRY(cli_join(a->found, (mango_idx)sizeof a->found,
                         shared && *shared ? shared : "../shared", "data/problems.json",
                         err));
        a->path = a->found;
    }
    MGI_TRY(bo_methods_list(a->methods, a->method, &a->n_method, err));
    MGI_TRY(mango_problems_open(&a->p, a->path, NULL, err));
    a->total = (double)(mango_problems_count(a->p) * a->n_method * a->seeds);
    return MANGO_OK;
}

static int bp_do(bp_all *a)
{
    mango_err err = {""};
    a->n_budget = bo_budgets_list(a->budgets, a->budget);
    if (!a->n_budget)
        return cli_usage(&a->c, "--budgets %s: up to %d whole numbers, 1 to 1e7, expected",
                         a->budgets, BO_BUDGETS);
    cli_catch_signals();
    mango_status st = bp_open(a, &err);
    int good = 1;
    if (st >= 0 && a->check)
        good = bp_check(a);
    else if (st >= 0)
        st = bp_compare_all(a, &err);
    cli_progress_end(&a->c);
    if (st == MANGO_STOP_USER)
        return cli_failf(&a->c, CLI_INTERRUPTED, "interrupted");
    if (st < 0)
        return cli_fail(&a->c, st, &err);
    cli_json(&a->c, &a->json);
    return good ? CLI_OK : CLI_FAILURE;
}

int verb_bench_problems(int argc, char **argv)
{
    static bp_all a;
    char usual[256];
    bp_usual(usual, sizeof usual);
    a.methods = usual;
    a.budgets = "1000,10000";
    a.seeds = 10;
    const cli_opt opt[] = {
        {"--problems", CLI_STR, &a.path, 0, 0, "FILE",
         "problems and results (default $MANGO_SHARED/data/problems.json)", 0},
        {"--check", CLI_FLAG, &a.check, 0, 0, NULL, "compare sample values alone", 0},
        {"--opts", CLI_STR, &a.methods, 0, 0, "NAME,..",
         "optimizers (default: those with an original in the file)", 0},
        {"--budgets", CLI_STR, &a.budgets, 0, 0, "M,..", "queries (default 1000,10000)", 0},
        {"--seeds", CLI_INT, &a.seeds, 1, BO_SEEDS, "K",
         "runs of each, seeds from --seed on (default 10)", 0},
        {"--only", CLI_STR, &a.only, 0, 0, "NAME,..", "some of the problems", 0},
        {"--out", CLI_STR, &a.out, 0, 0, "DIR", "problems.tsv and problems.json", 0},
    };
    int rc = cli_parse(&a.c, &bp_doc, opt, (int)MGI_COUNT(opt), 0, argc, argv);
    if (rc >= 0)
        return rc;
    mgi_str_init(&a.json, NULL);
    mgi_str_init(&a.tsv, NULL);
    rc = bp_do(&a);
    mgi_str_free(&a.json);
    mgi_str_free(&a.tsv);
    mango_problems_destroy(a.p);
    return rc;
}

#undef BP_TIE
#undef BP_LEVEL
#undef BP_NEAR
#undef BP_ASK
