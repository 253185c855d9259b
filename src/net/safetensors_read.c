/* safetensors_read.c - reading safetensors: 8 bytes of header length, a JSON header that names
 * every tensor's type, shape and byte range, then the data without a gap.
 * The reader believes nothing: every field is checked against the file's size
 * and the limits of safetensors.h before a tensor is handed out.
 * SPDX-License-Identifier: MIT */
#include "safetensors.h"
#include "../base/real.h"
#include "../math/kernel/kernels.h"
#include <math.h>
#include <stdlib.h>

#define WT_BLOCK ((mango_idx)16384) /* values that one thread widens at a time */

static const struct {
    char name[8];
    int size;
} wt_dtype[MGI_DTYPES] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I8", 1},
                          {"U8", 1},  {"I16", 2}, {"I32", 4},  {"I64", 8}, {"BOOL", 1}};

MGI_FN const char *mgi_dtype_name(mgi_dtype d)
{
    return wt_dtype[d].name;
}

MGI_FN mango_idx mgi_dtype_size(mgi_dtype d)
{
    return wt_dtype[d].size;
}

MGI_FN int mgi_dtype_find(const char *name, mgi_dtype *d)
{
    for (int i = 0; i < MGI_DTYPES; i++)
        if (!strcmp(name, wt_dtype[i].name)) {
            *d = (mgi_dtype)i;
            return 1;
        }
    return 0;
}

static uint64_t wt_load(const unsigned char *p, mango_idx bytes)
{
    uint64_t v = 0;
    for (mango_idx i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* ---- reading -------------------------------------------------------------- */

/* A name: 1..256 bytes, no control bytes (that it is UTF-8, the JSON reader saw). */
static mango_status wt_check_name(const char *name, const char *what, mango_err *err)
{
    const size_t n = strlen(name);
    if (n < 1 || n > 256)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a tensor name of %d bytes, expected 1..256",
                        what, (int)MGI_MIN(n, 1 << 20));
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: tensor name '%.60s' holds a control byte at %d", what, name,
                            (int)i);
    return MANGO_OK;
}

static mango_status wt_shape(const mgi_json *j, const mgi_json_value *a, const char *what,
                             mgi_tensor *t, mango_err *err)
{
    if (!a || a->kind != MGI_JSON_ARRAY || a->n > 8)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': shape is not a list of at most 8 sizes", what,
                        t->name);
    t->rank = (int)a->n;
    t->count = 1;
    mango_idx at = a->child;
    for (int i = 0; i < t->rank; i++, at = j->v[at].next) {
        const mgi_json_value *v = &j->v[at];
        if (v->kind != MGI_JSON_NUMBER || !v->is_int || v->i < 0 || v->i > MGI_WEIGHTS_DIM_MAX)
            return mgi_fail(
                err, MANGO_E_LIMIT,
                "%s: tensor '%.80s': size %d of shape is not a whole number 0..2^24", what,
                t->name, i);
        t->shape[i] = (mango_idx)v->i;
        if (!mgi_mul(t->count, t->shape[i], &t->count))
            return mgi_fail(err, MANGO_E_LIMIT, "%s: tensor '%.80s': shape is too large", what,
                            t->name);
    }
    return MANGO_OK;
}

/* data_offsets: [begin, end) inside the data, as many bytes as the shape says. */
static mango_status wt_range(const mgi_json *j, const mgi_json_value *a, const char *what,
                             const unsigned char *data, mango_idx size, mgi_tensor *t,
                             mango_err *err)
{
    if (!a || a->kind != MGI_JSON_ARRAY || a->n != 2)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': data_offsets is not a list of two numbers", what,
                        t->name);
    const mgi_json_value *b = &j->v[a->child], *e = &j->v[b->next];
    if (b->kind != MGI_JSON_NUMBER || !b->is_int || e->kind != MGI_JSON_NUMBER || !e->is_int ||
        b->i < 0 || e->i < b->i || e->i > size)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': data_offsets [%.0f, %.0f] are not a range inside "
                        "the %td bytes of data",
                        what, t->name, b->d, e->d, size);
    mango_idx bytes;
    if (!mgi_mul(t->count, mgi_dtype_size(t->dtype), &bytes) ||
        bytes != (mango_idx)(e->i - b->i))
        return mgi_fail(
            err, MANGO_E_FORMAT,
            "%s: tensor '%.80s': data_offsets span %td bytes, its shape needs %td of "
            "%s",
            what, t->name, (mango_idx)(e->i - b->i), t->count, mgi_dtype_name(t->dtype));
    t->raw = data + b->i;
    return MANGO_OK;
}

static mango_status wt_entry(const mgi_json *j, const mgi_json_value *v, const char *what,
                             const unsigned char *data, mango_idx size, mgi_tensor *t,
                             mango_err *err)
{
    MGI_TRY(wt_check_name(v->key, what, err));
    mgi_copy(t->name, (mango_idx)sizeof t->name, v->key);
    if (v->kind != MGI_JSON_OBJECT || v->n != 3)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': expected exactly dtype, shape and data_offsets",
                        what, t->name);
    const mgi_json_value *d = mgi_json_get(j, v, "dtype");
    if (!d || d->kind != MGI_JSON_STRING || !mgi_dtype_find(d->str, &t->dtype))
        return mgi_fail(
            err, MANGO_E_UNSUPPORTED,
            "%s: tensor '%.80s': dtype '%.20s' is not one of F32 F16 BF16 F64 I8 U8 "
            "I16 I32 I64 BOOL",
            what, t->name, d && d->kind == MGI_JSON_STRING ? d->str : "?");
    MGI_TRY(wt_shape(j, mgi_json_get(j, v, "shape"), what, t, err));
    return wt_range(j, mgi_json_get(j, v, "data_offsets"), what, data, size, t, err);
}

static mango_idx wt_bytes(const mgi_tensor *t)
{
    return t->count * mgi_dtype_size(t->dtype);
}

static int wt_by_place(const void *x, const void *y)
{
    const mgi_tensor *a = x, *b = y;
    if (a->raw != b->raw)
        return a->raw < b->raw ? -1 : 1;
    return (wt_bytes(a) > wt_bytes(b)) - (wt_bytes(a) < wt_bytes(b));
}

static int wt_by_name(const void *x, const void *y)
{
    return strcmp(((const mgi_tensor *)x)->name, ((const mgi_tensor *)y)->name);
}

/* The tensors must tile the data: no hole, no overlap, nothing behind. */
static mango_status wt_tile(mgi_tensors *f, const char *what, const unsigned char *data,
                            mango_idx size, mango_err *err)
{
    mango_idx at = 0;
    qsort(f->t, (size_t)f->n, sizeof f->t[0], wt_by_place);
    for (mango_idx i = 0; i < f->n; i++) {
        const mango_idx begin = f->t[i].raw - data;
        if (begin != at)
            return mgi_fail(
                err, MANGO_E_FORMAT,
                "%s: tensor '%.80s' begins at byte %td of the data, expected %td (%s)", what,
                f->t[i].name, begin, at, begin < at ? "an overlap" : "a hole");
        at += wt_bytes(&f->t[i]);
    }
    if (at != size)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %td bytes follow the last tensor at offset %td, expected none",
                        what, size - at, f->size - (size - at));
    qsort(f->t, (size_t)f->n, sizeof f->t[0], wt_by_name);
    for (mango_idx i = 1; i < f->n; i++)
        if (!strcmp(f->t[i - 1].name, f->t[i].name))
            return mgi_fail(err, MANGO_E_FORMAT, "%s: tensor '%.80s' is there twice", what,
                            f->t[i].name);
    return MANGO_OK;
}

/* The header's outline: an object, metadata of strings, not too many tensors. */
static mango_status wt_outline(const mgi_json *j, const char *what, mango_idx *n,
                               const mgi_json_value **meta, mango_err *err)
{
    if (j->v[0].kind != MGI_JSON_OBJECT)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: the header is not a JSON object", what);
    const mgi_json_value *m = mgi_json_get(j, &j->v[0], "__metadata__");
    if (m && m->kind != MGI_JSON_OBJECT)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: __metadata__ is not an object", what);
    if (m && m->n > MGI_WEIGHTS_META_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %td strings of metadata, at most %d are read",
                        what, m->n, MGI_WEIGHTS_META_MAX);
    for (mango_idx at = m ? m->child : -1; at >= 0; at = j->v[at].next)
        if (j->v[at].kind != MGI_JSON_STRING)
            return mgi_fail(err, MANGO_E_FORMAT, "%s: __metadata__ '%.80s' is not a string",
                            what, j->v[at].key);
    *meta = m;
    *n = j->v[0].n - (m ? 1 : 0);
    if (*n > MGI_WEIGHTS_TENSORS_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %td tensors, at most %d are read", what, *n,
                        MGI_WEIGHTS_TENSORS_MAX);
    return MANGO_OK;
}

/* Length field and JSON text; *head is the header's length. */
static mango_status wt_header(mgi_tensors *f, const char *what, mango_idx *head, mango_err *err)
{
    mango_err sub;
    if (f->size < 8)
        return mgi_fail(
            err, MANGO_E_FORMAT,
            "%s: %td bytes, a safetensors file begins with 8 bytes of header length", what,
            f->size);
    const uint64_t n = wt_load(f->image, 8);
    if (n > (uint64_t)MGI_WEIGHTS_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: offset 0: header length %.0f, at most 1 MiB is read", what,
                        (double)n);
    if (n > (uint64_t)(f->size - 8))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: truncated: the header should have %d bytes, %td are there", what,
                        (int)n, f->size - 8);
    *head = (mango_idx)n;
    if (n == 0 || f->image[8] != '{')
        return mgi_fail(err, MANGO_E_FORMAT, "%s: offset 8: the header does not begin with '{'",
                        what);
    sub.text[0] = 0;
    const mango_status st =
        mgi_json_parse(&f->header, (const char *)f->image + 8, *head, &f->al, &sub);
    return st < 0 ? mgi_fail(err, st, "%s: header: %s", what, sub.text) : MANGO_OK;
}

MGI_FN mango_status mgi_tensors_parse(mgi_tensors *f, unsigned char *image, mango_idx size,
                                      const char *what, const mango_alloc *al, mango_err *err)
{
    mango_status st;
    mango_idx head = 0, n = 0;
    memset(f, 0, sizeof *f);
    f->al = mgi_alloc_get(al);
    f->image = image;
    f->size = f->room = size;
    st = wt_header(f, what, &head, err);
    if (st < 0) {
        memset(f, 0, sizeof *f);
        return st;
    }
    MGI_TRY_TO(wt_outline(&f->header, what, &n, &f->meta, err));
    f->t = mgi_new(&f->al, n, sizeof f->t[0]);
    if (!f->t) {
        st = mgi_fail(err, MANGO_E_MEM, "%s: no memory for the list of %td tensors", what, n);
        goto done;
    }
    f->n = n;
    const unsigned char *data = image + 8 + head;
    const mango_idx data_size = size - 8 - head;
    mango_idx i = 0;
    for (mango_idx at = f->header.v[0].child; at >= 0; at = f->header.v[at].next)
        if (&f->header.v[at] != f->meta)
            MGI_TRY_TO(wt_entry(&f->header, &f->header.v[at], what, data, data_size, &f->t[i++],
                                err));
    MGI_TRY_TO(wt_tile(f, what, data, data_size, err));
done:
    if (st < 0) {
        f->image = NULL;
        mgi_tensors_free(f);
    }
    return st;
}

MGI_FN mango_status mgi_tensors_read(mgi_tensors *f, const char *path, const mango_alloc *al,
                                     mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    unsigned char *image = NULL;
    mango_idx size = 0;
    memset(f, 0, sizeof *f);
    MGI_TRY(mgi_file_read(path, MGI_WEIGHTS_FILE_MAX, &a, &image, &size, err));
    const mango_status st = mgi_tensors_parse(f, image, size, path, &a, err);
    if (st < 0)
        mgi_del(&a, image, size + 1, 1); /* with the NUL that file_read adds */
    else
        f->room = size + 1;
    return st;
}

MGI_FN void mgi_tensors_free(mgi_tensors *f)
{
    if (!f || !f->al.fn)
        return;
    mgi_json_free(&f->header);
    if (f->t)
        mgi_del(&f->al, f->t, f->n, sizeof f->t[0]);
    if (f->image)
        mgi_del(&f->al, f->image, f->room, 1);
    memset(f, 0, sizeof *f);
}

MGI_FN const mgi_tensor *mgi_tensors_find(const mgi_tensors *f, const char *name)
{
    mango_idx lo = 0, hi = f->n;
    while (lo < hi) {
        const mango_idx mid = lo + (hi - lo) / 2;
        const int c = strcmp(name, f->t[mid].name);
        if (c == 0)
            return &f->t[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

MGI_FN const char *mgi_tensors_meta(const mgi_tensors *f, const char *key)
{
    const mgi_json_value *v = f->meta ? mgi_json_get(&f->header, f->meta, key) : NULL;
    return v ? v->str : NULL;
}

MGI_FN int mgi_tensors_meta_at(const mgi_tensors *f, mango_idx i, const char **key,
                               const char **value)
{
    const mgi_json_value *m = f->meta;
    if (!m || i < 0 || i >= m->n)
        return 0;
    const mgi_json_value *v = mgi_json_at(&f->header, m, i);
    *key = v->key;
    *value = v->str;
    return 1;
}

/* ---- values ---------------------------------------------------------------- */

/* A half without branches, so that the loop below runs in vectors: 2^112 moves
 * the exponent's bias from 15 to 127, exactly, subnormal halves included. */
static float wt_half(uint32_t h)
{
    const uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
    uint32_t b = (h & 0x7fffu) << 13;
    float v;
    memcpy(&v, &b, sizeof v);
    v *= 0x1p112f;
    memcpy(&b, &v, sizeof b);
    b |= special | (h & 0x8000u) << 16;
    memcpy(&v, &b, sizeof v);
    return v;
}

/* n floats of type d from p. One loop a type, since a network has millions of
 * values; each is a row of independent elements for the vectorizer. */
static void wt_widen(mgi_dtype d, mango_idx n, const unsigned char *p, float *out)
{
    if (d == MGI_F16) {
        for (mango_idx i = 0; i < n; i++, p += 2)
            out[i] = wt_half((uint32_t)p[0] | (uint32_t)p[1] << 8);
    } else if (d == MGI_BF16) {
        for (mango_idx i = 0; i < n; i++, p += 2)
            out[i] = mgi_from_bf16((uint16_t)(p[0] | p[1] << 8));
    } else if (d == MGI_F64) {
        for (mango_idx i = 0; i < n; i++, p += 8) {
            const uint64_t b = wt_load(p, 8);
            double v;
            memcpy(&v, &b, sizeof v);
            out[i] = (float)v;
        }
    } else {
        for (mango_idx i = 0; i < n; i++, p += 4) {
            const uint32_t b = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                               (uint32_t)p[3] << 24;
            memcpy(&out[i], &b, sizeof b);
        }
    }
}

/* Widen all, block by block on all threads; the first block of which a value
 * is not finite, or t->count. */
static mango_idx wt_widen_all(const mgi_tensor *t, float *out)
{
    const mango_idx size = mgi_dtype_size(t->dtype);
    mango_idx bad = t->count;
    MGI_OMP(parallel for schedule(static) reduction(min : bad) if (t->count > 4 * WT_BLOCK))
    for (mango_idx i = 0; i < t->count; i += WT_BLOCK) {
        const mango_idx n = MGI_MIN(WT_BLOCK, t->count - i);
        unsigned special = 0;
        wt_widen(t->dtype, n, t->raw + i * size, out + i);
        for (mango_idx k = 0; k < n; k++) {
            uint32_t bits;
            memcpy(&bits, out + i + k, sizeof bits);
            special |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        if (special && i < bad)
            bad = i;
    }
    return bad;
}

MGI_FN int mgi_file_halves_finite(mango_idx n, const unsigned char *raw)
{
    int special = 0;
    MGI_OMP(parallel for schedule(static) reduction(| : special) if (n > 4 * WT_BLOCK))
    for (mango_idx i = 0; i < n; i += WT_BLOCK) {
        const mango_idx end = MGI_MIN(i + WT_BLOCK, n);
        int found = 0;
        for (mango_idx k = i; k < end; k++)
            found |= (raw[2 * k + 1] & 0x7c) == 0x7c;
        special |= found;
    }
    return !special;
}

MGI_FN void mgi_file_halves(mango_idx n, const unsigned char *raw, float *out)
{
    const mgi_kernels *k = mgi_kernels_get();
    if (n <= WT_BLOCK) { /* a team of one has its price, too */
        k->widen(n, raw, out);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (n > 4 * WT_BLOCK))
    for (mango_idx i = 0; i < n; i += WT_BLOCK)
        k->widen(MGI_MIN(WT_BLOCK, n - i), raw + 2 * i, out + i);
}

static int wt_is_int(mgi_dtype d)
{
    return d >= MGI_I8;
}

/* Value i of an integer tensor, with its sign. */
static int64_t wt_int(const mgi_tensor *t, mango_idx i)
{
    const mango_idx size = mgi_dtype_size(t->dtype);
    uint64_t v = wt_load(t->raw + i * size, size);
    if (t->dtype != MGI_U8 && t->dtype != MGI_BOOL && size < 8 && (v >> (size * 8 - 1) & 1))
        v |= ~(uint64_t)0 << (size * 8);
    int64_t s;
    memcpy(&s, &v, sizeof s);
    return s;
}

MGI_FN mango_status mgi_tensor_floats(const mgi_tensor *t, int finite, float *out,
                                      mango_err *err)
{
    const mango_idx bad = wt_is_int(t->dtype) ? t->count : wt_widen_all(t, out);
    for (mango_idx i = 0; wt_is_int(t->dtype) && i < t->count; i++) {
        const int64_t v = wt_int(t, i);
        if (v > 1 << 24 || v < -(1 << 24) || (t->dtype == MGI_BOOL && v > 1))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor '%.80s': value %.0f at index %td is not exact in float",
                            t->name, (double)v, i);
        out[i] = (float)v;
    }
    for (mango_idx i = bad; finite && i < t->count; i++)
        if (!mgi_is_finite((double)out[i]))
            return mgi_fail(
                err, MANGO_E_NONFINITE,
                "tensor '%.80s': NaN or infinite at index %td, expected finite values", t->name,
                i);
    return MANGO_OK;
}

#undef WT_BLOCK
