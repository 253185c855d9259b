/* file.h - files: bounded reading, atomic writing, a log that only grows.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_FILE_H
#define MGI_FILE_H

#include "mgi.h"
#include <stdio.h>

/* Reading is bounded: a file over `limit` bytes is MANGO_E_LIMIT before
 * anything is allocated. A NUL that *n does not count follows the bytes, so
 * free them with mgi_del(al, p, n + 1, 1). A pipe that nobody writes to is refused. Not
 * mapped: who cuts a mapped file short kills its reader. */
MGI_FN mango_status mgi_file_read(const char *path, mango_idx limit, const mango_alloc *al,
                                  unsigned char **p, mango_idx *n, mango_err *err);
/* mgi_file_write - a file whole, old or new and never half; see mgi_os_save. */
MGI_FN mango_status mgi_file_write(const char *path, const void *p, mango_idx n,
                                   mango_err *err);

/* mgi_file_follow - the path that mgi_file_write would write to: `path` itself, or what a
 * link of that name leads to, which need not be there yet. */
MGI_FN mango_status mgi_file_follow(const char *path, char to[4096], mango_err *err);

/* A log: one process at a time may have it open. The lock goes with the file's
 * handle, so the system frees it when the process ends in whatever way. */
typedef struct mgi_applog {
    FILE *f;      /* NULL: not open */
    int made;     /* by this process, with mgi_applog_open */
    char name[160];
} mgi_applog;
/* mgi_applog_open - open and lock. create 0: a file that is not there is no error,
 * l->f stays NULL; create 1: it is made, and refused if it holds anything.
 * Returns MANGO_E_STATE when another process has it. */
MGI_FN mango_status mgi_applog_open(mgi_applog *l, const char *path, int create,
                                    mango_err *err);
/* The next *n <= cap bytes of what it holds, from its start on; 0 only at its end. */
MGI_FN mango_status mgi_applog_read(mgi_applog *l, mango_idx cap, void *p, mango_idx *n,
                                    mango_err *err);
MGI_FN mango_status mgi_applog_cut(mgi_applog *l, int64_t n, mango_err *err); /* keep n bytes */
/* n bytes more, handed to the system; sync: and on the disk on return. */
MGI_FN mango_status mgi_applog_append(mgi_applog *l, const void *p, mango_idx n, int sync,
                                   mango_err *err);
MGI_FN void mgi_applog_close(mgi_applog *l);
/* Close, and remove the file if it is this process's own making. */
MGI_FN void mgi_applog_drop(mgi_applog *l, const char *path);

#endif
