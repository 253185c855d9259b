/* 02_tt_sampling.c - watch a tensor-train distribution sharpen.
 *
 * PROTES keeps a probability p(i,j) = |G1[i] G2[j]| over all codes, here the
 * cells of a 32 x 24 board. It draws 50 cells, looks at the hidden function
 * there, and turns the cores so that the 5 best cells become more likely.
 * The function has two hills; the one at the top right is higher.
 *
 *     cc -O2 02_tt_sampling.c -lm && ./a.out [SEED]
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { W = 32, H = 24, SAMPLES = 20000, BATCH = 50 };

static double hidden(const mango_idx *I)
{
    const double x = (double)I[0], y = (double)I[1];
    const double left = (x - 8) * (x - 8) + (y - 6) * (y - 6);
    const double right = (x - 24) * (x - 24) + (y - 17) * (y - 17);
    return 0.8 / (1.0 + 0.02 * left) + 1.0 / (1.0 + 0.05 * right);
}

/* Asking without telling changes nothing: so sample much, and draw. */
static void draw(mango_opt *opt, int round)
{
    static mango_idx I[SAMPLES * 2];
    static long hits[H][W];
    long most = 1;
    mango_idx K = SAMPLES;
    memset(hits, 0, sizeof hits);
    if (mango_opt_ask(opt, SAMPLES, &K, I) < 0)
        return;
    for (mango_idx k = 0; k < K; k++) {
        long *h = &hits[I[2 * k + 1]][I[2 * k]];
        most = ++*h > most ? *h : most;
    }
    printf("\nafter %d batches, %d looks; the likeliest cell has p = %.3f\n", round,
           round * BATCH, (double)most / SAMPLES);
    for (int y = H - 1; y >= 0; y -= 1) {
        for (int x = 0; x < W; x++)
            putchar(" .:-=+*#%@"[hits[y][x] * 9 / most]);
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    const mango_idx n[2] = {W, H};
    const mango_modes modes = {2, n};
    mango_opt_options o;
    mango_opt *opt;
    mango_err err;
    const uint64_t seed = argc > 1 ? (uint64_t)atoi(argv[1]) : 1;
    if (mango_opt_defaults("protes", &o, &err) < 0 ||
        mango_opt_set(&o, "k", BATCH, &err) < 0 ||
        mango_opt_set(&o, "k_top", 5, &err) < 0 ||
        mango_opt_create(&opt, &modes, NULL, &o, seed, NULL, &err) < 0)
        return puts(err.text), 1;
    for (int round = 0; round <= 60; round++) {
        mango_idx I[BATCH * 2], K = 0;
        double y[BATCH];
        if (round == 0 || round == 4 || round == 10 || round == 20 || round == 60)
            draw(opt, round);
        mango_opt_ask(opt, BATCH, &K, I);
        for (mango_idx k = 0; k < K; k++)
            y[k] = hidden(I + 2 * k);
        mango_opt_tell(opt, K, I, y);
    }
    mango_idx best[2];
    double y;
    if (mango_opt_best(opt, &y, best) == MANGO_OK)
        printf("\nbest cell (%d,%d), value %.4f; the hill's top is (24,17)\n", (int)best[0],
               (int)best[1], y);
    mango_opt_destroy(opt);
    return 0;
}
