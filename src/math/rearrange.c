/* rearrange.c - pixels, axes and channels of maps moved, see rearrange.h.
 * SPDX-License-Identifier: MIT */
#include "rearrange.h"
#include "../base/threads.h"

/* ---- windows ----------------------------------------------------------------------- */

/* The input's place along an axis of n for place i of a window; -1: outside. */
static mango_idx rearrange_place(mgi_pad_mode mode, mango_idx i, mango_idx n)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case MGI_PAD_REFLECT: return i < 0 ? -i : 2 * (n - 1) - i;
    case MGI_PAD_REPLICATE: return i < 0 ? 0 : n - 1;
    case MGI_PAD_CIRCULAR: return i < 0 ? i + n : i - n;
    default: return -1;
    }
}

/* The input's pixel for pixel q of a window, as y W + x; -1: outside. */
static mango_idx rearrange_pixel(const mgi_window *w, mango_idx q)
{
    const mango_idx y = rearrange_place(w->mode, q / w->OW - w->top, w->H);
    const mango_idx x = rearrange_place(w->mode, q % w->OW - w->left, w->W);
    return y < 0 || x < 0 ? -1 : y * w->W + x;
}

MGI_FN void mgi_window_forward(const mgi_window *w, mango_idx N, const float *x, float *y)
{
    const mango_idx C = w->C, S = w->OH * w->OW;
    MGI_OMP(parallel for schedule(static) if (N * S * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < N * S; i++) {
        const mango_idx from = rearrange_pixel(w, i % S);
        float *out = y + i * C;
        if (from >= 0)
            memcpy(out, x + (i / S * w->H * w->W + from) * C, (size_t)C * sizeof *y);
        else
            for (mango_idx c = 0; c < C; c++)
                out[c] = w->value;
    }
}

MGI_FN void mgi_window_backward(const mgi_window *w, mango_idx N, const float *dy, float *dx)
{
    const mango_idx C = w->C, S = w->OH * w->OW, n = w->H * w->W * C;
    MGI_OMP(parallel for schedule(static) if (N * S * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < N; i++) {
        float *to = dx + i * n;
        memset(to, 0, (size_t)n * sizeof *dx);
        for (mango_idx q = 0; q < S; q++) {
            const mango_idx at = rearrange_pixel(w, q);
            const float *from = dy + (i * S + q) * C;
            for (mango_idx c = 0; at >= 0 && c < C; c++)
                to[at * C + c] += from[c];
        }
    }
}

/* ---- axes -------------------------------------------------------------------------- */

MGI_FN void mgi_reorder(mango_idx N, const mango_idx in[3], const int order[3], const float *x,
                     float *y)
{
    const mango_idx step[3] = {1, in[2] * in[0], in[0]}; /* of C, H, W in memory */
    const mango_idx C = in[order[0]], H = in[order[1]], W = in[order[2]];
    const mango_idx sc = step[order[0]], sh = step[order[1]], sw = step[order[2]];
    MGI_OMP(parallel for schedule(static) if (N * C * H * W >= MGI_GRAIN))
    for (mango_idx i = 0; i < N * H; i++) {
        const float *from = x + i / H * C * H * W + i % H * sh;
        float *to = y + i * W * C;
        for (mango_idx w = 0; w < W; w++)
            for (mango_idx c = 0; c < C; c++)
                to[w * C + c] = from[w * sw + c * sc];
    }
}

/* ---- blocks of pixels -------------------------------------------------------------- */

/* Both ways: the fine maps (N,rH,rW,C) and the coarse ones (N,H,W,C r^2), one copied
 * into the other. */
static void rearrange_blocks(mango_idx N, mango_idx C, mango_idx H, mango_idx W, int r,
                             const float *from_coarse, const float *from_fine, float *to)
{
    const mango_idx OH = H * r, OW = W * r, C2 = C * r * r;
    MGI_OMP(parallel for schedule(static) if (N * OH * OW * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < N * OH; i++)
        for (mango_idx x = 0; x < OW; x++) {
            const mango_idx n = i / OH, y = i % OH;
            const mango_idx fine = (i * OW + x) * C;
            const mango_idx coarse = ((n * H + y / r) * W + x / r) * C2 + y % r * r + x % r;
            for (mango_idx c = 0; c < C; c++) {
                const mango_idx at = coarse + c * r * r;
                if (from_coarse)
                    to[fine + c] = from_coarse[at];
                else
                    to[at] = from_fine[fine + c];
            }
        }
}

MGI_FN void mgi_shuffle(mango_idx N, mango_idx C, mango_idx H, mango_idx W, int r,
                        const float *x, float *y)
{
    rearrange_blocks(N, C, H, W, r, x, NULL, y);
}

MGI_FN void mgi_unshuffle(mango_idx N, mango_idx C, mango_idx H, mango_idx W, int r,
                          const float *x, float *y)
{
    rearrange_blocks(N, C, H, W, r, NULL, x, y);
}

/* ---- channels ---------------------------------------------------------------------- */

MGI_FN void mgi_columns(mango_idx R, mango_idx C, mango_idx at, mango_idx n, const float *x,
                        float *y)
{
    MGI_OMP(parallel for schedule(static) if (R * n >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        memcpy(y + r * n, x + r * C + at, (size_t)n * sizeof *y);
}

MGI_FN void mgi_columns_backward(mango_idx R, mango_idx C, mango_idx at, mango_idx n,
                                 const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        memset(dx + r * C, 0, (size_t)C * sizeof *dx);
        memcpy(dx + r * C + at, dy + r * n, (size_t)n * sizeof *dx);
    }
}
