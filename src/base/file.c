/* file.c - files: bounded reading, atomic writing, a log that only grows.
 * SPDX-License-Identifier: MIT */
#include "file.h"
#include "os.h"
#include <errno.h>

#define FILE_CHUNK 65536

/* ---- reading ---- */
/* The rest of f into p (cap), which grows, at most limit bytes. */
static mango_status file_slurp(FILE *f, mango_idx limit, const mango_alloc *al,
                               unsigned char **p, mango_idx *cap, mango_idx *n)
{
    while (!feof(f)) {
        if (*n == *cap) {
            const mango_idx more = MGI_MAX(*cap, FILE_CHUNK);
            unsigned char *q = mgi_resize(al, *p, *cap, *cap + more, 1);
            if (!q)
                return MANGO_E_MEM;
            *p = q, *cap += more;
        }
        *n += (mango_idx)fread(*p + *n, 1, (size_t)(*cap - *n), f);
        if (ferror(f))
            return MANGO_E_IO;
        if (*n > limit)
            return MANGO_E_LIMIT;
    }
    return MANGO_OK;
}

/* One byte more than the file has meets its end; it becomes the NUL. */
static mango_status file_take(FILE *f, const char *path, mango_idx limit,
                              const mango_alloc *al, unsigned char **p, mango_idx *n,
                              mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    const mango_idx size = mgi_os_size(f);
    mango_idx cap = size > 0 ? size + 1 : FILE_CHUNK, got = 0;
    unsigned char *q = NULL, *fit;
    mango_status st = size > limit ? MANGO_E_LIMIT : MANGO_OK;
    if (size < 0)
        return mgi_fail(err, MANGO_E_IO, "%s: is a folder, a file was expected", path);
    if (st == MANGO_OK && !(q = mgi_new(&a, cap, 1)))
        st = MANGO_E_MEM;
    if (st == MANGO_OK)
        st = file_slurp(f, limit, &a, &q, &cap, &got);
    const int why = errno;
    if (st == MANGO_OK) { /* trim to the promised n + 1 bytes */
        if ((fit = mgi_resize(&a, q, cap, got + 1, 1)) != NULL) {
            fit[got] = 0;
            *p = fit, *n = got;
            return MANGO_OK;
        }
        st = MANGO_E_MEM;
    }
    mgi_del(&a, q, cap, 1);
    if (st == MANGO_E_LIMIT)
        return mgi_fail(err, st, "%s: larger than the limit of %lld bytes", path,
                        (long long)limit);
    if (st == MANGO_E_MEM)
        return mgi_fail(err, st, "%s: out of memory for its %lld bytes", path,
                        (long long)size);
    return mgi_fail(err, mgi_os_status(why), "%s: read failed at byte %lld: %s", path,
                    (long long)got, mgi_os_text(why));
}

mango_status mgi_file_read(const char *path, mango_idx limit, const mango_alloc *al,
                           unsigned char **p, mango_idx *n, mango_err *err)
{
    FILE *f = mgi_os_open(path);
    if (!f)
        return mgi_fail(err, mgi_os_status(errno), "%s: %s", path, mgi_os_text(errno));
    const mango_status st = file_take(f, path, limit, al, p, n, err);
    fclose(f);
    return st;
}

mango_status mgi_file_write(const char *path, const void *p, mango_idx n, mango_err *err)
{
    const int why = mgi_os_save(path, p, n);
    return why == 0 ? MANGO_OK
                    : mgi_fail(err, mgi_os_status(why), "%s: %s", path, mgi_os_text(why));
}

MGI_FN mango_status mgi_file_follow(const char *path, char to[4096], mango_err *err)
{
    const int why = mgi_os_follow(path, to);
    return why == 0 ? MANGO_OK
                    : mgi_fail(err, mgi_os_status(why), "%s: %s", path, mgi_os_text(why));
}

/* ---- a log ---- */
static mango_status log_fail(const mgi_applog *l, mango_err *err)
{
    return mgi_fail(err, mgi_os_status(errno), "%s: %s", l->name, mgi_os_text(errno));
}

MGI_FN mango_status mgi_applog_open(mgi_applog *l, const char *path, int create, mango_err *err)
{
    mgi_copy(l->name, sizeof l->name, path);
    l->f = mgi_os_log(path, create, &l->made);
    if (!l->f && errno == EAGAIN)
        return mgi_fail(err, MANGO_E_STATE, "%s: another process is using it", l->name);
    if (!l->f)
        return errno == ENOENT && !create ? MANGO_OK : log_fail(l, err);
    rewind(l->f);
    if (!create || mgi_os_size(l->f) == 0)
        return MANGO_OK;
    mgi_applog_close(l);
    return mgi_fail(err, MANGO_E_STATE, "%s: another process has just made it", l->name);
}

MGI_FN mango_status mgi_applog_read(mgi_applog *l, mango_idx cap, void *p, mango_idx *n,
                                    mango_err *err)
{
    *n = (mango_idx)fread(p, 1, (size_t)cap, l->f);
    return ferror(l->f) ? log_fail(l, err) : MANGO_OK;
}

MGI_FN mango_status mgi_applog_cut(mgi_applog *l, int64_t n, mango_err *err)
{
    rewind(l->f); /* between reading and writing */
    return mgi_os_cut(l->f, n) ? MANGO_OK : log_fail(l, err);
}

MGI_FN mango_status mgi_applog_append(mgi_applog *l, const void *p, mango_idx n, int sync,
                                   mango_err *err)
{
    int ok = fwrite(p, 1, (size_t)n, l->f) == (size_t)n;
    ok = ok && (sync ? mgi_os_sync(l->f) : fflush(l->f) == 0);
    return ok ? MANGO_OK : log_fail(l, err);
}

MGI_FN void mgi_applog_close(mgi_applog *l)
{
    if (l->f)
        fclose(l->f);
    l->f = NULL;
}

MGI_FN void mgi_applog_drop(mgi_applog *l, const char *path)
{
    if (l->f && l->made)
        mgi_os_drop(l->f, path);
    else if (l->f)
        fclose(l->f);
    l->f = NULL;
}

#undef FILE_CHUNK
