/* test_opt_problems.c - the 13 problems of shared data against the original PROTES.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_PROBLEM_DIM = 64 };
typedef struct t_problem {
    const char *name;
    mango_idx d, n;
    double a[T_PROBLEM_DIM], b[T_PROBLEM_DIM], f0, Q[T_PROBLEM_DIM][T_PROBLEM_DIM];
} t_problem;

static double t_problem_sum(const t_problem *p, const double *x)
{
    const double PI = 3.14159265358979323846, d = (double)p->d;
    double s = 0.0, c = 0.0, prod = 1.0;
    for (mango_idx j = 0; j < p->d; j++) {
        const double t = x[j], i = (double)(j + 1);
        if (!strcmp(p->name, "ackley")) {
            s += t * t / d;
            c += cos(2.0 * PI * t) / d;
        } else if (!strcmp(p->name, "alpine"))
            s += fabs(t * sin(t) + 0.1 * t);
        else if (!strcmp(p->name, "griewank")) {
            s += t * t / 4000.0;
            prod *= cos(t / sqrt(i));
        } else if (!strcmp(p->name, "michalewicz"))
            s -= sin(t) * pow(sin(i * t * t / PI), 20.0);
        else if (!strcmp(p->name, "qing"))
            s += (t * t - i) * (t * t - i);
        else if (!strcmp(p->name, "rastrigin"))
            s += 10.0 + t * t - 10.0 * cos(2.0 * PI * t);
        else if (!strcmp(p->name, "schwefel"))
            s += 418.9829 - t * sin(sqrt(fabs(t)));
        else if (!strcmp(p->name, "schaffer") && j + 1 < p->d) {
            const double r2 = t * t + x[j + 1] * x[j + 1], w = 1.0 + 0.001 * r2;
            s += 0.5 + (pow(sin(sqrt(r2)), 2.0) - 0.5) / (w * w);
        } else if (!strcmp(p->name, "exp"))
            s += t * t;
    }
    if (!strcmp(p->name, "ackley"))
        return 20.0 - 20.0 * exp(-0.2 * sqrt(s)) - exp(c) + exp(1.0);
    if (!strcmp(p->name, "griewank"))
        return s - prod + 1.0;
    return !strcmp(p->name, "exp") ? -exp(-0.5 * s) : s;
}

static double t_problem_piston(const double *x)
{
    const double M = x[0], S = x[1], V0 = x[2], k = x[3], P0 = x[4], Ta = x[5], T0 = x[6];
    const double A = P0 * S + 19.62 * M - k * V0 / S;
    const double V = S / (2.0 * k) * (sqrt(A * A + 4.0 * k * P0 * V0 / T0 * Ta) - A);
    return 2.0 * 3.14159265358979323846 *
           sqrt(M / (k + S * S * P0 * V0 / T0 * Ta / (V * V)));
}

static double t_problem_eval(const t_problem *p, const mango_idx *I)
{
    double x[T_PROBLEM_DIM], y = p->f0;
    if (!strncmp(p->name, "qubo", 4)) {
        for (mango_idx i = 0; i < p->d; i++)
            for (mango_idx j = 0; I[i] && j < p->d; j++)
                y += I[j] ? p->Q[i][j] : 0.0;
        return y;
    }
    for (mango_idx j = 0; j < p->d; j++)
        x[j] = p->a[j] + (double)I[j] * (p->b[j] - p->a[j]) / (double)(p->n - 1);
    return !strcmp(p->name, "piston") ? t_problem_piston(x) : t_problem_sum(p, x);
}

static void t_problem_load(const mgi_json *j, const mgi_json_value *o, t_problem *p)
{
    memset(p, 0, sizeof *p);
    p->name = o->key;
    p->d = (mango_idx)mgi_json_get(j, o, "d")->i;
    p->n = (mango_idx)mgi_json_get(j, o, "n")->i;
    const mgi_json_value *a = mgi_json_get(j, o, "a"), *b = mgi_json_get(j, o, "b");
    const mgi_json_value *Q = mgi_json_get(j, o, "Q"), *f0 = mgi_json_get(j, o, "f0");
    p->f0 = f0 ? f0->d : 0.0;
    T_REQUIRE(p->d <= T_PROBLEM_DIM);
    for (mango_idx i = 0; i < p->d; i++) {
        p->a[i] = a ? mgi_json_at(j, a, i)->d : 0.0;
        p->b[i] = b ? mgi_json_at(j, b, i)->d : 0.0;
        for (mango_idx k = 0; Q && k < p->d; k++)
            p->Q[i][k] = mgi_json_at(j, mgi_json_at(j, Q, i), k)->d;
    }
    const mgi_json_value *s = mgi_json_get(j, o, "samples");
    for (mango_idx k = 0; k < s->n; k++) { /* are these the right functions? */
        const mgi_json_value *row = mgi_json_at(j, s, k), *i = mgi_json_get(j, row, "i");
        mango_idx I[T_PROBLEM_DIM];
        for (mango_idx l = 0; l < p->d; l++)
            I[l] = (mango_idx)mgi_json_at(j, i, l)->i;
        const double y = mgi_json_get(j, row, "y")->d;
        T_NEAR(t_problem_eval(p, I), y, 1e-6 * (1.0 + fabs(y)));
    }
}

/* Best after 1,000 and after 10,000 queries of one run. */
static void t_problem_solve(const t_problem *p, uint64_t seed, double best[2])
{
    static mango_idx I[100 * T_PROBLEM_DIM];
    mango_idx n[T_PROBLEM_DIM];
    double y[100];
    mango_opt_options o;
    mango_opt *opt;
    for (mango_idx j = 0; j < p->d; j++)
        n[j] = p->n;
    const mango_modes m = {p->d, n};
    T_STATUS(mango_opt_defaults("protes", &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_set(&o, "minimize", 1, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, seed, NULL, NULL), MANGO_OK);
    for (int round = 0; round < 100; round++) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(opt, 100, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++)
            y[k] = t_problem_eval(p, I + k * p->d);
        T_STATUS(mango_opt_tell(opt, K, I, y), MANGO_OK);
        if (round == 9 || round == 99)
            T_STATUS(mango_opt_best(opt, best + (round == 99), NULL), MANGO_OK);
    }
    mango_opt_destroy(opt);
}

static void t_problem_stats(const double *x, mango_idx n, double *mean, double *var)
{
    *mean = *var = 0.0;
    for (mango_idx i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (mango_idx i = 0; i < n; i++)
        *var += (x[i] - *mean) * (x[i] - *mean) / (double)(n > 1 ? n - 1 : 1);
}

/* Not worse than the original by more than 4 standard errors of the difference. */
static void t_problem_level(const mgi_json *j, const mgi_json_value *o, const char *key,
                        const double *ours, mango_idx n)
{
    double theirs[64], m1, m2, v1, v2;
    const mgi_json_value *r = mgi_json_get(j, mgi_json_get(j, o, "results"), key);
    const mgi_json_value *b = r ? mgi_json_get(j, r, "best") : NULL;
    T_REQUIRE(b && b->n >= 1 && b->n <= 64);
    for (mango_idx i = 0; i < b->n; i++)
        theirs[i] = mgi_json_at(j, b, i)->d;
    t_problem_stats(ours, n, &m1, &v1);
    t_problem_stats(theirs, b->n, &m2, &v2);
    const double se = sqrt(v1 / (double)n + v2 / (double)b->n);
    if (getenv("MANGO_VERBOSE"))
        printf("    %-14s %-30s ours %.6g +- %.2g  original %.6g +- %.2g\n", o->key, key,
               m1, sqrt(v1), m2, sqrt(v2));
    T_CHECK(m1 <= m2 + 4.0 * se + 1e-6 * fabs(m2));
}

static void t_problem_all(void)
{
    enum { SEEDS = 10 };
    static t_problem p;
    const char *path = t_shared("data/problems.json");
    unsigned char *text = NULL;
    mango_idx size = 0;
    mgi_json j;
    mango_err err = {""};
    if (!path)
        T_SKIP("no shared data");
    const mango_alloc al = mgi_alloc_get(NULL);
    T_OK_OR_RETURN(mgi_file_read(path, 1 << 24, NULL, &text, &size, &err), &err);
    T_OK_OR_RETURN(mgi_json_parse(&j, (const char *)text, size, NULL, &err), &err);
    for (mango_idx i = 0; i < j.v[0].n; i++) {
        const mgi_json_value *o = mgi_json_at(&j, &j.v[0], i);
        double small[SEEDS], large[SEEDS], best[2] = {0.0, 0.0};
        t_problem_load(&j, o, &p);
        for (int s = 0; s < SEEDS; s++) {
            t_problem_solve(&p, (uint64_t)s, best);
            small[s] = best[0];
            large[s] = best[1];
        }
        t_problem_level(&j, o, "protes k=100 k_top=10 m=1000", small, SEEDS);
        t_problem_level(&j, o, "protes k=100 k_top=10 m=10000", large, SEEDS);
    }
    mgi_json_free(&j);
    mgi_del(&al, text, size + 1, 1);
}

void t_opt_problems(void)
{
    T_CASE(t_problem_all);
}
