/* train_speed.h - how fast a training is: pictures and operations a second.
 * SPDX-License-Identifier: MIT */
#ifndef TRAIN_SPEED_H
#define TRAIN_SPEED_H

#include "cli.h"
#include "../../src/train/train.h"

typedef struct train_speed {
    int on;              /* --report-speed                          */
    double begin, spent; /* of the update that runs; of all of them */
    mango_idx updates;
} train_speed;

/* An epoch begins; an update has ended. */
void train_speed_begin(train_speed *s);
void train_speed_step(train_speed *s);
/* Adds the figures to the JSON object `out` and prints them; measures SGEMM. */
mango_status train_speed_report(const train_speed *s, cli *c, const mango_trainer *t,
                                mango_idx pictures, mgi_str *out, mango_err *err);

#endif
