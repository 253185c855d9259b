/* op_prelu.c - y = x for x > 0, else w x, where w is learned.
 * SPDX-License-Identifier: MIT */
#include "../math/curves.h"
#include "tape.h"

static const mgi_attr prelu_attr[] = {
    {"slope", MGI_ATTR_WORD, 0, MGI_ATTR_AT(mode), 0, 0, "one|channel", 0},
    MGI_ATTR_PARAM,
    {0},
};

static void prelu_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "weight", 0, 1, q->mode ? q->C : 1, 1, 1, 1);
}

static void prelu_forward(const mgi_op_run *r)
{
    const mgi_node *g = r->g;
    mgi_prelu(r->N * g->H * g->W, g->C, g->mode, r->weight, r->x[0], r->y);
}

static void prelu_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    float *dx = t->wants[j] ? mgi_tape_take(t, j, spare) : NULL;
    (void)work;
    mgi_prelu_backward(mgi_tape_rows(t, i) * n->H * n->W, n->C, n->mode, t->w[n->weight],
                       t->val[j], t->grad[i], dx, t->dw[n->weight]);
    if (dx)
        mgi_tape_give(t, j, dx);
}

MGI_DATA const mgi_op mgi_op_prelu = {.name = "prelu",
                                    .least = 1,
                                    .most = 1,
                                    .about = "y = x for x > 0, else w x, with w learned.",
                                    .shapes = "CxHxW -> CxHxW; NAME.weight: 1, or C",
                                    .keys = "slope one w for all channels, or one each",
                                    .attr = prelu_attr,
                                    .params = prelu_params,
                                    .forward = prelu_forward,
                                    .backward = prelu_backward,
                                    .reads_x = 1,
                                    .in_place = 1,
                                    .same_grad = 1};
