/* test_opt_problems.c - the 13 problems of shared data against the original PROTES.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* Best after 1,000 and after 10,000 queries of one run. */
static void t_problem_solve(const mango_problems *p, mango_idx i, uint64_t seed,
                            double best[2])
{
    enum { DIM = 64 };
    static mango_idx I[100 * DIM];
    mango_idx n[DIM];
    double y[100];
    mango_problem_info info;
    mango_opt_options o;
    mango_opt *opt;
    T_STATUS(mango_problem_get(p, i, &info), MANGO_OK);
    T_REQUIRE(info.d <= DIM);
    for (mango_idx j = 0; j < info.d; j++)
        n[j] = info.n;
    const mango_modes m = {info.d, n};
    T_STATUS(mango_opt_defaults("protes", &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_set(&o, "minimize", 1, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, seed, NULL, NULL), MANGO_OK);
    for (int round = 0; round < 100; round++) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(opt, 100, &K, I), MANGO_OK);
        T_STATUS(mango_problem_eval(p, i, K, I, y), MANGO_OK);
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
static void t_problem_level(const char *problem, const mango_problem_found *theirs,
                            const double *ours, mango_idx n)
{
    double m1, m2, v1, v2;
    t_problem_stats(ours, n, &m1, &v1);
    t_problem_stats(theirs->best, theirs->n, &m2, &v2);
    const double se = sqrt(v1 / (double)n + v2 / (double)theirs->n);
    if (getenv("MANGO_VERBOSE"))
        printf("    %-14s %td ours %.6g +- %.2g  original %.6g +- %.2g\n", problem,
               theirs->queries, m1, sqrt(v1), m2, sqrt(v2));
    T_CHECK(m1 <= m2 + 4.0 * se + 1e-6 * fabs(m2));
}

/* The functions give the file's sample values; PROTES finds what its original found. */
static void t_problem_all(void)
{
    enum { SEEDS = 10 };
    const char *path = t_shared("data/problems.json");
    mango_problems *p = NULL;
    mango_err err = {""};
    int compared = 0;
    if (!path)
        T_SKIP("no shared data");
    T_OK_OR_RETURN(mango_problems_open(&p, path, NULL, &err), &err);
    T_CHECK(mango_problems_count(p) == 13);
    for (mango_idx i = 0; i < mango_problems_count(p); i++) {
        double small[SEEDS], large[SEEDS], best[2] = {0.0, 0.0};
        mango_problem_info info;
        mango_problem_found f;
        T_STATUS(mango_problem_get(p, i, &info), MANGO_OK);
        T_CHECK(info.samples >= 16 && info.error < 1e-12);
        for (int s = 0; s < SEEDS; s++) {
            t_problem_solve(p, i, (uint64_t)s, best);
            small[s] = best[0];
            large[s] = best[1];
        }
        for (mango_idx k = 0; k < info.results; k++) {
            T_STATUS(mango_problem_result(p, i, k, &f), MANGO_OK);
            if (strcmp(f.method, "protes k=100 k_top=10"))
                continue;
            t_problem_level(info.name, &f, f.queries == 1000 ? small : large, SEEDS);
            compared++;
        }
    }
    T_CHECK(compared == 26);
    mango_problems_destroy(p);
}

/* ---- the file itself ----------------------------------------------------------------- */

static const char *t_problem_write(const char *text)
{
    const char *path = t_tmp("problems.json");
    FILE *f = fopen(path, "wb");
    T_CHECK(f != NULL);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    return path;
}

static void t_problem_file(void)
{
    mango_problems *p = NULL;
    mango_err err = {""};
    mango_problem_info info;
    mango_problem_found f;
    double y[2];
    const mango_idx I[] = {0, 1, 1, 1};
    const char *path = t_problem_write(
        "{\"qubo_x\":{\"d\":2,\"n\":2,\"f0\":1,\"Q\":[[1,2],[3,-8]],\"samples\":"
        "[{\"i\":[1,1],\"y\":-1}],\"results\":{\"a b=4 m=20\":{\"best\":[1,2]}}},"
        "\"qing\":{\"d\":2,\"n\":3,\"a\":[0,0],\"b\":[2,2],\"samples\":"
        "[{\"i\":[1,2],\"y\":5}]}}");
    T_OK_OR_RETURN(mango_problems_open(&p, path, NULL, &err), &err);
    T_CHECK(mango_problems_count(p) == 2);
    T_STATUS(mango_problem_get(p, 0, &info), MANGO_OK);
    T_CHECK(info.d == 2 && info.samples == 1 && info.error == 0.0 && info.results == 1);
    T_STATUS(mango_problem_eval(p, 0, 2, I, y), MANGO_OK);
    T_CHECK(y[0] == -7.0 && y[1] == -1.0);
    T_STATUS(mango_problem_result(p, 0, 0, &f), MANGO_OK);
    T_CHECK(!strcmp(f.method, "a b=4") && f.queries == 20 && f.n == 2 && f.best[1] == 2.0);
    T_STATUS(mango_problem_get(p, 1, &info), MANGO_OK);
    T_NEAR(info.error, 1.0 / 6.0, 1e-15); /* (1 - 1)^2 + (4 - 2)^2 is 4, not 5 */
    const mango_idx high[] = {0, 3};
    T_STATUS(mango_problem_eval(p, 1, 1, high, y), MANGO_E_ARG);
    mango_problems_destroy(p);
}

static void t_problem_refused(void)
{
    static const struct {
        const char *text, *says;
        mango_status st;
    } bad[] = {
        {"[]", "object", MANGO_E_FORMAT},
        {"{\"x\":1}", "object", MANGO_E_FORMAT},
        {"{\"x\":{\"d\":0,\"n\":2}}", "d in", MANGO_E_FORMAT},
        {"{\"qing\":{\"d\":1,\"n\":2,\"a\":[0]}}", "a and b", MANGO_E_FORMAT},
        {"{\"bowl\":{\"d\":1,\"n\":2,\"a\":[0],\"b\":[1]}}", "bowl", MANGO_E_NAME},
        {"{\"piston\":{\"d\":1,\"n\":2,\"a\":[0],\"b\":[1]}}", "seven",
         MANGO_E_FORMAT},
        {"{\"qubo\":{\"d\":2,\"n\":2,\"Q\":[[1,2]]}}", "square", MANGO_E_FORMAT},
        {"{\"qing\":{\"d\":1,\"n\":2,\"a\":[0],\"b\":[1],\"samples\":"
         "[{\"i\":[2],\"y\":0}]}}", "below n", MANGO_E_FORMAT},
        {"{\"qing\":{\"d\":1,\"n\":2,\"a\":[0],\"b\":[1],\"results\":"
         "{\"best\":{\"best\":[1]}}}}", "METHOD", MANGO_E_FORMAT},
        {"{\"qing\":", "", MANGO_E_FORMAT}};
    for (int i = 0; i < (int)MGI_COUNT(bad); i++) {
        mango_problems *p = NULL;
        mango_err err = {""};
        T_STATUS(mango_problems_open(&p, t_problem_write(bad[i].text), NULL, &err),
                 bad[i].st);
        T_CHECK(p == NULL && strstr(err.text, bad[i].says));
    }
}

void t_opt_problems(void)
{
    T_CASE(t_problem_file);
    T_CASE(t_problem_refused);
    T_CASE(t_problem_all);
}
