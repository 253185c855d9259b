/* opt_rig.h - for tests of optimizers: spaces, functions with a known optimum, loops of
 * ask and tell, what every method has to survive, a search that goes on from its journal.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_OPT_RIG_H
#define MANGO_TEST_OPT_RIG_H
#include "test.h"

enum { T_RIG_D = 128, T_RIG_K = 64 };

typedef double (*t_rig_f)(mango_idx d, const double *x);

/* d modes of so many levels; n has room for them. */
static inline mango_modes t_rig_modes(mango_idx *n, mango_idx d, mango_idx levels)
{
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_modes m = {d, n};
    return m;
}

static inline mango_opt *t_rig_new(const char *preset, const mango_modes *m,
                                   const mango_facts *f, const char *set, uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(preset, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, f, &o, seed, NULL, &err), &err);
    return p;
}

/* One proposal with its id. */
static inline uint64_t t_rig_ask(mango_opt *p, mango_idx *I)
{
    mango_idx K = 1;
    uint64_t id = 0;
    T_STATUS(mango_opt_ask_ids(p, 1, &K, I, &id), MANGO_OK);
    return id;
}

static inline void t_rig_tell(mango_opt *p, uint64_t id, const mango_idx *I, double y)
{
    const mango_told t = {.id = id, .I = I, .y = y, .var = NAN, .n = 1};
    T_STATUS(mango_opt_tell_all(p, 1, &t), MANGO_OK);
}

/* Level i of n stands for x in [-1,1]. */
static inline double t_rig_x(mango_idx i, mango_idx n)
{
    return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1.0 : 0.0;
}

/* ---- functions of x in [-1,1]^d, to be made small ---- */

static inline double t_rig_sphere(mango_idx d, const double *x) /* 0 at .3 */
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += (x[j] - 0.3) * (x[j] - 0.3);
    return s;
}

static inline double t_rig_ellipsoid(mango_idx d, const double *x) /* axes 1 .. 1000 */
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += pow(1e6, (double)j / (double)(d - 1)) * (x[j] - 0.2) * (x[j] - 0.2);
    return s;
}

/* The same in the axes that a reflection, at (1,..,1), leaves of them. */
static inline double t_rig_turned(mango_idx d, const double *x)
{
    double y[T_RIG_D], sum = 0.0;
    for (mango_idx j = 0; j < d; j++)
        sum += x[j] - 0.2;
    for (mango_idx j = 0; j < d; j++)
        y[j] = x[j] - 2.0 * sum / (double)d;
    return t_rig_ellipsoid(d, y);
}

static inline double t_rig_rosenbrock(mango_idx d, const double *x) /* 0 at 1/2 */
{
    double s = 0.0;
    for (mango_idx j = 0; j + 1 < d; j++) {
        const double a = 2.0 * x[j], b = 2.0 * x[j + 1];
        s += 100.0 * (b - a * a) * (b - a * a) + (1.0 - a) * (1.0 - a);
    }
    return s;
}

static inline double t_rig_value(t_rig_f f, mango_idx d, const mango_idx *n,
                                 const mango_idx *I)
{
    double x[T_RIG_D];
    for (mango_idx j = 0; j < d; j++)
        x[j] = t_rig_x(I[j], n[j]);
    return f(d, x);
}

/* The smallest f of so many queries, told with their ids by batches of `batch`. */
static inline double t_rig_run(mango_opt *p, const mango_modes *m, t_rig_f f,
                               mango_idx queries, mango_idx batch)
{
    mango_idx I[T_RIG_K * T_RIG_D];
    uint64_t id[T_RIG_K];
    mango_told t[T_RIG_K];
    double best = INFINITY;
    for (mango_idx q = 0; q < queries; q += batch) {
        mango_idx K = batch;
        T_STATUS(mango_opt_ask_ids(p, batch, &K, I, id), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const mango_told row = {.id = id[k], .I = I + k * m->d, .var = NAN, .n = 1};
            t[k] = row;
            t[k].y = -t_rig_value(f, m->d, m->n, I + k * m->d);
            best = fmin(best, -t[k].y);
        }
        T_STATUS(mango_opt_tell_all(p, K, t), MANGO_OK);
    }
    return best;
}

/* A hash of the codes that are asked, 300 of them one by one, in a mixed space. */
static inline uint64_t t_rig_hash(const char *preset, const mango_facts *f, const char *set)
{
    mango_idx n[6] = {5, 9, MANGO_REAL, 2, MANGO_REAL, 64}, I[6];
    const mango_modes m = {6, n};
    mango_opt *p = t_rig_new(preset, &m, f, set, 7);
    uint64_t h = 0xcbf29ce484222325u;
    for (int q = 0; q < 300; q++) {
        double y = 0.0;
        const uint64_t id = t_rig_ask(p, I);
        for (int j = 0; j < 6; j++) {
            h = (h ^ (uint64_t)I[j]) * 0x100000001b3u;
            y -= fabs((double)I[j] / (double)n[j] - 0.37);
        }
        t_rig_tell(p, id, I, y);
    }
    mango_opt_destroy(p);
    return h;
}

/* ---- hard cases: levels stay in range, and it goes on ---- */

enum {
    T_RIG_EQUAL,
    T_RIG_NAN,
    T_RIG_INF,
    T_RIG_FALLING,
    T_RIG_UNASKED,
    T_RIG_HUGE,
    T_RIG_CASES
};

static inline double t_rig_hard_value(int kind, mango_idx q)
{
    static const double odd[4] = {INFINITY, -INFINITY, 1.0, NAN};
    return kind == T_RIG_EQUAL     ? 2.5
           : kind == T_RIG_NAN     ? (double)NAN
           : kind == T_RIG_INF     ? odd[q % 2]
           : kind == T_RIG_FALLING ? -(double)q
           : kind == T_RIG_HUGE    ? (q % 2 ? 1e308 : -1e308)
                                   : odd[q % 4];
}

static inline void t_rig_hard_space(const char *preset, const mango_modes *m,
                                    const mango_facts *f, int kind, mango_idx queries,
                                    mango_idx batch)
{
    mango_opt *p = t_rig_new(preset, m, f, "", 3);
    mango_idx *I = calloc((size_t)(batch * m->d), sizeof *I);
    mango_idx bad = 0;
    T_REQUIRE(p && I);
    for (mango_idx q = 0; q < queries;) {
        mango_idx K = batch;
        uint64_t id[T_RIG_K];
        T_STATUS(mango_opt_ask_ids(p, batch, &K, I, id), MANGO_OK);
        for (mango_idx i = 0; i < K * m->d; i++)
            bad += I[i] < 0 || I[i] >= m->n[i % m->d];
        for (mango_idx k = K - 1; k >= 0; k--, q++) /* the other way round */
            t_rig_tell(p, kind == T_RIG_UNASKED && k % 2 ? MANGO_UNASKED : id[k],
                       I + k * m->d, t_rig_hard_value(kind, q));
    }
    T_EQ(bad, 0);
    free(I);
    mango_opt_destroy(p);
}

static inline void t_rig_hard(const char *preset)
{
    static const mango_idx d[6] = {1, 1, 1, 3, 1, 7}, n[6] = {1, 2, 65536, 1, MANGO_REAL, 16};
    mango_idx N[8];
    for (int s = 0; s < 6; s++) {
        const mango_modes m = t_rig_modes(N, d[s], n[s]);
        for (int kind = 0; kind < T_RIG_CASES; kind++) {
            t_rig_hard_space(preset, &m, NULL, kind, 240, 1);
            t_rig_hard_space(preset, &m, NULL, kind, 240, 37);
        }
    }
    mango_idx *many = calloc(100000, sizeof *many);
    T_REQUIRE(many);
    const mango_modes m = t_rig_modes(many, 100000, 3);
    t_rig_hard_space(preset, &m, NULL, T_RIG_FALLING, 6, 2);
    free(many);
}

/* ---- memory ---- */

static inline mango_status t_rig_make(void *ud, const mango_alloc *al)
{
    const char *preset = ud;
    static const float level[12] = {0.5f, 3.0f, 1.0f, 2.0f, 0.0f, 9.0f, 1.0f, 1.5f, 2.0f};
    mango_idx n[4];
    const mango_modes m = t_rig_modes(n, 4, 6);
    mango_facts f;
    mango_opt_options o;
    mango_opt *p;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.levels = level;
    f.level_dim = 2;
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    MGI_TRY(mango_opt_create(&p, &m, &f, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

/* ---- a session that stops and goes on ---- */

static inline mango_status t_rig_evaluate(void *ud, mango_idx K, const mango_idx *I,
                                          double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++) {
        y[k] = (I[6 * k] + I[6 * k + 1]) % 5 == 4 ? (double)NAN : 0.0;
        for (int j = 0; j < 6; j++)
            y[k] -= fabs((double)(I[6 * k + j] - j));
    }
    return MANGO_OK;
}

/* Queries 0 .. budget-1 of a search that may go on with the journal. */
static inline void t_rig_session(const char *preset, const char *journal, mango_idx budget,
                                 mango_idx *codes)
{
    mango_idx n[6];
    const mango_modes m = t_rig_modes(n, 6, 9);
    mango_session_options o;
    mango_session *s = NULL;
    mango_err err = {""};
    T_OK(mango_session_defaults(preset, &o, &err), &err);
    o.budget = budget;
    o.seed = 2;
    o.journal = journal;
    o.resume = 1;
    o.sync = 0;
    T_OK_OR_RETURN(mango_session_create(&s, &m, &o, t_rig_evaluate, NULL, NULL, &err), &err);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    for (mango_idx q = 0; q < budget; q++)
        T_STATUS(mango_session_query(s, q, NULL, codes + 6 * q), MANGO_OK);
    mango_session_destroy(s);
}

/* Stopped and resumed after every few queries, it asks the same codes. */
static inline void t_rig_resume(const char *preset)
{
    enum { ALL = 140 };
    mango_idx whole[6 * ALL], parts[6 * ALL];
    char path[1024], name[64];
    snprintf(name, sizeof name, "%s.jsonl", preset);
    mgi_copy(path, sizeof path, t_tmp(name));
    t_rig_session(preset, NULL, ALL, whole);
    for (mango_idx budget = 1; budget < ALL; budget += 17)
        t_rig_session(preset, path, budget, parts);
    t_rig_session(preset, path, ALL, parts);
    T_MEM(parts, whole, sizeof whole);
}

#endif
