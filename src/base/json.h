/* json.h - a strict, bounded JSON reader (RFC 8259) and writer.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_JSON_H
#define MGI_JSON_H

#include "text.h"

/* A parsed document is one array of values in document order. Objects and
 * arrays link their children through `next`. Duplicate keys, invalid UTF-8,
 * raw control bytes, lone surrogates, NUL in a key, leading zeros, numbers over
 * the range of double, depth over 32 and bytes after the value are errors that
 * name the offset. */
typedef enum mgi_json_kind {
    MGI_JSON_NULL, MGI_JSON_FALSE, MGI_JSON_TRUE, MGI_JSON_NUMBER, MGI_JSON_STRING,
    MGI_JSON_ARRAY, MGI_JSON_OBJECT
} mgi_json_kind;
typedef struct mgi_json_value {
    mgi_json_kind kind;
    int is_int;              /* number without fraction or exponent that fits i */
    int64_t i;
    double d;
    const char *str;         /* STRING: unescaped, NUL-terminated, n bytes */
    mango_idx n;             /* STRING: bytes; ARRAY, OBJECT: children */
    const char *key;         /* set when the parent is an object */
    mango_idx child, next;   /* index of first child, of next sibling; -1: none */
    mango_idx parent;        /* index; -1 for the root */
} mgi_json_value;
typedef struct mgi_json {
    mango_alloc al;
    mgi_json_value *v;       /* v[0] is the root */
    mango_idx n, cap;
    char *text;              /* owned copy that strings point into */
    mango_idx text_size;
} mgi_json;
MGI_FN mango_status mgi_json_parse(mgi_json *j, const char *bytes, mango_idx n,
                                   const mango_alloc *al, mango_err *err);
MGI_FN void mgi_json_free(mgi_json *j);
MGI_FN const mgi_json_value *mgi_json_get(const mgi_json *j, const mgi_json_value *obj,
                                          const char *key); /* NULL: not there */
MGI_FN const mgi_json_value *mgi_json_at(const mgi_json *j, const mgi_json_value *arr,
                                         mango_idx i);
/* Writing: append an escaped, quoted string. Numbers through mgi_str_float;
 * a non-finite number is written as null. */
MGI_FN void mgi_json_quote(mgi_str *s, const char *bytes, mango_idx n);

#endif
