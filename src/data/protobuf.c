/* protobuf.c - the walk over protocol buffer messages.
 * SPDX-License-Identifier: MIT */
#include "protobuf.h"

MGI_FN int mgi_pb_varint(mgi_pb *m, uint64_t *v)
{
    uint64_t x = 0;
    for (int i = 0; i < 10 && m->at < m->n; i++) {
        const unsigned char b = m->p[m->at++];
        if (i == 9 && b > 1)
            return 0;
        x |= (uint64_t)(b & 127) << (7 * i);
        if (!(b & 128)) {
            *v = x;
            return 1;
        }
    }
    return 0;
}

/* n bytes of a number, little-endian. */
static int pb_fixed(mgi_pb *m, int n, uint64_t *v)
{
    if (m->n - m->at < n)
        return 0;
    *v = n == 8 ? mgi_le64(m->p + m->at) : mgi_le32(m->p + m->at);
    m->at += n;
    return 1;
}

static int pb_value(mgi_pb *m, int wire, uint64_t *v)
{
    if (wire == MGI_PB_VARINT)
        return mgi_pb_varint(m, v);
    return pb_fixed(m, wire == MGI_PB_FIXED64 ? 8 : 4, v);
}

MGI_FN int mgi_pb_next(mgi_pb *m, mgi_pb_field *f)
{
    uint64_t key, size;
    memset(f, 0, sizeof *f);
    if (m->at >= m->n)
        return 0;
    if (!mgi_pb_varint(m, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return -1;
    f->number = (int)(key >> 3);
    f->wire = (int)(key & 7);
    if (f->wire == MGI_PB_VARINT || f->wire == MGI_PB_FIXED64 || f->wire == MGI_PB_FIXED32)
        return pb_value(m, f->wire, &f->v) ? 1 : -1;
    if (f->wire != MGI_PB_BYTES) /* groups: not in use since before ONNX was */
        return -1;
    if (!mgi_pb_varint(m, &size) || size > (uint64_t)(m->n - m->at))
        return -1;
    f->in.p = m->p + m->at;
    f->in.n = (mango_idx)size;
    m->at += f->in.n;
    return 1;
}

MGI_FN int mgi_pb_number(const mgi_pb_field *f, int wire, mango_idx *at, uint64_t *v)
{
    if (f->wire == wire) {
        *v = f->v;
        return (*at)++ == 0;
    }
    if (f->wire != MGI_PB_BYTES)
        return -1;
    mgi_pb m = {f->in.p, f->in.n, *at};
    if (m.at >= m.n)
        return 0;
    if (!pb_value(&m, wire, v))
        return -1;
    *at = m.at;
    return 1;
}

MGI_FN float mgi_pb_float(uint64_t v)
{
    const uint32_t bits = (uint32_t)v;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

MGI_FN double mgi_pb_double(uint64_t v)
{
    double x;
    memcpy(&x, &v, sizeof x);
    return x;
}
