/* upsample.c - x2 upsampling in one pass, with the batch-norm and ReLU before
 * it and the sum, batch-norm and ReLU after it.
 *
 * An input row is brought through its batch-norm and ReLU once, then stretched
 * to 2W pixels (bilinear: horizontally mixed); two such rows are kept. Output
 * row 2i and 2i+1 mix row i, 3/4, and the row on their side, 1/4; the mixing
 * and all that follows goes over pieces that stay in the first cache. The
 * plain form is mgi_bilinear2x and mgi_nearest2x: the same operations on every
 * value, so the same bits.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

#define UP_PIECE 2048 /* floats of output that are finished at a time, about */

typedef struct up_job {
    const mgi_kernels *k;
    const mgi_up *u;
    const float *x;
    float *y;
    mango_idx bands;
} up_job;

/* Floats: an input row, two stretched ones. */
static mango_idx up_scratch(const mgi_up *u)
{
    return (5 * u->W * u->C + 15) / 16 * 16;
}

MGI_FN mango_idx mgi_upsample_work(const mgi_up *u)
{
    return mango_threads() * up_scratch(u);
}

/* h (2W,C) from the input row x (W,C); tmp (W,C). */
static void up_stretch(const up_job *j, const float *x, float *tmp, float *h)
{
    const mgi_up *u = j->u;
    const mango_idx W = u->W, C = u->C;
    if (u->scale)
        j->k->scale_shift(W, C, u->scale, u->shift, x, tmp);
    if (u->relu_before)
        j->k->relu(W * C, u->scale ? tmp : x, tmp);
    if (u->scale || u->relu_before)
        x = tmp;
    for (mango_idx i = 0; i < W; i++, h += 2 * C) {
        const float *at = x + i * C;
        if (u->bilinear) {
            j->k->mix(C, at, i > 0 ? at - C : at, h);
            j->k->mix(C, at, i < W - 1 ? at + C : at, h + C);
        } else {
            memcpy(h, at, (size_t)C * sizeof *h);
            memcpy(h + C, at, (size_t)C * sizeof *h);
        }
    }
}

/* One output row y (2W,C) at `at` of the whole output, from two stretched rows. */
static void up_row(const up_job *j, const float *same, const float *side, mango_idx at)
{
    const mgi_up *u = j->u;
    const mango_idx C = u->C, pixels = MGI_MAX(UP_PIECE / C, 1);
    for (mango_idx i = 0; i < 2 * u->W; i += pixels) {
        const mango_idx m = MGI_MIN(pixels, 2 * u->W - i), n = m * C, o = i * C;
        float *y = j->y + at + o;
        if (u->bilinear)
            j->k->mix(n, same + o, side + o, y);
        else
            memcpy(y, same + o, (size_t)n * sizeof *y);
        if (u->residual)
            j->k->add(n, y, u->residual + at + o, y);
        if (u->after_scale)
            j->k->scale_shift(m, C, u->after_scale, u->after_shift, y, y);
        if (u->relu)
            j->k->relu(n, y, y);
    }
}

/* Input rows of one band of one map: the two output rows of each. */
static void up_item(const up_job *j, mango_idx item, float *scratch)
{
    const mgi_up *u = j->u;
    const mango_idx n = item / j->bands, b = item % j->bands, row = u->W * u->C;
    const mango_idx i0 = b * u->H / j->bands, i1 = (b + 1) * u->H / j->bands;
    float *h[2] = {scratch + row, scratch + 3 * row};
    mango_idx have[2] = {-1, -1};
    for (mango_idx oy = 2 * i0; oy < 2 * i1; oy++) {
        const mango_idx i = oy / 2, beside = oy % 2 ? i + 1 : i - 1;
        const mango_idx s = beside < 0 || beside >= u->H ? i : beside;
        const mango_idx need[2] = {i, u->bilinear ? s : i};
        for (int r = 0; r < 2; r++)
            if (have[need[r] % 2] != need[r]) {
                have[need[r] % 2] = need[r];
                up_stretch(j, j->x + (n * u->H + need[r]) * row, scratch, h[need[r] % 2]);
            }
        up_row(j, h[need[0] % 2], h[need[1] % 2], (n * 2 * u->H + oy) * 2 * row);
    }
}

MGI_FN void mgi_upsample(const mgi_up *u, mango_idx N, const float *x, float *y, float *work)
{
    const mango_idx T = mango_threads(), each = up_scratch(u);
    up_job j = {.k = mgi_kernels_get(), .u = u, .x = x, .y = y};
    j.bands = MGI_MAX(1, MGI_MIN(u->H, mgi_ceil_div(4 * T, MGI_MAX(N, 1))));
    MGI_OMP(parallel for schedule(dynamic) if (N * u->H * u->W * u->C >= MGI_GRAIN))
    for (mango_idx i = 0; i < N * j.bands; i++)
        up_item(&j, i, mgi_thread_scratch(work, each));
    (void)each;
}

#undef UP_PIECE
