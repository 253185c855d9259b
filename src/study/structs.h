/* structs.h - where the members of public structs lie, for other languages.
 *
 * A binding that has no C compiler at hand asks here and guesses nothing: a struct's size,
 * the place of each member, how it is to be read. What is not in the table has no business
 * outside: structs that only C programs fill.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_STRUCTS_H
#define MANGO_STRUCTS_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mango_field_kind {
    MANGO_FIELD_INT,     /* a signed whole number of `size` bytes, enums included */
    MANGO_FIELD_UINT,    /* an unsigned one                                      */
    MANGO_FIELD_REAL,    /* float or double                                      */
    MANGO_FIELD_TEXT,    /* const char *, UTF-8 with a final zero, or NULL       */
    MANGO_FIELD_CHARS,   /* the text itself: `count` bytes, a final zero in them */
    MANGO_FIELD_POINTER, /* to data, an object or a function                     */
    MANGO_FIELD_STRUCT   /* another struct of this table, see mango_struct_type  */
} mango_field_kind;

/* mango_struct_name - the structs there are, i = 0, 1, ..: "mango_facts"; NULL beyond the last.
 * mango_struct_size - sizeof of one; 0 for a name that is not in the table, and NULL. */
MANGO_API const char *mango_struct_name(mango_idx i);
MANGO_API size_t mango_struct_size(const char *name);
/* mango_struct_field - member `index` of a struct, in the order of its declaration.
 *   field   out  its name, a constant; further outputs may be NULL
 *   offset  out  bytes from the struct's start
 *   size    out  bytes of it; of an array, of one element
 *   count   out  elements; 1 unless it is an array
 *   kind    out  mango_field_kind
 * Returns  MANGO_OK; MANGO_E_NAME for a struct that is not in the table, MANGO_E_ARG for an
 *          index past the last member, or field NULL.
 * mango_struct_type - the member's type as C spells it ("mango_idx"); NULL as above. */
MANGO_API mango_status mango_struct_field(const char *name, mango_idx index,
                                          const char **field, size_t *offset, size_t *size,
                                          mango_idx *count, mango_field_kind *kind);
MANGO_API const char *mango_struct_type(const char *name, mango_idx index);

#ifdef __cplusplus
}
#endif
#endif
