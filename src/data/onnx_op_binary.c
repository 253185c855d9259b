/* onnx_op_binary.c - Add, Sub, Mul, Div, Sum, Mean: of maps, and of a map and a constant.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* ---- a map and constants ---- */

/* Along which of v's axes a constant varies; 0 in *fits: it does not fit them. */
static unsigned oxb_axes(const mgi_ox_map *v, const mgi_ox_array *a, mgi_ox_array *wide,
                         int *fits)
{
    mango_idx dim[MGI_RANK_MAX];
    unsigned mask = 0;
    mgi_ox_dims(v, dim);
    dim[0] = 1;
    *fits = mgi_ox_broadcast(a, v->rank, dim, wide);
    for (int r = 1; *fits && r < v->rank; r++)
        mask |= wide->dim[r] > 1 && wide->stride[r] != 0 ? 1u << r : 0;
    return mask;
}

/* The constant as one vector along the axes of mask, in their order. */
static mgi_ox_array oxb_along(const mgi_ox_array *wide, unsigned mask)
{
    mgi_ox_array a = *wide;
    a.rank = 0;
    a.count = 1;
    for (int r = 1; r < wide->rank; r++)
        if (mask >> r & 1) {
            a.dim[a.rank] = wide->dim[r];
            a.count *= wide->dim[r];
            a.stride[a.rank++] = wide->stride[r];
        }
    return a;
}

/* The axes of mask as C. */
static mango_status oxb_bring(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                              unsigned mask)
{
    int order[MGI_RANK_MAX], count = 0, n_c;
    if ((mask & (mask - 1)) == 0) { /* one axis */
        int r = 0;
        while (!(mask >> r & 1))
            r++;
        return mgi_ox_channels(m, n, v, r);
    }
    for (int r = 1; r < v->rank; r++)
        if (mask >> r & 1)
            order[count++] = r;
    n_c = count;
    for (int r = 1; r < v->rank; r++)
        if (!(mask >> r & 1))
            order[count++] = r;
    return mgi_ox_bring(m, n, v, count, order, n_c, 1);
}

/* A batch norm whose statistics are 0 and 1 scales and shifts. */
static mango_status oxb_vectors(mango_onnx *m, mgi_ox_map *v, const mgi_ox_array *scale,
                                double times, const mgi_ox_array *shift, double sign)
{
    mgi_ox_array one, zero;
    const mango_idx C = m->layer[v->layer].C;
    MGI_TRY(mgi_ox_filled(m, C, 1, &one));
    MGI_TRY(mgi_ox_filled(m, C, 0, &zero));
    MGI_TRY(mgi_ox_same_shape(m, "", "batchnorm", v, "eps=1e-30"));
    MGI_TRY(mgi_ox_param_add(m, v->layer, "weight", 1, &C, scale ? scale : &one, times));
    MGI_TRY(mgi_ox_param_add(m, v->layer, "bias", 1, &C, shift ? shift : &zero, sign));
    MGI_TRY(mgi_ox_param_add(m, v->layer, "running_mean", 1, &C, &zero, 1));
    return mgi_ox_param_add(m, v->layer, "running_var", 1, &C, &one, 1);
}

MGI_FN mango_status mgi_ox_scale_shift(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                       const mgi_ox_array *scale, double times,
                                       const mgi_ox_array *shift, double sign)
{
    const mgi_ox_array *c = scale ? scale : shift;
    mgi_ox_array wide, along;
    double one = 0;
    int fits;
    const unsigned mask = oxb_axes(v, c, &wide, &fits);
    if (fits && mgi_ox_uniform(c, &one)) {
        if ((scale ? one * times : times) == 1 && (scale || one == 0))
            return MANGO_OK; /* by 1, or by adding 0 */
        MGI_TRY(mgi_ox_same_shape(m, "", "affine", v, "%s", ""));
        mgi_ox_attr_f(m, "scale", scale ? one * times : times);
        mgi_ox_attr_f(m, "shift", shift ? one * sign : 0);
        return MANGO_OK;
    }
    if (!fits || !mask)
        return mgi_ox_refuse(m, n,
                             "a constant whose shape the map would have to be repeated "
                             "for");
    MGI_TRY(oxb_bring(m, n, v, mask));
    along = oxb_along(&wide, mask);
    return oxb_vectors(m, v, scale ? &along : NULL, times, scale ? NULL : &along, sign);
}

/* 1 / a */
static mango_status oxb_inverse(mango_onnx *m, const mgi_ox_array *a, mgi_ox_array *out)
{
    unsigned char *p = NULL;
    MGI_TRY(mgi_ox_new(m, MGI_OX_F32, a->rank, a->dim, out, &p));
    for (mango_idx i = 0; i < a->count; i++)
        mgi_ox_put(p, MGI_OX_F32, i, 1 / mgi_ox_real_at(a, mgi_ox_offset(a, i)), 0);
    return MANGO_OK;
}

static mango_status oxb_with_constant(mango_onnx *m, const mgi_ox_node *n, int k)
{
    const mgi_ox_array c = *mgi_ox_const(m, n, 1 - k);
    mgi_ox_array inverse;
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, k, &v));
    if (!strcmp(n->op, "Div") && k == 1)
        return mgi_ox_refuse(m, n, "divides by a value that depends on the input");
    if (!strcmp(n->op, "Div"))
        MGI_TRY(oxb_inverse(m, &c, &inverse));
    const mgi_ox_array *scale = !strcmp(n->op, "Mul")   ? &c
                                : !strcmp(n->op, "Div") ? &inverse
                                                        : NULL;
    const int minus = !strcmp(n->op, "Sub");
    MGI_TRY(mgi_ox_scale_shift(m, n, &v, scale, minus && k == 1 ? -1 : 1, scale ? NULL : &c,
                               minus && k == 0 ? -1 : 1));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* ---- two maps ---- */

/* Is b repeated along some axes (1), both the same (0), or neither (-1)? */
static int oxb_wider(const mgi_ox_map *a, const mgi_ox_map *b)
{
    int wider = 0;
    if (a->rank != b->rank || a->size[0] != b->size[0])
        return -1;
    for (int r = 0; r < a->rank; r++) {
        const mango_idx x = mgi_ox_dim(a, r), y = mgi_ox_dim(b, r);
        if (x != y && y != 1)
            return -1;
        wider |= x != y;
    }
    return wider;
}

static mango_status oxb_maps(mango_onnx *m, const mgi_ox_node *n, const char *kind,
                             mgi_ox_map *a, mgi_ox_map *b, const char *suffix)
{
    int in[2], swapped = 0;
    int wider = oxb_wider(a, b);
    if (wider < 0 && oxb_wider(b, a) > 0) {
        const mgi_ox_map t = *a;
        *a = *b;
        *b = t;
        wider = swapped = 1;
    }
    if (wider < 0)
        return mgi_ox_refuse(m, n, "its inputs have shapes that do not go together");
    MGI_TRY(wider ? mgi_ox_align_part(m, n, a, b) : mgi_ox_align(m, n, a, b));
    in[swapped] = a->layer;
    in[!swapped] = b->layer;
    const mgi_ox_layer l = m->layer[a->layer];
    a->whole = 0;
    return mgi_ox_emit(m, suffix, kind, 2, in, l.C, l.H, l.W, &a->layer, "%s", "");
}

static mango_status oxb_binary(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map a, b;
    if (n->n_in != 2)
        return mgi_ox_refuse(m, n, "two inputs expected");
    for (int k = 0; k < 2; k++)
        if (mgi_ox_const(m, n, 1 - k))
            return oxb_with_constant(m, n, k);
    if (!strcmp(n->op, "Div"))
        return mgi_ox_refuse(m, n, "divides by a value that depends on the input");
    MGI_TRY(mgi_ox_map_in(m, n, 0, &a));
    MGI_TRY(mgi_ox_map_in(m, n, 1, &b));
    MGI_TRY(oxb_maps(m, n,
                     !strcmp(n->op, "Add")   ? "add"
                     : !strcmp(n->op, "Sub") ? "sub"
                                             : "mul",
                     &a, &b, ""));
    return mgi_ox_set_map(m, n, 0, &a);
}

static mango_status oxb_sum(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map a, b;
    const int mean = !strcmp(n->op, "Mean");
    if (n->n_in < 1 || n->n_in > 64)
        return mgi_ox_refuse(m, n, "1 to 64 inputs expected");
    MGI_TRY(mgi_ox_map_in(m, n, 0, &a));
    for (int k = 1; k < n->n_in; k++) {
        MGI_TRY(mgi_ox_map_in(m, n, k, &b));
        MGI_TRY(oxb_maps(m, n, "add", &a, &b, k + 1 < n->n_in || mean ? ".sum" : ""));
    }
    if (mean) {
        MGI_TRY(mgi_ox_same_shape(m, "", "affine", &a, "%s", ""));
        mgi_ox_attr_f(m, "scale", 1.0 / n->n_in);
    }
    return mgi_ox_set_map(m, n, 0, &a);
}

MGI_FN const mgi_ox_op *mgi_ox_binary_ops(void)
{
    static const mgi_ox_op ops[] = {
        {"Add", oxb_binary}, {"Sub", oxb_binary}, {"Mul", oxb_binary}, {"Div", oxb_binary},
        {"Sum", oxb_sum},    {"Mean", oxb_sum},   {NULL, NULL}};
    return ops;
}
