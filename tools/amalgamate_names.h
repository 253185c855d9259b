/* amalgamate_names.h - names of mango.h that are private to one source file.
 *
 * In src/ what a file keeps to itself has a short name with the module's prefix
 * (tt_free). In mango.h all files share one translation unit with the user's code,
 * where every name of ours begins with mgi_: names_put writes mgi_tt_free.
 * SPDX-License-Identifier: MIT */
#ifndef AMALGAMATE_NAMES_H
#define AMALGAMATE_NAMES_H

#include <stdio.h>

/* names_add - learn one line of a file: functions, variables, types, tags and
 * constants that it declares at file scope without our prefix. Names of headers hold
 * in all files; so do macros, which are learnt from all files first, since a
 * header may use what the file that includes it defines. */
typedef enum names_what { NAMES_OF_MACROS, NAMES_OF_HEADER, NAMES_OF_SOURCE } names_what;
void names_add(const char *line, names_what what);
/* names_put - write the line with the names learnt replaced; strings stay. */
void names_put(FILE *out, const char *line);
/* names_file - a new file begins: the names of the last one end, but for shared ones. */
void names_file(void);

#endif
