/* op_batchnorm.c - y = s x + t per channel, from running statistics or a batch's own.
 * SPDX-License-Identifier: MIT */
#include "plan.h"
#include "tape.h"

#define NORM_BLOCK 1024 /* values that one thread takes at a time */
#define NORM_TAPE 16384 /* and on a tape */
#define NORM_GRAIN (8 * MGI_GRAIN)

static const mgi_attr batchnorm_attr[] = {
    {"eps", MGI_ATTR_REAL, 0, MGI_ATTR_AT(eps), 1e-30, 1, 0, 0},
    {"momentum", MGI_ATTR_REAL, 0, MGI_ATTR_AT(momentum), 0, 1, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};

static void batchnorm_defaults(mgi_node *q)
{
    q->eps = 1e-5;
    q->momentum = 0.1;
}

static void batchnorm_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "weight", 0, 1, q->C, 1, 1, 1);
    q->bias_p = mgi_net_param_add(n, q, "bias", 0, 1, q->C, 1, 1, 1);
    q->mean_p = mgi_net_param_add(n, q, "running_mean", 1, 1, q->C, 1, 1, 1);
    q->var_p = mgi_net_param_add(n, q, "running_var", 1, 1, q->C, 1, 1, 1);
}

/* One that no matrix product took over: scale and shift are the step's. */
static void batchnorm_step(mango_plan *p, const mgi_step *s, void *out)
{
    const mgi_node *g = &p->net->node[s->op];
    const mango_idx C = g->C, rows = mgi_step_maps(p, s) * g->H * g->W;
    const mango_idx block = MGI_MAX(NORM_BLOCK / C, 1);
    const float *x = mgi_plan_value(p, g->in[0]);
    float *y = out;
    MGI_OMP(parallel for schedule(static) if (rows * C >= NORM_GRAIN))
    for (mango_idx i = 0; i < rows; i += block)
        p->cpu->k->scale_shift(MGI_MIN(block, rows - i), C, s->scale, s->bias, x + i * C,
                               y + i * C);
}

/* ---- on a tape: stat is mean (C), rstd (C), scratch (2C); fixed: s (C), t (C), 0 (2C) - */

static mango_idx batchnorm_keeps(const mgi_node *q)
{
    return 4 * q->C;
}

static mango_idx batchnorm_tape_work(const mgi_tape *t, int i, mango_idx rows)
{
    (void)rows;
    return 2 * t->net->node[i].C;
}

/* By running statistics; s and t into work (2C). */
static void batchnorm_fixed(const mgi_tape *t, int i, const float *w, const float *b,
                            float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    const mango_idx block = MGI_MAX(1, NORM_TAPE / C), chunks = mgi_ceil_div(R, block);
    const float *x = t->val[n->in[0]];
    float *y = t->val[i];
    mgi_batchnorm_fold(C, w, b, t->w[n->mean_p], t->w[n->var_p], n->eps, work, work + C);
    MGI_OMP(parallel for if (R * C >= MGI_GRAIN))
    for (mango_idx c = 0; c < chunks; c++)
        k->scale_shift(MGI_MIN(block, R - c * block), C, work, work + C, x + c * block * C,
                       y + c * block * C);
}

static void batchnorm_tape(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    const float *w = n->weight >= 0 ? t->w[n->weight] : NULL;
    const float *b = n->bias_p >= 0 ? t->w[n->bias_p] : NULL;
    if (!t->o.train || t->o.fixed) {
        batchnorm_fixed(t, i, w, b, t->o.fixed ? t->stat[i] : work);
        return;
    }
    float *st = t->stat[i], *rm = st + 2 * C, *rv = st + 3 * C;
    if (!again && !t->frozen && n->mean_p >= 0) {
        rm = t->net->param[n->mean_p].v;
        rv = t->net->param[n->var_p].v;
    }
    mgi_batchnorm_train(R, C, t->val[n->in[0]], w, b, n->eps,
                        t->momentum >= 0 ? t->momentum : n->momentum, rm, rv, st, st + C,
                        t->val[i]);
}

/* dx = s dy */
static void batchnorm_fixed_back(mgi_tape *t, int i, float *dx)
{
    const mgi_node *n = &t->net->node[i];
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    const mango_idx block = MGI_MAX(1, NORM_TAPE / C), chunks = mgi_ceil_div(R, block);
    const float *s = t->stat[i], *zero = s + 2 * C, *dy = t->grad[i];
    MGI_OMP(parallel for if (R * C >= MGI_GRAIN))
    for (mango_idx c = 0; c < chunks; c++)
        k->scale_shift(MGI_MIN(block, R - c * block), C, s, zero, dy + c * block * C,
                       dx + c * block * C);
}

static void batchnorm_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    float *st = t->stat[i];
    float *dw = n->weight >= 0 ? t->dw[n->weight] : NULL;
    float *db = n->bias_p >= 0 ? t->dw[n->bias_p] : NULL;
    float *dx = t->wants[j] ? mgi_tape_take(t, j, spare) : NULL;
    (void)work;
    if (t->o.fixed && dx)
        batchnorm_fixed_back(t, i, dx);
    if (!t->o.fixed)
        mgi_batchnorm_backward(R, C, t->val[j], n->weight >= 0 ? t->w[n->weight] : NULL, st,
                               st + C, t->grad[i], dx, dw, db);
    if (dx)
        mgi_tape_give(t, j, dx);
}

MGI_DATA const mgi_op mgi_op_batchnorm = {
    .name = "batchnorm",
    .about = "y = weight (x - running_mean)/sqrt(running_var + eps) + bias, by channel.",
    .shapes = "CxHxW -> CxHxW; NAME.weight, .bias, .running_mean, .running_var: (C)",
    .keys = "eps added to the variance\n"
            "momentum of the running statistics, in training",
    .least = 1,
    .most = 1,
    .attr = batchnorm_attr,
    .defaults = batchnorm_defaults,
    .params = batchnorm_params,
    .step = batchnorm_step,
    .tape_forward = batchnorm_tape,
    .tape_work = batchnorm_tape_work,
    .tape_keeps = batchnorm_keeps,
    .backward = batchnorm_backward,
    .reads_x = 1};

#undef NORM_BLOCK
#undef NORM_TAPE
#undef NORM_GRAIN
