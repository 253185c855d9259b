/* onnx_op_part.c - Concat, Split, Slice, Gather, Pad: maps joined, cut and framed.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

enum { OXQ_INPUTS = 64 }; /* of a concat layer */

/* The axis as C, the others in their order as H and W. */
static mango_status oxq_front(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, int axis)
{
    int order[MGI_RANK_MAX] = {axis}, count = 1;
    for (int r = 1; r < v->rank; r++)
        if (r != axis)
            order[count++] = r;
    return mgi_ox_bring(m, n, v, count, order, 1, count > 3 ? count - 2 : count == 3);
}

/* Layers side by side: C's add up. */
static mango_status oxq_join(mango_onnx *m, const char *suffix, int count, const int *in,
                             int *at)
{
    mango_idx C = 0;
    for (int k = 0; k < count; k++)
        C += m->layer[in[k]].C;
    const mgi_ox_layer l = m->layer[in[0]];
    return mgi_ox_emit(m, suffix, "concat", count, in, C, l.H, l.W, at, "%s", "");
}

static mango_status oxq_concat(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map first, v;
    int in[OXQ_INPUTS], count = 0, axis = -1;
    mango_idx total = 0;
    memset(&first, 0, sizeof first);
    for (int k = 0; k < n->n_in; k++) {
        if (mgi_ox_const(m, n, k))
            return mgi_ox_refuse(m, n, "input %d is a constant beside maps", k + 1);
        MGI_TRY(mgi_ox_map_in(m, n, k, &v));
        axis = k ? axis : mgi_ox_axis(mgi_ox_int(n, "axis", 1), v.rank);
        if (axis < 1 || (k && v.rank != first.rank))
            return mgi_ox_refuse(m, n,
                                 "axis is the batch's or out of range, or ranks differ");
        for (int r = 0; k && r < v.rank; r++)
            if (r != axis && mgi_ox_dim(&v, r) != mgi_ox_dim(&first, r))
                return mgi_ox_refuse(m, n, "inputs of different shapes");
        MGI_TRY(oxq_front(m, n, &v, axis));
        total += mgi_ox_dim(&v, axis);
        first = k ? first : v;
        if (count == OXQ_INPUTS) { /* a layer joins no more at a time */
            MGI_TRY(oxq_join(m, ".part", count, in, &in[0]));
            count = 1;
        }
        in[count++] = v.layer;
    }
    if (count > 1)
        MGI_TRY(oxq_join(m, "", count, in, &first.layer));
    MGI_TRY(mgi_ox_resize(m, n, &first, axis, total, 1));
    return mgi_ox_set_map(m, n, 0, &first);
}

/* Part from .. to - 1 of an axis; v was brought so that it is C. */
static mango_status oxq_slice(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, int axis,
                              mango_idx from, mango_idx to, const char *suffix)
{
    const mgi_ox_layer l = m->layer[v->layer];
    if (from == 0 && to == l.C)
        return MANGO_OK;
    const int in = v->layer;
    MGI_TRY(mgi_ox_emit(m, suffix, "slice", 1, &in, to - from, l.H, l.W, &v->layer,
                        "from=%td to=%td", from, to));
    return mgi_ox_resize(m, n, v, axis, to - from, 1);
}

static mango_status oxq_split(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    int64_t list[256];
    int given;
    mango_idx from = 0;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", 0), v.rank);
    if (m->opset < 13)
        given = mgi_ox_ints(n, "split", 256, list);
    else
        MGI_TRY(mgi_ox_list(m, n, 1, NULL, 256, list, &given));
    if (axis < 1 || n->n_out < 1 || n->n_out > 256 || (given && given != n->n_out))
        return mgi_ox_refuse(m, n,
                             "along the batch axis, or into a number that does not fit");
    const mango_idx size = mgi_ox_dim(&v, axis), each = mgi_ceil_div(size, n->n_out);
    MGI_TRY(mgi_ox_channels(m, n, &v, axis));
    for (int k = 0; k < n->n_out; k++) {
        const mango_idx part = given ? (mango_idx)list[k] : MGI_MIN(each, size - from);
        mgi_ox_map w = v;
        if (part < 1 || part > size - from)
            return mgi_ox_refuse(m, n, "parts that do not add up");
        MGI_TRY(oxq_slice(m, n, &w, axis, from, from + part, ""));
        MGI_TRY(mgi_ox_set_map(m, n, k, &w));
        from += part;
    }
    return from == size ? MANGO_OK : mgi_ox_refuse(m, n, "parts that do not add up");
}

/* ---- parts of the plane ---- */

MGI_FN int mgi_ox_plane(const mgi_ox_map *v, unsigned mask, int order[3], int *h, int *w)
{
    *h = -1;
    if (v->rank == 3 && (mask & ~6u) == 0 && mask != 6) {
        *w = mask & 2 ? 1 : 2;
        order[0] = 3 - *w;
        order[1] = *w;
        return 1;
    }
    if (v->rank != 4 || mask & ~14u || mask == 14)
        return 0;
    *h = mask & 2 ? 1 : 2;
    *w = mask & 8 ? 3 : mask & 4 && *h == 1 ? 2 : 3;
    for (int r = 1; r < 4; r++)
        if (r != *h && r != *w)
            order[0] = r;
    order[1] = *h;
    order[2] = *w;
    return 1;
}

MGI_FN mango_status mgi_ox_plane_sizes(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                       int h, int w)
{
    const mgi_ox_layer l = m->layer[v->layer];
    int c = 0;
    for (int r = 1; r < v->rank; r++)
        if (r != h && r != w)
            c = v->cut[r + 1] - v->cut[r];
    if (h >= 0)
        MGI_TRY(mgi_ox_resize(m, n, v, h, l.H, 1 + c));
    return mgi_ox_resize(m, n, v, w, l.W, v->atoms);
}

/* Start and size along each axis, from the lists of a Slice. */
static mango_status oxq_ranges(mango_onnx *m, const mgi_ox_node *n, const mgi_ox_map *v,
                               mango_idx *from, mango_idx *size, mango_idx *pace)
{
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    int64_t list[4][MGI_RANK_MAX];
    int count[4];
    for (int k = 0; k < 4; k++)
        MGI_TRY(mgi_ox_list(m, n, k + 1, names[k], MGI_RANK_MAX, list[k], &count[k]));
    if (count[0] != count[1] || (count[2] && count[2] != count[0]) ||
        (count[3] && count[3] != count[0]) || count[0] > v->rank)
        return mgi_ox_refuse(m, n, "lists of different lengths");
    for (int r = 0; r < v->rank; r++) {
        from[r] = 0;
        pace[r] = 1;
        size[r] = mgi_ox_dim(v, r);
    }
    for (int k = 0; k < count[0]; k++) {
        const int r = mgi_ox_axis(count[2] ? list[2][k] : k, v->rank);
        if (r < 0)
            return mgi_ox_refuse(m, n, "an axis out of range");
        const int64_t d = mgi_ox_dim(v, r);
        int64_t lo = list[0][k], hi = list[1][k];
        lo = MGI_MAX(0, MGI_MIN(d, lo < 0 ? lo + d : lo));
        hi = MGI_MAX(lo, MGI_MIN(d, hi < 0 ? hi + d : hi));
        if (count[3] && (list[3][k] < 1 || list[3][k] > d))
            return mgi_ox_refuse(m, n, "a step of %lld", (long long)list[3][k]);
        pace[r] = count[3] ? (mango_idx)list[3][k] : 1;
        from[r] = (mango_idx)lo;
        size[r] = (mango_idx)(hi - lo);
        if (size[r] < 1 || (r == 0 && (lo || hi < d || pace[r] > 1)))
            return mgi_ox_refuse(m, n, "an empty part, or a part of the batch");
    }
    return MANGO_OK;
}

/* Every pace-th of an axis that parts evenly: the axis is two, of which one is picked. */
static mango_status oxq_stride(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, int axis,
                               mango_idx from, mango_idx size, mango_idx pace)
{
    mango_idx dim[MGI_RANK_MAX + 1], back[MGI_RANK_MAX];
    mgi_ox_dims(v, dim);
    const mango_idx d = dim[axis];
    memcpy(back, dim, sizeof back);
    if (v->rank == MGI_RANK_MAX || d % pace || from >= pace ||
        mgi_ceil_div(size, pace) != d / pace)
        return mgi_ox_refuse(m, n, "a step of %td that does not part %td values evenly",
                             pace, d);
    memmove(dim + axis + 2, dim + axis + 1, (size_t)(v->rank - axis - 1) * sizeof *dim);
    dim[axis] = d / pace;
    dim[axis + 1] = pace;
    MGI_TRY(mgi_ox_view(m, n, v, v->rank + 1, dim));
    MGI_TRY(mgi_ox_channels(m, n, v, axis + 1));
    MGI_TRY(oxq_slice(m, n, v, axis + 1, from, from + 1, ".step"));
    mgi_ox_drop_axes(v, 1u << (axis + 1));
    return MANGO_OK;
}

static mango_status oxq_crop(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                             const mango_idx *from, const mango_idx *size, unsigned mask)
{
    int order[3], h, w;
    if (!mgi_ox_plane(v, mask, order, &h, &w))
        return mgi_ox_refuse(m, n, "cuts more axes than two");
    MGI_TRY(mgi_ox_bring(m, n, v, v->rank - 1, order, 1, v->rank == 4));
    const mango_idx H = h < 0 ? 1 : size[h], top = h < 0 ? 0 : from[h];
    const int in = v->layer;
    MGI_TRY(mgi_ox_emit(m, "", "crop", 1, &in, m->layer[in].C, H, size[w], &v->layer,
                        "top=%td left=%td size=%tdx%td", top, from[w], H, size[w]));
    return mgi_ox_plane_sizes(m, n, v, h, w);
}

static mango_status oxq_cut(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mango_idx from[MGI_RANK_MAX], size[MGI_RANK_MAX], pace[MGI_RANK_MAX];
    unsigned mask = 0;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(oxq_ranges(m, n, &v, from, size, pace));
    for (int r = 1; r < v.rank; r++) {
        const mango_idx d = mgi_ox_dim(&v, r);
        if (pace[r] > 1) {
            MGI_TRY(oxq_stride(m, n, &v, r, from[r], size[r], pace[r]));
            from[r] = 0;
            size[r] = d / pace[r];
        } else if (size[r] < d) {
            mask |= 1u << r;
        }
    }
    const unsigned plane = v.rank == 4 ? 12u : v.rank == 3 ? 4u : 0u;
    for (int r = 1; r < v.rank; r++)
        if (mask >> r & 1 && !(plane >> r & 1)) {
            MGI_TRY(mgi_ox_channels(m, n, &v, r));
            MGI_TRY(oxq_slice(m, n, &v, r, from[r], from[r] + size[r],
                              mask & plane ? ".slice" : ""));
        }
    if (mask & plane)
        MGI_TRY(oxq_crop(m, n, &v, from, size, mask & plane));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* ---- Gather: one, or a run, of an axis; or rows of a table by the values of the map ---- */

static mango_status oxq_embedding(mango_onnx *m, const mgi_ox_node *n)
{
    static const int order[3] = {1, 2, 3};
    static const char *const seen[] = {"nc", "nwc", "nhwc"};
    const mgi_ox_array *table = mgi_ox_const(m, n, 0);
    mgi_ox_map v;
    int at;
    if (table->rank != 2 || mgi_ox_axis(mgi_ox_int(n, "axis", 0), 2) != 0)
        return mgi_ox_refuse(m, n, "rows of a table of 2 axes expected");
    MGI_TRY(mgi_ox_map_in(m, n, 1, &v));
    if (!v.whole || v.rank > 3)
        return mgi_ox_refuse(m, n, "indices that are no input (N), (N,L) or (N,H,W)");
    const mango_idx shape[2] = {table->dim[0], table->dim[1]};
    const mgi_ox_array a = *table;
    MGI_TRY(mgi_ox_bring(m, n, &v, v.rank - 1, order, 0, v.rank == 3));
    const mgi_ox_layer l = m->layer[v.layer];
    MGI_TRY(mgi_ox_emit(m, "", "embedding", 1, &v.layer, shape[1], l.H, l.W, &at,
                        "codes=%td dim=%td", shape[0], shape[1]));
    MGI_TRY(mgi_ox_param_add(m, at, "weight", 2, shape, &a, 1));
    mgi_ox_see(m, at, seen[v.rank - 1], v.size[0], &v);
    return mgi_ox_set_map(m, n, 0, &v);
}

/* The axis becomes axes of the indices' shape. */
static mango_status oxq_spread(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, int axis,
                               const mgi_ox_array *pick)
{
    mango_idx dim[2 * MGI_RANK_MAX];
    const int rank = v->rank - 1 + pick->rank;
    if (rank > MGI_RANK_MAX)
        return mgi_ox_refuse(m, n, "more than 8 dimensions");
    mgi_ox_dims(v, dim);
    memmove(dim + axis + pick->rank, dim + axis + 1,
            (size_t)(v->rank - axis - 1) * sizeof *dim);
    memcpy(dim + axis, pick->dim, (size_t)pick->rank * sizeof *dim);
    return mgi_ox_view(m, n, v, rank, dim);
}

static mango_status oxq_gather(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    if (mgi_ox_const(m, n, 0))
        return oxq_embedding(m, n);
    const mgi_ox_array *in = mgi_ox_const(m, n, 1);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", 0), v.rank);
    if (axis < 0 || !in || in->count < 1)
        return mgi_ox_refuse(m, n, "by other than constant indices");
    const mgi_ox_array pick = *in;
    const mango_idx d = mgi_ox_dim(&v, axis), count = pick.count;
    int64_t from = mgi_ox_int_at(&pick, 0);
    from += from < 0 ? d : 0;
    for (mango_idx i = 1; i < count; i++)
        if (mgi_ox_int_at(&pick, mgi_ox_offset(&pick, i)) != from + i)
            return mgi_ox_refuse(m, n, "indices that do not follow each other");
    if (from < 0 || count > d || from > d - count)
        return mgi_ox_refuse(m, n, "an index out of range");
    if (count < d) { /* else it is all of the axis */
        MGI_TRY(mgi_ox_channels(m, n, &v, axis));
        MGI_TRY(oxq_slice(m, n, &v, axis, (mango_idx)from, (mango_idx)from + count, ""));
    }
    if (pick.rank == 0 && v.cut[axis] == v.cut[axis + 1])
        mgi_ox_drop_axes(&v, 1u << axis);
    else if (pick.rank != 1)
        MGI_TRY(oxq_spread(m, n, &v, axis, &pick));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* ---- Pad ---- */

/* Rows before and behind, of each axis. */
static mango_status oxq_pads(mango_onnx *m, const mgi_ox_node *n, int rank, mango_idx *lo,
                             mango_idx *hi, unsigned *mask)
{
    int64_t list[2 * MGI_RANK_MAX], axes[MGI_RANK_MAX];
    int count, given;
    MGI_TRY(mgi_ox_list(m, n, 1, m->opset < 11 ? "pads" : NULL, 2 * MGI_RANK_MAX, list,
                        &count));
    MGI_TRY(mgi_ox_list(m, n, 3, NULL, MGI_RANK_MAX, axes, &given));
    if (count != 2 * (given ? given : rank))
        return mgi_ox_refuse(m, n, "pads: %d numbers for %d axes", count,
                             given ? given : rank);
    *mask = 0;
    for (int r = 0; r < rank; r++)
        lo[r] = hi[r] = 0;
    for (int k = 0; k < count / 2; k++) {
        const int r = given ? mgi_ox_axis(axes[k], rank) : k;
        if (r < 0 || list[k] < 0 || list[k + count / 2] < 0 || list[k] > 1 << 16 ||
            list[k + count / 2] > 1 << 16)
            return mgi_ox_refuse(m, n, "an axis or a number of rows out of range");
        lo[r] = (mango_idx)list[k];
        hi[r] = (mango_idx)list[k + count / 2];
        *mask |= lo[r] || hi[r] ? 1u << r : 0;
    }
    return MANGO_OK;
}

static mango_status oxq_pad(mango_onnx *m, const mgi_ox_node *n)
{
    static const char *const modes[][2] = {{"constant", "constant"},
                                           {"reflect", "reflect"},
                                           {"edge", "replicate"},
                                           {"wrap", "circular"}};
    mgi_ox_map v;
    mango_idx lo[MGI_RANK_MAX], hi[MGI_RANK_MAX];
    unsigned mask = 0;
    char word[32];
    const char *mode = NULL;
    double value;
    int order[3], h, w;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(oxq_pads(m, n, v.rank, lo, hi, &mask));
    MGI_TRY(mgi_ox_number(m, n, 2, m->opset < 11 ? "value" : NULL, 0, &value));
    mgi_ox_word(n, "mode", "constant", word);
    for (mango_idx k = 0; k < MGI_COUNT(modes); k++)
        mode = strcmp(modes[k][0], word) ? mode : modes[k][1];
    if (!mode)
        return mgi_ox_refuse(m, n, "mode '%s'", word);
    if (!mask)
        return mgi_ox_set_map(m, n, 0, &v);
    if (!mgi_ox_plane(&v, mask, order, &h, &w))
        return mgi_ox_refuse(m, n, "pads other than one or two axes of a map of 3 or 4");
    MGI_TRY(mgi_ox_bring(m, n, &v, v.rank - 1, order, 1, v.rank == 4));
    const mgi_ox_layer l = m->layer[v.layer];
    const mango_idx top = h < 0 ? 0 : lo[h], bottom = h < 0 ? 0 : hi[h];
    const int in = v.layer;
    MGI_TRY(mgi_ox_emit(m, "", "pad", 1, &in, l.C, l.H + top + bottom, l.W + lo[w] + hi[w],
                        &v.layer, "left=%td right=%td top=%td bottom=%td mode=%s", lo[w],
                        hi[w], top, bottom, mode));
    if (value != 0)
        mgi_ox_attr_f(m, "value", MGI_MAX(-1e30, MGI_MIN(1e30, value)));
    MGI_TRY(mgi_ox_plane_sizes(m, n, &v, h, w));
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_part_ops(void)
{
    static const mgi_ox_op ops[] = {{"Concat", oxq_concat}, {"Split", oxq_split},
                                    {"Slice", oxq_cut},     {"Gather", oxq_gather},
                                    {"Pad", oxq_pad},       {NULL, NULL}};
    return ops;
}
