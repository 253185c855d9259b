/* archive_onnx.c - ONNX models, as an archive sees them: a graph and its parameters.
 * SPDX-License-Identifier: MIT */
#include "archive_kind.h"

static int kind_is_onnx(const unsigned char *p, mango_idx n)
{
    return mango_onnx_is(p, n);
}

static mango_status kind_take_onnx(void **own, unsigned char *image, mango_idx size,
                                   const char *what, const mango_codecs *codecs,
                                   const mango_alloc *al, mango_err *err)
{
    mango_onnx *m = NULL;
    (void)codecs;
    const mango_status st = mgi_onnx_take(&m, image, size, what, 1, al, err);
    *own = m;
    return st;
}

static mango_status kind_shape_onnx(void *own, const mango_idx *in, mango_err *err)
{
    return mango_onnx_translate((mango_onnx *)own, in, err);
}

static mango_idx kind_count_onnx(const void *own)
{
    return mango_onnx_tensors((const mango_onnx *)own);
}

static void kind_tensor_onnx(const void *own, mango_idx i, mango_tensor *t)
{
    mango_onnx_tensor((const mango_onnx *)own, i, t);
}

static mango_status kind_floats_onnx(const void *own, mango_idx i, float *out, mango_err *err)
{
    return mango_onnx_floats((const mango_onnx *)own, i, out, err);
}

static void kind_facts_onnx(const void *own, mango_archive_info *info)
{
    mango_onnx_info o = {0};
    mango_onnx_get((const mango_onnx *)own, &o);
    info->format = "onnx";
    info->graph = o.text;
}

static void kind_destroy_onnx(void *own, const mango_alloc *al)
{
    (void)al;
    mango_onnx_destroy((mango_onnx *)own);
}

MGI_DATA const mgi_archive_kind mgi_archive_onnx = {
    .is = kind_is_onnx,
    .take = kind_take_onnx,
    .shape = kind_shape_onnx,
    .count = kind_count_onnx,
    .tensor = kind_tensor_onnx,
    .floats = kind_floats_onnx,
    .facts = kind_facts_onnx,
    .destroy = kind_destroy_onnx,
};
