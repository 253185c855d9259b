/* cma.c - CMA-ES: a covariance matrix learns which steps succeed.
 *
 * The strategy of es.h with a full C = B^T D^2 B, the rows of B its eigenvectors v_i:
 *     y = C^(1/2) z = sum_i v_i D_i z_i,    C^(-1/2) y = sum_i v_i (v_i . y)/D_i
 * (39) and (43) need B and D, which are taken from C once in 1/(2 d (c_1 + c_mu))
 * generations: until then C has changed by a few per cent. The box of a mode is kept by
 * the levels themselves: beyond the last there is none, and the strategy is told where the
 * level is that was shown.
 * Beyond CMA_MOST modes, where d^2 numbers and d^3 operations are too many, the covariance
 * is the diagonal one of sep_cma.c.
 * Source: Hansen and Ostermeier, "Completely derandomized self-adaptation in evolution
 * strategies", 2001, as in Hansen's tutorial, see es.h.
 * SPDX-License-Identifier: MIT */
#include "../math/eigen.h"
#include "es.h"

#define CMA_MOST 400        /* modes of a full matrix: 4 MB, half a second each 300 values */
#define CMA_CONDITION 1e-14 /* smallest eigenvalue, in parts of the largest                */

static const mango_opt_spec cma_option[] = {
    MGI_ES_OPTIONS(0, 0, 1),
};

static void cma_reset(mgi_es *e)
{
    const size_t square = (size_t)(e->d * e->d) * sizeof *e->C;
    memset(e->C, 0, square);
    memset(e->B, 0, square);
    for (mango_idx j = 0; j < e->d; j++)
        e->C[j * e->d + j] = e->B[j * e->d + j] = e->D[j] = 1.0;
}

/* y = sum_i v_i c_i for c_i = D_i z_i. */
static void cma_stretch(const mgi_es *e, const double *z, double *y)
{
    memset(y, 0, (size_t)e->d * sizeof *y);
    for (mango_idx i = 0; i < e->d; i++) {
        const double c = e->D[i] * z[i], *v = e->B + i * e->d;
        for (mango_idx j = 0; j < e->d; j++)
            y[j] += c * v[j];
    }
}

static void cma_whiten(const mgi_es *e, const double *y, double *z)
{
    memset(z, 0, (size_t)e->d * sizeof *z);
    for (mango_idx i = 0; i < e->d; i++) {
        const double *v = e->B + i * e->d, c = mgi_dot64(e->d, v, y) / e->D[i];
        for (mango_idx j = 0; j < e->d; j++)
            z[j] += c * v[j];
    }
}

/* B and D of C; of a C that has become too flat, its narrow axes are widened. */
static void cma_axes(mgi_es *e)
{
    double *scratch = e->work, *A = scratch + 4 * e->d, *w = e->D;
    memcpy(A, e->C, (size_t)(e->d * e->d) * sizeof *A);
    e->stale = 0;
    if (mgi_eigen(e->d, A, w, e->B, scratch) != MANGO_OK || !(w[e->d - 1] > 0.0)) {
        cma_reset(e);
        return;
    }
    const double least = CMA_CONDITION * w[e->d - 1];
    for (mango_idx i = 0; i < e->d; i++)
        w[i] = sqrt(MGI_MAX(w[i], least));
}

/* The lower half of C by (47), a row at a time, then the upper one. */
static void cma_learn(mgi_es *e, double keep)
{
    const mango_idx d = e->d, n = e->rows + e->others;
    for (mango_idx a = 0; a < d; a++) {
        double *row = e->C + a * d;
        const double c = e->rate.c_1 * e->pc[a];
        for (mango_idx b = 0; b <= a; b++)
            row[b] = keep * row[b] + c * e->pc[b];
        for (mango_idx i = 0; i < n; i++) {
            const double *y = e->x + e->order[i] * d;
            const double w = e->rate.c_mu * e->row[e->order[i]].w * y[a];
            for (mango_idx b = 0; b <= a; b++)
                row[b] += w * y[b];
        }
        for (mango_idx b = 0; b < a; b++)
            e->C[b * d + a] = row[b];
    }
    const double often = 2.0 * (double)d * (e->rate.c_1 + e->rate.c_mu);
    if ((double)++e->stale * often >= 1.0)
        cma_axes(e);
}

static double cma_widest(const mgi_es *e)
{
    double most = 0.0;
    for (mango_idx j = 0; j < e->d; j++)
        most = MGI_MAX(most, e->C[j * e->d + j]);
    return sqrt(most);
}

static mango_status cma_create(mango_opt *o, mango_err *err)
{
    static const mgi_es_shape full = {
        .name = "full",
        .reset = cma_reset,
        .stretch = cma_stretch,
        .whiten = cma_whiten,
        .learn = cma_learn,
        .widest = cma_widest,
    };
    if (o->d > CMA_MOST)
        return mgi_es_create(o, mgi_es_diagonal(), 0, err);
    return mgi_es_create(o, &full, 1, err);
}

MGI_FN const mgi_method *mgi_method_cma(void)
{
    static const mgi_method method = {
        .name = "cma",
        .option = cma_option,
        .n_options = MGI_COUNT(cma_option),
        .create = cma_create,
        .ask = mgi_es_ask,
        .tell = mgi_es_tell,
        .restart = mgi_es_restart,
        .destroy = mgi_es_destroy,
        .explain = mgi_es_explain,
        .why = mgi_es_why,
    };
    return &method;
}

#undef CMA_MOST
#undef CMA_CONDITION
