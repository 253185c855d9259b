/* target_leaf.c - leaves of a target: checked against their layers; vectors from files.
 * SPDX-License-Identifier: MIT */
#include "../data/data.h"
#include "expression.h"

/* 0 .. n-1, or what the layer has. */
static mango_status leaf_range(mango_idx v, mango_idx n, const char *layer, const char *what,
                               mango_err *err)
{
    if (v >= 0 && v < n)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_NAME, "layer '%.60s' has %s 0..%td, got %td", layer, what,
                    n - 1, v);
}

MGI_FN mango_status mgi_leaf_layer(mgi_leaf *l, const mango_net *net, mango_err *err)
{
    mango_layer layer;
    const int softmax = l->kind == MGI_LEAF_SOFTMAX;
    MGI_TRY(mango_net_layer(net, l->layer, &layer));
    l->C = layer.C;
    l->H = layer.H;
    l->W = layer.W;
    l->spiking = layer.spiking;
    l->timed = layer.timed;
    if (softmax && (l->H != 1 || l->W != 1))
        return mgi_fail(err, MANGO_E_SHAPE, "the network's output '%.60s' is a map of "
                        "%tdx%tdx%td, not classes", layer.name, l->C, l->H, l->W);
    if (l->over == MGI_OVER_UNIT)
        MGI_TRY(leaf_range(l->unit, l->C, layer.name, softmax ? "classes" : "units", err));
    if (l->over == MGI_OVER_UNIT && l->y >= 0) {
        MGI_TRY(leaf_range(l->y, l->H, layer.name, "rows", err));
        MGI_TRY(leaf_range(l->x, l->W, layer.name, "columns", err));
    }
    if (l->kind == MGI_LEAF_MEMBRANE && layer.lif && !l->spiking)
        l->kind = MGI_LEAF_VALUE; /* the layer gives its membrane on */
    if ((l->kind == MGI_LEAF_LATENCY || l->kind == MGI_LEAF_MEMBRANE) && !l->spiking)
        return mgi_fail(err, MANGO_E_NAME, "layer '%.60s' does not spike, it has no %s",
                        layer.name, l->kind == MGI_LEAF_LATENCY ? "latency" : "membrane");
    if (softmax && strcmp(layer.kind, "softmax") == 0)
        l->kind = MGI_LEAF_VALUE; /* it is one already */
    return MANGO_OK;
}

/* (C), (C,1,1), or (C,H,W)? */
static int leaf_fits(const mgi_leaf *l, const mango_npy *a)
{
    const mango_idx map[3] = {l->C, l->H, l->W};
    int whole = a->rank == 3, channels = a->rank == 1 || a->rank == 3;
    for (int i = 0; i < a->rank && i < 3; i++) {
        whole = whole && a->shape[i] == map[i];
        channels = channels && a->shape[i] == (i ? 1 : l->C);
    }
    return whole || channels;
}

MGI_FN mango_status mgi_leaf_vector(mgi_leaf *l, const char *path, const mango_alloc *al,
                                    mango_err *err)
{
    mango_npy a;
    MGI_TRY(mango_npy_read(&a, path, al, err));
    mango_status st = MANGO_OK;
    if (!leaf_fits(l, &a))
        st = mgi_fail(err, MANGO_E_SHAPE, "%.100s: rank %d, %td numbers; expected (%td), one "
                      "for each channel, or (%td,%td,%td)", path, a.rank, a.count, l->C, l->C,
                      l->H, l->W);
    l->vector = st < 0 ? NULL : mgi_new(al, a.count, sizeof *l->vector);
    l->n_vector = l->vector ? a.count : 0;
    if (st == MANGO_OK)
        st = l->vector ? mango_npy_floats(&a, l->vector, err)
                       : mgi_fail(err, MANGO_E_MEM, "target: no memory for a vector");
    for (mango_idx i = 0; st == MANGO_OK && i < a.count; i++)
        if (!mgi_is_finite((double)l->vector[i]))
            st = mgi_fail(err, MANGO_E_NONFINITE, "%.100s: number %td is NaN or infinite",
                          path, i);
    mango_npy_free(&a);
    return st;
}
