/* folder.c - pictures in folders: ROOT/CLASS/xxx as ImageNet has them, or flat
 * (SYNSET_name.JPEG: each synset is a class; other names: no labels).
 * SPDX-License-Identifier: MIT */
#include "dataset.h"
#include <stdlib.h>

/* A growing list of names: one block of text, offsets into it. */
typedef struct folder_list {
    mgi_str text;
    mango_idx *at;
    mango_idx n, cap;
} folder_list;

static void folder_list_init(folder_list *l, const mango_alloc *al)
{
    memset(l, 0, sizeof *l);
    mgi_str_init(&l->text, al);
}

static void folder_list_free(folder_list *l)
{
    mgi_del(&l->text.al, l->at, l->cap, sizeof *l->at);
    mgi_str_free(&l->text);
}

/* Append dir/name, or name when dir is empty. */
static mango_status folder_add(folder_list *l, const char *dir, const char *name,
                               mango_err *err)
{
    if (l->n >= MGI_PICTURES_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "more than %ld pictures",
                        (long)MGI_PICTURES_MAX);
    if (l->n == l->cap) {
        mango_idx cap = l->cap ? 2 * l->cap : 64;
        mango_idx *at =
            (mango_idx *)mgi_resize(&l->text.al, l->at, l->cap, cap, sizeof *at);
        if (!at)
            return mgi_fail(err, MANGO_E_MEM, "out of memory for %ld names", (long)cap);
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = l->text.n;
    mgi_str_puts(&l->text, dir);
    mgi_str_puts(&l->text, *dir ? "/" : "");
    mgi_str_put(&l->text, name, (mango_idx)strlen(name) + 1);
    return l->text.bad ? mgi_fail(err, MANGO_E_MEM, "out of memory for names") : MANGO_OK;
}

static int folder_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sort bytewise: the order must not depend on the file system. */
static mango_status folder_sort(folder_list *l, mango_err *err)
{
    const char **p = (const char **)mgi_new(&l->text.al, l->n, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "out of memory for %ld names", (long)l->n);
    for (mango_idx i = 0; i < l->n; i++)
        p[i] = l->text.p + l->at[i];
    qsort((void *)p, (size_t)l->n, sizeof *p, folder_compare);
    for (mango_idx i = 0; i < l->n; i++)
        l->at[i] = p[i] - l->text.p;
    mgi_del(&l->text.al, (void *)p, l->n, sizeof *p);
    return MANGO_OK;
}

/* Does name end in a picture's extension? Case is ignored. */
static int folder_is_picture(const char *name)
{
    static const char *const ext[] = {"png", "jpg", "jpeg", "bmp", "ppm", "pgm"};
    const char *dot = strrchr(name, '.');
    if (!dot)
        return 0;
    for (mango_idx i = 0; i < MGI_COUNT(ext); i++) {
        const char *a = dot + 1, *b = ext[i];
        while (*a && *b && (*a | 32) == *b) {
            a++;
            b++;
        }
        if (!*a && !*b)
            return 1;
    }
    return 0;
}

/* List base/dir (dir may be ""), sorted: its pictures, or its folders. */
static mango_status folder_scan(const mango_alloc *al, const char *base, const char *dir,
                                int folders, folder_list *out, mango_err *err)
{
    mango_status st = MANGO_OK;
    mgi_str path;
    mgi_os_folder *handle;
    const char *name;
    mgi_str_init(&path, al);
    mgi_str_printf(&path, "%s/%s", base, dir);
    handle = path.bad ? NULL : mgi_os_folder_open(path.p);
    if (path.bad)
        st = mgi_fail(err, MANGO_E_MEM, "%s/%s: out of memory", base, dir);
    else if (!handle)
        st = mgi_fail(err, MANGO_E_IO, "%s/%s: cannot list this folder", base, dir);
    while (st >= 0 && (name = mgi_os_folder_next(handle)) != NULL) {
        if (name[0] == '.')
            continue;
        if (folder_is_picture(name)) {
            if (!folders)
                st = folder_add(out, dir, name, err);
            continue;
        }
        path.n = 0;
        mgi_str_printf(&path, "%s/%s/%s", base, dir, name);
        if (path.bad)
            st = mgi_fail(err, MANGO_E_MEM, "%s/%s: out of memory", base, dir);
        else if (folders && mgi_os_kind(path.p) == 2)
            st = folder_add(out, "", name, err);
    }
    if (handle)
        mgi_os_folder_close(handle);
    mgi_str_free(&path);
    return st >= 0 ? folder_sort(out, err) : st;
}

/* Bytes of a synset id ("n01440764") at the start of "n01440764_x", or 0. */
static mango_idx folder_synset(const char *name)
{
    mango_idx n = 1;
    if (name[0] != 'n')
        return 0;
    while (name[n] >= '0' && name[n] <= '9')
        n++;
    return n == 9 && name[n] == '_' ? n : 0;
}

static void folder_class_name(char out[MGI_CLASS_NAME], const char *name, mango_idx n)
{
    n = MGI_MIN(n, MGI_CLASS_NAME - 1);
    for (mango_idx i = 0; i < n; i++)
        out[i] = (unsigned char)name[i] < 32 || name[i] == 127 ? '?' : name[i];
    out[n] = 0;
}

/* Labels of a flat folder whose names all start with a synset; 0 classes else.
 * Names are sorted, so pictures of one class lie together. */
static mango_status folder_synsets(mango_data *d, mango_err *err)
{
    mango_idx classes = 0;
    for (mango_idx i = 0; i < d->count; i++) {
        const char *name = d->names.p + d->path[i];
        mango_idx n = folder_synset(name);
        if (!n)
            return mgi_data_classes(d, 0, NULL, err);
        classes += i == 0 || strncmp(name, d->names.p + d->path[i - 1], (size_t)n + 1) != 0;
        d->labels[i] = (int)classes - 1;
    }
    MGI_TRY(mgi_data_classes(d, classes, NULL, err));
    for (mango_idx i = d->count - 1; i >= 0; i--) {
        const char *name = d->names.p + d->path[i], *word = name + folder_synset(name) + 1;
        mango_idx n = (mango_idx)strcspn(word, ".");
        if (n > 0 && (mango_idx)strspn(word, "0123456789") < n)
            folder_class_name(d->class_name[d->labels[i]], word, n);
        else /* ImageNet's own names carry a number there */
            folder_class_name(d->class_name[d->labels[i]], name, 9);
    }
    return MANGO_OK;
}

/* Hand the list over to d; labels are allocated, zero. */
static mango_status folder_take(mango_data *d, folder_list *l, mango_err *err)
{
    if (l->n < 1)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: no pictures there", d->root);
    mango_idx *at = (mango_idx *)mgi_resize(&d->al, l->at, l->cap, l->n, sizeof *at);
    if (!at)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
    mgi_str_free(&d->names);
    d->names = l->text;
    d->path = at;
    d->count = l->n;
    folder_list_init(l, &d->al);
    d->labels = (int *)mgi_new(&d->al, d->count, sizeof *d->labels);
    return d->labels ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
}

/* CLASS/xxx: labels in the order of the sorted class names. */
static mango_status folder_tree(mango_data *d, const folder_list *dirs, folder_list *files,
                                mango_err *err)
{
    MGI_TRY(mgi_data_classes(d, dirs->n, NULL, err));
    mango_idx *end = (mango_idx *)mgi_new(&d->al, dirs->n, sizeof *end), k = 0;
    mango_status st =
        end ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
    for (k = 0; st >= 0 && k < dirs->n; k++) {
        const char *dir = dirs->text.p + dirs->at[k];
        folder_list one;
        folder_class_name(d->class_name[k], dir, (mango_idx)strlen(dir));
        folder_list_init(&one, &d->al);
        st = folder_scan(&d->al, d->root, dir, 0, &one, err);
        for (mango_idx i = 0; st >= 0 && i < one.n; i++)
            st = folder_add(files, "", one.text.p + one.at[i], err);
        folder_list_free(&one);
        end[k] = files->n;
    }
    if (st >= 0)
        st = folder_take(d, files, err);
    k = 0;
    for (mango_idx i = 0; st >= 0 && i < d->count; i++) {
        while (i >= end[k])
            k++;
        d->labels[i] = (int)k;
    }
    mgi_del(&d->al, end, dirs->n, sizeof *end);
    return st;
}

/* root/SPLIT, root/val for "test", or root itself. */
static mango_status folder_root(mango_data *d, const char *root, mango_err *err)
{
    const char *const sub[2] = {d->split, strcmp(d->split, "test") ? d->split : "val"};
    mgi_str s;
    int found = 0;
    mgi_str_init(&s, &d->al);
    for (int i = 0; i < 2 && !found; i++) {
        s.n = 0;
        mgi_str_printf(&s, "%s/%s", root, sub[i]);
        found = !s.bad && mgi_os_kind(s.p) == 2;
    }
    const int bad = s.bad;
    const int fits = mgi_copy(d->root, (mango_idx)sizeof d->root, found ? s.p : root);
    mgi_str_free(&s);
    if (bad)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", root);
    return fits ? MANGO_OK : mgi_fail(err, MANGO_E_LIMIT, "%s: path too long", root);
}

MGI_FN mango_status mgi_data_folder(mango_data *d, const char *root, mango_err *err)
{
    folder_list dirs, files;
    mango_status st;
    d->C = d->o.channels;
    d->H = d->W = d->o.crop;
    MGI_CHECK(err, d->C == 1 || d->C == 3, "folder: pictures of %d channels, 1 or 3 expected",
              d->o.channels);
    if (d->o.crop < 1 || d->o.crop > 4096 || d->o.resize < 0 || d->o.resize > 4096 ||
        (d->o.resize > 0 && d->o.resize < d->o.crop))
        return mgi_fail(
            err, MANGO_E_ARG,
            "folder: resize %ld and crop %ld, 1 to 4096 and crop <= resize expected",
            (long)d->o.resize, (long)d->o.crop);
    folder_list_init(&dirs, &d->al);
    folder_list_init(&files, &d->al);
    MGI_TRY_TO(folder_root(d, root, err));
    MGI_TRY_TO(folder_scan(&d->al, d->root, "", 1, &dirs, err));
    if (dirs.n > 0) {
        st = folder_tree(d, &dirs, &files, err);
        goto done;
    }
    MGI_TRY_TO(folder_scan(&d->al, d->root, "", 0, &files, err));
    MGI_TRY_TO(folder_take(d, &files, err));
    st = folder_synsets(d, err);
done:
    folder_list_free(&dirs);
    folder_list_free(&files);
    return st;
}

MGI_FN mango_status mgi_folder_get(const mango_data *d, mango_idx i, unsigned char *pixels,
                                   mango_err *err)
{
    unsigned char *rgb = NULL;
    mango_idx W = 0, H = 0;
    mango_err why = {""};
    mango_status st = MANGO_OK;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    mgi_str_printf(&path, "%s/%s", d->root, d->names.p + d->path[i]);
    if (path.bad)
        st = mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
    if (st >= 0)
        st = mgi_path_ends(path.p, err);
    if (st >= 0)
        st = mango_image_read(path.p, &d->o.codecs, d->o.max_side, &rgb, &W, &H, &d->al, err);
    if (st >= 0 && d->C == 1)
        mango_image_grey(W * H, rgb, rgb);
    if (st >= 0) {
        st = mango_image_fit(H, W, d->C, rgb, d->o.resize, d->o.crop, pixels, &d->al, &why);
        if (st < 0)
            mgi_fail(err, st, "%s: %s", path.p, why.text);
    }
    mgi_del(&d->al, rgb, 3 * W * H, 1);
    mgi_str_free(&path);
    return st;
}
