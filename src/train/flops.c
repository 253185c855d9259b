/* flops.c - the arithmetic that an update asks for.
 *
 * Counted are the multiply-adds of convolutions and linear layers, two
 * operations each: forward, by the weights, and by the input where somebody
 * wants it; not what lies in the padding, not what is computed twice to save
 * memory, and all inputs, whether a zero among them is skipped or not.
 * SPDX-License-Identifier: MIT */
#include "../math/conv_geometry.h"
#include "trainer.h"

/* Kernel positions inside the map, over all positions of a window. */
static double flops_taps(mango_idx places, mango_idx s, mango_idx p, mango_idx k, mango_idx size)
{
    mango_idx sum = 0, lo, hi;
    for (mango_idx t = 0; t < places; t++, sum += hi - lo)
        mgi_conv_clip(t, s, p, k, size, &lo, &hi);
    return (double)sum;
}

/* Multiply-adds of one map through node i. */
static double flops_node(const mango_net *net, int i)
{
    const mgi_node *n = &net->node[i], *in = n->n_in ? &net->node[n->in[0]] : n;
    if (n->kind == MGI_LINEAR)
        return (double)(in->C * in->H * in->W) * (double)n->C;
    if (n->kind != MGI_CONV && n->kind != MGI_CONVT)
        return 0;
    const mgi_conv c = n->conv.transposed ? mgi_conv_flip(&n->conv) : n->conv;
    return (double)c.C * (double)c.O * flops_taps(c.OH, c.sh, c.ph, c.kh, c.H) *
           flops_taps(c.OW, c.sw, c.pw, c.kw, c.W);
}

/* Operations for b pictures through the tape, forward; and back, if so. */
static double flops_tape(const mgi_tape *t, mango_idx b, int back)
{
    double sum = 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        const double each = t->needed[i] ? flops_node(t->net, i) : 0;
        if (each == 0)
            continue;
        const int times = 1 + (back && t->wants[i] && t->dw[n->weight]) +
                          (back && t->wants[n->in[0]]);
        sum += 2 * each * times * (double)(b * (t->timed[i] ? t->o.T : 1));
    }
    return sum;
}

double mango_trainer_flops(const mango_trainer *t)
{
    const mango_idx b = t->o.batch;
    if (t->kind != MANGO_TRAIN_SNGAN)
        return flops_tape(t->tape, b, 1);
    return (double)t->o.n_dis * (flops_tape(t->tape, b, 0) + flops_tape(t->tape_d, 2 * b, 1)) +
           flops_tape(t->tape, b, 1) + flops_tape(t->tape_g, b, 1);
}
