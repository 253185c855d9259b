/* op_reshape.c - the values in (C,H,W) order, folded into another shape.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

static const mgi_attr reshape_attr[] = {
    {"shape", MGI_ATTR_SHAPE, 1, MGI_ATTR_AT(C), 1, 1 << 20, 0, 0},
    {0},
};

static mango_status reshape_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mango_idx have = 0, want = 0;
    const mango_idx a[3] = {x->C, x->H, x->W}, b[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, a, &have) || !mgi_prod(3, b, &want) || have != want)
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "node %s: input '%s' of shape %tdx%tdx%td does not fold into %tdx%tdx%td",
            q->name, x->name, x->C, x->H, x->W, q->C, q->H, q->W);
    return MANGO_OK;
}

static mango_idx reshape_work(const mango_net *n, const mgi_node *q, mango_idx N)
{
    (void)n;
    return N * q->C * q->H * q->W;
}

static void reshape_forward(const mgi_op_run *r)
{
    const mgi_node *g = r->g, *in = &r->net->node[g->in[0]];
    mgi_to_nchw(r->N, in->C, in->H * in->W, r->x[0], r->work);
    mgi_to_nhwc(r->N, g->C, g->H * g->W, r->work, r->y);
}

static mango_idx reshape_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    return rows * n->C * n->H * n->W;
}

static void reshape_gradient(const mgi_op_grad *r)
{
    const mgi_node *g = r->g, *in = &r->net->node[g->in[0]];
    mgi_to_nchw(r->N, g->C, g->H * g->W, r->dy, r->work);
    mgi_to_nhwc(r->N, in->C, in->H * in->W, r->work, r->dx);
}

MGI_DATA const mgi_op mgi_op_reshape = {
    .name = "reshape",
    .about = "The values in (C,H,W) order, folded into another shape.",
    .shapes = "CxHxW -> (shape)",
    .keys = "shape channels, height, width",
    .least = 1,
    .most = 1,
    .attr = reshape_attr,
    .shape = reshape_shape,
    .work = reshape_work,
    .forward = reshape_forward,
    .gradient = reshape_gradient,
    .backward_work = reshape_backward_work};
