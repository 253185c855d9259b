/* dataset.h - a data set from inside: what its loaders fill.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_DATASET_H
#define MGI_DATASET_H

#include "bytes.h"

#define MGI_CLASS_NAME 128 /* bytes of a class name, NUL included */
#define MGI_CLASSES_MAX 65536
#define MGI_PICTURES_MAX ((mango_idx)1 << 22)
#define MGI_PIXELS_MAX MGI_LIMIT(UINT64_C(1) << 32) /* bytes of all pictures in memory */

struct mango_data {
    mango_alloc al;
    char name[32], split[32], root[1024]; /* root: folder that paths start from */
    mango_data_options o;
    mango_idx count, classes, C, H, W;
    unsigned char *pixels;              /* (count,C,H,W), or NULL: folder */
    int *labels;                        /* (count), or NULL */
    char (*class_name)[MGI_CLASS_NAME]; /* (classes), or NULL */
    mgi_str names;                      /* folder: the paths below root, NUL-terminated */
    mango_idx *path;                    /* folder: (count) offsets into names */
};

/* Allocate pixels and labels for count pictures of (C,H,W), checked. */
MGI_FN mango_status mgi_data_reserve(mango_data *d, mango_idx count, mango_idx C,
                                     mango_idx H, mango_idx W, mango_err *err);
/* Copy n class names; names NULL: "0", "1", ... */
MGI_FN mango_status mgi_data_classes(mango_data *d, mango_idx n, const char *const *names,
                                     mango_err *err);
/* Loaders: fill d for d->split under root. */
MGI_FN mango_status mgi_data_cifar10(mango_data *d, const char *root, mango_err *err);
MGI_FN mango_status mgi_data_mnist(mango_data *d, const char *root, mango_err *err);
MGI_FN mango_status mgi_data_folder(mango_data *d, const char *root, mango_err *err);
/* Decode and fit picture i of a folder into (3,crop,crop). */
MGI_FN mango_status mgi_folder_get(const mango_data *d, mango_idx i, unsigned char *pixels,
                                   mango_err *err);

#endif
