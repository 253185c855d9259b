/* spectral.c - spectral normalization (Miyato et al. 2018, algorithm 1).
 *
 * W as a matrix (O, K):  v = W^T u / |.|,  u = W v / |.|,  sigma = u^T W v,
 * Wbar = W / sigma;  dL/dW = (dL/dWbar - <dL/dWbar, Wbar> u v^T) / sigma.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../math/spectral.h"

static int spectral_marked(const mgi_node *n)
{
    return n->spectral && n->weight >= 0;
}

mango_status mgi_spectral_new(mgi_spectral *s, const mango_net *net, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->al = net->al;
    s->net = net;
    s->at = mgi_new(&s->al, 3 * (mango_idx)net->n_nodes, sizeof *s->at);
    s->sigma = mgi_new(&s->al, net->n_nodes, sizeof *s->sigma);
    if (!s->at || !s->sigma)
        return MANGO_E_MEM; /* the owner frees */
    s->at_u = s->at + net->n_nodes;
    s->at_v = s->at_u + net->n_nodes;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        s->at[i] = s->n;
        s->at_u[i] = s->nu;
        s->at_v[i] = s->nv;
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &net->param[n->weight];
        s->n += p->count;
        s->nu += p->shape[0];
        s->nv += p->count / p->shape[0];
    }
    s->wbar = mgi_new(&s->al, s->n, sizeof(float));
    s->u = mgi_new(&s->al, s->nu, sizeof(float));
    s->v = mgi_new(&s->al, s->nv, sizeof(float));
    if (!s->wbar || !s->u || !s->v)
        return MANGO_E_MEM;
    mango_rng r;
    mango_rng_init(&r, seed, MGI_RNG_INIT, UINT64_MAX);
    for (mango_idx k = 0; k < s->nu; k++)
        s->u[k] = (float)mango_rng_normal(&r);
    return MANGO_OK;
}

void mgi_spectral_free(mgi_spectral *s)
{
    if (!s->al.fn)
        return;
    mgi_del(&s->al, s->at, 3 * (mango_idx)s->net->n_nodes, sizeof *s->at);
    mgi_del(&s->al, s->sigma, s->net->n_nodes, sizeof *s->sigma);
    mgi_del(&s->al, s->wbar, s->n, sizeof(float));
    mgi_del(&s->al, s->u, s->nu, sizeof(float));
    mgi_del(&s->al, s->v, s->nv, sizeof(float));
    memset(s, 0, sizeof *s);
}

void mgi_spectral_update(mgi_spectral *s, int iterations)
{
    for (int i = 0; i < s->net->n_nodes; i++) {
        const mgi_node *n = &s->net->node[i];
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &s->net->param[n->weight];
        const mango_idx O = p->shape[0], K = p->count / O;
        float *u = s->u + s->at_u[i], *v = s->v + s->at_v[i], *wbar = s->wbar + s->at[i];
        for (int k = 0; k < iterations; k++)
            mgi_power_step(O, K, p->v, u, v, u);
        double sigma = 0;
        for (mango_idx o = 0; o < O; o++) {
            double dot = 0;
            for (mango_idx k = 0; k < K; k++)
                dot += (double)p->v[o * K + k] * (double)v[k];
            sigma += dot * (double)u[o];
        }
        s->sigma[i] = sigma;
        const float scale = (float)(1 / (sigma != 0 ? sigma : 1e-12));
        for (mango_idx k = 0; k < p->count; k++)
            wbar[k] = p->v[k] * scale;
    }
}

void mgi_spectral_bind(const mgi_spectral *s, mgi_tape *t)
{
    for (int i = 0; i < s->net->n_nodes; i++)
        if (spectral_marked(&s->net->node[i]))
            t->w[s->net->node[i].weight] = s->wbar + s->at[i];
}

void mgi_spectral_backward(const mgi_spectral *s, mgi_grads *g)
{
    for (int i = 0; i < s->net->n_nodes; i++) {
        const mgi_node *n = &s->net->node[i];
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &s->net->param[n->weight];
        const mango_idx O = p->shape[0], K = p->count / O;
        const float *u = s->u + s->at_u[i], *v = s->v + s->at_v[i], *wbar = s->wbar + s->at[i];
        float *dw = g->of[n->weight];
        double dot = 0;
        for (mango_idx k = 0; k < p->count; k++)
            dot += (double)dw[k] * (double)wbar[k];
        const double r = 1 / (s->sigma[i] != 0 ? s->sigma[i] : 1e-12);
        for (mango_idx o = 0; o < O; o++)
            for (mango_idx k = 0; k < K; k++)
                dw[o * K + k] = (float)(((double)dw[o * K + k] -
                                         dot * (double)u[o] * (double)v[k]) * r);
    }
}
