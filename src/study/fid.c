/* fid.c - streaming means and covariances, and the Frechet distance of two.
 *
 *   blocks of B vectors, n seen before, delta = mean of the block - mean:
 *       mean += delta B/(n + B)
 *       M    += sum_b (x_b - mean_b)(x_b - mean_b)^T + delta delta^T n B/(n + B)   (1)
 *       C     = M/(n - 1)
 *   C1 = sum_i l_i v_i v_i^T,  A_ij = (l_i l_j)^(1/2) v_i^T C2 v_j                (2)
 *   Tr (C1 C2)^(1/2) = sum of the roots of the eigenvalues of A                   (3)
 *
 * A is C1^(1/2) C2 C1^(1/2) in the basis of the v_i, which has the eigenvalues of
 * C1 C2. (1): Chan, Golub, LeVeque 1979.
 * SPDX-License-Identifier: MIT */
#include "../base/mgi.h"
#include "../math/eigen.h"
#include "fid.h"
#include <float.h>
#include <math.h>

#define FID_BLOCK 64
#define FID_MAX_DIM 4096

struct mango_moments {
    mango_alloc al;
    mgi_arena arena;
    mango_idx dim, n;      /* vectors in mean and M                 */
    mango_idx waiting;     /* vectors in next                       */
    double *mean, *M;      /* (dim) (dim,dim), lower half           */
    float *next;           /* (FID_BLOCK,dim)                       */
    double *block, *delta; /* (FID_BLOCK,dim) (dim) scratch         */
};

mango_status mango_moments_create(mango_moments **m, mango_idx dim, const mango_alloc *al,
                                  mango_err *err)
{
    MGI_CHECK(err, m, "mango_moments_create: a place for the result expected");
    *m = NULL;
    if (dim < 1 || dim > FID_MAX_DIM)
        return mgi_fail(err, MANGO_E_ARG, "moments: %td features, expected 1..%d", dim,
                        FID_MAX_DIM);
    const mango_alloc a = mgi_alloc_get(al);
    mango_moments *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "moments: out of memory");
    x->al = a;
    x->dim = dim;
    mgi_arena_init(&x->arena, &a);
    mgi_arena_plan(&x->arena, dim, sizeof(double));
    mgi_arena_plan(&x->arena, dim * dim, sizeof(double));
    mgi_arena_plan(&x->arena, FID_BLOCK * dim, sizeof(float));
    mgi_arena_plan(&x->arena, FID_BLOCK * dim, sizeof(double));
    mgi_arena_plan(&x->arena, dim, sizeof(double));
    if (mgi_arena_commit(&x->arena) < 0) {
        mango_moments_destroy(x);
        return mgi_fail(err, MANGO_E_MEM, "moments: out of memory for %td features", dim);
    }
    x->mean = mgi_arena_take(&x->arena, dim, sizeof(double));
    x->M = mgi_arena_take(&x->arena, dim * dim, sizeof(double));
    x->next = mgi_arena_take(&x->arena, FID_BLOCK * dim, sizeof(float));
    x->block = mgi_arena_take(&x->arena, FID_BLOCK * dim, sizeof(double));
    x->delta = mgi_arena_take(&x->arena, dim, sizeof(double));
    *m = x;
    return MANGO_OK;
}

void mango_moments_destroy(mango_moments *m)
{
    if (!m)
        return;
    const mango_alloc al = m->al;
    mgi_arena_free(&m->arena);
    mgi_del(&al, m, 1, sizeof *m);
}

/* Add B vectors, whose deviations from their own mean are x (B,dim), to n that
 * are in mean and M; delta (dim) is that mean less the old one. */
static void fid_add(mango_idx dim, mango_idx n, mango_idx B, const double *x,
                    const double *delta, double *mean, double *M)
{
    const double total = (double)(n + B), f = (double)n * (double)B / total;
    for (mango_idx i = 0; i < dim; i++)
        mean[i] += delta[i] * ((double)B / total);
    MGI_OMP(parallel for schedule(dynamic, 8) if (B * dim * dim >= MGI_GRAIN))
    for (mango_idx i = 0; i < dim; i++) {
        double *row = M + i * dim;
        for (mango_idx b = 0; x && b < B; b++)
            for (mango_idx j = 0; j <= i; j++)
                row[j] += x[b * dim + i] * x[b * dim + j];
        for (mango_idx j = 0; j <= i; j++)
            row[j] += f * delta[i] * delta[j]; /* (1) */
    }
}

/* The vectors that wait, into mean and M, which hold those of m. */
static void fid_fold(const mango_moments *m, double *mean, double *M)
{
    const mango_idx dim = m->dim, B = m->waiting;
    for (mango_idx i = 0; i < dim; i++) {
        double sum = 0.0;
        for (mango_idx b = 0; b < B; b++)
            sum += (double)m->next[b * dim + i];
        sum /= (double)B;
        for (mango_idx b = 0; b < B; b++)
            m->block[b * dim + i] = (double)m->next[b * dim + i] - sum;
        m->delta[i] = sum - mean[i];
    }
    fid_add(dim, m->n, B, m->block, m->delta, mean, M);
}

/* One vector; a full block goes into mean and M. */
static void fid_push(mango_moments *m, const float *x)
{
    memcpy(m->next + m->waiting * m->dim, x, (size_t)m->dim * sizeof *x);
    if (++m->waiting < FID_BLOCK)
        return;
    fid_fold(m, m->mean, m->M);
    m->n += m->waiting;
    m->waiting = 0;
}

mango_status mango_moments_add(mango_moments *m, mango_idx n, const float *x, mango_err *err)
{
    MGI_CHECK(err, m && n >= 0 && (n == 0 || x),
              "mango_moments_add: moments and their vectors expected");
    for (mango_idx i = 0; i < n * m->dim; i++)
        if (!(fabsf(x[i]) <= FLT_MAX))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "moments: feature %td of vector %td is NaN or infinite", i % m->dim,
                            i / m->dim);
    for (mango_idx k = 0; k < n; k++)
        fid_push(m, x + k * m->dim);
    return MANGO_OK;
}

mango_status mango_moments_merge(mango_moments *m, const mango_moments *from, mango_err *err)
{
    MGI_CHECK(err, m && from && m != from, "mango_moments_merge: two sets of vectors expected");
    if (m->dim != from->dim)
        return mgi_fail(err, MANGO_E_SHAPE, "moments: %td features to %td", from->dim, m->dim);
    if (m->waiting > 0 && from->n > 0) {
        fid_fold(m, m->mean, m->M);
        m->n += m->waiting;
        m->waiting = 0;
    }
    if (from->n > 0) {
        for (mango_idx i = 0; i < m->dim; i++)
            m->delta[i] = from->mean[i] - m->mean[i];
        fid_add(m->dim, m->n, from->n, NULL, m->delta, m->mean, m->M);
        for (mango_idx i = 0; i < m->dim; i++)
            for (mango_idx j = 0; j <= i; j++)
                m->M[i * m->dim + j] += from->M[i * m->dim + j];
        m->n += from->n;
    }
    for (mango_idx k = 0; k < from->waiting; k++)
        fid_push(m, from->next + k * m->dim);
    return MANGO_OK;
}

mango_idx mango_moments_count(const mango_moments *m)
{
    return m ? m->n + m->waiting : -1;
}

mango_status mango_moments_get(const mango_moments *m, double *mean, double *cov,
                               mango_err *err)
{
    MGI_CHECK(err, m && mean && cov,
              "mango_moments_get: moments and places for mean and covariance expected");
    const mango_idx dim = m->dim, count = m->n + m->waiting;
    if (count < 2)
        return mgi_fail(err, MANGO_E_STATE, "moments: %td vectors, at least 2 expected", count);
    memcpy(mean, m->mean, (size_t)dim * sizeof *mean);
    memcpy(cov, m->M, (size_t)(dim * dim) * sizeof *cov);
    if (m->waiting > 0)
        fid_fold(m, mean, cov);
    for (mango_idx i = 0; i < dim; i++)
        for (mango_idx j = 0; j <= i; j++)
            cov[i * dim + j] = cov[j * dim + i] = cov[i * dim + j] / (double)(count - 1);
    return MANGO_OK;
}

static double fid_trace(mango_idx n, const double *C)
{
    double t = 0.0;
    for (mango_idx i = 0; i < n; i++)
        t += C[i * n + i];
    return t;
}

/* From the pairs l, v (rows of V), those that count, and C2 in X: A (r,r) of (2),
 * which takes C2's place. P (n,n) is scratch. Returns r. */
static mango_idx fid_product(mango_idx n, const double *l, const double *V, double *X,
                             double *P)
{
    mango_idx at = 0;
    while (at < n && !(l[at] > (double)n * DBL_EPSILON * l[n - 1]))
        at++;
    const mango_idx r = n - at;
    MGI_OMP(parallel for if (r * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < r; i++) {
        double *p = P + i * n;
        memset(p, 0, (size_t)n * sizeof *p);
        for (mango_idx k = 0; k < n; k++)
            for (mango_idx j = 0; j < n; j++)
                p[j] += V[(at + i) * n + k] * X[k * n + j];
    }
    MGI_OMP(parallel for schedule(dynamic, 8) if (r * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < r; i++)
        for (mango_idx j = 0; j <= i; j++)
            X[i * r + j] = X[j * r + i] =
                sqrt(l[at + i]) * sqrt(l[at + j]) *
                mgi_dot64(n, P + i * n, V + (at + j) * n); /* (2) */
    return r;
}

/* X, V, P (n,n) and v (7,n) are scratch. */
static mango_status fid_distance(const mango_moments *a, const mango_moments *b, double *X,
                                 double *V, double *P, double *v, double *fid,
                                 double *means)
{
    const mango_idx n = a->dim;
    double *m1 = v, *m2 = v + n, *l = v + 2 * n, *work = v + 3 * n, traces, roots = 0.0;
    MGI_TRY(mango_moments_get(a, m1, X, NULL));
    traces = fid_trace(n, X);
    MGI_TRY(mgi_eigen(n, X, l, V, work));
    MGI_TRY(mango_moments_get(b, m2, X, NULL));
    traces += fid_trace(n, X);
    const mango_idx r = fid_product(n, l, V, X, P);
    if (r > 0)
        MGI_TRY(mgi_eigen(r, X, l, NULL, work));
    for (mango_idx i = 0; i < r; i++)
        roots += l[i] > 0.0 ? sqrt(l[i]) : 0.0; /* (3) */
    for (mango_idx i = 0; i < n; i++)
        m1[i] -= m2[i];
    *means = mgi_dot64(n, m1, m1);
    *fid = *means + MGI_MAX(0.0, traces - 2.0 * roots);
    return *fid <= DBL_MAX ? MANGO_OK : MANGO_E_NONFINITE;
}

mango_status mango_fid(const mango_moments *a, const mango_moments *b,
                       const mango_alloc *al, double *fid, double *means, mango_err *err)
{
    MGI_CHECK(err, a && b && fid, "mango_fid: two sets and a place for the distance expected");
    const mango_idx n = a->dim, cells = n * n;
    if (b->dim != n)
        return mgi_fail(err, MANGO_E_SHAPE, "fid: %td features against %td", n, b->dim);
    if (mango_moments_count(a) < 2 || mango_moments_count(b) < 2)
        return mgi_fail(err, MANGO_E_STATE,
                        "fid: %td and %td vectors, at least 2 of each expected",
                        mango_moments_count(a), mango_moments_count(b));
    const mango_alloc m = mgi_alloc_get(al);
    double *room = mgi_new(&m, 3 * cells + 7 * n, sizeof *room), both[2] = {0.0, 0.0};
    if (!room)
        return mgi_fail(err, MANGO_E_MEM, "fid: out of memory for %td features", n);
    const mango_status st = fid_distance(a, b, room, room + cells, room + 2 * cells,
                                         room + 3 * cells, &both[0], &both[1]);
    mgi_del(&m, room, 3 * cells + 7 * n, sizeof *room);
    if (st < 0)
        return mgi_fail(err, st, "fid: %s", mango_status_text(st));
    *fid = both[0];
    if (means)
        *means = both[1];
    return MANGO_OK;
}

#undef FID_BLOCK
#undef FID_MAX_DIM
