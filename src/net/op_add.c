/* op_add.c - the sum of two maps of one shape.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static mango_status add_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]], *b = &n->node[q->in[1]];
    if (a->C != b->C || a->H != b->H || a->W != b->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: cannot add '%s' of shape %tdx%tdx%td and '%s' of %tdx%tdx%td",
                        q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
    mgi_shape_copy(q, a);
    return MANGO_OK;
}

static void add_forward(const mgi_op_run *r)
{
    mgi_add_maps(r->N, r->g->C * r->g->H * r->g->W, r->x[0], r->nx[0], r->x[1], r->nx[1], r->y);
}

MGI_DATA const mgi_op mgi_op_add = {.name = "add",
                                  .least = 2,
                                  .most = 2,
                                  .shape = add_shape,
                                  .forward = add_forward,
                                  .same_grad = 1};
