/* winograd.c - F(m x m, 3 x 3) over the tiles of a whole batch.
 *
 * Tiles are numbered (n,ty,tx) over all images and taken in blocks of up to T.
 * A block goes through three phases, each over the points p of the transform:
 *     V[p] (T,C)  input tiles transformed, all channels of a tile at once
 *     M[p] (T,O)  = V[p] * U[p], by the register tile of the kernel table,
 *                 U[p] (C,O) packed in panels of nr outputs at plan time
 *     y           outputs transformed; bias, residual and relu on the way out
 * Two ways to share the work, by the size of V and M (never a matter of bits):
 *     alone   each thread takes blocks of its own, so small that V and M stay
 *             in its second-level cache (few channels: U is small, too)
 *     team    all threads work on one block, phase after phase, which reads
 *             each U once for many tiles (many channels: U is megabytes)
 * Pixels outside the map are read from a row of zeros; outputs outside it go
 * to a row that nobody reads. Planes are an odd number of cache lines apart,
 * so that the a*a lines of a tile do not fall on the same cache set.
 * SPDX-License-Identifier: MIT */
#include "winograd.h"
#include "conv_geometry.h"

#define WINO_LINE 16              /* floats of a cache line                  */
#define WINO_ALONE 196608         /* floats of V and M of a block, alone     */
#define WINO_TEAM (2 << 20)       /* ... of a team, about                    */
#define WINO_KC 512               /* k per call of the register tile         */
#define WINO_NR 32                /* the widest panel of any kernel set      */
#define WINO_SPAN 4               /* tiles per item of a team's transforms   */

typedef struct wino_job {
    const mgi_kernels *k;
    const mgi_winograd_set *set;
    const mgi_conv *c;
    const mgi_epilogue *e;
    const float *x, *U;
    float *y;
    int m, a, points, phases; /* transposed: 4 phases of the output  */
    mango_idx O;              /* outputs of all phases               */
    mango_idx TY, TX, tiles; /* tiles of an image; of the batch         */
    mango_idx T, blocks;     /* tiles of a block, at most               */
    mango_idx most;          /* tiles of a block of fewer images, at most */
    int team;
    mango_idx pitchV, pitchM; /* floats from tile to tile                */
    mango_idx planeV, planeM; /* ... from point to point                 */
    mango_idx panels;
} wino_job;

/* One block under way. */
typedef struct wino_block {
    mango_idx t0, n; /* first tile, how many */
    float *zero, *dump, *V, *M; /* dump: one row for each thread of a team */
} wino_block;

/* Rows of x floats, T of them: an odd number of lines. */
static mango_idx wino_plane(mango_idx T, mango_idx pitch)
{
    return (T * pitch / WINO_LINE | 1) * WINO_LINE;
}

/* ---- plan ------------------------------------------------------------------ */

/* Sizes of a job over N images; T and the way do not change a bit of y. */
static wino_job wino_plan(const mgi_conv *c, mango_idx N)
{
    wino_job j = {
        .k = mgi_kernels_get(), .c = c, .m = c->winograd, .a = c->winograd == 4 ? 6 : 4};
    const mango_idx mr = j.k->mr, threads = mango_threads();
    const mango_idx RH = c->transposed ? c->H + 1 : c->OH,
                    RW = c->transposed ? c->W + 1 : c->OW;
    j.set = mgi_winograd_get(j.k);
    j.points = j.a * j.a;
    j.phases = c->transposed ? 4 : 1;
    j.O = c->O * j.phases;
    j.TY = mgi_ceil_div(RH, j.m);
    j.TX = mgi_ceil_div(RW, j.m);
    j.tiles = N * j.TY * j.TX;
    j.panels = mgi_ceil_div(j.O, j.k->nr);
    j.pitchV = mgi_round_up(c->C, WINO_LINE) + WINO_LINE;
    j.pitchM = mgi_round_up(j.O, WINO_LINE) + WINO_LINE;
    const mango_idx each = j.points * (j.pitchV + j.pitchM);
    j.T = WINO_ALONE / each / mr * mr;
    j.team = j.T < 2 * mr;
    if (j.team)
        j.T = MGI_MAX(4 * mr, WINO_TEAM / each / mr * mr);
    j.most = MGI_MIN(j.T, MGI_MAX(j.tiles, 1));
    j.blocks = mgi_ceil_div(j.tiles, j.T);
    if (!j.team)
        j.blocks = mgi_round_up(j.blocks, threads);
    j.blocks = MGI_MAX(j.blocks, 1);
    j.T = MGI_MAX(1, mgi_ceil_div(j.tiles, j.blocks));
    j.blocks = mgi_ceil_div(j.tiles, j.T);
    j.planeV = wino_plane(j.T, j.pitchV);
    j.planeM = wino_plane(j.T, j.pitchM);
    return j;
}

/* Rows beside V and M: zeros, and one a thread that works on the block. */
static mango_idx wino_zeros(const wino_job *j)
{
    return MGI_MAX(j->pitchV, j->pitchM);
}

static mango_idx wino_dumps(const wino_job *j)
{
    return j->pitchM * (j->team ? mango_threads() : 1);
}

static mango_idx wino_scratch(const wino_job *j)
{
    return wino_zeros(j) + wino_dumps(j) + j->points * (j->planeV + j->planeM);
}

MGI_FN mango_idx mgi_winograd_work(const mgi_conv *c, mango_idx N)
{
    wino_job j = wino_plan(c, N);
    j.planeV = wino_plane(j.most, j.pitchV); /* fewer images can have larger blocks */
    j.planeM = wino_plane(j.most, j.pitchM);
    return wino_scratch(&j) * (j.team ? 1 : mango_threads());
}

/* Products of the plain form along one axis, those with the padding left out. */
static mango_idx wino_taps(mango_idx out, mango_idx pad, mango_idx size)
{
    mango_idx sum = 0, lo, hi;
    for (mango_idx t = 0; t < out; t++, sum += hi - lo)
        mgi_conv_clip(t, 1, pad, 3, size, &lo, &hi);
    return sum;
}

/* Products per channel pair: 36 a tile for m = 4, 16 for m = 2. Measured: what
 * the transforms cost is repaid from 8 input channels and 192 pairs on. m = 4
 * has weights 2.25 times those of m = 2, which one tile an image does not
 * repay: it wants four, and fewer products; m = 2 a fifth fewer than plain. */
MGI_FN int mgi_winograd_rule(const mgi_conv *c)
{
    if (!mgi_conv_is_plain(c))
        return 0;
    if (c->transposed)
        return mgi_winograd_up_rule(c);
    if (c->kh != 3 || c->kw != 3 || c->sh != 1 || c->sw != 1 || c->C < 8 ||
        c->O < 8 || c->C * c->O < 192)
        return 0;
    const mango_idx t2 = ((c->OH + 1) / 2) * ((c->OW + 1) / 2);
    const mango_idx t4 = ((c->OH + 3) / 4) * ((c->OW + 3) / 4);
    if (t4 >= 4 && 36 * t4 < 16 * t2)
        return 4;
    return 5 * 16 * t2 <= 4 * wino_taps(c->OH, c->ph, c->H) * wino_taps(c->OW, c->pw, c->W)
               ? 2
               : 0;
}

/* ---- weights --------------------------------------------------------------- */

MGI_FN void mgi_winograd_filter(int m, mango_idx n, const float *g, float *U)
{
    mgi_winograd_get(mgi_kernels_get())->filter(m, n, g, U);
}

MGI_FN mango_idx mgi_winograd_packed(const mgi_conv *c)
{
    const int a = c->winograd == 4 ? 6 : 4;
    return a * a * mgi_pack_size(c->C, c->transposed ? 4 * c->O : c->O);
}

/* w (O,C,3,3) -> per point a packed (C,O): panels of nr outputs, row c. The
 * kernels of nr outputs, `step` floats apart, are transformed side by side. */
static void wino_pack(const mgi_conv *c, mango_idx q, mango_idx i, const float *from,
                      mango_idx step, float *packed)
{
    const int m = c->winograd, points = (m + 2) * (m + 2);
    const mango_idx nr = mgi_kernels_get()->nr, n = MGI_MIN(nr, c->O - q * nr);
    const mango_idx plane = mgi_pack_size(c->C, c->O);
    float g[9 * WINO_NR] = {0.0f}, U[MGI_WINOGRAD_POINTS * WINO_NR];
    for (mango_idx o = 0; o < n; o++, from += step)
        for (int k = 0; k < 9; k++)
            g[k * nr + o] = from[k];
    mgi_winograd_filter(m, nr, g, U);
    for (int p = 0; p < points; p++)
        memcpy(packed + p * plane + (q * c->C + i) * nr, U + p * nr, (size_t)nr * sizeof *U);
}

MGI_FN void mgi_winograd_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mango_idx nr = mgi_kernels_get()->nr, panels = mgi_ceil_div(c->O, nr);
    if (c->transposed) {
        mgi_winograd_up_pack(c, w, packed);
        return;
    }
    MGI_OMP(parallel for if (c->C * c->O >= MGI_GRAIN / 8))
    for (mango_idx i = 0; i < panels * c->C; i++)
        wino_pack(c, i / c->C, i % c->C, w + (i / c->C * nr * c->C + i % c->C) * 9, 9 * c->C,
                  packed);
}

MGI_FN void mgi_winograd_pack_part(const mgi_conv *c, mango_idx p, mango_idx c0, mango_idx n,
                                   const float *w, float *packed)
{
    for (mango_idx i = 0; i < n; i++)
        wino_pack(c, p, c0 + i, w + 9 * i, 9 * n, packed);
}

/* ---- phases ---------------------------------------------------------------- */

/* First row and column of tile t, and its image. */
static void wino_tile(const wino_job *j, mango_idx t, mango_idx *n, mango_idx *y0,
                      mango_idx *x0)
{
    const mango_idx per = j->TY * j->TX, q = t % per;
    *n = t / per;
    *y0 = q / j->TX * j->m;
    *x0 = q % j->TX * j->m;
}

/* Asks for the lines of n floats; maps are larger than the caches near a core,
 * and what a tile needs comes in runs too short for the CPU to foresee. */
static void wino_fetch(const float *p, mango_idx n)
{
#if defined(__GNUC__)
    for (mango_idx i = 0; i < n; i += WINO_LINE)
        __builtin_prefetch(p + i);
#else
    (void)p, (void)n;
#endif
}

/* The columns of tile t's input that the tile before it has not read. */
static void wino_fetch_input(const wino_job *j, mango_idx t)
{
    const mgi_conv *c = j->c;
    mango_idx n, y0, x0;
    wino_tile(j, t, &n, &y0, &x0);
    y0 -= c->ph;
    x0 -= c->pw;
    const mango_idx from = MGI_MAX(0, x0 + (x0 > 0 ? 2 : 0)), to = MGI_MIN(c->W, x0 + j->a);
    for (mango_idx y = MGI_MAX(y0, 0); y < MGI_MIN(c->H, y0 + j->a); y++)
        wino_fetch(j->x + ((n * c->H + y) * c->W + from) * c->C, (to - from) * c->C);
}

MGI_FN void mgi_winograd_pixels(mango_idx a, mango_idx H, mango_idx W, mango_idx C,
                                const float *image, mango_idx y0, mango_idx x0,
                                const float *zero, const float **px)
{
    const float *row = image + (y0 * W + x0) * C;
    for (mango_idx y = y0; y < y0 + a; y++, row += W * C)
        for (mango_idx k = 0; k < a; k++)
            *px++ = y >= 0 && y < H && x0 + k >= 0 && x0 + k < W ? row + k * C : zero;
}

/* Tiles i0 .. i1 of the block into V. */
static void wino_input(const wino_job *j, const wino_block *b, mango_idx i0, mango_idx i1)
{
    const mgi_conv *c = j->c;
    const float *px[MGI_WINOGRAD_POINTS];
    for (mango_idx i = i0; i < i1; i++) {
        mango_idx n, y0, x0;
        wino_tile(j, b->t0 + i, &n, &y0, &x0);
        if (i + 1 < i1)
            wino_fetch_input(j, b->t0 + i + 1);
        mgi_winograd_pixels(j->a, c->H, c->W, c->C, j->x + n * c->H * c->W * c->C, y0 - c->ph,
                            x0 - c->pw, b->zero, px);
        j->set->input[MGI_WINOGRAD_INPUT(j->m)](0, c->C, px, b->V + i * j->pitchV, j->planeV);
    }
}

/* Point p, panels q0 .. q1: M = V U. */
static void wino_gemm(const wino_job *j, const wino_block *b, mango_idx p, mango_idx q0,
                      mango_idx q1)
{
    const mgi_kernels *k = j->k;
    const mango_idx C = j->c->C, O = j->O, nr = k->nr;
    const mango_idx strips = mgi_ceil_div(b->n, k->mr), step = mgi_ceil_div(b->n, strips);
    const float *V = b->V + p * j->planeV, *row[32];
    for (mango_idx q = q0; q < q1; q++)
        for (mango_idx c0 = 0; c0 < C; c0 += WINO_KC) {
            const mgi_tap run = {0, 0, MGI_MIN(WINO_KC, C - c0)};
            const float *U = j->U + ((p * j->panels + q) * C + c0) * nr;
            for (mango_idx i = 0; i < b->n; i += step) {
                const mango_idx rows = MGI_MIN(step, b->n - i);
                for (mango_idx r = 0; r < rows; r++)
                    row[r] = V + (i + r) * j->pitchV + c0;
                k->tile(rows, MGI_MIN(nr, O - q * nr), row, 1, &run, U,
                        b->M + p * j->planeM + i * j->pitchM + q * nr, j->pitchM, c0 > 0);
            }
        }
}

static void wino_fetch_output(const wino_job *j, mango_idx t, const float *y)
{
    const mgi_conv *c = j->c;
    const mango_idx up = c->transposed ? 2 : 1;
    mango_idx n, y0, x0;
    wino_tile(j, t, &n, &y0, &x0);
    const mango_idx top = up * y0 - up + 1, left = up * x0 - up + 1;
    const mango_idx from = MGI_MAX(0, left), to = MGI_MIN(c->OW, left + up * j->m);
    for (mango_idx oy = MGI_MAX(0, top); oy < MGI_MIN(c->OH, top + up * j->m); oy++)
        wino_fetch(y + ((n * c->OH + oy) * c->OW + from) * c->O, (to - from) * c->O);
}

/* Where the outputs of phase f of the tile at (y0,x0) of image n go; what is
 * outside the map to `dump`. res: the same of the residual. */
static void wino_places(const wino_job *j, mango_idx n, mango_idx y0, mango_idx x0, int f,
                        const wino_block *b, float *dump, const float **res, float **y)
{
    const mgi_conv *c = j->c;
    const mango_idx up = c->transposed ? 2 : 1;
    const mango_idx top = up * y0 + (up > 1 ? f / 2 - 1 : 0);
    const mango_idx left = up * x0 + (up > 1 ? f % 2 - 1 : 0);
    const float *from = j->e ? j->e->residual : NULL;
    for (mango_idx oy = top; oy < top + up * j->m; oy += up)
        for (mango_idx ox = left; ox < left + up * j->m; ox += up) {
            const int inside = oy >= 0 && oy < c->OH && ox >= 0 && ox < c->OW;
            const mango_idx off = ((n * c->OH + oy) * c->OW + ox) * c->O;
            *y++ = inside ? j->y + off : dump;
            *res++ = inside && from ? from + off : b->zero;
        }
}

/* Tiles i0 .. i1 of the block from M to y. */
static void wino_output(const wino_job *j, const wino_block *b, mango_idx i0, mango_idx i1,
                        float *dump)
{
    const mgi_conv *c = j->c;
    const mgi_epilogue *e = j->e;
    const float *res[MGI_WINOGRAD_OUT], *from = e ? e->residual : NULL;
    float *y[MGI_WINOGRAD_OUT];
    for (mango_idx i = i0; i < i1; i++) {
        mango_idx n, y0, x0;
        wino_tile(j, b->t0 + i, &n, &y0, &x0);
        if (i + 1 < i1) {
            wino_fetch_output(j, b->t0 + i + 1, j->y);
            if (from)
                wino_fetch_output(j, b->t0 + i + 1, from);
        }
        for (int f = 0; f < j->phases; f++) {
            wino_places(j, n, y0, x0, f, b, dump, res, y);
            j->set->output[MGI_WINOGRAD_OUTPUT(j->m)](
                0, c->O, b->M + i * j->pitchM + f * c->O, j->planeM, e ? e->bias : NULL,
                from ? res : NULL, e && e->relu, y);
        }
    }
}

/* ---- blocks ---------------------------------------------------------------- */

static wino_block wino_open(const wino_job *j, mango_idx i, float *scratch)
{
    wino_block b = {.t0 = i * j->T, .n = MGI_MIN(j->T, j->tiles - i * j->T), .zero = scratch};
    b.dump = b.zero + wino_zeros(j);
    b.V = b.dump + wino_dumps(j);
    b.M = b.V + j->points * j->planeV;
    memset(b.zero, 0, (size_t)wino_zeros(j) * sizeof *b.zero);
    return b;
}

static void wino_alone(const wino_job *j, mango_idx i, float *scratch)
{
    const wino_block b = wino_open(j, i, scratch);
    wino_input(j, &b, 0, b.n);
    for (mango_idx p = 0; p < j->points; p++)
        wino_gemm(j, &b, p, 0, j->panels);
    wino_output(j, &b, 0, b.n, b.dump);
}

static void wino_team(const wino_job *j, mango_idx i, float *scratch)
{
    const wino_block b = wino_open(j, i, scratch);
    const mango_idx spans = mgi_ceil_div(b.n, WINO_SPAN), items = j->points * j->panels;
    MGI_OMP(parallel)
    {
        MGI_OMP(for schedule(dynamic))
        for (mango_idx s = 0; s < spans; s++)
            wino_input(j, &b, s * WINO_SPAN, MGI_MIN((s + 1) * WINO_SPAN, b.n));
        MGI_OMP(for schedule(dynamic))
        for (mango_idx s = 0; s < items; s++)
            wino_gemm(j, &b, s / j->panels, s % j->panels, s % j->panels + 1);
        MGI_OMP(for schedule(dynamic))
        for (mango_idx s = 0; s < spans; s++)
            wino_output(j, &b, s * WINO_SPAN, MGI_MIN((s + 1) * WINO_SPAN, b.n),
                        b.dump + mgi_thread() * j->pitchM);
    }
}

MGI_FN void mgi_winograd_forward(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *packed, const mgi_epilogue *e, float *y,
                                 float *work)
{
    wino_job j = wino_plan(c, N);
    const mango_idx each = wino_scratch(&j);
    j.x = x;
    j.U = packed;
    j.e = e;
    j.y = y;
    if (j.team) {
        for (mango_idx i = 0; i < j.blocks; i++)
            wino_team(&j, i, work);
        return;
    }
    MGI_OMP(parallel for schedule(dynamic) if (j.tiles * c->C * j.O > 16384))
    for (mango_idx i = 0; i < j.blocks; i++)
        wino_alone(&j, i, work + mgi_thread() * each);
}

#undef WINO_LINE
#undef WINO_ALONE
#undef WINO_TEAM
#undef WINO_KC
#undef WINO_SPAN
#undef WINO_NR
