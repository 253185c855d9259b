/* input.h - inputs of a network from pictures, .npy, .safetensors or the formula.
 * SPDX-License-Identifier: MIT */
#ifndef INPUT_H
#define INPUT_H

#include "cli.h"
#include "../../src/data/data.h"

/* B inputs of `size` floats each, ready for mango_plan_run: raw 1 when they are
 * normalized already, 0 for [0,1] RGB; from: layer the values are fed to, or -1. */
typedef struct input_batch {
    mango_idx B, size;
    int raw;
    mango_idx from;
    float *x;
} input_batch;

/* Read a file by its extension; shapes are checked against the network's input. */
mango_status input_read(input_batch *b, const mango_net *net, const char *path,
                        mango_err *err);
/* `input` 0.5 + 0.5 u, or `latent` 2 u, by the formula. */
mango_status input_fill(input_batch *b, const mango_net *net, uint64_t seed, mango_idx B,
                        mango_err *err);
void input_free(input_batch *b);

/* Open a data set for a network whose input is `in`: folders are resized and
 * cropped to it, of anything else the size must fit. On an error *data is NULL. */
mango_status input_data(mango_data **data, mango_data_info *info, const char *name,
                        const char *root, const char *split, const mango_layer *in,
                        mango_err *err);

#endif
