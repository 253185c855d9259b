/* os_windows.c - os.h for Windows.
 * SPDX-License-Identifier: MIT */
#include "os.h"
#if defined(_WIN32) && !defined(MANGO_NO_FILES)
#include "hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <share.h>
#include <sys/stat.h>
#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#define OS_RIVALS 64 /* temporary names tried, each in use by another process */

MGI_FN FILE *mgi_os_open(const char *path)
{
    struct _stat s;
    if (_stat(path, &s) == 0 && (s.st_mode & _S_IFMT) == _S_IFDIR) {
        errno = EISDIR; /* fopen would say that it is not allowed */
        return NULL;
    }
    return fopen(path, "rb");
}

MGI_FN int mgi_os_sync(FILE *f)
{
    return fflush(f) == 0 && (_commit(_fileno(f)) == 0 || errno == EBADF || errno == EINVAL);
}

/* Write, sync and close; 0 or errno. */
static int os_fill(FILE *f, const void *p, mango_idx n)
{
    int why = n == 0 || fwrite(p, 1, (size_t)n, f) == (size_t)n ? 0 : errno;
    if (why == 0 && !mgi_os_sync(f))
        why = errno;
    if (fclose(f) != 0 && why == 0)
        why = errno;
    return why;
}

/* The k-th temporary name: beside the target, the same for it each time, never too long. */
static int os_temporary(const char *target, int k, char name[MGI_OS_PATH])
{
    const char *last = target;
    for (const char *c = target; *c; c++)
        if (*c == '/' || *c == '\\' || *c == ':')
            last = c + 1;
    const uint32_t mark = mgi_crc32(0, last, (mango_idx)strlen(last));
    const int n = snprintf(name, MGI_OS_PATH, "%.*s.mango-%08lx-%d.tmp", (int)(last - target),
                           target, (unsigned long)mark, k);
    return n > 0 && n < MGI_OS_PATH;
}

/* Open the temporary file `name` for this process alone: new, or left by one that is no
 * more. NULL with errno set, EACCES when another one has it. */
static FILE *os_take(const char *name)
{
    int fd = -1;
    if (_sopen_s(&fd, name, _O_WRONLY | _O_CREAT | _O_TRUNC | _O_BINARY, _SH_DENYRW,
                 _S_IREAD | _S_IWRITE) != 0)
        return NULL;
    return _fdopen(fd, "wb");
}

static int os_rename(const char *from, const char *to)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        return 0;
    switch (GetLastError()) {
    case ERROR_DISK_FULL: return ENOSPC;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return ENOENT;
    default: return EACCES;
    }
}

MGI_FN int mgi_os_save(const char *path, const void *p, mango_idx n)
{
    char name[MGI_OS_PATH];
    struct _stat s;
    FILE *f = NULL;
    const int there = _stat(path, &s) == 0;
    if (there && (s.st_mode & _S_IFMT) == _S_IFDIR)
        return EISDIR;
    if (there && (s.st_mode & _S_IFMT) != _S_IFREG)
        return (f = fopen(path, "wb")) != NULL ? os_fill(f, p, n) : errno;
    if (there && _access(path, 2) != 0)
        return errno;
    for (int k = 0; !f && k < OS_RIVALS; k++) {
        if (!os_temporary(path, k, name))
            return ENAMETOOLONG;
        f = os_take(name);
        if (!f && errno != EACCES)
            return errno;
    }
    if (!f)
        return errno;
    int why = os_fill(f, p, n);
    if (why == 0)
        why = os_rename(name, path);
    if (why != 0)
        remove(name);
    return why;
}

MGI_FN int mgi_os_follow(const char *path, char to[MGI_OS_PATH])
{
    return mgi_copy(to, MGI_OS_PATH, path) ? 0 : ENAMETOOLONG;
}

MGI_FN mango_idx mgi_os_size(FILE *f)
{
    struct _stat64 s;
    if (_fstat64(_fileno(f), &s) != 0)
        return 0;
    if ((s.st_mode & _S_IFMT) == _S_IFDIR)
        return -1;
    if ((s.st_mode & _S_IFMT) != _S_IFREG || s.st_size < 0)
        return 0;
    return s.st_size > PTRDIFF_MAX - 1 ? PTRDIFF_MAX - 1 : (mango_idx)s.st_size;
}

MGI_FN int mgi_os_kind(const char *path)
{
    struct _stat64 s;
    if (_stat64(path, &s) != 0)
        return 0;
    const int kind = s.st_mode & _S_IFMT;
    return kind == _S_IFDIR ? 2 : kind == _S_IFREG ? 1 : 3;
}

/* ---- a log ---- */
MGI_FN FILE *mgi_os_log(const char *path, int create, int *made)
{
    const int how = _O_RDWR | _O_APPEND | _O_BINARY, mode = _S_IREAD | _S_IWRITE;
    int fd = -1;
    *made = create && _sopen_s(&fd, path, how | _O_CREAT | _O_EXCL, _SH_DENYWR, mode) == 0;
    if (!*made && (!create || errno == EEXIST))
        (void)_sopen_s(&fd, path, how, _SH_DENYWR, mode);
    if (fd >= 0)
        return _fdopen(fd, "a+b");
    errno = errno == EACCES && _access(path, 6) == 0 ? EAGAIN : errno;
    return NULL;
}

MGI_FN int mgi_os_cut(FILE *f, int64_t n)
{
    return _chsize_s(_fileno(f), n) == 0;
}

MGI_FN void mgi_os_drop(FILE *f, const char *path)
{
    fclose(f); /* an open file cannot be removed */
    remove(path);
}

/* ---- folders ---- */
/* struct mgi_os_folder is DIR by another name. */
MGI_FN mgi_os_folder *mgi_os_folder_open(const char *path)
{
    return (mgi_os_folder *)(void *)opendir(path);
}

MGI_FN const char *mgi_os_folder_next(mgi_os_folder *d)
{
    const struct dirent *e = readdir((DIR *)(void *)d);
    return e ? e->d_name : NULL;
}

MGI_FN void mgi_os_folder_close(mgi_os_folder *d)
{
    closedir((DIR *)(void *)d);
}

#undef OS_RIVALS
#endif
