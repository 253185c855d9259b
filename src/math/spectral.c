/* spectral.c - the power method (Miyato et al. 2018, algorithm 1).
 * SPDX-License-Identifier: MIT */
#include "spectral.h"

/* Keeps the direction of a zero vector finite. It is added, not a floor as PyTorch's
 * max(|x|, 1e-12): that would change the last digits of a training, whereas the
 * answers of a discriminator, for which sigma is rounded once, stay as they are. */
#define POWER_SMALL 1e-12

/* x = x / |x|; returns |x|. */
static double power_unit(mango_idx n, float *x)
{
    double s = 0;
    for (mango_idx i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    const double r = 1 / (sqrt(s) + POWER_SMALL);
    for (mango_idx i = 0; i < n; i++)
        x[i] = (float)((double)x[i] * r);
    return sqrt(s);
}

/* y (O) = W x */
static void power_apply(mango_idx O, mango_idx K, const float *W, const float *x, float *y)
{
    MGI_OMP(parallel for if (O * K >= MGI_GRAIN))
    for (mango_idx o = 0; o < O; o++) {
        double s = 0;
        for (mango_idx k = 0; k < K; k++)
            s += (double)W[o * K + k] * (double)x[k];
        y[o] = (float)s;
    }
}

/* y (K) = W' x */
static void power_apply_t(mango_idx O, mango_idx K, const float *W, const float *x, float *y)
{
    enum { BLOCK = 64 };
    MGI_OMP(parallel for if (O * K >= MGI_GRAIN))
    for (mango_idx at = 0; at < K; at += BLOCK) {
        double s[BLOCK] = {0};
        const mango_idx n = MGI_MIN(BLOCK, K - at);
        for (mango_idx o = 0; o < O; o++)
            for (mango_idx k = 0; k < n; k++)
                s[k] += (double)W[o * K + at + k] * (double)x[o];
        for (mango_idx k = 0; k < n; k++)
            y[at + k] = (float)s[k];
    }
}

MGI_FN double mgi_power_step(mango_idx O, mango_idx K, const float *W, const float *u, float *v,
                             float *u_new)
{
    power_apply_t(O, K, W, u, v);
    power_unit(K, v);
    power_apply(O, K, W, v, u_new);
    return power_unit(O, u_new);
}
#undef POWER_SMALL
