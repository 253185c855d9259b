/* onnx_attr.c - attributes and inputs of a node, as its operator asks for them.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* AttributeProto: name 1, f 2, i 3, s 4, t 5, floats 7, ints 8. */
static int oxt_name(mgi_pb attr, mgi_ox_text *name)
{
    mgi_pb_field f;
    name->n = 0;
    while (mgi_pb_next(&attr, &f) > 0)
        if (f.number == 1 && f.wire == MGI_PB_BYTES) {
            name->p = f.in.p;
            name->n = f.in.n;
        }
    return name->n > 0;
}

static int oxt_find(const mgi_ox_node *n, const char *name, mgi_pb *attr)
{
    mgi_pb b = n->body;
    mgi_pb_field f;
    mgi_ox_text t = {NULL, 0};
    while (mgi_pb_next(&b, &f) > 0)
        if (f.number == 5 && f.wire == MGI_PB_BYTES && oxt_name(f.in, &t) &&
            mgi_ox_same(t, name)) {
            *attr = f.in;
            return 1;
        }
    return 0;
}

/* Each attribute well-formed, named, and there once. */
MGI_FN mango_status mgi_ox_attr_check(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_pb b = n->body;
    mgi_pb_field f, g;
    mgi_ox_text seen[64], t = {NULL, 0};
    int count = 0, more;
    while (mgi_pb_next(&b, &f) > 0) {
        if (f.number != 5)
            continue;
        mgi_pb walk = f.in;
        while ((more = mgi_pb_next(&walk, &g)) > 0) {
        }
        if (f.wire != MGI_PB_BYTES || more < 0 || !oxt_name(f.in, &t))
            return mgi_ox_refuse(m, n, "a malformed attribute");
        if (count == MGI_COUNT(seen))
            return mgi_ox_refuse(m, n, "more than 64 attributes");
        for (int i = 0; i < count; i++)
            if (seen[i].n == t.n && !memcmp(seen[i].p, t.p, (size_t)t.n))
                return mgi_ox_refuse(m, n, "an attribute is given twice");
        seen[count++] = t;
    }
    return MANGO_OK;
}

static int oxt_field(const mgi_ox_node *n, const char *name, int number, mgi_pb_field *f)
{
    mgi_pb attr;
    if (!oxt_find(n, name, &attr))
        return 0;
    while (mgi_pb_next(&attr, f) > 0)
        if (f->number == number)
            return 1;
    return 0;
}

MGI_FN int mgi_ox_has(const mgi_ox_node *n, const char *name)
{
    mgi_pb attr;
    return oxt_find(n, name, &attr);
}

MGI_FN int64_t mgi_ox_int(const mgi_ox_node *n, const char *name, int64_t otherwise)
{
    mgi_pb_field f;
    if (oxt_field(n, name, 3, &f) && f.wire == MGI_PB_VARINT)
        return (int64_t)f.v;
    return mgi_ox_has(n, name) ? 0 : otherwise; /* a zero need not be written */
}

MGI_FN double mgi_ox_real(const mgi_ox_node *n, const char *name, double otherwise)
{
    mgi_pb_field f;
    if (oxt_field(n, name, 2, &f) && f.wire == MGI_PB_FIXED32)
        return (double)mgi_pb_float(f.v);
    return mgi_ox_has(n, name) ? 0 : otherwise;
}

MGI_FN void mgi_ox_word(const mgi_ox_node *n, const char *name, const char *otherwise,
                        char word[32])
{
    mgi_pb_field f;
    mgi_copy(word, 32, otherwise);
    if (!oxt_field(n, name, 4, &f) || f.wire != MGI_PB_BYTES)
        return;
    const mango_idx k = MGI_MIN(f.in.n, 31);
    memcpy(word, f.in.p, (size_t)k);
    word[k] = 0;
}

/* Bits of a repeated number. */
static int oxt_numbers(const mgi_ox_node *n, const char *name, int number, int wire,
                       int max, uint64_t *v)
{
    mgi_pb attr;
    mgi_pb_field f;
    int count = 0;
    if (!oxt_find(n, name, &attr))
        return 0;
    while (mgi_pb_next(&attr, &f) > 0) {
        mango_idx at = 0;
        uint64_t bits;
        while (f.number == number && mgi_pb_number(&f, wire, &at, &bits) > 0) {
            if (count < max)
                v[count] = bits;
            count += count < 1 << 24;
        }
    }
    return count;
}

MGI_FN int mgi_ox_ints(const mgi_ox_node *n, const char *name, int max, int64_t *v)
{
    uint64_t bits[64];
    const int count = oxt_numbers(n, name, 8, MGI_PB_VARINT, MGI_MIN(max, 64), bits);
    for (int i = 0; i < MGI_MIN(count, max); i++)
        v[i] = (int64_t)bits[i];
    return count;
}

MGI_FN int mgi_ox_reals(const mgi_ox_node *n, const char *name, int max, double *v)
{
    uint64_t bits[64];
    const int count = oxt_numbers(n, name, 7, MGI_PB_FIXED32, MGI_MIN(max, 64), bits);
    for (int i = 0; i < MGI_MIN(count, max); i++)
        v[i] = (double)mgi_pb_float(bits[i]);
    return count;
}

/* Lists of an attribute as an array. */
static mango_status oxt_list(mango_onnx *m, mgi_pb attr, int type, mgi_ox_array *a)
{
    const int real = type == MGI_OX_F32, wire = real ? MGI_PB_FIXED32 : MGI_PB_VARINT;
    mango_idx count = 0;
    unsigned char *p = NULL;
    for (int pass = 0; pass < 2; pass++) {
        mgi_pb walk = attr;
        mgi_pb_field f;
        mango_idx i = 0;
        while (mgi_pb_next(&walk, &f) > 0) {
            mango_idx at = 0;
            uint64_t v;
            while (f.number == (real ? 7 : 8) && mgi_pb_number(&f, wire, &at, &v) > 0) {
                if (pass)
                    mgi_ox_put(p, type, i, (double)mgi_pb_float(v), (int64_t)v);
                i++;
            }
        }
        count = i;
        if (!pass)
            MGI_TRY(mgi_ox_new(m, type, 1, &count, a, &p));
    }
    return MANGO_OK;
}

/* One number as an array of rank 0. */
static mango_status oxt_one(mango_onnx *m, int type, const mgi_pb_field *f, mgi_ox_array *a)
{
    unsigned char *p = NULL;
    MGI_TRY(mgi_ox_new(m, type, 0, NULL, a, &p));
    mgi_ox_put(p, type, 0, (double)mgi_pb_float(f->v), (int64_t)f->v);
    return MANGO_OK;
}

MGI_FN mango_status mgi_ox_attr_array(mango_onnx *m, const mgi_ox_node *n, const char *name,
                                      int *there, mgi_ox_array *a)
{
    mgi_pb attr;
    mgi_pb_field f;
    mgi_ox_text ignored;
    *there = 0;
    if (!oxt_find(n, name, &attr))
        return MANGO_OK;
    *there = 1;
    mgi_pb walk = attr;
    while (mgi_pb_next(&walk, &f) > 0) {
        if (f.number == 5 && f.wire == MGI_PB_BYTES)
            return mgi_ox_tensor(m, f.in, a, &ignored);
        if (f.number == 2 && f.wire == MGI_PB_FIXED32)
            return oxt_one(m, MGI_OX_F32, &f, a);
        if (f.number == 3 && f.wire == MGI_PB_VARINT)
            return oxt_one(m, MGI_OX_I64, &f, a);
        if (f.number == 7 || f.number == 8)
            return oxt_list(m, attr, f.number == 7 ? MGI_OX_F32 : MGI_OX_I64, a);
    }
    return mgi_ox_refuse(m, n, "attribute '%s' holds no numbers", name);
}

/* ---- inputs and outputs ---- */

MGI_FN int mgi_ox_value_of(const mango_onnx *m, const mgi_ox_node *n, int k)
{
    return k < n->n_in ? m->link[n->in + k] : -1;
}

MGI_FN const mgi_ox_array *mgi_ox_const(const mango_onnx *m, const mgi_ox_node *n, int k)
{
    const int v = mgi_ox_value_of(m, n, k);
    return v >= 0 && m->value[v].kind == MGI_OX_ARRAY ? &m->array[m->value[v].at] : NULL;
}

MGI_FN mango_status mgi_ox_map_in(mango_onnx *m, const mgi_ox_node *n, int k, mgi_ox_map *v)
{
    const int at = mgi_ox_value_of(m, n, k);
    if (at < 0)
        return mgi_ox_refuse(m, n, "input %d is missing", k + 1);
    if (m->value[at].kind != MGI_OX_IS_MAP)
        return mgi_ox_refuse(m, n, "input %d does not depend on the network's input",
                             k + 1);
    *v = m->map[m->value[at].at];
    return MANGO_OK;
}

MGI_FN mango_status mgi_ox_list(mango_onnx *m, const mgi_ox_node *n, int k,
                                const char *name, int max, int64_t *v, int *n_v)
{
    const mgi_ox_array *a = mgi_ox_const(m, n, k);
    *n_v = 0;
    if (name && mgi_ox_has(n, name)) {
        *n_v = mgi_ox_ints(n, name, max, v);
    } else if (a) {
        *n_v = a->count > max ? max + 1 : (int)a->count;
        for (int i = 0; i < MGI_MIN(*n_v, max); i++)
            v[i] = mgi_ox_int_at(a, mgi_ox_offset(a, i));
    } else if (mgi_ox_value_of(m, n, k) >= 0) {
        return mgi_ox_refuse(m, n,
                             "input %d is computed from the network's input; a constant "
                             "expected",
                             k + 1);
    }
    return *n_v > max ? mgi_ox_refuse(m, n, "more than %d numbers in a list", max)
                      : MANGO_OK;
}

MGI_FN mango_status mgi_ox_number(mango_onnx *m, const mgi_ox_node *n, int k,
                                  const char *name, double otherwise, double *v)
{
    *v = name ? mgi_ox_real(n, name, otherwise) : otherwise;
    if (mgi_ox_value_of(m, n, k) < 0)
        return MANGO_OK;
    if (!mgi_ox_scalar(mgi_ox_const(m, n, k), v))
        return mgi_ox_refuse(m, n, "input %d is no constant number", k + 1);
    return MANGO_OK;
}

MGI_FN int mgi_ox_axis(int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

MGI_FN mango_status mgi_ox_axes(mango_onnx *m, const mgi_ox_node *n, int k, int rank,
                                int *given, unsigned *mask)
{
    int64_t v[2 * MGI_RANK_MAX];
    *mask = 0;
    MGI_TRY(mgi_ox_list(m, n, k, "axes", 2 * MGI_RANK_MAX, v, given));
    for (int i = 0; i < *given; i++) {
        const int a = mgi_ox_axis(v[i], rank);
        if (a < 0 || *mask >> a & 1)
            return mgi_ox_refuse(m, n, "axis %lld is out of range or there twice",
                                 (long long)v[i]);
        *mask |= 1u << a;
    }
    return MANGO_OK;
}

static mango_status oxt_out(mango_onnx *m, const mgi_ox_node *n, int k, mgi_ox_kind kind,
                            mango_idx at)
{
    const int v = k < n->n_out ? m->link[n->out + k] : -1;
    if (v >= 0) {
        m->value[v].kind = kind;
        m->value[v].at = (int)at;
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_ox_set_array(mango_onnx *m, const mgi_ox_node *n, int k,
                                     const mgi_ox_array *a)
{
    const mgi_ox_array copy = *a; /* it may lie among those that move */
    MGI_TRY(mgi_ox_grow(m, &m->array, &m->cap_array, m->n_array + 1, 2 * MGI_OX_VALUES,
                        sizeof *m->array, "too many constants"));
    m->array[m->n_array] = copy;
    return oxt_out(m, n, k, MGI_OX_ARRAY, m->n_array++);
}

MGI_FN mango_status mgi_ox_set_map(mango_onnx *m, const mgi_ox_node *n, int k,
                                   const mgi_ox_map *v)
{
    const mgi_ox_map copy = *v;
    MGI_TRY(mgi_ox_grow(m, &m->map, &m->cap_map, m->n_map + 1, MGI_OX_VALUES,
                        sizeof *m->map, "too many maps"));
    m->map[m->n_map] = copy;
    return oxt_out(m, n, k, MGI_OX_IS_MAP, m->n_map++);
}
