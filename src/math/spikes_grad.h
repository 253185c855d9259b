/* spikes_grad.h - convolutions in training that skip zeros: over float maps that
 * hold only 0 and 1, and over gradients that a max-pool has thinned.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SPIKEGRAD_H
#define MGI_SPIKEGRAD_H

#include "conv_geometry.h"
#include "spikes.h"

/* Rows pixels of C channels as bits. False, and soon, for any other map. */
MGI_FN int mgi_bits_pack(mango_idx rows, mango_idx C, const float *x, uint64_t *bits);
/* Are so few bits set that adding up O outputs for each beats the dense way? */
MGI_FN int mgi_bits_few(mango_idx rows, mango_idx C, mango_idx O, const uint64_t *bits);
/* R (kh,kw,C,O) of an ordinary convolution: the sums of dy (N,OH,OW,O) over the
 * pixels whose input is 1, the bits of conv_grad.c's sums. */
MGI_FN void mgi_bits_conv_weights(const mgi_convgeo *g, mango_idx N, const uint64_t *x,
                                  const float *dy, float *R);
/* mgi_conv_forward of weights w that change every step: over bits when x allows
 * it and has few, for the same y; c->winograd is for other maps than those of 0
 * and 1, which have one order of summation however many are set. */
MGI_FN mango_idx mgi_conv_either_work(const mgi_conv *c, mango_idx N); /* floats */
MGI_FN void mgi_conv_either(const mgi_conv *c, mango_idx N, const float *x, const float *w,
                            const float *bias, float *y, float *work);
/* conv_few.c: mgi_conv_backward_data when most of dy is zero, as behind a
 * max-pool, with the same bits. False, and nothing done, when it is not. */
MGI_FN mango_idx mgi_few_work(const mgi_conv *c);
MGI_FN int mgi_few_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                 const float *w, float *dx, float *work);

#endif
