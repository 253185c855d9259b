/* random.c - uniform random search: the baseline that learns nothing.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "../base/rng.h"

#define RANDOM_RNG 0x524e4401u

static const mango_opt_spec random_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
};

/* Proposal number `asked` has its own stream, so that asking 10 codes once or
 * one code ten times is the same. */
static mango_status random_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, RANDOM_RNG, o->asked + (uint64_t)k);
        for (mango_idx j = 0; j < o->d; j++)
            I[k * o->d + j] = mango_rng_int(&rng, o->n[j]);
    }
    return MANGO_OK;
}

static mango_status random_create(mango_opt *o, mango_err *err)
{
    (void)err;
    o->batch = mgi_opt_int(o, "k");
    o->elite = 1; /* learns nothing; the best is kept */
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_random(void)
{
    static const mgi_method method = {
        .name = "random",
        .option = random_option,
        .n_options = MGI_COUNT(random_option),
        .oblivious = 1,
        .create = random_create,
        .ask = random_ask,
    };
    return &method;
}

#undef RANDOM_RNG
