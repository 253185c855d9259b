/* pytorch_tensors.c - the tensors of a state dict: storages by their keys, sizes and
 * strides checked against them.
 * SPDX-License-Identifier: MIT */
#include "pytorch.h"

enum { PTC_NAME = 256 };

MGI_FN mango_status mgi_ptc_bad(mango_pytorch *c, mango_status st, const char *why)
{
    return mgi_fail(c->err, st, "%s: %s", c->what, why);
}

/* ---- storages ---- */

/* The storage of key s[n] if it was met before, else NULL. */
MGI_FN mgi_ptc_storage *mgi_ptc_known(mango_pytorch *c, const unsigned char *s, mango_idx n)
{
    for (mango_idx i = c->n_storage - 1; i >= 0; i--)
        if (c->storage[i].n_key == n && !memcmp(c->storage[i].key, s, (size_t)n))
            return &c->storage[i];
    return NULL;
}

MGI_FN mango_status mgi_ptc_add_storage(mango_pytorch *c, const unsigned char *key,
                                        mango_idx n_key, const unsigned char *p,
                                        mango_idx bytes)
{
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->storage, &c->cap_storage, c->n_storage + 1,
                            MGI_ZIP_ENTRIES, sizeof *c->storage, "too many storages"));
    mgi_ptc_storage *s = &c->storage[c->n_storage++];
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
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, &c->codecs, &p, &owned, c->err));
    mango_status st = mgi_ptc_add_storage(c, v->s, v->n, p, e->size);
    if (st < 0) {
        mgi_del(&c->al, owned, e->size + 1, 1);
        return st;
    }
    c->storage[c->n_storage - 1].owned = owned;
    c->storage[c->n_storage - 1].n_owned = e->size + 1;
    return MANGO_OK;
}

/* The bytes of storage value v, at least the elements that it states. */
static mango_status ptc_find_storage(mango_pytorch *c, int32_t v, mgi_ptc_storage **s)
{
    const mgi_pk_value *st = &c->pk.v[v];
    *s = mgi_ptc_known(c, st->s, st->n);
    if (!*s && c->legacy)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "a tensor's storage is not in the file");
    if (!*s) {
        MGI_TRY(ptc_zip_storage(c, st));
        *s = &c->storage[c->n_storage - 1];
    }
    if (st->i > (*s)->bytes / mgi_pk_size(st->what))
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "a storage is shorter than a tensor says; truncated?");
    return MANGO_OK;
}

/* ---- tensors ---- */

/* Sizes and strides of tensor value v; every element inside `limit`. */
static mango_status ptc_shape(mango_pytorch *c, mgi_ptc_tensor *t, const mgi_pk_value *v,
                              mango_idx limit)
{
    const mgi_pk_value *size = &c->pk.v[v->head];
    mango_idx last = t->first;
    if (size->n > MGI_RANK_MAX)
        return mgi_ptc_bad(c, MANGO_E_LIMIT, "a tensor of more than 8 dimensions");
    t->rank = (int)size->n;
    for (int r = 0; r < t->rank; r++) {
        const mgi_pk_value *a = &c->pk.v[mgi_pickle_item(&c->pk, v->head, r)];
        const mgi_pk_value *b = &c->pk.v[mgi_pickle_item(&c->pk, v->tail, r)];
        if (a->kind != MGI_PK_INT || b->kind != MGI_PK_INT || a->i < 0 || b->i < 0 ||
            a->i > MGI_DIM_MAX || b->i > MGI_FILE_MAX)
            return mgi_ptc_bad(c, MANGO_E_LIMIT,
                               "a tensor's size or stride is negative or over 2^24");
        t->shape[r] = (mango_idx)a->i;
        t->stride[r] = (mango_idx)b->i;
    }
    if (!mgi_prod(t->rank, t->shape, &t->count) || t->count > MGI_FILE_MAX / 4)
        return mgi_ptc_bad(c, MANGO_E_LIMIT, "a tensor of over 1 GiB");
    for (int r = 0; r < t->rank && t->count > 0; r++) {
        mango_idx span;
        if (!mgi_mul(t->shape[r] - 1, t->stride[r], &span) || !mgi_add(last, span, &last))
            return mgi_ptc_bad(c, MANGO_E_FORMAT, "a tensor's strides leave its storage");
    }
    if (t->count > 0 && last >= limit)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "a tensor reaches beyond its storage");
    return MANGO_OK;
}

/* The next tensor, under this key, zeroed; it counts when ptc_named was called. */
static mango_status ptc_new(mango_pytorch *c, int32_t key, mgi_ptc_tensor **t)
{
    const mgi_pk_value *k = &c->pk.v[key];
    if (k->kind != MGI_PK_STRING || !mgi_name_ok(k->s, k->n, PTC_NAME))
        return mgi_ptc_bad(
            c, MANGO_E_FORMAT,
            "a tensor's name is no text of 1 to 256 bytes without control bytes");
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->t, &c->cap, c->n + 1, MGI_PTC_TENSORS, sizeof *c->t,
                            "more than 4096 tensors"));
    *t = &c->t[c->n];
    memset(*t, 0, sizeof **t);
    return MANGO_OK;
}

static mango_status ptc_named(mango_pytorch *c, int32_t key)
{
    const mgi_pk_value *k = &c->pk.v[key];
    mgi_ptc_tensor *t = &c->t[c->n];
    t->name = c->names.n;
    mgi_str_put(&c->names, (const char *)k->s, k->n);
    mgi_str_put(&c->names, "", 1);
    if (c->names.bad)
        return mgi_ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (mango_idx i = 0; i < c->n; i++)
        if (!strcmp(c->names.p + c->t[i].name, c->names.p + t->name))
            return mgi_fail(c->err, MANGO_E_FORMAT, "%s: tensor %s is there twice", c->what,
                            c->names.p + t->name);
    c->n++;
    return MANGO_OK;
}

static mango_status ptc_add(mango_pytorch *c, int32_t key, int32_t value)
{
    const mgi_pk_value v = c->pk.v[value], st = c->pk.v[v.what];
    mgi_ptc_storage *s = NULL;
    mgi_ptc_tensor *t = NULL;
    mango_idx base = 0, limit = (mango_idx)st.i;
    MGI_TRY(ptc_new(c, key, &t));
    MGI_TRY(ptc_find_storage(c, v.what, &s));
    t->dtype = v.n ? (int)v.n - 1 : st.what;
    if (st.head >= 0) { /* a view of the legacy format */
        base = (mango_idx)c->pk.view[st.head].first;
        limit = base + (mango_idx)c->pk.view[st.head].count;
    }
    if (v.n) { /* a storage of bytes */
        base /= mgi_pk_size(t->dtype);
        limit /= mgi_pk_size(t->dtype);
    }
    t->first = base + (mango_idx)v.i;
    t->p = s->p;
    MGI_TRY(ptc_shape(c, t, &v, limit));
    return ptc_named(c, key);
}

/* ---- arrays of NumPy in the place of tensors ---- */

/* The bytes of value v, those written as text unpacked into a storage of its own. */
static mango_status ptc_array_bytes(mango_pytorch *c, const mgi_pk_value *v,
                                    const unsigned char **p, mango_idx *n)
{
    *p = v->s;
    *n = v->n;
    if (v->kind != MGI_PK_BYTES || !v->what)
        return MANGO_OK;
    mgi_ptc_storage *known = mgi_ptc_known(c, v->s, v->n);
    unsigned char *out = known ? NULL : (unsigned char *)mgi_new(&c->al, v->n + 1, 1);
    if (!known && !out)
        return mgi_ptc_bad(c, MANGO_E_MEM, "out of memory");
    mango_idx m = 0;
    for (mango_idx i = 0; out && i < v->n; i++) { /* C2 80 .. C3 BF are 80 .. FF */
        const int two = v->s[i] >= 0xc2 && v->s[i] <= 0xc3 && i + 1 < v->n;
        out[m++] =
            two ? (unsigned char)((v->s[i] & 3) << 6 | (v->s[i + 1] & 0x3f)) : v->s[i];
        i += two;
    }
    if (out) {
        const mango_status st = mgi_ptc_add_storage(c, v->s, v->n, out, m);
        if (st < 0) {
            mgi_del(&c->al, out, v->n + 1, 1);
            return st;
        }
        known = &c->storage[c->n_storage - 1];
        known->owned = out;
        known->n_owned = v->n + 1;
    }
    *p = known->p;
    *n = known->bytes;
    return MANGO_OK;
}

/* Sizes and strides, C or Fortran order, of n bytes. */
static mango_status ptc_array_shape(mango_pytorch *c, mgi_ptc_tensor *t,
                                    const mgi_pk_value *v, mango_idx n)
{
    mango_idx step = 1, bytes;
    t->rank = (int)c->pk.v[v->head].n;
    for (int r = 0; r < t->rank; r++) {
        const mgi_pk_value *a = &c->pk.v[mgi_pickle_item(&c->pk, v->head, r)];
        if (a->kind != MGI_PK_INT || a->i < 0 || a->i > MGI_DIM_MAX)
            return mgi_ptc_bad(c, MANGO_E_LIMIT,
                               "an array's size is negative or over 2^24");
        t->shape[r] = (mango_idx)a->i;
    }
    if (!mgi_prod(t->rank, t->shape, &t->count) ||
        !mgi_mul(t->count, mgi_pk_size(t->dtype), &bytes) || bytes != n)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "an array's shape does not match its bytes");
    for (int k = 0; k < t->rank; k++) {
        const int r = v->i ? k : t->rank - 1 - k;
        t->stride[r] = step;
        step *= t->shape[r];
    }
    return MANGO_OK;
}

static mango_status ptc_add_array(mango_pytorch *c, int32_t key, int32_t value)
{
    const mgi_pk_value v = c->pk.v[value];
    mgi_ptc_tensor *t = NULL;
    mango_idx n = 0;
    MGI_TRY(ptc_new(c, key, &t));
    if (v.head < 0 || c->pk.v[v.head].n > MGI_RANK_MAX)
        return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED,
                           "an array of objects, or of more than 8 dimensions");
    const mgi_pk_value type = c->pk.v[v.what];
    t->dtype = mgi_pk_numpy(type.s, type.n);
    if (t->dtype < 0 || (type.i && mgi_pk_size(t->dtype) > 1))
        return mgi_fail(c->err, MANGO_E_UNSUPPORTED,
                        "%s: an array of type '%.*s'%s; numbers, little-endian, expected",
                        c->what, (int)MGI_MIN(type.n, 20), (const char *)type.s,
                        type.i ? ", big-endian" : "");
    MGI_TRY(ptc_array_bytes(c, &c->pk.v[v.tail], &t->p, &n));
    MGI_TRY(ptc_array_shape(c, t, &v, n));
    return ptc_named(c, key);
}

/* ---- a state dict ---- */

MGI_FN mgi_pk_kind mgi_ptc_holds(const mango_pytorch *c, int32_t d)
{
    mgi_pk_kind found = MGI_PK_NONE;
    if (d < 0 || c->pk.v[d].kind != MGI_PK_DICT)
        return MGI_PK_NONE;
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next) {
        const mgi_pk_value *v = &c->pk.v[c->pk.cell[i].v];
        if (c->pk.v[c->pk.cell[i].k].kind != MGI_PK_STRING)
            continue;
        if (v->kind == MGI_PK_TENSOR || (v->kind == MGI_PK_OPAQUE && v->i))
            return MGI_PK_TENSOR;
        if (v->kind == MGI_PK_ARRAY)
            found = MGI_PK_ARRAY;
    }
    return found;
}

/* A tensor of a kind that is not read is refused by its name. */
static mango_status ptc_unread(const mango_pytorch *c, int32_t key, const mgi_pk_value *v)
{
    const mgi_pk_value *k = &c->pk.v[key], *f = v->head >= 0 ? &c->pk.v[v->head] : NULL;
    const int named = k->kind == MGI_PK_STRING;
    const int dumped = f && f->n == 16 && !memcmp(f->s, "_load_from_bytes", 16);
    return mgi_fail(c->err, MANGO_E_UNSUPPORTED, "%s: %.*s is no plain tensor (%.*s); %s",
                    c->what, named ? (int)MGI_MIN(k->n, 80) : 8,
                    named ? (const char *)k->s : "a tensor", f ? (int)MGI_MIN(f->n, 60) : 7,
                    f ? (const char *)f->s : "unknown",
                    dumped ? "it was written by pickle.dump, save the dict with torch.save"
                           : "save its to_dense(), or the values themselves");
}

MGI_FN mango_status mgi_ptc_collect(mango_pytorch *c, int32_t d)
{
    const int arrays = mgi_ptc_holds(c, d) == MGI_PK_ARRAY;
    c->n = 0;
    c->names.n = 0;
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next) {
        const mgi_pk_value *v = &c->pk.v[c->pk.cell[i].v];
        if (v->kind == MGI_PK_TENSOR)
            MGI_TRY(ptc_add(c, c->pk.cell[i].k, c->pk.cell[i].v));
        else if (v->kind == MGI_PK_ARRAY && arrays)
            MGI_TRY(ptc_add_array(c, c->pk.cell[i].k, c->pk.cell[i].v));
        else if (v->kind == MGI_PK_OPAQUE && v->i)
            return ptc_unread(c, c->pk.cell[i].k, v);
    }
    return MANGO_OK;
}
