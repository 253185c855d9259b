/* info_kinds.h - what `mango info --kinds` prints: the language of graph texts.
 * SPDX-License-Identifier: MIT */
#ifndef INFO_KINDS_H
#define INFO_KINDS_H

#include "cli.h"

/* The page examples/graph.md on stdout; the kinds as one JSON object into s. */
void info_kinds(cli *c, mgi_str *s);

#endif
