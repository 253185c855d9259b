/* bench_opt_table.c - from runs to a table: means over units and seeds with intervals,
 * paired tests, queries until a peer is reached.
 *
 *     v(u, q) = mean over seeds of the best activation after q queries on unit u        (1)
 *     norm(u, q) = v(u, q) / best that any run of the folder found on u                 (2)
 * A unit of two generators counts as two. Intervals: 95%, bootstrap over units. Paired
 * tests: Wilcoxon's signed ranks of the differences of (2), one for each unit.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include <stdlib.h>

#define BO_RESAMPLES 10000
#define BO_SAME 1e-9 /* norms nearer than this are level */

int bo_active(const bo_all *a, int gen, int unit)
{
    return !a->split || unit % a->n_gen == gen;
}

bo_cell *bo_cell_at(const bo_all *a, int scope, int method, int budget)
{
    return a->cell + (scope * a->n_method + method) * a->n_budget + budget;
}

const char *bo_scope(const bo_all *a, int scope)
{
    return scope < a->n_gen ? a->gen[scope].name : "all generators";
}

/* ---- one run, one unit --------------------------------------------------------------- */

double bo_at(const bo_result *r, mango_idx q)
{
    double best = MGI_NAN;
    if (!r || r->budget < q)
        return MGI_NAN;
    for (mango_idx i = 0; i < r->n && r->q[i] <= q; i++)
        best = r->y[i];
    return best;
}

static const bo_result *bo_found(const bo_all *a, int gen, int unit, int method, int seed)
{
    return a->found[((gen * a->n_unit + unit) * a->n_method + method) * a->seeds + seed];
}

/* (1); NaN when a seed is missing. */
static double bo_value(const bo_all *a, int gen, int unit, int method, mango_idx q)
{
    double sum = 0.0;
    for (int s = 0; s < a->seeds; s++)
        sum += bo_at(bo_found(a, gen, unit, method, s), q);
    return sum / (double)a->seeds;
}

double bo_norm(const bo_all *a, int gen, int unit, int method, mango_idx q)
{
    return bo_value(a, gen, unit, method, q) / a->best[gen * a->n_unit + unit]; /* (2) */
}

/* ---- over units ------------------------------------------------------------------------ */

/* (1) or (2) of every unit of a scope, in the order generator, unit; NaN: none. */
static int bo_all_of(const bo_all *a, int scope, int method, mango_idx q, int norm,
                     double *x)
{
    int n = 0;
    for (int g = 0; g < a->n_gen; g++)
        for (int u = 0; u < a->n_unit && (scope == a->n_gen || scope == g); u++)
            x[n++] = norm ? bo_norm(a, g, u, method, q) : bo_value(a, g, u, method, q);
    return n;
}

static int bo_finite(int n, double *x)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (mgi_is_finite(x[i]))
            x[m++] = x[i];
    return m;
}

int bo_norms(const bo_all *a, int scope, int method, mango_idx q, double *x)
{
    return bo_finite(bo_all_of(a, scope, method, q, 1, x), x);
}

static double bo_mean(int n, const double *x)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / (double)n : MGI_NAN;
}

/* Mean norm of a method over the units that a peer has a norm for after q1 queries. */
static double bo_common(const bo_all *a, int scope, int method, mango_idx q, int peer,
                        mango_idx q1, double *x, double *y)
{
    const int n = bo_all_of(a, scope, method, q, 1, x);
    bo_all_of(a, scope, peer, q1, 1, y);
    for (int i = 0; i < n; i++)
        x[i] = mgi_is_finite(y[i]) ? x[i] : MGI_NAN;
    const int m = bo_finite(n, x);
    return bo_mean(m, x);
}

/* The largest budget that all runs of a method in this scope have; 0: no run. */
static mango_idx bo_longest(const bo_all *a, int scope, int method)
{
    mango_idx most = 0;
    for (int g = 0; g < a->n_gen; g++)
        for (int u = 0; u < a->n_unit && (scope == a->n_gen || scope == g); u++)
            for (int s = 0; s < a->seeds; s++) {
                const bo_result *r = bo_found(a, g, u, method, s);
                if (r)
                    most = most ? MGI_MIN(most, r->budget) : r->budget;
            }
    return most;
}

mango_idx bo_reach(const bo_all *a, int scope, int method, int peer, mango_idx q)
{
    static double x[BO_GENS * BO_UNITS], y[BO_GENS * BO_UNITS];
    mango_idx lo = 1, hi = bo_longest(a, scope, method);
    if (hi == 0 || a->noise)
        return -1;
    const double want = bo_common(a, scope, peer, q, method, hi, x, y) - BO_SAME;
    if (!mgi_is_finite(want))
        return -1;
    if (!(bo_common(a, scope, method, hi, peer, q, x, y) >= want))
        return 0;
    while (lo < hi) { /* the mean never falls */
        const mango_idx mid = lo + (hi - lo) / 2;
        if (bo_common(a, scope, method, mid, peer, q, x, y) >= want)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* ---- cells ------------------------------------------------------------------------------ */

/* Mean seconds until the budget, over the runs that have it. */
static void bo_seconds(const bo_all *a, int scope, int method, mango_idx q, bo_cell *c)
{
    c->opt_s = c->eval_s = 0.0;
    c->runs = 0;
    for (int g = 0; g < a->n_gen; g++)
        for (int i = 0; i < a->n_unit * a->seeds && (scope == a->n_gen || scope == g);
             i++) {
            const bo_result *r =
                bo_found(a, g, i / (int)a->seeds, method, i % (int)a->seeds);
            for (int k = 0; r && k < r->n_mark; k++)
                if (r->mark[k].q == q) {
                    c->opt_s += r->mark[k].opt;
                    c->eval_s += r->mark[k].eval;
                    c->runs++;
                }
        }
    c->opt_s /= (double)c->runs;
    c->eval_s /= (double)c->runs;
}

static mango_status bo_paired(const bo_all *a, int scope, int method, mango_idx q,
                              bo_cell *c, double *x, double *y)
{
    const int n = bo_all_of(a, scope, method, q, 1, x);
    bo_all_of(a, scope, a->ref, q, 1, y);
    for (int i = 0; i < n; i++)
        x[i] -= y[i];
    c->common = bo_finite(n, x);
    c->paired = method != a->ref && c->common > 0;
    return c->paired ? mango_wilcoxon(c->common, x, BO_SAME, &c->test, NULL) : MANGO_OK;
}

static mango_status bo_fill(const bo_all *a, int scope, int method, mango_idx q, bo_cell *c)
{
    static double x[BO_GENS * BO_UNITS], y[BO_GENS * BO_UNITS];
    memset(c, 0, sizeof *c);
    int n = bo_all_of(a, scope, method, q, 1, x);
    c->worst = MGI_NAN;
    for (int i = 0; i < n; i++)
        if (mgi_is_finite(x[i]) && !(x[i] >= c->worst)) {
            c->worst = x[i];
            c->worst_at = scope < a->n_gen ? scope * a->n_unit + i : i;
        }
    n = bo_finite(n, x);
    c->norm = bo_mean(n, x);
    if (n > 0)
        MGI_TRY(mango_bootstrap_mean(n, x, BO_RESAMPLES, .95, 1, c->norm_ci, NULL));
    c->units = bo_finite(bo_all_of(a, scope, method, q, 0, x), x);
    c->mean = bo_mean(c->units, x);
    if (c->units > 0)
        MGI_TRY(mango_bootstrap_mean(c->units, x, BO_RESAMPLES, .95, 1, c->ci, NULL));
    bo_seconds(a, scope, method, q, c);
    return bo_paired(a, scope, method, q, c, x, y);
}

/* ---- all of it ------------------------------------------------------------------- */

static void bo_best(bo_all *a, int gen, int unit)
{
    char scene[BO_KEY];
    double best = 0.0;
    bo_scene(a, gen, unit, scene);
    for (mango_idx i = 0; i < a->store.n; i++)
        if (!strcmp(a->store.r[i].scene, scene) && a->store.r[i].best > best &&
            strncmp(a->store.r[i].method, "pictures of ", 12)) /* they are no search */
            best = a->store.r[i].best;
    a->best[gen * a->n_unit + unit] = best > 0.0 ? best : MGI_NAN;
}

static void bo_collect(bo_all *a)
{
    char key[BO_KEY];
    mango_idx at = 0;
    for (int g = 0; g < a->n_gen; g++)
        for (int u = 0; u < a->n_unit; u++) {
            bo_best(a, g, u);
            for (int m = 0; m < a->n_method; m++)
                for (int s = 0; s < a->seeds; s++, at++) {
                    bo_key(a, g, u, m, (uint64_t)(a->c.seed + s), key); /* pictures: one */
                    if (bo_active(a, g, u))
                        a->found[at] = bo_store_find(&a->store, key);
                }
        }
}

mango_status bo_table(bo_all *a, mango_err *err)
{
    const size_t scenes = (size_t)(a->n_gen * a->n_unit);
    const int scopes = a->n_gen + (a->n_gen > 1);
    a->found = calloc(scenes * (size_t)a->n_method * (size_t)a->seeds, sizeof *a->found);
    a->best = calloc(scenes, sizeof *a->best);
    a->cell = calloc((size_t)((a->n_gen + 1) * a->n_method * a->n_budget), sizeof *a->cell);
    if (!a->found || !a->best || !a->cell)
        return mgi_fail(err, MANGO_E_MEM, "table: out of memory");
    bo_collect(a);
    for (int s = 0; s < scopes; s++)
        for (int m = 0; m < a->n_method; m++)
            for (int b = 0; b < a->n_budget; b++)
                MGI_TRY(bo_fill(a, s, m, a->budget[b], bo_cell_at(a, s, m, b)));
    return MANGO_OK;
}

#undef BO_RESAMPLES
#undef BO_SAME
