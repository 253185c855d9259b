/* match.h - weights that another program wrote, by the names of their tensors, into a
 * network of the zoo.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_MATCH_H
#define MANGO_MATCH_H

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor that is offered. The struct stays as it is. */
typedef struct mango_offer {
    const char *name;
    int rank;           /* 0..8 */
    mango_idx shape[8];
} mango_offer;
typedef struct mango_offers {
    size_t size;              /* set by mango_offers_defaults                      */
    mango_idx n;
    const mango_offer *offer; /* (n)                                               */
    mango_status (*values)(void *ud, mango_idx i, float *out, mango_err *err);
                              /* all values of offer i, C order, finite, into out  */
    void *ud;
    const char *prefix;       /* taken from all names, and no other; NULL: what fits best */
    const char *const *rename; /* "A=B" each, NULL at the end: the dotted part A of a name,
                                 wherever it stands, is B ("": it goes); NULL: none */
    const char *const *ignore; /* globs, NULL at the end: names that may be left over; NULL:
                                 none */
} mango_offers;
/* mango_offers_defaults - nothing is offered. */
MANGO_API mango_status mango_offers_defaults_sized(mango_offers *o, size_t size);
#define mango_offers_defaults(o) mango_offers_defaults_sized((o), sizeof *(o))

/* mango_net_match - fill every parameter of a net from tensors of these names.
 * Names are taken as they are, or after one prefix was stripped from and one put before
 * all of them: the pair under which most names fit. Scalars of a LIF layer set its rule:
 * snnTorch's LAYER.threshold, .beta, .reset_mechanism_val; SpikingJelly's LAYER.w of a
 * ParametricLIFNode (tau = 1 + exp(-w)); beta and alpha are clamped to [0,1], as snnTorch
 * does. A threshold, beta, alpha or V with one value a channel, (C) or (C,1,1), or a neuron,
 * (C,H,W), becomes a parameter of the layer, unless all are the same. Counters, moving
 * averages and the membrane of a last batch (.mem) are passed over.
 *   match  out  what was done and what did not fit, also on MANGO_E_SHAPE; to be
 *               destroyed by the caller; NULL when nothing was looked at
 * Returns  MANGO_E_SHAPE when anything is missing, left over or of the wrong shape;
 *          MANGO_E_UNSUPPORTED, with its name, for a scalar that no rule here can honour
 *          (graded_spikes_factor other than 1, values of another number); MANGO_E_FORMAT,
 *          MANGO_E_MEM, or what values answered. After an error the net is half filled. */
typedef struct mango_match mango_match;
MANGO_API mango_status mango_net_match(mango_net *net, const mango_offers *offers,
                                       mango_match **match, mango_err *err);

typedef struct mango_match_info {
    const char *strip, *add;       /* prefix taken from, put before, every name   */
    mango_idx filled;              /* parameters                                  */
    mango_idx rules;               /* scalars that went into neuron rules         */
    mango_idx ignored;             /* tensors known to be of no use               */
    mango_idx missing, left, shape; /* what does not fit, in number               */
    const char *unused;            /* the ignored ones, "20 num_batches_tracked, 4 mem" */
} mango_match_info;
MANGO_API mango_status mango_match_get_sized(const mango_match *m, mango_match_info *info,
                                             size_t size);
#define mango_match_get(m, info) mango_match_get_sized((m), (info), sizeof *(info))
/* What does not fit, and decays that were clamped, a line each, up to a screen; NULL out of
 * range, -1 for NULL. */
MANGO_API mango_idx mango_match_lines(const mango_match *m);
MANGO_API const char *mango_match_line(const mango_match *m, mango_idx i);
MANGO_API void mango_match_destroy(mango_match *m); /* NULL is fine */

/* mango_net_match_try - the same by names and shapes alone: what would fit, in number;
 * strip, add and unused are "". The net stays as it is. MANGO_OK, MANGO_E_SHAPE,
 * MANGO_E_UNSUPPORTED, MANGO_E_FORMAT; err is set by the others. */
MANGO_API mango_status mango_net_match_try(const mango_net *net, const mango_offers *offers,
                                           mango_match_info *info, mango_err *err);
/* mango_net_zoo_infer - complete a specification of mango_net_zoo by what the shapes of
 * tensors say: kernel and channels of the stem, classes, width, a head, a codebook. Keys
 * that it has stay.
 *   out   out  (cap) the specification with `,key=value` appended, or as it was when the
 *              tensors do not fit it then either
 *   fits  out  1 when names and shapes of all its parameters fit */
MANGO_API mango_status mango_net_zoo_infer(const char *spec, const mango_offers *offers,
                                           char *out, mango_idx cap, int *fits,
                                           mango_err *err);
/* mango_net_zoo_fits - all architectures of the zoo that tensors fit, specifications, a line
 * each, into out (cap), cut to fit; *n: how many. */
MANGO_API mango_status mango_net_zoo_fits(const mango_offers *offers, char *out, mango_idx cap,
                                          mango_idx *n, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
