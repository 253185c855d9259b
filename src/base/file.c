/* file.c - files: bounded reading, atomic writing, a log that only grows.
 * SPDX-License-Identifier: MIT */
#include "file.h"
#include "os.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#if defined(_WIN32)
#include <io.h>
#include <share.h>
#else
#include <sys/file.h>
#include <unistd.h>
#endif

#define FILE_CHUNK 65536

/* ---- reading ---- */
/* Bytes the file says it has; 0 for pipes and devices, -1 for a folder. */
static mango_idx file_size(FILE *f)
{
    struct stat s;
    if (fstat(fileno(f), &s) != 0)
        return 0;
    if ((s.st_mode & S_IFMT) == S_IFDIR)
        return -1;
    if ((s.st_mode & S_IFMT) != S_IFREG || s.st_size < 0)
        return 0;
    return s.st_size > PTRDIFF_MAX - 1 ? PTRDIFF_MAX - 1 : (mango_idx)s.st_size;
}

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
    const mango_idx size = file_size(f);
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

/* ---- a log ---- */
#if !defined(_WIN32)
/* Take the lock of an open file, do not wait; false with errno set. */
static int log_lock(int fd)
{
#if defined(LOCK_EX)
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
#else
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &whole) == 0;
#endif
}

/* Does path still lead to the open file? Its owner may have removed it meanwhile. */
static int log_is_at(int fd, const char *path)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* A descriptor locked for this process becomes a stream; NULL with errno set. */
static FILE *log_stream(int fd, const char *path)
{
    const int locked = log_lock(fd);
    if (!locked && (errno == EWOULDBLOCK || errno == EACCES || errno == EAGAIN)) {
        errno = EAGAIN;
        return NULL; /* other errors: a file system without locks */
    }
    if (!log_is_at(fd, path)) {
        errno = EAGAIN;
        return NULL;
    }
    return fdopen(fd, "a+b");
}
#endif

/* The file's descriptor; *made: it was not there before. -1 with errno set. */
static int log_descriptor(const char *path, int create, int *made)
{
#if defined(_WIN32)
    const int how = _O_RDWR | _O_APPEND | _O_BINARY, mode = _S_IREAD | _S_IWRITE;
    int fd = -1;
    *made = create && _sopen_s(&fd, path, how | _O_CREAT | _O_EXCL, _SH_DENYWR, mode) == 0;
    if (!*made && (!create || errno == EEXIST))
        (void)_sopen_s(&fd, path, how, _SH_DENYWR, mode);
    if (fd < 0 && errno == EACCES && _access(path, 6) == 0)
        errno = EAGAIN;
#else
    const int how = O_RDWR | O_APPEND;
    int fd = create ? open(path, how | O_CREAT | O_EXCL, 0666) : -1;
    *made = fd >= 0;
    if (fd < 0 && (!create || errno == EEXIST))
        fd = open(path, how);
#endif
    return fd;
}

/* Open for reading and appending, locked; NULL with errno set, EAGAIN: in use. */
static FILE *log_take(const char *path, int create, int *made)
{
    const int fd = log_descriptor(path, create, made);
    if (fd < 0)
        return NULL;
#if defined(_WIN32)
    return _fdopen(fd, "a+b");
#else
    FILE *f = log_stream(fd, path);
    const int why = errno;
    if (!f)
        close(fd);
    errno = why;
    return f;
#endif
}

static mango_status log_fail(const mgi_applog *l, mango_err *err)
{
    return mgi_fail(err, mgi_os_status(errno), "%s: %s", l->name, mgi_os_text(errno));
}

MGI_FN mango_status mgi_applog_open(mgi_applog *l, const char *path, int create, mango_err *err)
{
    mgi_copy(l->name, sizeof l->name, path);
    l->f = log_take(path, create, &l->made);
    if (!l->f && errno == EAGAIN)
        return mgi_fail(err, MANGO_E_STATE, "%s: another process is using it", l->name);
    if (!l->f)
        return errno == ENOENT && !create ? MANGO_OK : log_fail(l, err);
    rewind(l->f);
    if (!create || file_size(l->f) == 0)
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
#if defined(_WIN32)
    const int ok = _chsize_s(_fileno(l->f), n) == 0;
#else
    const int ok = ftruncate(fileno(l->f), (off_t)n) == 0;
#endif
    return ok ? MANGO_OK : log_fail(l, err);
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
    const int ours = l->f && l->made;
#if !defined(_WIN32)
    if (ours)
        remove(path); /* still locked: whoever opens it now sees that it is gone */
    mgi_applog_close(l);
#else
    mgi_applog_close(l); /* an open file cannot be removed */
    if (ours)
        remove(path);
#endif
}

#undef FILE_CHUNK
