/* convthin.c - convolutions with at most 8 outputs, such as the last layer of a
 * generator: pixels in the lanes instead of outputs.
 *
 * The tile of conv.c has nr outputs side by side; with 3 of them 3 lanes of 16
 * work. Here an input row is first transposed, (W,C) to (C,wide), between its
 * zeros of padding. Then nr neighbouring pixels of channel c are one row of B
 * and the O weights of (ky,kx,c) one column of A, which is the form of the
 * `outer` kernel: per k it reads nr pixels, O weights, and does O*nr
 * multiply-adds. A kernel position (ky,kx) is a run of C such rows; it starts
 * kx floats further right, so one transposed row serves kw positions and kh
 * output rows. kh rows are kept in a ring, which stays in the second cache.
 * Each output is the same chain over (ky,kx,c) as everywhere: same bits.
 * SPDX-License-Identifier: MIT */
#include "convthin.h"
#include "transpose.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

#define THIN_OUTPUTS 8 /* at most                                       */
#define THIN_WIDE 12   /* pixels in a row, at least: lanes to fill      */
#define THIN_TAPS 4    /* kernel positions, at least: pay the transpose */
#define THIN_RUNS 64   /* runs per call of the kernel                   */
#define THIN_LANES 64  /* more than the widest nr                       */
#define THIN_ROWS 8    /* output rows per item, at least                */

typedef struct thin_job {
    const mgi_kernels *k;
    const mgi_convgeo *g;
    const float *x, *w; /* w (K,O) */
    const mgi_epilogue *e;
    float *y;
    mango_idx wide, pitch, bands;
} thin_job;

static mango_idx thin_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

MGI_FN int mgi_thin_fits(const mgi_convgeo *g)
{
    return g->O <= THIN_OUTPUTS && g->sw == 1 && g->TW >= THIN_WIDE &&
           g->kh * g->kw >= THIN_TAPS;
}

/* Pixels in a transposed row: all that a row of outputs sees. */
static mango_idx thin_wide(const mgi_convgeo *g)
{
    return g->TW + g->kw - 1;
}

/* Floats from one channel to the next: an odd number of half cache lines, so
 * that neighbouring channels fall on different sets. */
static mango_idx thin_pitch(const mgi_convgeo *g)
{
    return thin_up(thin_wide(g) + 8, 16) - 8;
}

static mango_idx thin_ring(const mgi_convgeo *g)
{
    return thin_up(g->kh * g->C * thin_pitch(g), 16);
}

static mango_idx thin_weights(const mgi_convgeo *g)
{
    return thin_up(g->kh * g->kw * g->C * g->O, 16);
}

MGI_FN mango_idx mgi_thin_work(const mgi_convgeo *g)
{
    return thin_weights(g) + mango_threads() * thin_ring(g);
}

/* Input row iy of map n into its place in the ring; the padding is there. */
static void thin_load(const thin_job *j, mango_idx n, mango_idx iy, float *ring)
{
    const mgi_convgeo *g = j->g;
    const mango_idx x0 = MGI_MIN(j->wide, MGI_MAX(0, g->px));
    const mango_idx x1 = MGI_MAX(x0, MGI_MIN(j->wide, g->W + g->px));
    const float *row = j->x + ((n * g->H + iy) * g->W + x0 - g->px) * g->C;
    float *to = ring + iy % g->kh * g->C * j->pitch + x0;
    mgi_transpose(x1 - x0, g->C, row, g->C, to, j->pitch);
}

/* acc (O,nr): the chains of m outputs of row ty from column tx on. */
static void thin_sums(const thin_job *j, mango_idx ty, mango_idx tx, mango_idx m,
                      const float *ring, float *acc)
{
    const mgi_convgeo *g = j->g;
    const mango_idx C = g->C, O = g->O, mr = j->k->mr, nr = j->k->nr;
    mango_idx ky0, ky1, r = 0;
    mgi_tap run[THIN_RUNS];
    int load = 0;
    mgi_conv_clip(ty, g->sh, g->py, g->kh, g->H, &ky0, &ky1);
    const mango_idx runs = (ky1 - ky0) * g->kw;
    do {
        mango_idx k = 0;
        for (; k < THIN_RUNS && r < runs; k++, r++) {
            const mango_idx ky = ky0 + r / g->kw, kx = r % g->kw;
            const mango_idx slot = (ty * g->sh - g->py + ky) % g->kh;
            const mgi_tap t = {(ky * g->kw + kx) * C * O, slot * C * j->pitch + kx + tx, C};
            run[k] = t;
        }
        for (mango_idx o = 0; o < O; o += mr)
            j->k->outer(MGI_MIN(mr, O - o), m, j->w + o, O, ring, j->pitch, k, run,
                        acc + o * nr, nr, load);
        load = 1;
    } while (r < runs);
}

/* As the kernel `finish`, from acc (O,nr). */
static void thin_store(const thin_job *j, mango_idx n, mango_idx ty, mango_idx tx, mango_idx m,
                       const float *acc)
{
    const mgi_convgeo *g = j->g;
    const mgi_epilogue *e = j->e;
    const mango_idx nr = j->k->nr, step = g->osx * g->O;
    const mango_idx at = ((n * g->OH + g->oy0 + ty * g->osy) * g->OW + g->ox0 + tx * g->osx) * g->O;
    for (mango_idx o = 0; o < g->O; o++)
        for (mango_idx i = 0; i < m; i++) {
            float v = acc[o * nr + i];
            if (e && e->bias)
                v += e->bias[o];
            if (e && e->residual)
                v += e->residual[at + i * step + o];
            j->y[at + i * step + o] = !(e && e->relu) || v > 0.0f ? v : 0.0f;
        }
}

/* A band of output rows of one map. */
static void thin_item(const thin_job *j, mango_idx item, float *ring)
{
    const mgi_convgeo *g = j->g;
    const mango_idx n = item / j->bands, b = item % j->bands, nr = j->k->nr;
    const mango_idx ty0 = b * g->TH / j->bands, ty1 = (b + 1) * g->TH / j->bands;
    float acc[THIN_OUTPUTS * THIN_LANES];
    mango_idx next = 0;
    memset(ring, 0, (size_t)(g->kh * g->C * j->pitch) * sizeof *ring);
    for (mango_idx ty = ty0; ty < ty1; ty++) {
        const mango_idx first = ty * g->sh - g->py, last = MGI_MIN(g->H, first + g->kh);
        for (next = MGI_MAX(next, MGI_MAX(first, 0)); next < last; next++)
            thin_load(j, n, next, ring);
        for (mango_idx tx = 0; tx < g->TW; tx += nr) {
            const mango_idx m = MGI_MIN(nr, g->TW - tx);
            thin_sums(j, ty, tx, m, ring, acc);
            thin_store(j, n, ty, tx, m, acc);
        }
    }
}

/* Packed panels (k,nr) to w (K,O). */
static void thin_unpack(const mgi_convgeo *g, mango_idx nr, const float *packed, float *w)
{
    const mango_idx K = g->kh * g->kw * g->C;
    for (mango_idx o = 0; o < g->O; o++)
        for (mango_idx k = 0; k < K; k++)
            w[k * g->O + o] = packed[o / nr * nr * K + k * nr + o % nr];
}

MGI_FN void mgi_thin_phase(const mgi_convgeo *g, mango_idx N, const float *x,
                           const float *packed, const mgi_epilogue *e, float *y, float *work)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx T = mango_threads(), each = thin_ring(g);
    thin_job j = {.k = k, .g = g, .x = x, .w = work, .e = e, .y = y};
    float *rings = work + thin_weights(g);
    j.wide = thin_wide(g);
    j.pitch = thin_pitch(g);
    j.bands = MGI_MAX(1, MGI_MIN(g->TH / THIN_ROWS, (4 * T + N - 1) / N));
    thin_unpack(g, k->nr, packed, work);
    MGI_OMP(parallel for schedule(dynamic) if (N * g->TH * g->TW * g->C > 4096))
    for (mango_idx i = 0; i < N * j.bands; i++) {
#if defined(_OPENMP)
        thin_item(&j, i, rings + omp_get_thread_num() * each);
#else
        thin_item(&j, i, rings + 0 * each);
#endif
    }
}

#undef THIN_OUTPUTS
#undef THIN_WIDE
#undef THIN_TAPS
#undef THIN_RUNS
#undef THIN_LANES
#undef THIN_ROWS
