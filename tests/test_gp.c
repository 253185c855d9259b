/* test_gp.c - Gaussian-process regression: closed forms, a plain oracle in double, growth,
 * evidence; normal scores.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GP_CAP = 150, T_GP_M = 50, T_GP_DIM = 12 };

/* ---- the oracle: everything in double, as the equations stand --------------- */

typedef struct t_gp_oracle {
    double K[T_GP_CAP][T_GP_CAP], v[T_GP_CAP]; /* L, and L^-1 y */
    double s, evidence;
} t_gp_oracle;

static double t_gp_dot(mango_idx dim, const float *a, const float *b)
{
    double s = 0.0;
    for (mango_idx j = 0; j < dim; j++)
        s += (double)a[j] * (double)b[j];
    return s;
}

static double t_gp_kernel(const mgi_gp_rule *r, double u, mango_idx dim, const float *a,
                          const float *b)
{
    double far = 0.0;
    for (mango_idx j = 0; j < dim; j++)
        far += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return r->lin * t_gp_dot(dim, a, b) / u +
           r->rbf * exp(-far / (2 * r->length * r->length * u));
}

static double t_gp_cloud(mango_idx n, mango_idx dim, const float *x)
{
    double u = 0.0;
    for (mango_idx j = 0; j < dim; j++) {
        double one = 0.0, two = 0.0;
        for (mango_idx i = 0; i < n; i++) {
            one += (double)x[i * dim + j];
            two += (double)x[i * dim + j] * (double)x[i * dim + j];
        }
        u += two / (double)n - (n > 1 ? one * one / (double)(n * n) : 0.0); /* one: its size */
    }
    return u;
}

static void t_gp_solve(const t_gp_oracle *o, mango_idx n, const double *b, double *x)
{
    for (mango_idx i = 0; i < n; i++) {
        double s = b[i];
        for (mango_idx j = 0; j < i; j++)
            s -= o->K[i][j] * x[j];
        x[i] = s / o->K[i][i];
    }
}

static void t_gp_fit(t_gp_oracle *o, const mgi_gp_rule *r, double u, mango_idx n,
                     mango_idx dim, const float *x, const double *y, const double *v)
{
    double fit = 0.0, logs = 0.0;
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx j = 0; j <= i; j++) {
            double s = t_gp_kernel(r, u, dim, x + i * dim, x + j * dim);
            if (i == j)
                s += r->noise + (v ? v[i] : 0.0);
            for (mango_idx k = 0; k < j; k++)
                s -= o->K[i][k] * o->K[j][k];
            o->K[i][j] = i == j ? sqrt(s) : s / o->K[j][j];
        }
    t_gp_solve(o, n, y, o->v);
    for (mango_idx i = 0; i < n; i++) {
        fit += o->v[i] * o->v[i];
        logs += log(o->K[i][i]);
    }
    o->s = v ? 1.0 : fit / (double)n;
    o->evidence = -0.5 * (double)n * log(2 * 3.14159265358979 * o->s) - fit / (2 * o->s) - logs;
}

static void t_gp_at(const t_gp_oracle *o, const mgi_gp_rule *r, double u, mango_idx n,
                    mango_idx dim, const float *x, const float *at, double *mean, double *var)
{
    double k[T_GP_CAP], b[T_GP_CAP];
    for (mango_idx i = 0; i < n; i++)
        k[i] = t_gp_kernel(r, u, dim, x + i * dim, at);
    t_gp_solve(o, n, k, b);
    *mean = 0.0;
    *var = t_gp_kernel(r, u, dim, at, at);
    for (mango_idx i = 0; i < n; i++) {
        *mean += b[i] * o->v[i];
        *var -= b[i] * b[i];
    }
    *var *= o->s;
}

/* ---- fixtures ---------------------------------------------------------------- */

typedef struct t_gp_data {
    float x[T_GP_CAP * T_GP_DIM], at[T_GP_M * T_GP_DIM];
    double y[T_GP_CAP], v[T_GP_CAP];
} t_gp_data;

/* A wave of the given length in the first feature, and a slope, with a little noise. */
static void t_gp_draw(t_gp_data *t, mango_idx dim, double length, uint64_t seed)
{
    mango_rng r;
    mango_rng_init(&r, seed, 1, 0);
    for (mango_idx i = 0; i < T_GP_CAP * T_GP_DIM; i++)
        t->x[i] = (float)mango_rng_normal(&r);
    for (mango_idx i = 0; i < T_GP_M * T_GP_DIM; i++)
        t->at[i] = (float)mango_rng_normal(&r);
    for (mango_idx i = 0; i < T_GP_CAP; i++) {
        t->y[i] = sin((double)t->x[i * dim] / length) + 0.05 * mango_rng_normal(&r);
        t->v[i] = i % 3 ? 0.0 : 0.5 * mango_rng_uniform(&r);
    }
}

static const mgi_gp_rule t_gp_rules[] = {
    {1, 0, 1, 0.1}, {0, 1, 0.5, 0.05}, {0.5, 1, 1, 0.3}, {0, 1, 2, 1}, {0.2, 2, 0.25, 0.02}};

/* ---- cases ------------------------------------------------------------------- */

/* One and two points by hand. */
static void t_gp_closed(void)
{
    const mgi_gp_rule r = {0, 1, 1, 0.25};
    const float x[2] = {-1, 1}, at[2] = {1, 0};
    const double y[2] = {0.5, 2}, none[2] = {0, 0}, v[2] = {0.75, 0};
    const double e = exp(-2.0), h = exp(-0.5);
    double mean[2], var[2];
    mgi_gp g;
    T_REQUIRE(mgi_gp_init(&g, 1, 4, NULL) == MANGO_OK);
    (void)mgi_gp_choose(&g, 1, &r);
    T_CHECK(mgi_gp_evidence(&g) == 0.0);
    mgi_gp_predict(&g, 2, at, mean, var); /* nothing known: the prior */
    T_CHECK(mean[0] == 0.0 && var[0] == 1.0);
    mgi_gp_add(&g, 2, x, none);
    mgi_gp_targets(&g, y);
    (void)mgi_gp_choose(&g, 1, &r);
    T_NEAR(g.u, 1.0, 1e-12);
    mgi_gp_predict(&g, 2, at, mean, var);
    const double det = 1.25 * 1.25 - e * e;
    T_NEAR(mean[0], (e * (1.25 * 0.5 - e * 2) + (1.25 * 2 - e * 0.5)) / det, 1e-6);
    T_NEAR(mean[1], h * 2.5 / (1.25 + e), 1e-6);
    T_NEAR(g.s, (1.25 * (0.25 + 4) - 2 * e) / det / 2, 1e-6);
    T_NEAR(var[1], g.s * (1 - 2 * h * h / (1.25 + e)), 1e-6);
    mgi_gp_noise(&g, v); /* the first point is four times as uncertain */
    mgi_gp_predict(&g, 2, at, mean, var);
    T_NEAR(mean[1], h * (0.5 * (1.25 - e) + 2 * (2 - e)) / (2 * 1.25 - e * e), 1e-6);
    T_CHECK(g.s == 1.0);
    mgi_gp_free(&g);
}

static void t_gp_same(mgi_gp *g, const t_gp_data *t, const mgi_gp_rule *r, const double *v,
                      mango_idx dim)
{
    static t_gp_oracle o;
    double mean[T_GP_M], var[T_GP_M], only[T_GP_M], m, s;
    const double u = t_gp_cloud(g->n, dim, t->x);
    (void)mgi_gp_choose(g, 1, r);
    t_gp_fit(&o, r, u, g->n, dim, t->x, t->y, v);
    T_REL(g->u, u, 1e-5);
    T_NEAR(mgi_gp_evidence(g), o.evidence, 1e-3 * (fabs(o.evidence) + 1));
    T_REL(g->s, o.s, 1e-3);
    mgi_gp_predict(g, T_GP_M, t->at, mean, var);
    mgi_gp_predict(g, T_GP_M, t->at, only, NULL);
    for (int i = 0; i < T_GP_M; i++) {
        t_gp_at(&o, r, u, g->n, dim, t->x, t->at + i * dim, &m, &s);
        T_NEAR(mean[i], m, 1e-3 * (1 + fabs(m)));
        T_NEAR(only[i], m, 1e-3 * (1 + fabs(m)));
        T_NEAR(var[i], s, 1e-3 * (o.s + s));
    }
}

/* Against the oracle, for sizes around those of blocks and tiles. */
static void t_gp_oracles(void)
{
    static const mango_idx sizes[] = {1, 2, 31, 32, 33, 63, 64, 100, 150};
    static t_gp_data t;
    for (mango_idx dim = 1; dim <= T_GP_DIM; dim += 11)
        for (mango_idx i = 0; i < MGI_COUNT(sizes) * MGI_COUNT(t_gp_rules); i++) {
            const mgi_gp_rule *r = t_gp_rules + i % MGI_COUNT(t_gp_rules);
            const mango_idx n = sizes[i / MGI_COUNT(t_gp_rules)];
            mgi_gp g;
            t_gp_draw(&t, dim, 1.0, (uint64_t)i);
            T_REQUIRE(mgi_gp_init(&g, dim, n, NULL) == MANGO_OK);
            mgi_gp_add(&g, n, t.x, i % 2 ? t.v : NULL);
            mgi_gp_targets(&g, t.y);
            t_gp_same(&g, &t, r, i % 2 && n > 0 ? t.v : NULL, dim);
            mgi_gp_free(&g);
        }
}

static void t_gp_bits(mgi_gp *a, mgi_gp *b, const float *at)
{
    double mean[2][T_GP_M], var[2][T_GP_M];
    T_CHECK(mgi_gp_evidence(a) == mgi_gp_evidence(b));
    mgi_gp_predict(a, T_GP_M, at, mean[0], var[0]);
    for (mango_idx i = 0; i < T_GP_M; i++) /* one by one */
        mgi_gp_predict(b, 1, at + i * T_GP_DIM, mean[1] + i, var[1] + i);
    T_MEM(mean[1], mean[0], sizeof mean[0]);
    T_MEM(var[1], var[0], sizeof var[0]);
}

/* Points that come in pieces, some of which go again: the bits of one that got the rest
 * at once. */
static void t_gp_grows(void)
{
    static t_gp_data t;
    const mgi_gp_rule *r = t_gp_rules + 2;
    mgi_gp a, b;
    mango_idx row[T_GP_CAP], n = 0;
    double y[T_GP_CAP];
    float x[T_GP_CAP * T_GP_DIM];
    t_gp_draw(&t, T_GP_DIM, 1.0, 5);
    T_REQUIRE(mgi_gp_init(&a, T_GP_DIM, T_GP_CAP, NULL) == MANGO_OK);
    T_REQUIRE(mgi_gp_init(&b, T_GP_DIM, T_GP_CAP, NULL) == MANGO_OK);
    for (mango_idx i = 0; i < T_GP_CAP; i += 10) {
        mgi_gp_add(&a, 10, t.x + i * T_GP_DIM, NULL);
        mgi_gp_targets(&a, t.y);
        if (i == 0)
            (void)mgi_gp_choose(&a, 1, r);
        mgi_gp_predict(&a, 1, t.at, y, NULL);
    }
    const double u = a.u;
    (void)mgi_gp_choose(&b, 1, r);
    mgi_gp_add(&b, T_GP_CAP, t.x, NULL);
    mgi_gp_targets(&b, t.y);
    b.u = u;
    b.cloud = 1;
    t_gp_bits(&a, &b, t.at);
    for (mango_idx i = 0; i < T_GP_CAP; i++)
        if (i < 50 || i % 3 == 1)
            row[n++] = i;
    mgi_gp_keep(&a, n, row);
    mgi_gp_keep(&b, 0, NULL);
    for (mango_idx i = 0; i < n; i++) {
        memcpy(x + i * T_GP_DIM, t.x + row[i] * T_GP_DIM, T_GP_DIM * sizeof *x);
        y[i] = t.y[row[i]];
    }
    mgi_gp_add(&b, n, x, NULL);
    mgi_gp_targets(&b, y);
    b.u = u;
    b.cloud = 1;
    t_gp_bits(&a, &b, t.at);
    mgi_gp_noise(&a, t.v);
    mgi_gp_noise(&b, t.v);
    (void)mgi_gp_choose(&b, 1, r);
    (void)mgi_gp_choose(&a, 1, r);
    t_gp_bits(&a, &b, t.at);
    mgi_gp_free(&a);
    mgi_gp_free(&b);
}

/* The slope against differences of the mean. */
static void t_gp_slopes(void)
{
    static t_gp_data t;
    mgi_gp g;
    t_gp_draw(&t, T_GP_DIM, 1.0, 11);
    T_REQUIRE(mgi_gp_init(&g, T_GP_DIM, T_GP_CAP, NULL) == MANGO_OK);
    mgi_gp_add(&g, T_GP_CAP, t.x, NULL);
    mgi_gp_targets(&g, t.y);
    for (mango_idx k = 0; k < MGI_COUNT(t_gp_rules) * T_GP_DIM; k++) {
        const mango_idx j = k % T_GP_DIM, i = 7 * k % T_GP_CAP;
        float slope[T_GP_DIM], at[2 * T_GP_DIM];
        double mean[2];
        (void)mgi_gp_choose(&g, 1, t_gp_rules + k / T_GP_DIM);
        mgi_gp_slope(&g, i, slope);
        memcpy(at, t.x + i * T_GP_DIM, T_GP_DIM * sizeof *at);
        memcpy(at + T_GP_DIM, at, T_GP_DIM * sizeof *at);
        at[j] += 0.01f;
        at[T_GP_DIM + j] -= 0.01f;
        mgi_gp_predict(&g, 2, at, mean, NULL);
        T_NEAR((double)slope[j], (mean[0] - mean[1]) / 0.02, 2e-3);
    }
    mgi_gp_free(&g);
}

/* Of lengths a factor of two apart evidence takes that of the wave, and the line where
 * there is only a slope. */
static void t_gp_evidence(void)
{
    enum { RULES = 6 };
    static t_gp_data t;
    mgi_gp_rule r[RULES] = {{1, 0, 1, 0.01}};
    mango_idx last = 0;
    for (int i = 1; i < RULES; i++) {
        const mgi_gp_rule to = {0, 1, 0.0625 * (double)(1 << i), 0.01};
        r[i] = to;
    }
    for (int wave = 0; wave < 3; wave++) {
        mgi_gp g;
        t_gp_draw(&t, 1, 0.15 * (double)(1 << wave), 3);
        T_REQUIRE(mgi_gp_init(&g, 1, T_GP_CAP, NULL) == MANGO_OK);
        mgi_gp_add(&g, T_GP_CAP, t.x, NULL);
        mgi_gp_targets(&g, t.y);
        const mango_idx best = mgi_gp_choose(&g, RULES, r);
        T_CHECK(best > last);
        last = best;
        for (int i = 0; i < T_GP_CAP; i++)
            t.y[i] = 0.7 * (double)t.x[i] + 0.1 * sin(17.0 * i);
        mgi_gp_targets(&g, t.y);
        T_EQ(mgi_gp_choose(&g, RULES, r), 0);
        mgi_gp_free(&g);
    }
}

/* Points twice and nothing but zeros: finite, and certain where it was told twice. */
static void t_gp_hard(void)
{
    enum { N = 80 };
    static float x[N * 3];
    static double y[N];
    double mean[2], var[2];
    for (int round = 0; round < 3; round++) {
        mgi_gp g;
        T_REQUIRE(mgi_gp_init(&g, 3, N, NULL) == MANGO_OK);
        for (int i = 0; i < N; i++) {
            x[3 * i] = round ? (float)(i % 2) * (round == 2 ? 1e4f : 1.0f) : 0.0f;
            y[i] = round ? (i % 2 ? 1.0 : -1.0) : 0.0;
        }
        mgi_gp_add(&g, N, x, NULL);
        mgi_gp_targets(&g, y);
        mgi_gp_choose(&g, MGI_COUNT(t_gp_rules), t_gp_rules);
        mgi_gp_predict(&g, 2, x, mean, var);
        T_CHECK(mgi_is_finite(mgi_gp_evidence(&g)) && var[0] >= 0 && var[0] < 0.1);
        T_NEAR(mean[0], round ? -1 : 0, 0.1);
        T_NEAR(mean[1], round ? 1 : 0, 0.1);
        mgi_gp_free(&g);
    }
}

static mango_status t_gp_make(void *ud, const mango_alloc *al)
{
    mgi_gp g;
    (void)ud;
    const mango_status st = mgi_gp_init(&g, 5, 40, al);
    mgi_gp_free(&g);
    return st;
}

static void t_gp_memory(void)
{
    mgi_gp g;
    T_CHECK(t_oom_sweep(t_gp_make, NULL) == 1);
    T_STATUS(mgi_gp_init(&g, PTRDIFF_MAX / 4, 40, NULL), MANGO_E_MEM);
    mgi_gp_free(&g);
}

/* The same bits on every machine. */
static void t_gp_golden(void)
{
    static t_gp_data t;
    uint64_t h = 0xcbf29ce484222325u;
    double out[2 * T_GP_M];
    mgi_gp g;
    mango_rng rng;
    mango_rng_init(&rng, 9, 2, 0);
    t_gp_draw(&t, T_GP_DIM, 1.0, 7);
    for (int i = 0; i < T_GP_CAP; i++) /* not by libm */
        t.y[i] = (double)t.x[i * T_GP_DIM] * (double)t.x[i * T_GP_DIM + 1];
    T_REQUIRE(mgi_gp_init(&g, T_GP_DIM, T_GP_CAP, NULL) == MANGO_OK);
    mgi_gp_add(&g, T_GP_CAP, t.x, NULL);
    mgi_gp_targets(&g, t.y);
    mgi_gp_choose(&g, MGI_COUNT(t_gp_rules), t_gp_rules);
    mgi_gp_predict(&g, T_GP_M, t.at, out, out + T_GP_M);
    for (int i = 0; i < 2 * T_GP_M; i++) {
        uint64_t bits;
        memcpy(&bits, out + i, sizeof bits);
        h = (h ^ bits) * 0x100000001b3u;
    }
    T_CHECK(h == 0xe07dc58e794cb25eu);
    mgi_gp_free(&g);
}

/* ---- normal scores ------------------------------------------------------------- */

static void t_gp_quantile(void)
{
    T_NEAR(mgi_normal_quantile(0.5), 0.0, 1e-12);
    T_NEAR(mgi_normal_quantile(0.975), 1.959963984540054, 1e-8);
    T_NEAR(mgi_normal_quantile(0.001), -3.090232306167813, 1e-8);
    T_NEAR(mgi_normal_quantile(1e-6), -4.753424308822899, 1e-7);
    for (int i = 1; i < 200; i++) {
        const double p = i / 200.0, z = mgi_normal_quantile(p);
        T_NEAR(0.5 * (1 + mgi_erf(z / sqrt(2.0))), p, 1e-9);
    }
}

/* Orders by value, tie and number; equal ones share a score. */
static void t_gp_scores(void)
{
    enum { N = 500 };
    const double y[5] = {2, 1, 2, 5, 1}, tie[5] = {0, 3, 1, 0, 3};
    const mango_idx plain[5] = {3, 0, 2, 1, 4}, tied[5] = {3, 2, 0, 1, 4};
    static double many[N], z[N];
    static mango_idx order[N];
    mango_rng r;
    mgi_scores(5, y, NULL, order, z);
    T_MEM(order, plain, sizeof plain);
    T_CHECK(z[0] == z[2] && z[1] == z[4] && z[3] > z[0]);
    T_NEAR(z[0], mgi_normal_quantile(0.6), 1e-12);
    T_NEAR(z[1], mgi_normal_quantile(0.2), 1e-12);
    mgi_scores(5, y, tie, order, z);
    T_MEM(order, tied, sizeof tied);
    T_CHECK(z[2] > z[0] && z[1] == z[4]);
    mango_rng_init(&r, 1, 1, 0);
    for (int i = 0; i < N; i++)
        many[i] = (double)mango_rng_int(&r, 100);
    mgi_scores(N, many, NULL, order, z);
    double sum = 0.0, bad = 0;
    for (int i = 0; i < N; i++) {
        sum += z[i];
        bad += i > 0 && (many[order[i - 1]] < many[order[i]] ||
                         (many[order[i - 1]] == many[order[i]] && order[i - 1] > order[i]));
    }
    T_CHECK(bad == 0);
    T_NEAR(sum / N, 0.0, 1e-3);
    mgi_order(0, many, NULL, order);
    mgi_order(1, many, NULL, order);
    T_EQ(order[0], 0);
}

void t_gp(void)
{
    T_CASE(t_gp_closed);
    T_CASE(t_gp_oracles);
    T_CASE(t_gp_grows);
    T_CASE(t_gp_slopes);
    T_CASE(t_gp_evidence);
    T_CASE(t_gp_hard);
    T_CASE(t_gp_memory);
    T_CASE(t_gp_golden);
    T_CASE(t_gp_quantile);
    T_CASE(t_gp_scores);
}
