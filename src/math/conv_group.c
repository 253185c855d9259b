/* conv_group.c - convolutions of several groups, each by itself (small ones go the way of
 * conv_lanes.c): its channels are
 * gathered, the convolution of one group runs on them, its outputs are put back.
 *
 * Every output is the same chain over (ky,kx,c) as in an ordinary convolution.
 * SPDX-License-Identifier: MIT */
#include "conv_group.h"

#define GROUP_FLOATS 262144 /* gathered at a time, about */
#define GROUP_ROWS 64       /* pixels put back at a time */

/* The convolution of one group. */
static mgi_conv group_part(const mgi_conv *c)
{
    mgi_conv g = *c;
    g.C = c->C / c->groups;
    g.O = c->O / c->groups;
    g.groups = 1;
    g.winograd = g.int8 = g.half = 0;
    return g;
}

/* Maps that are gathered at a time. */
static mango_idx group_maps(const mgi_conv *g, mango_idx N)
{
    const mango_idx each = g->H * g->W * g->C + g->OH * g->OW * g->O;
    return MGI_MIN(N, MGI_MAX(1, GROUP_FLOATS / each));
}

/* Floats of m maps, inputs and outputs of one group. */
static mango_idx group_in(const mgi_conv *g, mango_idx m)
{
    return mgi_round_up(m * g->H * g->W * g->C, 16);
}

static mango_idx group_out(const mgi_conv *g, mango_idx m)
{
    return mgi_round_up(m * g->OH * g->OW * g->O, 16);
}

/* to (rows,n) = n channels of each of so many pixels of C channels. */
static void group_gather(mango_idx rows, mango_idx C, mango_idx n, const float *x, float *to)
{
    MGI_OMP(parallel for if (rows * n >= 8 * MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++)
        memcpy(to + r * n, x + r * C, (size_t)n * sizeof *to);
}

/* The n outputs from o0 on of so many pixels, from acc (rows,n). */
static void group_finish(mango_idx rows, mango_idx O, mango_idx o0, mango_idx n,
                         const float *acc, const float *bias, const float *res, int relu,
                         float *y)
{
    const mgi_kernels *k = mgi_kernels_get();
    MGI_OMP(parallel for if (rows * n >= 8 * MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r += GROUP_ROWS) {
        const mango_idx m = MGI_MIN(GROUP_ROWS, rows - r);
        mango_idx off[GROUP_ROWS];
        for (mango_idx i = 0; i < m; i++)
            off[i] = (r + i) * O + o0;
        k->finish(m, n, acc + r * n, n, off, bias ? bias + o0 : NULL, res, relu, y);
    }
}

MGI_FN mango_idx mgi_group_packed(const mgi_conv *c)
{
    const mgi_conv g = group_part(c);
    return mgi_lanes_fit(c) ? mgi_lanes_packed(c) : c->groups * mgi_conv_packed(&g);
}

MGI_FN void mgi_group_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mgi_conv g = group_part(c);
    if (mgi_lanes_fit(c)) {
        mgi_lanes_pack(c, w, packed);
        return;
    }
    for (mango_idx i = 0; i < c->groups; i++)
        mgi_conv_pack(&g, w + i * mgi_conv_weights(&g), packed + i * mgi_conv_packed(&g));
}

MGI_FN mango_idx mgi_group_work(const mgi_conv *c, mango_idx N)
{
    const mgi_conv g = group_part(c);
    const mango_idx m = group_maps(&g, N);
    return mgi_lanes_fit(c) ? 0 : group_in(&g, m) + group_out(&g, m) + mgi_conv_work(&g, m);
}

MGI_FN void mgi_group_forward(const mgi_conv *c, mango_idx N, const float *x,
                              const float *packed, const mgi_epilogue *e, float *y,
                              float *work)
{
    const mgi_conv g = group_part(c);
    const mango_idx most = group_maps(&g, N), in = c->H * c->W, out = c->OH * c->OW;
    if (mgi_lanes_fit(c)) {
        mgi_lanes_forward(c, N, x, packed, e, y);
        return;
    }
    float *acc = work + group_in(&g, most), *rest = acc + group_out(&g, most);
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        const float *res = e && e->residual ? e->residual + n * out * c->O : NULL;
        for (mango_idx i = 0; i < c->groups; i++) {
            group_gather(m * in, c->C, g.C, x + n * in * c->C + i * g.C, work);
            mgi_conv_forward(&g, m, work, packed + i * mgi_conv_packed(&g), NULL, acc, rest);
            group_finish(m * out, c->O, i * g.O, g.O, acc, e ? e->bias : NULL, res,
                         e && e->relu, y + n * out * c->O);
        }
    }
}

static int group_depthwise(const mgi_conv *c)
{
    return c->groups == c->C && c->groups == c->O;
}

MGI_FN mango_idx mgi_group_backward_work(const mgi_conv *c, mango_idx N)
{
    const mgi_conv g = group_part(c);
    return group_depthwise(c)
               ? mgi_lanes_backward_work(c)
               : group_in(&g, N) + group_out(&g, N) + mgi_conv_backward_work(&g, N);
}

MGI_FN void mgi_group_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                       const float *dy, float *dw, float *work)
{
    const mgi_conv g = group_part(c);
    if (group_depthwise(c)) {
        mgi_lanes_backward_weights(c, N, x, dy, dw, work);
        return;
    }
    float *to = work + group_in(&g, N), *rest = to + group_out(&g, N);
    for (mango_idx i = 0; i < c->groups; i++) {
        group_gather(N * c->H * c->W, c->C, g.C, x + i * g.C, work);
        group_gather(N * c->OH * c->OW, c->O, g.O, dy + i * g.O, to);
        mgi_conv_backward_weights(&g, N, work, to, dw + i * mgi_conv_weights(&g), NULL,
                                  rest);
    }
}

#undef GROUP_FLOATS
#undef GROUP_ROWS
