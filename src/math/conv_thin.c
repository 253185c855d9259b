/* conv_thin.c - convolutions with at most 8 outputs, such as the last layer of a
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
 * The phases of a transposed convolution share the rows: each starts at its
 * own offset. Each output is the same chain over (ky,kx,c) as everywhere: same bits.
 * SPDX-License-Identifier: MIT */
#include "conv_thin.h"
#include "transpose.h"

#define THIN_OUTPUTS 8 /* at most                                       */
#define THIN_PHASES 4  /* at most                                       */
#define THIN_WIDE 12   /* pixels in a row, at least: lanes to fill      */
#define THIN_TAPS 4    /* kernel positions, at least: pay the transpose */
#define THIN_RUNS 64   /* runs per call of the kernel                   */
#define THIN_LANES 64  /* more than the widest nr                       */
#define THIN_ROWS 8    /* output rows per item, at least                */

typedef struct thin_job {
    const mgi_kernels *k;
    const mgi_conv *c;
    mgi_convgeo g[THIN_PHASES];
    const float *w[THIN_PHASES]; /* (K,O) of each phase */
    int phases;
    mango_idx TH, TW;            /* the largest of the phases                 */
    mango_idx px, py;            /* the largest padding                       */
    mango_idx wide, ring, pitch; /* pixels of a row, rows; from channel to channel */
    const float *x;
    const mgi_epilogue *e;
    float *y;
    mango_idx bands;
} thin_job;

static int thin_phase_fits(const mgi_convgeo *g)
{
    return g->TW >= THIN_WIDE && g->TH > 0 && g->sw == 1 && g->dy == 1 && g->dx == 1 &&
           g->kh * g->kw >= THIN_TAPS;
}

/* The phases, and the rows and pixels that they see together. Pitch: an odd
 * number of half cache lines, so that neighbouring channels fall on different
 * sets. False: not for this form. */
static int thin_plan(const mgi_conv *c, thin_job *j)
{
    mango_idx right = 0, below = 0;
    j->c = c;
    j->phases = mgi_convgeo_phases(c);
    if (c->O > THIN_OUTPUTS || j->phases > THIN_PHASES)
        return 0;
    for (int f = 0; f < j->phases; f++) {
        const mgi_convgeo *g = &j->g[f];
        mgi_convgeo_phase(c, f, &j->g[f]);
        if (!thin_phase_fits(g))
            return 0;
        j->TH = MGI_MAX(j->TH, g->TH);
        j->TW = MGI_MAX(j->TW, g->TW);
        j->px = f ? MGI_MAX(j->px, g->px) : g->px;
        j->py = f ? MGI_MAX(j->py, g->py) : g->py;
        right = MGI_MAX(right, g->TW - 1 + g->kw - g->px);
        below = f ? MGI_MAX(below, g->kh - g->py) : g->kh - g->py;
    }
    j->wide = right + j->px;
    j->ring = below + j->py;
    j->pitch = mgi_round_up(j->wide + 8, 16) - 8;
    return 1;
}

static mango_idx thin_ring(const thin_job *j)
{
    return mgi_round_up(j->ring * j->c->C * j->pitch, 16);
}

static mango_idx thin_weights(const thin_job *j)
{
    mango_idx sum = 0;
    for (int f = 0; f < j->phases; f++)
        sum += j->g[f].kh * j->g[f].kw * j->c->C * j->c->O;
    return mgi_round_up(sum, 16);
}

MGI_FN mango_idx mgi_thin_work(const mgi_conv *c)
{
    thin_job j = {.TH = 0};
    return thin_plan(c, &j) ? thin_weights(&j) + mango_threads() * thin_ring(&j) : 0;
}

/* Asks for the lines of n floats, which a transpose reads in an order that the
 * CPU does not foresee. */
static void thin_fetch(const float *p, mango_idx n)
{
#if defined(__GNUC__)
    for (mango_idx i = 0; i < n; i += 16)
        __builtin_prefetch(p + i);
#else
    (void)p, (void)n;
#endif
}

/* Input row iy of map n into its place in the ring; the padding is there. */
static void thin_load(const thin_job *j, mango_idx n, mango_idx iy, float *ring)
{
    const mgi_conv *c = j->c;
    const mango_idx x0 = MGI_MIN(j->wide, MGI_MAX(0, j->px));
    const mango_idx x1 = MGI_MAX(x0, MGI_MIN(j->wide, c->W + j->px));
    const float *row = j->x + ((n * c->H + iy) * c->W + x0 - j->px) * c->C;
    if (iy + 1 < c->H)
        thin_fetch(row + c->W * c->C, c->W * c->C);
    mgi_transpose(x1 - x0, c->C, row, c->C, ring + iy % j->ring * c->C * j->pitch + x0,
                  j->pitch);
}

/* acc (O,nr): the chains of m outputs of phase f, row ty, from column tx on. */
static void thin_sums(const thin_job *j, int f, mango_idx ty, mango_idx tx, mango_idx m,
                      const float *ring, float *acc)
{
    const mgi_convgeo *g = &j->g[f];
    const mango_idx C = g->C, O = g->O, mr = j->k->mr, nr = j->k->nr, at = tx + j->px - g->px;
    mango_idx ky0, ky1, r = 0;
    mgi_tap run[THIN_RUNS];
    int load = 0;
    mgi_conv_clip(ty, g->sh, g->py, g->kh, g->H, &ky0, &ky1);
    const mango_idx runs = (ky1 - ky0) * g->kw;
    do {
        mango_idx k = 0;
        for (; k < THIN_RUNS && r < runs; k++, r++) {
            const mango_idx ky = ky0 + r / g->kw, kx = r % g->kw;
            const mango_idx slot = (ty * g->sh - g->py + ky) % j->ring;
            const mgi_tap t = {(ky * g->kw + kx) * C * O, slot * C * j->pitch + kx + at, C};
            run[k] = t;
        }
        for (mango_idx o = 0; o < O; o += mr)
            j->k->outer(MGI_MIN(mr, O - o), m, j->w[f] + o, O, ring, j->pitch, k, run,
                        acc + o * nr, nr, load);
        load = 1;
    } while (r < runs);
}

/* As the kernel `finish`, from acc (O,nr). */
static void thin_store(const thin_job *j, int f, mango_idx n, mango_idx ty, mango_idx tx,
                       mango_idx m, const float *acc)
{
    const mgi_convgeo *g = &j->g[f];
    const mgi_epilogue *e = j->e;
    const mango_idx nr = j->k->nr, step = g->osx * g->O;
    const mango_idx at =
        ((n * g->OH + g->oy0 + ty * g->osy) * g->OW + g->ox0 + tx * g->osx) * g->O;
    for (mango_idx o = 0; o < g->O; o++) {
        const float *a = acc + o * nr, *b = e && e->bias ? e->bias + o : NULL;
        const float *res = e && e->residual ? e->residual + at + o : NULL;
        float *y = j->y + at + o;
        for (mango_idx i = 0; i < m; i++)
            y[i * step] = b ? a[i] + *b : a[i];
        for (mango_idx i = 0; res && i < m; i++)
            y[i * step] += res[i * step];
        for (mango_idx i = 0; e && e->relu && i < m; i++)
            y[i * step] = y[i * step] > 0.0f ? y[i * step] : 0.0f;
    }
}

/* A band of output rows of one map. Rows of input are loaded as the first
 * phase comes to need them; none is needed any more by then that they replace. */
static void thin_item(const thin_job *j, mango_idx item, float *ring)
{
    const mango_idx n = item / j->bands, b = item % j->bands, nr = j->k->nr, sh = j->g[0].sh;
    const mango_idx ty0 = b * j->TH / j->bands, ty1 = (b + 1) * j->TH / j->bands;
    float acc[THIN_OUTPUTS * THIN_LANES];
    mango_idx next = 0;
    memset(ring, 0, (size_t)thin_ring(j) * sizeof *ring);
    for (mango_idx ty = ty0; ty < ty1; ty++) {
        const mango_idx first = ty * sh - j->py, last = MGI_MIN(j->c->H, first + j->ring);
        for (next = MGI_MAX(next, MGI_MAX(first, 0)); next < last; next++)
            thin_load(j, n, next, ring);
        for (int f = 0; f < j->phases; f++)
            for (mango_idx tx = 0; ty < j->g[f].TH && tx < j->g[f].TW; tx += nr) {
                const mango_idx m = MGI_MIN(nr, j->g[f].TW - tx);
                thin_sums(j, f, ty, tx, m, ring, acc);
                thin_store(j, f, n, ty, tx, m, acc);
            }
    }
}

/* Packed panels (k,nr) of all phases to w (K,O) of each. */
static void thin_unpack(thin_job *j, const float *packed, float *w)
{
    const mango_idx nr = j->k->nr, O = j->c->O;
    for (int f = 0; f < j->phases; f++) {
        const mango_idx K = j->g[f].kh * j->g[f].kw * j->c->C;
        j->w[f] = w;
        for (mango_idx o = 0; o < O; o++)
            for (mango_idx k = 0; k < K; k++)
                w[k * O + o] = packed[o / nr * nr * K + k * nr + o % nr];
        w += K * O;
        packed += mgi_pack_size(K, O);
    }
}

MGI_FN int mgi_thin_forward(const mgi_conv *c, mango_idx N, const float *x, const float *packed,
                            const mgi_epilogue *e, float *y, float *work)
{
    thin_job j = {.k = mgi_kernels_get(), .x = x, .e = e, .y = y};
    const mango_idx T = mango_threads();
    if (!thin_plan(c, &j))
        return 0;
    const mango_idx each = thin_ring(&j);
    float *rings = work + thin_weights(&j);
    j.bands = MGI_MAX(1, MGI_MIN(j.TH / THIN_ROWS, mgi_ceil_div(4 * T, MGI_MAX(N, 1))));
    thin_unpack(&j, packed, work);
    MGI_OMP(parallel for schedule(dynamic) if (N * j.TH * j.TW * c->C > 4096))
    for (mango_idx i = 0; i < N * j.bands; i++)
        thin_item(&j, i, mgi_thread_scratch(rings, each));
    return 1;
}

#undef THIN_OUTPUTS
#undef THIN_PHASES
#undef THIN_WIDE
#undef THIN_TAPS
#undef THIN_RUNS
#undef THIN_LANES
#undef THIN_ROWS
