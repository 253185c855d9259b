/* verb_bench_opt.c - `mango bench opt`: optimizers compared on units of networks.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include "verb_bench.h"
#include <stdlib.h>

static const cli_doc bo_doc = {
    "bench opt", "compare optimizers on units of networks",
    "mango bench opt --out DIR [--gen G,G] [--units dev|test|FILE] [--opts LIST] "
    "[options]\n"
    "       mango bench opt --out DIR --net N,N --per-net K [options]",
    "Each optimizer of --opts searches each unit through each generator, with so many "
    "seeds.\n"
    "Of an optimizer a list may say more: tt(k=5,lr=0.1) sets options, "
    "auto(no-references)\n"
    "and auto(no-classes) withhold facts of the space.\n"
    "\n"
    "Units: a file with a line `NETWORK TARGET` for each; dev, those that optimizers were\n"
    "developed on; test, those that nobody looked at meanwhile; or, with --net, K of each\n"
    "network, drawn by a rule: one a class, the others over its layers from shallow to "
    "deep,\n"
    "units at random that fire for random pictures and are none of dev.\n"
    "\n"
    "Every run leaves a line in DIR/results.jsonl when it is done. A line counts for all "
    "budgets\n"
    "up to its own, and as long as nothing of it has changed: both networks to the bit, "
    "unit,\n"
    "steps, options, seed, and what the optimizer does. So the same command goes on where "
    "one\n"
    "was killed, and another one adds to the folder. --shard 2/3 does every third run, in "
    "a\n"
    "file of its own: start one process a core, each with --threads 1.\n"
    "\n"
    "norm is the activation by the best that any run of the folder found for the unit; "
    "means\n"
    "are over units of the mean over seeds; intervals, 95%, by bootstrap over units; p is "
    "of\n"
    "Wilcoxon's signed-rank test over units, of the norms' differences to --reference.\n"
    "With --noise a value is the activation without noise of the code that was reported.\n"
    "--data adds what is not a search: the best of the first real pictures; its norm may "
    "be\n"
    "above 1. A unit counts where all seeds are there. Seconds of an optimizer that learns "
    "nothing "
    "are\n"
    "those of one evaluation for all units together; those of `gradient` hold its passes\n"
    "through the networks.\n"
    "\n"
    "Leaves in DIR: table.tsv, table.json, queries.tsv (queries until one has what another "
    "has\n"
    "at each budget), convergence-GEN.svg (mean norm, standard errors).\n"
    "--json: reference, units, seeds, test, rows[] {gen, opt, queries, units, runs, "
    "activation,\n"
    "low, high, norm, norm_low, norm_high, opt_seconds, eval_seconds, worst_norm, "
    "worst_unit,\n"
    "paired_units, wins, losses, p}.\n",
    "  mango bench opt --out bench --units dev --opts random,tt,tt-b --budgets 100,1000 "
    "--T 20\n"
    "  mango bench opt --out bench --gen vqvae_cifar10,sngan_cifar10 --units test --T 20\n"
    "  mango bench opt --out bench --units test --opts tt-b,tt(k=50,k_top=5) --threads 1 "
    "--shard 1/2\n"
    "  mango bench opt --out bench --units test --opts random,tt-b --T 20 --report\n"};

/* ---- options ---------------------------------------------------------------------- */

static int bo_by_size(const void *a, const void *b)
{
    const mango_idx x = *(const mango_idx *)a, y = *(const mango_idx *)b;
    return (x > y) - (x < y);
}

int bo_budgets_list(const char *text, mango_idx *budget)
{
    char word[32];
    int count = 0;
    for (const char *p = text; *p; p += *p == ',') {
        double v = 0;
        const size_t n = strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", (int)MGI_MIN(n, sizeof word - 1), p);
        p += n;
        if (!mgi_parse_real(word, &v) || v < 1 || v > 1e7 || v != (double)(mango_idx)v ||
            count == BO_BUDGETS)
            return 0;
        budget[count++] = (mango_idx)v;
    }
    qsort(budget, (size_t)count, sizeof *budget, bo_by_size);
    return count;
}

static int bo_shard_read(bo_all *a)
{
    char end;
    a->at = a->of = 1;
    if (a->shard && (sscanf(a->shard, "%d/%d%c", &a->at, &a->of, &end) != 2 || a->of < 1 ||
                     a->of > 999 || a->at < 1 || a->at > a->of))
        return cli_usage(&a->c, "--shard %s: I/N with 1 <= I <= N expected", a->shard);
    return CLI_OK;
}

static int bo_check(bo_all *a)
{
    if (a->units && a->nets)
        return cli_usage(&a->c, "--units and --net exclude each other");
    if (!a->units && !a->nets)
        a->units = "test";
    a->n_budget = bo_budgets_list(a->budgets, a->budget);
    if (!a->n_budget)
        return cli_usage(&a->c, "--budgets %s: up to %d whole numbers, 1 to 1e7, expected",
                         a->budgets, BO_BUDGETS);
    if (a->noise && a->n_budget > 1)
        return cli_usage(&a->c, "--noise: one of --budgets expected, as the last part of a "
                                "search is a race of its leaders");
    if (a->data && !a->root)
        return cli_usage(&a->c, "--data wants --root, the data set's folder");
    return bo_shard_read(a);
}

static mango_status bo_gens_read(bo_all *a, mango_err *err)
{
    for (const char *p = a->gens; *p; p += *p == ',') {
        const size_t n = bo_name(p);
        if (a->n_gen == BO_GENS || n >= BO_NAME)
            return mgi_fail(err, MANGO_E_ARG, "--gen: at most %d names expected", BO_GENS);
        bo_gen *g = a->gen + a->n_gen++;
        memcpy(g->name, p, n);
        p += n;
        MGI_TRY(
            cli_net(&g->net, g->name, cli_is_blank(g->name) ? a->fill : NULL, err));
        MGI_TRY(mango_space_of(&g->space, g->net, NULL, err));
        MGI_TRY(mango_space_get(g->space, &g->info));
        if (mango_net_digest(g->net, MANGO_DIGEST_ALL, g->digest) < 0)
            return mgi_fail(err, MANGO_E_STATE, "%s: a generator with weights expected",
                            g->name);
    }
    return a->n_gen ? MANGO_OK : mgi_fail(err, MANGO_E_ARG, "--gen: a name expected");
}

/* ---- the verb ------------------------------------------------------------------------ */

static mango_status bo_read_all(bo_all *a, mango_err *err)
{
    mango_noise noise;
    if (a->noise)
        MGI_TRY(mango_noise_parse(&noise, a->noise, err));
    MGI_TRY(bo_methods_read(a, err));
    MGI_TRY(bo_gens_read(a, err));
    MGI_TRY(bo_units_read(a, err));
    for (int g = 0; g < a->n_gen; g++)
        MGI_TRY(bo_behaviours(a, a->gen + g, err));
    return MANGO_OK;
}

/* The list of units, to see and to keep. */
static mango_status bo_units_save(const bo_all *a, mango_err *err)
{
    char path[4096];
    mgi_str s;
    mgi_str_init(&s, NULL);
    for (int u = 0; u < a->n_unit; u++)
        mgi_str_printf(&s, "%s %s\n", a->net[a->unit[u].net].name, a->unit[u].target);
    mango_status st = cli_join(path, (mango_idx)sizeof path, a->out, "units.txt", err);
    if (st >= 0)
        st = mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

static mango_status bo_do(bo_all *a, mgi_str *json, mango_err *err)
{
    MGI_TRY(bo_read_all(a, err));
    MGI_TRY(cli_mkdir(a->out, err));
    MGI_TRY(bo_store_open(a, err));
    MGI_TRY(bo_units_save(a, err));
    mango_status st = a->report ? MANGO_OK : bo_run(a, err);
    if (st == MANGO_OK && !a->report)
        st = bo_pictures(a, err);
    if (st != MANGO_OK)
        return st;
    if (a->of > 1 && !a->report)
        return MANGO_OK;
    MGI_TRY(bo_table(a, err));
    MGI_TRY(bo_save(a, json, err));
    return a->noise ? MANGO_OK : bo_plots(a, err);
}

static int bo_end(bo_all *a, mango_status st, mgi_str *json, mango_err *err)
{
    if (st == MANGO_STOP_USER)
        return cli_failf(&a->c, CLI_INTERRUPTED,
                         "interrupted; what is done is kept, the same command goes on");
    if (st < 0)
        return cli_fail(&a->c, st, err);
    if (a->cell)
        bo_print(a);
    else
        mgi_str_printf(json, "{\"shard\":%d,\"of\":%d}", a->at, a->of);
    cli_json(&a->c, json);
    return CLI_OK;
}

static void bo_free(bo_all *a)
{
    bo_store_close(&a->store);
    for (int g = 0; g < a->n_gen; g++) {
        mango_space_destroy(a->gen[g].space);
        mango_net_destroy(a->gen[g].net);
    }
    for (int n = 0; n < a->n_net; n++)
        mango_net_destroy(a->net[n].net);
    free(a->found);
    free(a->best);
    free(a->cell);
}

static int bo_start(bo_all *a)
{
    mango_err err = {""};
    mgi_str json;
    int rc = bo_check(a);
    if (rc != CLI_OK)
        return rc;
    cli_catch_signals();
    mgi_str_init(&json, NULL);
    rc = bo_end(a, bo_do(a, &json, &err), &json, &err);
    mgi_str_free(&json);
    bo_free(a);
    return rc;
}

/* Ours, the paper's, and two that are usual elsewhere: what there is of them. */
static void bo_usual(char *list, size_t cap)
{
    static const char *const name[] = {"auto", "random", "portfolio", "tt",
                                       "tt-s", "tt-b",   "sep-cma",   "ga"};
    mango_opt_options o;
    size_t n = 0;
    list[0] = 0;
    for (mango_idx i = 0; i < MGI_COUNT(name); i++)
        if (mango_opt_defaults(name[i], &o, NULL) == MANGO_OK)
            n += (size_t)snprintf(list + n, cap - n, "%s%s", n ? "," : "", name[i]);
}

int verb_bench_opt(int argc, char **argv)
{
    static bo_all a;
    static char usual[128];
    bo_usual(usual, sizeof usual);
    a.gens = "vqvae_cifar10,sngan_cifar10";
    a.methods = usual;
    a.budgets = "100,1000";
    a.seeds = 3;
    a.per_net = 8;
    a.pictures = 1000;
    const cli_opt opt[] = {
        {"--out", CLI_STR, &a.out, 0, 0, "DIR", "folder of results", 1},
        {"--gen", CLI_STR, &a.gens, 0, 0, "G,..",
         "generators (default vqvae_cifar10,sngan_cifar10)", 0},
        {"--units", CLI_STR, &a.units, 0, 0, "LIST", "dev, test (default) or a file", 0},
        {"--net", CLI_STR, &a.nets, 0, 0, "N,..", "networks whose units are drawn", 0},
        {"--per-net", CLI_INT, &a.per_net, 2, 64, "K", "units of each, --net (default 8)",
         0},
        {"--opts", CLI_STR, &a.methods, 0, 0, "NAME,..",
         "optimizers (default auto, the paper's, sep-cma, ga)", 0},
        {"--budgets", CLI_STR, &a.budgets, 0, 0, "M,..",
         "queries (default 100,1000): one run of the most serves all", 0},
        {"--seeds", CLI_INT, &a.seeds, 1, BO_SEEDS, "K",
         "runs of each, seeds from --seed on (default 3)", 0},
        {"--T", CLI_INT, &a.T, 1, 4096, "N",
         "steps of spiking networks (default: their own)", 0},
        {"--batch", CLI_INT, &a.batch, 1, 4096, "B",
         "pictures evaluated at once (default 10)", 0},
        {"--noise", CLI_STR, &a.noise, 0, 0, "MODEL:X",
         "noise on each presentation, see mango mei --help; one budget", 0},
        {"--data", CLI_STR, &a.data, 0, 0, "NAME",
         "a row for the best real pictures of a data set's test half", 0},
        {"--root", CLI_STR, &a.root, 0, 0, "DIR", "its folder", 0},
        {"--pictures", CLI_INT, &a.pictures, 1, 1e6, "N", "so many of them (default 1000)",
         0},
        {"--reference", CLI_STR, &a.reference, 0, 0, "NAME",
         "optimizer that others are compared with (default: auto, or the first)", 0},
        {"--split", CLI_FLAG, &a.split, 0, 0, NULL,
         "each unit through one of the generators, in turn, not through all", 0},
        {"--no-references", CLI_FLAG, &a.no_references, 0, 0, NULL,
         "reference codes are withheld from all optimizers", 0},
        {"--no-classes", CLI_FLAG, &a.no_classes, 0, 0, NULL,
         "which latents name a class is withheld", 0},
        {"--shard", CLI_STR, &a.shard, 0, 0, "I/N", "every N-th run alone, no table", 0},
        {"--report", CLI_FLAG, &a.report, 0, 0, NULL, "no runs: the table of what is there",
         0},
        {"--fill", CLI_STR, &a.fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
    };
    const int rc = cli_parse(&a.c, &bo_doc, opt, (int)MGI_COUNT(opt), 0, argc, argv);
    return rc >= 0 ? rc : bo_start(&a);
}
