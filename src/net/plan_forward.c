/* plan_forward.c - runs one step of a plan on the chunk under way: what is fed, or the
 * operator of the step with what is fused onto it.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

#define FWD_GRAIN (8 * MGI_GRAIN) /* values below which one thread does it */

/* x = (x - mean)/std per channel, for pictures of one or three channels. */
static void fwd_normalize(const mango_net *net, mango_idx C, mango_idx rows, float *x)
{
    if (C != 1 && C != 3)
        return;
    MGI_OMP(parallel for if (rows * C >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c++)
            x[i * C + c] = (x[i * C + c] - net->mean[c]) / net->std[c];
}

static void fwd_feed(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W;
    if (g->kind == MGI_VQ) {
        float *codes = mgi_plan_at(p, s->aux);
        memcpy(codes, p->x + p->b0 * HW, (size_t)(p->b * HW) * sizeof *codes);
        mgi_vq_rows(p->b * HW, g->C, codes, p->net->param[g->weight].v, y);
        return;
    }
    mgi_to_nhwc(p->b, g->C, HW, p->x + p->b0 * g->C * HW, y);
    if (s->head != p->from && !p->raw)
        fwd_normalize(p->net, g->C, p->b * HW, y);
}

/* An operator without a step of its own. */
static void fwd_plain(const mango_plan *p, const mgi_step *s, const mgi_op *op, float *y)
{
    const mgi_node *g = &p->net->node[s->op];
    mgi_op_run r;
    r.net = p->net;
    r.g = g;
    r.N = mgi_step_maps(p, s);
    for (int j = 0; j < g->n_in; j++) {
        r.x[j] = mgi_plan_value(p, g->in[j]);
        r.nx[j] = p->node[g->in[j]].dynamic ? r.N : p->b;
    }
    r.weight = g->weight < 0 ? NULL : p->net->param[g->weight].v;
    r.bias = g->bias_p < 0 ? NULL : p->net->param[g->bias_p].v;
    r.y = y;
    r.work = mgi_step_scratch(p, s);
    op->forward(&r);
}

MGI_FN void mgi_step_run(mango_plan *p, const mgi_step *s)
{
    const mgi_kind k = p->net->node[s->head].kind;
    const mgi_op *op = mgi_op_of(p->net->node[s->op].kind);
    if (s->out < 0)
        return; /* a later LIF step does it */
    void *y = mgi_plan_at(p, s->out);
    if (s->head == p->from || k == MGI_INPUT) {
        fwd_feed(p, s, y);
        return;
    }
    if (s->fused < 0 && mgi_plan_is_bits(p, p->net->node[s->head].in[0]))
        op->step_bits(p, s, y);
    else if (op->step)
        op->step(p, s, y);
    else
        fwd_plain(p, s, op, y);
    if (s->relu && !mgi_is_matmul(k) && s->op == s->head)
        mgi_relu(mgi_step_maps(p, s) * s->n, y, y);
}

#undef FWD_GRAIN
