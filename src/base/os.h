/* os.h - all that the library asks of the operating system: how files are opened,
 * saved, locked and synced. One file for each system, os_*.c; the rest is C99.
 * MANGO_NO_FILES, for machines without files, leaves them all out.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OS_H
#define MGI_OS_H

#include "mgi.h"
#include <stdio.h>

/* mgi_os_open - open a file to read; NULL with errno set. It does not wait for ever:
 * a pipe that nobody writes to is refused with ENXIO. */
MGI_FN FILE *mgi_os_open(const char *path);

/* mgi_os_save - write a file whole; 0, or the errno of what failed first. The target
 * is old or new, never half; a link is followed and stays; a file that is there keeps
 * its mode, a new one gets what umask leaves. A device, a pipe or /dev/fd/N is written
 * in place; a pipe that nobody reads is refused with ENXIO. Until it is whole the new
 * file has no name where the system can do that, else a name like .mango-1a2b3c4d-0.tmp
 * beside the target, under which the next one takes over what a killed process left. */
MGI_FN int mgi_os_save(const char *path, const void *p, mango_idx n);

/* mgi_os_follow - where a path leads: the file that mgi_os_save would write, through links
 * of a name (not of its folders; on Windows none), which may lead to nothing yet. 0 or
 * errno. */
#define MGI_OS_PATH 4096
MGI_FN int mgi_os_follow(const char *path, char to[MGI_OS_PATH]);

/* mgi_os_log - open for reading and appending, for this process alone as long as it is
 * open; NULL with errno set, EAGAIN when another one has it or has just removed it.
 * create: it may be made; *made: it was. */
MGI_FN FILE *mgi_os_log(const char *path, int create, int *made);
MGI_FN int mgi_os_cut(FILE *f, int64_t n); /* keep n bytes; false with errno set */
/* Close it and remove it, if it can be while nobody else comes in between. */
MGI_FN void mgi_os_drop(FILE *f, const char *path);

/* Bytes an open file says it has; 0 for pipes and devices, -1 for a folder. */
MGI_FN mango_idx mgi_os_size(FILE *f);
/* 0: nothing there, 1: a file, 2: a folder, 3: something else, a pipe say. */
MGI_FN int mgi_os_kind(const char *path);
/* The names in a folder, in no order: open gives NULL with errno set, next NULL at the end. */
typedef struct mgi_os_folder mgi_os_folder;
MGI_FN mgi_os_folder *mgi_os_folder_open(const char *path);
MGI_FN const char *mgi_os_folder_next(mgi_os_folder *d);
MGI_FN void mgi_os_folder_close(mgi_os_folder *d);

/* What was written to f goes down to the disk; false with errno set. */
MGI_FN int mgi_os_sync(FILE *f);

/* mgi_os_status - what kind of failure an errno is: MANGO_E_IO when the path is to
 * blame, MANGO_E_SYSTEM when the machine is (disk full, no descriptors, I/O error). */
MGI_FN mango_status mgi_os_status(int why);
/* Its text; of ENXIO one that speaks of pipes. */
MGI_FN const char *mgi_os_text(int why);

#endif
