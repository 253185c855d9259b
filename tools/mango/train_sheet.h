/* train_sheet.h - what a generator in training draws, on one sheet.
 * SPDX-License-Identifier: MIT */
#ifndef TRAIN_SHEET_H
#define TRAIN_SHEET_H

#include "../../src/train/train.h"

/* Into the PNG `path`: a VQ-VAE's (dsc NULL) originals above their copies, up to
 * 32; an SN-GAN's pictures of fixed latents, up to 64 and never more than a batch,
 * a column for each class where its discriminator has an answer for each. */
mango_status train_sheet(mango_trainer *t, const mango_net *net, const mango_net *dsc,
                         mango_idx batch, const char *path, mango_err *err);

#endif
