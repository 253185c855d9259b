/* es.c - evolution strategies that adapt a normal distribution: see es.h for the
 * equations.
 * SPDX-License-Identifier: MIT */
#include "es.h"
#include "../base/real.h"
#include "../base/rng.h"
#include "../math/eigen.h"

#define ES_RNG 0x45530001u
#define ES_LEAST 1e-11 /* the widest axis: less than the distance of MANGO_REAL's levels */
#define ES_MOST 16.0   /* and standard deviations at most                               */

/* ---- ask ------------------------------------------------------------------ */

/* (38) for proposal id. Where values are noisy the first of a generation is the mean: it
 * is better than most that were drawn about it, and what a final race should know. */
static void es_draw(const mango_opt *o, uint64_t id, double *z)
{
    const mgi_es *e = o->state;
    const int mean = o->facts.noisy && e->generations > 0 && id % (uint64_t)e->lambda == 0;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, ES_RNG, id);
    for (mango_idx j = 0; j < e->d; j++)
        z[j] = mean ? 0.0 : mango_rng_normal(&rng);                             /* (38) */
}

static void es_note(mgi_es *e, uint64_t id, const double *t)
{
    const mango_idx slot = (mango_idx)(id % (uint64_t)e->cap);
    e->drawn_id[slot] = id + 1;
    memcpy(e->drawn + slot * e->d, t, (size_t)e->d * sizeof *t);
}

MGI_FN mango_status mgi_es_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_es *e = o->state;
    double *z = e->work, *y = e->work + e->d;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        es_draw(o, o->asked + (uint64_t)k, z);
        e->shape->stretch(e, z, y);                                             /* (39) */
        for (mango_idx j = 0; j < e->d; j++)
            y[j] = e->m[j] + e->sigma * y[j];                                   /* (40) */
        mgi_axes_code(&e->axes, y, I + k * e->d);
        if (e->drawn)
            es_note(e, o->asked + (uint64_t)k, y);
    }
    return MANGO_OK;
}

/* ---- weights and rates, table 1 ------------------------------------------- */

static int es_better(const mgi_es_row *a, const mgi_es_row *b)
{
    return a->y != b->y ? a->y > b->y : a->tie > b->tie;
}

static int es_equal(const mgi_es_row *a, const mgi_es_row *b)
{
    return a->y == b->y && a->tie == b->tie;
}

/* Rows best first; equal ones as they came. */
static mango_idx es_sort(mgi_es *e)
{
    mango_idx n = 0;
    for (mango_idx i = 0; i < e->rows + e->others; i++) {
        const mango_idx r = i < e->rows ? i : e->cap + i - e->rows;
        mango_idx at = n++;
        for (; at > 0 && es_better(e->row + r, e->row + e->order[at - 1]); at--)
            e->order[at] = e->order[at - 1];
        e->order[at] = r;
    }
    return n;
}

/* w of the n rows that have a value; of equal ones the mean. */
static void es_preferences(mgi_es *e, mango_idx n)
{
    const double half = mgi_log(0.5 * (double)(n + 1));
    for (mango_idx i = 0; i < n;) {
        double sum = 0.0;
        mango_idx to = i;
        for (; to < n && es_equal(e->row + e->order[i], e->row + e->order[to]); to++)
            sum += half - mgi_log((double)(to + 1));                            /* (49) */
        const double w = sum / (double)(to - i);
        for (; i < to; i++)
            e->row[e->order[i]].w = w;
    }
}

/* Weights above 0 sum to 1; those below are left aside. Returns mu_eff. */
static double es_positive(mgi_es *e, mango_idx n)
{
    double sum = 0.0, squares = 0.0;
    for (mango_idx i = 0; i < n; i++)
        sum += MGI_MAX(e->row[e->order[i]].w, 0.0);
    for (mango_idx i = 0; i < n; i++) {
        mgi_es_row *r = e->row + e->order[i];
        if (r->w <= 0.0)
            continue;
        r->w /= sum;                                                            /* (53) */
        squares += r->w * r->w;
    }
    return 1.0 / squares;
}

static void es_rates(mgi_es *e, double mu_eff)
{
    mgi_es_rates *r = &e->rate;
    const double d = (double)e->d, faster = e->separable ? (d + 2.0) / 3.0 : 1.0;
    const double root = sqrt((mu_eff - 1.0) / (d + 1.0)) - 1.0;
    r->mu_eff = mu_eff;
    r->c_s = (mu_eff + 2.0) / (d + mu_eff + 5.0);                               /* (55) */
    r->d_s = 1.0 + 2.0 * MGI_MAX(0.0, root) + r->c_s;
    r->c_c = (4.0 + mu_eff / d) / (d + 4.0 + 2.0 * mu_eff / d);                 /* (56) */
    r->c_1 = 2.0 / ((d + 1.3) * (d + 1.3) + mu_eff);                            /* (57) */
    r->c_1 = MGI_MIN(0.5, faster * r->c_1);
    const double c_mu = 2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) /
                        ((d + 2.0) * (d + 2.0) + mu_eff);
    r->c_mu = MGI_MIN(1.0 - r->c_1, faster * c_mu);                             /* (58) */
}

/* Weights below 0: of own rows, scaled by (50)-(53); of the others none. */
static void es_negative(mgi_es *e, mango_idx n)
{
    const mgi_es_rates *r = &e->rate;
    double sum = 0.0, squares = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        mgi_es_row *row = e->row + e->order[i];
        if (row->w >= 0.0)
            continue;
        if (!e->active || e->order[i] >= e->cap || r->c_mu <= 0.0)
            row->w = 0.0;
        sum -= row->w;
        squares += row->w * row->w;
    }
    if (sum <= 0.0)
        return;
    const double mu_minus = sum * sum / squares, d = (double)e->d;
    double scale = 1.0 + r->c_1 / r->c_mu;                                      /* (50) */
    scale = MGI_MIN(scale, 1.0 + 2.0 * mu_minus / (r->mu_eff + 2.0));           /* (51) */
    scale = MGI_MIN(scale, (1.0 - r->c_1 - r->c_mu) / (d * r->c_mu));           /* (52) */
    for (mango_idx i = 0; i < n; i++) {
        mgi_es_row *row = e->row + e->order[i];
        if (row->w < 0.0)
            row->w *= scale / sum;                                              /* (53) */
    }
}

/* ---- one generation ------------------------------------------------------- */

/* Rows of x become steps y, cut to the length that is to be expected; negative weights
 * go by that length, (46). */
static void es_steps(mgi_es *e, mango_idx n)
{
    const double d = (double)e->d, longest = sqrt(d) + 2.0 * d / (d + 2.0);
    double *z = e->work;
    for (mango_idx i = 0; i < n; i++) {
        double *y = e->x + e->order[i] * e->d;
        mgi_es_row *row = e->row + e->order[i];
        for (mango_idx j = 0; j < e->d; j++)
            y[j] = (y[j] - e->m[j]) / e->sigma;
        e->shape->whiten(e, y, z);
        const double length = sqrt(mgi_dot64(e->d, z, z));
        const double cut = length > longest ? longest / length : 1.0;
        for (mango_idx j = 0; j < e->d; j++)
            y[j] *= cut;
        if (row->w < 0.0)
            row->w *= d / MGI_MAX(length * length * cut * cut, 1e-9 * d);       /* (46) */
    }
}

/* (41), (42), (43), (45): where the mean goes, and the two paths. Returns h. */
static int es_move(mgi_es *e, mango_idx n)
{
    const mgi_es_rates *r = &e->rate;
    const double d = (double)e->d;
    double *z = e->work, *mean = e->work + e->d;
    memset(mean, 0, (size_t)e->d * sizeof *mean);
    for (mango_idx i = 0; i < n; i++) {
        const mgi_es_row *row = e->row + e->order[i];
        const double *y = e->x + e->order[i] * e->d;
        for (mango_idx j = 0; row->w > 0.0 && j < e->d; j++)
            mean[j] += row->w * y[j];                                           /* (41) */
    }
    e->shape->whiten(e, mean, z);
    const double s = sqrt(r->c_s * (2.0 - r->c_s) * r->mu_eff);
    const double c = sqrt(r->c_c * (2.0 - r->c_c) * r->mu_eff);
    for (mango_idx j = 0; j < e->d; j++) {
        e->m[j] += e->sigma * mean[j];                                          /* (42) */
        e->ps[j] = (1.0 - r->c_s) * e->ps[j] + s * z[j];                        /* (43) */
    }
    e->fade *= (1.0 - r->c_s) * (1.0 - r->c_s);
    const double length = sqrt(mgi_dot64(e->d, e->ps, e->ps) / (1.0 - e->fade));
    const int h = length < (1.4 + 2.0 / (d + 1.0)) * sqrt(d) * (1.0 - 0.25 / d);
    for (mango_idx j = 0; j < e->d; j++)
        e->pc[j] = (1.0 - r->c_c) * e->pc[j] + (h ? c * mean[j] : 0.0);         /* (45) */
    return h;
}

/* (44), with a step of the logarithm of 1 at most. */
static void es_stride(mgi_es *e)
{
    const mgi_es_rates *r = &e->rate;
    const double d = (double)e->d;
    const double expected = sqrt(d) * (1.0 - 0.25 / d + 1.0 / (21.0 * d * d));
    const double length = sqrt(mgi_dot64(e->d, e->ps, e->ps));
    e->sigma *= mgi_exp(MGI_MIN(1.0, r->c_s / r->d_s * (length / expected - 1.0)));
    e->sigma = MGI_MIN(e->sigma, ES_MOST / e->shape->widest(e));
}

/* Are all own codes of the generation one and the same? */
static int es_collapsed(const mgi_es *e)
{
    const size_t row = (size_t)e->d * sizeof *e->x;
    for (mango_idx i = 1; i < e->rows; i++)
        if (memcmp(e->x, e->x + i * e->d, row) != 0)
            return 0;
    return e->rows > 1;
}

static void es_learn(mgi_es *e, mango_idx n)
{
    es_preferences(e, n);
    es_rates(e, es_positive(e, n));
    es_negative(e, n);
    const mgi_es_rates *r = &e->rate;
    double sum = 0.0, keep = 1.0 - r->c_1;
    for (mango_idx i = 0; i < n; i++)
        sum += e->row[e->order[i]].w;
    es_steps(e, n);
    const int h = es_move(e, n);
    keep += h ? 0.0 : r->c_1 * r->c_c * (2.0 - r->c_c);
    e->shape->learn(e, keep - r->c_mu * sum);                                   /* (47) */
    es_stride(e);
}

static void es_start(mgi_es *e)
{
    const mgi_axes *a = &e->axes;
    const double zero = a->latent ? MGI_MIN(MGI_MAX(0.0, a->lo), a->hi) : 0.0;
    for (mango_idx j = 0; j < e->d; j++)
        e->m[j] = zero;
    memset(e->ps, 0, (size_t)e->d * sizeof *e->ps);
    memset(e->pc, 0, (size_t)e->d * sizeof *e->pc);
    e->sigma = e->sigma0;
    e->fade = 1.0;
    e->stale = 0;
    e->shape->reset(e);
}

/* The generation has ended. */
static void es_update(mgi_es *e)
{
    const int collapsed = es_collapsed(e);
    const mango_idx n = es_sort(e);
    if (n > 1 && !es_equal(e->row + e->order[0], e->row + e->order[n - 1]))
        es_learn(e, n);
    e->rows = e->others = e->told = 0;
    e->generations++;
    if (!collapsed && e->sigma * e->shape->widest(e) > ES_LEAST)
        return;
    e->restarts++;
    es_start(e);
}

/* ---- tell ----------------------------------------------------------------- */

/* Is what was drawn in a slot what led to the code of t? */
static int es_led_to(const mgi_es *e, mango_idx slot, const mango_told *t)
{
    const double *x = e->drawn + slot * e->d;
    if (e->drawn_id[slot] == 0 || (t->id != MANGO_UNASKED && e->drawn_id[slot] != t->id + 1))
        return 0;
    for (mango_idx j = 0; j < e->d; j++)
        if (mgi_axes_level(&e->axes, j, x[j]) != t->I[j])
            return 0;
    return 1;
}

/* On real modes the places of a code are those that were drawn, where that is known. */
static void es_unfold(const mgi_es *e, const mango_told *t, double *x)
{
    mango_idx slot = 0;
    while (slot < e->cap && !es_led_to(e, slot, t))
        slot++;
    for (mango_idx j = 0; slot < e->cap && j < e->d; j++)
        if (e->axes.n[j] == MANGO_REAL)
            x[j] = e->drawn[slot * e->d + j];
}

static void es_put(mgi_es *e, mango_idx r, const mango_told *t)
{
    e->row[r].y = t->y;
    e->row[r].tie = t->tie;
    e->row[r].id = t->id;
    mgi_axes_places(&e->axes, t->I, e->x + r * e->d);
    if (e->drawn)
        es_unfold(e, t, e->x + r * e->d);
}

/* The row that a value goes to: one more, or that of the same proposal told before. */
static mango_idx es_find(const mgi_es *e, uint64_t id)
{
    for (mango_idx i = 0; id != MANGO_UNASKED && i < e->rows; i++)
        if (e->row[i].id == id)
            return i;
    return e->rows;
}

static void es_own(mgi_es *e, const mango_told *t)
{
    const mango_idx r = mgi_is_nan(t->y) ? -1 : es_find(e, t->id);
    if (r < 0 || r == e->rows)
        e->told++;
    if (r < 0)
        return;
    es_put(e, r, t);
    e->rows += r == e->rows;
}

/* A code that others proposed: the best `inject` of them stay, no code twice. */
static void es_other(mgi_es *e, const mango_told *t)
{
    const mgi_es_row own = {t->y, t->tie, 0.0, t->id};
    mango_idx at = e->cap + e->others;
    const size_t row = (size_t)e->d * sizeof *e->x;
    if (mgi_is_nan(t->y) || e->inject == 0)
        return;
    double *x = e->work;
    mgi_axes_places(&e->axes, t->I, x);
    for (mango_idx r = e->cap; r < e->cap + e->others; r++) {
        if (memcmp(x, e->x + r * e->d, row) == 0)
            return;
        if (e->others == e->inject &&
            (at == e->cap + e->others || es_better(e->row + at, e->row + r)))
            at = r; /* the worst */
    }
    if (e->others == e->inject && !es_better(&own, e->row + at))
        return;
    e->others += e->others < e->inject;
    e->row[at] = own;
    memcpy(e->x + at * e->d, x, row);
}

/* Without ids every row counts as an own one. */
MGI_FN void mgi_es_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_es *e = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        if (t->told && row.id == MANGO_UNASKED)
            es_other(e, &row);
        else
            es_own(e, &row);
        if (e->told == e->cap)
            es_update(e);
    }
    if (e->told >= e->lambda)
        es_update(e);
}

MGI_FN void mgi_es_restart(mango_opt *o, uint64_t epoch)
{
    mgi_es *e = o->state;
    (void)epoch; /* the streams of the proposals go on */
    e->rows = e->others = e->told = 0;
    es_start(e);
}

/* ---- for people ----------------------------------------------------------- */

MGI_FN void mgi_es_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_es *e = o->state;
    const double length = sqrt(mgi_dot64(e->d, e->m, e->m));
    double least = e->D[0], most = e->D[0];
    for (mango_idx j = 1; j < e->d; j++) {
        least = MGI_MIN(least, e->D[j]);
        most = MGI_MAX(most, e->D[j]);
    }
    mgi_str_printf(s, "normal distribution, %s covariance, %td modes\n", e->shape->name, e->d);
    mgi_str_printf(s, "generation %llu of %td, %td values of the next, %llu restarts\n",
                   (unsigned long long)e->generations, e->lambda, e->told,
                   (unsigned long long)e->restarts);
    mgi_str_printf(s, "step sigma %.4g, axes %.4g to %.4g of it\n", e->sigma, least, most);
    mgi_str_printf(s, "mean at distance %.4g, its first modes", length);
    for (mango_idx j = 0; j < MGI_MIN(e->d, 8); j++)
        mgi_str_printf(s, " %.3g", e->m[j]);
    mgi_str_puts(s, "\n");
}

MGI_FN void mgi_es_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_es *e = o->state;
    (void)k;
    mgi_str_printf(s, "drawn around the mean of generation %llu, sigma %.3g",
                   (unsigned long long)e->generations, e->sigma);
}

/* ---- life ----------------------------------------------------------------- */

MGI_FN void mgi_es_destroy(mango_opt *o)
{
    mgi_es *e = o->state;
    if (!e)
        return;
    const mango_idx d = e->d, all = e->cap + e->inject, square = e->separable ? d : d * d;
    mgi_axes_free(&e->axes);
    mgi_del(&o->al, e->m, d, sizeof *e->m);
    mgi_del(&o->al, e->ps, d, sizeof *e->ps);
    mgi_del(&o->al, e->pc, d, sizeof *e->pc);
    mgi_del(&o->al, e->C, square, sizeof *e->C);
    mgi_del(&o->al, e->B, square, sizeof *e->B);
    mgi_del(&o->al, e->D, d, sizeof *e->D);
    mgi_del(&o->al, e->x, all * d, sizeof *e->x);
    mgi_del(&o->al, e->drawn, e->cap * d, sizeof *e->drawn);
    mgi_del(&o->al, e->drawn_id, e->cap, sizeof *e->drawn_id);
    mgi_del(&o->al, e->row, all, sizeof *e->row);
    mgi_del(&o->al, e->order, all, sizeof *e->order);
    mgi_del(&o->al, e->work, e->work_n, sizeof *e->work);
    mgi_del(&o->al, e, 1, sizeof *e);
}

static int es_memory(mango_opt *o, mgi_es *e)
{
    const mango_idx d = e->d, all = e->cap + e->inject, square = e->separable ? d : d * d;
    mango_idx numbers;
    if (!mgi_mul(all, d, &numbers))
        return 0;
    e->m = mgi_new(&o->al, d, sizeof *e->m);
    e->ps = mgi_new(&o->al, d, sizeof *e->ps);
    e->pc = mgi_new(&o->al, d, sizeof *e->pc);
    e->C = mgi_new(&o->al, square, sizeof *e->C);
    e->B = e->separable ? NULL : mgi_new(&o->al, square, sizeof *e->B);
    e->D = mgi_new(&o->al, d, sizeof *e->D);
    e->x = mgi_new(&o->al, numbers, sizeof *e->x);
    e->drawn = e->axes.real ? mgi_new(&o->al, e->cap * d, sizeof *e->drawn) : NULL;
    e->drawn_id = mgi_new(&o->al, e->cap, sizeof *e->drawn_id);
    e->row = mgi_new(&o->al, all, sizeof *e->row);
    e->order = mgi_new(&o->al, all, sizeof *e->order);
    e->work_n = e->separable ? 2 * d : 6 * d + square;
    e->work = mgi_new(&o->al, e->work_n, sizeof *e->work);
    return e->m && e->ps && e->pc && e->C && (e->separable || e->B) && e->D && e->x &&
           (e->drawn || !e->axes.real) && e->drawn_id && e->row && e->order && e->work;
}

/* 4 + 3 ln d, (48), or what was asked for. */
static mango_idx es_lambda(const mango_opt *o)
{
    const mango_idx k = mgi_opt_int(o, "k");
    return k ? MGI_MAX(k, 2) : 4 + (mango_idx)(3.0 * mgi_log((double)o->d));
}

MGI_FN mango_status mgi_es_create(mango_opt *o, const mgi_es_shape *s, int full,
                                  mango_err *err)
{
    mgi_es *e = mgi_new(&o->al, 1, sizeof *e);
    o->state = e;
    if (!e)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", o->method->name);
    e->shape = s;
    e->d = o->d;
    e->separable = !full;
    e->lambda = es_lambda(o);
    e->cap = 2 * e->lambda;
    e->inject = mgi_opt_int(o, "inject");
    MGI_TRY(mgi_axes_create(&e->axes, o, mgi_axes_how(o), err));
    e->sigma0 = mgi_opt_real(o, "sigma");
    if (e->sigma0 == 0.0)
        e->sigma0 = e->axes.latent ? 1.4 : o->d < 18 ? 0.3 : 0.15;
    const int choices = !e->axes.latent && e->axes.real < o->d;
    e->active = mgi_opt_int(o, "active") != 0 && !choices;
    if (!es_memory(o, e))
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %td modes",
                        o->method->name, o->d);
    o->batch = e->lambda;
    o->ties = 1;
    es_start(e);
    return MANGO_OK;
}

#undef ES_RNG
#undef ES_LEAST
#undef ES_MOST
