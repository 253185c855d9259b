/* test_opt_level.c - on the 13 classic problems our versions find what the stored runs of
 * their originals found, or better. A method more is a row more.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_LEVEL_SEEDS = 10, T_LEVEL_D = 64, T_LEVEL_CAP = 128 };

/* Best of `queries` values of problem i. */
static double t_level_run(const mango_problems *p, mango_idx i, const char *preset,
                          uint64_t seed, mango_idx queries)
{
    static mango_idx I[T_LEVEL_CAP * T_LEVEL_D];
    static double y[T_LEVEL_CAP];
    mango_idx n[T_LEVEL_D];
    mango_problem_info info;
    mango_opt_options o;
    mango_opt *opt = NULL;
    double best = NAN;
    T_STATUS(mango_problem_get(p, i, &info), MANGO_OK);
    for (mango_idx j = 0; j < info.d && j < T_LEVEL_D; j++)
        n[j] = info.n;
    const mango_modes m = {info.d, n};
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_set(&o, "minimize", 1, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, seed, NULL, NULL), MANGO_OK);
    for (mango_idx q = 0, K; opt && q < queries; q += K) {
        K = 0;
        T_STATUS(mango_opt_ask(opt, MGI_MIN(queries - q, T_LEVEL_CAP), &K, I), MANGO_OK);
        T_STATUS(mango_problem_eval(p, i, K, I, y), MANGO_OK);
        T_STATUS(mango_opt_tell(opt, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(opt, &best, NULL), MANGO_OK);
    mango_opt_destroy(opt);
    return best;
}

static void t_level_stats(const double *x, mango_idx n, double *mean, double *var)
{
    *mean = *var = 0.0;
    for (mango_idx i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (mango_idx i = 0; i < n; i++)
        *var += (x[i] - *mean) * (x[i] - *mean) / (double)(n > 1 ? n - 1 : 1);
}

/* Not worse than the original by more than three standard errors of the difference. */
static void t_level_check(const char *preset, const char *problem, const double *ours,
                          const mango_problem_found *f)
{
    double m1, m2, v1, v2;
    char what[160];
    t_level_stats(ours, T_LEVEL_SEEDS, &m1, &v1);
    t_level_stats(f->best, f->n, &m2, &v2);
    const double se = sqrt(v1 / T_LEVEL_SEEDS + v2 / (double)f->n);
    if (getenv("MANGO_VERBOSE"))
        printf("    %-13s %-14s ours %.6g +- %.2g  original %.6g +- %.2g\n", preset, problem,
               m1, sqrt(v1), m2, sqrt(v2));
    snprintf(what, sizeof what, "%s on %s: %.6g, original %.6g", preset, problem, m1, m2);
    t_check(m1 <= m2 + 3.0 * se + 1e-6 * fabs(m2), what, __FILE__, __LINE__);
}

static void t_level_all(void)
{
    static const struct { const char *preset, *original; } row[] = {
        {"one-plus-one", "nevergrad OnePlusOne TransitionChoice"},
        {"noisy-bandit", "nevergrad NoisyBandit TransitionChoice"},
        {"spsa", "nevergrad SPSA TransitionChoice"}};
    const char *path = t_shared("data/problems.json");
    mango_problems *p = NULL;
    mango_err err = {""};
    int compared = 0;
    if (!path)
        T_SKIP("no shared data");
    T_OK_OR_RETURN(mango_problems_open(&p, path, NULL, &err), &err);
    for (mango_idx i = 0; i < mango_problems_count(p); i++) {
        mango_problem_info info;
        mango_problem_found f;
        T_STATUS(mango_problem_get(p, i, &info), MANGO_OK);
        for (mango_idx k = 0; k < info.results; k++) {
            T_STATUS(mango_problem_result(p, i, k, &f), MANGO_OK);
            for (mango_idx r = 0; r < MGI_COUNT(row); r++) {
                double ours[T_LEVEL_SEEDS];
                if (strcmp(f.method, row[r].original) != 0)
                    continue;
                for (int s = 0; s < T_LEVEL_SEEDS; s++)
                    ours[s] = t_level_run(p, i, row[r].preset, (uint64_t)s, f.queries);
                t_level_check(row[r].preset, info.name, ours, &f);
                compared++;
            }
        }
    }
    T_EQ(compared, 13 * MGI_COUNT(row));
    mango_problems_destroy(p);
}

void t_opt_level(void)
{
    T_CASE(t_level_all);
}
