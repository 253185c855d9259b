/* test_pca.c - principal components: of known vectors, by both ways, of nothing.
 * SPDX-License-Identifier: MIT */
#include "../src/study/pca.h"
#include "test.h"

enum { T_PCA_N = 40, T_PCA_DIM = 7, T_PCA_WIDE = 60 };

/* x (n,dim): three directions of their own size, and a mean. */
static void t_pca_vectors(mango_idx n, mango_idx dim, float *x)
{
    mango_rng r;
    mango_rng_init(&r, 5, 0x9CA, 0);
    for (mango_idx i = 0; i < n; i++) {
        const double a = 9 * mango_rng_normal(&r), b = 3 * mango_rng_normal(&r),
                     c = mango_rng_normal(&r);
        for (mango_idx j = 0; j < dim; j++)
            x[i * dim + j] = (float)(5 + (j == 0 ? a : j == 1 ? b : j == 2 ? c : 0));
    }
}

static double t_pca_dot(mango_idx n, mango_idx k, const float *y, mango_idx a, mango_idx b)
{
    double s = 0;
    for (mango_idx i = 0; i < n; i++)
        s += (double)y[i * k + a] * (double)y[i * k + b];
    return s;
}

/* Uncorrelated, in falling order, all the variance; what is beyond the rank is zero. */
static void t_pca_known(void)
{
    float x[T_PCA_N * T_PCA_DIM], y[T_PCA_N * 5];
    double all = 0, kept = 0;
    mango_err err = {""};
    t_pca_vectors(T_PCA_N, T_PCA_DIM, x);
    T_OK(mango_pca(T_PCA_N, T_PCA_DIM, x, 5, y, NULL, &err), &err);
    for (mango_idx j = 0; j < T_PCA_DIM; j++) {
        double m = 0;
        for (mango_idx i = 0; i < T_PCA_N; i++)
            m += (double)x[i * T_PCA_DIM + j] / T_PCA_N;
        for (mango_idx i = 0; i < T_PCA_N; i++)
            all += ((double)x[i * T_PCA_DIM + j] - m) * ((double)x[i * T_PCA_DIM + j] - m);
    }
    for (mango_idx a = 0; a < 5; a++) {
        kept += t_pca_dot(T_PCA_N, 5, y, a, a);
        for (mango_idx b = 0; b < a; b++)
            T_NEAR(t_pca_dot(T_PCA_N, 5, y, a, b) / all, 0.0, 1e-6);
        if (a > 0 && a < 3)
            T_CHECK(t_pca_dot(T_PCA_N, 5, y, a, a) < t_pca_dot(T_PCA_N, 5, y, a - 1, a - 1));
    }
    T_NEAR(kept / all, 1.0, 1e-6);
    T_CHECK(t_pca_dot(T_PCA_N, 5, y, 3, 3) == 0.0 && t_pca_dot(T_PCA_N, 5, y, 4, 4) == 0.0);
}

/* Columns of zeros make the other matrix the smaller one: the same components. */
static void t_pca_both(void)
{
    static float x[T_PCA_N * T_PCA_DIM], wide[T_PCA_N * T_PCA_WIDE];
    float y[T_PCA_N * 3], z[T_PCA_N * 3];
    mango_err err = {""};
    t_pca_vectors(T_PCA_N, T_PCA_DIM, x);
    memset(wide, 0, sizeof wide);
    for (mango_idx i = 0; i < T_PCA_N; i++)
        memcpy(wide + i * T_PCA_WIDE + 20, x + i * T_PCA_DIM, T_PCA_DIM * sizeof *x);
    T_OK(mango_pca(T_PCA_N, T_PCA_DIM, x, 3, y, NULL, &err), &err);
    T_OK(mango_pca(T_PCA_N, T_PCA_WIDE, wide, 3, z, NULL, &err), &err);
    for (mango_idx i = 0; i < T_PCA_N * 3; i++)
        T_NEAR(z[i], y[i], 2e-5);
    for (mango_idx c = 0; c < 3; c++) { /* the sign: the largest is positive */
        mango_idx top = 0;
        for (mango_idx i = 0; i < T_PCA_N; i++)
            top = fabsf(y[i * 3 + c]) > fabsf(y[top * 3 + c]) ? i : top;
        T_CHECK(y[top * 3 + c] > 0.0f);
    }
}

static void t_pca_odd(void)
{
    float x[6] = {1, 1, 1, 1, 1, 1}, y[12];
    mango_err err = {""};
    T_OK(mango_pca(3, 2, x, 4, y, NULL, &err), &err); /* alike: all zeros */
    for (int i = 0; i < 12; i++)
        T_CHECK(y[i] == 0.0f);
    T_OK(mango_pca(1, 6, x, 1, y, NULL, &err), &err);
    T_CHECK(y[0] == 0.0f);
    x[3] = NAN;
    T_STATUS(mango_pca(3, 2, x, 1, y, NULL, &err), MANGO_E_NONFINITE);
    T_CHECK(strstr(err.text, "number 1 of vector 1") != NULL);
    T_STATUS(mango_pca(0, 2, x, 1, y, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_pca(3, 0, x, 1, y, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_pca(3, 2, x, 0, y, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_pca(3, 2, NULL, 1, y, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_pca(5000, 5000, x, 1, y, NULL, &err), MANGO_E_ARG);
}

static mango_status t_pca_once(void *ud, const mango_alloc *al)
{
    float y[T_PCA_N];
    return mango_pca(T_PCA_N, T_PCA_DIM, ud, 1, y, al, NULL);
}

static void t_pca_oom(void)
{
    float x[T_PCA_N * T_PCA_DIM];
    t_pca_vectors(T_PCA_N, T_PCA_DIM, x);
    T_CHECK(t_oom_sweep(t_pca_once, x) > 4);
}

void t_pca(void)
{
    T_CASE(t_pca_known);
    T_CASE(t_pca_both);
    T_CASE(t_pca_odd);
    T_CASE(t_pca_oom);
}
