/* op_vq.c - a quantizer: each pixel becomes the nearest row of a codebook.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

static const mgi_attr vq_attr[] = {
    {"codes", MGI_ATTR_IDX, 1, MGI_ATTR_AT(codes), 1, 1 << 20, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};

static void vq_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "_embedding.weight", 0, 2, q->codes, q->C, 1, 1);
}

static double vq_macs(const mango_net *n, const mgi_node *q, int padded)
{
    (void)n;
    (void)padded;
    return (double)(q->H * q->W) * (double)q->C * (double)q->codes;
}

/* Scores |e|^2 - 2 e'x by one matrix product, then the first smallest. */
static void vq_step(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W, K = g->codes, N = mgi_step_maps(p, s);
    float *codes = mgi_plan_at(p, s->aux), *score = mgi_step_scratch(p, s);
    const mgi_epilogue e = {s->bias, NULL, 0};
    for (mango_idx n = 0; n < N; n++) {
        mgi_conv_forward(&s->conv, 1, mgi_plan_map(p, g->in[0], n), s->packed, &e, score,
                         score + HW * K);
        for (mango_idx i = 0; i < HW; i++)
            codes[n * HW + i] = (float)mgi_vq_least(K, score + i * K);
    }
    mgi_vq_rows(N * HW, g->C, codes, p->net->param[g->weight].v, y);
}

static mango_idx vq_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    (void)p;
    (void)maps;
    return mgi_conv_work(&s->conv, 1) + s->conv.OH * s->conv.OW * s->conv.O;
}

MGI_DATA const mgi_op mgi_op_vq = {.name = "vq",
                                 .least = 1,
                                 .most = 1,
                                 .attr = vq_attr,
                                 .params = vq_params,
                                 .macs = vq_macs,
                                 .step = vq_step,
                                 .step_work = vq_step_work,
                                 .reads_x = 1,
                                 .reads_y = 1};
