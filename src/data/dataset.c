/* dataset.c - one interface to every data set: opens, validates, hands out.
 * SPDX-License-Identifier: MIT */
#include "dataset.h"
#include <stdio.h>

mango_status mango_data_defaults_sized(mango_data_options *o, size_t size)
{
    const mango_data_options own = {
        .size = sizeof own, .resize = 256, .crop = 224, .max_side = 4096, .channels = 3};
    return mgi_options_out(o, size, &own, sizeof own);
}

MGI_FN mango_status mgi_data_reserve(mango_data *d, mango_idx count, mango_idx C,
                                     mango_idx H, mango_idx W, mango_err *err)
{
    const mango_idx size[4] = {count, C, H, W};
    mango_idx bytes;
    if (count < 1 || count > MGI_PICTURES_MAX || C < 1 || H < 1 || W < 1 ||
        !mgi_prod(4, size, &bytes) || bytes > MGI_PIXELS_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: %ld pictures of %ldx%ldx%ld: none, or too many to hold",
                        d->name, (long)count, (long)C, (long)H, (long)W);
    d->count = count;
    d->C = C;
    d->H = H;
    d->W = W;
    d->pixels = (unsigned char *)mgi_new(&d->al, bytes, 1);
    d->labels = (int *)mgi_new(&d->al, count, sizeof(int));
    if (!d->pixels || !d->labels)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes of pictures",
                        d->name, (long)bytes);
    return MANGO_OK;
}

MGI_FN mango_status mgi_data_classes(mango_data *d, mango_idx n, const char *const *names,
                                     mango_err *err)
{
    if (n < 0 || n > MGI_CLASSES_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %ld classes, at most %d expected", d->name,
                        (long)n, MGI_CLASSES_MAX);
    d->class_name = (char(*)[MGI_CLASS_NAME])mgi_new(&d->al, n, MGI_CLASS_NAME);
    if (!d->class_name)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->name);
    d->classes = n;
    for (mango_idx k = 0; k < n; k++)
        if (names && names[k])
            mgi_copy(d->class_name[k], MGI_CLASS_NAME, names[k]);
        else
            snprintf(d->class_name[k], MGI_CLASS_NAME, "%ld", (long)k);
    return MANGO_OK;
}

/* Every label in range, every class with at least one picture. */
static mango_status dataset_validate(const mango_data *d, mango_err *err)
{
    mango_idx *seen, k = 0;
    if (!d->labels || d->classes == 0)
        return MANGO_OK;
    seen = (mango_idx *)mgi_new(&d->al, d->classes, sizeof *seen);
    if (!seen)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->name);
    for (mango_idx i = 0; i < d->count; i++) {
        if (d->labels[i] < 0 || d->labels[i] >= d->classes) {
            mgi_del(&d->al, seen, d->classes, sizeof *seen);
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s %s: picture %ld has label %d, 0 to %ld expected", d->name,
                            d->split, (long)i, d->labels[i], (long)d->classes - 1);
        }
        seen[d->labels[i]]++;
    }
    while (k < d->classes && (seen[k] > 0 || d->o.allow_empty))
        k++;
    mgi_del(&d->al, seen, d->classes, sizeof *seen);
    if (k == d->classes)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_FORMAT, "%s %s: class %ld (%s) has no picture", d->name,
                    d->split, (long)k, d->class_name ? d->class_name[k] : "?");
}

static mango_status dataset_new(mango_data **data, const char *name, const char *split,
                                const mango_data_options *o, const mango_alloc *al,
                                mango_err *err)
{
    mango_alloc a = mgi_alloc_get(al);
    mango_data *d = (mango_data *)mgi_new(&a, 1, sizeof *d);
    *data = d;
    if (!d)
        return mgi_fail(err, MANGO_E_MEM, "data set %s: out of memory", name);
    d->al = a;
    mgi_str_init(&d->names, &a);
    MGI_TRY(mango_data_defaults(&d->o));
    if (o)
        MGI_TRY(mgi_options_in(&d->o, sizeof d->o, o, "mango_data_open", err));
    if (!mgi_copy(d->name, (mango_idx)sizeof d->name, name) ||
        !mgi_copy(d->split, (mango_idx)sizeof d->split, split))
        return mgi_fail(err, MANGO_E_NAME, "data set %s, split %s: name too long", name,
                        split);
    return MANGO_OK;
}

static mango_status dataset_load(mango_data *d, const char *root, mango_err *err)
{
    static const char *const known[] = {"cifar10", "mnist", "fashion-mnist", "folder"};
    char near[128];
    if (strcmp(d->split, "train") && strcmp(d->split, "test") && strcmp(d->name, "folder"))
        return mgi_fail(err, MANGO_E_NAME, "%s has no split '%s'; train or test expected",
                        d->name, d->split);
    if (mgi_os_kind(root) != 2)
        return mgi_fail(err, MANGO_E_IO, "%s: no such folder", root);
    if (!strcmp(d->name, "cifar10"))
        return mgi_data_cifar10(d, root, err);
    if (!strcmp(d->name, "mnist") || !strcmp(d->name, "fashion-mnist"))
        return mgi_data_mnist(d, root, err);
    if (!strcmp(d->name, "folder"))
        return mgi_data_folder(d, root, err);
    mgi_near(d->name, MGI_COUNT(known), known, near, (mango_idx)sizeof near);
    return mgi_fail(err, MANGO_E_NAME,
                    "no data set '%s'; near: %s (cifar10, mnist, fashion-mnist, folder)",
                    d->name, near);
}

mango_status mango_data_open(mango_data **data, const char *name, const char *root,
                             const char *split, const mango_data_options *o,
                             const mango_alloc *al, mango_err *err)
{
    mango_status st;
    if (!data || !name || !root)
        return mgi_fail(err, MANGO_E_ARG, "data set: a name and a folder expected");
    st = dataset_new(data, name, split ? split : "test", o, al, err);
    if (st >= 0)
        st = dataset_load(*data, root, err);
    if (st >= 0)
        st = dataset_validate(*data, err);
    if (st < 0) {
        mango_data_destroy(*data);
        *data = NULL;
    }
    return st;
}

mango_status mango_data_make(mango_data **data, const char *name, mango_idx count,
                             mango_idx C, mango_idx H, mango_idx W, mango_idx classes,
                             const unsigned char *pixels, const int *labels,
                             const mango_alloc *al, mango_err *err)
{
    mango_status st;
    if (!data || !name || !pixels)
        return mgi_fail(err, MANGO_E_ARG, "data set: a name and pictures expected");
    st = dataset_new(data, name, "memory", NULL, al, err);
    if (st >= 0)
        st = mgi_data_reserve(*data, count, C, H, W, err);
    if (st >= 0)
        st = mgi_data_classes(*data, labels ? classes : 0, NULL, err);
    if (st >= 0) {
        mango_data *d = *data;
        memcpy(d->pixels, pixels, (size_t)(count * C * H * W));
        if (labels)
            memcpy(d->labels, labels, (size_t)count * sizeof *labels);
        st = dataset_validate(d, err);
    }
    if (st < 0) {
        mango_data_destroy(*data);
        *data = NULL;
    }
    return st;
}

mango_status mango_data_get_sized(const mango_data *d, mango_data_info *info, size_t size)
{
    MGI_REQUIRE(d && info);
    const mango_data_info own = {d->name, d->split, d->count, d->classes, d->C, d->H, d->W};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_data_picture(const mango_data *d, mango_idx i, unsigned char *pixels,
                                int *label, mango_err *err)
{
    mango_idx n;
    if (!d || i < 0 || i >= d->count)
        return mgi_fail(err, MANGO_E_ARG, "data set: picture %ld, 0 to %ld expected",
                        (long)i, d ? (long)d->count - 1 : 0L);
    if (label)
        *label = d->classes ? d->labels[i] : -1;
    if (!pixels)
        return MANGO_OK;
    if (!d->pixels)
        return mgi_folder_get(d, i, pixels, err);
    n = d->C * d->H * d->W;
    memcpy(pixels, d->pixels + i * n, (size_t)n);
    return MANGO_OK;
}

const unsigned char *mango_data_pixels(const mango_data *d)
{
    return d ? d->pixels : NULL;
}

const int *mango_data_labels(const mango_data *d)
{
    return d && d->classes ? d->labels : NULL;
}

const char *mango_data_class(const mango_data *d, mango_idx k)
{
    return d && k >= 0 && k < d->classes ? d->class_name[k] : NULL;
}

const char *mango_data_path(const mango_data *d, mango_idx i)
{
    return d && d->path && i >= 0 && i < d->count ? d->names.p + d->path[i] : NULL;
}

void mango_data_destroy(mango_data *d)
{
    mango_alloc al;
    if (!d)
        return;
    al = d->al;
    if (d->pixels)
        mgi_del(&al, d->pixels, d->count * d->C * d->H * d->W, 1);
    if (d->labels)
        mgi_del(&al, d->labels, d->count, sizeof *d->labels);
    if (d->class_name)
        mgi_del(&al, d->class_name, d->classes, MGI_CLASS_NAME);
    if (d->path)
        mgi_del(&al, d->path, d->count, sizeof *d->path);
    mgi_str_free(&d->names);
    mgi_del(&al, d, 1, sizeof *d);
}
