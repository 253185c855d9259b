/* info_presets.h - what `mango info --presets` prints: every optimizer and its options.
 * SPDX-License-Identifier: MIT */
#ifndef INFO_PRESETS_H
#define INFO_PRESETS_H

#include "cli.h"

/* As text on stdout; as one JSON object into s. */
void info_presets(cli *c, mgi_str *s);

#endif
