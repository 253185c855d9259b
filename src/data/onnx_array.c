/* onnx_array.c - constants of an ONNX model: TensorProto, its types and encodings, data in
 * a file beside the model, and arrays that are seen by strides.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"
#include <stdlib.h>

/* ---- elements ---- */

MGI_FN int mgi_ox_size(int type)
{
    switch (type) {
    case MGI_OX_U8:
    case MGI_OX_I8:
    case MGI_OX_BOOL: return 1;
    case MGI_OX_U16:
    case MGI_OX_I16:
    case MGI_OX_F16:
    case MGI_OX_BF16: return 2;
    case MGI_OX_F32:
    case MGI_OX_I32:
    case MGI_OX_U32: return 4;
    case MGI_OX_I64:
    case MGI_OX_U64:
    case MGI_OX_F64: return 8;
    default: return 0;
    }
}

MGI_FN int mgi_ox_is_real(int type)
{
    return type == MGI_OX_F32 || type == MGI_OX_F64 || type == MGI_OX_F16 ||
           type == MGI_OX_BF16;
}

MGI_FN int64_t mgi_ox_int_at(const mgi_ox_array *a, mango_idx offset)
{
    const unsigned char *p = a->p + offset * mgi_ox_size(a->type);
    switch (a->type) {
    case MGI_OX_U8:
    case MGI_OX_BOOL: return p[0];
    case MGI_OX_I8: return (int8_t)p[0];
    case MGI_OX_U16: return (int64_t)mgi_le16(p);
    case MGI_OX_I16: return (int16_t)mgi_le16(p);
    case MGI_OX_I32: return (int32_t)mgi_le32(p);
    case MGI_OX_U32: return (int64_t)mgi_le32(p);
    case MGI_OX_I64:
    case MGI_OX_U64: return (int64_t)mgi_le64(p);
    default: break;
    }
    const double v = mgi_ox_real_at(a, offset); /* toward zero, within the range */
    return v >= 9e18 ? INT64_MAX : v <= -9e18 ? INT64_MIN : v == v ? (int64_t)v : 0;
}

MGI_FN double mgi_ox_real_at(const mgi_ox_array *a, mango_idx offset)
{
    const unsigned char *p = a->p + offset * mgi_ox_size(a->type);
    switch (a->type) {
    case MGI_OX_F32: return (double)mgi_pb_float(mgi_le32(p));
    case MGI_OX_F64: return mgi_pb_double(mgi_le64(p));
    case MGI_OX_F16: return (double)mgi_from_f16((uint16_t)mgi_le16(p));
    case MGI_OX_BF16: return (double)mgi_from_bf16((uint16_t)mgi_le16(p));
    case MGI_OX_U64: return (double)mgi_le64(p);
    default: return (double)mgi_ox_int_at(a, offset);
    }
}

MGI_FN mango_idx mgi_ox_offset(const mgi_ox_array *a, mango_idx i)
{
    mango_idx at = 0;
    for (int r = a->rank - 1; r >= 0; r--) {
        at += i % a->dim[r] * a->stride[r];
        i /= a->dim[r];
    }
    return at;
}

/* ---- shapes ---- */

MGI_FN void mgi_ox_rows(mgi_ox_array *a)
{
    mango_idx n = 1;
    for (int r = 0; r < a->rank; r++)
        if (a->dim[r] == 0)
            n = 0; /* the sizes of the others may have any product */
    for (int r = a->rank - 1; r >= 0; r--) {
        a->stride[r] = n;
        n *= n ? a->dim[r] : 1;
    }
    a->count = n;
}

MGI_FN int mgi_ox_is_rows(const mgi_ox_array *a)
{
    mango_idx n = 1;
    for (int r = a->rank - 1; r >= 0 && a->count > 0; r--) {
        if (a->dim[r] != 1 && a->stride[r] != n)
            return 0;
        n *= a->dim[r];
    }
    return 1;
}

MGI_FN int mgi_ox_broadcast(const mgi_ox_array *a, int rank, const mango_idx *dim,
                            mgi_ox_array *out)
{
    mgi_ox_array b = *a;
    b.rank = rank;
    if (a->rank > rank)
        return 0;
    for (int r = 0; r < rank; r++) {
        const int from = r - (rank - a->rank);
        const mango_idx have = from < 0 ? 1 : a->dim[from];
        if (have != 1 && have != dim[r])
            return 0;
        b.dim[r] = dim[r];
        b.stride[r] = have == 1 ? 0 : a->stride[from];
    }
    if (!mgi_prod(rank, dim, &b.count))
        return 0;
    *out = b;
    return 1;
}

MGI_FN mango_status mgi_ox_new(mango_onnx *m, int type, int rank, const mango_idx *dim,
                               mgi_ox_array *a, unsigned char **p)
{
    mango_idx bytes;
    memset(a, 0, sizeof *a);
    a->type = type;
    a->rank = rank;
    for (int r = 0; r < rank; r++) {
        if (dim[r] > MGI_DIM_MAX)
            return mgi_ox_bad(m, MANGO_E_LIMIT, "a constant with a dimension over 2^24");
        a->dim[r] = dim[r];
    }
    if (!mgi_prod(rank, dim, &a->count) || !mgi_mul(a->count, mgi_ox_size(type), &bytes) ||
        bytes > MGI_OX_FOLDED - m->folded)
        return mgi_ox_bad(m, MANGO_E_LIMIT,
                          "constants that are computed would take over 256 MiB");
    mgi_ox_rows(a);
    MGI_TRY(mgi_ox_bytes(m, bytes, p));
    m->folded += bytes;
    a->p = *p;
    return MANGO_OK;
}

MGI_FN void mgi_ox_put(unsigned char *p, int type, mango_idx i, double real, int64_t whole)
{
    const int size = mgi_ox_size(type);
    uint64_t bits = (uint64_t)whole;
    if (type == MGI_OX_F32) {
        const float v = (float)real;
        uint32_t b;
        memcpy(&b, &v, sizeof b);
        bits = b;
    } else if (type == MGI_OX_BOOL) {
        bits = whole != 0;
    }
    for (int k = 0; k < size; k++)
        p[i * size + k] = (unsigned char)(bits >> (8 * k));
}

MGI_FN mango_status mgi_ox_reshaped(mango_onnx *m, const mgi_ox_array *a, int rank,
                                    const mango_idx *dim, mgi_ox_array *out)
{
    mgi_ox_array b = *a;
    mango_idx count = 1;
    if (!mgi_prod(rank, dim, &count) || count != a->count)
        return mgi_ox_bad(m, MANGO_E_SHAPE, "%td constants cannot become %td", a->count,
                          count);
    if (!mgi_ox_is_rows(a)) {
        unsigned char *p = NULL;
        const int size = mgi_ox_size(a->type);
        MGI_TRY(mgi_ox_new(m, a->type, rank, dim, &b, &p));
        for (mango_idx i = 0; i < a->count; i++)
            memcpy(p + i * size, a->p + mgi_ox_offset(a, i) * size, (size_t)size);
    }
    b.rank = rank;
    for (int r = 0; r < rank; r++)
        b.dim[r] = dim[r];
    mgi_ox_rows(&b);
    *out = b;
    return MANGO_OK;
}

MGI_FN int mgi_ox_scalar(const mgi_ox_array *a, double *v)
{
    if (!a || a->count != 1)
        return 0;
    *v = mgi_ox_real_at(a, 0);
    return 1;
}

MGI_FN int mgi_ox_uniform(const mgi_ox_array *a, double *v)
{
    if (!a || a->count < 1)
        return 0;
    *v = mgi_ox_real_at(a, 0);
    for (mango_idx i = 1; i < a->count; i++)
        if (mgi_ox_real_at(a, mgi_ox_offset(a, i)) != *v)
            return 0;
    return 1;
}

MGI_FN mango_status mgi_ox_filled(mango_onnx *m, mango_idx n, double v, mgi_ox_array *a)
{
    unsigned char *p = NULL;
    const mango_idx one = 1;
    MGI_TRY(mgi_ox_new(m, MGI_OX_F32, 1, &one, a, &p));
    mgi_ox_put(p, MGI_OX_F32, 0, v, 0);
    a->dim[0] = a->count = n;
    a->stride[0] = 0;
    return MANGO_OK;
}

/* ---- TensorProto ---- */

typedef struct oxa_tensor {
    mgi_ox_text name;
    mgi_pb raw, external; /* p NULL: not there */
    int typed, outside;   /* field of typed data, 0: none; data_location EXTERNAL */
    mango_idx numbers;    /* of typed data */
} oxa_tensor;

static mango_status oxa_bad(mango_onnx *m, const oxa_tensor *t, const char *why)
{
    return mgi_ox_bad(m, MANGO_E_FORMAT, "tensor '%.*s': %s", (int)MGI_MIN(t->name.n, 100),
                      t->name.n ? (const char *)t->name.p : "", why);
}

/* The wire type of the numbers of field float_data .. uint64_data; -1: no such field. */
static int oxa_wire(int number)
{
    return number == 4                                  ? MGI_PB_FIXED32
           : number == 10                               ? MGI_PB_FIXED64
           : number == 5 || number == 7 || number == 11 ? MGI_PB_VARINT
                                                        : -1;
}

/* Which field holds numbers of a type. */
static int oxa_field(int type)
{
    switch (type) {
    case MGI_OX_F32: return 4;
    case MGI_OX_F64: return 10;
    case MGI_OX_I64: return 7;
    case MGI_OX_U32:
    case MGI_OX_U64: return 11;
    default: return 5;
    }
}

static mango_status oxa_dims(mango_onnx *m, const oxa_tensor *t, const mgi_pb_field *f,
                             mgi_ox_array *a)
{
    uint64_t v;
    mango_idx at = 0;
    int more;
    while ((more = mgi_pb_number(f, MGI_PB_VARINT, &at, &v)) > 0) {
        if (a->rank == MGI_RANK_MAX)
            return oxa_bad(m, t, "more than 8 dimensions");
        if (v > (uint64_t)MGI_DIM_MAX)
            return oxa_bad(m, t, "a dimension that is negative or over 2^24");
        a->dim[a->rank++] = (mango_idx)v;
    }
    return more < 0 ? oxa_bad(m, t, "malformed dimensions") : MANGO_OK;
}

/* How many numbers a field of typed data has. */
static mango_status oxa_count(mango_onnx *m, oxa_tensor *t, const mgi_pb_field *f)
{
    uint64_t v;
    mango_idx at = 0;
    int more;
    if (t->typed && t->typed != f->number)
        return oxa_bad(m, t, "data of two types");
    t->typed = f->number;
    while ((more = mgi_pb_number(f, oxa_wire(f->number), &at, &v)) > 0)
        t->numbers++;
    return more < 0 ? oxa_bad(m, t, "malformed data") : MANGO_OK;
}

/* Everything but the data. */
static mango_status oxa_head(mango_onnx *m, mgi_pb body, mgi_ox_array *a, oxa_tensor *t)
{
    mgi_pb_field f;
    int more;
    while ((more = mgi_pb_next(&body, &f)) > 0) {
        if (f.number == 8 && f.wire == MGI_PB_BYTES) {
            t->name.p = f.in.p;
            t->name.n = f.in.n;
        } else if (f.number == 2 && f.wire == MGI_PB_VARINT) {
            a->type = f.v > 64 ? 64 : (int)f.v;
        } else if (f.number == 1) {
            MGI_TRY(oxa_dims(m, t, &f, a));
        } else if (f.number == 9 && f.wire == MGI_PB_BYTES) {
            t->raw = f.in;
            t->raw.p = f.in.p ? f.in.p : (const unsigned char *)"";
        } else if (f.number == 14 && f.wire == MGI_PB_VARINT) {
            t->outside = f.v != 0;
        } else if (f.number == 3) {
            return oxa_bad(m, t, "in segments");
        } else if (oxa_wire(f.number) >= 0) {
            MGI_TRY(oxa_count(m, t, &f));
        }
    }
    return more < 0 ? oxa_bad(m, t, "malformed or cut short") : MANGO_OK;
}

/* Typed data into memory of our own. */
static mango_status oxa_typed(mango_onnx *m, mgi_pb body, const oxa_tensor *t,
                              mgi_ox_array *a)
{
    const int size = mgi_ox_size(a->type), wire = oxa_wire(t->typed);
    unsigned char *p = NULL;
    mgi_pb_field f;
    mango_idx i = 0;
    if (t->typed != oxa_field(a->type) || t->numbers != a->count)
        return oxa_bad(m, t, "data that do not match its type and shape");
    MGI_TRY(mgi_ox_bytes(m, a->count * size, &p));
    a->p = p;
    while (mgi_pb_next(&body, &f) > 0) {
        uint64_t v;
        mango_idx at = 0;
        while (f.number == t->typed && mgi_pb_number(&f, wire, &at, &v) > 0) {
            for (int k = 0; k < size; k++)
                p[i * size + k] = (unsigned char)(v >> (8 * k));
            i++;
        }
    }
    return MANGO_OK;
}

/* ---- data in another file ---- */

typedef struct oxa_outside {
    mgi_ox_text file;
    int64_t offset, length;
} oxa_outside;

/* One StringStringEntry. */
static mango_status oxa_entry(mango_onnx *m, const oxa_tensor *t, mgi_pb body,
                              oxa_outside *o)
{
    mgi_pb_field f;
    mgi_ox_text key = {NULL, 0}, v = {NULL, 0};
    char digits[24] = "";
    while (mgi_pb_next(&body, &f) > 0)
        if (f.wire == MGI_PB_BYTES && (f.number == 1 || f.number == 2)) {
            mgi_ox_text *to = f.number == 1 ? &key : &v;
            to->p = f.in.p;
            to->n = f.in.n;
        }
    if (mgi_ox_same(key, "location")) {
        o->file = v;
        return MANGO_OK;
    }
    int64_t *to = mgi_ox_same(key, "offset")   ? &o->offset
                  : mgi_ox_same(key, "length") ? &o->length
                                               : NULL;
    if (!to)
        return MANGO_OK;
    if (v.n >= (mango_idx)sizeof digits)
        return oxa_bad(m, t, "a malformed place in another file");
    memcpy(digits, v.p, (size_t)v.n);
    return mgi_parse_int(digits, 0, (int64_t)1 << 40, to)
               ? MANGO_OK
               : oxa_bad(m, t, "a malformed place in another file");
}

/* The file's name: of the same folder, and no more than a name. */
static mango_status oxa_path(mango_onnx *m, const oxa_tensor *t, mgi_ox_text file,
                             char path[2048])
{
    const char *slash = strrchr(m->what, '/');
    const size_t folder = slash ? (size_t)(slash - m->what) + 1 : 0;
    if (!m->has_folder)
        return oxa_bad(m, t,
                       "its data are in another file, which bytes alone cannot reach");
    if (file.n > 2 && !memcmp(file.p, "./", 2)) {
        file.p += 2;
        file.n -= 2;
    }
    if (!mgi_name_ok(file.p, file.n, MGI_OX_NAME) || file.p[0] == '.' ||
        memchr(file.p, '/', (size_t)file.n) || memchr(file.p, '\\', (size_t)file.n) ||
        memchr(file.p, ':', (size_t)file.n))
        return oxa_bad(m, t, "its data are in a file that is not beside the model");
    memcpy(path, m->what, folder);
    memcpy(path + folder, file.p, (size_t)file.n);
    path[folder + (size_t)file.n] = 0;
    return MANGO_OK;
}

/* The file's bytes, read once. */
static mango_status oxa_file(mango_onnx *m, const oxa_tensor *t, mgi_ox_text file,
                             const mgi_ox_block **out)
{
    char path[2048];
    unsigned char *p = NULL;
    mango_idx n = 0, all = m->size;
    for (mango_idx i = 0; i < m->n_block; i++) {
        const mgi_ox_text have = m->block[i].file;
        *out = &m->block[i];
        if (have.n && have.n == file.n && !memcmp(have.p, file.p, (size_t)file.n))
            return MANGO_OK;
        all += have.n ? m->block[i].bytes : 0;
    }
    MGI_TRY(oxa_path(m, t, file, path));
    MGI_TRY(mgi_path_ends(path, m->err));
    MGI_TRY(mgi_ox_grow(m, &m->block, &m->cap_block, m->n_block + 1, 4 * MGI_OX_VALUES,
                        sizeof *m->block, "too many constants"));
    MGI_TRY(mgi_file_read(path, MGI_MAX(MGI_FILE_MAX - all, 1), &m->al, &p, &n, m->err));
    mgi_ox_block *b = &m->block[m->n_block++];
    b->p = p;
    b->bytes = n + 1;
    b->file = file;
    *out = b;
    return MANGO_OK;
}

static mango_status oxa_external(mango_onnx *m, mgi_pb body, const oxa_tensor *t,
                                 mgi_ox_array *a, mango_idx bytes)
{
    oxa_outside o = {{NULL, 0}, 0, -1};
    mgi_pb_field f;
    const mgi_ox_block *b;
    while (mgi_pb_next(&body, &f) > 0)
        if (f.number == 13 && f.wire == MGI_PB_BYTES)
            MGI_TRY(oxa_entry(m, t, f.in, &o));
    if (!o.file.n)
        return oxa_bad(m, t, "its data are in another file that is not named");
    MGI_TRY(oxa_file(m, t, o.file, &b));
    if ((o.length >= 0 && o.length != bytes) || o.offset > b->bytes - 1 ||
        bytes > b->bytes - 1 - (mango_idx)o.offset)
        return oxa_bad(m, t, "its data are not where it says in the other file");
    a->p = (const unsigned char *)b->p + o.offset;
    return MANGO_OK;
}

MGI_FN mango_status mgi_ox_tensor(mango_onnx *m, mgi_pb body, mgi_ox_array *a,
                                  mgi_ox_text *name)
{
    oxa_tensor t;
    mango_idx bytes;
    memset(&t, 0, sizeof t);
    memset(a, 0, sizeof *a);
    MGI_TRY(oxa_head(m, body, a, &t));
    *name = t.name;
    const int size = mgi_ox_size(a->type);
    if (!size)
        return oxa_bad(m, &t,
                       a->type == MGI_OX_TEXT ? "text" : "an element type not read here");
    if (!mgi_prod(a->rank, a->dim, &a->count) || !mgi_mul(a->count, size, &bytes) ||
        bytes > MGI_FILE_MAX)
        return oxa_bad(m, &t, "over 1 GiB");
    mgi_ox_rows(a);
    a->p = (const unsigned char *)"";
    if (t.outside)
        return oxa_external(m, body, &t, a, bytes);
    if (t.raw.p && t.typed)
        return oxa_bad(m, &t, "data given twice");
    if (t.raw.p && t.raw.n != bytes)
        return oxa_bad(m, &t, "data of another size than its shape");
    if (t.raw.p)
        a->p = t.raw.p;
    if (!t.raw.p && t.typed)
        return oxa_typed(m, body, &t, a);
    return t.raw.p || a->count == 0 ? MANGO_OK : oxa_bad(m, &t, "no data");
}
