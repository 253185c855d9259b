/* random.c - uniform random search: the baseline that learns nothing.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "../base/rng.h"

#define RANDOM_RNG 0x524e4401u

/* Proposal number `asked` has its own stream, so that asking 10 codes once or
 * one code ten times is the same. */
static mango_status random_ask(mango_opt *o, mango_idx K, mango_idx *I)
{
    for (mango_idx k = 0; k < K; k++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, RANDOM_RNG, o->asked + (uint64_t)k);
        for (mango_idx j = 0; j < o->d; j++)
            I[k * o->d + j] = mango_rng_int(&rng, o->n[j]);
    }
    return MANGO_OK;
}

static mango_idx random_elite(const mango_opt_options *o)
{
    (void)o;
    return 1; /* learns nothing; the best is kept */
}

const mgi_method *mgi_method_random(void)
{
    static const mgi_method method = {NULL, random_ask, NULL, NULL, NULL, random_elite, 1};
    return &method;
}

#undef RANDOM_RNG
