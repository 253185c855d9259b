/* sep_cma.c - CMA-ES with a diagonal covariance: linear in time and memory.
 *
 * The strategy of es.h where of (47) only the diagonal is kept:
 *     C_jj <- (..) C_jj + c_1 p_c,j^2 + c_mu sum_i w_i' y_i,j^2
 * and what there is to learn being less, c_1 and c_mu are (d+2)/3 times larger.
 * Source: Ros and Hansen, "A simple modification in CMA-ES achieving linear time and space
 * complexity", PPSN 2008.
 * SPDX-License-Identifier: MIT */
#include "es.h"

static const mango_opt_spec sep_option[] = {
    MGI_ES_OPTIONS(20, 0, 0),
};

static void sep_reset(mgi_es *e)
{
    for (mango_idx j = 0; j < e->d; j++)
        e->C[j] = e->D[j] = 1.0;
}

static void sep_stretch(const mgi_es *e, const double *z, double *y)
{
    for (mango_idx j = 0; j < e->d; j++)
        y[j] = e->D[j] * z[j];
}

static void sep_whiten(const mgi_es *e, const double *y, double *z)
{
    for (mango_idx j = 0; j < e->d; j++)
        z[j] = y[j] / e->D[j];
}

static void sep_learn(mgi_es *e, double keep)
{
    const double c_1 = e->rate.c_1, c_mu = e->rate.c_mu;
    for (mango_idx j = 0; j < e->d; j++)
        e->C[j] = keep * e->C[j] + c_1 * e->pc[j] * e->pc[j];                  /* (47) */
    for (mango_idx i = 0; i < e->rows + e->others; i++) {
        const double w = c_mu * e->row[e->order[i]].w;
        const double *y = e->x + e->order[i] * e->d;
        for (mango_idx j = 0; j < e->d; j++)
            e->C[j] += w * y[j] * y[j];
    }
    for (mango_idx j = 0; j < e->d; j++) {
        e->C[j] = MGI_MAX(e->C[j], 1e-20);
        e->D[j] = sqrt(e->C[j]);
    }
}

static double sep_widest(const mgi_es *e)
{
    double most = 0.0;
    for (mango_idx j = 0; j < e->d; j++)
        most = MGI_MAX(most, e->D[j]);
    return most;
}

MGI_FN const mgi_es_shape *mgi_es_diagonal(void)
{
    static const mgi_es_shape shape = {
        .name = "diagonal",
        .reset = sep_reset,
        .stretch = sep_stretch,
        .whiten = sep_whiten,
        .learn = sep_learn,
        .widest = sep_widest,
    };
    return &shape;
}

static mango_status sep_create(mango_opt *o, mango_err *err)
{
    return mgi_es_create(o, mgi_es_diagonal(), 0, err);
}

MGI_FN const mgi_method *mgi_method_sep_cma(void)
{
    static const mgi_method method = {
        .name = "sep-cma",
        .option = sep_option,
        .n_options = MGI_COUNT(sep_option),
        .create = sep_create,
        .ask = mgi_es_ask,
        .tell = mgi_es_tell,
        .restart = mgi_es_restart,
        .destroy = mgi_es_destroy,
        .explain = mgi_es_explain,
        .why = mgi_es_why,
    };
    return &method;
}
