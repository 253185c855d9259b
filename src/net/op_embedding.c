/* op_embedding.c - a row of a table for each level number of a map.
 * SPDX-License-Identifier: MIT */
#include "plan.h"
#include "tape.h"

static const mgi_attr embedding_attr[] = {
    {"codes", MGI_ATTR_IDX, 1, MGI_ATTR_AT(codes), 1, 1 << 20, 0, 0},
    {"dim", MGI_ATTR_IDX, 1, MGI_ATTR_AT(dim), 1, 1 << 20, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};

static mango_status embedding_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    if (x->C != 1)
        return mgi_shape_bad(q, x, "an embedding takes one map of numbers, 1xHxW", err);
    mgi_shape_copy(q, x);
    q->C = q->dim;
    return MANGO_OK;
}

static void embedding_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "weight", 0, 2, q->codes, q->dim, 1, 1);
}

static void embedding_forward(const mgi_op_run *r)
{
    const mgi_node *g = r->g;
    mgi_embed(r->N * g->H * g->W, g->codes, g->dim, r->x[0], r->weight, r->y);
}

/* Numbers have no gradient. */
static void embedding_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *g = &t->net->node[i];
    const mango_idx R = mgi_tape_rows(t, i) * g->H * g->W;
    const int j = g->in[0];
    (void)work;
    if (t->dw[g->weight])
        mgi_embed_backward(R, g->codes, g->dim, t->val[j], t->grad[i], t->dw[g->weight]);
    if (t->wants[j]) {
        float *dx = mgi_tape_take(t, j, spare);
        memset(dx, 0, (size_t)R * sizeof *dx);
        mgi_tape_give(t, j, dx);
    }
}

MGI_DATA const mgi_op mgi_op_embedding = {
    .name = "embedding",
    .about = "Rows of a table by their numbers, which the input holds: whole, 0 to codes - 1.",
    .shapes = "1xHxW -> (dim)xHxW; NAME.weight: (codes,dim)",
    .keys = "codes rows of the table\n"
            "dim values of a row",
    .least = 1,
    .most = 1,
    .attr = embedding_attr,
    .shape = embedding_shape,
    .params = embedding_params,
    .forward = embedding_forward,
    .backward = embedding_backward,
    .reads_x = 1};
