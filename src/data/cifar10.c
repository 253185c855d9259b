/* cifar10.c - CIFAR-10, binary layout: records of a label byte and 3x1024
 * bytes (planes R, G, B, rows of 32), 10,000 records a file.
 * SPDX-License-Identifier: MIT */
#include "dataset.h"

enum { CIFAR_PIXELS = 3072, CIFAR_RECORD = 3073, CIFAR_COUNT = 10000 };

static mango_status cifar_path(mgi_str *s, const char *root, const char *file,
                               mango_err *err)
{
    s->n = 0;
    mgi_str_printf(s, "%s/%s", root, file);
    return s->bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", file) : MANGO_OK;
}

/* One file: bytes and number of records. */
static mango_status cifar_file(const mango_data *d, const char *path, unsigned char **p,
                               mango_idx *n, mango_err *err)
{
    MGI_TRY(mgi_path_ends(path, err));
    MGI_TRY(mgi_file_read(path, CIFAR_COUNT * CIFAR_RECORD, &d->al, p, n, err));
    if (*n > 0 && *n % CIFAR_RECORD == 0 &&
        (d->o.partial || *n == CIFAR_COUNT * CIFAR_RECORD))
        return MANGO_OK;
    mango_idx size = *n;
    mgi_del(&d->al, *p, size + 1, 1);
    return mgi_fail(err, MANGO_E_FORMAT,
                    "%s: %ld bytes, %ld expected (10,000 records of 3,073); truncated?",
                    path, (long)size, (long)CIFAR_COUNT * CIFAR_RECORD);
}

/* Append the records of one file at picture `at`. */
static void cifar_append(mango_data *d, const unsigned char *p, mango_idx records,
                         mango_idx at)
{
    for (mango_idx i = 0; i < records; i++, p += CIFAR_RECORD) {
        d->labels[at + i] = p[0];
        memcpy(d->pixels + (at + i) * CIFAR_PIXELS, p + 1, CIFAR_PIXELS);
    }
}

/* Names from batches.meta.txt, one a line; the official ones without it. */
static mango_status cifar_names(mango_data *d, const char *path, mango_err *err)
{
    static const char *const official[10] = {"airplane", "automobile", "bird", "cat",
                                             "deer",     "dog",        "frog", "horse",
                                             "ship",     "truck"};
    unsigned char *p = NULL;
    mango_idx n = 0, k = 0, at = 0;
    MGI_TRY(mgi_data_classes(d, 10, official, err));
    if (mgi_os_kind(path) != 1)
        return MANGO_OK;
    MGI_TRY(mgi_file_read(path, 4096, &d->al, &p, &n, err));
    for (mango_idx i = 0; i <= n && k <= 10; i++) {
        if (i < n && p[i] != '\n')
            continue;
        mango_idx len = i - at - (i > at && p[i - 1] == '\r');
        if (len > 0 && len < MGI_CLASS_NAME && k < 10) {
            memcpy(d->class_name[k], p + at, (size_t)len);
            d->class_name[k][len] = 0;
        }
        k += len > 0;
        at = i + 1;
    }
    mgi_del(&d->al, p, n + 1, 1);
    for (mango_idx c = 0; c < 10; c++)
        for (char *z = d->class_name[c]; *z; z++)
            if ((unsigned char)*z < 32 || *z == 127)
                *z = '?';
    return k == 10 ? MANGO_OK
                   : mgi_fail(err, MANGO_E_FORMAT, "%s: %ld%s class names, 10 expected",
                              path, (long)k, k > 10 ? " or more" : "");
}

/* Read files [first,last); append their records when `fill`; *count records. */
static mango_status cifar_files(mango_data *d, const char *root, int first, int last,
                                int fill, mango_idx *count, mango_err *err)
{
    static const char *const files[6] = {"data_batch_1.bin", "data_batch_2.bin",
                                         "data_batch_3.bin", "data_batch_4.bin",
                                         "data_batch_5.bin", "test_batch.bin"};
    mango_status st = MANGO_OK;
    mango_idx at = 0;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    for (int f = first; f < last; f++) {
        unsigned char *p = NULL;
        mango_idx n = 0;
        MGI_TRY_TO(cifar_path(&path, root, files[f], err));
        MGI_TRY_TO(cifar_file(d, path.p, &p, &n, err));
        if (fill && at + n / CIFAR_RECORD <= d->count)
            cifar_append(d, p, n / CIFAR_RECORD, at);
        at += n / CIFAR_RECORD;
        mgi_del(&d->al, p, n + 1, 1);
    }
    if (fill && at != d->count)
        st = mgi_fail(err, MANGO_E_IO, "%s: its files changed while they were read", root);
    *count = at;
done:
    mgi_str_free(&path);
    return st;
}

static mango_status cifar_load(mango_data *d, const char *root, mango_err *err)
{
    const int test = !strcmp(d->split, "test");
    const int first = test ? 5 : 0, last = test ? 6 : 5;
    mango_idx count = (mango_idx)(last - first) * CIFAR_COUNT;
    mango_status st;
    mgi_str path;
    if (d->o.partial) /* sizes are not known before */
        MGI_TRY(cifar_files(d, root, first, last, 0, &count, err));
    MGI_TRY(mgi_data_reserve(d, count, 3, 32, 32, err));
    MGI_TRY(cifar_files(d, root, first, last, 1, &count, err));
    mgi_str_init(&path, &d->al);
    st = cifar_path(&path, root, "batches.meta.txt", err);
    if (st >= 0)
        st = cifar_names(d, path.p, err);
    mgi_str_free(&path);
    return st;
}

/* Is FILE below root/inner? Its folder in s. */
static int cifar_there(mgi_str *s, const char *root, const char *inner, const char *file)
{
    s->n = 0;
    mgi_str_printf(s, "%s%s/%s", root, inner, file);
    const int there = !s->bad && mgi_os_kind(s->p) == 1;
    s->n = 0;
    mgi_str_printf(s, "%s%s", root, inner);
    return there && !s->bad;
}

MGI_FN mango_status mgi_data_cifar10(mango_data *d, const char *root, mango_err *err)
{
    const char *file = strcmp(d->split, "test") ? "data_batch_1.bin" : "test_batch.bin";
    mgi_str s;
    mgi_str_init(&s, &d->al);
    const int inside = !cifar_there(&s, root, "", file) &&
                       cifar_there(&s, root, "/cifar-10-batches-bin", file);
    const mango_status st = s.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", root)
                                  : cifar_load(d, inside ? s.p : root, err);
    mgi_str_free(&s);
    return st;
}
