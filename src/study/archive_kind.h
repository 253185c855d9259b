/* archive_kind.h - the kinds of files that an archive reads: one record each.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ARCHIVE_KIND_H
#define MGI_ARCHIVE_KIND_H

#include "../data/bytes.h"
#include "archive.h"

typedef struct mgi_archive_kind {
    /* Does a file of these n bytes begin as one of this kind does? */
    int (*is)(const unsigned char *p, mango_idx n);
    /* Parse: *own is the kind's state. Takes over image (size + 1 bytes from al), on
     * failure too. `what` names the file in messages and lives as long as the archive. */
    mango_status (*take)(void **own, unsigned char *image, mango_idx size, const char *what,
                         const mango_codecs *codecs, const mango_alloc *al, mango_err *err);
    /* Or NULL. What is left open is decided: the input's (C,H,W), NULL when not said. */
    mango_status (*shape)(void *own, const mango_idx *in, mango_err *err);
    mango_idx (*count)(const void *own);
    void (*tensor)(const void *own, mango_idx i, mango_tensor *t);
    mango_status (*floats)(const void *own, mango_idx i, float *out, mango_err *err);
    void (*facts)(const void *own, mango_archive_info *info); /* format, under, graph ... */
    /* Of files with several sets of tensors; NULL: there is one. */
    mango_idx (*choices)(const void *own);
    const char *(*choice)(const void *own, mango_idx i);
    mango_status (*select)(void *own, const char *key, mango_err *err);
    void (*destroy)(void *own, const mango_alloc *al);
} mgi_archive_kind;

MGI_FN const mgi_archive_kind mgi_archive_safetensors;
MGI_FN const mgi_archive_kind mgi_archive_pytorch;
MGI_FN const mgi_archive_kind mgi_archive_npz;
MGI_FN const mgi_archive_kind mgi_archive_npy;
MGI_FN const mgi_archive_kind mgi_archive_onnx;

#endif
