/* wilcoxon.c - rank tests, exact for small samples: signed-rank and rank-sum.
 *
 * Ranks are doubled, so that the mean rank of equal values is a whole number. The
 * distribution of a sum of ranks over all signs, or all choices, is then a table of
 * whole numbers that grows by one value at a time:
 *     signs    P_i(s)    = (P_{i-1}(s) + P_{i-1}(s - r_i)) / 2                      (3)
 *     choices  C_i(k, s) = C_{i-1}(k, s) + C_{i-1}(k - 1, s - r_i)                  (4)
 * Source: Wilcoxon 1945, Mann and Whitney 1947; see statistics.h.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "statistics.h"
#include <stdlib.h>

#define RANK_SIGNS 200  /* differences of an exact signed-rank test, at most */
#define RANK_CHOICES 60 /* values of an exact rank-sum test, at most         */

/* A value and where it came from: > 0 or 0, the first sample or the second. */
typedef struct rank_value {
    double y;
    int first;
    mango_idx r; /* twice its rank */
} rank_value;

static int rank_order(const void *a, const void *b)
{
    const double x = ((const rank_value *)a)->y, y = ((const rank_value *)b)->y;
    return (x > y) - (x < y);
}

static int rank_equal(double a, double b, double tie)
{
    return a == b || fabs(a - b) <= tie * MGI_MAX(fabs(a), fabs(b));
}

/* Sort, and give the mean of their ranks to equal ones; returns the sum of t^3 - t over
 * the groups of t equal ones. */
static double rank_give(mango_idx n, rank_value *v, double tie)
{
    double ties = 0.0;
    qsort(v, (size_t)n, sizeof *v, rank_order);
    for (mango_idx i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && rank_equal(v[end - 1].y, v[end].y, tie);)
            end++;
        for (mango_idx k = i; k < end; k++)
            v[k].r = i + 1 + end; /* twice the mean of i + 1 .. end */
        const double t = (double)(end - i);
        ties += t * t * t - t;
    }
    return ties;
}

/* Two-sided: twice the smaller tail, at most 1. */
static double rank_two_sided(double lower, double upper)
{
    return MGI_MIN(1.0, 2.0 * MGI_MIN(lower, upper));
}

static double rank_normal(double z)
{
    return 1.0 - mgi_erf(fabs(z) / sqrt(2.0));
}

/* ---- signed ranks ------------------------------------------------------------ */

/* (3); w is twice W+. */
static mango_status rank_signs(mango_idx n, const rank_value *v, mango_idx w, double *p,
                               const mango_alloc *al)
{
    const mango_idx size = n * (n + 1) + 1;
    double *P = mgi_new(al, size, sizeof *P), lower = 0.0, upper = 0.0;
    if (!P)
        return MANGO_E_MEM;
    P[0] = 1.0;
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx s = size - 1; s >= 0; s--)
            P[s] = 0.5 * (P[s] + (s >= v[i].r ? P[s - v[i].r] : 0.0)); /* (3) */
    for (mango_idx s = 0; s < size; s++) {
        lower += s <= w ? P[s] : 0.0;
        upper += s >= w ? P[s] : 0.0;
    }
    *p = rank_two_sided(lower, upper);
    mgi_del(al, P, size, sizeof *P);
    return MANGO_OK;
}

static double rank_signs_normal(mango_idx n, double ties, double W)
{
    const double k = (double)n, mean = k * (k + 1.0) / 4.0;
    const double var = k * (k + 1.0) * (2.0 * k + 1.0) / 24.0 - ties / 48.0;
    return rank_normal((W - mean) / sqrt(var));
}

static mango_status rank_wilcoxon(mango_idx n, rank_value *v, double tie, mango_test *t,
                                  const mango_alloc *al)
{
    mango_idx w = 0;
    const double ties = rank_give(n, v, tie);
    for (mango_idx i = 0; i < n; i++)
        w += v[i].first ? v[i].r : 0; /* (1), twice */
    t->statistic = 0.5 * (double)w;
    t->exact = n <= RANK_SIGNS;
    if (t->exact)
        return rank_signs(n, v, w, &t->p, al);
    t->p = rank_signs_normal(n, ties, t->statistic);
    return MANGO_OK;
}

mango_status mango_wilcoxon(mango_idx n, const double *d, double tie, mango_test *test,
                            const mango_alloc *al)
{
    MGI_REQUIRE(n >= 0 && (d || n == 0) && test && tie >= 0.0);
    const mango_alloc a = mgi_alloc_get(al);
    for (mango_idx i = 0; i < n; i++)
        MGI_REQUIRE(mgi_is_finite(d[i]));
    rank_value *v = mgi_new(&a, n, sizeof *v);
    if (!v)
        return MANGO_E_MEM;
    mango_test t = {0, 0, 0, 0.0, 1.0, 1};
    mango_idx left = 0;
    for (mango_idx i = 0; i < n; i++) {
        const double y = fabs(d[i]);
        if (y <= tie) {
            t.equal++;
            continue;
        }
        v[left].first = d[i] > 0.0;
        v[left].y = y;
        t.more += v[left].first;
        t.less += !v[left].first;
        left++;
    }
    const mango_status st = rank_wilcoxon(left, v, tie, &t, &a);
    mgi_del(&a, v, n, sizeof *v);
    if (st == MANGO_OK)
        *test = t;
    return st;
}

/* ---- sums of ranks ----------------------------------------------------------- */

/* (4): n of N values; w is twice the sum of ranks of the first sample. */
static mango_status rank_choices(mango_idx N, mango_idx n, const rank_value *v, mango_idx w,
                                 double *p, const mango_alloc *al)
{
    const mango_idx size = N * (N + 1) + 1;
    double *C = mgi_new(al, (n + 1) * size, sizeof *C);
    double lower = 0.0, upper = 0.0, all = 0.0;
    if (!C)
        return MANGO_E_MEM;
    C[0] = 1.0;
    for (mango_idx i = 0; i < N; i++)
        for (mango_idx k = MGI_MIN(n, i + 1); k >= 1; k--)
            for (mango_idx s = v[i].r; s < size; s++)
                C[k * size + s] += C[(k - 1) * size + s - v[i].r]; /* (4) */
    for (mango_idx s = 0; s < size; s++) {
        const double c = C[n * size + s];
        all += c;
        lower += s <= w ? c : 0.0;
        upper += s >= w ? c : 0.0;
    }
    *p = rank_two_sided(lower / all, upper / all);
    mgi_del(al, C, (n + 1) * size, sizeof *C);
    return MANGO_OK;
}

static double rank_sum_normal(mango_idx n, mango_idx m, double ties, double U)
{
    const double a = (double)n, b = (double)m, N = a + b;
    const double var = a * b / 12.0 * (N + 1.0 - ties / (N * (N - 1.0)));
    const double far = fabs(U - 0.5 * a * b) - 0.5;
    return var > 0.0 && far > 0.0 ? rank_normal(far / sqrt(var)) : 1.0;
}

/* How many pairs there are of each kind. */
static void rank_pairs(mango_idx N, const rank_value *v, mango_test *t)
{
    for (mango_idx i = 0; i < N; i++)
        for (mango_idx j = 0; j < N && v[i].first; j++) {
            t->more += !v[j].first && v[i].r > v[j].r;
            t->less += !v[j].first && v[i].r < v[j].r;
            t->equal += !v[j].first && v[i].r == v[j].r;
        }
}

mango_status mango_rank_sum(mango_idx n, const double *x, mango_idx m, const double *y,
                            double tie, mango_test *test, const mango_alloc *al)
{
    MGI_REQUIRE(n >= 1 && m >= 1 && n <= 1000000 && m <= 1000000);
    MGI_REQUIRE(x && y && test && tie >= 0.0);
    const mango_alloc a = mgi_alloc_get(al);
    const mango_idx N = n + m;
    for (mango_idx i = 0; i < N; i++)
        MGI_REQUIRE(mgi_is_finite(i < n ? x[i] : y[i - n]));
    rank_value *v = mgi_new(&a, N, sizeof *v);
    if (!v)
        return MANGO_E_MEM;
    for (mango_idx i = 0; i < N; i++) {
        v[i].y = i < n ? x[i] : y[i - n];
        v[i].first = i < n;
    }
    mango_test t = {0, 0, 0, 0.0, 1.0, N <= RANK_CHOICES};
    mango_idx w = 0;
    mango_status st = MANGO_OK;
    const double ties = rank_give(N, v, tie);
    for (mango_idx i = 0; i < N; i++)
        w += v[i].first ? v[i].r : 0;
    rank_pairs(N, v, &t);
    t.statistic = 0.5 * (double)(w - n * (n + 1)); /* (2) */
    if (t.exact)
        st = rank_choices(N, n, v, w, &t.p, &a);
    else
        t.p = rank_sum_normal(n, m, ties, t.statistic);
    mgi_del(&a, v, N, sizeof *v);
    if (st == MANGO_OK)
        *test = t;
    return st;
}

#undef RANK_SIGNS
#undef RANK_CHOICES
