/* fetch.h - official archives of data sets: where they are, their checksums,
 * how to get and unpack them.
 * SPDX-License-Identifier: MIT */
#ifndef FETCH_H
#define FETCH_H

#include "cli.h"

/* A file of a data set, as its authors publish it. */
typedef struct fetch_file {
    const char *name, *md5;
} fetch_file;
typedef struct fetch_set {
    const char *name, *url; /* url: the folder the files are in, with its slash */
    fetch_file file[5];     /* until name NULL                                 */
} fetch_set;

/* fetch_find - the set of this name; NULL, with near matches in err. */
const fetch_set *fetch_find(const char *name, mango_err *err);

/* fetch_hash - MD5 (32 digits) and SHA-256 (64) of a file of any size, in one
 * pass; either may be NULL. */
mango_status fetch_hash(const char *path, char *md5, char *sha256, mango_err *err);

/* fetch_get - bring every file of the set into root: curl, resumed where an
 * earlier one broke off (NAME.part), checksum verified, then renamed; archives
 * are unpacked. Files that are there and right are kept.
 *   base  in  folder URL to take them from; NULL: the official one
 *   sums  in  file of "HEX  NAME" lines (md5sum, sha256sum) that replaces the
 *             known checksums, for mirrors; NULL: none
 * *interrupted is set when ^C ended it; what was loaded so far is kept. */
mango_status fetch_get(cli *c, const fetch_set *set, const char *root, const char *base,
                       const char *sums, int *interrupted, mango_err *err);

#endif
