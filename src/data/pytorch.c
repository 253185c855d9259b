/* pytorch.c - PyTorch checkpoints: the zip format of torch.save, and the
 * legacy one: pickles of a magic number, a version, facts of the machine, the
 * object and the storage keys, then each storage as a count and its bytes.
 * SPDX-License-Identifier: MIT */
#include "pickle.h"
#include "zip.h"
#include <stdlib.h>

enum { PTC_TENSORS = 4096, PTC_NAME = 256, PTC_STORAGES = MGI_ZIP_ENTRIES };

/* A tensor: `count` elements of the storage's bytes from `first` on. */
typedef struct ptc_tensor {
    mango_idx name; /* offset into names */
    int dtype, rank;
    mango_idx shape[MGI_RANK_MAX], stride[MGI_RANK_MAX], count, first;
    const unsigned char *p; /* the storage, all of it in range */
} ptc_tensor;

/* A storage that was looked up: its bytes, owned when they were inflated. */
typedef struct ptc_storage {
    const unsigned char *key, *p;
    mango_idx n_key, bytes, n_owned;
    unsigned char *owned;
} ptc_storage;

struct mango_pytorch {
    mango_alloc al;
    unsigned char *image; /* size + 1 bytes */
    mango_idx size;
    int legacy;
    char under[32];
    mgi_str names;
    ptc_tensor *t;
    mango_idx n, cap;
    ptc_storage *storage;
    mango_idx n_storage, cap_storage;
    /* while it is read */
    const char *what;
    const mango_codecs *codecs;
    mgi_pickle pk;
    mgi_zip zip;
    char prefix[MGI_ZIP_NAME + 1]; /* of the archive's names, "archive/" */
    unsigned char *pkl_owned;
    mango_idx pkl_size;
    mango_err *err;
};

static mango_status ptc_bad(mango_pytorch *c, mango_status st, const char *why)
{
    return mgi_fail(c->err, st, "%s: %s", c->what, why);
}

/* ---- storages ---- */

/* The storage of key s[n] if it was met before, else NULL. */
static ptc_storage *ptc_known(mango_pytorch *c, const unsigned char *s, mango_idx n)
{
    for (mango_idx i = c->n_storage - 1; i >= 0; i--)
        if (c->storage[i].n_key == n && !memcmp(c->storage[i].key, s, (size_t)n))
            return &c->storage[i];
    return NULL;
}

static mango_status ptc_add_storage(mango_pytorch *c, const unsigned char *key,
                                    mango_idx n_key, const unsigned char *p,
                                    mango_idx bytes)
{
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->storage, &c->cap_storage, c->n_storage + 1,
                            PTC_STORAGES, sizeof *c->storage, "too many storages"));
    ptc_storage *s = &c->storage[c->n_storage++];
    s->key = key;
    s->n_key = n_key;
    s->p = p;
    s->bytes = bytes;
    s->owned = NULL;
    s->n_owned = 0;
    return MANGO_OK;
}

/* zip: entry PREFIXdata/KEY. The key holds letters and digits only. */
static mango_status ptc_zip_storage(mango_pytorch *c, const mgi_pk_value *v)
{
    char name[MGI_ZIP_NAME + 80];
    const size_t at = strlen(c->prefix);
    const mgi_zip_entry *e;
    const unsigned char *p = NULL;
    unsigned char *owned = NULL;
    memcpy(name, c->prefix, at);
    memcpy(name + at, "data/", 5);
    memcpy(name + at + 5, v->s, (size_t)v->n);
    name[at + 5 + (size_t)v->n] = 0;
    e = mgi_zip_find(&c->zip, name);
    if (!e)
        return mgi_fail(c->err, MANGO_E_FORMAT, "%s: no entry %s, which a tensor needs",
                        c->what, name);
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, c->codecs, &p, &owned, c->err));
    mango_status st = ptc_add_storage(c, v->s, v->n, p, e->size);
    if (st < 0) {
        mgi_del(&c->al, owned, e->size + 1, 1);
        return st;
    }
    c->storage[c->n_storage - 1].owned = owned;
    c->storage[c->n_storage - 1].n_owned = e->size + 1;
    return MANGO_OK;
}

/* The bytes of storage value v, at least the elements that it states. */
static mango_status ptc_find_storage(mango_pytorch *c, int32_t v, ptc_storage **s)
{
    const mgi_pk_value *st = &c->pk.v[v];
    *s = ptc_known(c, st->s, st->n);
    if (!*s && c->legacy)
        return ptc_bad(c, MANGO_E_FORMAT, "a tensor's storage is not in the file");
    if (!*s) {
        MGI_TRY(ptc_zip_storage(c, st));
        *s = &c->storage[c->n_storage - 1];
    }
    if (st->i > (*s)->bytes / mgi_pk_size(st->what))
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage is shorter than a tensor says; truncated?");
    return MANGO_OK;
}

/* ---- tensors ---- */

/* Sizes and strides of tensor value v; every element inside `limit`. */
static mango_status ptc_shape(mango_pytorch *c, ptc_tensor *t, const mgi_pk_value *v,
                              mango_idx limit)
{
    const mgi_pk_value *size = &c->pk.v[v->head];
    mango_idx last = t->first;
    if (size->n > MGI_RANK_MAX)
        return ptc_bad(c, MANGO_E_LIMIT, "a tensor of more than 8 dimensions");
    t->rank = (int)size->n;
    for (int r = 0; r < t->rank; r++) {
        const mgi_pk_value *a = &c->pk.v[mgi_pickle_item(&c->pk, v->head, r)];
        const mgi_pk_value *b = &c->pk.v[mgi_pickle_item(&c->pk, v->tail, r)];
        if (a->kind != MGI_PK_INT || b->kind != MGI_PK_INT || a->i < 0 || b->i < 0 ||
            a->i > MGI_DIM_MAX || b->i > MGI_FILE_MAX)
            return ptc_bad(c, MANGO_E_LIMIT,
                           "a tensor's size or stride is negative or over 2^24");
        t->shape[r] = (mango_idx)a->i;
        t->stride[r] = (mango_idx)b->i;
    }
    if (!mgi_prod(t->rank, t->shape, &t->count) || t->count > MGI_FILE_MAX / 4)
        return ptc_bad(c, MANGO_E_LIMIT, "a tensor of over 1 GiB");
    for (int r = 0; r < t->rank && t->count > 0; r++) {
        mango_idx span;
        if (!mgi_mul(t->shape[r] - 1, t->stride[r], &span) || !mgi_add(last, span, &last))
            return ptc_bad(c, MANGO_E_FORMAT, "a tensor's strides leave its storage");
    }
    if (t->count > 0 && last >= limit)
        return ptc_bad(c, MANGO_E_FORMAT, "a tensor reaches beyond its storage");
    return MANGO_OK;
}

static mango_status ptc_add(mango_pytorch *c, int32_t key, int32_t value)
{
    const mgi_pk_value *k = &c->pk.v[key], *v = &c->pk.v[value], *st = &c->pk.v[v->what];
    ptc_storage *s = NULL;
    mango_idx base = 0, limit = (mango_idx)st->i;
    if (k->kind != MGI_PK_STRING || !mgi_name_ok(k->s, k->n, PTC_NAME))
        return ptc_bad(
            c, MANGO_E_FORMAT,
            "a tensor's name is no text of 1 to 256 bytes without control bytes");
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->t, &c->cap, c->n + 1, PTC_TENSORS, sizeof *c->t,
                            "more than 4096 tensors"));
    MGI_TRY(ptc_find_storage(c, v->what, &s));
    if (st->head >= 0) { /* a view of the legacy format */
        base = (mango_idx)c->pk.view[st->head].first;
        limit = base + (mango_idx)c->pk.view[st->head].count;
    }
    ptc_tensor *t = &c->t[c->n];
    memset(t, 0, sizeof *t);
    t->dtype = st->what;
    t->first = base + (mango_idx)v->i;
    t->p = s->p;
    MGI_TRY(ptc_shape(c, t, v, limit));
    t->name = c->names.n;
    mgi_str_put(&c->names, (const char *)k->s, k->n);
    mgi_str_put(&c->names, "", 1);
    if (c->names.bad)
        return ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (mango_idx i = 0; i < c->n; i++)
        if (!strcmp(c->names.p + c->t[i].name, c->names.p + t->name))
            return mgi_fail(c->err, MANGO_E_FORMAT, "%s: tensor %s is there twice", c->what,
                            c->names.p + t->name);
    c->n++;
    return MANGO_OK;
}

/* Does dict d hold a tensor itself? */
static int ptc_has_tensors(const mango_pytorch *c, int32_t d)
{
    if (d < 0 || c->pk.v[d].kind != MGI_PK_DICT)
        return 0;
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next)
        if (c->pk.v[c->pk.cell[i].v].kind == MGI_PK_TENSOR)
            return 1;
    return 0;
}

/* The dict that holds the parameters: under a known key, up to 3 deep. */
static int32_t ptc_state_dict(mango_pytorch *c, int32_t root)
{
    static const char *const keys[] = {"net", "model", "state_dict", "model_state_dict"};
    for (int depth = 0; depth < 3; depth++) {
        int32_t inner = -1;
        for (mango_idx i = 0; i < MGI_COUNT(keys) && inner < 0; i++) {
            inner = mgi_pickle_get(&c->pk, root, keys[i]);
            if (inner >= 0 && c->pk.v[inner].kind != MGI_PK_DICT)
                inner = -1;
            if (inner >= 0)
                mgi_copy(c->under, (mango_idx)sizeof c->under, keys[i]);
        }
        if (inner < 0)
            break;
        root = inner;
    }
    return ptc_has_tensors(c, root) ? root : -1;
}

/* The file holds no state dict: say what it holds. */
static mango_status ptc_nothing(mango_pytorch *c, int32_t root)
{
    char keys[120] = "";
    mango_idx at = 0;
    const mgi_pk_value *v = &c->pk.v[root];
    if (v->kind == MGI_PK_TENSOR)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "holds one bare tensor, a dict of named ones expected");
    for (int32_t i = v->kind == MGI_PK_DICT ? v->head : -1; i >= 0;
         i = c->pk.cell[i].next) {
        const mgi_pk_value *k = &c->pk.v[c->pk.cell[i].k];
        if (k->kind != MGI_PK_STRING || k->n > 40 || at + k->n + 3 > (mango_idx)sizeof keys)
            continue;
        if (at) {
            memcpy(keys + at, ", ", 2);
            at += 2;
        }
        memcpy(keys + at, k->s, (size_t)k->n);
        keys[at += k->n] = 0;
    }
    return mgi_fail(c->err, MANGO_E_FORMAT,
                    "%s: no tensors, neither there nor under net, model, state_dict or "
                    "model_state_dict%s%s",
                    c->what, at ? "; it has " : "", keys);
}

static mango_status ptc_collect(mango_pytorch *c, int32_t root)
{
    const int32_t d = ptc_state_dict(c, root);
    if (d < 0)
        return ptc_nothing(c, root);
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next)
        if (c->pk.v[c->pk.cell[i].v].kind == MGI_PK_TENSOR)
            MGI_TRY(ptc_add(c, c->pk.cell[i].k, c->pk.cell[i].v));
    return MANGO_OK;
}

/* ---- the two formats ---- */

/* Entry PREFIX + name, or NULL. */
static const mgi_zip_entry *ptc_entry(const mango_pytorch *c, const char *name)
{
    char full[MGI_ZIP_NAME + 40];
    mgi_copy(full, (mango_idx)sizeof full, c->prefix);
    if (!mgi_copy(full + strlen(full), 40, name))
        return NULL;
    return mgi_zip_find(&c->zip, full);
}

/* The one entry that ends in "/data.pkl" with one folder before it. */
static const mgi_zip_entry *ptc_pickle_entry(mango_pytorch *c)
{
    const mango_idx n = (mango_idx)strlen("/data.pkl");
    for (mango_idx i = 0; i < c->zip.n; i++) {
        const mgi_zip_entry *e = &c->zip.e[i];
        if (e->n > n && !memcmp(e->name + e->n - n, "/data.pkl", (size_t)n) &&
            !memchr(e->name, '/', (size_t)(e->n - n)) &&
            !memchr(e->name, 0, (size_t)e->n)) {
            memcpy(c->prefix, e->name, (size_t)(e->n - n + 1));
            return e;
        }
    }
    return NULL;
}

static mango_status ptc_zip(mango_pytorch *c)
{
    const unsigned char *p = NULL;
    unsigned char *owned = NULL;
    int32_t root;
    mango_idx used;
    MGI_TRY(mgi_zip_open(&c->zip, c->image, c->size, c->what, &c->al, c->err));
    const mgi_zip_entry *e = ptc_pickle_entry(c), *order;
    if (!e)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a zip archive without data.pkl, so not from torch.save");
    if (ptc_entry(c, "constants.pkl"))
        return ptc_bad(c, MANGO_E_UNSUPPORTED,
                       "a TorchScript module with code; save its state_dict() with "
                       "torch.save instead");
    order = ptc_entry(c, "byteorder");
    if (order) {
        MGI_TRY(mgi_zip_data(&c->zip, order, c->what, c->codecs, &p, &owned, c->err));
        const int little = order->size == 6 && !memcmp(p, "little", 6);
        mgi_del(&c->al, owned, order->size + 1, 1);
        if (!little)
            return ptc_bad(c, MANGO_E_UNSUPPORTED, "written by a big-endian machine");
    }
    if (e->size > MGI_PK_BYTES_MAX)
        return ptc_bad(c, MANGO_E_LIMIT, "a data.pkl of over 64 MiB");
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, c->codecs, &p, &c->pkl_owned, c->err));
    c->pkl_size = e->size;
    MGI_TRY(mgi_pickle_run(&c->pk, p, e->size, &root, &used, c->err));
    if (used != e->size)
        return ptc_bad(c, MANGO_E_FORMAT, "bytes behind the pickle's end in data.pkl");
    return ptc_collect(c, root);
}

static int ptc_by_key(const void *x, const void *y)
{
    const mgi_pk_value *a = *(const mgi_pk_value *const *)x,
                       *b = *(const mgi_pk_value *const *)y;
    int c = memcmp(a->s, b->s, (size_t)MGI_MIN(a->n, b->n));
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* All storages that the pickle refers to, sorted by key: *n of them. */
static const mgi_pk_value **ptc_referred(const mango_pytorch *c, mango_idx *n)
{
    mango_idx count = 0;
    for (mango_idx i = 0; i < c->pk.n_v; i++)
        count += c->pk.v[i].kind == MGI_PK_STORAGE;
    const mgi_pk_value **p = (const mgi_pk_value **)mgi_new(&c->al, count, sizeof *p);
    *n = count;
    count = 0;
    for (mango_idx i = 0; p && i < c->pk.n_v; i++)
        if (c->pk.v[i].kind == MGI_PK_STORAGE)
            p[count++] = &c->pk.v[i];
    if (p)
        qsort((void *)p, (size_t)count, sizeof *p, ptc_by_key);
    return p;
}

/* One storage at *at: its number of elements, then the elements. */
static mango_status ptc_legacy_storage(mango_pytorch *c, const mgi_pk_value *key,
                                       const mgi_pk_value *const *known, mango_idx n,
                                       mango_idx *at)
{
    mango_idx bytes;
    const mgi_pk_value *const *hit = NULL;
    if (key->kind == MGI_PK_STRING)
        hit = (const mgi_pk_value *const *)bsearch(&key, (const void *)known, (size_t)n,
                                                   sizeof *known, ptc_by_key);
    if (!hit || ptc_known(c, key->s, key->n))
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage that no tensor refers to, or that is there twice");
    if (c->size - *at < 8 || mgi_le64(c->image + *at) != (uint64_t)(*hit)->i)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage's size does not match its tensors; truncated?");
    *at += 8;
    if (!mgi_mul((mango_idx)(*hit)->i, mgi_pk_size((*hit)->what), &bytes) ||
        bytes > c->size - *at)
        return ptc_bad(c, MANGO_E_FORMAT, "truncated: a storage goes beyond its end");
    MGI_TRY(ptc_add_storage(c, key->s, key->n, c->image + *at, bytes));
    *at += bytes;
    return MANGO_OK;
}

/* Behind the pickles: the storages in the order of their keys. */
static mango_status ptc_legacy_storages(mango_pytorch *c, int32_t keys, mango_idx at)
{
    mango_idx n = 0;
    mango_status st = MANGO_OK;
    if (c->pk.v[keys].kind != MGI_PK_LIST || c->pk.v[keys].n > PTC_STORAGES)
        return ptc_bad(c, MANGO_E_FORMAT, "a malformed list of storages");
    const mgi_pk_value **known = ptc_referred(c, &n);
    if (!known)
        return ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (int32_t i = c->pk.v[keys].head; st >= 0 && i >= 0; i = c->pk.cell[i].next)
        st = ptc_legacy_storage(c, &c->pk.v[c->pk.cell[i].v], known, n, &at);
    mgi_del(&c->al, (void *)known, n, sizeof *known);
    if (st >= 0 && at != c->size)
        st = ptc_bad(c, MANGO_E_FORMAT, "bytes behind the last storage");
    return st;
}

static mango_status ptc_legacy(mango_pytorch *c)
{
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                            0x20, 0x6a, 0xa8, 0x50, 0x19};
    int32_t v[5];
    mango_idx at = 0, used;
    c->legacy = 1;
    for (int i = 0; i < 5; i++) {
        MGI_TRY(mgi_pickle_run(&c->pk, c->image + at, c->size - at, &v[i], &used, c->err));
        const mgi_pk_value *x = &c->pk.v[v[i]];
        at += used;
        if (i == 0 && (x->kind != MGI_PK_LONG || x->n != 10 || memcmp(x->s, magic, 10)))
            return ptc_bad(c, MANGO_E_FORMAT, "a pickle, but not one of torch.save");
        if (i == 1 && (x->kind != MGI_PK_INT || x->i != 1001))
            return ptc_bad(c, MANGO_E_UNSUPPORTED, "a torch.save format other than 1001");
        if (i == 2) {
            int32_t order = mgi_pickle_get(&c->pk, v[2], "little_endian");
            if (order < 0 || c->pk.v[order].kind != MGI_PK_BOOL || !c->pk.v[order].i)
                return ptc_bad(c, MANGO_E_UNSUPPORTED, "written by a big-endian machine");
        }
    }
    MGI_TRY(ptc_legacy_storages(c, v[4], at));
    return ptc_collect(c, v[3]);
}

/* Other things that people hand over by mistake, by name. */
static mango_status ptc_format(mango_pytorch *c)
{
    const unsigned char *p = c->image;
    const mango_idx n = c->size;
    static const char lfs[] = "version https://git-lfs";
    if (n < 4)
        return ptc_bad(c, MANGO_E_FORMAT, "empty or truncated");
    if (n >= (mango_idx)sizeof lfs && !memcmp(p, lfs, sizeof lfs - 1))
        return ptc_bad(
            c, MANGO_E_FORMAT,
            "a git-lfs pointer, not the checkpoint itself; fetch it with `git lfs pull`");
    if (p[0] == '<')
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a web page, not a checkpoint; the download went wrong");
    if (n > 262 && !memcmp(p + 257, "ustar", 5))
        return ptc_bad(c, MANGO_E_UNSUPPORTED, "the tar format of PyTorch before 0.1.10");
    if (p[0] == 'P' && p[1] == 'K')
        return ptc_zip(c);
    if (p[0] == 0x80)
        return ptc_legacy(c);
    return ptc_bad(c, MANGO_E_FORMAT,
                   "neither a zip archive nor a pickle, so not from torch.save");
}

MGI_FN mango_status mgi_pytorch_take(mango_pytorch **out, unsigned char *image, mango_idx size,
                             const char *what, const mango_codecs *codecs,
                             const mango_alloc *al, mango_err *err)
{
    mango_pytorch *c = (mango_pytorch *)mgi_new(al, 1, sizeof *c);
    *out = NULL;
    if (!c) {
        mgi_del(al, image, size + 1, 1);
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    }
    c->al = *al;
    c->image = image;
    c->size = size;
    c->what = what;
    c->codecs = codecs;
    c->err = err;
    mgi_str_init(&c->names, al);
    mgi_pickle_init(&c->pk, what, al);
    mango_status st = ptc_format(c);
    mgi_pickle_free(&c->pk);
    mgi_zip_free(&c->zip);
    mgi_del(al, c->pkl_owned, c->pkl_size + 1, 1);
    c->pkl_owned = NULL;
    c->what = NULL;
    c->codecs = NULL;
    c->err = NULL;
    if (st < 0)
        mango_pytorch_destroy(c);
    else
        *out = c;
    return st;
}

mango_status mango_pytorch_open(mango_pytorch **c, const char *path,
                                   const mango_codecs *codecs, const mango_alloc *alloc,
                                   mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *image = NULL;
    mango_idx size = 0;
    MGI_CHECK(err, c && path, "mango_pytorch_open: a place for the result and a path expected");
    *c = NULL;
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &image, &size, err));
    return mgi_pytorch_take(c, image, size, path, codecs, &al, err);
}

mango_status mango_pytorch_parse(mango_pytorch **c, const unsigned char *bytes,
                                    mango_idx n, const char *what,
                                    const mango_codecs *codecs, const mango_alloc *alloc,
                                    mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    MGI_CHECK(err, c && what && n >= 0 && (bytes || n == 0),
              "mango_pytorch_parse: bytes and their name expected");
    *c = NULL;
    if (n > MGI_FILE_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: over 1 GiB", what);
    unsigned char *image = (unsigned char *)mgi_new(&al, n + 1, 1);
    if (!image)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what, (long)n);
    if (n)
        memcpy(image, bytes, (size_t)n);
    return mgi_pytorch_take(c, image, n, what, codecs, &al, err);
}

/* ---- what callers see ---- */

mango_status mango_pytorch_get_sized(const mango_pytorch *c, mango_pytorch_info *info,
                                     size_t size)
{
    MGI_REQUIRE(c && info);
    const mango_pytorch_info own = {c->legacy ? "legacy" : "zip", c->under};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_pytorch_tensors(const mango_pytorch *c)
{
    return c ? c->n : -1;
}

mango_status mango_pytorch_tensor_sized(const mango_pytorch *c, mango_idx i,
                                        mango_tensor *t, size_t size)
{
    MGI_REQUIRE(c && t && i >= 0 && i < c->n);
    mango_tensor own = {c->names.p + c->t[i].name, mgi_pk_type_name(c->t[i].dtype),
                        c->t[i].rank, {0}, c->t[i].count};
    memcpy(own.shape, c->t[i].shape, sizeof own.shape);
    mgi_info_out(t, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_pytorch_floats(const mango_pytorch *c, mango_idx i, float *out,
                                     mango_err *err)
{
    mango_idx at[MGI_RANK_MAX] = {0}, from;
    MGI_CHECK(err, c && out && i >= 0 && i < c->n, "mango_pytorch_floats: no tensor %td", i);
    const ptc_tensor *t = &c->t[i];
    const int size = mgi_pk_size(t->dtype);
    from = t->first;
    for (mango_idx e = 0; e < t->count; e++) {
        int64_t whole = 0;
        const double v = mgi_pk_element(t->p + from * size, t->dtype, &whole);
        if (!(v >= -3.4028234663852886e38 && v <= 3.4028234663852886e38))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "tensor %s: element %ld is not a finite float",
                            c->names.p + t->name, (long)e);
        out[e] = (float)v;
        if (t->dtype >= MGI_PK_I64 &&
            (whole > 9007199254740992 || whole < -9007199254740992 || (double)out[e] != v))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor %s: element %ld is %lld, which no float holds exactly",
                            c->names.p + t->name, (long)e, (long long)whole);
        for (int r = t->rank - 1; r >= 0; r--) { /* the next element in C order */
            from += t->stride[r];
            if (++at[r] < t->shape[r])
                break;
            from -= t->stride[r] * t->shape[r];
            at[r] = 0;
        }
    }
    return MANGO_OK;
}

void mango_pytorch_destroy(mango_pytorch *c)
{
    mango_alloc al;
    if (!c)
        return;
    al = c->al;
    for (mango_idx i = 0; i < c->n_storage; i++)
        mgi_del(&al, c->storage[i].owned, c->storage[i].n_owned, 1);
    mgi_del(&al, c->storage, c->cap_storage, sizeof *c->storage);
    mgi_del(&al, c->t, c->cap, sizeof *c->t);
    mgi_del(&al, c->image, c->size + 1, 1);
    mgi_str_free(&c->names);
    mgi_del(&al, c, 1, sizeof *c);
}
