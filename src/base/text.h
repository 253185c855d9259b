/* text.h - growing strings, strict numbers, name lists, atomic files.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TEXT_H
#define MGI_TEXT_H

#include "mgi.h"

/* mgi_str - a growing byte string, always NUL-terminated at p[n]. After a
 * failed allocation `bad` stays set and further appends do nothing, so callers
 * check once at the end. Numbers print in shortest form that reads back to
 * the same bits, with '.' whatever the locale. */
typedef struct mgi_str {
    mango_alloc al;
    char *p;
    mango_idx n, cap;
    int bad;
} mgi_str;
MGI_FN void mgi_str_init(mgi_str *s, const mango_alloc *al);
MGI_FN void mgi_str_free(mgi_str *s);
MGI_FN void mgi_str_put(mgi_str *s, const char *bytes, mango_idx n);
MGI_FN void mgi_str_puts(mgi_str *s, const char *z);
MGI_FN void mgi_str_printf(mgi_str *s, const char *fmt, ...) MGI_PRINTF(2, 3);
MGI_FN void mgi_str_float(mgi_str *s, double v);  /* shortest for a float or double */

/* Strict numbers: the whole of z must be one number, else false. */
MGI_FN int mgi_parse_int(const char *z, int64_t lo, int64_t hi, int64_t *v);
MGI_FN int mgi_parse_real(const char *z, double *v);  /* finite decimal only */

/* Does name match a glob of *, ? and [..]? */
MGI_FN int mgi_glob(const char *pattern, const char *name);
/* Up to 4 of `names` nearest to `name` by edit distance, ", "-joined into out. */
MGI_FN void mgi_near(const char *name, mango_idx n, const char *const *names, char *out,
                     mango_idx cap);

/* Files. Reading is bounded: a file over `limit` bytes is MANGO_E_LIMIT before
 * anything is allocated. Writing goes to a temporary name beside the target,
 * is flushed to disk, then renamed: the target is old or new, never half. */
MGI_FN mango_status mgi_file_read(const char *path, mango_idx limit, const mango_alloc *al,
                                  unsigned char **p, mango_idx *n, mango_err *err);
MGI_FN mango_status mgi_file_write(const char *path, const void *p, mango_idx n,
                                   mango_err *err);

#endif
