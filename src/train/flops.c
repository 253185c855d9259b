/* flops.c - the arithmetic that an update asks for.
 *
 * Counted are the multiply-adds of convolutions and linear layers, two
 * operations each: forward, by the weights, and by the input where somebody
 * wants it; not what lies in the padding, not what is computed twice to save
 * memory, and all inputs, whether a zero among them is skipped or not.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

double mgi_tape_flops(const mgi_tape *t, mango_idx b, int back)
{
    double sum = 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        const int learns = t->needed[i] && mgi_is_matmul(n->kind);
        const double each = learns ? mgi_node_macs(t->net, i, 0) : 0;
        if (each == 0)
            continue;
        const int times = 1 + (back && t->wants[i] && t->dw[n->weight]) +
                          (back && t->wants[n->in[0]]);
        sum += 2 * each * times * (double)(b * (t->timed[i] ? t->o.T : 1));
    }
    return sum;
}

double mgi_trainer_flops(const mango_trainer *t)
{
    return mgi_tape_flops(t->tape, t->o.batch, 1);
}
