/* onnx_op_norm.c - norms, softmax, PRelu: what treats an axis as channels.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* Constant input k of `size` numbers. */
static mango_status oxn_vector(mango_onnx *m, const mgi_ox_node *n, int k, mango_idx size,
                               mgi_ox_array *a)
{
    const mgi_ox_array *c = mgi_ox_const(m, n, k);
    if (!c || c->count != size)
        return mgi_ox_refuse(m, n, "input %d is no constant of %td numbers", k + 1, size);
    return mgi_ox_reshaped(m, c, 1, &size, a);
}

static mango_status oxn_batchnorm(mango_onnx *m, const mgi_ox_node *n)
{
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    mgi_ox_map v;
    mgi_ox_array a;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (mgi_ox_int(n, "training_mode", 0))
        return mgi_ox_refuse(m, n, "in training mode; export the model in evaluation mode");
    if (v.rank < 2 || !mgi_ox_int(n, "spatial", 1))
        return mgi_ox_refuse(m, n, "of a map without channels, or of each value by itself");
    MGI_TRY(mgi_ox_channels(m, n, &v, 1));
    MGI_TRY(mgi_ox_same_shape(m, "", "batchnorm", &v, "%s", ""));
    mgi_ox_attr_f(m, "eps", mgi_ox_real(n, "epsilon", 1e-5));
    for (int k = 0; k < 4; k++) {
        const mango_idx C = m->layer[v.layer].C;
        MGI_TRY(oxn_vector(m, n, k + 1, C, &a));
        MGI_TRY(mgi_ox_param_add(m, v.layer, names[k], 1, &C, &a, 1));
    }
    return mgi_ox_set_map(m, n, 0, &v);
}

/* NAME.weight and NAME.bias of C values, where they are given. */
static mango_status oxn_affine(mango_onnx *m, const mgi_ox_map *v, const mgi_ox_array *w,
                               const mgi_ox_array *b)
{
    const mango_idx C = m->layer[v->layer].C;
    mgi_ox_attr(m, "weight=%d bias=%d", w != NULL, b != NULL);
    if (w)
        MGI_TRY(mgi_ox_param_add(m, v->layer, "weight", 1, &C, w, 1));
    return b ? mgi_ox_param_add(m, v->layer, "bias", 1, &C, b, 1) : MANGO_OK;
}

/* How PyTorch's exporter writes a group norm: instances of (N,G,rest), scaled by 1. */
static int oxn_groups(const mango_onnx *m, const mgi_ox_map *v, const mgi_ox_array *w,
                      const mgi_ox_array *b)
{
    double one, zero;
    const mango_idx G = mgi_ox_dim(v, 1), C = m->layer[v->layer].C;
    if (!mgi_ox_uniform(w, &one) || !mgi_ox_uniform(b, &zero) || one != 1 || zero != 0)
        return 0;
    return G > 1 && C > G && C % G == 0 && v->cut[1] == 1 && v->cut[2] == 2 &&
           v->seq[1] == 1;
}

static mango_status oxn_instancenorm(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mgi_ox_array w, b;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (v.rank < 3)
        return mgi_ox_refuse(m, n, "of a map of %d axes", v.rank);
    const mango_idx C = mgi_ox_dim(&v, 1);
    MGI_TRY(oxn_vector(m, n, 1, C, &w));
    MGI_TRY(oxn_vector(m, n, 2, C, &b));
    if (oxn_groups(m, &v, &w, &b)) {
        MGI_TRY(mgi_ox_same_shape(m, "", "groupnorm", &v, "groups=%td", C));
        mgi_ox_attr_f(m, "eps", mgi_ox_real(n, "epsilon", 1e-5));
        MGI_TRY(oxn_affine(m, &v, NULL, NULL));
        return mgi_ox_set_map(m, n, 0, &v);
    }
    MGI_TRY(mgi_ox_channels(m, n, &v, 1));
    MGI_TRY(mgi_ox_same_shape(m, "", "instancenorm", &v, "%s", ""));
    mgi_ox_attr_f(m, "eps", mgi_ox_real(n, "epsilon", 1e-5));
    MGI_TRY(oxn_affine(m, &v, &w, &b));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* One number a group (before opset 21) or a channel. */
static mango_status oxn_group_vector(mango_onnx *m, const mgi_ox_node *n, int k,
                                     mango_idx G, mango_idx C, mgi_ox_array *a)
{
    const mgi_ox_array *c = mgi_ox_const(m, n, k);
    if (!c || c->count != G)
        return oxn_vector(m, n, k, C, a);
    MGI_TRY(mgi_ox_reshaped(m, c, 1, &G, a));
    a->rank = 2;
    a->dim[1] = C / G;
    a->stride[1] = 0;
    a->count = C;
    return MANGO_OK;
}

static mango_status oxn_groupnorm(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mgi_ox_array w, b;
    const int64_t G = mgi_ox_int(n, "num_groups", 0);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const mango_idx C = v.rank > 1 ? mgi_ox_dim(&v, 1) : 0;
    if (G < 1 || G > C || C % G)
        return mgi_ox_refuse(m, n, "%lld groups of %td channels", (long long)G, C);
    MGI_TRY(oxn_group_vector(m, n, 1, (mango_idx)G, C, &w));
    MGI_TRY(oxn_group_vector(m, n, 2, (mango_idx)G, C, &b));
    MGI_TRY(mgi_ox_channels(m, n, &v, 1));
    MGI_TRY(mgi_ox_same_shape(m, "", "groupnorm", &v, "groups=%lld", (long long)G));
    mgi_ox_attr_f(m, "eps", mgi_ox_real(n, "epsilon", 1e-5));
    MGI_TRY(oxn_affine(m, &v, &w, &b));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Axes `axis` .. the last as C, the others as H or W. */
static mango_status oxn_tail(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, int axis)
{
    int order[MGI_RANK_MAX], count = 0;
    if (axis < 1)
        return mgi_ox_refuse(m, n, "over the batch axis");
    if (axis == v->rank - 1)
        return mgi_ox_channels(m, n, v, axis);
    for (int r = axis; r < v->rank; r++)
        order[count++] = r;
    const int n_c = count;
    for (int r = 1; r < axis; r++)
        order[count++] = r;
    return mgi_ox_bring(m, n, v, count, order, n_c, count - n_c > 1);
}

static mango_status oxn_layernorm(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mgi_ox_array w, b;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", -1), v.rank);
    const int scaled = mgi_ox_value_of(m, n, 1) >= 0,
              biased = mgi_ox_value_of(m, n, 2) >= 0;
    MGI_TRY(oxn_tail(m, n, &v, axis));
    MGI_TRY(mgi_ox_same_shape(m, "", "layernorm", &v, "over=channels"));
    mgi_ox_attr_f(m, "eps", mgi_ox_real(n, "epsilon", 1e-5));
    if (scaled)
        MGI_TRY(oxn_vector(m, n, 1, m->layer[v.layer].C, &w));
    if (biased)
        MGI_TRY(oxn_vector(m, n, 2, m->layer[v.layer].C, &b));
    MGI_TRY(oxn_affine(m, &v, scaled ? &w : NULL, biased ? &b : NULL));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* (x - mean)/sqrt(var + eps) over some axes, which a pattern found. */
static mango_status oxn_over(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    unsigned mask;
    double eps;
    int given, order[MGI_RANK_MAX], count = 0, n_c;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_number(m, n, 1, NULL, 0, &eps));
    MGI_TRY(mgi_ox_axes(m, &m->node[n->like], 1, v.rank, &given, &mask));
    if (!given || mask & 1)
        return mgi_ox_refuse(m, n, "over the batch axis");
    for (int r = 1; r < v.rank; r++)
        if (mask >> r & 1)
            order[count++] = r;
    n_c = count;
    for (int r = 1; r < v.rank; r++)
        if (!(mask >> r & 1))
            order[count++] = r;
    if (n_c == 1)
        MGI_TRY(mgi_ox_channels(m, n, &v, order[0]));
    else
        MGI_TRY(mgi_ox_bring(m, n, &v, count, order, n_c, 1));
    MGI_TRY(mgi_ox_same_shape(m, "", "layernorm", &v, "over=channels"));
    mgi_ox_attr_f(m, "eps", eps);
    MGI_TRY(oxn_affine(m, &v, NULL, NULL));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxn_lrn(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    const int64_t size = mgi_ox_int(n, "size", 0);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (size < 1 || size > 1 << 20 || v.rank < 2)
        return mgi_ox_refuse(m, n, "size out of range");
    MGI_TRY(mgi_ox_channels(m, n, &v, 1));
    MGI_TRY(mgi_ox_same_shape(m, "", "lrn", &v, "size=%lld", (long long)size));
    mgi_ox_attr_f(m, "alpha", mgi_ox_real(n, "alpha", 1e-4));
    mgi_ox_attr_f(m, "beta", mgi_ox_real(n, "beta", 0.75));
    mgi_ox_attr_f(m, "k", mgi_ox_real(n, "bias", 1));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Before opset 13 all axes from `axis` on are one. */
static mango_status oxn_softmax(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", m->opset < 13 ? 1 : -1), v.rank);
    if (axis < 1)
        return mgi_ox_refuse(m, n, "over the batch axis");
    MGI_TRY(m->opset < 13 ? oxn_tail(m, n, &v, axis) : mgi_ox_channels(m, n, &v, axis));
    MGI_TRY(mgi_ox_same_shape(m, "", strcmp(n->op, "Softmax") ? "logsoftmax" : "softmax",
                              &v, "%s", ""));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxn_prelu(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *slope = mgi_ox_const(m, n, 1);
    mango_idx dim[MGI_RANK_MAX], size = 1;
    mgi_ox_array a;
    mgi_ox_map v;
    double one;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    mgi_ox_dims(&v, dim);
    dim[0] = 1;
    if (!slope || v.rank < 2 || !mgi_ox_broadcast(slope, v.rank, dim, &a))
        return mgi_ox_refuse(m, n,
                             "its slope is no constant of one number, or one a channel");
    if (mgi_ox_uniform(slope, &one)) {
        MGI_TRY(mgi_ox_filled(m, 1, one, &a));
    } else {
        for (int r = 2; r < v.rank; r++)
            if (a.dim[r] > 1 && a.stride[r] != 0)
                return mgi_ox_refuse(m, n, "one slope a pixel");
        MGI_TRY(mgi_ox_channels(m, n, &v, 1));
        a.rank = 1;
        size = a.dim[0] = a.count = a.dim[1];
        a.stride[0] = a.stride[1];
    }
    MGI_TRY(
        mgi_ox_same_shape(m, "", "prelu", &v, "slope=%s", size > 1 ? "channel" : "one"));
    MGI_TRY(mgi_ox_param_add(m, v.layer, "weight", 1, &size, &a, 1));
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_norm_ops(void)
{
    static const mgi_ox_op ops[] = {{"BatchNormalization", oxn_batchnorm},
                                    {"InstanceNormalization", oxn_instancenorm},
                                    {"GroupNormalization", oxn_groupnorm},
                                    {"LayerNormalization", oxn_layernorm},
                                    {"NormOver", oxn_over},
                                    {"LRN", oxn_lrn},
                                    {"Softmax", oxn_softmax},
                                    {"LogSoftmax", oxn_softmax},
                                    {"PRelu", oxn_prelu},
                                    {NULL, NULL}};
    return ops;
}
