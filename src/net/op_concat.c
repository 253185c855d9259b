/* op_concat.c - the channels of several maps, one input after the other.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static mango_status concat_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]];
    mgi_shape_copy(q, a);
    q->C = 0;
    for (int i = 0; i < q->n_in && q->C <= MGI_MAX_MAP; i++) {
        const mgi_node *b = &n->node[q->in[i]];
        if (a->H != b->H || a->W != b->W)
            return mgi_fail(err, MANGO_E_SHAPE,
                            "node %s: cannot join '%s' of shape %tdx%tdx%td and '%s' of "
                            "%tdx%tdx%td",
                            q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
        q->C += b->C;
    }
    return MANGO_OK;
}

static void concat_forward(const mgi_op_run *r)
{
    mango_idx C[MGI_MAX_INPUTS];
    for (int j = 0; j < r->g->n_in; j++)
        C[j] = r->net->node[r->g->in[j]].C;
    mgi_concat(r->N, r->g->H * r->g->W, r->g->n_in, C, r->x, r->nx, r->y);
}

MGI_DATA const mgi_op mgi_op_concat = {.name = "concat",
                                     .least = 2,
                                     .most = MGI_MAX_INPUTS,
                                     .shape = concat_shape,
                                     .forward = concat_forward};
