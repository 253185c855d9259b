/* tape_grad.c - gradients: of the parameters, in one block, and of values on their way.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

#define GRAD_CHUNK 16384

/* g += dx */
static void tape_grad_add(mango_idx count, const float *dx, float *g)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx chunks = mgi_ceil_div(count, GRAD_CHUNK);
    MGI_OMP(parallel for if (count >= MGI_GRAIN))
    for (mango_idx c = 0; c < chunks; c++) {
        const mango_idx at = c * GRAD_CHUNK;
        k->add(MGI_MIN(GRAD_CHUNK, count - at), g + at, dx + at, g + at);
    }
}

/* ---- of values ------------------------------------------------------------- */

float *mgi_tape_take(const mgi_tape *t, int j, float *spare)
{
    return t->written[j] ? spare : t->grad[j];
}

void mgi_tape_give(mgi_tape *t, int j, const float *dx)
{
    const mgi_node *n = &t->net->node[j];
    const mango_idx count = mgi_tape_rows(t, j) * n->C * n->H * n->W;
    float *g = t->grad[j];
    if (t->written[j])
        tape_grad_add(count, dx, g);
    t->written[j] = 1;
}

/* ---- both -------------------------------------------------------------------- */

int mgi_all_finite(mango_idx n, const float *x)
{
    for (mango_idx i = 0; i < n; i++)
        if (!mgi_is_finite((double)x[i]))
            return 0;
    return 1;
}

/* ---- of parameters --------------------------------------------------------- */

mango_status mgi_grads_new(mgi_grads *g, const mango_net *net)
{
    memset(g, 0, sizeof *g);
    g->al = net->al;
    g->n_params = MGI_MAX(net->n_params, 1);
    for (int p = 0; p < net->n_params; p++)
        g->n += net->param[p].is_buffer ? 0 : net->param[p].count;
    g->flat = mgi_new(&g->al, g->n, sizeof(float));
    g->of = mgi_new(&g->al, g->n_params, sizeof *g->of);
    if (!g->flat || !g->of) {
        mgi_grads_free(g);
        return MANGO_E_MEM;
    }
    float *at = g->flat;
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].is_buffer) {
            g->of[p] = at;
            at += net->param[p].count;
        }
    return MANGO_OK;
}

void mgi_grads_free(mgi_grads *g)
{
    if (!g->al.fn)
        return;
    mgi_del(&g->al, g->flat, g->n, sizeof(float));
    mgi_del(&g->al, g->of, g->n_params, sizeof *g->of);
    memset(g, 0, sizeof *g);
}

void mgi_grads_zero(mgi_grads *g)
{
    memset(g->flat, 0, (size_t)g->n * sizeof(float));
}

void mgi_tape_set_grads(mgi_tape *t, const mgi_grads *g)
{
    for (int p = 0; p < t->net->n_params; p++)
        t->dw[p] = g ? g->of[p] : NULL;
}
#undef GRAD_CHUNK
