/* winograd_up.c - the weights of transposed 4x4 convolutions of stride 2 for
 * F(3x3, 2x2), see winograd.h, and when that form is taken.
 * SPDX-License-Identifier: MIT */
#include "conv_geometry.h"
#include "winograd.h"

#define WINO_UP_NR 32 /* the widest panel of any kernel set */

/* Products of the plain form along one axis: two taps an output, the first and
 * the last output have one. 16 per tile here, with four phases each. Measured:
 * a fifth fewer repay the transforms. */
MGI_FN int mgi_winograd_up_rule(const mgi_conv *c)
{
    if (!c->transposed || c->kh != 4 || c->kw != 4 || c->sh != 2 || c->sw != 2 || c->ph != 1 ||
        c->pw != 1 || c->OH != 2 * c->H || c->OW != 2 * c->W || c->C < 8 ||
        c->O < 8 || c->C * c->O < 192)
        return 0;
    const mango_idx tiles = ((c->H + 3) / 3) * ((c->W + 3) / 3);
    return 5 * 64 * tiles <= 4 * (4 * c->H - 2) * (4 * c->W - 2) ? 3 : 0;
}

/* g0, (g0+g1)/2, (g0-g1)/2, g1 for n columns. */
static void wino_up_g(mango_idx n, const double *g0, const double *g1, double *t,
                      mango_idx step)
{
    for (mango_idx o = 0; o < n; o++) {
        t[o] = g0[o];
        t[step + o] = 0.5 * (g0[o] + g1[o]);
        t[2 * step + o] = 0.5 * (g0[o] - g1[o]);
        t[3 * step + o] = g1[o];
    }
}

/* g (2,2,n) to U (4,4,n). */
MGI_FN void mgi_winograd_up_filter(mango_idx n, const float *g, float *U)
{
    double d[4 * WINO_UP_NR], t[8 * WINO_UP_NR], u[4 * WINO_UP_NR];
    for (mango_idx i = 0; i < 4 * n; i++)
        d[i] = (double)g[i];
    for (int j = 0; j < 2; j++)
        wino_up_g(n, d + j * n, d + (2 + j) * n, t + j * n, 2 * n);
    for (int i = 0; i < 4; i++, U += 4 * n) {
        wino_up_g(n, t + 2 * i * n, t + (2 * i + 1) * n, u, n);
        for (mango_idx k = 0; k < 4 * n; k++)
            U[k] = (float)u[k];
    }
}

/* w (C,O,4,4) -> per point a packed (C,4 O), phase f = 2 fy + fx slowest: tap i
 * of phase f, inputs ascending, is stored row f + 2 - 2i. */
MGI_FN void mgi_winograd_up_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mango_idx nr = mgi_kernels_get()->nr, O = 4 * c->O, panels = mgi_ceil_div(O, nr);
    const mango_idx plane = mgi_pack_size(c->C, O);
    MGI_OMP(parallel for if (c->C * O >= MGI_GRAIN / 8))
    for (mango_idx i = 0; i < panels * c->C; i++) {
        const mango_idx o0 = i / c->C * nr, n = MGI_MIN(nr, O - o0);
        const float *from = w + i % c->C * c->O * 16;
        float g[4 * WINO_UP_NR] = {0.0f}, U[16 * WINO_UP_NR];
        for (mango_idx o = 0; o < n; o++) {
            const mango_idx f = (o0 + o) / c->O, fy = f / 2, fx = f % 2;
            const float *k = from + (o0 + o) % c->O * 16;
            for (mango_idx t = 0; t < 4; t++)
                g[t * nr + o] = k[(fy + 2 - t / 2 * 2) * 4 + fx + 2 - t % 2 * 2];
        }
        mgi_winograd_up_filter(nr, g, U);
        for (int p = 0; p < 16; p++)
            memcpy(packed + p * plane + i * nr, U + p * nr, (size_t)nr * sizeof *U);
    }
}

#undef WINO_UP_NR
