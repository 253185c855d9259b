/* text.h - growing strings, strict numbers, name lists.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TEXT_H
#define MGI_TEXT_H

#include "file.h"

/* mgi_str - a growing byte string, always NUL-terminated at p[n]. After a
 * failed allocation `bad` stays set and further appends do nothing, so callers
 * check once at the end. p is NULL until the first append. Numbers print in
 * the shortest form that reads back to the same bits, with '.' whatever the
 * locale; NaN and infinity print as null. */
typedef struct mgi_str {
    mango_alloc al;
    char *p;
    mango_idx n, cap;
    int bad;
} mgi_str;
MGI_FN void mgi_str_init(mgi_str *s, const mango_alloc *al);
MGI_FN void mgi_str_free(mgi_str *s);
MGI_FN void mgi_str_put(mgi_str *s, const char *bytes, mango_idx n);
/* The text into out (cap bytes with its NUL; cut if longer), and s is freed: its whole
 * length, or -1 when st or the string failed. For public calls that give a text. */
MGI_FN mango_idx mgi_str_out(mgi_str *s, mango_status st, char *out, mango_idx cap);
MGI_FN void mgi_str_puts(mgi_str *s, const char *z);
MGI_FN void mgi_str_printf(mgi_str *s, const char *fmt, ...) MGI_PRINTF(2, 3);
MGI_FN void mgi_str_float(mgi_str *s, double v);  /* exact when read as a double */
MGI_FN void mgi_str_f32(mgi_str *s, float v);     /* exact when read and cast to float: 0.9 */

/* A list of words "a|b|c": the number of the one that z is, -1 for none; number i of
 * them, appended to s. */
MGI_FN int mgi_word(const char *words, const char *z);
MGI_FN void mgi_str_word(mgi_str *s, const char *words, int i);

/* Strict numbers: the whole of z must be one number, else false. */
MGI_FN int mgi_parse_int(const char *z, int64_t lo, int64_t hi, int64_t *v);
MGI_FN int mgi_parse_real(const char *z, double *v);  /* finite decimal only */
MGI_FN int mgi_parse_real_n(const char *p, mango_idx n, double *v); /* of n bytes */

/* mgi_utf8 - bytes of the UTF-8 character at p, of which n are there (at most 4 are
 * looked at, and none behind a NUL); 0: none, also for surrogates and long forms. */
MGI_FN int mgi_utf8(const unsigned char *p, mango_idx n);

/* mgi_utf8_shown - the same, and 0 for a character that a terminal obeys instead of
 * showing: controls (C0, C1), marks of direction, of zero width, of lines, tags. */
MGI_FN int mgi_utf8_shown(const unsigned char *p, mango_idx n);

/* Does name match a glob of *, ? and [..]? */
MGI_FN int mgi_glob(const char *pattern, const char *name);
/* Up to 4 of `names` nearest to `name` by edit distance, ", "-joined into out. */
MGI_FN void mgi_near(const char *name, mango_idx n, const char *const *names, char *out,
                     mango_idx cap);

#endif
