/* op_upsample.c - twice the height and width, nearest or bilinear.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

static const mgi_attr upsample_attr[] = {
    {"mode", MGI_ATTR_WORD, 1, MGI_ATTR_AT(bilinear), 0, 0, "nearest|bilinear", 0},
    {0},
};

static mango_status upsample_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    (void)err;
    mgi_shape_copy(q, &n->node[q->in[0]]);
    q->H *= 2;
    q->W *= 2;
    return MANGO_OK;
}

static void upsample_forward(const mgi_op_run *r)
{
    const mgi_node *in = &r->net->node[r->g->in[0]];
    if (r->g->bilinear)
        mgi_bilinear2x(r->N, in->H, in->W, in->C, r->x[0], r->y);
    else
        mgi_nearest2x(r->N, in->H, in->W, in->C, r->x[0], r->y);
}

static void upsample_gradient(const mgi_op_grad *r)
{
    const mgi_node *in = &r->net->node[r->g->in[0]];
    if (r->g->bilinear)
        mgi_bilinear2x_backward(r->N, in->H, in->W, in->C, r->dy, r->dx);
    else
        mgi_nearest2x_backward(r->N, in->H, in->W, in->C, r->dy, r->dx);
}

/* With the batch-norm and ReLU before it. */
static void upsample_step(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_up u = mgi_step_up(p, s);
    const float *x = mgi_plan_value(p, p->net->node[s->head].in[0]);
    mgi_upsample(&u, mgi_step_maps(p, s), x, y, mgi_step_scratch(p, s));
}

static mango_idx upsample_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const mgi_up u = mgi_step_up(p, s);
    (void)maps;
    return mgi_upsample_work(&u);
}

MGI_DATA const mgi_op mgi_op_upsample = {.name = "upsample",
                                       .least = 1,
                                       .most = 1,
                                       .attr = upsample_attr,
                                       .shape = upsample_shape,
                                       .forward = upsample_forward,
                                       .step = upsample_step,
                                       .step_work = upsample_step_work,
                                       .gradient = upsample_gradient};
