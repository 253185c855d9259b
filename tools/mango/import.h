/* import.h - settings of a network whose weights come from another program.
 * SPDX-License-Identifier: MIT */
#ifndef IMPORT_H
#define IMPORT_H

#include "cli.h"

/* import_settings - "mean=a,b,c,std=a,b,c,KEY=V": mean, std, out_scale and
 * out_shift go into the net; the other pairs are appended to `spec` (before the
 * net exists: net NULL) as ",KEY=V". Called once for each purpose. */
mango_status import_settings(const char *text, mango_net *net, mgi_str *spec,
                             mango_err *err);

#endif
