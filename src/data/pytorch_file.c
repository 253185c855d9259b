/* pytorch_file.c - the zip format of torch.save, and the legacy one: pickles of a magic
 * number, a version, facts of the machine, the object and the storage keys, then each
 * storage as a count and its bytes. A dict of arrays by pickle.dump is read, too.
 * SPDX-License-Identifier: MIT */
#include "pytorch.h"
#include <stdlib.h>

/* Entry PREFIX + name, or NULL. */
static const mgi_zip_entry *ptf_entry(const mango_pytorch *c, const char *name)
{
    char full[MGI_ZIP_NAME + 40];
    mgi_copy(full, (mango_idx)sizeof full, c->prefix);
    if (!mgi_copy(full + strlen(full), 40, name))
        return NULL;
    return mgi_zip_find(&c->zip, full);
}

/* The one entry that ends in "/data.pkl" with one folder before it. */
static const mgi_zip_entry *ptf_pickle_entry(mango_pytorch *c)
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

static mango_status ptf_zip(mango_pytorch *c)
{
    const unsigned char *p = NULL;
    unsigned char *owned = NULL;
    mango_idx used;
    MGI_TRY(mgi_zip_open(&c->zip, c->image, c->size, c->what, &c->al, c->err));
    const mgi_zip_entry *e = ptf_pickle_entry(c), *order;
    if (!e)
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "a zip archive without data.pkl, so not from torch.save");
    if (ptf_entry(c, "constants.pkl"))
        return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED,
                           "a TorchScript module with code (torch.jit.save); save its "
                           "state_dict() with torch.save, or use mango_export.py");
    order = ptf_entry(c, "byteorder");
    if (order) {
        MGI_TRY(mgi_zip_data(&c->zip, order, c->what, &c->codecs, &p, &owned, c->err));
        const int little = order->size == 6 && !memcmp(p, "little", 6);
        mgi_del(&c->al, owned, order->size + 1, 1);
        if (!little)
            return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED, "written by a big-endian machine");
    }
    if (e->size > MGI_PK_BYTES_MAX)
        return mgi_ptc_bad(c, MANGO_E_LIMIT, "a data.pkl of over 64 MiB");
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, &c->codecs, &p, &c->pkl_owned, c->err));
    c->pkl_size = e->size;
    MGI_TRY(mgi_pickle_run(&c->pk, p, e->size, &c->root, &used, c->err));
    if (used != e->size)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "bytes behind the pickle's end in data.pkl");
    return MANGO_OK;
}

static int ptf_by_key(const void *x, const void *y)
{
    const mgi_pk_value *a = *(const mgi_pk_value *const *)x,
                       *b = *(const mgi_pk_value *const *)y;
    int c = memcmp(a->s, b->s, (size_t)MGI_MIN(a->n, b->n));
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* All storages that the pickle refers to, sorted by key: *n of them. */
static const mgi_pk_value **ptf_referred(const mango_pytorch *c, mango_idx *n)
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
        qsort((void *)p, (size_t)count, sizeof *p, ptf_by_key);
    return p;
}

/* One storage at *at: its number of elements, then the elements. */
static mango_status ptf_legacy_storage(mango_pytorch *c, const mgi_pk_value *key,
                                       const mgi_pk_value *const *known, mango_idx n,
                                       mango_idx *at)
{
    mango_idx bytes;
    const mgi_pk_value *const *hit = NULL;
    if (key->kind == MGI_PK_STRING)
        hit = (const mgi_pk_value *const *)bsearch(&key, (const void *)known, (size_t)n,
                                                   sizeof *known, ptf_by_key);
    if (!hit || mgi_ptc_known(c, key->s, key->n))
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "a storage that no tensor refers to, or that is there twice");
    if (c->size - *at < 8 || mgi_le64(c->image + *at) != (uint64_t)(*hit)->i)
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "a storage's size does not match its tensors; truncated?");
    *at += 8;
    if (!mgi_mul((mango_idx)(*hit)->i, mgi_pk_size((*hit)->what), &bytes) ||
        bytes > c->size - *at)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "truncated: a storage goes beyond its end");
    MGI_TRY(mgi_ptc_add_storage(c, key->s, key->n, c->image + *at, bytes));
    *at += bytes;
    return MANGO_OK;
}

/* Behind the pickles: the storages in the order of their keys. */
static mango_status ptf_legacy_storages(mango_pytorch *c, int32_t keys, mango_idx at)
{
    mango_idx n = 0;
    mango_status st = MANGO_OK;
    if (c->pk.v[keys].kind != MGI_PK_LIST || c->pk.v[keys].n > MGI_ZIP_ENTRIES)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "a malformed list of storages");
    const mgi_pk_value **known = ptf_referred(c, &n);
    if (!known)
        return mgi_ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (int32_t i = c->pk.v[keys].head; st >= 0 && i >= 0; i = c->pk.cell[i].next)
        st = ptf_legacy_storage(c, &c->pk.v[c->pk.cell[i].v], known, n, &at);
    mgi_del(&c->al, (void *)known, n, sizeof *known);
    if (st >= 0 && at != c->size)
        st = mgi_ptc_bad(c, MANGO_E_FORMAT, "bytes behind the last storage");
    return st;
}

static mango_status ptf_legacy(mango_pytorch *c)
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
        if (i == 0 && x->kind == MGI_PK_DICT && used == c->size) { /* pickle.dump */
            c->root = v[0];
            return MANGO_OK;
        }
        if (i == 0 && (x->kind != MGI_PK_LONG || x->n != 10 || memcmp(x->s, magic, 10)))
            return mgi_ptc_bad(c, MANGO_E_FORMAT, "a pickle, but not one of torch.save");
        if (i == 1 && (x->kind != MGI_PK_INT || x->i != 1001))
            return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED,
                               "a torch.save format other than 1001");
        if (i == 2) {
            int32_t order = mgi_pickle_get(&c->pk, v[2], "little_endian");
            if (order < 0 || c->pk.v[order].kind != MGI_PK_BOOL || !c->pk.v[order].i)
                return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED,
                                   "written by a big-endian machine");
        }
    }
    MGI_TRY(ptf_legacy_storages(c, v[4], at));
    c->root = v[3];
    return MANGO_OK;
}

/* Other things that people hand over by mistake are refused by name. */
MGI_FN mango_status mgi_ptc_read(mango_pytorch *c)
{
    const unsigned char *p = c->image;
    const mango_idx n = c->size;
    static const char lfs[] = "version https://git-lfs";
    if (n < 4)
        return mgi_ptc_bad(c, MANGO_E_FORMAT, "empty or truncated");
    if (n >= (mango_idx)sizeof lfs && !memcmp(p, lfs, sizeof lfs - 1))
        return mgi_ptc_bad(
            c, MANGO_E_FORMAT,
            "a git-lfs pointer, not the checkpoint itself; fetch it with `git lfs pull`");
    if (p[0] == '<')
        return mgi_ptc_bad(c, MANGO_E_FORMAT,
                           "a web page, not a checkpoint; the download went wrong");
    if (n > 262 && !memcmp(p + 257, "ustar", 5))
        return mgi_ptc_bad(c, MANGO_E_UNSUPPORTED,
                           "the tar format of PyTorch before 0.1.10");
    if (p[0] == 'P' && p[1] == 'K')
        return ptf_zip(c);
    if (p[0] == 0x80)
        return ptf_legacy(c);
    return mgi_ptc_bad(c, MANGO_E_FORMAT,
                       "neither a zip archive nor a pickle, so not from torch.save");
}
