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
    mango_idx d;
    const mango_idx *n; /* (d), each 1 .. 2^24 */
} mango_modes;

/* Options of every optimizer; defaults() fills them from a preset's name. */
typedef struct mango_opt_options {
    mango_idx k;        /* batch: codes of one ask                                */
    mango_idx k_top;    /* elite: best of each batch                              */
    mango_idx k_gd;     /* gradient steps a batch                                 */
    double lr;          /* Adam's learning rate                                   */
    mango_idx r;        /* TT rank                                                */
    int quantized;      /* modes of 2^q levels become q modes of 2 (QTT)          */
    int minimize;       /* 0: everything maximizes                                */
    mango_idx budget;   /* queries planned, for schedules; 0: unknown             */
} mango_opt_options;

typedef struct mango_opt mango_opt;

/* mango_opt_names - the presets, NULL-terminated: tt tt-s tt-b tt-exp protes random.
 * mango_opt_defaults - options of one; MANGO_E_NAME with near matches. */
MANGO_API const char *const *mango_opt_names(void);
MANGO_API mango_status mango_opt_defaults(const char *name, mango_opt_options *o,
                                          mango_err *err);
MANGO_API mango_status mango_opt_create(mango_opt **opt, const char *name,
                                        const mango_modes *modes, const mango_opt_options *o,
                                        uint64_t seed, const mango_alloc *al, mango_err *err);
/* mango_opt_ask - K proposals into I (K,d), row-major. K = 0: as many as the
 * optimizer likes, *K tells; at most `cap` rows.
 * mango_opt_tell - K values y of codes I: any number, order and origin, those
 * never asked included; NaN means missing. The state is a pure function of
 * (options, seed, sequence of asks and tells). */
MANGO_API mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K, mango_idx *I);
MANGO_API mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                                      const double *y);
/* Best told so far: value and code (d); MANGO_E_STATE before the first finite tell. */
MANGO_API mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I);
MANGO_API const char *mango_opt_error(const mango_opt *opt); /* last message, "" if none */
MANGO_API void mango_opt_destroy(mango_opt *opt);

#ifdef __cplusplus
}
#endif
#endif
