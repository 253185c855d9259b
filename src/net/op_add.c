/* op_add.c - the sum of two maps of one shape.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

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

/* g[j] (+)= dy, summed over T when j does not depend on time and the sum does. */
static void add_share(mgi_tape *t, int i, int j)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx e = n->C * n->H * n->W, count = t->b * e, all = mgi_tape_rows(t, j) * e;
    const mango_idx T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    t->written[j] = 1;
    if (g == dy && T == 1)
        return;
    MGI_OMP(parallel for if (all >= MGI_GRAIN))
    for (mango_idx k = 0; k < all; k++) {
        float s = dy[k];
        for (mango_idx m = 1; m < T; m++)
            s += dy[m * count + k];
        g[k] = add ? g[k] + s : s;
    }
}

static void add_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    (void)spare;
    (void)work;
    for (int k = n->n_in - 1; k >= 0; k--) /* the one that may share dy, in[0], last */
        if (t->wants[n->in[k]])
            add_share(t, i, n->in[k]);
}

MGI_DATA const mgi_op mgi_op_add = {.name = "add",
                                  .least = 2,
                                  .most = 2,
                                  .shape = add_shape,
                                  .forward = add_forward,
                                  .backward = add_backward,
                                  .adds = 1,
                                  .same_grad = 1};
