/* reference.h - what `mango train vqvae` and `mango import` put beside a generator's
 * weights: reference codes, and features of their pictures.
 * SPDX-License-Identifier: MIT */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "cli.h"

#define REFERENCE_META "reference.features" /* metadata: the networks' names */
enum { REFERENCE_DIM = 64 }; /* features of a code, of all networks together */

/* reference_encode - the codes of the first pictures of each class of a data set's
 * training part, `want` in all, into a generator that has a vector quantizer. */
mango_status reference_encode(cli *c, mango_net *gen, const char *data, const char *root,
                              mango_idx want, mango_err *err);
/* reference_features - features of the reference codes that a generator has, by the
 * networks NET[,NET..], in place of those that it had. Of each network half are the
 * principal components of what its neurons answer on the average over a picture (every
 * channel of every layer of neurons), half those of the last linear layer's input.
 * reference_check - can these networks be had, and do they take such pictures? */
mango_status reference_check(const mango_net *gen, const char *nets, mango_err *err);
mango_status reference_features(cli *c, mango_net *gen, const char *nets, mango_err *err);

#endif
