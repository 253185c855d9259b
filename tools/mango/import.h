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

/* What a network is made from, and which tensors fill it. */
typedef struct import_source {
    const char *arch, *graph, *key, *prefix; /* NULL: not given */
    const char *const *set;                  /* --set, NULL at the end */
    const char *const *ignore, *const *rename;
} import_source;

/* import_build - the network: of --graph (a graph's text, or a file that holds one), of
 * --arch, completed by what the tensors' shapes say, or the one that the file holds itself;
 * else the only architecture that fits. Of several state dicts that one is selected which
 * fits. Settings are applied. notes: what was decided, a line each. */
mango_status import_build(mango_archive *file, const import_source *from, mango_net **net,
                          mgi_str *notes, mango_err *err);
/* import_offers - the file's tensors with the source's prefix, ignore and rename. */
mango_status import_offers(const mango_archive *file, const import_source *from,
                           mango_offers *o);

#endif
