/* op_merge.c - shapes of add, sub and mul, and these with inputs that are repeated.
 * SPDX-License-Identifier: MIT */
#include "op_merge.h"

static int merge_axis(mango_idx have, mango_idx *all)
{
    if (have == *all || have == 1)
        return 1;
    if (*all != 1)
        return 0;
    *all = have;
    return 1;
}

MGI_FN mango_status mgi_op_merge_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]];
    const char *word = q->kind == MGI_ADD   ? "add"
                       : q->kind == MGI_SUB ? "subtract"
                                            : "multiply";
    mgi_shape_copy(q, a);
    for (int k = 1; k < q->n_in; k++) {
        const mgi_node *b = &n->node[q->in[k]];
        if (!merge_axis(b->C, &q->C) || !merge_axis(b->H, &q->H) || !merge_axis(b->W, &q->W))
            return mgi_fail(err, MANGO_E_SHAPE,
                            "node %s: cannot %s '%s' of shape %tdx%tdx%td and '%s' of "
                            "%tdx%tdx%td",
                            q->name, word, a->name, a->C, a->H, a->W, b->name, b->C, b->H,
                            b->W);
    }
    return MANGO_OK;
}

MGI_FN int mgi_op_merge_alike(const mango_net *n, const mgi_node *q)
{
    for (int k = 0; k < q->n_in; k++) {
        const mgi_node *x = &n->node[q->in[k]];
        if (x->C != q->C || x->H != q->H || x->W != q->W)
            return 0;
    }
    return 1;
}

MGI_FN void mgi_op_merge(mgi_merge_op op, const mgi_op_run *r)
{
    mgi_merge_input in[MGI_MAX_INPUTS];
    const mgi_node *g = r->g;
    for (int k = 0; k < g->n_in; k++) {
        const mgi_node *x = &r->net->node[g->in[k]];
        const mgi_merge_input p = {r->x[k], r->nx[k], x->C, x->H, x->W};
        in[k] = p;
    }
    mgi_merge(op, r->N, g->H, g->W, g->C, g->n_in, in, r->y);
}

MGI_FN void mgi_op_merge_backward(mgi_merge_op op, mgi_tape *t, int i)
{
    mgi_merge_input in[MGI_MAX_INPUTS];
    const mgi_node *g = &t->net->node[i];
    for (int k = 0; k < g->n_in; k++) {
        const mgi_node *x = &t->net->node[g->in[k]];
        const mgi_merge_input p = {t->val[g->in[k]], mgi_tape_rows(t, g->in[k]), x->C, x->H,
                                   x->W};
        in[k] = p;
    }
    for (int k = g->n_in - 1; k >= 0; k--) {
        const int j = g->in[k];
        if (!t->wants[j])
            continue;
        mgi_merge_backward(op, mgi_tape_rows(t, i), g->H, g->W, g->C, g->n_in, in, k,
                           t->grad[i], t->written[j], t->grad[j]);
        t->written[j] = 1;
    }
}
