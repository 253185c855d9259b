/* rng.h - counter-based random numbers (Philox-4x32-10, Salmon et al. 2011).
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_RNG_H
#define MANGO_RNG_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mango_rng - one stream: a pure function of (seed, purpose, index). Draws
 * advance `n`. Two streams with another purpose or index are independent, so
 * results do not depend on threads or on the order of work. Plain data: copy
 * it to fork, store {seed,purpose,index,n} to resume. */
typedef struct mango_rng {
    uint64_t seed, index, n; /* n: 32-bit words drawn so far */
    uint32_t purpose;
    uint32_t have;           /* words left in buf */
    uint32_t buf[4];
} mango_rng;

MANGO_API void mango_rng_init(mango_rng *r, uint64_t seed, uint32_t purpose, uint64_t index);
MANGO_API uint32_t mango_rng_u32(mango_rng *r);
MANGO_API uint64_t mango_rng_u64(mango_rng *r);
MANGO_API double mango_rng_uniform(mango_rng *r);            /* [0,1), 53 bits       */
MANGO_API float mango_rng_uniformf(mango_rng *r);            /* [0,1), 24 bits       */
MANGO_API double mango_rng_normal(mango_rng *r);             /* N(0,1), Box-Muller   */
MANGO_API mango_idx mango_rng_int(mango_rng *r, mango_idx n); /* 0..n-1 without bias; n >= 1 */
MANGO_API void mango_rng_perm(mango_rng *r, mango_idx n, mango_idx *p); /* of 0..n-1 */

#ifdef __cplusplus
}
#endif
#endif
