/* train_start.h - where a training starts: a network with its first values.
 * SPDX-License-Identifier: MIT */
#ifndef TRAIN_START_H
#define TRAIN_START_H

#include "cli.h"
#include "../../src/train/train.h"

/* The architecture spec ("ARCH,key=value", as it is or behind "zoo:") with
 * random first values. */
mango_status train_zoo(mango_net **net, const char *spec, mango_train_kind kind, uint64_t seed,
                       mango_err *err);
/* The trained network of a file that `option` named. */
mango_status train_trained(mango_net **net, const char *option, const char *path,
                           mango_err *err);
/* arch alone: random values by `seed`. from alone: that network. Both: the
 * architecture, with the values of `from` wherever name and shape are the same;
 * where LIF layers take the place of ReLUs the norms before them are moved;
 * widen: spread over a wider architecture (mango_train_widen). */
mango_status train_start(mango_net **net, const char *arch, const char *from, int widen,
                         mango_train_kind kind, uint64_t seed, cli *c, mango_err *err);

/* A generator whose discriminator answers by class, and which has not learned
 * classes yet, gets louder first latents (mango_train_latent_classes), unless it
 * has a branch for them. */
void train_classes(mango_net *gen, const mango_net *dsc, cli *c);

#endif
