/* pytorch.c - PyTorch checkpoints as callers see them: opened, chosen from, read.
 * SPDX-License-Identifier: MIT */
#include "pytorch.h"

MGI_FN mango_status mgi_pytorch_take(mango_pytorch **out, unsigned char *image,
                                     mango_idx size, const char *what,
                                     const mango_codecs *codecs, const mango_alloc *al,
                                     mango_err *err)
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
    c->err = err;
    c->chosen = -1;
    mgi_copy(c->what, (mango_idx)sizeof c->what, what);
    if (codecs)
        c->codecs = *codecs;
    mgi_str_init(&c->names, al);
    mgi_pickle_init(&c->pk, c->what, al);
    mango_status st = mgi_ptc_read(c);
    if (st >= 0)
        st = mgi_ptc_choose(c);
    c->err = c->pk.err = NULL;
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
    MGI_CHECK(err, c && path,
              "mango_pytorch_open: a place for the result and a path expected");
    *c = NULL;
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &image, &size, err));
    return mgi_pytorch_take(c, image, size, path, codecs, &al, err);
}

mango_status mango_pytorch_parse(mango_pytorch **c, const unsigned char *bytes, mango_idx n,
                                 const char *what, const mango_codecs *codecs,
                                 const mango_alloc *alloc, mango_err *err)
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
    const mango_pytorch_info own = {c->legacy ? "legacy" : "zip", c->under, c->beside,
                                    c->chosen < 0};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_pytorch_choices(const mango_pytorch *c)
{
    return c ? c->n_choice : -1;
}

const char *mango_pytorch_choice(const mango_pytorch *c, mango_idx i)
{
    return c && i >= 0 && i < c->n_choice ? c->choice[i].path : NULL;
}

mango_idx mango_pytorch_tensors(const mango_pytorch *c)
{
    return c ? c->n : -1;
}

mango_status mango_pytorch_tensor_sized(const mango_pytorch *c, mango_idx i,
                                        mango_tensor *t, size_t size)
{
    MGI_REQUIRE(c && t && i >= 0 && i < c->n);
    mango_tensor own = {c->names.p + c->t[i].name,
                        mgi_pk_type_name(c->t[i].dtype),
                        c->t[i].rank,
                        {0},
                        c->t[i].count};
    memcpy(own.shape, c->t[i].shape, sizeof own.shape);
    mgi_info_out(t, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_pytorch_floats(const mango_pytorch *c, mango_idx i, float *out,
                                  mango_err *err)
{
    mango_idx at[MGI_RANK_MAX] = {0}, from;
    MGI_CHECK(err, c && out && i >= 0 && i < c->n, "mango_pytorch_floats: no tensor %td",
              i);
    const mgi_ptc_tensor *t = &c->t[i];
    const int size = mgi_pk_size(t->dtype);
    if (t->dtype >= MGI_PK_READ)
        return mgi_fail(
            err, MANGO_E_UNSUPPORTED, "tensor %s: of type %s, which is not read; save %s",
            c->names.p + t->name, mgi_pk_type_name(t->dtype),
            mgi_pk_type_name(t->dtype)[0] == 'q' ? "its dequantize()" : "its float()");
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
    mgi_pickle_free(&c->pk);
    mgi_zip_free(&c->zip);
    mgi_del(&al, c->pkl_owned, c->pkl_size + 1, 1);
    mgi_del(&al, c->image, c->size + 1, 1);
    mgi_str_free(&c->names);
    mgi_del(&al, c, 1, sizeof *c);
}
