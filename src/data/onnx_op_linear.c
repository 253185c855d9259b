/* onnx_op_linear.c - Gemm and MatMul by constant weights; embeddings are onnx_op_part.c's.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

MGI_FN const mgi_ox_array *mgi_ox_bias_after(mango_onnx *m, const mgi_ox_node *n, int rank,
                                             int axis, mango_idx size, int *user)
{
    const int out = n->n_out > 0 ? m->link[n->out] : -1;
    *user = -1;
    if (out < 0 || m->value[out].uses != 1 || m->value[out].user < 0)
        return NULL;
    const int at = m->value[out].user;
    const mgi_ox_node *u = &m->node[at];
    if (strcmp(u->op, "Add") || u->domain.n || u->n_in != 2 || u->done)
        return NULL;
    const mgi_ox_array *a = mgi_ox_const(m, u, 0), *b = a ? a : mgi_ox_const(m, u, 1);
    if (!b || b->count != size || b->rank > rank || (a && mgi_ox_const(m, u, 1)))
        return NULL;
    for (int r = 0; r < b->rank; r++)
        if (b->dim[r] != 1 && (r + rank - b->rank != axis || b->dim[r] != size))
            return NULL;
    if (size == 1 && b->rank == 0)
        return NULL;
    *user = at;
    return b;
}

/* Columns of the weights in the order in which the map's values lie: (M,K) from (K,M). */
static mgi_ox_array oxl_columns(const mgi_ox_map *v, const mgi_ox_array *b)
{
    mgi_ox_array w = *b;
    mango_idx pace = b->stride[0];
    w.rank = v->atoms;
    w.dim[0] = b->dim[1];
    w.stride[0] = b->stride[1];
    for (int k = v->atoms - 1; k >= 1; k--) { /* the last axis runs fastest in K */
        const int a = v->seq[k];
        w.dim[a] = v->size[a];
        w.stride[a] = pace;
        pace *= v->size[a];
    }
    return w;
}

/* y = scale x b + bias_scale bias, with x (N,K) or (..,K), b (K,M). */
static mango_status oxl_product(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                const mgi_ox_array *b, double scale,
                                const mgi_ox_array *bias, double bias_scale)
{
    const mango_idx K = b->dim[0], M = b->dim[1];
    const int axis = v->rank - 1, flat = v->rank == 2 && v->cut[1] == 1;
    mgi_ox_array w = *b;
    int at;
    if (mgi_ox_dim(v, axis) != K)
        return mgi_ox_refuse(m, n, "weights of %td rows over %td values", K,
                             mgi_ox_dim(v, axis));
    if (flat && v->seq[0] == 0 && v->atoms > MGI_RANK_MAX)
        MGI_TRY(mgi_ox_straight(m, n, v));
    if (!flat || v->atoms > MGI_RANK_MAX) {
        MGI_TRY(mgi_ox_channels(m, n, v, axis));
        w.dim[0] = M;
        w.dim[1] = K;
        w.stride[0] = b->stride[1];
        w.stride[1] = b->stride[0];
        const mgi_ox_layer l = m->layer[v->layer];
        MGI_TRY(mgi_ox_emit(m, "", "conv", 1, &v->layer, M, l.H, l.W, &at,
                            "out=%td kernel=1 bias=%d", M, bias != NULL));
        const mango_idx shape[4] = {M, K, 1, 1};
        MGI_TRY(mgi_ox_param_add(m, at, "weight", 4, shape, &w, scale));
    } else {
        const mango_idx shape[2] = {M, K};
        w = oxl_columns(v, b);
        MGI_TRY(mgi_ox_emit(m, "", "linear", 1, &v->layer, M, 1, 1, &at, "out=%td bias=%d",
                            M, bias != NULL));
        MGI_TRY(mgi_ox_param_add(m, at, "weight", 2, shape, &w, scale));
    }
    if (bias)
        MGI_TRY(mgi_ox_param_add(m, at, "bias", 1, &M, bias, bias_scale));
    v->layer = at;
    v->whole = 0;
    if (!flat || v->rank != 2)
        return mgi_ox_resize(m, n, v, axis, M, 1);
    mgi_ox_see(m, at, "nc", v->size[0], v);
    return MANGO_OK;
}

/* A bias of M values, whatever ones stand before them. */
static mango_status oxl_bias(mango_onnx *m, const mgi_ox_node *n, const mgi_ox_array *c,
                             mango_idx M, mgi_ox_array *bias)
{
    mgi_ox_array b = *c;
    while (b.rank > 1 && b.dim[0] == 1) {
        b.rank--;
        memmove(b.dim, b.dim + 1, (size_t)b.rank * sizeof *b.dim);
        memmove(b.stride, b.stride + 1, (size_t)b.rank * sizeof *b.stride);
    }
    return mgi_ox_broadcast(&b, 1, &M, bias)
               ? MANGO_OK
               : mgi_ox_refuse(m, n, "a bias that differs along the batch");
}

static mango_status oxl_gemm(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *w = mgi_ox_const(m, n, 1), *c = mgi_ox_const(m, n, 2);
    mgi_ox_array b, bias;
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (!w || w->rank != 2 || v.rank != 2)
        return mgi_ox_refuse(m, n, "constant weights of 2 axes over a map of 2 expected");
    if (mgi_ox_int(n, "transA", 0))
        return mgi_ox_refuse(m, n, "transA");
    if (mgi_ox_value_of(m, n, 2) >= 0 && !c)
        return mgi_ox_refuse(m, n, "its bias is no constant");
    b = *w;
    if (mgi_ox_int(n, "transB", 0)) {
        b.dim[0] = w->dim[1];
        b.dim[1] = w->dim[0];
        b.stride[0] = w->stride[1];
        b.stride[1] = w->stride[0];
    }
    if (c)
        MGI_TRY(oxl_bias(m, n, c, b.dim[1], &bias));
    MGI_TRY(oxl_product(m, n, &v, &b, mgi_ox_real(n, "alpha", 1), c ? &bias : NULL,
                        mgi_ox_real(n, "beta", 1)));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxl_matmul(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *w = mgi_ox_const(m, n, 1), *c;
    mgi_ox_array b, bias;
    mgi_ox_map v;
    int user;
    if (!w)
        return mgi_ox_refuse(m, n,
                             "multiplies two values that depend on the input, as "
                             "attention does");
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    b = *w;
    while (b.rank > 2 && b.dim[0] == 1) {
        b.rank--;
        memmove(b.dim, b.dim + 1, (size_t)b.rank * sizeof *b.dim);
        memmove(b.stride, b.stride + 1, (size_t)b.rank * sizeof *b.stride);
    }
    if (b.rank != 2 || v.rank < 2)
        return mgi_ox_refuse(m, n, "weights of 2 axes over a map of 2 or more expected");
    c = mgi_ox_bias_after(m, n, v.rank, v.rank - 1, b.dim[1], &user);
    if (c)
        MGI_TRY(oxl_bias(m, n, c, b.dim[1], &bias));
    MGI_TRY(oxl_product(m, n, &v, &b, 1, c ? &bias : NULL, 1));
    if (user >= 0) {
        m->node[user].done = 1;
        MGI_TRY(mgi_ox_set_map(m, &m->node[user], 0, &v));
    }
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_linear_ops(void)
{
    static const mgi_ox_op ops[] = {
        {"Gemm", oxl_gemm}, {"MatMul", oxl_matmul}, {NULL, NULL}};
    return ops;
}
