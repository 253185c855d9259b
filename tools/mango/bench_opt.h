/* bench_opt.h - what the files of `mango bench opt` share: verb_bench_opt.c (the verb),
 * bench_opt_units.c (lists of units), _methods.c (lists of optimizers), _run.c (runs),
 * _pictures.c (real pictures beside them), _store.c (the file of results), _table.c
 * (statistics), _show.c (text, TSV, JSON), _plot.c (figures).
 *
 * A run is one optimizer with one seed on one unit through one generator. What it found
 * is one line of results.jsonl, known by a key of all that its values depend on.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_OPT_H
#define BENCH_OPT_H

#include "cli.h"
#include "../../src/mei/noise.h"
#include "../../src/study/statistics.h"

enum {
    BO_NAME = 160,
    BO_KEY = 17, /* 16 hexadecimal digits */
    BO_GENS = 4,
    BO_NETS = 8,
    BO_UNITS = 256,
    BO_METHODS = 32,
    BO_BUDGETS = 6,
    BO_SEEDS = 100,
    BO_MARKS = 24
};

/* ---- what is run -------------------------------------------------------------- */

typedef struct bo_net {
    char name[BO_NAME], digest[65];
    mango_net *net;
    mango_idx T; /* steps of a query */
} bo_net;

typedef struct bo_unit {
    int net; /* index */
    char target[BO_NAME];
    mango_target t;
} bo_unit;

/* "tt-b", "auto(no-references)", "tt(k=5,lr=.1)". */
typedef struct bo_method {
    char label[BO_NAME];
    mango_opt_options o;
    int no_references, no_classes; /* facts that it is not given */
    int noisy;                     /* values come with noise */
    int white;                     /* it looks inside: it wants a derivative */
    int pictures;                  /* it is no optimizer: see _pictures.c */
} bo_method;

typedef struct bo_gen {
    char name[BO_NAME], digest[65];
    mango_net *net;
    mango_space *space;
    mango_space_info info;
    char behaviour[BO_METHODS][BO_KEY]; /* what the optimizer does here, see _methods.c */
    int oblivious[BO_METHODS], ties[BO_METHODS]; /* see mango_opt_info */
} bo_gen;

/* ---- results ------------------------------------------------------------------- */

/* Seconds until so many queries. */
typedef struct bo_mark {
    mango_idx q;
    double opt, eval;
} bo_mark;

/* One run, as a line of the file has it. */
typedef struct bo_result {
    char key[BO_KEY];   /* of all that its values depend on, but the budget        */
    char scene[BO_KEY]; /* of generator, network, target and T: what is comparable */
    char gen[BO_NAME], net[BO_NAME], target[BO_NAME], method[BO_NAME];
    uint64_t seed;
    mango_idx T, budget, queries;
    double best;
    mango_idx n; /* improvements: after query q[i] the best was y[i] */
    mango_idx *q;
    double *y;
    int n_mark;
    bo_mark mark[BO_MARKS];
} bo_result;

typedef struct bo_store {
    mango_idx n, cap;
    bo_result *r;
    mgi_applog log; /* this process's own file */
    char path[4096];
} bo_store;

/* ---- tables ---------------------------------------------------------------------- */

/* One optimizer at one budget, over the units of one generator, or of all. */
typedef struct bo_cell {
    int units, runs;
    double mean, ci[2], norm, norm_ci[2];
    double worst; /* smallest norm of a unit ... */
    int worst_at; /* ... generator * units + unit */
    double opt_s, eval_s;
    int paired; /* 1: compared with the reference on `common` units */
    int common;
    mango_test test;
} bo_cell;

typedef struct bo_all {
    cli c;
    const char *gens, *nets, *units, *methods, *budgets, *reference, *shard, *out, *fill;
    const char *data, *root, *noise;
    int64_t seeds, T, batch, per_net, pictures;
    int no_references, no_classes, split, report;
    int n_gen, n_net, n_unit, n_method, n_budget;
    bo_gen gen[BO_GENS];
    bo_net net[BO_NETS];
    bo_unit unit[BO_UNITS];
    bo_method method[BO_METHODS];
    mango_idx budget[BO_BUDGETS]; /* ascending */
    int at, of;                   /* shard: 1 .. of */
    int ref;                      /* the method that others are compared with */
    bo_store store;
    const bo_result **found;          /* (gen, unit, method, seed), NULL: not there */
    double *best;                     /* (gen, unit) anyone's; NaN: none */
    bo_cell *cell;                    /* (gen + 1, method, budget) */
    double since, done0, done, total; /* queries, for the progress line */
} bo_all;

/* Is this unit run through this generator? With --split each has one of them. */
int bo_active(const bo_all *a, int gen, int unit);

/* "100,1e3" into budget (BO_BUDGETS), ascending; 0: it is no such list. */
int bo_budgets_list(const char *text, mango_idx *budget);

/* ---- bench_opt_units.c: networks are opened here, as units name them. */
mango_status bo_units_read(bo_all *a, mango_err *err);
/* Bytes up to the comma that ends a network's name: zoo:NAME,k=v,k=v is one. */
size_t bo_name(const char *p);
/* ---- bench_opt_methods.c */
mango_status bo_methods_read(bo_all *a, mango_err *err);
/* A list of optimizers into m (BO_METHODS). */
mango_status bo_methods_list(const char *list, bo_method *m, int *count, mango_err *err);
/* The facts that a method is given; they belong to g->space. */
mango_status bo_facts(const bo_gen *g, const bo_method *m, mango_facts *f);
/* g->behaviour and g->oblivious of all methods. */
mango_status bo_behaviours(bo_all *a, bo_gen *g, mango_err *err);

/* ---- bench_opt_store.c */
/* The key of a run, and of its scene. */
void bo_key(const bo_all *a, int gen, int unit, int method, uint64_t seed,
            char key[BO_KEY]);
void bo_scene(const bo_all *a, int gen, int unit, char scene[BO_KEY]);
/* Read all results*.jsonl of the folder; open this process's own unless `report`. */
mango_status bo_store_open(bo_all *a, mango_err *err);
/* The run with this key and the largest budget; NULL: none. */
const bo_result *bo_store_find(const bo_store *s, const char *key);
/* Append a line; the store owns r's arrays from now on, also after an error. */
mango_status bo_store_add(bo_store *s, bo_result *r, mango_err *err);
void bo_store_close(bo_store *s);

/* ---- bench_opt_run.c: all runs that are missing. MANGO_STOP_USER after ^C. */
mango_status bo_run(bo_all *a, mango_err *err);
/* What is known of a run before it begins: all but its arrays. */
void bo_describe(const bo_all *a, int gen, int unit, int method, uint64_t seed,
                 bo_result *r);
/* Value y of so many-th query: the next improvement, if it is one. */
mango_status bo_improve(bo_result *r, mango_idx query, double y);
/* ---- bench_opt_pictures.c: the same with real pictures, the last method of --data. */
mango_status bo_pictures(bo_all *a, mango_err *err);
mango_idx bo_pictures_count(const bo_all *a);

/* ---- bench_opt_table.c */
mango_status bo_table(bo_all *a, mango_err *err);
/* Best value after q queries; NaN: the run was shorter, or had none by then. */
double bo_at(const bo_result *r, mango_idx q);
/* Norm of a unit after q queries, the mean over the seeds; NaN: a seed is missing. */
double bo_norm(const bo_all *a, int gen, int unit, int method, mango_idx q);
/* Of scope 0 .. n_gen - 1 one generator, n_gen all: units' norms into x, how many. */
int bo_norms(const bo_all *a, int scope, int method, mango_idx q, double *x);
const char *bo_scope(const bo_all *a, int scope);
/* Queries until the mean norm of a method is what a peer's is after q queries, over the
 * units of both; 0: not reached; -1: not known. */
mango_idx bo_reach(const bo_all *a, int scope, int method, int peer, mango_idx q);
bo_cell *bo_cell_at(const bo_all *a, int scope, int method, int budget);

/* ---- bench_opt_show.c, bench_opt_plot.c */
void bo_print(bo_all *a);
mango_status bo_save(bo_all *a, mgi_str *json, mango_err *err);
mango_status bo_plots(bo_all *a, mango_err *err);

#endif
