/* pca.c - principal components (Pearson 1901; Hotelling 1933) by whichever is smaller of
 *
 *     C = X'X = sum_i w_i v_i v_i',   y_i = X v_i                              (1)
 *     G = XX' = sum_i w_i u_i u_i',   y_i = sqrt(w_i) u_i                      (2)
 *
 * for the centred vectors X (n,dim): both give the same y.
 * SPDX-License-Identifier: MIT */
#include "pca.h"
#include "../base/real.h"
#include "../math/eigen.h"
#include <math.h>

#define PCA_MOST 4096
#define PCA_SIZE ((mango_idx)1 << 20)

typedef struct pca_work {
    mango_idx n, dim, s; /* s the smaller */
    double *X;           /* (n,dim) centred; (1): its transpose (dim,n) */
    double *A, *V;       /* (s,s) */
    double *w, *scratch; /* (s) (4,s) */
} pca_work;

/* Centred, the s rows of which the inner products are wanted one after another. */
static void pca_centre(pca_work *p, const float *x)
{
    const int by_column = p->dim <= p->n;
    for (mango_idx j = 0; j < p->dim; j++) {
        double m = 0;
        for (mango_idx i = 0; i < p->n; i++)
            m += (double)x[i * p->dim + j];
        m /= (double)p->n;
        for (mango_idx i = 0; i < p->n; i++)
            p->X[by_column ? j * p->n + i : i * p->dim + j] = (double)x[i * p->dim + j] - m;
    }
}

/* A = the inner products of the s rows. */
static void pca_products(pca_work *p)
{
    const mango_idx s = p->s, run = s == p->dim ? p->n : p->dim;
    MGI_OMP(parallel for schedule(dynamic))
    for (mango_idx i = 0; i < s; i++)
        for (mango_idx j = 0; j <= i; j++)
            p->A[i * s + j] = p->A[j * s + i] = mgi_dot64(run, p->X + i * run, p->X + j * run);
}

/* Component c of vector i. */
static double pca_value(const pca_work *p, mango_idx c, mango_idx i)
{
    const mango_idx e = p->s - 1 - c; /* eigenvalues ascend */
    const double *v = p->V + e * p->s;
    if (p->s != p->dim)
        return sqrt(MGI_MAX(p->w[e], 0.0)) * v[i];                              /* (2) */
    double y = 0;
    for (mango_idx j = 0; j < p->dim; j++)
        y += p->X[j * p->n + i] * v[j];                                         /* (1) */
    return y;
}

static void pca_component(const pca_work *p, mango_idx c, mango_idx k, float *y)
{
    mango_idx top = 0;
    const int real = p->w[p->s - 1 - c] > 1e-12 * p->w[p->s - 1];
    for (mango_idx i = 0; i < p->n; i++) {
        y[i * k + c] = real ? (float)pca_value(p, c, i) : 0.0f;
        if (fabsf(y[i * k + c]) > fabsf(y[top * k + c]))
            top = i;
    }
    const int flip = y[top * k + c] < 0.0f;
    for (mango_idx i = 0; flip && i < p->n; i++)
        y[i * k + c] = -y[i * k + c];
}

static mango_status pca_run(pca_work *p, const float *x, mango_idx k, float *y,
                            mango_err *err)
{
    if (!p->X || !p->A || !p->V || !p->w || !p->scratch)
        return mgi_fail(err, MANGO_E_MEM, "principal components: out of memory");
    pca_centre(p, x);
    pca_products(p);
    if (mgi_eigen(p->s, p->A, p->w, p->V, p->scratch) < 0)
        return mgi_fail(err, MANGO_E_NONFINITE, "principal components: values too large");
    for (mango_idx i = 0; i < p->n * k; i++)
        y[i] = 0.0f;
    for (mango_idx c = 0; c < MGI_MIN(k, p->s); c++)
        pca_component(p, c, k, y);
    return MANGO_OK;
}

mango_status mango_pca(mango_idx n, mango_idx dim, const float *x, mango_idx k, float *y,
                       const mango_alloc *al, mango_err *err)
{
    MGI_CHECK(err, x && y, "mango_pca: vectors and room expected");
    MGI_CHECK(err,
              n >= 1 && n <= PCA_SIZE && dim >= 1 && dim <= PCA_SIZE && k >= 1 &&
                  k <= PCA_MOST && MGI_MIN(n, dim) <= PCA_MOST,
              "mango_pca: n and dim 1..2^20, the smaller and k 1..%d expected", PCA_MOST);
    mango_idx cells;
    if (!mgi_mul(n, dim, &cells))
        return mgi_fail(err, MANGO_E_MEM, "principal components: out of memory");
    for (mango_idx i = 0; i < cells; i++)
        if (!mgi_is_finite((double)x[i]))
            return mgi_fail(err, MANGO_E_NONFINITE, "mango_pca: number %td of vector %td",
                            i % dim, i / dim);
    const mango_alloc a = mgi_alloc_get(al);
    const mango_idx s = MGI_MIN(n, dim);
    pca_work p = {n, dim, s, mgi_new(&a, cells, sizeof(double)),
                  mgi_new(&a, s * s, sizeof(double)), mgi_new(&a, s * s, sizeof(double)),
                  mgi_new(&a, s, sizeof(double)), mgi_new(&a, 4 * s, sizeof(double))};
    const mango_status st = pca_run(&p, x, k, y, err);
    mgi_del(&a, p.X, cells, sizeof(double));
    mgi_del(&a, p.A, s * s, sizeof(double));
    mgi_del(&a, p.V, s * s, sizeof(double));
    mgi_del(&a, p.w, s, sizeof(double));
    mgi_del(&a, p.scratch, 4 * s, sizeof(double));
    return st;
}

#undef PCA_MOST
#undef PCA_SIZE
