/* mnist.c - MNIST and Fashion-MNIST: two IDX files a split, plain or .gz.
 * SPDX-License-Identifier: MIT */
#include "dataset.h"

enum { MNIST_FILE_MAX = 1 << 26 }; /* the official 60,000 pictures are 47 MB */

/* Leaves the path of root/PREFIX-WHAT-idxN-ubyte[.gz] in s, or below root as torchvision
 * keeps it; some packers write a dot for the dash before idxN, some for the one before
 * WHAT. */
static mango_status mnist_find(mgi_str *s, const char *name, const char *root,
                               const char *prefix, const char *what, int rank,
                               mango_err *err)
{
    static const char *const dash[][2] = {{"-", "-"}, {"-", "."}, {".", "-"}};
    static const char *const ext[2] = {"", ".gz"};
    static const char *const inner[] = {"", "raw/", "MNIST/raw/", "FashionMNIST/raw/"};
    const int fashion = strcmp(name, "mnist") != 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 6 && (k < 2 || k == 2 + fashion); i++) {
            s->n = 0;
            mgi_str_printf(s, "%s/%s%s%s%s%sidx%d-ubyte%s", root, inner[k], prefix,
                           dash[i / 2][0], what, dash[i / 2][1], rank, ext[i % 2]);
            if (s->bad)
                return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", root);
            if (mgi_os_kind(s->p) == 1)
                return MANGO_OK;
        }
    return mgi_fail(
        err, MANGO_E_IO,
        "%s: no %s-%s-idx%d-ubyte or %s-%s-idx%d-ubyte.gz there, in raw/ or in %s/raw/",
        root, prefix, what, rank, prefix, what, rank,
        inner[2 + fashion][0] == 'M' ? "MNIST" : "FashionMNIST");
}

/* Read, inflate when it is gzip, parse. *bytes (n) is the caller's to free. */
static mango_status mnist_read(const mango_data *d, const char *path, unsigned char **bytes,
                               mango_idx *n, mgi_idx_array *a, mango_err *err)
{
    mango_status st;
    MGI_TRY(mgi_file_read(path, MNIST_FILE_MAX, &d->al, bytes, n, err));
    if (*n >= 2 && (*bytes)[0] == 0x1f && (*bytes)[1] == 0x8b) {
        unsigned char *gz = *bytes;
        mango_idx n_gz = *n;
        *bytes = NULL;
        st =
            mgi_gunzip(gz, n_gz, MNIST_FILE_MAX, path, &d->o.codecs, &d->al, bytes, n, err);
        mgi_del(&d->al, gz, n_gz + 1, 1);
        MGI_TRY(st);
    }
    st = mgi_idx_parse(a, *bytes, *n, path, err);
    if (st < 0) {
        mgi_del(&d->al, *bytes, *n + 1, 1);
        *bytes = NULL;
    }
    return st;
}

/* Pictures (N,H,W) into d. */
static mango_status mnist_pictures(mango_data *d, const char *path, mango_err *err)
{
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    mgi_idx_array a;
    mango_status st;
    MGI_TRY(mnist_read(d, path, &bytes, &n, &a, err));
    if (a.rank != 3 || a.shape[1] != 28 || a.shape[2] != 28)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: rank %d of %ldx%ld pixels, pictures of 28x28 expected", path,
                      a.rank, (long)a.shape[1], (long)a.shape[2]);
    else
        st = mgi_data_reserve(d, a.shape[0], 1, a.shape[1], a.shape[2], err);
    if (st >= 0)
        memcpy(d->pixels, a.data, (size_t)a.count);
    mgi_del(&d->al, bytes, n + 1, 1);
    return st;
}

/* Labels (N), as many as there are pictures. */
static mango_status mnist_labels(mango_data *d, const char *path, mango_err *err)
{
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    mgi_idx_array a;
    mango_status st = MANGO_OK;
    MGI_TRY(mnist_read(d, path, &bytes, &n, &a, err));
    if (a.rank != 1 || a.count != d->count)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: %ld labels of rank %d, %ld expected, one a picture", path,
                      (long)a.shape[0], a.rank, (long)d->count);
    for (mango_idx i = 0; st >= 0 && i < d->count; i++)
        d->labels[i] = a.data[i];
    mgi_del(&d->al, bytes, n + 1, 1);
    return st;
}

MGI_FN mango_status mgi_data_mnist(mango_data *d, const char *root, mango_err *err)
{
    static const char *const fashion[10] = {
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
    const char *prefix = strcmp(d->split, "test") ? "train" : "t10k";
    mango_status st;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    MGI_TRY_TO(mnist_find(&path, d->name, root, prefix, "images", 3, err));
    MGI_TRY_TO(mnist_pictures(d, path.p, err));
    MGI_TRY_TO(mnist_find(&path, d->name, root, prefix, "labels", 1, err));
    MGI_TRY_TO(mnist_labels(d, path.p, err));
    st = mgi_data_classes(d, 10, strcmp(d->name, "mnist") ? fashion : NULL, err);
done:
    mgi_str_free(&path);
    return st;
}
