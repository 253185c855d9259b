/* os.c - what an errno means, on every system; and the calls of one without files.
 * SPDX-License-Identifier: MIT */
#include "os.h"
#include <errno.h>

MGI_FN mango_status mgi_os_status(int why)
{
    switch (why) {
    case ENOMEM: return MANGO_E_MEM;
#if defined(EDQUOT)
    case EDQUOT:
#endif
    case EFBIG:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EPIPE: return MANGO_E_SYSTEM;
#if defined(MANGO_NO_FILES)
    case ENOSYS: return MANGO_E_UNSUPPORTED;
#endif
    default: return MANGO_E_IO;
    }
}

MGI_FN const char *mgi_os_text(int why)
{
#if defined(MANGO_NO_FILES)
    if (why == ENOSYS)
        return "built without files (MANGO_NO_FILES)";
#endif
    if (why == ENXIO)
        return "nobody is at the other end of this pipe";
    return why == EISDIR ? "is a folder, a file was expected" : strerror(why);
}

#if defined(MANGO_NO_FILES)
MGI_FN FILE *mgi_os_open(const char *path)
{
    (void)path;
    errno = ENOSYS;
    return NULL;
}

MGI_FN int mgi_os_save(const char *path, const void *p, mango_idx n)
{
    (void)path, (void)p, (void)n;
    return ENOSYS;
}

MGI_FN int mgi_os_follow(const char *path, char to[MGI_OS_PATH])
{
    (void)path, (void)to;
    return ENOSYS;
}

MGI_FN FILE *mgi_os_log(const char *path, int create, int *made)
{
    (void)path, (void)create;
    *made = 0;
    errno = ENOSYS;
    return NULL;
}

MGI_FN int mgi_os_cut(FILE *f, int64_t n)
{
    (void)f, (void)n;
    errno = ENOSYS;
    return 0;
}

MGI_FN void mgi_os_drop(FILE *f, const char *path)
{
    (void)f, (void)path;
}

MGI_FN mango_idx mgi_os_size(FILE *f)
{
    (void)f;
    return 0;
}

MGI_FN int mgi_os_kind(const char *path)
{
    (void)path;
    return 0;
}

MGI_FN mgi_os_folder *mgi_os_folder_open(const char *path)
{
    (void)path;
    errno = ENOSYS;
    return NULL;
}

MGI_FN const char *mgi_os_folder_next(mgi_os_folder *d)
{
    (void)d;
    return NULL;
}

MGI_FN void mgi_os_folder_close(mgi_os_folder *d)
{
    (void)d;
}

MGI_FN int mgi_os_sync(FILE *f)
{
    (void)f;
    errno = ENOSYS;
    return 0;
}
#endif
