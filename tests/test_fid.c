/* test_fid.c - eigenvalues, moments, Frechet distances with known answers.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_FID_MAX = 160 };

static double t_fid_normal(uint64_t seed, mango_idx i)
{
    mango_rng r;
    mango_rng_init(&r, seed, 0xF1D, (uint64_t)i);
    return mango_rng_normal(&r);
}

/* ---- eigenvalues --------------------------------------------------------- */

/* |V V^T - 1| and |V A V^T - w| of the n x n matrix A, against its largest value. */
static void t_fid_residual(mango_idx n, const double *A, const double *w, const double *V,
                           double tol)
{
    double off = 0.0, res = 0.0, top = 1e-300;
    double *p = malloc((size_t)n * sizeof *p);
    for (mango_idx i = 0; i < n * n; i++)
        top = fmax(top, fabs(A[i]));
    for (mango_idx i = 0; i < n; i++) {
        for (mango_idx k = 0; k < n; k++)
            p[k] = mgi_dot64(n, V + i * n, A + k * n) / top;
        for (mango_idx j = 0; j < n; j++) {
            const double one = i == j ? 1.0 : 0.0;
            off = fmax(off, fabs(mgi_dot64(n, V + i * n, V + j * n) - one));
            res = fmax(res, fabs(mgi_dot64(n, p, V + j * n) - one * w[i] / top));
        }
        T_CHECK(i == 0 || w[i - 1] <= w[i]);
    }
    T_NEAR(off, 0.0, tol);
    T_NEAR(res, 0.0, tol * (double)n);
    free(p);
}

/* A kind of matrix for each `how`; all symmetric. */
static double t_fid_entry(int how, mango_idx n, mango_idx i, mango_idx j)
{
    const mango_idx lo = MGI_MIN(i, j), hi = MGI_MAX(i, j);
    const double u = t_fid_normal(1, lo * n + hi);
    switch (how) {
    case 0: return u;
    case 1: return lo == hi ? 2.0 : hi == lo + 1 ? -1.0 : 0.0;
    case 2: return (double)((i + 1) * (j + 1)); /* rank 1 */
    case 3: return lo == hi ? 3.0 : 0.0;
    case 4: return u * 1e150;
    case 5: return u * 1e-150;
    case 6: return 0.0;
    case 7: return u * mgi_pow(10.0, -0.1 * (double)(2 * n - i - j)); /* graded */
    case 8: return lo == 0 || hi == n - 1 ? u : 0.0; /* reflections with nothing to do */
    default: return lo % 3 == hi % 3 ? 1.0 : 0.0;    /* three blocks of ones */
    }
}

static void t_fid_eigen(void)
{
    static const mango_idx size[] = {1, 2, 3, 4, 7, 40, 130};
    for (int how = 0; how < 10; how++)
        for (mango_idx s = 0; s < MGI_COUNT(size); s++) {
            const mango_idx n = size[s];
            double *A = malloc((size_t)(4 * n * n + 6 * n) * sizeof *A);
            double *B = A + n * n, *V = B + n * n, *w = V + n * n, *u = w + n;
            for (mango_idx i = 0; i < n * n; i++)
                A[i] = B[i] = t_fid_entry(how, n, i / n, i % n);
            T_STATUS(mgi_eigen(n, B, w, V, u + n), MANGO_OK);
            t_fid_residual(n, A, w, V, 2e-14);
            memcpy(B, A, (size_t)(n * n) * sizeof *A);
            T_STATUS(mgi_eigen(n, B, u, NULL, u + n), MANGO_OK); /* values only */
            T_MEM(u, w, (size_t)n * sizeof *u);
            for (mango_idx k = 0; how == 1 && k < n; k++)
                T_NEAR(w[k],
                       2.0 - 2.0 * mgi_cos2pi(0.5 * (double)(k + 1) / (double)(n + 1)),
                       1e-14);
            free(A);
        }
}

static void t_fid_eigen_bad(void)
{
    double A[4] = {1.0, NAN, NAN, 1.0}, w[2], work[8];
    T_STATUS(mgi_eigen(2, A, w, NULL, work), MANGO_E_NONFINITE);
    A[1] = A[2] = INFINITY;
    T_STATUS(mgi_eigen(2, A, w, NULL, work), MANGO_E_NONFINITE);
    T_STATUS(mgi_eigen(0, A, w, NULL, work), MANGO_E_ARG);
}

/* ---- moments ------------------------------------------------------------- */

static mango_moments *t_fid_new(mango_idx dim)
{
    mango_moments *m = NULL;
    mango_err err = {""};
    T_OK(mango_moments_create(&m, dim, NULL, &err), &err);
    return m;
}

/* n vectors of dim correlated values around `at`. */
static void t_fid_draw(uint64_t seed, mango_idx n, mango_idx dim, double at, float *x)
{
    for (mango_idx i = 0; i < n; i++) {
        double last = 0.0;
        for (mango_idx j = 0; j < dim; j++) {
            last = 0.6 * last + t_fid_normal(seed, i * dim + j);
            x[i * dim + j] = (float)(at + last * (1.0 + (double)(j % 5)));
        }
    }
}

static void t_fid_moments(void)
{
    enum { DIM = 7, N = 201 };
    static float x[N * DIM];
    double mean[DIM], cov[DIM * DIM], mean2[DIM], cov2[DIM * DIM];
    t_fid_draw(3, N, DIM, 1e4, x);
    mango_moments *m = t_fid_new(DIM), *cut = t_fid_new(DIM);
    T_REQUIRE(m && cut);
    T_EQ(mango_moments_count(m), 0);
    T_STATUS(mango_moments_get(m, mean, cov, NULL), MANGO_E_STATE);
    T_STATUS(mango_moments_add(m, N, x, NULL), MANGO_OK);
    T_STATUS(mango_moments_get(m, mean, cov, NULL), MANGO_OK);
    for (mango_idx i = 0; i < DIM; i++) { /* against two passes */
        double a = 0.0;
        for (mango_idx k = 0; k < N; k++)
            a += (double)x[k * DIM + i] / N;
        T_REL(mean[i], a, 1e-14);
        for (mango_idx j = 0; j < DIM; j++) {
            double c = 0.0;
            for (mango_idx k = 0; k < N; k++)
                c +=
                    ((double)x[k * DIM + i] - mean[i]) * ((double)x[k * DIM + j] - mean[j]);
            T_NEAR(cov[i * DIM + j], c / (N - 1), 1e-10);
            T_CHECK(cov[i * DIM + j] == cov[j * DIM + i]);
        }
    }
    for (mango_idx k = 0, step = 1; k < N; k += step, step = MGI_MIN(step + 9, N - k)) {
        T_STATUS(mango_moments_add(cut, step, x + k * DIM, NULL), MANGO_OK);
        if (k > 0) /* looking changes nothing */
            T_STATUS(mango_moments_get(cut, mean2, cov2, NULL), MANGO_OK);
    }
    T_EQ(mango_moments_count(cut), N);
    T_MEM(mean2, mean, sizeof mean);
    T_MEM(cov2, cov, sizeof cov);
    mango_moments_destroy(m);
    mango_moments_destroy(cut);
    mango_moments_destroy(NULL);
}

static void t_fid_merge(void)
{
    enum { DIM = 5, N = 300 };
    static const mango_idx cut[] = {0, 1, 40, 64, 100, 128, 250, 299, 300};
    static float x[N * DIM];
    double mean[DIM], cov[DIM * DIM], mean2[DIM], cov2[DIM * DIM];
    t_fid_draw(4, N, DIM, 3.0, x);
    mango_moments *all = t_fid_new(DIM), *other = t_fid_new(DIM + 1);
    T_STATUS(mango_moments_add(all, N, x, NULL), MANGO_OK);
    T_STATUS(mango_moments_get(all, mean, cov, NULL), MANGO_OK);
    for (mango_idx c = 0; c < MGI_COUNT(cut); c++) {
        mango_moments *a = t_fid_new(DIM), *b = t_fid_new(DIM);
        T_STATUS(mango_moments_add(a, cut[c], x, NULL), MANGO_OK);
        T_STATUS(mango_moments_add(b, N - cut[c], x + cut[c] * DIM, NULL), MANGO_OK);
        T_STATUS(mango_moments_merge(a, b, NULL), MANGO_OK);
        T_EQ(mango_moments_count(a), N);
        T_EQ(mango_moments_count(b), N - cut[c]);
        T_STATUS(mango_moments_get(a, mean2, cov2, NULL), MANGO_OK);
        for (int i = 0; i < DIM; i++)
            T_REL(mean2[i], mean[i], 1e-13);
        for (int i = 0; i < DIM * DIM; i++)
            T_NEAR(cov2[i], cov[i], 1e-11);
        T_STATUS(mango_moments_merge(a, a, NULL), MANGO_E_ARG);
        T_STATUS(mango_moments_merge(a, other, NULL), MANGO_E_SHAPE);
        mango_moments_destroy(a);
        mango_moments_destroy(b);
    }
    mango_moments_destroy(all);
    mango_moments_destroy(other);
}

static void t_fid_refused(void)
{
    mango_moments *m = NULL, *b = t_fid_new(3);
    mango_err err = {""};
    double fid;
    float x[6] = {1, 2, 3, 4, NAN, 6};
    T_STATUS(mango_moments_create(&m, 0, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_moments_create(&m, 4097, NULL, &err), MANGO_E_ARG);
    T_CHECK(m == NULL);
    m = t_fid_new(2);
    T_STATUS(mango_moments_add(m, 3, x, NULL), MANGO_E_NONFINITE);
    x[4] = -INFINITY;
    T_STATUS(mango_moments_add(m, 3, x, NULL), MANGO_E_NONFINITE);
    T_EQ(mango_moments_count(m), 0);
    T_STATUS(mango_moments_add(m, -1, x, NULL), MANGO_E_ARG);
    T_STATUS(mango_moments_add(m, 1, NULL, NULL), MANGO_E_ARG);
    T_STATUS(mango_fid(m, b, NULL, &fid, NULL, &err), MANGO_E_SHAPE);
    T_STATUS(mango_moments_add(m, 1, x, NULL), MANGO_OK);
    T_STATUS(mango_fid(m, m, NULL, &fid, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "at least 2") != NULL);
    mango_moments_destroy(m);
    mango_moments_destroy(b);
}

/* ---- distances ----------------------------------------------------------- */

/* A set of 2 r vectors with mean mu (d; NULL: 0) and covariance L L^T exactly, up to
 * the rounding of floats: mu +- s L e_k, s^2 = (2 r - 1)/2. L is (d,r). */
static mango_moments *t_fid_set(mango_idx d, mango_idx r, const double *L, const double *mu)
{
    mango_moments *m = t_fid_new(d);
    const double s = sqrt(0.5 * (double)(2 * r - 1));
    float x[T_FID_MAX];
    for (mango_idx k = 0; m && k < 2 * r; k++) {
        for (mango_idx i = 0; i < d; i++)
            x[i] = (float)((mu ? mu[i] : 0.0) + (k % 2 ? -s : s) * L[i * r + k / 2]);
        T_STATUS(mango_moments_add(m, 1, x, NULL), MANGO_OK);
    }
    return m;
}

/* The distance of two such sets; `back` is the one with the sets exchanged. */
static double t_fid_of(mango_idx d, mango_idx r1, const double *L1, mango_idx r2,
                       const double *L2, const double *mu, double *means, double *back)
{
    mango_moments *a = t_fid_set(d, r1, L1, NULL), *b = t_fid_set(d, r2, L2, mu);
    mango_err err = {""};
    double fid = NAN;
    T_OK(mango_fid(a, b, NULL, &fid, means, &err), &err);
    T_OK(mango_fid(b, a, NULL, back, NULL, &err), &err);
    T_CHECK(fid >= 0.0 && *back >= 0.0);
    mango_moments_destroy(a);
    mango_moments_destroy(b);
    return fid;
}

/* |L1^T L2|_* = Tr (C1 C2)^(1/2), by another way: one-sided Jacobi, which turns
 * pairs of columns until all are orthogonal; their lengths are the singular values. */
static double t_fid_nuclear(mango_idx d, mango_idx r1, const double *L1, mango_idx r2,
                            const double *L2)
{
    static double K[T_FID_MAX * T_FID_MAX];
    double sum = 0.0;
    for (mango_idx i = 0; i < r1 * r2; i++) {
        K[i] = 0.0;
        for (mango_idx k = 0; k < d; k++)
            K[i] += L1[k * r1 + i / r2] * L2[k * r2 + i % r2];
    }
    for (int sweep = 0; sweep < 40; sweep++)
        for (mango_idx p = 0; p < r2; p++)
            for (mango_idx q = p + 1; q < r2; q++) {
                double a = 0.0, b = 0.0, g = 0.0;
                for (mango_idx i = 0; i < r1; i++) {
                    a += K[i * r2 + p] * K[i * r2 + p];
                    b += K[i * r2 + q] * K[i * r2 + q];
                    g += K[i * r2 + p] * K[i * r2 + q];
                }
                if (g * g <= 1e-32 * a * b)
                    continue;
                const double z = (b - a) / (2.0 * g);
                const double t = (z < 0.0 ? -1.0 : 1.0) / (fabs(z) + sqrt(1.0 + z * z));
                const double c = 1.0 / sqrt(1.0 + t * t), s = c * t;
                for (mango_idx i = 0; i < r1; i++) {
                    const double x = K[i * r2 + p], y = K[i * r2 + q];
                    K[i * r2 + p] = c * x - s * y;
                    K[i * r2 + q] = s * x + c * y;
                }
            }
    for (mango_idx q = 0; q < r2; q++) {
        double a = 0.0;
        for (mango_idx i = 0; i < r1; i++)
            a += K[i * r2 + q] * K[i * r2 + q];
        sum += sqrt(a);
    }
    return sum;
}

static double t_fid_square(mango_idx n, const double *x)
{
    return mgi_dot64(n, x, x);
}

static void t_fid_equal(void)
{
    static float x[90 * 40];
    t_fid_draw(5, 90, 40, 0.5, x);
    for (mango_idx n = 2; n <= 90; n += 22) { /* singular covariances too */
        mango_moments *a = t_fid_new(40), *b = t_fid_new(40);
        double fid, means;
        T_STATUS(mango_moments_add(a, n, x, NULL), MANGO_OK);
        T_STATUS(mango_moments_add(b, n, x, NULL), MANGO_OK);
        T_STATUS(mango_fid(a, b, NULL, &fid, &means, NULL), MANGO_OK);
        T_NEAR(fid, 0.0, 1e-11); /* traces are about 1000 */
        T_CHECK(means == 0.0);
        mango_moments_destroy(a);
        mango_moments_destroy(b);
    }
}

static void t_fid_constant(void)
{
    static const double zero[4] = {0}, mu[2] = {3.0, 4.0}, L[4] = {1.0, 0.0, 0.0, 2.0};
    double means, back;
    T_NEAR(t_fid_of(2, 2, zero, 2, zero, mu, &means, &back), 25.0, 1e-14);
    T_NEAR(means, 25.0, 1e-14);
    T_NEAR(t_fid_of(2, 2, zero, 2, L, mu, &means, &back), 30.0, 1e-6);
    T_NEAR(back, 30.0, 1e-6);
}

/* Shifted sets of one covariance; one feature; diagonal covariances; multiples. */
static void t_fid_closed(void)
{
    enum { D = 12 };
    double L1[D * D] = {0}, L2[D * D] = {0}, mu[D], want = 0.0, tr = 0.0, means, back;
    for (mango_idx i = 0; i < D; i++) {
        L1[i * D + i] = 1.0 + 0.25 * (double)i;
        L2[i * D + i] = 4.0 - 0.5 * (double)i; /* zero and negative ones too */
        mu[i] = 0.125 * (double)(i - 4);
        want +=
            (L1[i * D + i] - fabs(L2[i * D + i])) * (L1[i * D + i] - fabs(L2[i * D + i]));
    }
    T_NEAR(t_fid_of(D, D, L1, D, L2, mu, &means, &back), want + t_fid_square(D, mu), 2e-5);
    T_NEAR(means, t_fid_square(D, mu), 1e-6);
    T_NEAR(t_fid_of(D, D, L1, D, L1, mu, &means, &back), t_fid_square(D, mu), 1e-5);
    T_NEAR(t_fid_of(1, 1, L1, 1, L2, mu, &means, &back), 9.0 + mu[0] * mu[0], 1e-5);
    T_NEAR(back, 9.0 + mu[0] * mu[0], 1e-5);
    for (mango_idx i = 0; i < D * D; i++) {
        L1[i] = (double)(float)t_fid_normal(7, i);
        L2[i] = 2.0 * L1[i]; /* C2 = 4 C1 */
        tr += L1[i] * L1[i];
    }
    T_REL(t_fid_of(D, D, L1, D, L2, NULL, &means, &back), tr, 1e-6);
    T_REL(back, tr, 1e-6);
}

/* 2x2: Tr (C1 C2)^(1/2) = (Tr C1 C2 + 2 (det C1 det C2)^(1/2))^(1/2). Rank 1: |a.b|. */
static void t_fid_small(void)
{
    static const double L1[4] = {1.5, 0.0, 0.5, 2.0}, L2[4] = {0.75, 0.0, -1.25, 0.5};
    static const double a[3] = {1.0, 2.0, -2.0}, b[3] = {4.0, -3.0, 0.5};
    double tr = 0.0, means, back;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            tr +=
                mgi_dot64(2, L1 + 2 * i, L1 + 2 * j) * mgi_dot64(2, L2 + 2 * i, L2 + 2 * j);
    const double root = sqrt(tr + 2.0 * (1.5 * 2.0) * (0.75 * 0.5));
    const double want = t_fid_square(4, L1) + t_fid_square(4, L2) - 2.0 * root;
    T_NEAR(t_fid_of(2, 2, L1, 2, L2, NULL, &means, &back), want, 1e-5);
    T_NEAR(back, want, 1e-5);
    const double line =
        t_fid_square(3, a) + t_fid_square(3, b) - 2.0 * fabs(mgi_dot64(3, a, b));
    T_NEAR(t_fid_of(3, 1, a, 1, b, NULL, &means, &back), line, 1e-5);
    T_NEAR(back, line, 1e-5);
}

/* Any ranks against singular values. */
static void t_fid_ranks(void)
{
    static const mango_idx rank[][3] = {{6, 6, 6}, {6, 3, 6},    {6, 6, 2},    {8, 3, 4},
                                        {9, 5, 5}, {30, 30, 30}, {30, 12, 25}, {30, 3, 2}};
    static double L1[T_FID_MAX * 30], L2[T_FID_MAX * 30];
    for (mango_idx c = 0; c < MGI_COUNT(rank); c++) {
        const mango_idx d = rank[c][0], r1 = rank[c][1], r2 = rank[c][2];
        double means, back;
        for (mango_idx i = 0; i < d * r1; i++)
            L1[i] = t_fid_normal(11, i);
        for (mango_idx i = 0; i < d * r2; i++)
            L2[i] = 0.5 * t_fid_normal(12, i);
        const double want = t_fid_square(d * r1, L1) + t_fid_square(d * r2, L2) -
                            2.0 * t_fid_nuclear(d, r1, L1, r2, L2);
        T_REL(t_fid_of(d, r1, L1, r2, L2, NULL, &means, &back), want, 1e-5);
        T_REL(back, want, 1e-5);
    }
}

/* Units: x -> k x makes it k^2 times as large, exactly for powers of two. */
static void t_fid_units(void)
{
    enum { D = 20, N = 70 };
    static float x[2][N * D];
    double first = 0.0;
    t_fid_draw(21, N, D, 0.0, x[0]);
    t_fid_draw(22, N, D, 0.3, x[1]);
    for (int e = -60; e <= 60; e += 30) {
        double fid;
        mango_moments *m[2];
        for (int k = 0; k < 2; k++) {
            float y[D];
            m[k] = t_fid_new(D);
            for (mango_idx i = 0; i < N; i++) {
                for (mango_idx j = 0; j < D; j++)
                    y[j] = ldexpf(x[k][i * D + j], e);
                T_STATUS(mango_moments_add(m[k], 1, y, NULL), MANGO_OK);
            }
        }
        T_STATUS(mango_fid(m[0], m[1], NULL, &fid, NULL, NULL), MANGO_OK);
        fid = ldexp(fid, -2 * e);
        first = e == -60 ? fid : first;
        T_CHECK(fid == first && fid > 1.0);
        mango_moments_destroy(m[0]);
        mango_moments_destroy(m[1]);
    }
}

static double t_fid_big(int threads, double *cov)
{
    enum { D = T_FID_MAX, N = 400 };
    static float x[N * D];
    double fid = NAN;
    static double mean[D];
    mango_set_threads(threads);
    mango_moments *a = t_fid_new(D), *b = t_fid_new(D);
    t_fid_draw(31, N, D, 0.0, x);
    T_STATUS(mango_moments_add(a, N, x, NULL), MANGO_OK);
    t_fid_draw(32, N, D, 0.1, x);
    T_STATUS(mango_moments_add(b, N, x, NULL), MANGO_OK);
    T_STATUS(mango_moments_get(b, mean, cov, NULL), MANGO_OK);
    T_STATUS(mango_fid(a, b, NULL, &fid, NULL, NULL), MANGO_OK);
    mango_moments_destroy(a);
    mango_moments_destroy(b);
    return fid;
}

static void t_fid_threads(void)
{
    const int before = mango_threads();
    static double cov[3][T_FID_MAX * T_FID_MAX];
    const double one = t_fid_big(1, cov[0]), two = t_fid_big(2, cov[1]),
                 three = t_fid_big(3, cov[2]);
    mango_set_threads(before);
    T_CHECK(one == two && one == three && one > 0.0);
    T_MEM(cov[1], cov[0], sizeof cov[0]);
    T_MEM(cov[2], cov[0], sizeof cov[0]);
}

static mango_status t_fid_once(void *ud, const mango_alloc *al)
{
    const float x[6] = {1, 2, 3, 4, 6, 5};
    mango_moments *a = NULL, *b = NULL;
    double fid;
    mango_status st = mango_moments_create(&a, 2, al, NULL);
    (void)ud;
    if (st == MANGO_OK)
        st = mango_moments_create(&b, 2, al, NULL);
    if (st == MANGO_OK)
        st = mango_moments_add(a, 3, x, NULL);
    if (st == MANGO_OK)
        st = mango_moments_merge(b, a, NULL);
    if (st == MANGO_OK)
        st = mango_fid(a, b, al, &fid, NULL, NULL);
    mango_moments_destroy(a);
    mango_moments_destroy(b);
    return st;
}

static void t_fid_oom(void)
{
    T_EQ(t_oom_sweep(t_fid_once, NULL), 5);
}

void t_fid(void)
{
    T_CASE(t_fid_eigen);
    T_CASE(t_fid_eigen_bad);
    T_CASE(t_fid_moments);
    T_CASE(t_fid_merge);
    T_CASE(t_fid_refused);
    T_CASE(t_fid_equal);
    T_CASE(t_fid_constant);
    T_CASE(t_fid_closed);
    T_CASE(t_fid_small);
    T_CASE(t_fid_ranks);
    T_CASE(t_fid_units);
    T_CASE(t_fid_threads);
    T_CASE(t_fid_oom);
}
