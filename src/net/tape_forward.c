/* tape_forward.c - the forward steps of a tape.
 * SPDX-License-Identifier: MIT */
#include "../base/threads.h"
#include "tape.h"

/* An operator that both executors run alike. */
static void forward_plain(const mgi_tape *t, int i, float *work)
{
    const mgi_node *n = &t->net->node[i];
    mgi_op_run r;
    r.net = t->net;
    r.g = n;
    r.N = mgi_tape_rows(t, i);
    for (int j = 0; j < n->n_in; j++) {
        r.x[j] = t->val[n->in[j]];
        r.nx[j] = mgi_tape_rows(t, n->in[j]);
    }
    r.weight = n->weight < 0 ? NULL : t->w[n->weight];
    r.bias = n->bias_p < 0 ? NULL : t->w[n->bias_p];
    r.y = t->val[i];
    r.work = work;
    mgi_op_of(n->kind)->forward(&r);
}

void mgi_tape_make(mgi_tape *t, const mgi_tape_op *op)
{
    const int i = op->node;
    const mgi_node *n = &t->net->node[i];
    const mgi_op *kind = mgi_op_of(n->kind);
    float *work = op->work >= 0 ? t->arena + t->buf[op->work].at : NULL;
    t->val[i] = op->y >= 0 ? t->arena + t->buf[op->y].at : t->val[n->in[0]];
    if (kind->tape_forward)
        kind->tape_forward(t, i, op->what == MGI_AGAIN, work);
    else
        forward_plain(t, i, work);
}

mango_status mgi_tape_forward(mgi_tape *t, mango_idx b, const float *x)
{
    MGI_REQUIRE(t && x && b > 0 && b <= t->o.B);
    mgi_threads_look();
    t->b = b;
    t->bad = -1;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (mgi_tape_given(t, i))
            t->val[i] = (float *)(uintptr_t)x; /* read only */
    for (int s = 0; s < t->loss_step; s++) {
        const int i = t->op[s].node;
        const mgi_node *n = &t->net->node[i];
        mgi_tape_make(t, &t->op[s]);
        if (t->check && !mgi_all_finite(mgi_tape_rows(t, i) * n->C * n->H * n->W, t->val[i])) {
            t->bad = i;
            return MANGO_E_NONFINITE;
        }
    }
    return MANGO_OK;
}
