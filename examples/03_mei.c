/* 03_mei.c - the picture that excites a neuron most: the whole loop.
 *     cc -O2 -fopenmp 03_mei.c -lm && ./a.out [GEN.safetensors NET.safetensors] [TARGET]
 * Without weights, two networks filled by a formula: a lesson, not a picture.
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdio.h>

static int progress(void *ud, const mango_session *s)
{
    mango_session_info i;
    (void)ud;
    mango_session_get(s, &i);
    printf("%4d queries  best %.3f\n", (int)i.queries, i.best);
    return 0;
}

int main(int argc, char **argv)
{
    const char *target = argc == 4 ? argv[3] : argc == 2 ? argv[1] : "spiking1:3";
    mango_net *gen, *net;
    mango_search *s;
    mango_objective_options oo;
    mango_session_options so;
    mango_err err = {""};
#define TRY(call)                                                                        \
    do {                                                                                 \
        if ((call) < 0)                                                                  \
            return fprintf(stderr, "%s\n", err.text), 1;                                 \
    } while (0)
    TRY(argc > 2 ? mango_net_load(&gen, argv[1], NULL, &err)
                 : mango_net_zoo(&gen, "vqvae", NULL, &err));
    TRY(argc > 2 ? mango_net_load(&net, argv[2], NULL, &err)
                 : mango_net_zoo(&net, "snn_conv,width=0.1", NULL, &err));
    if (argc <= 2) {
        TRY(mango_net_fill(gen, 7, 1.5));
        TRY(mango_net_fill(net, 7, 1.0));
    }
    TRY(mango_objective_defaults(&oo));
    oo.T = 20; /* steps */
    oo.batch = 25; /* pictures at once */
    TRY(mango_session_defaults("auto", &so, &err));
    so.budget = 500;
    so.observe = progress;
    TRY(mango_search_create(&s, gen, net, target, &oo, &so, NULL, &err));
    printf("%s: %s\n", target, mango_status_text(mango_search_run(s)));
    mango_search_destroy(s);
    mango_net_destroy(gen);
    mango_net_destroy(net);
    return 0;
}
