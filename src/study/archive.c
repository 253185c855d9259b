/* archive.c - files of named tensors: one reading, several kinds, one list.
 * SPDX-License-Identifier: MIT */
#include "archive.h"
#include "../data/bytes.h"
#include "../math/kernel/sha256.h"
#include "../net/safetensors.h"
#include "archive_kind.h"

struct mango_archive {
    mango_alloc al;
    char sha256[65], path[1024];
    const mgi_archive_kind *kind;
    void *own;          /* the kind's */
    mango_offer *offer; /* (n) */
    mango_idx n;
};

/* In the order in which they are asked: an .npz is a zip archive, too. */
static const mgi_archive_kind *const archive_kinds[] = {
    &mgi_archive_safetensors,
    &mgi_archive_npy,
    &mgi_archive_npz,
    &mgi_archive_onnx,
    &mgi_archive_pytorch,
};

static int archive_named_safetensors(const char *path)
{
    const size_t n = strlen(path), k = strlen(".safetensors");
    return n >= k && !strcmp(path + n - k, ".safetensors");
}

/* What its first bytes say; what none knows is judged by the reader that knows most of
 * what people hand over by mistake. */
static const mgi_archive_kind *archive_kind_of(const unsigned char *p, mango_idx n,
                                               const char *path)
{
    for (mango_idx i = 0; i < MGI_COUNT(archive_kinds); i++)
        if (archive_kinds[i]->is(p, n))
            return archive_kinds[i];
    return archive_named_safetensors(path) ? &mgi_archive_safetensors
                                           : &mgi_archive_pytorch;
}

/* Names and shapes of all, as they are offered to a net. */
static mango_status archive_list(mango_archive *a, mango_err *err)
{
    mango_tensor t;
    a->n = a->kind->count(a->own);
    a->offer = mgi_new(&a->al, a->n, sizeof *a->offer);
    if (!a->offer)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", a->path);
    for (mango_idx i = 0; i < a->n; i++) {
        MGI_TRY(mango_archive_tensor(a, i, &t));
        a->offer[i].name = t.name;
        a->offer[i].rank = t.rank;
        memcpy(a->offer[i].shape, t.shape, sizeof t.shape);
    }
    return MANGO_OK;
}

static void archive_digest(const unsigned char *image, mango_idx size, char hex[65])
{
    mgi_hash h;
    mgi_sha256_start(&h);
    mgi_hash_add(&h, image, size);
    mgi_hash_end(&h, hex);
}

mango_status mango_archive_open(mango_archive **out, const char *path,
                                const mango_codecs *codecs, const mango_alloc *alloc,
                                mango_err *err)
{
    return mango_archive_open_shape(out, path, NULL, codecs, alloc, err);
}

mango_status mango_archive_open_shape(mango_archive **out, const char *path,
                                      const mango_idx in[3], const mango_codecs *codecs,
                                      const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *image = NULL;
    mango_idx size = 0;
    MGI_CHECK(err, out && path,
              "mango_archive_open: a place for the result and a path expected");
    *out = NULL;
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &image, &size, err));
    mango_archive *a = mgi_new(&al, 1, sizeof *a);
    if (!a) {
        mgi_del(&al, image, size + 1, 1);
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    }
    a->al = al;
    mgi_copy(a->path, (mango_idx)sizeof a->path, path);
    archive_digest(image, size, a->sha256);
    a->kind = archive_kind_of(image, size, path);
    mango_status st = a->kind->take(&a->own, image, size, a->path, codecs, &a->al, err);
    if (st >= 0 && a->kind->shape)
        st = a->kind->shape(a->own, in, err);
    if (st >= 0)
        st = archive_list(a, err);
    if (st < 0)
        mango_archive_destroy(a);
    else
        *out = a;
    return st;
}

void mango_archive_destroy(mango_archive *a)
{
    if (!a)
        return;
    const mango_alloc al = a->al;
    if (a->own)
        a->kind->destroy(a->own, &al);
    mgi_del(&al, a->offer, a->n, sizeof *a->offer);
    mgi_del(&al, a, 1, sizeof *a);
}

mango_status mango_archive_get_sized(const mango_archive *a, mango_archive_info *info,
                                     size_t size)
{
    MGI_REQUIRE(a && info);
    mango_archive_info own = {"", "", a->sha256, a->n, 0, NULL, "", 0};
    a->kind->facts(a->own, &own);
    own.has_graph = own.graph != NULL;
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_archive_choices(const mango_archive *a)
{
    return !a ? -1 : a->kind->choices ? a->kind->choices(a->own) : 0;
}

const char *mango_archive_choice(const mango_archive *a, mango_idx i)
{
    return a && a->kind->choice ? a->kind->choice(a->own, i) : NULL;
}

mango_status mango_archive_select(mango_archive *a, const char *key, mango_err *err)
{
    MGI_CHECK(err, a && key, "mango_archive_select: an archive and a key expected");
    if (!a->kind->select)
        return mgi_fail(err, MANGO_E_NAME, "%s: holds one set of tensors and no keys",
                        a->path);
    MGI_TRY(a->kind->select(a->own, key, err));
    mgi_del(&a->al, a->offer, a->n, sizeof *a->offer);
    a->offer = NULL;
    a->n = 0;
    return archive_list(a, err);
}

mango_idx mango_archive_tensors(const mango_archive *a)
{
    return a ? a->n : -1;
}

mango_status mango_archive_tensor_sized(const mango_archive *a, mango_idx i,
                                        mango_tensor *t, size_t size)
{
    MGI_REQUIRE(a && t && i >= 0 && i < a->n);
    mango_tensor own = {NULL, NULL, 0, {0}, 0};
    a->kind->tensor(a->own, i, &own);
    mgi_info_out(t, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_archive_find(const mango_archive *a, const char *name)
{
    for (mango_idx i = 0; a && name && i < a->n; i++)
        if (!strcmp(a->offer[i].name, name))
            return i;
    return -1;
}

mango_status mango_archive_floats(const mango_archive *a, mango_idx i, float *out,
                                  mango_err *err)
{
    MGI_CHECK(err, a && out && i >= 0 && i < a->n, "mango_archive_floats: no tensor %td",
              i);
    return a->kind->floats(a->own, i, out, err);
}

static mango_status archive_values(void *ud, mango_idx i, float *out, mango_err *err)
{
    const mango_archive *a = (const mango_archive *)ud;
    return mango_archive_floats(a, i, out, err);
}

mango_status mango_archive_offers(const mango_archive *a, mango_offers *o)
{
    MGI_REQUIRE(a && o && o->size >= offsetof(mango_offers, prefix));
    o->n = a->n;
    o->offer = a->offer;
    o->values = archive_values;
    o->ud = (void *)(uintptr_t)a; /* read only */
    return MANGO_OK;
}

mango_status mango_archive_import(const mango_archive *a, mango_net *net,
                                  const char *prefix, mango_match **match, mango_err *err)
{
    mango_offers o;
    mango_err sub = {""};
    MGI_CHECK(err, a && net && match,
              "mango_archive_import: an archive, a net and a place for "
              "the report expected");
    MGI_TRY(mango_offers_defaults(&o));
    MGI_TRY(mango_archive_offers(a, &o));
    o.prefix = prefix;
    const mango_status st = mango_net_match(net, &o, match, &sub);
    if (st < 0)
        mgi_fail(err, st, st == MANGO_E_SHAPE ? "%s %s" : "%s: %s", a->path, sub.text);
    return st;
}

mango_status mango_archive_write(const char *path, mango_idx n, const mango_offer *offers,
                                 const float *const *values, mango_err *err)
{
    mgi_tensor_writer *w = NULL;
    MGI_CHECK(err, path && n >= 0 && (n == 0 || (offers && values)),
              "mango_archive_write: a path, tensors and their values expected");
    if (mgi_writer_new(&w, NULL) < 0)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    for (mango_idx i = 0; i < n; i++) /* the writer remembers its own failures */
        mgi_writer_add(w, offers[i].name, MGI_F32, offers[i].rank, offers[i].shape,
                       values[i]);
    const mango_status st = mgi_writer_save(w, path, err);
    mgi_writer_free(w);
    return st;
}
