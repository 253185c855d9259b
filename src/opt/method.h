/* method.h - what one optimizer provides, and what it finds in mango_opt.
 *
 * A new optimizer is one file with one mgi_method and one row of the table in
 * presets.c. From its table of options follow parsing, checks, help, the header
 * of the journal and the check at resume. A method sees values that are to be
 * maximized; opt.c has checked the codes and keeps the best.
 *
 * To read src/opt: opt.h (ask and tell from outside) and this file; random.c, the least
 * that a method is; one_plus_one.c, the least that learns. Then the tensor trains:
 * protes_plain.c (what PROTES is and why), tt.h and tt.c (its mathematics, fast), protes.c,
 * qtt.c (modes as bits); tesalocs.c (with local search); maxvol.c, tt_cross.h, ttopt.c and
 * optima_tt.c (looking at chosen entries instead of samples). presets.c lists all others.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_METHOD_H
#define MGI_METHOD_H

#include "../base/mgi.h"
#include "../base/text.h"
#include "opt.h"

/* What one tell holds: rows of either form; read them by mgi_told_at. */
typedef struct mgi_tells {
    mango_idx n, d;
    const mango_told *told; /* (n), or NULL: then */
    const mango_idx *I;     /* (n,d) and          */
    const double *y;        /* (n)                */
    int minimize;
} mgi_tells;

/* Row k: y is to be maximized and NaN where missing, the tie likewise and finite; var is
 * NaN or >= 0. */
MGI_FN mango_told mgi_told_at(const mgi_tells *t, mango_idx k);

/* Is a better than b? A missing one is better than none; equal values are ordered by
 * their ties. */
MGI_FN int mgi_told_better(const mango_told *a, const mango_told *b);

typedef struct mgi_method {
    const char *name;
    const mango_opt_spec *option; /* (n_options) its options, with its defaults */
    int n_options;
    int oblivious; /* 1: what it asks does not depend on what it is told */
    int white;     /* 1: it asks facts.gradient, and is of no use without it */
    /* Set o->state, allocated through o->al; o->batch, o->elite, o->retell and o->ties
     * where they are not 1, 0, 0, 0. On failure o->state may be left: destroy is called
     * either way.
     * NULL: no state. */
    mango_status (*create)(mango_opt *o, mango_err *err);
    /* *K >= 1 proposals into I (K,d), or, *K = 0, as many as the method likes: 1 to
     * min(cap, o->batch) of them. Proposal k of them has the number o->asked + k. */
    mango_status (*ask)(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I);
    /* Everything that one call of tell brings, n >= 1. NULL: does not learn. */
    void (*tell)(mango_opt *o, const mgi_tells *t);
    /* Forget what was learnt and start from fresh random numbers of number
     * `epoch` >= 1. NULL: nothing to forget. */
    void (*restart)(mango_opt *o, uint64_t epoch);
    void (*destroy)(mango_opt *o); /* o->state may be NULL */
    /* For people: lines about what was learnt; a phrase about proposal k of the last
     * ask. NULL: nothing to say. */
    void (*explain)(const mango_opt *o, mgi_str *s);
    void (*why)(const mango_opt *o, mango_idx k, mgi_str *s);
} mgi_method;

struct mango_opt {
    mango_alloc al;
    const mgi_method *method;
    mango_opt_options opt;
    mango_facts facts;       /* arrays are its own; those not known are NULL, 0 */
    mango_idx d, *n;         /* modes (d), of allowed levels alone */
    struct mgi_constraint *constraint; /* NULL: none; opt.c translates codes */
    uint64_t seed;
    uint64_t asked;          /* proposals so far: the next one's stream */
    uint64_t epoch;          /* restarts so far */
    mango_idx batch, elite;  /* see mango_opt_info */
    int retell, ties;        /* likewise */
    mango_idx last;          /* proposals of the last ask */
    int minimize;
    int has_best;
    double best_y;           /* in the caller's sign */
    mango_idx *best_I;       /* (d) */
    void *state;
    mango_err err;
};

/* The value of an option of this method; of one that is a whole number. */
MGI_FN double mgi_opt_real(const mango_opt *o, const char *name);
MGI_FN mango_idx mgi_opt_int(const mango_opt *o, const char *name);

/* *K where it is given, else `own`, held within cap: for methods with a batch size. */
MGI_FN mango_idx mgi_opt_wanted(mango_idx own, mango_idx cap, mango_idx K);

/* Of an oblivious method: proposals asked+skip .. asked+skip+K-1, as asks will give
 * them; nothing changes. MANGO_E_UNSUPPORTED for one that learns. */
MGI_FN mango_status mgi_opt_peek(mango_opt *o, mango_idx skip, mango_idx K, mango_idx *I);

/* presets.c: a row of the table; NULL, with a message, when there is none. */
typedef struct mgi_preset {
    const char *name;
    const mgi_method *(*method)(void);
    const char *options; /* what is not as in the method's table: "k=10,r=5" */
    const char *meaning;
} mgi_preset;
MGI_FN const mgi_preset *mgi_preset_find(const char *name, mango_err *err);

/* options.c: the preset's defaults; are the values of o in range, each and together? */
MGI_FN void mgi_opt_fill(const mgi_preset *p, mango_opt_options *o);
MGI_FN mango_status mgi_opt_check(const mango_opt_options *o, mango_err *err);

/* facts.c: a copy of what is known, checked; free is legal after a failure. */
MGI_FN mango_status mgi_facts_copy(mango_facts *to, const mango_facts *from,
                                   const mango_modes *m, const mango_alloc *al,
                                   mango_err *err);
MGI_FN void mgi_facts_free(mango_facts *f, const mango_modes *m, const mango_alloc *al);

/* Quantized modes: level i of a mode of 2^q levels, q >= 1, becomes q modes of
 * two, least significant bit first: i = sum_s b_s 2^s. Other sizes stay. */
MGI_FN mango_idx mgi_qtt_modes(mango_idx d, const mango_idx *n,
                               mango_idx *nq); /* NULL: count */
MGI_FN void mgi_qtt_split(mango_idx d, const mango_idx *n, const mango_idx *I,
                          mango_idx *Iq);
MGI_FN void mgi_qtt_join(mango_idx d, const mango_idx *n, const mango_idx *Iq,
                         mango_idx *I);

#endif
