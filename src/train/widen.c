/* widen.c - a wider network that computes what a narrow one does (Net2Wider,
 * Chen, Goodfellow and Shlens 2016): channel c of the wide one copies channel
 * c mod C of the narrow one, and who reads the copies shares the weight out among
 * them. The shares are drawn at random, so the copies part as training goes on.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

typedef struct widen_axes {
    mango_idx O, I, taps;       /* of the narrow weight */
    mango_idx O2, I2;           /* of the wide one      */
    mango_idx so, si, so2, si2; /* strides: narrow, wide */
} widen_axes;

/* The node that owns parameter p as its weight; -1: none. */
static int widen_owner(const mango_net *net, int p)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].weight == p)
            return i;
    return -1;
}

/* a is the wide parameter, b the narrow one: may the values spread? */
static int widen_fits(const mgi_param *a, const mgi_param *b, mgi_kind kind)
{
    int same = a->rank == b->rank;
    for (int r = 0; same && r < a->rank; r++)
        same = a->shape[r] == b->shape[r] ||
               (r < 2 && kind != MGI_VQ && kind != MGI_EMBEDDING &&
                a->shape[r] > b->shape[r]);
    return same;
}

static void widen_weight(const widen_axes *x, mango_rng *r, const float *w, float *v)
{
    for (mango_idx o = 0; o < x->O2; o++)
        for (mango_idx i = 0; i < x->I; i++) {
            const mango_rng from = *r;
            double sum = 0;
            for (mango_idx k = i; k < x->I2; k += x->I)
                sum += 0.01 + mango_rng_uniform(r);
            *r = from; /* the same shares again */
            for (mango_idx k = i; k < x->I2; k += x->I) {
                const float share = (float)((0.01 + mango_rng_uniform(r)) / sum);
                for (mango_idx t = 0; t < x->taps; t++)
                    v[o * x->so2 + k * x->si2 + t] =
                        share * w[o % x->O * x->so + i * x->si + t];
            }
        }
}

static void widen_param(mgi_param *a, const mgi_param *b, mgi_kind kind, mango_rng *r)
{
    const int in = kind == MGI_CONVT ? 0 : 1, out = 1 - in;
    widen_axes x;
    if (a->count == b->count || a->rank < 2 || a->rank == 3 || a->is_buffer) {
        for (mango_idx k = 0; k < a->count; k++)
            a->v[k] = b->v[k % b->count];
        return;
    }
    x.taps = a->rank == 4 ? a->shape[2] * a->shape[3] : 1;
    x.O = b->shape[out], x.I = b->shape[in];
    x.O2 = a->shape[out], x.I2 = a->shape[in];
    x.so = out ? x.taps : x.I * x.taps;
    x.si = in ? x.taps : x.O * x.taps;
    x.so2 = out ? x.taps : x.I2 * x.taps;
    x.si2 = in ? x.taps : x.O2 * x.taps;
    widen_weight(&x, r, b->v, a->v);
}

mango_status mango_train_widen(mango_net *net, const mango_net *from, uint64_t seed,
                               mango_idx *set, mango_err *err)
{
    MGI_CHECK(err, net && from && set, "mango_train_widen: net, from or set is NULL");
    *set = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_conv *c = &net->node[i].conv;
        if (net->node[i].kind == MGI_CONCAT)
            return mgi_fail(err, MANGO_E_ARG, "%s joins channels in %s: it cannot be widened",
                            net->arch, net->node[i].name);
        if (c->groups > 1 && (c->groups != c->C || c->C != c->O)) /* copies in other groups */
            return mgi_fail(err, MANGO_E_ARG, "%s groups channels in %s: it cannot be widened",
                            net->arch, net->node[i].name);
    }
    MGI_TRY(mgi_net_alloc_params(net));
    for (int p = 0; p < net->n_params; p++) {
        mgi_param *a = &net->param[p];
        const int k = mgi_param_find(from, a->name), at = widen_owner(net, p);
        const mgi_param *b = k < 0 ? NULL : &from->param[k];
        const mgi_kind kind = at < 0 ? MGI_BATCHNORM : net->node[at].kind;
        mango_rng r;
        if (!b || !b->v)
            continue;
        if (!widen_fits(a, b, kind))
            return mgi_fail(err, MANGO_E_SHAPE, "%s of %s is not a widened one of %s", a->name,
                            net->arch, from->arch);
        mango_rng_init(&r, seed, MGI_RNG_WIDEN, (uint64_t)p);
        widen_param(a, b, kind, &r);
        ++*set;
    }
    return MANGO_OK;
}
