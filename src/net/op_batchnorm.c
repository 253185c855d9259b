/* op_batchnorm.c - y = s x + t per channel, from running statistics or a batch's own.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

#define NORM_BLOCK 1024 /* values that one thread takes at a time */
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
        p->k->scale_shift(MGI_MIN(block, rows - i), C, s->scale, s->bias, x + i * C, y + i * C);
}

MGI_DATA const mgi_op mgi_op_batchnorm = {.name = "batchnorm",
                                        .least = 1,
                                        .most = 1,
                                        .attr = batchnorm_attr,
                                        .defaults = batchnorm_defaults,
                                        .params = batchnorm_params,
                                        .step = batchnorm_step,
                                        .reads_x = 1};

#undef NORM_BLOCK
#undef NORM_GRAIN
