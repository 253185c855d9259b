/* bench_opt_show.c - the table of `mango bench opt` as text, TSV and JSON.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"

static int bo_scopes(const bo_all *a)
{
    return a->n_gen + (a->n_gen > 1);
}

/* "unit", with the generator where several stand together. */
static void bo_worst_text(const bo_all *a, const bo_cell *c, char *text, size_t cap)
{
    text[0] = 0;
    if (mgi_is_finite(c->worst))
        snprintf(text, cap, "%s", a->unit[c->worst_at % a->n_unit].target);
}

/* ---- text ---------------------------------------------------------------------------- */

/* Seconds, or a stroke where no run has a time for this budget. */
static void bo_seconds_text(double s, int decimals, char text[16])
{
    if (mgi_is_finite(s))
        snprintf(text, 16, "%.*f", decimals, s);
    else
        strcpy(text, "-");
}

static void bo_print_row(bo_all *a, int scope, int method, int budget)
{
    const bo_cell *c = bo_cell_at(a, scope, method, budget);
    char worst[BO_NAME], versus[64] = "", opt[16], eval[16];
    bo_worst_text(a, c, worst, sizeof worst);
    bo_seconds_text(c->opt_s, 3, opt);
    bo_seconds_text(c->eval_s, 2, eval);
    if (c->paired)
        snprintf(versus, sizeof versus, "%d-%d p %.2g", (int)c->test.more,
                 (int)c->test.less, c->test.p);
    if (c->units == 0)
        cli_print(&a->c, "  %-22s no runs of this length\n", a->method[method].label);
    else
        cli_print(&a->c,
                  "  %-22s %.3f [%.3f %.3f]  %.3f [%.3f %.3f]  %.2f %-18.18s %8s %8s "
                  "%4d  %s\n",
                  a->method[method].label, c->mean, c->ci[0], c->ci[1], c->norm,
                  c->norm_ci[0], c->norm_ci[1], c->worst, worst, opt, eval, c->units,
                  versus);
}

static void bo_print_reach(bo_all *a, int scope)
{
    cli_print(&a->c, "queries until %s has in the mean what the others have\n",
              a->method[a->ref].label);
    for (int m = 0; m < a->n_method; m++) {
        char text[256] = "";
        size_t n = 0;
        for (int b = 0; b < a->n_budget && m != a->ref; b++) {
            const mango_idx q = bo_reach(a, scope, a->ref, m, a->budget[b]);
            if (q > 0)
                n += (size_t)snprintf(text + n, sizeof text - n, "  %8ld at %ld", (long)q,
                                      (long)a->budget[b]);
            else if (q == 0)
                n += (size_t)snprintf(text + n, sizeof text - n, "  %8s at %ld", "never",
                                      (long)a->budget[b]);
        }
        if (m != a->ref && text[0])
            cli_print(&a->c, "  %-22s%s\n", a->method[m].label, text);
    }
}

void bo_print(bo_all *a)
{
    cli_print(&a->c,
              "Activation and norm (activation by the best found for the unit in this "
              "folder), means over units and seeds\nwith 95%% intervals (bootstrap over "
              "units); the worst unit's norm; seconds of a run; units; units won and lost\n"
              "against %s, and p of Wilcoxon's signed-rank test over units.\n",
              a->method[a->ref].label);
    if (a->noise)
        cli_print(&a->c,
                  "Under noise %s: the activation without noise of the code that a "
                  "search reports.\n",
                  a->noise);
    for (int s = 0; s < bo_scopes(a); s++) {
        for (int b = 0; b < a->n_budget; b++) {
            cli_print(&a->c, "%s, %ld queries, %ld seeds\n", bo_scope(a, s),
                      (long)a->budget[b], (long)a->seeds);
            cli_print(&a->c, "  %-22s %-19s  %-19s  %-23s %8s %8s %4s  %s\n", "optimizer",
                      "activation", "norm", "worst unit", "opt, s", "eval, s", "n",
                      "against it");
            for (int m = 0; m < a->n_method; m++)
                bo_print_row(a, s, m, b);
        }
        if (!a->noise)
            bo_print_reach(a, s);
    }
}

/* ---- TSV -------------------------------------------------------------------------------- */

static void bo_numbers(mgi_str *s, int n, const double *x)
{
    for (int i = 0; i < n; i++) {
        mgi_str_puts(s, "\t");
        if (mgi_is_finite(x[i]))
            mgi_str_printf(s, "%.6g", x[i]);
    }
}

static void bo_tsv_row(const bo_all *a, int scope, int method, int budget, mgi_str *s)
{
    const bo_cell *c = bo_cell_at(a, scope, method, budget);
    char worst[BO_NAME];
    const double x[] = {c->mean,       c->ci[0], c->ci[1],  c->norm, c->norm_ci[0],
                        c->norm_ci[1], c->opt_s, c->eval_s, c->worst};
    bo_worst_text(a, c, worst, sizeof worst);
    mgi_str_printf(s, "%s\t%s\t%td\t%d\t%d", bo_scope(a, scope), a->method[method].label,
                   a->budget[budget], c->units, c->runs);
    bo_numbers(s, (int)MGI_COUNT(x), x);
    mgi_str_printf(s, "\t%s", worst);
    if (c->paired)
        mgi_str_printf(s, "\t%s\t%d\t%td\t%td\t%.6g\n", a->method[a->ref].label, c->common,
                       c->test.more, c->test.less, c->test.p);
    else
        mgi_str_puts(s, "\t\t\t\t\t\n");
}

static void bo_tsv(const bo_all *a, mgi_str *s)
{
    mgi_str_puts(s,
                 "generator\toptimizer\tqueries\tunits\truns\tactivation\tlow\thigh\tnorm\t"
                 "norm_low\tnorm_high\topt_seconds\teval_seconds\tworst_norm\tworst_unit\t"
                 "reference\tpaired_units\twins\tlosses\tp\n");
    for (int scope = 0; scope < bo_scopes(a); scope++)
        for (int b = 0; b < a->n_budget; b++)
            for (int m = 0; m < a->n_method; m++)
                bo_tsv_row(a, scope, m, b, s);
}

static void bo_reach_tsv(const bo_all *a, mgi_str *s)
{
    mgi_str_puts(s, "generator\toptimizer\tpeer\tpeer_queries\tqueries\n");
    for (int scope = 0; scope < bo_scopes(a); scope++)
        for (int i = 0; i < a->n_method * a->n_method * a->n_budget; i++) {
            const int m = i / (a->n_method * a->n_budget);
            const int peer = i / a->n_budget % a->n_method, b = i % a->n_budget;
            const mango_idx q = m == peer ? -1 : bo_reach(a, scope, m, peer, a->budget[b]);
            if (q < 0)
                continue;
            mgi_str_printf(s, "%s\t%s\t%s\t%td\t", bo_scope(a, scope), a->method[m].label,
                           a->method[peer].label, a->budget[b]);
            if (q > 0)
                mgi_str_printf(s, "%td\n", q);
            else
                mgi_str_puts(s, "never\n");
        }
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void bo_json_number(mgi_str *s, const char *key, double x)
{
    mgi_str_printf(s, ",\"%s\":", key);
    if (mgi_is_finite(x))
        mgi_str_printf(s, "%.6g", x);
    else
        mgi_str_puts(s, "null");
}

static void bo_json_row(const bo_all *a, int scope, int method, int budget, mgi_str *s)
{
    const bo_cell *c = bo_cell_at(a, scope, method, budget);
    char worst[BO_NAME];
    bo_worst_text(a, c, worst, sizeof worst);
    mgi_str_puts(s, "{");
    cli_quote(s, "gen", scope < a->n_gen ? a->gen[scope].name : "all");
    mgi_str_puts(s, ",");
    cli_quote(s, "opt", a->method[method].label);
    mgi_str_printf(s, ",\"queries\":%td,\"units\":%d,\"runs\":%d", a->budget[budget],
                   c->units, c->runs);
    bo_json_number(s, "activation", c->mean);
    bo_json_number(s, "low", c->ci[0]);
    bo_json_number(s, "high", c->ci[1]);
    bo_json_number(s, "norm", c->norm);
    bo_json_number(s, "norm_low", c->norm_ci[0]);
    bo_json_number(s, "norm_high", c->norm_ci[1]);
    bo_json_number(s, "opt_seconds", c->opt_s);
    bo_json_number(s, "eval_seconds", c->eval_s);
    bo_json_number(s, "worst_norm", c->worst);
    mgi_str_puts(s, ",");
    cli_quote(s, "worst_unit", worst);
    if (c->paired)
        mgi_str_printf(s, ",\"paired_units\":%d,\"wins\":%td,\"losses\":%td", c->common,
                       c->test.more, c->test.less);
    if (c->paired)
        bo_json_number(s, "p", c->test.p);
    mgi_str_puts(s, "}");
}

static void bo_json(const bo_all *a, mgi_str *s)
{
    mgi_str_puts(s, "{");
    cli_quote(s, "reference", a->method[a->ref].label);
    mgi_str_printf(s,
                   ",\"units\":%d,\"seeds\":%d,\"test\":\"Wilcoxon signed rank over "
                   "units\",\"rows\":[",
                   a->n_unit, (int)a->seeds);
    int first = 1;
    for (int scope = 0; scope < bo_scopes(a); scope++)
        for (int b = 0; b < a->n_budget; b++)
            for (int m = 0; m < a->n_method; m++, first = 0) {
                mgi_str_puts(s, first ? "" : ",");
                bo_json_row(a, scope, m, b, s);
            }
    mgi_str_puts(s, "]}");
}

/* ---- files ------------------------------------------------------------------------------ */

static mango_status bo_write(const bo_all *a, const char *name, const mgi_str *s,
                             mango_err *err)
{
    char path[4096];
    if (s->bad)
        return mgi_fail(err, MANGO_E_MEM, "table: out of memory");
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, a->out, name, err));
    return mgi_file_write(path, s->p, s->n, err);
}

mango_status bo_save(bo_all *a, mgi_str *json, mango_err *err)
{
    mgi_str table, reach;
    mgi_str_init(&table, NULL);
    mgi_str_init(&reach, NULL);
    bo_tsv(a, &table);
    bo_reach_tsv(a, &reach);
    bo_json(a, json);
    mango_status st = bo_write(a, "table.tsv", &table, err);
    if (st >= 0)
        st = bo_write(a, "queries.tsv", &reach, err);
    if (st >= 0)
        st = bo_write(a, "table.json", json, err);
    mgi_str_free(&table);
    mgi_str_free(&reach);
    return st;
}
