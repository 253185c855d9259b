/* optim.c - SGD with momentum, Adam, AdamW; schedules; averaged weights.
 *
 * SGD (as PyTorch): g += wd w;  m = mu m + g;  w -= lr (nesterov ? g + mu m : m)
 * Adam (Kingma and Ba 2015): m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
 *     w -= lr (m / (1-b1^k)) / (sqrt(v / (1-b2^k)) + eps)
 * AdamW (Loshchilov and Hutter 2019): w -= lr wd w, apart from the gradient.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"
#include "../math/loops.h"
#include <math.h>

#define OPTIM_BLOCK 4096

/* part[k] = sum of squares of block k of x, m floats each, for k < blocks <= 4:
 * chains that do not wait for one another. */
static void optim_squares(mango_idx blocks, mango_idx m, const float *x, double *part)
{
    double s[4] = {0};
    if (blocks == 4)
        for (mango_idx i = 0; i < m; i++)
            for (int k = 0; k < 4; k++)
                s[k] += (double)x[k * OPTIM_BLOCK + i] * (double)x[k * OPTIM_BLOCK + i];
    else
        for (mango_idx k = 0; k < blocks; k++)
            for (mango_idx i = 0; i < m; i++)
                s[k] += (double)x[k * OPTIM_BLOCK + i] * (double)x[k * OPTIM_BLOCK + i];
    memcpy(part, s, (size_t)blocks * sizeof *part);
}

double mgi_norm2(mango_idx n, const float *x)
{
    double total = 0, part[64];
    for (mango_idx at = 0; at < n; at += 64 * (mango_idx)OPTIM_BLOCK) {
        const mango_idx left = n - at, full = MGI_MIN(64, left / OPTIM_BLOCK);
        const mango_idx rest = full < 64 ? left % OPTIM_BLOCK : 0;
        MGI_OMP(parallel for if (left >= MGI_GRAIN))
        for (mango_idx k = 0; k < full; k += 4)
            optim_squares(MGI_MIN(4, full - k), OPTIM_BLOCK, x + at + k * OPTIM_BLOCK,
                          part + k);
        if (rest > 0)
            optim_squares(1, rest, x + at + full * OPTIM_BLOCK, part + full);
        for (mango_idx k = 0; k < full + (rest > 0); k++)
            total += part[k];
    }
    return sqrt(total);
}

mango_status mgi_optim_new(mgi_optim *p, const mango_net *net, const mango_train_options *o)
{
    memset(p, 0, sizeof *p);
    p->al = net->al;
    p->net = net;
    MGI_TRY(mgi_grads_new(&p->g, net));
    p->m = mgi_new(&p->al, p->g.n, sizeof(float));
    p->v = o->optimizer == MANGO_SGD ? NULL : mgi_new(&p->al, p->g.n, sizeof(float));
    p->skip = mgi_new(&p->al, MGI_MAX(net->n_params, 1), 1);
    if (!p->m || !p->skip || (o->optimizer != MANGO_SGD && !p->v)) {
        mgi_optim_free(p);
        return MANGO_E_MEM;
    }
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == MGI_VQ)
            p->skip[net->node[i].weight] = 1;
    return MANGO_OK;
}

void mgi_optim_free(mgi_optim *p)
{
    if (!p->al.fn)
        return;
    mgi_del(&p->al, p->m, p->g.n, sizeof(float));
    if (p->v)
        mgi_del(&p->al, p->v, p->g.n, sizeof(float));
    mgi_del(&p->al, p->skip, MGI_MAX(p->net->n_params, 1), 1);
    mgi_grads_free(&p->g);
    memset(p, 0, sizeof *p);
}

static void optim_param(const mgi_optim *p, const mango_train_options *o, int i,
                        mgi_optim_rule r)
{
    const mgi_loops *loops = mgi_loops_get();
    const mgi_param *q = &p->net->param[i];
    float *g = p->g.of[i], *m = p->m + (g - p->g.flat),
          *v = p->v ? p->v + (g - p->g.flat) : NULL;
    const mango_idx blocks = mgi_ceil_div(q->count, OPTIM_BLOCK);
    r.wd = q->rank > 1 ? (float)o->weight_decay : 0.0f;
    MGI_OMP(parallel for if (q->count >= MGI_GRAIN))
    for (mango_idx k = 0; k < blocks; k++) {
        const mango_idx at = k * OPTIM_BLOCK, n = MGI_MIN(OPTIM_BLOCK, q->count - at);
        if (o->optimizer == MANGO_SGD)
            loops->sgd(n, &r, g + at, m + at, q->v + at);
        else
            loops->adam(n, &r, g + at, m + at, v + at, q->v + at);
    }
}

mango_status mgi_optim_step(mgi_optim *p, const mango_train_options *o, double lr)
{
    mgi_optim_rule r;
    memset(&r, 0, sizeof r);
    p->norm = mgi_norm2(p->g.n, p->g.flat);
    if (!mgi_is_finite(p->norm))
        return MANGO_E_NONFINITE;
    p->updates++;
    r.clip = o->clip > 0 && p->norm > o->clip ? (float)(o->clip / p->norm) : 1.0f;
    r.lr = (float)lr;
    r.mu = (float)o->momentum;
    r.nesterov = o->nesterov;
    r.b1 = (float)o->beta1;
    r.b2 = (float)o->beta2;
    r.eps = (float)o->eps;
    r.decoupled = o->optimizer == MANGO_ADAMW;
    r.c1 = o->beta1 > 0 ? (float)(1 / (1 - mgi_pow(o->beta1, (double)p->updates))) : 1.0f;
    r.c2 = o->beta2 > 0 ? (float)(1 / (1 - mgi_pow(o->beta2, (double)p->updates))) : 1.0f;
    for (int i = 0; i < p->net->n_params; i++)
        if (p->g.of[i] && !p->skip[i])
            optim_param(p, o, i, r);
    return MANGO_OK;
}

double mgi_optim_lr(const mango_train_options *o, mango_idx k, mango_idx per, double n)
{
    const double warm = o->warmup * (double)per, x = (double)k;
    if (x < warm)
        return o->lr * (x + 1) / (warm + 1);
    const double part = n > warm ? (x - warm) / (n - warm) : 0;
    switch (o->schedule) {
    case MANGO_LR_COSINE: return o->lr * 0.5 * (1 + mgi_cos2pi(0.5 * part));
    case MANGO_LR_LINEAR: return o->lr * (1 - part);
    case MANGO_LR_STEP: {
        double lr = o->lr;
        for (double e = o->lr_every; e <= x / (double)per; e += o->lr_every)
            lr *= o->lr_factor;
        return lr;
    }
    default: return o->lr;
    }
}

/* ---- averaged weights ---------------------------------------------------- */

mango_status mgi_average_new(mgi_average *a, const mango_net *net)
{
    memset(a, 0, sizeof *a);
    a->al = net->al;
    a->n_params = MGI_MAX(net->n_params, 1);
    for (int p = 0; p < net->n_params; p++)
        a->n += net->param[p].count;
    a->flat = mgi_new(&a->al, a->n, sizeof(float));
    a->of = mgi_new(&a->al, a->n_params, sizeof *a->of);
    if (!a->flat || !a->of) {
        mgi_average_free(a);
        return MANGO_E_MEM;
    }
    mango_idx at = 0;
    for (int p = 0; p < net->n_params; p++) {
        a->of[p] = a->flat + at;
        memcpy(a->of[p], net->param[p].v, (size_t)net->param[p].count * sizeof(float));
        at += net->param[p].count;
    }
    return MANGO_OK;
}

void mgi_average_free(mgi_average *a)
{
    if (!a->al.fn)
        return;
    mgi_del(&a->al, a->flat, a->n, sizeof(float));
    mgi_del(&a->al, a->of, a->n_params, sizeof *a->of);
    memset(a, 0, sizeof *a);
}

void mgi_average_step(mgi_average *a, const mango_net *net, double decay, mango_idx k)
{
    const mgi_loops *loops = mgi_loops_get();
    const double young = (1 + (double)k) / (10 + (double)k);
    const float c = (float)(1 - MGI_MIN(decay, young));
    for (int p = 0; p < net->n_params; p++) {
        const float *w = net->param[p].v;
        float *e = a->of[p];
        const mango_idx n = net->param[p].count, blocks = mgi_ceil_div(n, OPTIM_BLOCK);
        MGI_OMP(parallel for if (n >= MGI_GRAIN))
        for (mango_idx k = 0; k < blocks; k++) {
            const mango_idx at = k * OPTIM_BLOCK;
            loops->average(MGI_MIN(OPTIM_BLOCK, n - at), c, w + at, e + at);
        }
    }
}
#undef OPTIM_BLOCK
