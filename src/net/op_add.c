/* op_add.c - the sum of maps; an axis of size 1 is repeated.
 * SPDX-License-Identifier: MIT */
#include "op_merge.h"

static void add_forward(const mgi_op_run *r)
{
    if (r->g->n_in > 2 || !mgi_op_merge_alike(r->net, r->g))
        mgi_op_merge(MGI_MERGE_ADD, r);
    else
        mgi_add_maps(r->N, r->g->C * r->g->H * r->g->W, r->x[0], r->nx[0], r->x[1], r->nx[1],
                     r->y);
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
    if (!mgi_op_merge_alike(t->net, n)) {
        mgi_op_merge_backward(MGI_MERGE_ADD, t, i);
        return;
    }
    for (int k = n->n_in - 1; k >= 0; k--) /* the one that may share dy, in[0], last */
        if (t->wants[n->in[k]])
            add_share(t, i, n->in[k]);
}

MGI_DATA const mgi_op mgi_op_add = {.name = "add",
                                  .least = 2,
                                  .most = MGI_MAX_INPUTS,
                                  .about = "The sum of all inputs. An axis of size 1 is "
                                           "repeated.",
                                  .shapes = "CxHxW, CxHxW .. -> CxHxW; or inputs of Cx1x1, "
                                            "1xHxW, 1x1x1",
                                  .shape = mgi_op_merge_shape,
                                  .forward = add_forward,
                                  .backward = add_backward,
                                  .adds = 1,
                                  .same_grad = 1};
