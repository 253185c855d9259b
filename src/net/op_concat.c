/* op_concat.c - the channels of several maps, one input after the other.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

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

/* g[j] (+)= its channels of dy, from `at` on, summed over T where j has no time. */
static void concat_share(mgi_tape *t, int i, int j, mango_idx at)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, Cj = t->net->node[j].C, hw = n->H * n->W;
    const mango_idx R = mgi_tape_rows(t, j) * hw, step = t->b * hw;
    const mango_idx T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    MGI_OMP(parallel for if (R * Cj >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx c = 0; c < Cj; c++) {
            float s = dy[r * C + at + c];
            for (mango_idx m = 1; m < T; m++)
                s += dy[(m * step + r) * C + at + c];
            g[r * Cj + c] = add ? g[r * Cj + c] + s : s;
        }
    t->written[j] = 1;
}

static void concat_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx at = 0;
    (void)spare;
    (void)work;
    for (int k = 0; k < n->n_in; k++) {
        if (t->wants[n->in[k]])
            concat_share(t, i, n->in[k], at);
        at += t->net->node[n->in[k]].C;
    }
}

MGI_DATA const mgi_op mgi_op_concat = {
    .name = "concat",
    .about = "The channels of all inputs, one input after the other.",
    .shapes = "CxHxW, DxHxW .. -> (C+D+..)xHxW",
    .least = 2,
    .most = MGI_MAX_INPUTS,
    .shape = concat_shape,
    .forward = concat_forward,
    .backward = concat_backward,
    .adds = 1};
