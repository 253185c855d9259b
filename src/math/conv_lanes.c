/* conv_lanes.c - convolutions in groups of 1, 2, 4 or 8 channels with as many outputs;
 * groups of 1 are depth-wise: each channel is filtered by itself. Outputs lie side by side
 * in the vectors.
 *
 * A row of outputs is cut where the window leaves the map: inside, all kernel positions
 * count; at the borders fewer. Packed weights are (ky,kx,p,o) of each stride phase, p the
 * channel in the group.
 *
 * Gradient by the weights, of depth-wise ones: for each kernel position and channel one
 * chain over the pixels (n,oy,ox) ascending, as in conv_grad.c.
 * SPDX-License-Identifier: MIT */
#include "conv_group.h"
#include "kernel/lanes.h"

#define LANES_TAPS 128 /* kernel positions per call of the kernel  */
#define LANES_WIDE 64  /* channels at a time of a weights' gradient */
#define LANES_CACHE 24576 /* values of the rows under a window, about */
#define LANES_BAND 65536 /* values of a band of rows, about        */
#define LANES_LEAST 8192 /* ... at least, to feed the threads      */

typedef struct lanes_job {
    const mgi_kernels *k;
    mgi_lanes_fn *run;
    mgi_convgeo g;
    const float *x, *w;
    const mgi_epilogue *e;
    float *y;
    mango_idx bands;
    int part; /* channels of a group */
} lanes_job;

MGI_FN int mgi_lanes_fit(const mgi_conv *c)
{
    const mango_idx part = mgi_conv_inputs(c);
    return c->groups > 1 && c->C == c->O &&
           (part == 1 || part == 2 || part == 4 || part == 8);
}

MGI_FN mango_idx mgi_lanes_packed(const mgi_conv *c)
{
    mango_idx sum = 0;
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        sum += g.kh * g.kw * g.O * mgi_conv_inputs(c);
    }
    return sum;
}

MGI_FN void mgi_lanes_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mango_idx area = (mango_idx)c->kh * c->kw, part = mgi_conv_inputs(c);
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        for (mango_idx i = 0; i < g.kh * g.kw * part; i++) {
            const mango_idx t = i / part, p = i % part;
            const mango_idx ky = g.ky0 + t / g.kw * g.kys, kx = g.kx0 + t % g.kw * g.kxs;
            for (mango_idx o = 0; o < g.O; o++) {
                const mango_idx of = c->transposed ? (o / part * part + p) * part + o % part
                                                   : o * part + p;
                *packed++ = w[of * area + ky * c->kw + kx];
            }
        }
    }
}

/* Kernel positions from number *r on of rows ky0.., columns kx0..kx1-1; how many. */
static mango_idx lanes_taps(const lanes_job *j, mango_idx ky0, mango_idx ky1, mango_idx kx0,
                            mango_idx kx1, mango_idx *r, mgi_tap *tap)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nx = kx1 - kx0, all = (ky1 - ky0) * nx;
    mango_idx n = 0;
    for (; *r < all && n < LANES_TAPS; ++*r, n++) {
        const mango_idx ky = ky0 + *r / nx, kx = kx0 + *r % nx;
        const mgi_tap t = {(ky * g->dy * g->W + kx * g->dx) * g->C,
                           (ky * g->kw + kx) * j->part * g->O, 1};
        tap[n] = t;
    }
    return n;
}

/* Outputs tx .. tx+m-1 of row ty, channels c .. c+n-1, whose windows are cut alike. */
static void lanes_part(const lanes_job *j, mango_idx map, mango_idx ty, mango_idx tx,
                       mango_idx m, mango_idx c, mango_idx n, const mango_idx cut[4])
{
    const mgi_convgeo *g = &j->g;
    const mgi_epilogue *e = j->e;
    const mango_idx at =
        ((map * g->OH + g->oy0 + ty * g->osy) * g->OW + g->ox0 + tx * g->osx) * g->O + c;
    const mango_idx from =
        ((map * g->H + ty * g->sh - g->py) * g->W + tx * g->sw - g->px) * g->C + c;
    mgi_tap tap[LANES_TAPS];
    mgi_lanes q = {.m = m, .n = n, .tap = tap, .x = j->x + from, .w = j->w ? j->w + c : NULL,
                   .step = g->sw * g->C, .ldw = g->O, .part = j->part, .y = j->y + at,
                   .ldy = g->osx * g->O};
    const mango_idx all = (cut[1] - cut[0]) * (cut[3] - cut[2]);
    mango_idx r = 0;
    do {
        q.ntap = lanes_taps(j, cut[0], cut[1], cut[2], cut[3], &r, tap);
        if (r == all && e) {
            q.bias = e->bias ? e->bias + c : NULL;
            q.res = e->residual ? e->residual + at : NULL;
            q.relu = e->relu;
        }
        j->run(j->k, &q);
        q.load = 1;
    } while (r < all);
}

static void lanes_row(const lanes_job *j, mango_idx map, mango_idx ty, mango_idx c, mango_idx n)
{
    const mgi_convgeo *g = &j->g;
    mango_idx cut[4], lo, hi;
    mgi_conv_clip_by(ty, g->sh, g->py, g->kh, g->dy, g->H, &cut[0], &cut[1]);
    for (mango_idx tx = 0, end; tx < g->TW; tx = end) {
        mgi_conv_clip_by(tx, g->sw, g->px, g->kw, g->dx, g->W, &cut[2], &cut[3]);
        for (end = tx + 1; end < g->TW; end++) {
            mgi_conv_clip_by(end, g->sw, g->px, g->kw, g->dx, g->W, &lo, &hi);
            if (lo != cut[2] || hi != cut[3])
                break;
        }
        lanes_part(j, map, ty, tx, end - tx, c, n, cut);
    }
}

/* A band of rows of one map. */
static void lanes_item(const lanes_job *j, mango_idx item)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx map = item / j->bands, b = item % j->bands;
    const mango_idx ty0 = b * g->TH / j->bands, ty1 = (b + 1) * g->TH / j->bands;
    const mango_idx fit = LANES_CACHE / (MGI_MAX(g->kh, 1) * g->W);
    const mango_idx wide = MGI_MAX(32, fit / 32 * 32);
    for (mango_idx c = 0; c < g->O; c += wide)
        for (mango_idx ty = ty0; ty < ty1; ty++)
            lanes_row(j, map, ty, c, MGI_MIN(wide, g->O - c));
}

/* Bands of a map: such as stay in cache, and enough of them for the threads. */
static mango_idx lanes_bands(const mgi_convgeo *g, mango_idx N)
{
    const mango_idx values = g->TH * g->TW * g->O, T = mango_threads();
    const mango_idx shares = T > 1 ? mgi_ceil_div(2 * T, N) : 1;
    const mango_idx bands = MGI_MAX(values / LANES_BAND, MGI_MIN(shares, values / LANES_LEAST));
    return MGI_MAX(1, MGI_MIN(g->TH, bands));
}

MGI_FN void mgi_lanes_forward(const mgi_conv *c, mango_idx N, const float *x,
                              const float *packed, const mgi_epilogue *e, float *y)
{
    lanes_job j = {.k = mgi_kernels_get(), .x = x, .w = packed, .e = e, .y = y};
    j.run = mgi_lanes_get(j.k);
    j.part = (int)mgi_conv_inputs(c);
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo_phase(c, f, &j.g);
        const mango_idx values = j.g.TH * j.g.TW * j.g.O;
        if (values > 0) {
            j.bands = lanes_bands(&j.g, N);
            MGI_OMP(parallel for schedule(static) if (N * values >= MGI_GRAIN))
            for (mango_idx i = 0; i < N * j.bands; i++)
                lanes_item(&j, i);
        }
        if (j.g.kh * j.g.kw > 0)
            j.w += j.g.kh * j.g.kw * j.g.O * j.part;
    }
}

/* ---- gradient by the weights ---------------------------------------------------- */

typedef struct lanes_grad {
    const mgi_kernels *k;
    mgi_lanes_fn *run;
    mgi_convgeo g;          /* of the ordinary convolution                   */
    const float *big, *small; /* the map under the window; that of the outputs */
    mgi_tap pixel[LANES_TAPS]; /* neighbours in a row of outputs               */
} lanes_grad;

MGI_FN mango_idx mgi_lanes_backward_work(const mgi_conv *c)
{
    return mango_threads() * c->kh * c->kw * LANES_WIDE;
}

/* Outputs tx .. end-1 of row r, which see kernel columns cut[2] .. cut[3]-1: what they add
 * to the sums (kh,kw,LANES_WIDE) of n channels from c on. The kernel columns take the
 * place of pixels in lanes.h, the outputs that of kernel positions. */
static void lanes_grad_part(const lanes_grad *j, mango_idx r, mango_idx tx, mango_idx end,
                            mango_idx c, mango_idx n, const mango_idx cut[4], float *sum)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx map = r / g->TH, iy = r % g->TH * g->sh - g->py;
    mgi_lanes q = {.m = cut[3] - cut[2], .n = n, .tap = j->pixel, .step = g->dx * g->C,
                   .part = 1, .load = 1, .ldy = LANES_WIDE};
    for (mango_idx ky = cut[0]; ky < cut[1] && q.m > 0; ky++)
        for (mango_idx t = tx; t < end; t += LANES_TAPS) {
            const mango_idx ix = t * g->sw - g->px + cut[2] * g->dx;
            q.ntap = MGI_MIN(LANES_TAPS, end - t);
            q.x = j->big + ((map * g->H + iy + ky * g->dy) * g->W + ix) * g->C + c;
            q.w = j->small + (r * g->TW + t) * g->O + c;
            q.y = sum + (ky * g->kw + cut[2]) * LANES_WIDE;
            j->run(j->k, &q);
        }
}

static void lanes_grad_row(const lanes_grad *j, mango_idx r, mango_idx c, mango_idx n,
                           float *sum)
{
    const mgi_convgeo *g = &j->g;
    mango_idx cut[4], lo, hi;
    mgi_conv_clip_by(r % g->TH, g->sh, g->py, g->kh, g->dy, g->H, &cut[0], &cut[1]);
    for (mango_idx tx = 0, end; tx < g->TW; tx = end) {
        mgi_conv_clip_by(tx, g->sw, g->px, g->kw, g->dx, g->W, &cut[2], &cut[3]);
        for (end = tx + 1; end < g->TW; end++) {
            mgi_conv_clip_by(end, g->sw, g->px, g->kw, g->dx, g->W, &lo, &hi);
            if (lo != cut[2] || hi != cut[3])
                break;
        }
        lanes_grad_part(j, r, tx, end, c, n, cut, sum);
    }
}

/* dw (C,kh,kw) of n channels from c on += their sums. */
static void lanes_grad_store(const mgi_conv *c, const mgi_convgeo *g, mango_idx c0, mango_idx n,
                             const float *sum, float *dw)
{
    for (mango_idx t = 0; t < g->kh * g->kw; t++) {
        const mango_idx at = (g->ky0 + t / g->kw) * c->kw + g->kx0 + t % g->kw;
        for (mango_idx i = 0; i < n; i++)
            dw[(c0 + i) * c->kh * c->kw + at] += sum[t * LANES_WIDE + i];
    }
}

MGI_FN void mgi_lanes_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                       const float *dy, float *dw, float *work)
{
    const mgi_conv f = c->transposed ? mgi_conv_flip(c) : *c; /* the ordinary one */
    const mango_idx blocks = mgi_ceil_div(c->C, LANES_WIDE);
    const mango_idx each = c->kh * c->kw * LANES_WIDE;
    lanes_grad j = {.k = mgi_kernels_get(), .big = c->transposed ? dy : x,
                    .small = c->transposed ? x : dy};
    j.run = mgi_lanes_get(j.k);
    mgi_convgeo_phase(&f, 0, &j.g);
    for (mango_idx i = 0; i < LANES_TAPS; i++) {
        j.pixel[i].a = i * j.g.sw * j.g.C;
        j.pixel[i].b = i * j.g.O;
    }
    MGI_OMP(parallel for schedule(static) if (N * c->OH * c->OW * c->O >= MGI_GRAIN))
    for (mango_idx i = 0; i < blocks; i++) {
        float *sum = mgi_thread_scratch(work, each);
        const mango_idx c0 = i * LANES_WIDE, n = MGI_MIN(LANES_WIDE, c->C - c0);
        memset(sum, 0, (size_t)each * sizeof *sum);
        for (mango_idx r = 0; r < N * j.g.TH; r++)
            lanes_grad_row(&j, r, c0, n, sum);
        lanes_grad_store(c, &j.g, c0, n, sum, dw);
    }
}

#undef LANES_TAPS
#undef LANES_WIDE
#undef LANES_CACHE
#undef LANES_BAND
#undef LANES_LEAST
