/* 01_lif.c - one leaky integrate-and-fire neuron, and its trace.
 *
 *     U[t] = beta U[t-1] + X[t] - S[t-1] U_thr        (the reset comes one step late)
 *     S[t] = 1 if U[t] > U_thr, else 0
 *
 * A constant current charges the membrane until it fires; stronger current,
 * more spikes. What MANGO maximizes is the rate: spikes per step.
 *
 *     cc -O2 01_lif.c -lm && ./a.out [CURRENT]
 * SPDX-License-Identifier: MIT */
#define MANGO_IMPLEMENTATION
#include "mango.h"
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 24, WIDTH = 40 };

/* One line a step: the membrane as a bar, '|' at the threshold, '*' for a spike. */
static void draw(int t, float U, float U_thr, float S)
{
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i == 20 ? '|' : U * 20.0f / U_thr > (float)i ? '#' : ' ';
    bar[WIDTH] = '\0';
    printf("t %2d  U %6.3f  %s %s\n", t, (double)U, bar, S > 0.0f ? "* spike" : "");
}

int main(int argc, char **argv)
{
    mango_lif rule;
    float X = argc > 1 ? (float)atof(argv[1]) : 0.25f, U = 0.0f, S;
    if (mango_lif_preset("snntorch", &rule) < 0)
        return 1;
    printf("beta %g, threshold %g, current %g\n", (double)rule.beta, (double)rule.U_thr,
           (double)X);
    int spikes = 0;
    for (int t = 0; t < STEPS; t++) {
        if (mango_lif_step(&rule, 1, &X, &U, &S) < 0)
            return 1;
        draw(t, U, rule.U_thr, S);
        spikes += S > 0.0f;
    }
    printf("%d spikes in %d steps: rate %.3f\n", spikes, STEPS, (double)spikes / STEPS);

    printf("\ncurrent   rate\n");
    for (int i = 1; i <= 10; i++) {
        X = 0.1f * (float)i - 0.05f, U = 0.0f, spikes = 0;
        for (int t = 0; t < 1000; t++) {
            mango_lif_step(&rule, 1, &X, &U, &S);
            spikes += S > 0.0f;
        }
        printf("%7.2f  %5.3f  %.*s\n", (double)X, spikes / 1000.0, spikes / 20,
               "##################################################");
    }
    return 0;
}
