/* method.h - what one optimizer provides, and what it finds in mango_opt.
 *
 * A new optimizer is one file with one mgi_method, one line here and one or
 * more presets in opt.c. A method sees values that are to be maximized; codes
 * are checked, and the best is kept, by opt.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_METHOD_H
#define MGI_METHOD_H

#include "../base/mgi.h"
#include "opt.h"

typedef struct mgi_method {
    /* Set o->state, allocated through o->al. On failure o->state may be left:
     * destroy is called either way. */
    mango_status (*create)(mango_opt *o, mango_err *err);
    /* K proposals into I (K,d), K >= 1. */
    mango_status (*ask)(mango_opt *o, mango_idx K, mango_idx *I);
    /* K values, NaN where missing; codes are in range. NULL: does not learn. */
    void (*tell)(mango_opt *o, mango_idx K, const mango_idx *I, const double *y);
    /* Forget what was learnt and start from fresh random numbers of number
     * `epoch` >= 1. NULL: nothing to forget. */
    void (*restart)(mango_opt *o, uint64_t epoch);
    void (*destroy)(mango_opt *o); /* o->state may be NULL */
    /* Of the values told between two asks the best so many are learnt from, the
     * others are not looked at. NULL: all are. */
    mango_idx (*elite)(const mango_opt_options *o);
    int oblivious; /* 1: what it asks does not depend on what it is told */
} mgi_method;

struct mango_opt {
    mango_alloc al;
    const mgi_method *method;
    mango_opt_options opt;
    mango_idx d, *n;         /* modes (d) */
    uint64_t seed;
    uint64_t asked;          /* proposals so far: the next one's stream */
    uint64_t epoch;          /* restarts so far */
    int has_best;
    double best_y;           /* in the caller's sign */
    mango_idx *best_I;       /* (d) */
    void *state;
    mango_err err;
};

/* Of an oblivious method: proposals asked+skip .. asked+skip+K-1, as asks will give
 * them; nothing changes. MANGO_E_UNSUPPORTED for one that learns. */
MGI_FN mango_status mgi_opt_peek(mango_opt *o, mango_idx skip, mango_idx K, mango_idx *I);

MGI_FN const mgi_method *mgi_method_random(void);
MGI_FN const mgi_method *mgi_method_protes(void);

/* Quantized modes: level i of a mode of 2^q levels, q >= 1, becomes q modes of
 * two, least significant bit first: i = sum_s b_s 2^s. Other sizes stay. */
MGI_FN mango_idx mgi_qtt_modes(mango_idx d, const mango_idx *n,
                               mango_idx *nq); /* NULL: count */
MGI_FN void mgi_qtt_split(mango_idx d, const mango_idx *n, const mango_idx *I,
                          mango_idx *Iq);
MGI_FN void mgi_qtt_join(mango_idx d, const mango_idx *n, const mango_idx *Iq,
                         mango_idx *I);

#endif
