/* noise.h - the noise of a living network, put on values that have none.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_NOISE_H
#define MANGO_NOISE_H

#include "mei.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MANGO_NOISE_MODELS = 8 };

typedef enum mango_noise_kind {
    MANGO_NOISE_POISSON, /* poisson:RATE  y' = N/RATE, N a Poisson count of mean RATE y (1) */
    MANGO_NOISE_NORMAL,  /* normal:S      y' = y + S z, z of N(0,1)                     (2) */
    MANGO_NOISE_MULT,    /* mult:S        y' = y (1 + S z)                              (3) */
    MANGO_NOISE_DROP,    /* drop:P        missing (NaN) with probability P              (4) */
    MANGO_NOISE_DRIFT    /* drift:D       y' = y exp(D w(t)), slow: see below           (5) */
} mango_noise_kind;

/* mango_noise - up to 8 models, each at work on what the one before gives. Plain data.
 * (1) a value below 0 counts as 0; counts of a mean above 10^4 are rounded normal ones.
 * (5) w goes straight from knot to knot, one every 100 presentations, each of N(0,1):
 *     w(t) = (1 - f) z_k + f z_(k+1),   k = floor(t/100),  f = t/100 - k
 * Missing values stay so. Draws are a function of seed, model and the number of the
 * presentation, counted from 0: the same on every machine, in any order. */
typedef struct mango_noise {
    mango_idx n;
    mango_noise_kind kind[MANGO_NOISE_MODELS];
    double size[MANGO_NOISE_MODELS];
} mango_noise;

/* mango_noise_parse - "poisson:30", or several joined by '+' or ','. RATE > 0, S and D
 * >= 0, 0 <= P <= 1, all at most 10^9. MANGO_E_NAME for an unknown model, MANGO_E_ARG for
 * its number; the noise is then unchanged.
 * mango_noise_text - as parse reads it, into text of cap bytes; returns its length, also
 * when cap is too small; -1 for NULL. */
MANGO_API mango_status mango_noise_parse(mango_noise *noise, const char *text, mango_err *err);
MANGO_API mango_idx mango_noise_text(const mango_noise *noise, char *text, mango_idx cap);
/* mango_noise_apply - y (K) of presentations first .. first + K - 1, in place. */
MANGO_API void mango_noise_apply(const mango_noise *noise, uint64_t seed, uint64_t first,
                                 mango_idx K, double *y);

/* mango_noisy - an evaluator that has noise put on it: fill it, give mango_noisy_eval and
 * its address as function and ud. A session with a `noise` option needs none of this. */
typedef struct mango_noisy {
    mango_noise noise;
    uint64_t seed, next; /* number of the next presentation; to be set at resume */
    mango_evaluator f;
    void *ud;
} mango_noisy;
MANGO_API mango_status mango_noisy_eval(void *ud, mango_idx K, const mango_idx *I, double *y);

#ifdef __cplusplus
}
#endif
#endif
