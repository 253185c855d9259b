/* archive_numpy.c - NumPy's .npy and .npz (np.savez, np.savez_compressed) as archives: the
 * tensors of an .npz are named as its entries are, without ".npy"; a bare .npy is "array".
 * SPDX-License-Identifier: MIT */
#include "../data/zip.h"
#include "archive_kind.h"

typedef struct numpy_array {
    char name[257];
    mango_npy a;
} numpy_array;
typedef struct numpy_own {
    const char *format;
    mango_idx n, cap;
    numpy_array *array; /* (cap) */
} numpy_own;

static void numpy_destroy(void *own, const mango_alloc *al)
{
    numpy_own *o = (numpy_own *)own;
    if (!o)
        return;
    for (mango_idx i = 0; i < o->n; i++)
        mango_npy_free(&o->array[i].a);
    mgi_del(al, o->array, o->cap, sizeof *o->array);
    mgi_del(al, o, 1, sizeof *o);
}

static numpy_own *numpy_new(const char *format, mango_idx cap, const mango_alloc *al)
{
    numpy_own *o = mgi_new(al, 1, sizeof *o);
    if (!o)
        return NULL;
    o->format = format;
    o->n = 0;
    o->cap = cap;
    o->array = mgi_new(al, cap, sizeof *o->array);
    if (o->array)
        return o;
    mgi_del(al, o, 1, sizeof *o);
    return NULL;
}

/* ---- .npy ------------------------------------------------------------------------------ */

static int numpy_is_npy(const unsigned char *p, mango_idx n)
{
    return n >= 6 && !memcmp(p, "\x93NUMPY", 6);
}

static mango_status numpy_take_npy(void **own, unsigned char *image, mango_idx size,
                                   const char *what, const mango_codecs *codecs,
                                   const mango_alloc *al, mango_err *err)
{
    numpy_own *o = numpy_new("npy", 1, al);
    mango_status st = MANGO_E_MEM;
    (void)codecs;
    if (!o) {
        mgi_fail(err, st, "%s: out of memory", what);
    } else {
        mgi_copy(o->array[0].name, 257, "array");
        st = mango_npy_parse(&o->array[0].a, image, size, what, al, err);
        o->n = st >= 0;
    }
    mgi_del(al, image, size + 1, 1);
    if (st < 0)
        numpy_destroy(o, al);
    else
        *own = o;
    return st;
}

/* ---- .npz ------------------------------------------------------------------------------ */

/* A zip archive whose first entry ends in ".npy", as all of np.savez do. */
static int numpy_is_npz(const unsigned char *p, mango_idx n)
{
    if (n < 30 || memcmp(p, "PK\3\4", 4))
        return 0;
    const mango_idx name = (mango_idx)mgi_le16(p + 26);
    return name > 4 && name <= n - 30 && !memcmp(p + 30 + name - 4, ".npy", 4);
}

/* Entry e into the next array. */
static mango_status numpy_entry(numpy_own *o, const mgi_zip *z, const mgi_zip_entry *e,
                                const char *what, const mango_codecs *codecs,
                                mango_err *err)
{
    numpy_array *a = &o->array[o->n];
    const unsigned char *p = NULL;
    unsigned char *unpacked = NULL;
    mango_err sub = {""};
    const mango_idx k = e->n - 4;
    if (k < 1 || memcmp(e->name + k, ".npy", 4) ||
        !mgi_name_ok((const unsigned char *)e->name, k, 256))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: an entry of an .npz that is no array of a usable name", what);
    memcpy(a->name, e->name, (size_t)k);
    a->name[k] = 0;
    MGI_TRY(mgi_zip_data(z, e, what, codecs, &p, &unpacked, err));
    const mango_status st = mango_npy_parse(&a->a, p, e->size, a->name, &z->al, &sub);
    mgi_del(&z->al, unpacked, e->size + 1, 1);
    if (st < 0)
        return mgi_fail(err, st, "%s: %s", what, sub.text);
    o->n++;
    return MANGO_OK;
}

static mango_status numpy_entries(numpy_own **own, const mgi_zip *z, const char *what,
                                  const mango_codecs *codecs, mango_err *err)
{
    if (z->n > 4096)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %td arrays, at most 4096 expected", what,
                        z->n);
    *own = numpy_new("npz", z->n, &z->al);
    if (!*own)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    for (mango_idx i = 0; i < z->n; i++)
        MGI_TRY(numpy_entry(*own, z, &z->e[i], what, codecs, err));
    return MANGO_OK;
}

static mango_status numpy_take_npz(void **own, unsigned char *image, mango_idx size,
                                   const char *what, const mango_codecs *codecs,
                                   const mango_alloc *al, mango_err *err)
{
    numpy_own *o = NULL;
    mgi_zip z;
    mango_status st = mgi_zip_open(&z, image, size, what, al, err);
    if (st >= 0)
        st = numpy_entries(&o, &z, what, codecs, err);
    mgi_zip_free(&z);
    mgi_del(al, image, size + 1, 1);
    if (st < 0)
        numpy_destroy(o, al);
    else
        *own = o;
    return st;
}

/* ---- both -------------------------------------------------------------------------------- */

static mango_idx numpy_count(const void *own)
{
    return ((const numpy_own *)own)->n;
}

static void numpy_tensor(const void *own, mango_idx i, mango_tensor *t)
{
    const numpy_array *a = &((const numpy_own *)own)->array[i];
    t->name = a->name;
    t->dtype = mango_npy_type_name(a->a.type);
    t->rank = a->a.rank;
    t->count = a->a.count;
    memcpy(t->shape, a->a.shape, sizeof t->shape);
}

static mango_status numpy_floats(const void *own, mango_idx i, float *out, mango_err *err)
{
    const numpy_array *a = &((const numpy_own *)own)->array[i];
    mango_err sub = {""};
    const mango_status st = mango_npy_floats(&a->a, out, &sub);
    if (st < 0)
        return mgi_fail(err, st, "array %s: %s", a->name, sub.text);
    for (mango_idx k = 0; k < a->a.count; k++)
        if (!mgi_is_finite((double)out[k]))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "array %s: element %td is not a finite "
                            "float",
                            a->name, k);
    return MANGO_OK;
}

static void numpy_facts(const void *own, mango_archive_info *info)
{
    info->format = ((const numpy_own *)own)->format;
}

MGI_DATA const mgi_archive_kind mgi_archive_npy = {
    .is = numpy_is_npy,
    .take = numpy_take_npy,
    .count = numpy_count,
    .tensor = numpy_tensor,
    .floats = numpy_floats,
    .facts = numpy_facts,
    .destroy = numpy_destroy,
};
MGI_DATA const mgi_archive_kind mgi_archive_npz = {
    .is = numpy_is_npz,
    .take = numpy_take_npz,
    .count = numpy_count,
    .tensor = numpy_tensor,
    .floats = numpy_floats,
    .facts = numpy_facts,
    .destroy = numpy_destroy,
};
