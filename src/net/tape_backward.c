/* tape_backward.c - the reverse steps of a tape.
 *
 * Node i finds its gradient in grad[i] and hands each input j that wants one
 * its share: the first reader of j writes grad[j], later ones add to it.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

/* An operator that gives its only input's gradient whole. */
static void backward_plain(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mgi_op_grad r = {.net = t->net,
                           .g = n,
                           .N = mgi_tape_rows(t, i),
                           .x = t->val[j],
                           .y = t->val[i],
                           .dy = t->grad[i],
                           .dx = mgi_tape_take(t, j, spare),
                           .work = work};
    mgi_op_of(n->kind)->gradient(&r);
    mgi_tape_give(t, j, r.dx);
}

/* What the caller adds to the gradient of a kept node, before the node passes it on. */
static void backward_inject(mgi_tape *t, int i)
{
    for (int k = 0; k < t->o.n_keep; k++)
        if (t->o.keep[k] == i && t->inject[k] && t->written[i]) {
            mgi_tape_give(t, i, t->inject[k]);
        } else if (t->o.keep[k] == i && t->inject[k] && t->grad[i]) {
            const mgi_node *n = &t->net->node[i];
            const mango_idx count = mgi_tape_rows(t, i) * n->C * n->H * n->W;
            memcpy(t->grad[i], t->inject[k], (size_t)count * sizeof(float));
            t->written[i] = 1;
        }
}

static void backward_node(mgi_tape *t, const mgi_tape_op *op)
{
    const int i = op->node;
    const mgi_op *kind = mgi_op_of(t->net->node[i].kind);
    float *spare = op->work >= 0 ? t->arena + t->buf[op->work].at : NULL;
    float *work = spare ? spare + mgi_tape_spare(t, i) : NULL;
    backward_inject(t, i);
    if (!t->written[i])
        return;
    if (kind->backward)
        kind->backward(t, i, spare, work);
    else
        backward_plain(t, i, spare, work);
}

void mgi_tape_backward(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        t->written[i] = i == t->output;
        t->grad[i] = t->gbuf[i] >= 0 ? t->arena + t->buf[t->gbuf[i]].at : NULL;
    }
    for (int s = t->loss_step + 1; s < t->n_ops; s++)
        if (t->op[s].what == MGI_BACKWARD)
            backward_node(t, &t->op[s]);
        else
            mgi_tape_make(t, &t->op[s]);
}
