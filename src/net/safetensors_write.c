/* safetensors_write.c - writing safetensors: values are copied as they are added,
 * laid out widest type first, read back as a check, and saved atomically.
 * SPDX-License-Identifier: MIT */
#include "safetensors.h"
#include "../base/real.h"
#include <math.h>

static void wt_store(unsigned char *p, uint64_t v, mango_idx bytes)
{
    for (mango_idx i = 0; i < bytes; i++, v >>= 8)
        p[i] = (unsigned char)(v & 255);
}

typedef struct wt_out {
    char name[257];
    mgi_dtype dtype;
    int rank;
    mango_idx shape[8], bytes;
    unsigned char *data;
} wt_out;

struct mgi_tensor_writer {
    mango_alloc al;
    mango_idx n, cap;
    wt_out *t;
    mgi_str meta;    /* the members of __metadata__, quoted, comma-separated */
    mango_status st; /* of the first call that failed, its message in err */
    mango_err err;
};

MGI_FN mango_status mgi_writer_new(mgi_tensor_writer **w, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    *w = mgi_new(&a, 1, sizeof **w);
    if (!*w)
        return MANGO_E_MEM;
    (*w)->al = a;
    mgi_str_init(&(*w)->meta, &a);
    return MANGO_OK;
}

/* Keep the first failure. */
static mango_status wt_bad(mgi_tensor_writer *w, mango_status st, const char *name,
                           const char *why)
{
    if (w->st == MANGO_OK)
        w->st = mgi_fail(&w->err, st, "tensor '%.80s': %s", name, why);
    return w->st;
}

MGI_FN mango_status mgi_writer_meta(mgi_tensor_writer *w, const char *key, const char *value)
{
    if (w->meta.n)
        mgi_str_puts(&w->meta, ",");
    mgi_json_quote(&w->meta, key, (mango_idx)strlen(key));
    mgi_str_puts(&w->meta, ":");
    mgi_json_quote(&w->meta, value, (mango_idx)strlen(value));
    if (w->meta.bad && w->st == MANGO_OK)
        w->st = mgi_fail(&w->err, MANGO_E_MEM, "no memory for metadata '%.80s'", key);
    return w->st;
}

static int wt_grow(mgi_tensor_writer *w)
{
    if (w->n < w->cap)
        return 1;
    const mango_idx cap = w->cap ? w->cap * 2 : 32;
    wt_out *t = w->t ? mgi_resize(&w->al, w->t, w->cap, cap, sizeof *t)
                     : mgi_new(&w->al, cap, sizeof *t);
    if (!t)
        return 0;
    w->t = t;
    w->cap = cap;
    return 1;
}

/* A new entry with room for its bytes; NULL after a failure. */
static wt_out *wt_push(mgi_tensor_writer *w, const char *name, mgi_dtype dtype, int rank,
                       const mango_idx *shape, mango_idx *count)
{
    mango_idx bytes;
    if (w->st < 0)
        return NULL;
    if (rank < 0 || rank > 8 || !mgi_prod(rank, shape, count) ||
        !mgi_mul(*count, mgi_dtype_size(dtype), &bytes) || strlen(name) > 256 ||
        w->n >= MGI_WEIGHTS_TENSORS_MAX) {
        wt_bad(w, MANGO_E_LIMIT, name, "the name, rank, shape or number is over the limits");
        return NULL;
    }
    unsigned char *data = wt_grow(w) ? mgi_new(&w->al, bytes, 1) : NULL;
    if (!data) {
        wt_bad(w, MANGO_E_MEM, name, "no memory for its values");
        return NULL;
    }
    wt_out *o = &w->t[w->n++];
    memset(o, 0, sizeof *o);
    mgi_copy(o->name, (mango_idx)sizeof o->name, name);
    o->dtype = dtype;
    o->rank = rank;
    for (int i = 0; i < rank; i++)
        o->shape[i] = shape[i];
    o->bytes = bytes;
    o->data = data;
    return o;
}

MGI_FN mango_status mgi_writer_add(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                   int rank, const mango_idx *shape, const float *v)
{
    mango_idx count = 0;
    if (dtype != MGI_F32 && dtype != MGI_F16 && dtype != MGI_BF16)
        return wt_bad(w, MANGO_E_ARG, name, "floats are written as F32, F16 or BF16");
    wt_out *o = wt_push(w, name, dtype, rank, shape, &count);
    if (!o)
        return w->st;
    for (mango_idx i = 0; i < count; i++) {
        uint32_t b;
        if (dtype == MGI_F32) {
            memcpy(&b, &v[i], sizeof b);
            wt_store(o->data + 4 * i, b, 4);
            continue;
        }
        const uint16_t h = dtype == MGI_F16 ? mgi_to_f16(v[i]) : mgi_to_bf16(v[i]);
        const float back = dtype == MGI_F16 ? mgi_from_f16(h) : mgi_from_bf16(h);
        if (mgi_is_finite((double)v[i]) && !mgi_is_finite((double)back))
            return wt_bad(w, MANGO_E_NONFINITE, name,
                          "a value is too large for half precision");
        wt_store(o->data + 2 * i, h, 2);
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_writer_add_raw(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                       int rank, const mango_idx *shape, const void *raw)
{
    mango_idx count = 0;
    wt_out *o = wt_push(w, name, dtype, rank, shape, &count);
    if (!o)
        return w->st;
    if (o->bytes)
        memcpy(o->data, raw, (size_t)o->bytes);
    return MANGO_OK;
}

/* The k-th place in the file: wide types first, so that all stay aligned. */
static mango_idx wt_next(const mgi_tensor_writer *w, mango_idx *size, mango_idx at)
{
    for (; *size; *size /= 2, at = -1)
        while (++at < w->n)
            if (mgi_dtype_size(w->t[at].dtype) == *size)
                return at;
    return -1;
}

static void wt_write_header(const mgi_tensor_writer *w, mgi_str *h)
{
    mango_idx begin = 0, size = 8;
    mgi_str_printf(h, "{\"__metadata__\":{%s}", w->meta.n ? w->meta.p : "");
    for (mango_idx i = -1; (i = wt_next(w, &size, i)) >= 0;) {
        const wt_out *o = &w->t[i];
        mgi_str_puts(h, ",");
        mgi_json_quote(h, o->name, (mango_idx)strlen(o->name));
        mgi_str_printf(h, ":{\"dtype\":\"%s\",\"shape\":[", mgi_dtype_name(o->dtype));
        for (int k = 0; k < o->rank; k++)
            mgi_str_printf(h, "%s%td", k ? "," : "", o->shape[k]);
        mgi_str_printf(h, "],\"data_offsets\":[%td,%td]}", begin, begin + o->bytes);
        begin += o->bytes;
    }
    mgi_str_puts(h, "}");
    while (!h->bad && h->n % 8)
        mgi_str_puts(h, " ");
}

/* The whole file; the writer's copies go as they are laid down. */
static unsigned char *wt_image(mgi_tensor_writer *w, mango_idx *total)
{
    mgi_str h;
    unsigned char *image = NULL;
    mango_idx at = 0, size = 8;
    mgi_str_init(&h, &w->al);
    wt_write_header(w, &h);
    *total = h.n + 8;
    int ok = !h.bad;
    for (mango_idx i = 0; ok && i < w->n; i++)
        ok = mgi_add(*total, w->t[i].bytes, total);
    image = ok ? mgi_new(&w->al, *total, 1) : NULL;
    if (image) {
        wt_store(image, (uint64_t)h.n, 8);
        memcpy(image + 8, h.p, (size_t)h.n);
        at = 8 + h.n;
        for (mango_idx i = -1; (i = wt_next(w, &size, i)) >= 0;) {
            wt_out *o = &w->t[i];
            if (o->bytes)
                memcpy(image + at, o->data, (size_t)o->bytes);
            at += o->bytes;
            mgi_del(&w->al, o->data, o->bytes, 1);
            o->data = NULL;
        }
        w->n = 0;
    }
    mgi_str_free(&h);
    return image;
}

MGI_FN mango_status mgi_writer_save(mgi_tensor_writer *w, const char *path, mango_err *err)
{
    mgi_tensors check;
    mango_idx size = 0;
    if (w->st < 0)
        return mgi_fail(err, w->st, "%s: %s", path, w->err.text);
    unsigned char *image = wt_image(w, &size);
    if (!image)
        return mgi_fail(err, MANGO_E_MEM, "%s: no memory for a file of %td bytes", path, size);
    /* What would be refused on reading (a name used twice, ...) is not written. */
    mango_status st = size > MGI_WEIGHTS_FILE_MAX
                          ? mgi_fail(err, MANGO_E_LIMIT,
                                     "%s: %td bytes, at most 1 GiB is written", path, size)
                          : mgi_tensors_parse(&check, image, size, path, &w->al, err);
    if (st < 0) {
        mgi_del(&w->al, image, size, 1);
        return st;
    }
    st = mgi_file_write(path, image, size, err);
    mgi_tensors_free(&check);
    return st;
}

MGI_FN void mgi_writer_free(mgi_tensor_writer *w)
{
    if (!w)
        return;
    const mango_alloc al = w->al;
    for (mango_idx i = 0; i < w->n; i++)
        mgi_del(&al, w->t[i].data, w->t[i].bytes, 1);
    if (w->t)
        mgi_del(&al, w->t, w->cap, sizeof w->t[0]);
    mgi_str_free(&w->meta);
    mgi_del(&al, w, 1, sizeof *w);
}
