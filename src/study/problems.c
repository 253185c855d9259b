/* problems.c - classic problems for optimizers; see problems.h.
 *
 * The functions, with x_i counted from 1 and pi = 3.14159...:
 *     ackley       20 - 20 exp(-.2 sqrt(mean x^2)) - exp(mean cos 2 pi x) + e
 *     alpine       sum |x sin x + .1 x|
 *     exp          -exp(-.5 sum x^2)
 *     griewank     sum x^2/4000 - prod cos(x_i/sqrt(i)) + 1
 *     michalewicz  -sum sin(x_i) sin(i x_i^2/pi)^20
 *     qing         sum (x_i^2 - i)^2
 *     rastrigin    sum 10 + x^2 - 10 cos 2 pi x
 *     schaffer     sum .5 + (sin(r)^2 - .5)/(1 + .001 r^2)^2, r^2 = x_i^2 + x_{i+1}^2
 *     schwefel     sum 418.9829 - x sin sqrt|x|
 *     piston       the time a piston takes, of seven quantities
 * Source: the collection of Surjanovic and Bingham 2013; as PROTES and TTOpt use them.
 * SPDX-License-Identifier: MIT */
#include "../base/json.h"
#include "../base/real.h"
#include "problems.h"

#define PROBLEM_PI 3.14159265358979323846
#define PROBLEM_MOST 1024 /* modes */

typedef struct mgi_problem {
    const char *name;
    int kind;
    mango_idx d, n, samples;
    double f0, *a, *b, *Q; /* (d), (d); (d,d) or NULL */
    double error;
    mango_idx n_found;
    mango_problem_found *found; /* (n_found) */
} mgi_problem;

struct mango_problems {
    mango_alloc al;
    mgi_json json; /* names point into it */
    mango_idx n;
    mgi_problem *p;
};

/* ---- the functions -------------------------------------------------------------- */

static double problem_cos(double x)
{
    return mgi_cos2pi(x / (2.0 * PROBLEM_PI));
}

static double problem_sin(double x)
{
    return mgi_sin2pi(x / (2.0 * PROBLEM_PI));
}

static double problem_ackley(mango_idx d, const double *x)
{
    double s = 0.0, c = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        s += x[j] * x[j] / (double)d;
        c += mgi_cos2pi(x[j]) / (double)d;
    }
    return 20.0 - 20.0 * mgi_exp(-0.2 * sqrt(s)) - mgi_exp(c) + mgi_exp(1.0);
}

static double problem_alpine(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += fabs(x[j] * problem_sin(x[j]) + 0.1 * x[j]);
    return s;
}

static double problem_exp(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += x[j] * x[j];
    return -mgi_exp(-0.5 * s);
}

static double problem_griewank(mango_idx d, const double *x)
{
    double s = 0.0, prod = 1.0;
    for (mango_idx j = 0; j < d; j++) {
        s += x[j] * x[j] / 4000.0;
        prod *= problem_cos(x[j] / sqrt((double)(j + 1)));
    }
    return s - prod + 1.0;
}

static double problem_michalewicz(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        const double w = problem_sin((double)(j + 1) * x[j] * x[j] / PROBLEM_PI);
        const double w2 = w * w, w4 = w2 * w2, w8 = w4 * w4;
        s -= problem_sin(x[j]) * (w8 * w8 * w4); /* w^20 */
    }
    return s;
}

static double problem_qing(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++) {
        const double w = x[j] * x[j] - (double)(j + 1);
        s += w * w;
    }
    return s;
}

static double problem_rastrigin(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += 10.0 + x[j] * x[j] - 10.0 * mgi_cos2pi(x[j]);
    return s;
}

static double problem_schaffer(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j + 1 < d; j++) {
        const double r2 = x[j] * x[j] + x[j + 1] * x[j + 1], w = 1.0 + 0.001 * r2;
        const double c = problem_sin(sqrt(r2));
        s += 0.5 + (c * c - 0.5) / (w * w);
    }
    return s;
}

static double problem_schwefel(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += 418.9829 - x[j] * problem_sin(sqrt(fabs(x[j])));
    return s;
}

/* x: mass, area, volume, spring, pressure, temperature around and of the gas. */
static double problem_piston(mango_idx d, const double *x)
{
    (void)d;
    const double M = x[0], S = x[1], V0 = x[2], k = x[3], P0 = x[4], Ta = x[5], T0 = x[6];
    const double A = P0 * S + 19.62 * M - k * V0 / S;
    const double V = S / (2.0 * k) * (sqrt(A * A + 4.0 * k * P0 * V0 / T0 * Ta) - A);
    return 2.0 * PROBLEM_PI * sqrt(M / (k + S * S * P0 * V0 / T0 * Ta / (V * V)));
}

static const struct {
    const char *name;
    double (*f)(mango_idx d, const double *x);
    mango_idx d; /* that it must have; 0: any */
} problem_table[] = {
    {"ackley", problem_ackley, 0},
    {"alpine", problem_alpine, 0},
    {"exp", problem_exp, 0},
    {"griewank", problem_griewank, 0},
    {"michalewicz", problem_michalewicz, 0},
    {"qing", problem_qing, 0},
    {"rastrigin", problem_rastrigin, 0},
    {"schaffer", problem_schaffer, 0},
    {"schwefel", problem_schwefel, 0},
    {"piston", problem_piston, 7},
};

static double problem_qubo(const mgi_problem *p, const mango_idx *I)
{
    double y = p->f0;
    for (mango_idx i = 0; i < p->d; i++)
        for (mango_idx j = 0; I[i] && j < p->d; j++)
            y += p->Q[i * p->d + j] * (double)(I[i] * I[j]); /* (2) */
    return y;
}

static double problem_value(const mgi_problem *p, const mango_idx *I)
{
    double x[PROBLEM_MOST];
    if (p->Q)
        return problem_qubo(p, I);
    for (mango_idx j = 0; j < p->d; j++)
        x[j] = p->a[j] + (double)I[j] * (p->b[j] - p->a[j]) / (double)(p->n - 1); /* (1) */
    return problem_table[p->kind].f(p->d, x);
}

mango_status mango_problem_eval(const mango_problems *p, mango_idx i, mango_idx K,
                                const mango_idx *I, double *y)
{
    MGI_REQUIRE(p && i >= 0 && i < p->n && K >= 0 && (K == 0 || (I && y)));
    const mgi_problem *q = p->p + i;
    for (mango_idx e = 0; e < K * q->d; e++)
        MGI_REQUIRE(I[e] >= 0 && I[e] < q->n);
    for (mango_idx k = 0; k < K; k++)
        y[k] = problem_value(q, I + k * q->d);
    return MANGO_OK;
}

/* ---- reading ---------------------------------------------------------------------- */

static mango_status problem_bad(const mgi_problem *q, const char *what, mango_err *err)
{
    return mgi_fail(err, MANGO_E_FORMAT, "problem %.40s: %s expected", q->name, what);
}

/* n finite numbers of an array. */
static int problem_numbers(const mgi_json *j, const mgi_json_value *v, mango_idx n,
                           double *to)
{
    if (!v || v->kind != MGI_JSON_ARRAY || v->n != n)
        return 0;
    for (mango_idx k = 0; k < n; k++) {
        const mgi_json_value *x = mgi_json_at(j, v, k);
        if (x->kind != MGI_JSON_NUMBER)
            return 0;
        to[k] = x->d;
    }
    return 1;
}

static int problem_size(const mgi_json *j, const mgi_json_value *o, const char *key,
                        mango_idx lo, mango_idx hi, mango_idx *to)
{
    const mgi_json_value *v = mgi_json_get(j, o, key);
    if (!v || v->kind != MGI_JSON_NUMBER || !v->is_int || v->i < lo || v->i > hi)
        return 0;
    *to = (mango_idx)v->i;
    return 1;
}

/* Either a and b, or Q. */
static mango_status problem_shape(mango_problems *p, const mgi_json_value *o,
                                  mgi_problem *q, mango_err *err)
{
    const mgi_json *j = &p->json;
    if (!problem_size(j, o, "d", 1, PROBLEM_MOST, &q->d) ||
        !problem_size(j, o, "n", 2, 1 << 20, &q->n))
        return problem_bad(q, "d in 1..1024 and n in 2..2^20", err);
    const mgi_json_value *f0 = mgi_json_get(j, o, "f0"), *Q = mgi_json_get(j, o, "Q");
    const int qubo = !strncmp(q->name, "qubo", 4);
    q->f0 = f0 ? f0->d : 0.0;
    q->a = mgi_new(&p->al, q->d, sizeof *q->a);
    q->b = mgi_new(&p->al, q->d, sizeof *q->b);
    q->Q = qubo ? mgi_new(&p->al, q->d * q->d, sizeof *q->Q) : NULL;
    if (!q->a || !q->b || (qubo && !q->Q))
        return mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    if (!qubo && (!problem_numbers(j, mgi_json_get(j, o, "a"), q->d, q->a) ||
                  !problem_numbers(j, mgi_json_get(j, o, "b"), q->d, q->b)))
        return problem_bad(q, "arrays a and b of d numbers", err);
    if (qubo && (!Q || Q->kind != MGI_JSON_ARRAY || Q->n != q->d || q->n != 2))
        return problem_bad(q, "n = 2 and a square array Q", err);
    for (mango_idx i = 0; qubo && i < q->d; i++)
        if (!problem_numbers(j, mgi_json_at(j, Q, i), q->d, q->Q + i * q->d))
            return problem_bad(q, "a square array Q of numbers", err);
    return MANGO_OK;
}

static mango_status problem_name(mgi_problem *q, mango_err *err)
{
    const int count = (int)MGI_COUNT(problem_table);
    while (q->kind < count && strcmp(q->name, problem_table[q->kind].name))
        q->kind++;
    if (q->Q)
        return MANGO_OK;
    if (q->kind == count)
        return mgi_fail(err, MANGO_E_NAME,
                        "problem %.40s: no function of this name is known", q->name);
    if (problem_table[q->kind].d && problem_table[q->kind].d != q->d)
        return problem_bad(q, "seven modes", err);
    return MANGO_OK;
}

/* Are these the right functions? How far off are they at most? */
static mango_status problem_samples(mango_problems *p, const mgi_json_value *o,
                                    mgi_problem *q, mango_err *err)
{
    const mgi_json *j = &p->json;
    const mgi_json_value *s = mgi_json_get(j, o, "samples");
    double level[PROBLEM_MOST];
    mango_idx I[PROBLEM_MOST];
    q->samples = s && s->kind == MGI_JSON_ARRAY ? s->n : 0;
    for (mango_idx k = 0; k < q->samples; k++) {
        const mgi_json_value *row = mgi_json_at(j, s, k);
        const mgi_json_value *y =
            row->kind == MGI_JSON_OBJECT ? mgi_json_get(j, row, "y") : NULL;
        if (!y || y->kind != MGI_JSON_NUMBER ||
            !problem_numbers(j, mgi_json_get(j, row, "i"), q->d, level))
            return problem_bad(q, "samples {i, y}", err);
        for (mango_idx l = 0; l < q->d; l++) {
            if (!(level[l] >= 0.0 && level[l] < (double)q->n))
                return problem_bad(q, "levels of samples below n", err);
            I[l] = (mango_idx)level[l];
        }
        const double off = fabs(problem_value(q, I) - y->d) / (1.0 + fabs(y->d));
        q->error = off <= q->error ? q->error : off; /* NaN stays, too */
    }
    return MANGO_OK;
}

/* "METHOD m=1000": where " m=" begins, and the number. */
static mango_idx problem_budget(const char *key, mango_idx *queries)
{
    int64_t m = 0;
    const char *at = strstr(key, " m=");
    if (!at || !mgi_parse_int(at + 3, 1, 1000000000, &m))
        return -1;
    *queries = (mango_idx)m;
    return at - key;
}

static mango_status problem_found(mango_problems *p, const mgi_json_value *r,
                                  const mgi_problem *q, mango_problem_found *f,
                                  mango_err *err)
{
    const mgi_json *j = &p->json;
    const mgi_json_value *best =
        r->kind == MGI_JSON_OBJECT ? mgi_json_get(j, r, "best") : NULL;
    const mango_idx n = problem_budget(r->key, &f->queries);
    if (n < 1 || !best || best->kind != MGI_JSON_ARRAY || best->n < 1)
        return problem_bad(q, "results {\"METHOD m=QUERIES\": {best}}", err);
    const mgi_json_value *s = mgi_json_get(j, r, "seconds_per_run");
    char *name = mgi_new(&p->al, n + 1, 1);
    double *y = mgi_new(&p->al, best->n, sizeof *y);
    f->n = best->n;
    f->seconds = s && s->kind == MGI_JSON_NUMBER ? s->d : MGI_NAN;
    f->method = name;
    f->best = y;
    if (name)
        memcpy(name, r->key, (size_t)n);
    if (!name || !y)
        return mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    return problem_numbers(j, best, best->n, y) ? MANGO_OK
                                                : problem_bad(q, "numbers as best", err);
}

static mango_status problem_results(mango_problems *p, const mgi_json_value *o,
                                    mgi_problem *q, mango_err *err)
{
    const mgi_json_value *r = mgi_json_get(&p->json, o, "results");
    if (!r || r->kind != MGI_JSON_OBJECT)
        return MANGO_OK;
    q->n_found = r->n;
    q->found = mgi_new(&p->al, r->n, sizeof *q->found);
    if (!q->found)
        return mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    for (mango_idx k = 0; k < r->n; k++)
        MGI_TRY(problem_found(p, mgi_json_at(&p->json, r, k), q, q->found + k, err));
    return MANGO_OK;
}

static mango_status problem_read(mango_problems *p, mango_err *err)
{
    const mgi_json_value *root = p->json.v;
    if (root->kind != MGI_JSON_OBJECT || root->n < 1)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "problems: an object {name: problem} expected");
    p->p = mgi_new(&p->al, root->n, sizeof *p->p);
    if (!p->p)
        return mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    p->n = root->n;
    for (mango_idx i = 0; i < p->n; i++) {
        const mgi_json_value *o = mgi_json_at(&p->json, root, i);
        mgi_problem *q = p->p + i;
        q->name = o->key;
        if (o->kind != MGI_JSON_OBJECT)
            return problem_bad(q, "an object", err);
        MGI_TRY(problem_shape(p, o, q, err));
        MGI_TRY(problem_name(q, err));
        MGI_TRY(problem_samples(p, o, q, err));
        MGI_TRY(problem_results(p, o, q, err));
    }
    return MANGO_OK;
}

mango_status mango_problems_open(mango_problems **p, const char *path,
                                 const mango_alloc *al, mango_err *err)
{
    MGI_CHECK(err, p && path, "mango_problems_open: a place and a path expected");
    *p = NULL;
    const mango_alloc a = mgi_alloc_get(al);
    unsigned char *text = NULL;
    mango_idx n = 0;
    MGI_TRY(mgi_file_read(path, 1 << 26, &a, &text, &n, err));
    mango_problems *x = mgi_new(&a, 1, sizeof *x);
    mango_status st = x ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "problems: out of memory");
    if (x) {
        x->al = a;
        st = mgi_json_parse(&x->json, (const char *)text, n, &a, err);
    }
    mgi_del(&a, text, n + 1, 1);
    if (x && st < 0) { /* there is no json to free */
        mgi_del(&a, x, 1, sizeof *x);
        return st;
    }
    if (st >= 0)
        st = problem_read(x, err);
    if (st < 0)
        mango_problems_destroy(x);
    else
        *p = x;
    return st;
}

void mango_problems_destroy(mango_problems *p)
{
    if (!p)
        return;
    const mango_alloc al = p->al;
    for (mango_idx i = 0; i < p->n; i++) {
        mgi_problem *q = p->p + i;
        for (mango_idx k = 0; q->found && k < q->n_found; k++) {
            const mango_problem_found *f = q->found + k;
            if (f->method)
                mgi_del(&al, (void *)f->method, (mango_idx)strlen(f->method) + 1, 1);
            mgi_del(&al, (void *)f->best, f->n, sizeof *f->best);
        }
        mgi_del(&al, q->found, q->n_found, sizeof *q->found);
        mgi_del(&al, q->a, q->d, sizeof *q->a);
        mgi_del(&al, q->b, q->d, sizeof *q->b);
        mgi_del(&al, q->Q, q->d * q->d, sizeof *q->Q);
    }
    mgi_del(&al, p->p, p->n, sizeof *p->p);
    mgi_json_free(&p->json);
    mgi_del(&al, p, 1, sizeof *p);
}

/* ---- what there is ------------------------------------------------------------------ */

mango_idx mango_problems_count(const mango_problems *p)
{
    return p ? p->n : -1;
}

mango_status mango_problem_get_sized(const mango_problems *p, mango_idx i,
                                     mango_problem_info *info, size_t size)
{
    MGI_REQUIRE(p && info && i >= 0 && i < p->n);
    const mgi_problem *q = p->p + i;
    const mango_problem_info own = {q->name, q->d, q->n, q->samples, q->error, q->n_found};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_problem_result_sized(const mango_problems *p, mango_idx i, mango_idx k,
                                        mango_problem_found *found, size_t size)
{
    MGI_REQUIRE(p && found && i >= 0 && i < p->n && k >= 0 && k < p->p[i].n_found);
    mgi_info_out(found, size, p->p[i].found + k, sizeof *found);
    return MANGO_OK;
}

#undef PROBLEM_PI
#undef PROBLEM_MOST
