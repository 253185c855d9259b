/* target.h - which number of a network is wanted.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TARGET_H
#define MANGO_TARGET_H

#include "../net/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_target - what is read from a network.
 *
 *   LAYER:UNIT          mean over time and space of a channel
 *   LAYER:UNIT:Y:X      mean over time of one neuron
 *   class:K             softmax probability of output K, from the mean over time
 *   logit:K             that mean itself
 *   ..[A..B]            behind any of these: the mean over steps A to B alone, both
 *                       included, counted from 0; rate(LAYER:UNIT,A,B) is the same
 *   LAYER@FILE.npy      sum of FILE's numbers times the layer's means: (C) numbers take the
 *                       channels (means over space), (C,H,W) the neurons
 *   mean(LAYER)         of all neurons; max(LAYER), min(LAYER): of the channels
 *   latency(LAYER:UNIT) 1 - L/T, L the number of steps before the first spike, of a channel
 *                       that of its first neuron; none in T steps: L = T. So 1 is a spike at
 *                       the first step and 0 is silence. Also latency(LAYER:UNIT:Y:X)
 *   membrane(..)        mean over time (and space) of the membrane U of the same units, as
 *                       the layer's rule leaves it at each step (mango_lif_step: snnTorch's
 *                       mem, SpikingJelly's v); membrane(LAYER:UNIT[A..B]): over these steps
 *   max(..), min(..), mean(..) of several, with commas
 *   + - * / ( ) and numbers: "a:3 - 0.5*a:5", "(a:1 + a:2)/2", "a:3/(a:5 + 0.01)"
 *
 * For spiking layers a mean over time is spikes per step, in [0,1]. LAYER is a run of
 * letters, digits, "_" and "."; a name with anything else in it, such as "-", stands in
 * quotes: "'block-1':3 - 'block-2':3" (or it is the whole target: block-1:3). "3" is a
 * number unless one of : @ [ follows; FILE ends at its first ".npy" unless it is quoted.
 * A value that is no finite number (0/0) is a missing one. The whole grammar: target_parse.c.
 */
typedef struct mango_target {
    mango_idx layer, unit;
    mango_idx y, x;       /* -1: the whole channel               */
    int softmax;          /* 1: probability among all the units  */
    mango_idx C, H, W;    /* of the layer                        */
    int spiking;          /* it is one of spiking neurons        */
    const char *text;     /* NULL: one unit, which the fields tell. Else the text of an
                             expression, which must live until an objective is made of it or
                             aimed at it; the fields are those of its first reading, unit -1:
                             the layer */
    char vectors[65];     /* SHA-256 of the numbers of its files; "": there are none */
} mango_target;

/* mango_target_parse - MANGO_E_NAME for an unknown layer (near matches in err), a unit, row
 * or column out of range, a layer that does not spike; MANGO_E_SHAPE for a file of other
 * numbers than the layer's, for class:K of a map; what mango_npy_read returns;
 * MANGO_E_FORMAT for anything else. err names the column, from 1. `text` is kept in t when it
 * is an expression. Steps are checked by mango_objective_create. */
MANGO_API mango_status mango_target_parse(mango_target *t, const mango_net *net,
                                          const char *text, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
