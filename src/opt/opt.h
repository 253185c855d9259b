/* opt.h - black-box optimizers over multi-indices: ask a batch, tell its values.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_OPT_H
#define MANGO_OPT_H

#include "../base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_modes - the space an optimizer sees: d modes, mode j has levels n[j],
 * a multi-index I has 0 <= I[j] < n[j]. Copied at create. */
typedef struct mango_modes {
    mango_idx d;        /* 1 .. 2^20 */
    const mango_idx *n; /* (d), each 1 .. 2^24 */
} mango_modes;

/* Options of every optimizer; defaults() fills them from a preset's name. */
typedef struct mango_opt_options {
    mango_idx k;        /* batch: codes of one ask, 1 .. 2^20                     */
    mango_idx k_top;    /* elite: best of each batch, 1 .. k                      */
    mango_idx k_gd;     /* gradient steps a batch, 1 .. 10000                     */
    double lr;          /* Adam's learning rate, > 0                              */
    mango_idx r;        /* TT rank, 1 .. 256                                      */
    int quantized;      /* modes of 2^q levels become q modes of 2 (QTT), least
                           significant bit first; other sizes stay as they are   */
    int minimize;       /* 0: everything maximizes                                */
    mango_idx budget;   /* queries planned, for schedules; 0: unknown             */
} mango_opt_options;

typedef struct mango_opt mango_opt;

/* mango_opt_names - the presets, NULL-terminated: tt tt-s tt-b tt-exp protes random.
 * mango_opt_defaults - options of one; MANGO_E_NAME with near matches. */
MANGO_API const char *const *mango_opt_names(void);
MANGO_API mango_status mango_opt_defaults(const char *name, mango_opt_options *o,
                                          mango_err *err);

/* mango_opt_elite - of the values told between two asks, how many of the best the
 * method learns from: any other may as well be told as missing, as long as it
 * is smaller (minimize: larger) than these. k for a method that uses all of them.
 * mango_opt_oblivious - 1 when what it asks does not depend on what it is told,
 * so that any number of batches can be asked ahead; 0 for one that learns.
 * name as in mango_opt_create, o may be NULL; 0 for an unknown name. */
MANGO_API mango_idx mango_opt_elite(const char *name, const mango_opt_options *o);
MANGO_API int mango_opt_oblivious(const char *name);

/* mango_opt_create - an optimizer ready for its first ask.
 *   opt    out  the new object; NULL on failure
 *   name   in   a preset's name: it chooses the method
 *   modes  in   the space
 *   o      in   options; NULL means the preset's own
 *   seed   in   same seed, same proposals, on every machine
 * Returns  MANGO_OK; MANGO_E_NAME, MANGO_E_ARG with the field named, MANGO_E_MEM.
 * Memory   all of it is allocated here: ask and tell allocate nothing.
 * Threads  one object belongs to one thread at a time. */
MANGO_API mango_status mango_opt_create(mango_opt **opt, const char *name,
                                        const mango_modes *modes,
                                        const mango_opt_options *o, uint64_t seed,
                                        const mango_alloc *al, mango_err *err);

/* mango_opt_ask - K proposals into I (K,d), row-major.
 *   cap  in      rows that I has room for, >= 1
 *   K    in,out  proposals wanted, <= cap; 0: as many as the optimizer likes
 *                (its batch k), at most cap. *K tells how many there are.
 * A batch may hold the same code twice. What was told since the last ask is
 * learnt now: the elite is the best k_top finite ones of it, whoever proposed
 * them; equal values rank in the order told. Told nothing finite, the next
 * batch is drawn from the same distribution, with new random numbers. */
MANGO_API mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K,
                                     mango_idx *I);

/* mango_opt_tell - K values y (K) of codes I (K,d): any number, order and
 * origin, in one call or many, those never asked included; NaN and infinite
 * values mean missing. A code out of range is MANGO_E_ARG and then nothing of
 * the call is taken. The state is a pure function of (options, seed, sequence
 * of asks, tells and restarts). */
MANGO_API mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                                      const double *y);

/* mango_opt_restart - forget what was learnt but keep the best: for a search
 * whose distribution has collapsed onto codes already known. */
MANGO_API mango_status mango_opt_restart(mango_opt *opt);

/* Best told so far, of equal ones the first: value and code (d), either may be
 * NULL; MANGO_E_STATE before the first finite tell. */
MANGO_API mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I);
MANGO_API const char *mango_opt_error(const mango_opt *opt); /* last message, "" if none */
MANGO_API void mango_opt_destroy(mango_opt *opt);            /* NULL is legal */

#ifdef __cplusplus
}
#endif
#endif
