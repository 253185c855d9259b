/* archive_kind.c - safetensors and the files of torch.save, as an archive sees them.
 * SPDX-License-Identifier: MIT */
#include "archive_kind.h"
#include "../net/safetensors.h"

/* ---- safetensors ------------------------------------------------------------------- */

/* Another kind's first 8 bytes are no length. */
static int kind_is_safetensors(const unsigned char *p, mango_idx n)
{
    return n > 8 && mgi_le64(p) <= (uint64_t)n - 8 && p[8] == '{';
}

static mango_status kind_take_safetensors(void **own, unsigned char *image, mango_idx size,
                                          const char *what, const mango_codecs *codecs,
                                          const mango_alloc *al, mango_err *err)
{
    mgi_tensors *f = mgi_new(al, 1, sizeof *f);
    mango_status st = MANGO_E_MEM;
    (void)codecs;
    if (f)
        st = mgi_tensors_parse(f, image, size, what, al, err);
    else
        mgi_fail(err, st, "%s: out of memory", what);
    if (st < 0) {
        mgi_del(al, image, size + 1, 1);
        mgi_del(al, f, 1, sizeof *f);
        return st;
    }
    f->room = size + 1;
    *own = f;
    return MANGO_OK;
}

static mango_idx kind_count_safetensors(const void *own)
{
    return ((const mgi_tensors *)own)->n;
}

static void kind_tensor_safetensors(const void *own, mango_idx i, mango_tensor *t)
{
    const mgi_tensor *f = &((const mgi_tensors *)own)->t[i];
    t->name = f->name;
    t->dtype = mgi_dtype_name(f->dtype);
    t->rank = f->rank;
    t->count = f->count;
    memcpy(t->shape, f->shape, sizeof t->shape);
}

static mango_status kind_floats_safetensors(const void *own, mango_idx i, float *out,
                                            mango_err *err)
{
    return mgi_tensor_floats(&((const mgi_tensors *)own)->t[i], 1, out, err);
}

static void kind_facts_safetensors(const void *own, mango_archive_info *info)
{
    info->format = "safetensors";
    info->graph = mgi_tensors_meta((const mgi_tensors *)own, "mango.graph");
}

static void kind_destroy_safetensors(void *own, const mango_alloc *al)
{
    mgi_tensors_free((mgi_tensors *)own);
    mgi_del(al, own, 1, sizeof(mgi_tensors));
}

MGI_DATA const mgi_archive_kind mgi_archive_safetensors = {
    .is = kind_is_safetensors,
    .take = kind_take_safetensors,
    .count = kind_count_safetensors,
    .tensor = kind_tensor_safetensors,
    .floats = kind_floats_safetensors,
    .facts = kind_facts_safetensors,
    .destroy = kind_destroy_safetensors,
};

/* ---- torch.save ----------------------------------------------------------------------- */

static int kind_is_pytorch(const unsigned char *p, mango_idx n)
{
    return n >= 4 && (!memcmp(p, "PK\3\4", 4) || (p[0] == 0x80 && p[1] >= 2 && p[1] <= 5));
}

static mango_status kind_take_pytorch(void **own, unsigned char *image, mango_idx size,
                                      const char *what, const mango_codecs *codecs,
                                      const mango_alloc *al, mango_err *err)
{
    mango_pytorch *c = NULL;
    const mango_status st = mgi_pytorch_take(&c, image, size, what, codecs, al, err);
    *own = c;
    return st;
}

static mango_idx kind_count_pytorch(const void *own)
{
    return mango_pytorch_tensors((const mango_pytorch *)own);
}

static void kind_tensor_pytorch(const void *own, mango_idx i, mango_tensor *t)
{
    mango_pytorch_tensor((const mango_pytorch *)own, i, t);
}

static mango_status kind_floats_pytorch(const void *own, mango_idx i, float *out,
                                        mango_err *err)
{
    return mango_pytorch_floats((const mango_pytorch *)own, i, out, err);
}

static void kind_facts_pytorch(const void *own, mango_archive_info *info)
{
    mango_pytorch_info pt = {NULL, NULL, NULL, 0};
    mango_pytorch_get((const mango_pytorch *)own, &pt);
    info->format = pt.format;
    info->under = pt.under;
    info->beside = pt.beside;
    info->open = pt.open;
}

static mango_idx kind_choices_pytorch(const void *own)
{
    return mango_pytorch_choices((const mango_pytorch *)own);
}

static const char *kind_choice_pytorch(const void *own, mango_idx i)
{
    return mango_pytorch_choice((const mango_pytorch *)own, i);
}

static mango_status kind_select_pytorch(void *own, const char *key, mango_err *err)
{
    return mango_pytorch_select((mango_pytorch *)own, key, err);
}

static void kind_destroy_pytorch(void *own, const mango_alloc *al)
{
    (void)al;
    mango_pytorch_destroy((mango_pytorch *)own);
}

MGI_DATA const mgi_archive_kind mgi_archive_pytorch = {
    .is = kind_is_pytorch,
    .take = kind_take_pytorch,
    .count = kind_count_pytorch,
    .tensor = kind_tensor_pytorch,
    .floats = kind_floats_pytorch,
    .facts = kind_facts_pytorch,
    .choices = kind_choices_pytorch,
    .choice = kind_choice_pytorch,
    .select = kind_select_pytorch,
    .destroy = kind_destroy_pytorch,
};
