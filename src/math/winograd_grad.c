/* winograd_grad.c - gradients of a 3x3 convolution of stride 1, Winograd's way.
 *
 * By its input: dx is the convolution of dy, padded by 2 - p, with the kernels
 * turned by half a turn: winograd.c as it is.
 *
 * By its weights: Y = A'[ sum_c (G g G') o (B'dB) ]A is linear in g, so
 *     dg = G' R G,   R[p] (C,O) = sum over tiles of V[p]' Z[p],
 *     V = B'dB,  Z = A dY A'
 * a*a products a tile in place of 9 m*m. The tiles (n,ty,tx) go by in blocks:
 * all threads transform a block, then share out the sums by point and panel of
 * outputs. Each sum is one chain of fma over the tiles from +0, which goes on
 * from block to block; G'RG is summed in double and rounded once: the same bits
 * for every kernel set and any number of threads.
 *
 * Error, as in winograd.h: over n tiles, to first order,
 *     |error of dg| <= (n + 2r + 2q + 1) u |G'| [ sum |V| o |A||dY||A'| ] |G|,
 * |V| = |B'||d||B|, with r = 1, q = 1 for m = 2 and r = 2, q = 2 for m = 4.
 * SPDX-License-Identifier: MIT */
#include "winograd.h"
#include "conv_geometry.h"

#define WGRAD_BLOCK (2 << 20) /* floats of V and Z of a block, about */
#define WGRAD_TILES 256       /* tiles of a block, at most           */
#define WGRAD_LINE 16         /* floats of a cache line              */
#define WGRAD_O 16            /* outputs side by side in G'RG        */

typedef struct wgrad_job {
    const mgi_kernels *k;
    const mgi_winograd_set *set;
    const mgi_conv *c;
    const float *x, *dy;
    float *dw, *zero, *V, *Z, *R; /* R (points,C,O) */
    int m, a, points;
    mango_idx TY, TX, tiles, T;   /* of an image; in all; of a block */
    mango_idx pitchV, pitchZ, planeV, planeZ;
    mango_idx panels;
} wgrad_job;

static mango_idx wgrad_up(mango_idx x)
{
    return mgi_round_up(x, WGRAD_LINE);
}

/* ---- by the input --------------------------------------------------------- */

/* The convolution of dy that gives dx; winograd = 0 where its shape has no use for it. */
static mgi_conv wgrad_turned(const mgi_conv *c)
{
    mgi_conv d = *c;
    d.C = c->O;
    d.H = c->OH;
    d.W = c->OW;
    d.O = c->C;
    d.OH = c->H;
    d.OW = c->W;
    d.ph = 2 - c->ph;
    d.pw = 2 - c->pw;
    d.winograd = d.ph < 0 || d.pw < 0 ? 0 : mgi_winograd_rule(&d);
    return d;
}

/* w (O,C,3,3) to (C,O,3,3), each kernel turned. */
static void wgrad_turn(const mgi_conv *c, const float *w, float *t)
{
    MGI_OMP(parallel for if (c->C * c->O >= MGI_GRAIN / 8))
    for (mango_idx i = 0; i < c->C; i++)
        for (mango_idx o = 0; o < c->O; o++)
            for (int k = 0; k < 9; k++)
                t[(i * c->O + o) * 9 + k] = w[(o * c->C + i) * 9 + 8 - k];
}

MGI_FN int mgi_winograd_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                      const float *w, float *dx, float *work)
{
    const mgi_conv d = wgrad_turned(c);
    float *turned = work, *packed = work + wgrad_up(9 * c->C * c->O);
    if (!d.winograd)
        return 0;
    wgrad_turn(c, w, turned);
    mgi_winograd_pack(&d, turned, packed);
    mgi_winograd_forward(&d, N, dy, packed, NULL, dx,
                         packed + wgrad_up(mgi_winograd_packed(&d)));
    return 1;
}

/* ---- by the weights ------------------------------------------------------- */

static wgrad_job wgrad_plan(const mgi_conv *c, mango_idx N)
{
    wgrad_job j = {.k = mgi_kernels_get(), .c = c, .m = c->winograd, .a = c->winograd + 2};
    j.set = mgi_winograd_get(j.k);
    j.points = j.a * j.a;
    j.TY = mgi_ceil_div(c->OH, j.m);
    j.TX = mgi_ceil_div(c->OW, j.m);
    j.tiles = N * j.TY * j.TX;
    j.pitchV = wgrad_up(c->C) + WGRAD_LINE;
    j.pitchZ = wgrad_up(c->O) + WGRAD_LINE;
    j.T = WGRAD_BLOCK / (j.points * (j.pitchV + j.pitchZ));
    j.T = MGI_MAX(32, MGI_MIN(j.T, WGRAD_TILES));
    j.planeV = (j.T * j.pitchV / WGRAD_LINE | 1) * WGRAD_LINE; /* an odd number of lines */
    j.planeZ = (j.T * j.pitchZ / WGRAD_LINE | 1) * WGRAD_LINE;
    j.panels = mgi_ceil_div(c->O, j.k->nr);
    return j;
}

MGI_FN mango_idx mgi_winograd_backward_work(const mgi_conv *c, mango_idx N)
{
    const wgrad_job j = wgrad_plan(c, N);
    const mgi_conv d = wgrad_turned(c);
    const mango_idx weights = MGI_MAX(j.pitchV, j.pitchZ) + wgrad_up(j.points * c->C * c->O) +
                              j.points * (j.planeV + j.planeZ);
    const mango_idx data = !d.winograd ? 0
                                       : wgrad_up(9 * c->C * c->O) +
                                             wgrad_up(mgi_winograd_packed(&d)) +
                                             mgi_winograd_work(&d, N);
    return MGI_MAX(weights, data);
}

/* Tile i of the block that starts at tile t0, of x and of dy. */
static void wgrad_tile(const wgrad_job *j, mango_idx t0, mango_idx i)
{
    const mgi_conv *c = j->c;
    const float *px[MGI_WINOGRAD_POINTS];
    const mango_idx per = j->TY * j->TX, n = (t0 + i) / per, q = (t0 + i) % per;
    const mango_idx y0 = q / j->TX * j->m, x0 = q % j->TX * j->m;
    mgi_winograd_pixels(j->a, c->H, c->W, c->C, j->x + n * c->H * c->W * c->C, y0 - c->ph,
                        x0 - c->pw, j->zero, px);
    j->set->input[MGI_WINOGRAD_INPUT(j->m)](0, c->C, px, j->V + i * j->pitchV, j->planeV);
    mgi_winograd_pixels(j->m, c->OH, c->OW, c->O, j->dy + n * c->OH * c->OW * c->O, y0, x0,
                        j->zero, px);
    j->set->grad[MGI_WINOGRAD_INPUT(j->m)](0, c->O, px, j->Z + i * j->pitchZ, j->planeZ);
}

/* R[p] += V[p]' Z[p] for n tiles, outputs of panel q. */
static void wgrad_sums(const wgrad_job *j, mango_idx n, mango_idx p, mango_idx q, int load)
{
    const mgi_kernels *k = j->k;
    const mango_idx C = j->c->C, O = j->c->O, o0 = q * k->nr;
    const mango_idx strips = mgi_ceil_div(C, k->mr), step = mgi_ceil_div(C, strips);
    const mgi_tap run = {0, 0, n};
    for (mango_idx i = 0; i < C; i += step)
        k->outer(MGI_MIN(step, C - i), MGI_MIN(k->nr, O - o0), j->V + p * j->planeV + i,
                 j->pitchV, j->Z + p * j->planeZ + o0, j->pitchZ, 1, &run,
                 j->R + (p * C + i) * O + o0, O, load);
}

/* g = G'r along one axis, for n columns; r comes as r[i*step]. */
static void wgrad_g(int m, mango_idx n, const double *r, mango_idx step, double *g0, double *g1,
                    double *g2)
{
    static const double f2[4] = {1.0, 0.5, 0.5, 1.0};
    static const double f4[6] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24, 1.0};
    const double *f = m == 2 ? f2 : f4;
    for (mango_idx o = 0; o < n; o++) {
        const double *at = r + o;
        const double s = f[1] * (at[step] + at[2 * step]);
        g0[o] = f[0] * at[0] + s;
        g1[o] = f[1] * (at[step] - at[2 * step]);
        g2[o] = s + f[m + 1] * at[(m + 1) * step];
        if (m == 4) {
            const double S = f[3] * (at[3 * step] + at[4 * step]);
            g0[o] += S;
            g1[o] += 2.0 * f[3] * (at[3 * step] - at[4 * step]);
            g2[o] += 4.0 * S;
        }
    }
}

/* dw += G'RG for input channel c, n outputs from o0 on. */
static void wgrad_store(const wgrad_job *j, mango_idx c, mango_idx o0, mango_idx n)
{
    const mango_idx C = j->c->C, O = j->c->O;
    double r[MGI_WINOGRAD_POINTS * WGRAD_O], t[18 * WGRAD_O], g[9 * WGRAD_O];
    for (int p = 0; p < j->points; p++)
        for (mango_idx o = 0; o < n; o++)
            r[p * WGRAD_O + o] = (double)j->R[(p * C + c) * O + o0 + o];
    for (int k = 0; k < j->a; k++) { /* column k of R */
        double *to = t + k * WGRAD_O;
        wgrad_g(j->m, n, r + k * WGRAD_O, j->a * WGRAD_O, to, to + j->a * WGRAD_O,
                to + 2 * j->a * WGRAD_O);
    }
    for (int i = 0; i < 3; i++) { /* row i */
        double *to = g + 3 * i * WGRAD_O;
        wgrad_g(j->m, n, t + i * j->a * WGRAD_O, WGRAD_O, to, to + WGRAD_O, to + 2 * WGRAD_O);
    }
    for (mango_idx o = 0; o < n; o++)
        for (int k = 0; k < 9; k++)
            j->dw[((o0 + o) * C + c) * 9 + k] += (float)g[k * WGRAD_O + o];
}

MGI_FN void mgi_winograd_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                          const float *dy, float *dw, float *work)
{
    wgrad_job j = wgrad_plan(c, N);
    const mango_idx zeros = MGI_MAX(j.pitchV, j.pitchZ), items = j.points * j.panels;
    const mango_idx groups = mgi_ceil_div(c->O, WGRAD_O);
    j.x = x;
    j.dy = dy;
    j.dw = dw;
    j.zero = work;
    j.R = work + zeros;
    j.V = j.R + wgrad_up(j.points * c->C * c->O);
    j.Z = j.V + j.points * j.planeV;
    memset(j.zero, 0, (size_t)zeros * sizeof *j.zero);
    MGI_OMP(parallel if (j.tiles * c->C * c->O > 16384))
    {
        for (mango_idx t0 = 0; t0 < j.tiles; t0 += j.T) {
            const mango_idx n = MGI_MIN(j.T, j.tiles - t0);
            MGI_OMP(for schedule(dynamic, 4))
            for (mango_idx i = 0; i < n; i++)
                wgrad_tile(&j, t0, i);
            MGI_OMP(for schedule(dynamic))
            for (mango_idx i = 0; i < items; i++)
                wgrad_sums(&j, n, i / j.panels, i % j.panels, t0 > 0);
        }
        MGI_OMP(for)
        for (mango_idx i = 0; i < groups * c->C; i++)
            wgrad_store(&j, i % c->C, i / c->C * WGRAD_O,
                        MGI_MIN(WGRAD_O, c->O - i / c->C * WGRAD_O));
    }
}

#undef WGRAD_BLOCK
#undef WGRAD_TILES
#undef WGRAD_LINE
#undef WGRAD_O
