/* test_tt.c - tensor-train distribution: golden steps, sampling against exact
 * enumeration, gradient against finite differences, odd shapes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* ---- golden/protes_step ---- */

/* NAME.left|middle|right of size values as one array in (d, r1, n, r2) order. */
typedef struct t_tt_case {
    char name[32];
    long d, n, r, k;
} t_tt_case;

static const char *const t_tt_parts[3] = {"left", "middle", "right"};

static mango_idx t_tt_part(const t_tt_case *c, int p)
{
    return p == 1 ? (c->d - 2) * c->r * c->n * c->r : c->n * c->r;
}

/* Flat index in the file's (r1,n,r2) cores -> index in ours. */
static mango_idx t_tt_where(const mgi_tt *t, const t_tt_case *c, int part, mango_idx f)
{
    const mango_idx r1 = part == 0 ? 1 : c->r, r2 = part == 2 ? 1 : c->r;
    const mango_idx core = r1 * c->n * r2, j = part == 0   ? 0
                                               : part == 2 ? c->d - 1
                                                           : 1 + f / core;
    const mango_idx e = f % core, b = e % r2, i = e / r2 % c->n, a = e / (r2 * c->n);
    return mgi_tt_at(t, j, i, a, b);
}

static void t_tt_compare(const mgi_tensors *f, const mgi_tt *t, const t_tt_case *c,
                         const char *what, const double *ours)
{
    for (int p = 0; p < 3; p++) {
        char name[96];
        const mango_idx n = t_tt_part(c, p);
        snprintf(name, sizeof name, "%s.%s_%s", c->name, what, t_tt_parts[p]);
        const mgi_tensor *w = mgi_tensors_find(f, name);
        T_REQUIRE(w && w->count == n);
        float *want = calloc((size_t)n, sizeof *want),
              *got = calloc((size_t)n, sizeof *got);
        T_CHECK(want && got && mgi_tensor_floats(w, 1, want, NULL) == MANGO_OK);
        for (mango_idx i = 0; i < n; i++)
            got[i] = (float)ours[t_tt_where(t, c, p, i)];
        T_CLOSE(got, want, n, 1e-4);
        free(want), free(got);
    }
}

static void t_tt_fill(mgi_tt *t, const t_tt_case *c, uint64_t seed, mango_idx *I)
{
    char name[64];
    for (int p = 0; p < 3; p++) {
        const mango_idx n = t_tt_part(c, p);
        float *u = calloc((size_t)n, sizeof *u);
        snprintf(name, sizeof name, "%s.%s", c->name, t_tt_parts[p]);
        mango_fill_u(name, seed, n, u);
        for (mango_idx i = 0; i < n; i++)
            t->G[t_tt_where(t, c, p, i)] = (double)(0.5f + 0.5f * u[i]);
        free(u);
    }
    float *u = calloc((size_t)(c->k * c->d), sizeof *u);
    snprintf(name, sizeof name, "%s.index", c->name);
    mango_fill_u(name, seed, c->k * c->d, u);
    for (mango_idx i = 0; i < c->k * c->d; i++)
        I[i] = (mango_idx)floor((double)c->n * (0.5 + 0.5 * (double)u[i]));
    free(u);
    mgi_tt_touch(t);
}

static void t_tt_golden_case(const mgi_tensors *f, const t_tt_case *c, uint64_t seed)
{
    mgi_tt t;
    mango_idx n[256];
    char name[64];
    const mango_alloc al = mgi_alloc_get(NULL);
    T_REQUIRE(c->d >= 2 && c->d <= 256);
    for (mango_idx j = 0; j < c->d; j++)
        n[j] = c->n;
    T_REQUIRE(mgi_tt_init(&t, c->d, n, c->r, c->k, &al) == MANGO_OK);
    mango_idx *I = calloc((size_t)(c->k * c->d), sizeof *I);
    double *v = calloc((size_t)t.padded, sizeof *v), ll[64];
    float *g = calloc((size_t)t.padded, sizeof *g), want[64];
    t_tt_fill(&t, c, seed, I);

    snprintf(name, sizeof name, "%s.loglik", c->name);
    const mgi_tensor *w = mgi_tensors_find(f, name);
    T_REQUIRE(w && w->count == c->k && c->k <= 64);
    T_CHECK(mgi_tensor_floats(w, 1, want, NULL) == MANGO_OK);
    mgi_tt_loglik(&t, c->k, I, ll);
    for (mango_idx k = 0; k < c->k; k++)
        T_REL(ll[k], want[k], 1e-5);
    mgi_tt_gradient(&t, c->k, I, g);
    for (mango_idx i = 0; i < t.size; i++)
        v[i] = (double)g[i];
    t_tt_compare(f, &t, c, "grad", v);
    mgi_tt_learn(&t, 3, 0.05, c->k, I);
    t_tt_compare(f, &t, c, "after3", t.G);
    free(I), free(v), free(g);
    mgi_tt_free(&t);
}

static void t_tt_golden(void)
{
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("protes_step.safetensors"), NULL, &err),
                   &err);
    const char *cases = mgi_tensors_meta(&f, "cases"), *seed = mgi_tensors_meta(&f, "seed");
    int seen = 0;
    for (const char *p = cases; p && seed && *p; seen++) {
        t_tt_case c;
        T_REQUIRE(sscanf(p, " %31s d=%ld n=%ld r=%ld k=%ld", c.name, &c.d, &c.n, &c.r,
                         &c.k) == 5);
        t_tt_golden_case(&f, &c, strtoull(seed, NULL, 10));
        p = strchr(p, ';');
        p = p ? p + 1 : "";
    }
    T_CHECK(seen >= 1);
    mgi_tensors_free(&f);
}

/* ---- a small tensor written out ---- */

enum { T_TT_MAX = 4096 };

/* The exact p of every multi-index, in row-major order, by (1)-(3) of tt.h
 * written plainly: conditionals from full sums, not from interface vectors. */
static mango_idx t_tt_exact(const mgi_tt *t, double *p)
{
    mango_idx N = 1;
    static double w[T_TT_MAX];
    for (mango_idx j = 0; j < t->d; j++)
        N *= t->n[j];
    for (mango_idx x = 0; x < N; x++) { /* w = product of the chosen matrices */
        double l[8] = {1.0};
        for (mango_idx j = 0, rest = N, y = x; j < t->d; j++) {
            rest /= t->n[j];
            const mango_idx i = y / rest, r1 = t->r[j], r2 = t->r[j + 1];
            double l2[8] = {0.0};
            for (mango_idx a = 0; a < r1; a++)
                for (mango_idx b = 0; b < r2; b++)
                    l2[b] += l[a] * t->G[mgi_tt_at(t, j, i, a, b)];
            memcpy(l, l2, sizeof l);
            y %= rest;
        }
        w[x] = l[0], p[x] = 1.0;
    }
    for (mango_idx j = 0, rest = N; j < t->d; j++) { /* block of `rest` shares a prefix */
        const mango_idx big = rest;
        rest /= t->n[j];
        for (mango_idx x0 = 0; x0 < N; x0 += big) {
            double q[16] = {0.0}, S = 0.0;
            for (mango_idx i = 0; i < t->n[j]; i++) {
                for (mango_idx y = 0; y < rest; y++)
                    q[i] += w[x0 + i * rest + y];
                S += fabs(q[i]);
            }
            for (mango_idx y = 0; y < big; y++)
                p[x0 + y] *= fabs(q[y / rest]) / S;
        }
    }
    return N;
}

static void t_tt_unrank(const mgi_tt *t, mango_idx x, mango_idx *I)
{
    for (mango_idx j = t->d - 1; j >= 0; j--) {
        I[j] = x % t->n[j];
        x /= t->n[j];
    }
}

static mango_idx t_tt_rank(const mgi_tt *t, const mango_idx *I)
{
    mango_idx x = 0;
    for (mango_idx j = 0; j < t->d; j++)
        x = x * t->n[j] + I[j];
    return x;
}

/* Likelihood of all multi-indices against enumeration; frequencies of 20000
 * samples within 5 standard deviations; all of it with negative entries too. */
static void t_tt_enumerate(mango_idx d, const mango_idx *n, mango_idx r, double shift)
{
    enum { N_SAMPLES = 20000 };
    mgi_tt t;
    static double p[T_TT_MAX], ll[T_TT_MAX];
    static mango_idx I[T_TT_MAX * 8], S[N_SAMPLES * 8];
    static long hits[T_TT_MAX];
    const mango_alloc al = mgi_alloc_get(NULL);
    T_REQUIRE(mgi_tt_init(&t, d, n, r, 3, &al) == MANGO_OK);
    mgi_tt_uniform(&t, 11, 5);
    for (mango_idx i = 0; i < t.size; i++)
        t.G[i] -= shift;
    mgi_tt_touch(&t);
    const mango_idx N = t_tt_exact(&t, p);
    double sum = 0.0;
    for (mango_idx x = 0; x < N; x++)
        t_tt_unrank(&t, x, I + x * d), sum += p[x], hits[x] = 0;
    T_NEAR(sum, 1.0, 1e-12);
    mgi_tt_loglik(&t, N, I, ll);
    for (mango_idx x = 0; x < N; x++)
        T_NEAR(ll[x], log(p[x]), 1e-9);
    mgi_tt_sample(&t, N_SAMPLES, 3, 0, S);
    for (mango_idx k = 0; k < N_SAMPLES; k++)
        hits[t_tt_rank(&t, S + k * d)]++;
    for (mango_idx x = 0; x < N; x++) {
        const double mean = p[x] * N_SAMPLES, sd = sqrt(mean * (1.0 - p[x])) + 1.0;
        T_NEAR(hits[x], mean, 5.0 * sd);
    }
    mgi_tt_free(&t);
}

static void t_tt_sampling(void)
{
    static const mango_idx n1[] = {5}, n2[] = {3, 4}, ones[] = {1, 3, 1, 2, 1};
    static const mango_idx mix[] = {2, 3, 4, 5}, bits[] = {2, 2, 2, 2, 2, 2}, one[] = {1};
    static const mango_idx wide[] = {9, 3, 8, 16}, w1[] = {13};
    for (int neg = 0; neg < 2; neg++) {
        const double shift = neg ? 0.3 : 0.0;
        t_tt_enumerate(1, n1, 5, shift);
        t_tt_enumerate(1, one, 5, shift);
        t_tt_enumerate(2, n2, 3, shift);
        t_tt_enumerate(5, ones, 2, shift);
        t_tt_enumerate(4, mix, 4, shift);
        t_tt_enumerate(6, bits, 5, shift); /* the specialised loops */
        t_tt_enumerate(4, mix, 5, shift);
        t_tt_enumerate(4, wide, 5, shift);
        t_tt_enumerate(4, wide, 3, shift);
        t_tt_enumerate(1, w1, 1, shift);
    }
}

/* K samples at once or one by one are the same. */
static void t_tt_streams(void)
{
    enum { D = 40, K = 37 };
    mgi_tt t;
    mango_idx n[D], all[K * D], one[D];
    const mango_alloc al = mgi_alloc_get(NULL);
    for (mango_idx j = 0; j < D; j++)
        n[j] = j % 7 ? 1 + j % 5 : 8 + j;
    T_REQUIRE(mgi_tt_init(&t, D, n, 5, 1, &al) == MANGO_OK);
    mgi_tt_uniform(&t, 1, 0);
    mgi_tt_sample(&t, K, 9, 100, all);
    for (mango_idx k = 0; k < K; k++) {
        mgi_tt_sample(&t, 1, 9, 100 + (uint64_t)k, one);
        T_MEM(one, all + k * D, sizeof one);
    }
    mgi_tt_free(&t);
}

/* ---- gradient ---- */

static double t_tt_loss(mgi_tt *t, mango_idx K, const mango_idx *I)
{
    double ll[8], s = 0.0;
    mgi_tt_touch(t);
    mgi_tt_loglik(t, K, I, ll);
    for (mango_idx k = 0; k < K; k++)
        s -= ll[k] / (double)K;
    return s;
}

static void t_tt_check_gradient(mango_idx d, const mango_idx *n, mango_idx r, double shift)
{
    enum { K = 4 };
    mgi_tt t;
    mango_idx I[K * 16];
    const mango_alloc al = mgi_alloc_get(NULL);
    T_REQUIRE(mgi_tt_init(&t, d, n, r, K, &al) == MANGO_OK);
    mgi_tt_uniform(&t, 21, 0);
    for (mango_idx i = 0; i < t.size; i++)
        t.G[i] -= shift;
    mgi_tt_touch(&t);
    mgi_tt_sample(&t, K, 4, 0, I);
    float *g = calloc((size_t)t.size, sizeof *g);
    mgi_tt_gradient(&t, K, I, g);
    for (mango_idx i = 0; i < t.size; i++) {
        const double x = t.G[i], h = 1e-6;
        t.G[i] = x + h;
        const double up = t_tt_loss(&t, K, I);
        t.G[i] = x - h;
        const double down = t_tt_loss(&t, K, I);
        t.G[i] = x;
        const double want = (up - down) / (2.0 * h);
        T_NEAR(g[i], want, 1e-5 * (1.0 + fabs(want)));
    }
    free(g);
    mgi_tt_free(&t);
}

static void t_tt_gradient(void)
{
    static const mango_idx n1[] = {5}, n2[] = {3, 4}, ones[] = {1, 3, 1, 2, 1};
    static const mango_idx mix[] = {2, 3, 4, 5, 2}, bits[] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    static const mango_idx wide[] = {9, 3, 8, 17, 2, 10};
    for (int neg = 0; neg < 2; neg++) {
        const double shift = neg ? 0.4 : 0.0;
        t_tt_check_gradient(1, n1, 5, shift);
        t_tt_check_gradient(2, n2, 3, shift);
        t_tt_check_gradient(5, ones, 2, shift);
        t_tt_check_gradient(5, mix, 4, shift);
        t_tt_check_gradient(5, mix, 5, shift);
        t_tt_check_gradient(10, bits, 5, shift);
        t_tt_check_gradient(6, wide, 5, shift);
        t_tt_check_gradient(6, wide, 4, shift);
    }
}

/* Cores of zeros, of huge and of tiny numbers: indices stay in range, the
 * gradient stays finite, and so do the cores after a step. */
static void t_tt_extremes(void)
{
    enum { D = 300, K = 3 };
    static const double scale[] = {0.0, 1e30, 1e-30, -1e3};
    mgi_tt t;
    mango_idx n[D], I[K * D];
    double ll[K];
    const mango_alloc al = mgi_alloc_get(NULL);
    for (mango_idx j = 0; j < D; j++)
        n[j] = 1 + j % 3;
    T_REQUIRE(mgi_tt_init(&t, D, n, 5, K, &al) == MANGO_OK);
    for (mango_idx c = 0; c < MGI_COUNT(scale); c++) {
        mgi_tt_uniform(&t, 1, 0);
        for (mango_idx i = 0; i < t.size; i++)
            t.G[i] *= scale[c];
        mgi_tt_touch(&t);
        mgi_tt_sample(&t, K, 1, 0, I);
        int bad = 0;
        for (mango_idx i = 0; i < K * D; i++)
            bad |= I[i] < 0 || I[i] >= n[i % D];
        mgi_tt_loglik(&t, K, I, ll);
        T_CHECK(ll[0] <= 0.0 && ll[0] > -1e4);
        mgi_tt_learn(&t, 3, 0.05, K, I);
        for (mango_idx i = 0; i < t.size; i++)
            bad |= !isfinite(t.G[i]);
        T_EQ(bad, 0);
    }
    mgi_tt_free(&t);
}

/* ---- kernel sets ---- */

/* A train, what it is filled with, and what to do: K rows are drawn, their gradient
 * taken, `steps` steps learnt, their likelihood told. */
typedef struct t_tt_set {
    mango_idx d, n[8], r, K, steps;
    double scale, shift;
} t_tt_set;

/* What a set gives, cores in the order of (j, i, a, b). */
typedef struct t_tt_result {
    mango_idx count, I[40 * 8];
    double *G, ll[40];
    float *g;
} t_tt_result;

/* The entries of the cores one after the other, whatever their order in memory. */
static mango_idx t_tt_entries(const mgi_tt *t, mango_idx *where)
{
    mango_idx c = 0;
    for (mango_idx j = 0; j < t->d; j++)
        for (mango_idx i = 0; i < t->n[j]; i++)
            for (mango_idx a = 0; a < t->r[j]; a++)
                for (mango_idx b = 0; b < t->r[j + 1]; b++)
                    where[c++] = mgi_tt_at(t, j, i, a, b);
    return c;
}

static void t_tt_run(const t_tt_set *s, t_tt_result *res)
{
    mgi_tt t;
    const mango_alloc al = mgi_alloc_get(NULL);
    T_REQUIRE(mgi_tt_init(&t, s->d, s->n, s->r, s->K, &al) == MANGO_OK);
    mango_idx *where = calloc((size_t)t.size, sizeof *where);
    float *g = calloc((size_t)t.padded, sizeof *g);
    res->G = calloc((size_t)t.size, sizeof *res->G);
    res->g = calloc((size_t)t.size, sizeof *res->g);
    T_REQUIRE(where && g && res->G && res->g);
    res->count = t_tt_entries(&t, where);
    mgi_tt_uniform(&t, 31, 0);
    for (mango_idx i = 0; i < res->count; i++)
        t.G[where[i]] = (t.G[where[i]] - s->shift) * s->scale;
    mgi_tt_touch(&t);
    mgi_tt_sample(&t, s->K, 7, 0, res->I);
    mgi_tt_gradient(&t, s->K, res->I, g);
    mgi_tt_learn(&t, s->steps, 0.05, s->K, res->I);
    mgi_tt_sample(&t, s->K, 7, 100, res->I);
    mgi_tt_loglik(&t, s->K, res->I, res->ll);
    for (mango_idx i = 0; i < res->count; i++)
        res->G[i] = t.G[where[i]], res->g[i] = g[where[i]];
    free(where), free(g);
    mgi_tt_free(&t);
}

/* Every kernel set gives the bits of the plain one, which knows no wide cores. */
static void t_tt_kernel_sets(void)
{
    static const char *const sets[] = {"sse2", "avx2", "avx512", "neon"};
    static const t_tt_set cases[] = {
        {4, {16, 64, 512, 100}, 5, 1, 3, 1.0, 0.0},
        {4, {16, 64, 512, 100}, 5, 40, 3, 1.0, 0.4},
        {8, {3, 9, 2, 8, 17, 2, 2, 31}, 5, 5, 4, 1.0, 0.3},
        {8, {3, 9, 2, 8, 17, 2, 2, 7}, 3, 9, 4, 1.0, 0.3},
        {3, {20, 12, 9}, 70, 2, 2, 1.0, 0.45},
        {5, {9, 7, 7, 9, 3}, 70, 2, 2, 1.0, 0.45}, /* more than one piece of Adam */
        {3, {20, 21001, 12}, 5, 3, 2, 1.0, 0.2},   /* and of threads */
        {2, {5000, 40}, 5, 13, 2, 1.0, 0.1},
        {1, {70000}, 5, 7, 2, 1.0, 0.5},
        {8, {9, 9, 9, 9, 9, 9, 9, 9}, 5, 3, 2, 0.0, 0.0},     /* says nothing */
        {8, {9, 9, 9, 9, 9, 9, 9, 9}, 5, 3, 2, 1e120, 0.4},   /* beyond a double */
        {8, {9, 9, 9, 9, 9, 9, 9, 9}, 5, 3, 2, 1e300, 0.0},
        {8, {9, 9, 9, 9, 9, 9, 9, 9}, 5, 3, 2, 1e-120, 0.4},
        {1, {11}, 5, 40, 1, 6e-324, 0.0}, /* where u S is rounded to S */
        {1, {11}, 5, 40, 1, 6e-324, 0.9},
    };
    const char *was = mgi_kernels_get()->name;
    for (mango_idx c = 0; c < MGI_COUNT(cases); c++) {
        t_tt_result plain, res;
        T_REQUIRE(mgi_kernels_force("ref"));
        t_tt_run(cases + c, &plain);
        for (mango_idx s = 0; s < MGI_COUNT(sets); s++) {
            if (!mgi_kernels_force(sets[s]))
                continue;
            t_tt_run(cases + c, &res);
            const size_t n = (size_t)plain.count, rows = (size_t)(cases[c].K * cases[c].d);
            T_EQ(res.count, plain.count);
            T_MEM(res.G, plain.G, n * sizeof *plain.G);
            T_MEM(res.g, plain.g, n * sizeof *plain.g);
            T_MEM(res.I, plain.I, rows * sizeof *plain.I);
            T_MEM(res.ll, plain.ll, (size_t)cases[c].K * sizeof *plain.ll);
            free(res.G), free(res.g);
        }
        free(plain.G), free(plain.g);
    }
    mgi_kernels_force(was);
}

/* Learning one code for long makes it nearly certain, and nothing breaks. */
static void t_tt_collapse(void)
{
    enum { D = 96 };
    mgi_tt t;
    mango_idx n[D], I[D], S[8 * D];
    double ll;
    const mango_alloc al = mgi_alloc_get(NULL);
    for (mango_idx j = 0; j < D; j++)
        n[j] = 2, I[j] = j % 2;
    T_REQUIRE(mgi_tt_init(&t, D, n, 5, 1, &al) == MANGO_OK);
    mgi_tt_uniform(&t, 2, 0);
    mgi_tt_learn(&t, 400, 0.05, 1, I);
    mgi_tt_loglik(&t, 1, I, &ll);
    T_NEAR(ll, 0.0, 0.5);
    mgi_tt_sample(&t, 8, 1, 0, S);
    mango_idx same = 0;
    for (mango_idx i = 0; i < 8 * D; i++)
        same += S[i] == I[i % D];
    T_CHECK(same > 8 * D - 16);
    mgi_tt_free(&t);
}

static mango_status t_tt_make(void *ud, const mango_alloc *al)
{
    static const mango_idx n[] = {2, 3, 1, 2};
    mgi_tt t;
    (void)ud;
    const mango_status st = mgi_tt_init(&t, 4, n, 5, 2, al);
    if (st == MANGO_OK)
        mgi_tt_uniform(&t, 1, 0);
    mgi_tt_free(&t);
    return st;
}

static void t_tt_memory(void)
{
    static const mango_idx huge[] = {(mango_idx)1 << 24, (mango_idx)1 << 24};
    mgi_tt t;
    const mango_alloc al = mgi_alloc_get(NULL);
    T_CHECK(t_oom_sweep(t_tt_make, NULL) >= 1);
    T_STATUS(mgi_tt_init(&t, 2, huge, PTRDIFF_MAX / 8, 1, &al), MANGO_E_MEM);
    mgi_tt_free(&t);
}

void t_tt(void)
{
    T_CASE(t_tt_golden);
    T_CASE(t_tt_sampling);
    T_CASE(t_tt_streams);
    T_CASE(t_tt_gradient);
    T_CASE(t_tt_extremes);
    T_CASE(t_tt_kernel_sets);
    T_CASE(t_tt_collapse);
    T_CASE(t_tt_memory);
}
