/* onnx_op_shape.c - operators that change how a map is seen and compute nothing; and blocks
 * of pixels that become channels, or come from them.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

static mango_status oxs_reshape(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mango_idx dim[MGI_RANK_MAX], to[MGI_RANK_MAX];
    int rank;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    mgi_ox_dims(&v, dim);
    MGI_TRY(mgi_ox_target(m, n, v.rank, dim, &rank, to));
    MGI_TRY(mgi_ox_view(m, n, &v, rank, to));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxs_flatten(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mango_idx dim[MGI_RANK_MAX], to[2] = {1, 1};
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int64_t axis = mgi_ox_int(n, "axis", 1);
    const int at = axis == v.rank ? v.rank : mgi_ox_axis(axis, v.rank);
    if (at < 0)
        return mgi_ox_refuse(m, n, "axis is out of range");
    mgi_ox_dims(&v, dim);
    for (int r = 0; r < v.rank; r++)
        to[r >= at] *= dim[r];
    MGI_TRY(mgi_ox_view(m, n, &v, 2, to));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxs_transpose(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    int64_t list[MGI_RANK_MAX];
    int order[MGI_RANK_MAX];
    unsigned seen = 0;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int count = mgi_ox_ints(n, "perm", MGI_RANK_MAX, list);
    for (int r = 0; r < v.rank; r++) {
        const int64_t from = count ? list[r] : v.rank - 1 - r;
        order[r] = from >= 0 && from < v.rank ? (int)from : 0;
        seen |= 1u << order[r];
    }
    if ((count && count != v.rank) || seen != (1u << v.rank) - 1)
        return mgi_ox_refuse(m, n, "a malformed order of axes");
    mgi_ox_permute(&v, order);
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxs_squeeze(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    unsigned mask;
    int given;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_axes(m, n, 1, v.rank, &given, &mask));
    for (int r = 0; r < v.rank; r++) {
        const int empty = v.cut[r] == v.cut[r + 1];
        if (!given)
            mask |= empty ? 1u << r : 0;
        else if (mask >> r & 1 && !empty)
            return mgi_ox_refuse(m, n, "axis %d is not of size 1, or is the batch", r);
    }
    mgi_ox_drop_axes(&v, mask);
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxs_unsqueeze(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    int64_t list[MGI_RANK_MAX];
    unsigned mask;
    int given;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_list(m, n, 1, "axes", MGI_RANK_MAX, list, &given));
    const int rank = v.rank + given;
    if (rank > MGI_RANK_MAX)
        return mgi_ox_refuse(m, n, "more than 8 dimensions");
    MGI_TRY(mgi_ox_axes(m, n, 1, rank, &given, &mask));
    mgi_ox_add_axes(&v, rank, mask);
    return mgi_ox_set_map(m, n, 0, &v);
}

/* To its own shape only. */
static mango_status oxs_expand(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    int64_t want[MGI_RANK_MAX];
    int rank, same;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_list(m, n, 1, NULL, MGI_RANK_MAX, want, &rank));
    same = rank <= v.rank;
    for (int r = 0; same && r < rank; r++)
        same = want[r] == 1 || want[r] == mgi_ox_dim(&v, r + v.rank - rank);
    if (!same)
        return mgi_ox_refuse(m, n, "repeats values of the network");
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Axis 1, of a x b values, becomes b x a: a row of pictures (N,C,H,W) seen by C's parts. */
static mango_status oxs_swap(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                             mango_idx a)
{
    static const int order[5] = {0, 2, 1, 3, 4};
    mango_idx dim[MGI_RANK_MAX] = {0};
    mgi_ox_dims(v, dim);
    const mango_idx parts[5] = {dim[0], a, dim[1] / a, dim[2], dim[3]};
    MGI_TRY(mgi_ox_view(m, n, v, 5, parts));
    mgi_ox_permute(v, order);
    return mgi_ox_view(m, n, v, 4, dim);
}

static mango_status oxs_block(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                              int64_t *b)
{
    MGI_TRY(mgi_ox_map_in(m, n, 0, v));
    *b = mgi_ox_int(n, "blocksize", 0);
    if (*b < 1 || *b > 256 || v->rank != 4)
        return mgi_ox_refuse(m, n, "blocksize 1 to 256 of a map (N,C,H,W) expected");
    return MANGO_OK;
}

static mango_status oxs_to_space(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    char mode[32];
    int64_t b;
    MGI_TRY(oxs_block(m, n, &v, &b));
    const mango_idx r = (mango_idx)b;
    mgi_ox_word(n, "mode", "DCR", mode);
    if (mgi_ox_dim(&v, 1) % (r * r))
        return mgi_ox_refuse(m, n, "channels that do not part into blocks");
    if (!strcmp(mode, "DCR"))
        MGI_TRY(oxs_swap(m, n, &v, r * r));
    MGI_TRY(mgi_ox_picture(m, n, &v));
    const mgi_ox_layer l = m->layer[v.layer];
    MGI_TRY(mgi_ox_emit(m, "", "pixelshuffle", 1, &v.layer, l.C / (r * r), l.H * r, l.W * r,
                        &v.layer, "factor=%td", r));
    mgi_ox_see(m, v.layer, "nchw", v.size[0], &v);
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxs_to_depth(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    int64_t b;
    MGI_TRY(oxs_block(m, n, &v, &b));
    const mango_idx r = (mango_idx)b;
    MGI_TRY(mgi_ox_picture(m, n, &v));
    const mgi_ox_layer l = m->layer[v.layer];
    if (l.H % r || l.W % r)
        return mgi_ox_refuse(m, n, "a height or width that does not part into blocks");
    MGI_TRY(mgi_ox_emit(m, "", "pixelunshuffle", 1, &v.layer, l.C * r * r, l.H / r, l.W / r,
                        &v.layer, "factor=%td", r));
    mgi_ox_see(m, v.layer, "nchw", v.size[0], &v);
    MGI_TRY(oxs_swap(m, n, &v, l.C));
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_shape_ops(void)
{
    static const mgi_ox_op ops[] = {{"Reshape", oxs_reshape},
                                    {"Flatten", oxs_flatten},
                                    {"Transpose", oxs_transpose},
                                    {"Squeeze", oxs_squeeze},
                                    {"Unsqueeze", oxs_unsqueeze},
                                    {"Expand", oxs_expand},
                                    {"DepthToSpace", oxs_to_space},
                                    {"SpaceToDepth", oxs_to_depth},
                                    {NULL, NULL}};
    return ops;
}
