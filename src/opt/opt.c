/* opt.c - the ask/tell interface: checks, the best so far.
 * The methods themselves are one file each, behind mgi_method (method.h).
 * SPDX-License-Identifier: MIT */
#include "constraint.h"

static mango_status opt_check_modes(const mango_modes *m, mango_err *err)
{
    MGI_CHECK(err, m && m->n && m->d >= 1 && m->d <= (mango_idx)1 << 20,
              "optimizer: 1..2^20 modes expected");
    for (mango_idx j = 0; j < m->d; j++)
        MGI_CHECK(err, m->n[j] >= 1 && m->n[j] <= MANGO_REAL,
                  "mode %td has %td levels, expected 1..2^30", j, m->n[j]);
    return MANGO_OK;
}

/* Facts, and the levels that constraints leave of the modes. */
static mango_status opt_facts(mango_opt *x, const mango_modes *modes,
                              const mango_facts *facts, mango_err *err)
{
    MGI_TRY(mgi_facts_copy(&x->facts, facts, modes, &x->al, err));
    MGI_TRY(mgi_constraint_create(&x->constraint, modes, &x->facts, &x->al, err));
    if (!x->constraint)
        return MANGO_OK;
    mango_facts full = x->facts;
    mango_facts_defaults(&x->facts);
    if (x->constraint->masked)
        memcpy(x->n, x->constraint->few, (size_t)x->d * sizeof *x->n);
    const mango_modes few = {x->d, x->n};
    const mango_status st =
        mgi_constraint_facts(x->constraint, &x->facts, &full, &few, &x->al, err);
    mgi_facts_free(&full, modes, &x->al);
    return st;
}

/* What the object holds of its own, then the method's state. */
static mango_status opt_build(mango_opt *x, const mango_modes *modes,
                              const mango_facts *facts, mango_err *err)
{
    x->n = mgi_new(&x->al, x->d, sizeof *x->n);
    x->best_I = mgi_new(&x->al, x->d, sizeof *x->best_I);
    if (!x->n || !x->best_I)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory for %td modes", x->d);
    memcpy(x->n, modes->n, (size_t)x->d * sizeof *x->n);
    MGI_TRY(opt_facts(x, modes, facts, err));
    return x->method->create ? x->method->create(x, err) : MANGO_OK;
}

mango_status mango_opt_create(mango_opt **opt, const mango_modes *modes,
                              const mango_facts *facts, const mango_opt_options *o,
                              uint64_t seed, const mango_alloc *al, mango_err *err)
{
    MGI_CHECK(err, opt, "mango_opt_create: opt is NULL");
    *opt = NULL;
    MGI_TRY(mgi_opt_check(o, err));
    MGI_TRY(opt_check_modes(modes, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_opt *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory");
    x->al = a;
    x->method = mgi_preset_find(o->preset, NULL)->method();
    x->opt = *o;
    x->d = modes->d;
    x->seed = seed;
    x->batch = 1;
    x->minimize = mgi_opt_int(x, "minimize") != 0;
    const mango_status st = opt_build(x, modes, facts, err);
    if (st < 0)
        mango_opt_destroy(x);
    else
        *opt = x;
    return st;
}

void mango_opt_destroy(mango_opt *opt)
{
    if (!opt)
        return;
    const mango_alloc al = opt->al;
    if (opt->method->destroy)
        opt->method->destroy(opt);
    const mango_modes modes = {opt->d, opt->n};
    if (opt->n)
        mgi_facts_free(&opt->facts, &modes, &al);
    mgi_constraint_free(opt->constraint, &al);
    mgi_del(&al, opt->n, opt->d, sizeof *opt->n);
    mgi_del(&al, opt->best_I, opt->d, sizeof *opt->best_I);
    mgi_del(&al, opt, 1, sizeof *opt);
}

/* ---- ask ------------------------------------------------------------------ */

MGI_FN mango_idx mgi_opt_wanted(mango_idx own, mango_idx cap, mango_idx K)
{
    return K > 0 ? K : MGI_MIN(cap, own);
}

mango_status mango_opt_ask_ids(mango_opt *opt, mango_idx cap, mango_idx *K, mango_idx *I,
                               uint64_t *id)
{
    MGI_REQUIRE(opt);
    MGI_CHECK(&opt->err, K && I && cap >= 1 && *K >= 0 && *K <= cap,
              "ask: 0 <= K <= cap, cap >= 1 expected");
    mango_idx n = *K;
    const mango_status st = opt->method->ask(opt, cap, &n, I);
    if (st < 0)
        return st;
    for (mango_idx k = 0; id && k < n; k++)
        id[k] = opt->asked + (uint64_t)k;
    opt->asked += (uint64_t)n;
    opt->last = n;
    *K = n;
    return opt->constraint ? mgi_constraint_ask(opt, n, I, id) : st;
}

mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K, mango_idx *I)
{
    return mango_opt_ask_ids(opt, cap, K, I, NULL);
}

MGI_FN mango_status mgi_opt_peek(mango_opt *opt, mango_idx skip, mango_idx K, mango_idx *I)
{
    if (!opt->method->oblivious || (opt->constraint && opt->constraint->allows))
        return MANGO_E_UNSUPPORTED;
    const uint64_t asked = opt->asked;
    opt->asked += (uint64_t)skip;
    const mango_status st = opt->method->ask(opt, K, &K, I);
    opt->asked = asked;
    if (st == MANGO_OK && opt->constraint)
        mgi_constraint_out(opt->constraint, K, I);
    return st;
}

/* ---- tell ----------------------------------------------------------------- */

/* Row k as the caller wrote it. */
static mango_told opt_row(const mgi_tells *t, mango_idx k)
{
    if (t->told)
        return t->told[k];
    const mango_told row = {MANGO_UNASKED, t->I + k * t->d, t->y[k], MGI_NAN, 1, 0.0};
    return row;
}

MGI_FN mango_told mgi_told_at(const mgi_tells *t, mango_idx k)
{
    mango_told row = opt_row(t, k);
    row.y = !mgi_is_finite(row.y) ? MGI_NAN : t->minimize ? -row.y : row.y;
    row.tie = !mgi_is_finite(row.tie) ? 0.0 : t->minimize ? -row.tie : row.tie;
    return row;
}

MGI_FN int mgi_told_better(const mango_told *a, const mango_told *b)
{
    if (mgi_is_nan(a->y) || mgi_is_nan(b->y))
        return !mgi_is_nan(a->y);
    if (a->y != b->y)
        return a->y > b->y;
    return a->tie > b->tie;
}

/* Levels of the modes, allowed or not. */
static const mango_idx *opt_levels(const mango_opt *opt)
{
    return opt->constraint ? opt->constraint->n : opt->n;
}

static mango_status opt_check_row(mango_opt *opt, mango_idx k, const mango_told *t)
{
    MGI_CHECK(&opt->err, t->I, "tell: row %td has no code", k);
    MGI_CHECK(&opt->err, t->n >= 1, "tell: row %td has %td presentations, expected 1 or more",
              k, t->n);
    MGI_CHECK(&opt->err, !(t->var < 0.0), "tell: row %td has a variance below 0", k);
    MGI_CHECK(&opt->err, t->id == MANGO_UNASKED || t->id < opt->asked,
              "tell: row %td has the id of a proposal that was not made", k);
    const mango_idx *n = opt_levels(opt);
    for (mango_idx j = 0; j < opt->d; j++)
        MGI_CHECK(&opt->err, t->I[j] >= 0 && t->I[j] < n[j],
                  "tell: row %td has level %td in mode %td, expected 0..%td", k, t->I[j], j,
                  n[j] - 1);
    return MANGO_OK;
}

static void opt_best(mango_opt *opt, const mango_told *t)
{
    if (!mgi_is_finite(t->y))
        return;
    if (opt->has_best && opt->retell &&
        memcmp(t->I, opt->best_I, (size_t)opt->d * sizeof *t->I) == 0)
        opt->best_y = t->y;
    if (opt->has_best && !(opt->minimize ? t->y < opt->best_y : t->y > opt->best_y))
        return;
    opt->has_best = 1;
    opt->best_y = t->y;
    memcpy(opt->best_I, t->I, (size_t)opt->d * sizeof *t->I);
}

/* All rows are checked before the first is taken. */
static mango_status opt_tell(mango_opt *opt, const mgi_tells *t)
{
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = opt_row(t, k);
        MGI_TRY(opt_check_row(opt, k, &row));
    }
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = opt_row(t, k);
        if (mgi_constraint_allows(opt->constraint, row.I))
            opt_best(opt, &row);
    }
    mgi_tells own = *t;
    if (opt->constraint)
        MGI_TRY(mgi_constraint_tell(opt, t, &own));
    if (opt->method->tell && own.n > 0)
        opt->method->tell(opt, &own);
    return MANGO_OK;
}

mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                            const double *y)
{
    MGI_REQUIRE(opt);
    MGI_CHECK(&opt->err, K >= 0 && (K == 0 || (I && y)),
              "tell: K >= 0, codes and values expected");
    const mgi_tells t = {K, opt->d, NULL, I, y, opt->minimize};
    return opt_tell(opt, &t);
}

mango_status mango_opt_tell_all(mango_opt *opt, mango_idx n, const mango_told *told)
{
    MGI_REQUIRE(opt);
    MGI_CHECK(&opt->err, n >= 0 && (n == 0 || told), "tell: n >= 0 and values expected");
    const mgi_tells t = {n, opt->d, told, NULL, NULL, opt->minimize};
    return opt_tell(opt, &t);
}

/* ---- the rest ------------------------------------------------------------- */

int mango_opt_allows(const mango_opt *opt, const mango_idx *I)
{
    if (!opt || !I)
        return 0;
    const mango_idx *n = opt_levels(opt);
    for (mango_idx j = 0; j < opt->d; j++)
        if (I[j] < 0 || I[j] >= n[j])
            return 0;
    return mgi_constraint_allows(opt->constraint, I);
}

mango_status mango_opt_restart(mango_opt *opt)
{
    MGI_REQUIRE(opt);
    opt->epoch++;
    if (opt->method->restart)
        opt->method->restart(opt, opt->epoch);
    return MANGO_OK;
}

mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I)
{
    MGI_REQUIRE(opt);
    if (!opt->has_best)
        return MANGO_E_STATE;
    if (y)
        *y = opt->best_y;
    if (I)
        memcpy(I, opt->best_I, (size_t)opt->d * sizeof *I);
    return MANGO_OK;
}

mango_status mango_opt_get_sized(const mango_opt *opt, mango_opt_info *info, size_t size)
{
    MGI_REQUIRE(opt && info);
    mango_opt_info own = {0};
    own.preset = opt->opt.preset;
    own.method = opt->method->name;
    own.d = opt->d;
    own.batch = opt->batch;
    own.elite = opt->elite;
    own.retell = opt->retell;
    own.ties = opt->ties;
    own.oblivious =
        opt->method->oblivious && !(opt->constraint && opt->constraint->allows);
    own.minimize = opt->minimize;
    own.asked = opt->asked;
    own.restarts = opt->epoch;
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_opt_explain(const mango_opt *opt, char *text, mango_idx cap)
{
    mgi_str s;
    if (!opt || cap < 0 || (cap > 0 && !text))
        return -1;
    mgi_str_init(&s, &opt->al);
    if (opt->method->explain)
        opt->method->explain(opt, &s);
    return mgi_str_out(&s, MANGO_OK, text, cap);
}

mango_idx mango_opt_why(const mango_opt *opt, mango_idx k, char *text, mango_idx cap)
{
    mgi_str s;
    if (!opt || cap < 0 || (cap > 0 && !text) || k < 0 || k >= opt->last)
        return -1;
    mgi_str_init(&s, &opt->al);
    if (opt->method->why)
        opt->method->why(opt, k, &s);
    return mgi_str_out(&s, MANGO_OK, text, cap);
}

const char *mango_opt_error(const mango_opt *opt)
{
    return opt ? opt->err.text : "";
}
