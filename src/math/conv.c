/* conv.c - convolution as a GEMM without a patch matrix (indirect GEMM).
 *
 * Channels last, a kernel row ky of one output pixel is one run of kw*C
 * consecutive floats of the input. A tile is mr output pixels, given by mr row
 * pointers, times nr outputs; the runs are the same for all its pixels, so the
 * kernel gets one list of them. Three ways to find the rows:
 *   direct   the window never leaves the map: pointers into x
 *   padded   the input rows of a block of pixels are copied between zeros
 *   images   small maps with padding: the tile's pixels are the same position
 *            of mr images, and runs in the padding are left out (3x3 on a 1x1
 *            map: 8/9 of the work)
 * All give the same sums: what is left out adds an exact zero. (Only the sign
 * of a zero sum can differ, after an underflow.) Inputs and weights are finite.
 * SPDX-License-Identifier: MIT */
#include "conv_group.h"
#include "conv_thin.h"
#include "winograd.h"

#define CONV_MU 256        /* pixels per work item, at most              */
#define CONV_TAPS 64       /* runs per call of the kernel                */
#define CONV_KC 1024       /* k per call, about                          */
#define CONV_CACHE 131072  /* floats of copied input per item, about     */
#define CONV_ALIAS 1024    /* row strides of this many floats share few cache sets */
#define CONV_GAP 16        /* added to such strides                      */

enum { CONV_DIRECT, CONV_PADDED, CONV_IMAGES };

typedef struct conv_job {
    const mgi_kernels *k;
    mgi_convgeo g;
    mango_idx N;
    const float *x, *packed;
    const uint16_t *half;    /* the packed weights when they are halves, else NULL */
    const mgi_epilogue *e;
    float *y;
    int mode;
    mango_idx pitch;         /* floats per pixel (padded) or image (images) */
    mango_idx wide;          /* pixels in a copied row                      */
    mango_idx mu, units, groups, panels;
} conv_job;

/* The part of the window that is inside the map, and how a walk through it
 * moves in the input. */
typedef struct conv_win {
    mango_idx ky0, ky1, kx0, kx1;
    mango_idx a0, arow, apix; /* offset of tap (0,0); steps per ky, per kx */
    mango_idx C, kw;
} conv_win;

/* Next runs of a window from run number *r on, up to CONV_KC; returns their count. */
static mango_idx conv_runs(const conv_win *w, mango_idx *r, mgi_tap *tap)
{
    const mango_idx merged = w->apix == w->C, nx = w->kx1 - w->kx0;
    const mango_idx per = merged ? 1 : nx, len = merged ? nx * w->C : w->C;
    const mango_idx runs = len > 0 ? (w->ky1 - w->ky0) * per : 0;
    mango_idx n = 0, K = 0;
    for (; *r < runs && n < CONV_TAPS && (n == 0 || K + len <= CONV_KC); ++*r, n++, K += len) {
        const mango_idx ky = w->ky0 + *r / per, kx = w->kx0 + *r % per;
        const mgi_tap t = {w->a0 + ky * w->arow + kx * w->apix, (ky * w->kw + kx) * w->C, len};
        tap[n] = t;
    }
    return n;
}

/* m pixels, all with window w, times one panel of outputs. */
static void conv_panel(const conv_job *j, const conv_win *w, mango_idx m,
                       const float *const *row, const mango_idx *off, mango_idx shift,
                       mango_idx panel, float *acc)
{
    const mgi_kernels *k = j->k;
    const mango_idx nr = k->nr, o0 = panel * nr, n = MGI_MIN(nr, j->g.O - o0);
    const mango_idx tiles = mgi_ceil_div(m, k->mr), step = mgi_ceil_div(m, tiles);
    const mango_idx b0 = o0 * j->g.kh * j->g.kw * j->g.C; /* of the panel */
    const float *b = b0 > 0 ? j->packed + b0 : j->packed; /* NULL in a phase without weights */
    const uint16_t *half = b0 > 0 && j->half ? j->half + b0 : j->half;
    const mgi_epilogue *e = j->e;
    mgi_tap tap[CONV_TAPS];
    mango_idx r = 0, nt;
    int load = 0;
    while ((nt = conv_runs(w, &r, tap)) > 0 || !load) {
        for (mango_idx i = 0; i < m; i += step)
            if (half)
                k->tile_half(MGI_MIN(step, m - i), n, row + i, nt, tap, half, acc + i * nr, nr,
                             load);
            else
                k->tile(MGI_MIN(step, m - i), n, row + i, nt, tap, b, acc + i * nr, nr, load);
        load = 1;
    }
    k->finish(m, n, acc, nr, off, e && e->bias ? e->bias + o0 : NULL,
              e && e->residual ? e->residual + shift + o0 : NULL, e && e->relu,
              j->y + shift + o0);
}

/* ---- direct and padded --------------------------------------------------- */
/* One input row between zeros; src NULL: all zero. */
static void conv_copy_row(const conv_job *j, const float *src, float *dst)
{
    const mango_idx C = j->g.C, px = j->g.px, wide = j->wide;
    const mango_idx x0 = src ? MGI_MIN(wide, MGI_MAX(0, px)) : wide;
    const mango_idx x1 = src ? MGI_MAX(x0, MGI_MIN(wide, j->g.W + px)) : wide;
    if (j->pitch == C) {
        memset(dst, 0, (size_t)(x0 * C) * sizeof *dst);
        if (x1 > x0)
            memcpy(dst + x0 * C, src + (x0 - px) * C, (size_t)((x1 - x0) * C) * sizeof *dst);
        memset(dst + x1 * C, 0, (size_t)((wide - x1) * C) * sizeof *dst);
        return;
    }
    for (mango_idx x = 0; x < wide; x++, dst += j->pitch)
        if (x >= x0 && x < x1)
            memcpy(dst, src + (x - px) * C, (size_t)C * sizeof *dst);
        else
            memset(dst, 0, (size_t)C * sizeof *dst);
}

/* Output rows ty0..ty1 of image n: copy the input rows they need; returns the
 * end of the copy. */
static float *conv_copy_rows(const conv_job *j, mango_idx n, mango_idx ty0, mango_idx ty1,
                             float *dst)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx first = ty0 * g->sh - g->py;
    const mango_idx rows = (ty1 - ty0) * g->sh + mgi_conv_extent(g->kh, g->dy);
    for (mango_idx i = 0; i < rows; i++, dst += j->wide * j->pitch) {
        const mango_idx iy = first + i;
        const int inside = iy >= 0 && iy < g->H;
        conv_copy_row(j, inside ? j->x + (n * g->H + iy) * g->W * g->C : NULL, dst);
    }
    return dst;
}

/* Row pointers and output offsets of pixels p0 .. p0+m of the (n,ty,tx) order. */
static void conv_rows(const conv_job *j, mango_idx p0, mango_idx m, float *scratch,
                      const float **row, mango_idx *off)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx TP = g->TH * g->TW;
    for (mango_idx i = 0; i < m;) {
        const mango_idx n = (p0 + i) / TP, q0 = (p0 + i) % TP;
        const mango_idx q1 = MGI_MIN(TP, q0 + m - i), ty0 = q0 / g->TW;
        const float *base = j->x + n * g->H * g->W * g->C;
        mango_idx line = g->W * g->C;
        if (j->mode == CONV_PADDED) {
            base = scratch;
            line = j->wide * j->pitch;
            scratch = conv_copy_rows(j, n, ty0, (q1 - 1) / g->TW, scratch);
            base -= ty0 * g->sh * line;
        } else
            base -= g->py * line + g->px * g->C;
        for (mango_idx q = q0; q < q1; q++, i++) {
            const mango_idx ty = q / g->TW, tx = q % g->TW;
            row[i] = base + ty * g->sh * line + tx * g->sw * j->pitch;
            off[i] = ((n * g->OH + g->oy0 + ty * g->osy) * g->OW + g->ox0 + tx * g->osx) * g->O;
        }
    }
}

static void conv_item_pixels(const conv_job *j, mango_idx unit, mango_idx q0, mango_idx q1,
                             float *acc, float *scratch)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx p0 = unit * j->mu, m = MGI_MIN(j->mu, j->N * g->TH * g->TW - p0);
    const float *row[CONV_MU];
    mango_idx off[CONV_MU];
    const mango_idx line = j->mode == CONV_PADDED ? j->wide * j->pitch : g->W * g->C;
    const conv_win w = {0, g->kh, 0, g->kw, 0, line * g->dy, j->pitch * g->dx, g->C, g->kw};
    conv_rows(j, p0, m, scratch, row, off);
    for (mango_idx q = q0; q < q1; q++)
        conv_panel(j, &w, m, row, off, 0, q, acc);
}

/* ---- images -------------------------------------------------------------- */
static void conv_item_images(const conv_job *j, mango_idx unit, mango_idx q0, mango_idx q1,
                             float *acc, float *scratch)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx n0 = unit * j->mu, m = MGI_MIN(j->mu, j->N - n0), size = g->H * g->W * g->C;
    const float *row[CONV_MU];
    mango_idx off[CONV_MU];
    for (mango_idx i = 0; i < m; i++) {
        row[i] = j->x + (n0 + i) * size;
        off[i] = (n0 + i) * g->OH * g->OW * g->O;
        if (j->pitch != size)
            row[i] = memcpy(scratch + i * j->pitch, row[i], (size_t)size * sizeof *scratch);
    }
    conv_win w = {.arow = g->dy * g->W * g->C, .apix = g->dx * g->C, .C = g->C, .kw = g->kw};
    for (mango_idx q = q0; q < q1; q++)
        for (mango_idx ty = 0; ty < g->TH; ty++)
            for (mango_idx tx = 0; tx < g->TW; tx++) {
                mgi_conv_clip_by(ty, g->sh, g->py, g->kh, g->dy, g->H, &w.ky0, &w.ky1);
                mgi_conv_clip_by(tx, g->sw, g->px, g->kw, g->dx, g->W, &w.kx0, &w.kx1);
                w.a0 = ((ty * g->sh - g->py) * g->W + tx * g->sw - g->px) * g->C;
                const mango_idx oy = g->oy0 + ty * g->osy, ox = g->ox0 + tx * g->osx;
                conv_panel(j, &w, m, row, off, (oy * g->OW + ox) * g->O, q, acc);
            }
}

/* ---- planning ------------------------------------------------------------ */
static mango_idx conv_valid(mango_idx T, mango_idx s, mango_idx p, mango_idx k, mango_idx d,
                            mango_idx size)
{
    mango_idx sum = 0, lo, hi;
    for (mango_idx t = 0; t < T; t++, sum += hi - lo)
        mgi_conv_clip_by(t, s, p, k, d, size, &lo, &hi);
    return sum;
}

/* Whether the `images` way is worth it: on vectors, or when it leaves out more
 * than 1/8 of the work and there are enough images. */
static int conv_by_images(const mgi_convgeo *g, mango_idx N)
{
    const mango_idx size = g->H * g->W * g->C;
    if (g->TH * g->TW == 1)
        return 1;
    const mango_idx all = g->TH * g->kh * g->TW * g->kw;
    const mango_idx valid = conv_valid(g->TH, g->sh, g->py, g->kh, g->dy, g->H) *
                            conv_valid(g->TW, g->sw, g->px, g->kw, g->dx, g->W);
    return N >= 8 && size <= 32768 && 8 * (all - valid) > all;
}

static int conv_inside(const mgi_convgeo *g)
{
    return g->py <= 0 && g->px <= 0 &&
           (g->TH - 1) * g->sh - g->py + mgi_conv_extent(g->kh, g->dy) <= g->H &&
           (g->TW - 1) * g->sw - g->px + mgi_conv_extent(g->kw, g->dx) <= g->W;
}

/* Floats that a padded block of m pixels copies, at most. */
static mango_idx conv_padded_floats(const conv_job *j, mango_idx m)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx rows = (m + g->TW - 2) / g->TW + 1, images = (rows + g->TH - 2) / g->TH + 1;
    return (rows * g->sh + MGI_MIN(images, m) * mgi_conv_extent(g->kh, g->dy)) * j->wide *
           j->pitch;
}

/* Mode, pitch and the largest item; all but the choice of `images` is the same
 * for any N. Returns the floats of scratch for one thread. */
static mango_idx conv_mode(conv_job *j)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx mr = j->k->mr, size = g->H * g->W * g->C;
    const mango_idx most = CONV_MU / mr * mr;
    j->wide = (g->TW - 1) * g->sw + mgi_conv_extent(g->kw, g->dx);
    j->mode = conv_by_images(g, j->N) ? CONV_IMAGES : CONV_DIRECT;
    j->mu = most;
    if (j->mode == CONV_IMAGES) {
        const int alias = size % CONV_ALIAS == 0 && size > 0;
        j->pitch = alias ? size + CONV_GAP : size;
        if (alias)
            j->mu = MGI_MIN(most, MGI_MAX(mr, 2 * CONV_CACHE / j->pitch / mr * mr));
        return alias ? j->mu * j->pitch : 0;
    }
    const int alias = g->sw * g->C % CONV_ALIAS == 0;
    j->pitch = alias ? g->C + CONV_GAP : g->C;
    if (conv_inside(g) && !alias)
        return 0;
    j->mode = CONV_PADDED;
    while (j->mu > mr && conv_padded_floats(j, j->mu) > CONV_CACHE)
        j->mu -= mr;
    return conv_padded_floats(j, j->mu);
}

/* Equal shares for the threads: cut the pixels, and the panels when there are
 * too few pixels for that. */
static void conv_split(conv_job *j)
{
    const mango_idx T = mango_threads(), mr = j->k->mr;
    const mango_idx M = j->mode == CONV_IMAGES ? j->N : j->N * j->g.TH * j->g.TW;
    j->panels = mgi_ceil_div(j->g.O, j->k->nr);
    j->units = mgi_ceil_div(M, j->mu);
    if (M >= 2 * T * mr || j->panels < T)
        j->units = mgi_round_up(j->units, T);
    j->mu = MGI_MIN(j->mu, mgi_round_up(mgi_ceil_div(M, j->units), mr));
    j->units = mgi_ceil_div(M, j->mu);
    j->groups = j->units >= T ? 1 : MGI_MIN(j->panels, mgi_ceil_div(2 * T, j->units));
}

MGI_FN mango_idx mgi_conv_work(const mgi_conv *c, mango_idx N)
{
    conv_job j = {.k = mgi_kernels_get(), .N = N};
    mango_idx most = 0;
    if (c->groups > 1)
        return mgi_group_work(c, N);
    if (c->winograd)
        return mgi_winograd_work(c, N);
    for (int f = 0; f < mgi_convgeo_phases(c); f++)
        for (int few = 0; few < 2; few++) {
            j.N = few ? 1 : N; /* a smaller batch must fit too */
            mgi_convgeo_phase(c, f, &j.g);
            const mango_idx s = j.g.TH && j.g.TW ? conv_mode(&j) : 0;
            most = MGI_MAX(most, s);
        }
    return MGI_MAX(mgi_thin_work(c),
                   mango_threads() * mgi_round_up(most + CONV_MU * j.k->nr, 16));
}

static void conv_item(const conv_job *j, mango_idx item, float *scratch)
{
    const mango_idx unit = item / j->groups, q = item % j->groups;
    const mango_idx q0 = q * j->panels / j->groups, q1 = (q + 1) * j->panels / j->groups;
    float *rest = scratch + CONV_MU * j->k->nr;
    if (j->mode == CONV_IMAGES)
        conv_item_images(j, unit, q0, q1, scratch, rest);
    else
        conv_item_pixels(j, unit, q0, q1, scratch, rest);
}

static void conv_phase(conv_job *j, float *work)
{
    const mango_idx each = mgi_round_up(conv_mode(j) + CONV_MU * j->k->nr, 16);
    conv_split(j);
    const mango_idx items = j->units * j->groups;
    const mango_idx flops = j->N * j->g.TH * j->g.TW * j->g.O * j->g.C * j->g.kh * j->g.kw;
    MGI_OMP(parallel for schedule(dynamic) if (flops > 32768))
    for (mango_idx i = 0; i < items; i++)
        conv_item(j, i, mgi_thread_scratch(work, each));
    (void)flops;
}

MGI_FN void mgi_conv_forward(const mgi_conv *c, mango_idx N, const float *x,
                             const float *packed, const mgi_epilogue *e, float *y,
                             float *work)
{
    conv_job j = {.k = mgi_kernels_get(), .N = N, .x = x, .packed = packed, .e = e, .y = y};
    j.half = c->half ? (const uint16_t *)packed : NULL;
    if (c->groups > 1) {
        mgi_group_forward(c, N, x, packed, e, y, work);
        return;
    }
    if (c->winograd) {
        mgi_winograd_forward(c, N, x, packed, e, y, work);
        return;
    }
    if (N > 0 && !c->half && mgi_thin_forward(c, N, x, packed, e, y, work))
        return;
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo_phase(c, f, &j.g);
        if (N > 0 && j.g.TH > 0 && j.g.TW > 0)
            conv_phase(&j, work);
        const mango_idx pack = mgi_pack_size(j.g.kh * j.g.kw * j.g.C, j.g.O);
        if (pack > 0) /* a phase may have no weights, and a convolution such phases only */
            j.packed += pack;
    }
}

#undef CONV_MU
#undef CONV_TAPS
#undef CONV_KC
#undef CONV_CACHE
#undef CONV_ALIAS
#undef CONV_GAP
