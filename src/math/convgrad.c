/* convgrad.c - gradients of a convolution.
 *
 * By its input: dx is the flipped convolution of dy (transposed for an ordinary
 * one and the reverse), with the same stored weights, run by conv.c.
 *
 * By its weights: dW(k,o) = sum over pixels of x(pixel,k) dy(pixel,o), pixels
 * (n,oy,ox) ascending, one chain of fma from +0. Both operands are channels
 * last, which is what the kernel `outer` reads; for each kernel position the
 * pixels whose input is inside the map form runs of equal step. Pixels go by in
 * chunks that stay in cache, the chains go on from chunk to chunk. A transposed
 * convolution is the same sum with x and dy in each other's place.
 * SPDX-License-Identifier: MIT */
#include "convgeo.h"

#define GRAD_ROWS 384 /* map rows in a chunk, at most */
#define GRAD_PIX 384  /* pixels in a chunk, about     */
#define GRAD_BLOCK 16 /* channels per item of the small loops */

typedef struct grad_job {
    const mgi_kernels *k;
    mango_idx N, Hb, Wb, Cb, Hs, Ws, Cs; /* big map under the window; small map */
    mango_idx kh, kw, sh, sw, ph, pw;
    const float *big, *small;
    float *R;          /* (kh,kw,Cb,Cs), or (kh,kw,Cs,Cb) when swapped */
    int swap;
    mango_idx rows;    /* map rows per chunk                           */
    mango_idx mt, nt;  /* tiles of one kernel position                 */
} grad_job;

/* The runs of one kernel position in a chunk, and their steps. */
typedef struct grad_runs {
    mango_idx step_big, step_small, n;
    mgi_tap run[GRAD_ROWS]; /* a: big, b: small */
} grad_runs;

static mango_idx grad_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

MGI_FN mango_idx mgi_conv_backward_work(const mgi_conv *c, mango_idx N)
{
    const mgi_conv f = mgi_conv_flip(c);
    const mango_idx data = grad_up(mgi_conv_packed(&f), 16) + mgi_conv_work(&f, N);
    const mango_idx weights = c->O * c->C * c->kh * c->kw;
    return MGI_MAX(data, weights);
}

MGI_FN void mgi_conv_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                   const float *w, float *dx, float *work)
{
    const mgi_conv f = mgi_conv_flip(c);
    mgi_conv_pack(&f, w, work);
    mgi_conv_forward(&f, N, dy, work, NULL, dx, work + grad_up(mgi_conv_packed(&f), 16));
}

/* Positions [lo,hi) of the small map with 0 <= t*s - p + k < size. */
static void grad_clip(mango_idx k, mango_idx s, mango_idx p, mango_idx size, mango_idx count,
                      mango_idx *lo, mango_idx *hi)
{
    *lo = p > k ? (p - k + s - 1) / s : 0;
    *hi = size - 1 + p - k < 0 ? 0 : MGI_MIN(count, (size - 1 + p - k) / s + 1);
}

/* Add n pixels at big offset a, small offset b; joins the last run if it goes on. */
static void grad_add(grad_runs *g, mango_idx a, mango_idx b, mango_idx n)
{
    mgi_tap *last = g->n > 0 ? g->run + g->n - 1 : NULL;
    if (last && a == last->a + last->n * g->step_big &&
        b == last->b + last->n * g->step_small) {
        last->n += n;
        return;
    }
    const mgi_tap t = {a, b, n};
    g->run[g->n++] = t;
}

/* Map rows r0 .. r1 of (n,sy), kernel position (ky,kx). */
static void grad_fill(const grad_job *j, mango_idx ky, mango_idx kx, mango_idx r0, mango_idx r1,
                      grad_runs *g)
{
    mango_idx x0, x1, y0, y1;
    grad_clip(kx, j->sw, j->pw, j->Wb, j->Ws, &x0, &x1);
    grad_clip(ky, j->sh, j->ph, j->Hb, j->Hs, &y0, &y1);
    g->n = 0;
    g->step_big = j->sw * j->Cb, g->step_small = j->Cs;
    if (x1 - x0 == 1) { /* one column: step down the rows, or over the images */
        const int down = y1 - y0 > 1;
        g->step_big = (down ? j->sh : j->Hb) * j->Wb * j->Cb;
        g->step_small = (down ? 1 : j->Hs) * j->Ws * j->Cs;
    }
    if (x1 <= x0)
        return;
    for (mango_idx r = r0; r < r1; r++) {
        const mango_idx n = r / j->Hs, sy = r % j->Hs;
        if (sy < y0 || sy >= y1)
            continue;
        const mango_idx iy = sy * j->sh - j->ph + ky, ix = x0 * j->sw - j->pw + kx;
        grad_add(g, ((n * j->Hb + iy) * j->Wb + ix) * j->Cb, (r * j->Ws + x0) * j->Cs, x1 - x0);
    }
}

/* One tile: tile number t of kernel position `tap`. */
static void grad_tile(const grad_job *j, mango_idx tap, mango_idx t, grad_runs *g, int load)
{
    const mgi_kernels *k = j->k;
    const mango_idx M = j->swap ? j->Cs : j->Cb, Nn = j->swap ? j->Cb : j->Cs;
    const mango_idx step = (M + j->mt - 1) / j->mt;
    const mango_idx i0 = t / j->nt * step, j0 = t % j->nt * k->nr;
    const mango_idx m = MGI_MIN(step, M - i0), n = MGI_MIN(k->nr, Nn - j0);
    float *R = j->R + (tap * M + i0) * Nn + j0;
    if (m <= 0)
        return;
    if (!j->swap)
        k->outer(m, n, j->big + i0, g->step_big, j->small + j0, g->step_small, g->n, g->run, R,
                 Nn, load);
    else
        k->outer(m, n, j->small + i0, g->step_small, j->big + j0, g->step_big, g->n, g->run, R,
                 Nn, load);
}

/* Tiles t0 .. t1 of all, over all pixels. */
static void grad_item(const grad_job *j, mango_idx t0, mango_idx t1)
{
    const mango_idx each = j->mt * j->nt, rows = j->N * j->Hs;
    grad_runs g;
    for (mango_idx r = 0; r < rows; r += j->rows)
        for (mango_idx t = t0; t < t1; t++) {
            const mango_idx tap = t / each;
            if (t == t0 || t % each == 0) {
                grad_fill(j, tap / j->kw, tap % j->kw, r, MGI_MIN(rows, r + j->rows), &g);
                for (mango_idx i = 0; j->swap && i < g.n; i++) {
                    const mgi_tap s = {g.run[i].b, g.run[i].a, g.run[i].n};
                    g.run[i] = s;
                }
            }
            grad_tile(j, tap, t % each, &g, r > 0);
        }
}

/* dw (Cs,Cb,kh,kw) += R, block of GRAD_BLOCK small channels. */
static void grad_store(const grad_job *j, mango_idx s0, float *dw)
{
    const mango_idx area = j->kh * j->kw, s1 = MGI_MIN(j->Cs, s0 + GRAD_BLOCK);
    for (mango_idx b = 0; b < j->Cb; b++)
        for (mango_idx tap = 0; tap < area; tap++) {
            const float *R = j->R + (j->swap ? tap * j->Cs * j->Cb + b
                                             : (tap * j->Cb + b) * j->Cs);
            const mango_idx step = j->swap ? j->Cb : 1;
            for (mango_idx s = s0; s < s1; s++)
                dw[(s * j->Cb + b) * area + tap] += R[s * step];
        }
}

/* db += sum over rows of dy, in double, rows ascending. */
static void grad_bias(mango_idx rows, mango_idx O, const float *dy, float *db)
{
    MGI_OMP(parallel for if (rows * O > 32768))
    for (mango_idx o0 = 0; o0 < O; o0 += GRAD_BLOCK) {
        const mango_idx n = MGI_MIN(GRAD_BLOCK, O - o0);
        double sum[GRAD_BLOCK] = {0.0};
        for (mango_idx r = 0; r < rows; r++)
            for (mango_idx o = 0; o < n; o++)
                sum[o] += (double)dy[r * O + o0 + o];
        for (mango_idx o = 0; o < n; o++)
            db[o0 + o] += (float)sum[o];
    }
}

MGI_FN void mgi_conv_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                      const float *dy, float *dw, float *db, float *work)
{
    const int t = c->transposed;
    grad_job j = {.k = mgi_kernels_get(), .N = N, .kh = c->kh, .kw = c->kw, .sh = c->sh,
                  .sw = c->sw, .ph = c->ph, .pw = c->pw, .R = work};
    j.Hb = t ? c->OH : c->H, j.Wb = t ? c->OW : c->W, j.Cb = t ? c->O : c->C;
    j.Hs = t ? c->H : c->OH, j.Ws = t ? c->W : c->OW, j.Cs = t ? c->C : c->O;
    j.big = t ? dy : x, j.small = t ? x : dy;
    if (db)
        grad_bias(N * c->OH * c->OW, c->O, dy, db);
    if (N <= 0)
        return;
    /* the axis that wastes fewer lanes of 16 goes into the vectors */
    j.swap = grad_up(j.Cs, 16) * j.Cb > grad_up(j.Cb, 16) * j.Cs;
    j.rows = MGI_MIN(GRAD_ROWS, MGI_MAX(1, GRAD_PIX / j.Ws));
    j.mt = ((j.swap ? j.Cs : j.Cb) + j.k->mr - 1) / j.k->mr;
    j.nt = ((j.swap ? j.Cb : j.Cs) + j.k->nr - 1) / j.k->nr;
    const mango_idx tiles = j.kh * j.kw * j.mt * j.nt, items = MGI_MIN(tiles, mango_threads());
    MGI_OMP(parallel for if (tiles * N * j.Hs * j.Ws > 512))
    for (mango_idx i = 0; i < items; i++)
        grad_item(&j, i * tiles / items, (i + 1) * tiles / items);
    MGI_OMP(parallel for if (tiles > 64))
    for (mango_idx s = 0; s < j.Cs; s += GRAD_BLOCK)
        grad_store(&j, s, dw);
}

#undef GRAD_ROWS
#undef GRAD_PIX
#undef GRAD_BLOCK
