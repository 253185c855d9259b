/* eval_fid.h - `mango eval --features`: the feature distance of generated pictures.
 * SPDX-License-Identifier: MIT */
#ifndef EVAL_FID_H
#define EVAL_FID_H

#include "cli.h"

typedef struct eval_fid_options {
    const char *gen;      /* a generator, or "data": the other split of the data set */
    const char *features; /* the classifier                                          */
    const char *layer;    /* what is read of it; NULL: what its last linear layer reads */
    const char *codes;    /* "uniform" or "normal"; NULL: as the generator was trained */
    const char *fill, *data, *root, *split;
    int64_t limit, T, batch; /* limit 0: 10,000 */
} eval_fid_options;

/* Draw, look, compare, report; returns the exit code. */
int eval_fid(cli *c, const eval_fid_options *o);

#endif
