/* conv_grad.c - gradients of a convolution.
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
 *
 * With c->winograd the dense forms of both are those of winograd_grad.c.
 * SPDX-License-Identifier: MIT */
#include "conv_group.h"
#include "spikes_grad.h"
#include "winograd.h"

#define GRAD_PIX 256      /* pixels in a chunk, about: a tile's share of x stays in L1 */
#define GRAD_BLOCK 16     /* channels per item of grad_bias                            */
#define GRAD_SMALL 64     /* small channels in a square of grad_store                  */
#define GRAD_WIDE 36      /* kernel positions (times big channels) in it               */
#if defined(__GNUC__)
#define GRAD_PREFETCH(p) __builtin_prefetch((p), 1)
#else
#define GRAD_PREFETCH(p) ((void)(p))
#endif

typedef struct grad_job {
    const mgi_kernels *k;
    mango_idx N, Hb, Wb, Cb, Hs, Ws, Cs; /* big map under the window; small map */
    mango_idx kh, kw, sh, sw, ph, pw;    /* kh, kw, ph, pw without dead positions */
    mango_idx dh, dw;
    mango_idx ky0, kx0, area, width;     /* where they lie in the whole kernel    */
    const float *big, *small;
    float *R;          /* (kh,kw,Cb,Cs), or (kh,kw,Cs,Cb) when swapped */
    int swap;
    mango_idx rows;    /* map rows per chunk                           */
    mango_idx mt, nt;  /* tiles of one kernel position                 */
} grad_job;

/* The runs of one kernel position in a chunk, and their steps. */
typedef struct grad_runs {
    mango_idx step_big, step_small, n;
    mgi_tap run[GRAD_PIX]; /* a: big, b: small */
} grad_runs;

/* Floats that hold the input as bits; a transposed convolution has no use for them. */
static mango_idx grad_bits(const mgi_conv *c, mango_idx N)
{
    return c->transposed ? 0 : 2 * N * c->H * c->W * mgi_bits_words(c->C);
}

MGI_FN mango_idx mgi_conv_backward_work(const mgi_conv *c, mango_idx N)
{
    const mgi_conv f = mgi_conv_flip(c);
    const mango_idx data = mgi_round_up(mgi_conv_packed(&f), 16) + mgi_conv_work(&f, N);
    const mango_idx weights = c->groups > 1 ? mgi_group_backward_work(c, N)
                                            : mgi_round_up(mgi_conv_weights(c), 16) +
                                                  grad_bits(c, N);
    const mango_idx most = MGI_MAX(MGI_MAX(data, weights), mgi_few_work(c));
    return c->winograd ? MGI_MAX(most, mgi_winograd_backward_work(c, N)) : most;
}

MGI_FN void mgi_conv_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                   const float *w, float *dx, float *work)
{
    const mgi_conv f = mgi_conv_flip(c);
    if ((c->winograd && mgi_winograd_backward_data(c, N, dy, w, dx, work)) ||
        mgi_few_backward_data(c, N, dy, w, dx, work))
        return;
    mgi_conv_pack(&f, w, work);
    mgi_conv_forward(&f, N, dy, work, NULL, dx, work + mgi_round_up(mgi_conv_packed(&f), 16));
}

/* Positions [lo,hi) of the small map with 0 <= t*s - p + k < size. */
static void grad_clip(mango_idx k, mango_idx s, mango_idx p, mango_idx size, mango_idx count,
                      mango_idx *lo, mango_idx *hi)
{
    *lo = p > k ? mgi_ceil_div(p - k, s) : 0;
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
    kx *= j->dw;
    ky *= j->dh;
    grad_clip(kx, j->sw, j->pw, j->Wb, j->Ws, &x0, &x1);
    grad_clip(ky, j->sh, j->ph, j->Hb, j->Hs, &y0, &y1);
    g->n = 0;
    g->step_big = j->sw * j->Cb;
    g->step_small = j->Cs;
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
    const mango_idx step = mgi_ceil_div(M, j->mt);
    const mango_idx i0 = t / j->nt * step, j0 = t % j->nt * k->nr;
    const mango_idx m = MGI_MIN(step, M - i0), n = MGI_MIN(k->nr, Nn - j0);
    float *R = j->R + (tap * M + i0) * Nn + j0;
    if (m <= 0)
        return;
    for (mango_idx i = 0; i < m; i++) { /* of the tile to come */
        GRAD_PREFETCH(R + i * Nn + k->nr);
        GRAD_PREFETCH(R + i * Nn + k->nr + k->nr / 2);
    }
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

/* One square: big channels b .. b+nb, small ones s0 .. s0+ns, kernel positions
 * t0 .. t0+nt (of j->kh*j->kw), which lie at[] in the whole kernel. */
static void grad_square(const grad_job *j, mango_idx s0, mango_idx ns, mango_idx b,
                        mango_idx nb, mango_idx t0, mango_idx nt, const mango_idx *at,
                        float *dw)
{
    const mango_idx step_s = j->swap ? j->Cb : 1, step_b = j->swap ? 1 : j->Cs, n = nb * nt;
    float square[GRAD_SMALL * GRAD_WIDE];
    for (mango_idx i = 0; i < n; i++) {
        const float *R =
            j->R + (t0 + i % nt) * j->Cs * j->Cb + s0 * step_s + (b + i / nt) * step_b;
        for (mango_idx s = 0; s < ns; s++)
            square[s * n + i] = R[s * step_s];
    }
    for (mango_idx s = 0; s < ns; s++) {
        float *to = dw + ((s0 + s) * j->Cb + b) * j->area;
        if (nt == j->area)
            for (mango_idx i = 0; i < n; i++)
                to[i] += square[s * n + i];
        else
            for (mango_idx i = 0; i < n; i++)
                to[i / nt * j->area + at[i % nt]] += square[s * n + i];
    }
}

/* dw (Cs,Cb,kh,kw) += R for GRAD_SMALL small channels from s0, big channels b0
 * to b1: turned round in squares on the stack, so that both go by in runs. */
static void grad_store(const grad_job *j, mango_idx s0, mango_idx b0, mango_idx b1, float *dw)
{
    const mango_idx taps = j->kh * j->kw, ns = MGI_MIN(GRAD_SMALL, j->Cs - s0);
    mango_idx at[GRAD_WIDE];
    for (mango_idx t0 = 0; t0 < taps; t0 += GRAD_WIDE) {
        const mango_idx nt = MGI_MIN(GRAD_WIDE, taps - t0), nb = GRAD_WIDE / nt;
        for (mango_idx t = 0; t < nt; t++)
            at[t] = (j->ky0 + (t0 + t) / j->kw) * j->width + j->kx0 + (t0 + t) % j->kw;
        for (mango_idx b = b0; b < b1; b += nb)
            grad_square(j, s0, ns, b, MGI_MIN(nb, b1 - b), t0, nt, at, dw);
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

/* R, from any input. */
static void grad_dense(grad_job *j)
{
    /* the axis that wastes fewer lanes of 16 goes into the vectors */
    j->swap = mgi_round_up(j->Cs, 16) * j->Cb > mgi_round_up(j->Cb, 16) * j->Cs;
    j->rows = MGI_MAX(1, GRAD_PIX / j->Ws);
    j->mt = mgi_ceil_div(j->swap ? j->Cs : j->Cb, j->k->mr);
    j->nt = mgi_ceil_div(j->swap ? j->Cb : j->Cs, j->k->nr);
    const mango_idx tiles = j->kh * j->kw * j->mt * j->nt,
                    items = MGI_MIN(tiles, mango_threads());
    MGI_OMP(parallel for if (tiles * j->N * j->Hs * j->Ws > 512))
    for (mango_idx i = 0; i < items; i++)
        grad_item(j, i * tiles / items, (i + 1) * tiles / items);
}

MGI_FN void mgi_conv_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                      const float *dy, float *dw, float *db, float *work)
{
    const int t = c->transposed;
    const mgi_conv f = t ? mgi_conv_flip(c) : *c; /* the ordinary one of the two */
    grad_job j = {.k = mgi_kernels_get(), .N = N, .R = work, .Hb = f.H, .Wb = f.W, .Cb = f.C,
                  .Hs = f.OH, .Ws = f.OW, .Cs = f.O, .sh = f.sh, .sw = f.sw,
                  .area = (mango_idx)f.kh * f.kw, .width = f.kw, .big = t ? dy : x,
                  .small = t ? x : dy};
    mgi_convgeo g;
    mgi_convgeo_phase(&f, 0, &g);
    j.kh = g.kh;
    j.kw = g.kw;
    j.ph = g.py;
    j.pw = g.px;
    j.dh = g.dy;
    j.dw = g.dx;
    j.ky0 = g.ky0;
    j.kx0 = g.kx0;
    if (db)
        grad_bias(N * c->OH * c->OW, c->O, dy, db);
    if (N <= 0 || g.kh == 0)
        return;
    if (c->groups > 1) {
        mgi_group_backward_weights(c, N, x, dy, dw, work);
        return;
    }
    uint64_t *bits = (uint64_t *)(void *)(work + mgi_round_up(mgi_conv_weights(c), 16));
    const mango_idx pixels = N * c->H * c->W;
    if (!t && mgi_conv_is_plain(c) && mgi_bits_pack(pixels, c->C, x, bits) &&
        mgi_bits_few(pixels, c->C, c->O, bits))
        mgi_bits_conv_weights(&g, N, bits, dy, work);
    else if (c->winograd) {
        mgi_winograd_backward_weights(c, N, x, dy, dw, work);
        return;
    } else
        grad_dense(&j);
    const mango_idx across = mgi_ceil_div(j.Cs, GRAD_SMALL);
    const mango_idx squares = across * mgi_ceil_div(j.Cb, GRAD_SMALL);
    MGI_OMP(parallel for if (squares > 1))
    for (mango_idx i = 0; i < squares; i++) {
        const mango_idx b0 = i / across * GRAD_SMALL;
        grad_store(&j, i % across * GRAD_SMALL, b0, MGI_MIN(j.Cb, b0 + GRAD_SMALL), dw);
    }
}

#undef GRAD_PIX
#undef GRAD_BLOCK
#undef GRAD_SMALL
#undef GRAD_WIDE
#undef GRAD_PREFETCH
