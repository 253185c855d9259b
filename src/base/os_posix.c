/* os_posix.c - os.h for Linux, macOS and other Unix systems.
 * SPDX-License-Identifier: MIT */
#include "os.h"
#if !defined(_WIN32) && !defined(MANGO_NO_FILES)
#include "hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__) && !defined(__USE_POSIX)
#error "include mango.h before any system header where MANGO_IMPLEMENTATION is defined"
#endif

#define OS_NAME (MGI_OS_PATH + 32)
#define OS_LINKS 40   /* links that may follow one another */
#define OS_RIVALS 64  /* temporary names tried, each locked by another process */
#define OS_CANNOT (-1)
#define OS_OURS 0666
#if defined(O_TMPFILE)
#define OS_TMPFILE O_TMPFILE
#elif defined(__O_TMPFILE)
#define OS_TMPFILE __O_TMPFILE
#endif

/* ---- reading ---- */
/* The pipe's first byte, so that a pipe without a writer is told from one whose writer
 * is slow: -1 with errno ENXIO, 256 when a writer is there and has not written yet. */
static int os_pipe_first(int fd)
{
    const struct timespec pause = {0, 50000000};
    unsigned char c;
    for (int i = 0; i < 20; i++) {
        const ssize_t n = read(fd, &c, 1);
        if (n == 1)
            return c;
        if (n < 0)
            return errno == EAGAIN ? 256 : -1;
        nanosleep(&pause, NULL);
    }
    errno = ENXIO;
    return -1;
}

/* The stream of a descriptor that was opened without waiting; NULL with errno set. */
static FILE *os_stream(int fd)
{
    struct stat s;
    const int fifo = fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode);
    const int first = fifo ? os_pipe_first(fd) : 256;
    const int flags = fcntl(fd, F_GETFL);
    FILE *f = first >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? fdopen(fd, "rb")
                                                                           : NULL;
    if (f && first < 256)
        ungetc(first, f);
    return f;
}

MGI_FN FILE *mgi_os_open(const char *path)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    FILE *f = os_stream(fd);
    const int why = errno;
    if (!f)
        close(fd);
    errno = why;
    return f;
}

/* ---- writing ---- */
/* All n bytes; 0 or errno. */
static int os_write(int fd, const unsigned char *p, mango_idx n)
{
    while (n > 0) {
        const ssize_t k = write(fd, p, (size_t)MGI_MIN(n, (mango_idx)1 << 30));
        if (k < 0 && errno != EINTR)
            return errno;
        p += k > 0 ? k : 0;
        n -= k > 0 ? k : 0;
    }
    return 0;
}

/* Pipes and some devices cannot be synced, and need not be. */
static int os_sync(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS ? 0 : errno;
}

static int os_close(int fd, int why)
{
    return close(fd) != 0 && why == 0 && errno != EINTR ? errno : why;
}

/* Write to what is not a file; the descriptor goes. */
static int os_pour(int fd, const void *p, mango_idx n)
{
    const int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    if (fd < 0)
        return errno;
    (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    int why = os_write(fd, p, n);
    if (why == 0)
        why = os_sync(fd);
    return os_close(fd, why);
}

/* Descriptor that a path names, as /dev/stdout and /dev/fd/63 do; or -1. */
static int os_number(const char *path)
{
    static const char *const word[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    static const char *const head[] = {"/dev/fd/", "/proc/self/fd/"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(path, word[i]))
            return i;
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(head[i]);
        char *end;
        if (strncmp(path, head[i], n) != 0 || path[n] < '0' || path[n] > '9')
            continue;
        const long fd = strtol(path + n, &end, 10);
        return *end || fd > INT_MAX ? -1 : (int)fd;
    }
    return -1;
}

/* By hand, since the last link may lead to nothing yet. Stops at a name of a descriptor. */
MGI_FN int mgi_os_follow(const char *path, char to[MGI_OS_PATH])
{
    struct stat s;
    char next[MGI_OS_PATH];
    if (!mgi_copy(to, MGI_OS_PATH, path))
        return ENAMETOOLONG;
    for (int i = 0; os_number(to) < 0 && lstat(to, &s) == 0 && S_ISLNK(s.st_mode); i++) {
        const ssize_t n = readlink(to, next, sizeof next);
        if (n < 0)
            return errno;
        const char *slash = next[0] == '/' ? NULL : strrchr(to, '/');
        const mango_idx base = slash ? slash - to + 1 : 0;
        if (i == OS_LINKS)
            return ELOOP;
        if (base + n >= MGI_OS_PATH)
            return ENAMETOOLONG;
        memcpy(to + base, next, (size_t)n);
        to[base + n] = '\0';
    }
    return 0;
}

/* ---- a new file takes the place of the old one ---- */
/* folder/name without its last part; "." for none. */
static void os_folder(const char *path, char folder[MGI_OS_PATH])
{
    const char *slash = strrchr(path, '/');
    mgi_copy(folder, MGI_OS_PATH, slash ? path : ".");
    if (slash)
        folder[MGI_MAX(slash - path, 1)] = '\0';
}

/* Make the rename itself durable; what cannot be synced is left alone. */
static void os_sync_folder(const char *path)
{
    char folder[MGI_OS_PATH];
    os_folder(path, folder);
    const int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* The k-th temporary name: beside the target, the same for it each time, never too long. */
static void os_temporary(const char *target, int k, char name[OS_NAME])
{
    const char *slash = strrchr(target, '/'), *last = slash ? slash + 1 : target;
    const uint32_t mark = mgi_crc32(0, last, (mango_idx)strlen(last));
    snprintf(name, OS_NAME, "%.*s.mango-%08lx-%d.tmp", (int)(last - target), target,
             (unsigned long)mark, k);
}

/* Lock an open file, do not wait. Where there are no locks nobody else has it. */
static int os_lock(int fd)
{
#if defined(LOCK_EX)
    const int taken = flock(fd, LOCK_EX | LOCK_NB) != 0;
#else
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int taken = fcntl(fd, F_SETLK, &whole) != 0;
#endif
    return !taken || (errno != EWOULDBLOCK && errno != EAGAIN && errno != EACCES);
}

/* Is fd a file of this user's that stands at `name`, and nowhere else? */
static int os_is_at(int fd, const char *name)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && lstat(name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino && a.st_nlink == 1 && a.st_uid == geteuid() &&
           S_ISREG(b.st_mode);
}

/* Open the temporary file `name`, locked: new, or left by a process that is no more.
 * -1: another one has it, errno EAGAIN; or it cannot be made. */
static int os_take(const char *name, mode_t mode)
{
    const int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    if (os_lock(fd) && os_is_at(fd, name))
        return fd;
    close(fd);
    errno = EAGAIN;
    return -1;
}

/* The bytes, the mode of the file that was there, and down to the disk. */
static int os_fill(int fd, const struct stat *old, const void *p, mango_idx n)
{
    int why = ftruncate(fd, 0) == 0 ? 0 : errno;
    if (why == 0)
        why = os_write(fd, p, n);
    if (why == 0 && old) {
        if (fchown(fd, (uid_t)-1, old->st_gid) != 0)
            errno = 0; /* another group's: the mode alone */
        why = fchmod(fd, old->st_mode & 0777) == 0 || errno == ENOTSUP || errno == EPERM
                  ? 0
                  : errno;
    }
    return why ? why : os_sync(fd);
}

static int os_save_named(const char *to, const struct stat *old, const void *p, mango_idx n)
{
    char name[OS_NAME];
    int fd = -1;
    errno = 0;
    for (int k = 0; fd < 0 && k < OS_RIVALS; k++) {
        if (errno != 0 && errno != EAGAIN && errno != ELOOP && errno != EACCES)
            return errno;
        os_temporary(to, k, name);
        fd = os_take(name, old ? old->st_mode & 0777 : OS_OURS);
    }
    if (fd < 0)
        return errno == EAGAIN ? EBUSY : errno;
    int why = os_fill(fd, old, p, n);
    if (why == 0 && rename(name, to) != 0)
        why = errno;
    if (why != 0)
        unlink(name);
    return os_close(fd, why);
}

#if defined(OS_TMPFILE)
/* Give the nameless file a name; 0 or errno. */
static int os_link(int fd, const char *name)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/* A temporary name that a killed process left is free again. */
static void os_sweep(const char *name)
{
    const int fd = open(name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (os_lock(fd) && os_is_at(fd, name))
        unlink(name);
    close(fd);
}

/* The nameless file takes the place of `to`: at once, or by way of a temporary name. */
static int os_place(int fd, const char *to, int fresh)
{
    char name[OS_NAME];
    int why = fresh ? os_link(fd, to) : EEXIST;
    for (int k = 0; why == EEXIST && k < OS_RIVALS; k++) {
        os_temporary(to, k, name);
        os_sweep(name);
        why = os_link(fd, name);
        if (why == 0 && rename(name, to) != 0) {
            why = errno;
            unlink(name);
            return why;
        }
    }
    return why == 0 ? 0 : OS_CANNOT;
}

static int os_save_nameless(const char *to, const struct stat *old, const void *p, mango_idx n)
{
    char folder[MGI_OS_PATH];
    os_folder(to, folder);
    const int fd = open(folder, OS_TMPFILE | O_WRONLY | O_CLOEXEC,
                        old ? old->st_mode & 0777 : OS_OURS);
    if (fd < 0 || !os_lock(fd)) {
        const int why = errno == EMFILE || errno == ENFILE ? errno : OS_CANNOT;
        if (fd >= 0)
            close(fd);
        return why;
    }
    int why = os_fill(fd, old, p, n);
    if (why == 0)
        why = os_place(fd, to, old == NULL);
    return os_close(fd, why);
}
#else
static int os_save_nameless(const char *to, const struct stat *old, const void *p, mango_idx n)
{
    (void)to, (void)old, (void)p, (void)n;
    return OS_CANNOT;
}
#endif

MGI_FN int mgi_os_save(const char *path, const void *p, mango_idx n)
{
    char to[MGI_OS_PATH];
    struct stat s;
    int why = mgi_os_follow(path, to);
    if (why != 0)
        return why;
    if (os_number(to) >= 0)
        return os_pour(dup(os_number(to)), p, n);
    const int there = stat(to, &s) == 0;
    if (there && !S_ISREG(s.st_mode))
        return os_pour(open(to, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), p, n);
    if (there && access(to, W_OK) != 0)
        return errno;
    why = os_save_nameless(to, there ? &s : NULL, p, n);
    if (why == OS_CANNOT)
        why = os_save_named(to, there ? &s : NULL, p, n);
    if (why == 0)
        os_sync_folder(to);
    return why;
}

MGI_FN int mgi_os_sync(FILE *f)
{
    if (fflush(f) != 0)
        return 0;
    const int why = os_sync(fileno(f));
    errno = why;
    return why == 0;
}

MGI_FN mango_idx mgi_os_size(FILE *f)
{
    struct stat s;
    if (fstat(fileno(f), &s) != 0)
        return 0;
    if (S_ISDIR(s.st_mode))
        return -1;
    if (!S_ISREG(s.st_mode) || s.st_size < 0)
        return 0;
    return s.st_size > PTRDIFF_MAX - 1 ? PTRDIFF_MAX - 1 : (mango_idx)s.st_size;
}

MGI_FN int mgi_os_kind(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return 0;
    return S_ISDIR(s.st_mode) ? 2 : S_ISREG(s.st_mode) ? 1 : 3;
}

/* ---- a log ---- */
/* The file at path, locked, as a stream; NULL with errno set. */
static FILE *os_log_stream(int fd, const char *path)
{
    struct stat here, there;
    if (os_lock(fd) && fstat(fd, &here) == 0 && stat(path, &there) == 0 &&
        here.st_dev == there.st_dev && here.st_ino == there.st_ino) {
        if (!S_ISFIFO(here.st_mode))
            return fdopen(fd, "a+b");
        errno = ESPIPE; /* it cannot be read again */
        return NULL;
    }
    errno = EAGAIN; /* another one has it, or removed it meanwhile */
    return NULL;
}

MGI_FN FILE *mgi_os_log(const char *path, int create, int *made)
{
    const int how = O_RDWR | O_APPEND | O_CLOEXEC;
    int fd = create ? open(path, how | O_CREAT | O_EXCL, OS_OURS) : -1;
    *made = fd >= 0;
    if (fd < 0 && (!create || errno == EEXIST))
        fd = open(path, how);
    if (fd < 0)
        return NULL;
    FILE *f = os_log_stream(fd, path);
    const int why = errno;
    if (!f)
        close(fd);
    errno = why;
    return f;
}

MGI_FN int mgi_os_cut(FILE *f, int64_t n)
{
    return ftruncate(fileno(f), (off_t)n) == 0;
}

MGI_FN void mgi_os_drop(FILE *f, const char *path)
{
    remove(path); /* still locked: whoever opens it now sees that it is gone */
    fclose(f);
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

#undef OS_NAME
#undef OS_LINKS
#undef OS_RIVALS
#undef OS_CANNOT
#undef OS_OURS
#undef OS_TMPFILE
#endif
