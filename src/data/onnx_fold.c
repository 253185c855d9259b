/* onnx_fold.c - what does not depend on the input is computed while reading: shapes, and
 * weights that come through Transpose, Reshape, Slice and the like.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

static mango_status oxf_constant(mango_onnx *m, const mgi_ox_node *n)
{
    static const char *const names[] = {"value", "value_float", "value_int", "value_floats",
                                        "value_ints"};
    mgi_ox_array a;
    int there = 0;
    for (int i = 0; i < MGI_COUNT(names) && !there; i++)
        MGI_TRY(mgi_ox_attr_array(m, n, names[i], &there, &a));
    if (!there)
        return mgi_ox_refuse(m, n, "holds no numbers");
    return mgi_ox_set_array(m, n, 0, &a);
}

/* Whole numbers as an array of rank 1. */
static mango_status oxf_numbers(mango_onnx *m, const mgi_ox_node *n, int count,
                                const mango_idx *v)
{
    mgi_ox_array a;
    unsigned char *p = NULL;
    const mango_idx dim = count;
    MGI_TRY(mgi_ox_new(m, MGI_OX_I64, 1, &dim, &a, &p));
    for (int i = 0; i < count; i++)
        mgi_ox_put(p, MGI_OX_I64, i, 0, v[i]);
    return mgi_ox_set_array(m, n, 0, &a);
}

/* Shape and Size are known of maps, too. */
static mango_status oxf_shape(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *a = mgi_ox_const(m, n, 0);
    mango_idx dim[MGI_RANK_MAX], all;
    mgi_ox_map v;
    int rank;
    if (a) {
        rank = a->rank;
        memcpy(dim, a->dim, sizeof dim);
    } else {
        MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
        rank = v.rank;
        mgi_ox_dims(&v, dim);
    }
    if (!strcmp(n->op, "Size")) {
        mgi_ox_array s;
        unsigned char *p = NULL;
        if (!mgi_prod(rank, dim, &all))
            return mgi_ox_refuse(m, n, "too large");
        MGI_TRY(mgi_ox_new(m, MGI_OX_I64, 0, NULL, &s, &p));
        mgi_ox_put(p, MGI_OX_I64, 0, 0, all);
        return mgi_ox_set_array(m, n, 0, &s);
    }
    int64_t from = mgi_ox_int(n, "start", 0), to = mgi_ox_int(n, "end", rank);
    from = MGI_MAX(0, MGI_MIN(rank, from < 0 ? from + rank : from));
    to = MGI_MAX(from, MGI_MIN(rank, to < 0 ? to + rank : to));
    return oxf_numbers(m, n, (int)(to - from), dim + from);
}

static mango_status oxf_transpose(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_array a = *mgi_ox_const(m, n, 0), b = a;
    int64_t order[MGI_RANK_MAX];
    int count = mgi_ox_ints(n, "perm", MGI_RANK_MAX, order);
    unsigned seen = 0;
    for (int r = 0; count == 0 && r < a.rank; r++)
        order[r] = a.rank - 1 - r;
    count = count ? count : a.rank;
    for (int r = 0; r < count && r < MGI_RANK_MAX; r++)
        seen |= order[r] >= 0 && order[r] < a.rank ? 1u << order[r] : 1u << 31;
    if (count != a.rank || seen != (1u << a.rank) - 1)
        return mgi_ox_refuse(m, n, "a malformed order of axes");
    for (int r = 0; r < a.rank; r++) {
        b.dim[r] = a.dim[order[r]];
        b.stride[r] = a.stride[order[r]];
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

MGI_FN mango_status mgi_ox_target(mango_onnx *m, const mgi_ox_node *n, int rank,
                                  const mango_idx *dim, int *to_rank, mango_idx *to)
{
    int64_t v[MGI_RANK_MAX];
    const int zero_is_zero = mgi_ox_int(n, "allowzero", 0) != 0;
    mango_idx have = 0, known = 1;
    int open = -1;
    MGI_TRY(mgi_ox_list(m, n, 1, "shape", MGI_RANK_MAX, v, to_rank));
    for (int r = 0; r < *to_rank; r++) {
        if (v[r] == 0 && !zero_is_zero && r < rank)
            v[r] = dim[r];
        if (v[r] == -1 && open < 0)
            open = r;
        else if (v[r] < 0 || v[r] > MGI_OX_MAP || !mgi_mul(known, (mango_idx)v[r], &known))
            return mgi_ox_refuse(m, n, "asks for a size of %lld", (long long)v[r]);
        to[r] = (mango_idx)v[r];
    }
    if (!mgi_prod(rank, dim, &have) || (open >= 0 && (known == 0 || have % known)) ||
        (open < 0 && known != have))
        return mgi_ox_refuse(m, n, "%td values do not fit the shape that it asks for",
                             have);
    if (open >= 0)
        to[open] = have / known;
    return MANGO_OK;
}

static mango_status oxf_reshape(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_array a = *mgi_ox_const(m, n, 0);
    mango_idx to[MGI_RANK_MAX] = {0};
    int rank = 0;
    if (!strcmp(n->op, "Flatten")) {
        const int64_t axis = mgi_ox_int(n, "axis", 1);
        const int at = axis == a.rank ? a.rank : mgi_ox_axis(axis, a.rank);
        if (at < 0 || !mgi_prod(at, a.dim, &to[0]) ||
            !mgi_prod(a.rank - at, a.dim + at, &to[1]))
            return mgi_ox_refuse(m, n, "axis is out of range");
        rank = 2;
    } else {
        MGI_TRY(mgi_ox_target(m, n, a.rank, a.dim, &rank, to));
    }
    MGI_TRY(mgi_ox_reshaped(m, &a, rank, to, &a));
    return mgi_ox_set_array(m, n, 0, &a);
}

static mango_status oxf_squeeze(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_array a = *mgi_ox_const(m, n, 0), b = a;
    unsigned mask;
    int given;
    MGI_TRY(mgi_ox_axes(m, n, 1, a.rank, &given, &mask));
    b.rank = 0;
    for (int r = 0; r < a.rank; r++) {
        const int drop = given ? (int)(mask >> r & 1) : a.dim[r] == 1;
        if (drop && a.dim[r] != 1)
            return mgi_ox_refuse(m, n, "axis %d is not of size 1", r);
        b.dim[b.rank] = a.dim[r];
        b.stride[b.rank] = a.stride[r];
        b.rank += !drop;
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

static mango_status oxf_unsqueeze(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_array a = *mgi_ox_const(m, n, 0), b = a;
    int64_t v[MGI_RANK_MAX];
    unsigned mask;
    int given, from = 0;
    MGI_TRY(mgi_ox_list(m, n, 1, "axes", MGI_RANK_MAX, v, &given));
    b.rank = a.rank + given;
    if (b.rank > MGI_RANK_MAX)
        return mgi_ox_refuse(m, n, "more than 8 dimensions");
    MGI_TRY(mgi_ox_axes(m, n, 1, b.rank, &given, &mask));
    for (int r = 0; r < b.rank; r++) {
        const int add = (int)(mask >> r & 1);
        b.dim[r] = add ? 1 : a.dim[from];
        b.stride[r] = add ? 0 : a.stride[from];
        from += !add;
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

static mango_status oxf_cast(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array a = *mgi_ox_const(m, n, 0);
    const int64_t to = mgi_ox_int(n, "to", 0);
    const mgi_ox_array *like = mgi_ox_const(m, n, 1);
    const int type = like ? like->type : to > 0 && to < 64 ? (int)to : 0;
    mgi_ox_array b;
    unsigned char *p = NULL;
    if (!mgi_ox_size(type))
        return mgi_ox_refuse(m, n, "to a type that is not read here");
    if (mgi_ox_is_real(type) && mgi_ox_is_real(a.type)) /* floats are read as floats */
        return mgi_ox_set_array(m, n, 0, &a);
    const int own = mgi_ox_is_real(type)  ? MGI_OX_F32
                    : type == MGI_OX_BOOL ? type
                                          : MGI_OX_I64;
    MGI_TRY(mgi_ox_new(m, own, a.rank, a.dim, &b, &p));
    for (mango_idx i = 0; i < a.count; i++) {
        const mango_idx at = mgi_ox_offset(&a, i);
        const double v = mgi_ox_real_at(&a, at);
        mgi_ox_put(p, own, i, v, own == MGI_OX_BOOL ? v != 0 : mgi_ox_int_at(&a, at));
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

/* Rows of an axis by their numbers. */
static mango_status oxf_gather(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array a = *mgi_ox_const(m, n, 0), *pick = mgi_ox_const(m, n, 1);
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", 0), a.rank);
    mgi_ox_array b;
    unsigned char *p = NULL;
    mango_idx dim[2 * MGI_RANK_MAX], at[MGI_RANK_MAX];
    if (axis < 0 || !pick || a.rank - 1 + pick->rank > MGI_RANK_MAX)
        return mgi_ox_refuse(m, n, "axis is out of range, or too many dimensions");
    const mgi_ox_array which = *pick;
    const int rank = a.rank - 1 + which.rank, size = mgi_ox_size(a.type);
    memcpy(dim, a.dim, (size_t)axis * sizeof *dim);
    memcpy(dim + axis, which.dim, (size_t)which.rank * sizeof *dim);
    memcpy(dim + axis + which.rank, a.dim + axis + 1,
           (size_t)(a.rank - 1 - axis) * sizeof *dim);
    MGI_TRY(mgi_ox_new(m, a.type, rank, dim, &b, &p));
    for (mango_idx i = 0; i < b.count; i++) {
        mango_idx left = i, from = 0, w = 0;
        for (int r = rank - 1; r >= 0; r--) {
            at[r] = left % dim[r];
            left /= dim[r];
        }
        for (int r = 0; r < which.rank; r++)
            w += at[axis + r] * which.stride[r];
        int64_t k = mgi_ox_int_at(&which, w);
        k += k < 0 ? a.dim[axis] : 0;
        if (k < 0 || k >= a.dim[axis])
            return mgi_ox_refuse(m, n, "an index out of range");
        for (int r = 0; r < a.rank; r++)
            from += a.stride[r] * (r < axis    ? at[r]
                                   : r == axis ? (mango_idx)k
                                               : at[r - 1 + which.rank]);
        memcpy(p + i * size, a.p + from * size, (size_t)size);
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

/* Part of one axis: from + step k. */
static void oxf_cut(mgi_ox_array *a, int axis, mango_idx from, mango_idx count,
                    mango_idx step)
{
    a->p += from * a->stride[axis] * mgi_ox_size(a->type);
    a->dim[axis] = count;
    a->stride[axis] *= step;
    mgi_prod(a->rank, a->dim, &a->count); /* less than before */
}

static mango_status oxf_slice(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_array a = *mgi_ox_const(m, n, 0);
    int64_t v[4][MGI_RANK_MAX]; /* starts, ends, axes, steps */
    int count[4];
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    for (int k = 0; k < 4; k++)
        MGI_TRY(mgi_ox_list(m, n, k + 1, names[k], MGI_RANK_MAX, v[k], &count[k]));
    if (count[0] != count[1] || (count[2] && count[2] != count[0]) ||
        (count[3] && count[3] != count[0]) || count[0] > a.rank)
        return mgi_ox_refuse(m, n, "lists of different lengths");
    for (int k = 0; k < count[0]; k++) {
        const int axis = mgi_ox_axis(count[2] ? v[2][k] : k, a.rank);
        const int64_t step = count[3] ? v[3][k] : 1;
        if (axis < 0 || step == 0 || step > MGI_DIM_MAX || step < -MGI_DIM_MAX)
            return mgi_ox_refuse(m, n, "an axis or step out of range");
        const int64_t d = a.dim[axis], lo = step < 0 ? -1 : 0, hi = step < 0 ? d - 1 : d;
        int64_t from = v[0][k] < 0 ? v[0][k] + d : v[0][k];
        int64_t to = v[1][k] < 0 ? v[1][k] + d : v[1][k];
        from = MGI_MAX(step < 0 ? lo : 0, MGI_MIN(hi, from));
        to = MGI_MAX(lo, MGI_MIN(hi, to));
        const int64_t span = step < 0 ? from - to : to - from,
                      pace = step < 0 ? -step : step;
        const int64_t left = span > 0 ? (span + pace - 1) / pace : 0;
        oxf_cut(&a, axis, left ? (mango_idx)from : 0, (mango_idx)left, (mango_idx)step);
    }
    return mgi_ox_set_array(m, n, 0, &a);
}

static mango_status oxf_split(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array a = *mgi_ox_const(m, n, 0);
    const int axis = mgi_ox_axis(mgi_ox_int(n, "axis", 0), a.rank);
    int64_t v[256];
    int count;
    mango_idx from = 0;
    MGI_TRY(mgi_ox_list(m, n, 1, "split", 256, v, &count));
    if (axis < 0 || n->n_out < 1 || n->n_out > 256 || (count && count != n->n_out))
        return mgi_ox_refuse(m, n, "a malformed split");
    const mango_idx each = mgi_ceil_div(a.dim[axis], n->n_out);
    for (int k = 0; k < n->n_out; k++) {
        const mango_idx size =
            count ? (mango_idx)v[k] : MGI_MIN(each, MGI_MAX(a.dim[axis] - from, 0));
        mgi_ox_array b = a;
        if (size < 0 || size > a.dim[axis] - from)
            return mgi_ox_refuse(m, n, "a malformed split");
        oxf_cut(&b, axis, from, size, 1);
        MGI_TRY(mgi_ox_set_array(m, n, k, &b));
        from += size;
    }
    return MANGO_OK;
}

static mango_status oxf_concat(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *first = mgi_ox_const(m, n, 0);
    const int rank = first->rank, axis = mgi_ox_axis(mgi_ox_int(n, "axis", 1), rank);
    mango_idx dim[MGI_RANK_MAX], row = 0, inner = 1;
    mgi_ox_array b;
    unsigned char *p = NULL;
    if (axis < 0)
        return mgi_ox_refuse(m, n, "axis is out of range");
    const int type = first->type, size = mgi_ox_size(type);
    memcpy(dim, first->dim, sizeof dim);
    dim[axis] = 0;
    for (int k = 0; k < n->n_in; k++) {
        const mgi_ox_array *a = mgi_ox_const(m, n, k);
        for (int r = 0; a && a->rank == rank && r < rank; r++)
            if (r != axis && a->dim[r] != dim[r])
                a = NULL;
        if (!a || a->rank != rank || a->type != type)
            return mgi_ox_refuse(m, n, "inputs of different shapes or types");
        dim[axis] += a->dim[axis];
    }
    for (int r = axis + 1; r < rank; r++)
        inner *= dim[r];
    MGI_TRY(mgi_ox_new(m, type, rank, dim, &b, &p));
    for (int k = 0; k < n->n_in; k++) {
        const mgi_ox_array *a = mgi_ox_const(m, n, k);
        const mango_idx run = a->dim[axis] * inner;
        for (mango_idx i = 0; i < a->count; i++)
            memcpy(p + (i / run * dim[axis] * inner + row + i % run) * size,
                   a->p + mgi_ox_offset(a, i) * size, (size_t)size);
        row += run;
    }
    return mgi_ox_set_array(m, n, 0, &b);
}

static mango_status oxf_expand(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array a = *mgi_ox_const(m, n, 0);
    int64_t v[MGI_RANK_MAX];
    mango_idx dim[MGI_RANK_MAX], all;
    mgi_ox_array b;
    int rank;
    MGI_TRY(mgi_ox_list(m, n, 1, NULL, MGI_RANK_MAX, v, &rank));
    const int wide = MGI_MAX(rank, a.rank);
    for (int r = 0; r < wide; r++) {
        const int i = r - (wide - rank), j = r - (wide - a.rank);
        const int64_t want = i < 0 ? 1 : v[i];
        dim[r] = j >= 0 && want == 1 ? a.dim[j] : (mango_idx)want;
        if (want < 0 || want > MGI_DIM_MAX)
            return mgi_ox_refuse(m, n, "asks for a size of %lld", (long long)want);
    }
    if (!mgi_prod(wide, dim, &all) || all > MGI_DIM_MAX ||
        !mgi_ox_broadcast(&a, wide, dim, &b))
        return mgi_ox_refuse(m, n, "a shape that its input does not fit");
    return mgi_ox_set_array(m, n, 0, &b);
}

static mango_status oxf_constant_of_shape(mango_onnx *m, const mgi_ox_node *n)
{
    int64_t v[MGI_RANK_MAX];
    mango_idx dim[MGI_RANK_MAX], all;
    mgi_ox_array one, b;
    unsigned char *p = NULL;
    int rank, there;
    MGI_TRY(mgi_ox_list(m, n, 0, NULL, MGI_RANK_MAX, v, &rank));
    MGI_TRY(mgi_ox_attr_array(m, n, "value", &there, &one));
    if (!there)
        MGI_TRY(mgi_ox_new(m, MGI_OX_F32, 0, NULL, &one, &p));
    for (int r = 0; r < rank; r++) {
        if (v[r] < 0 || v[r] > MGI_DIM_MAX)
            return mgi_ox_refuse(m, n, "asks for a size of %lld", (long long)v[r]);
        dim[r] = (mango_idx)v[r];
    }
    if (one.count != 1 || !mgi_prod(rank, dim, &all) || all > MGI_DIM_MAX)
        return mgi_ox_refuse(m, n, "one value and a shape of moderate size expected");
    one.rank = 0;
    mgi_ox_broadcast(&one, rank, dim, &b);
    return mgi_ox_set_array(m, n, 0, &b);
}

static mango_status oxf_identity(mango_onnx *m, const mgi_ox_node *n)
{
    return mgi_ox_set_array(m, n, 0, mgi_ox_const(m, n, 0));
}

/* Every input is an array, or is left out, and the first is there. */
static int oxf_ready(const mango_onnx *m, const mgi_ox_node *n)
{
    for (int k = 0; k < n->n_in; k++)
        if (mgi_ox_value_of(m, n, k) >= 0 && !mgi_ox_const(m, n, k))
            return 0;
    return n->n_in > 0 && mgi_ox_value_of(m, n, 0) >= 0;
}

MGI_FN mango_status mgi_ox_fold(mango_onnx *m, const mgi_ox_node *n, int *done)
{
    static const mgi_ox_op ops[] = {{"Transpose", oxf_transpose},
                                    {"Reshape", oxf_reshape},
                                    {"Flatten", oxf_reshape},
                                    {"Squeeze", oxf_squeeze},
                                    {"Unsqueeze", oxf_unsqueeze},
                                    {"Cast", oxf_cast},
                                    {"CastLike", oxf_cast},
                                    {"Gather", oxf_gather},
                                    {"Slice", oxf_slice},
                                    {"Split", oxf_split},
                                    {"Concat", oxf_concat},
                                    {"Expand", oxf_expand},
                                    {"ConstantOfShape", oxf_constant_of_shape},
                                    {"Identity", oxf_identity},
                                    {"Dropout", oxf_identity}};
    const int first = mgi_ox_value_of(m, n, 0);
    *done = 1;
    if (!strcmp(n->op, "Constant"))
        return oxf_constant(m, n);
    if ((!strcmp(n->op, "Shape") || !strcmp(n->op, "Size")) && first >= 0 &&
        m->value[first].kind != MGI_OX_NONE)
        return oxf_shape(m, n);
    *done = 0;
    if (!oxf_ready(m, n))
        return MANGO_OK;
    for (int i = 0; i < MGI_COUNT(ops); i++)
        if (!strcmp(n->op, ops[i].name)) {
            *done = 1;
            return ops[i].translate(m, n);
        }
    return mgi_ox_fold_math(m, n, done);
}
