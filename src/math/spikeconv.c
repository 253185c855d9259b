/* spikeconv.c - convolution over maps of bits: gather what is active.
 *
 * An item is some output rows (n,oy) times all outputs. Its input rows are
 * turned once into lists of the active inputs, ascending in (x,c): each entry
 * is the offset of its weights, first[x] the place of pixel x in the list. The
 * inputs of one kernel row of an output pixel are then one stretch of a list.
 * For a few panels of weights, and as much of the window at a time as keeps
 * these weights in the second-level cache, every pixel adds up its stretches;
 * sums wait in between in a buffer of the item. The order over k = (ky,kx,c)
 * of an output is the dense one.
 * SPDX-License-Identifier: MIT */
#include "convgeo.h"
#include "spikes.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

#define SPC_SLICE 16384   /* floats of weights in use at a time, about           */
#define SPC_PIXELS 192    /* pixels per item, about                              */
#define SPC_ROWS 256      /* output rows per item, at most                       */
#define SPC_RUNS 64       /* stretches per call of the kernel                    */
#define SPC_STORE 32      /* pixels finished at a time                           */
#define SPC_LISTED 262144 /* entries of the lists of an item, at most, about   */
#define SPC_WIDEN 262144  /* floats widened at a time on the dense way, about  */
#define SPC_DENSE 0.5     /* part of active inputs above which dense is faster */

typedef struct spc_job {
    const mgi_kernels *k;
    mgi_convgeo g;
    mango_idx N, words;
    const uint64_t *x;
    const float *packed;
    const mgi_bits_epilogue *e;
    float *y;
    mango_idx mu, units, panels,
        shares;                /* rows per item; items; panels, in shares for threads */
    mango_idx group, kyn, kxn; /* panels, kernel rows and columns in use at a time */
    mango_idx listed, firsts, sums; /* scratch of a thread, in 4-byte elements */
} spc_job;

/* One output row of an item: first[ky - ky0] of its kernel rows inside the map. */
typedef struct spc_row {
    mango_idx n, oy, ky0, ky1;
    const uint32_t *first; /* (W+1) for each kernel row */
} spc_row;

/* A part of the window. */
typedef struct spc_part {
    mango_idx ky0, ky1, kx0, kx1;
} spc_part;

static mango_idx spc_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

/* ---- lists ------------------------------------------------------------------- */

/* The active inputs of one row of the map; returns the end of the list. */
static uint32_t spc_list_row(const spc_job *j, const uint64_t *x, uint32_t at,
                             uint32_t *list, uint32_t *first)
{
    const uint32_t nr = (uint32_t)j->k->nr;
    const mango_idx C = j->g.C;
    for (mango_idx px = 0; px < j->g.W; px++) {
        first[px] = at;
        for (mango_idx c = 0; c < C; c += 64) {
            const uint32_t base = (uint32_t)(px * C + c) * nr;
            for (uint64_t w = *x++; w; w &= w - 1)
                list[at++] = base + (uint32_t)mgi_bits_first(w) * nr;
        }
    }
    first[j->g.W] = at;
    return at;
}

/* Output rows r0 .. r0+m of all N*OH: the lists of their input rows. */
static void spc_lists(const spc_job *j, mango_idx r0, mango_idx m, spc_row *row,
                      uint32_t *list, uint32_t *first)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx wide = g->W + 1;
    mango_idx n = -1, from = 0, next = 0; /* the image; its rows from .. next have lists, */
    uint32_t at = 0, *top = first;        /* the first of them at top                     */
    for (mango_idx i = 0; i < m; i++) {
        spc_row *q = &row[i];
        q->n = (r0 + i) / g->OH, q->oy = (r0 + i) % g->OH;
        mgi_conv_clip(q->oy, g->sh, g->py, g->kh, g->H, &q->ky0, &q->ky1);
        q->first = first;
        if (q->ky0 == q->ky1)
            continue;
        const mango_idx iy0 = q->oy * g->sh - g->py + q->ky0, iy1 = iy0 + q->ky1 - q->ky0;
        if (q->n != n || iy0 > next) {
            n = q->n;
            from = next = iy0;
            top = first;
        }
        for (; next < iy1; next++, first += wide)
            at = spc_list_row(j, j->x + (n * g->H + next) * g->W * j->words, at, list,
                              first);
        q->first = top + (iy0 - from) * wide;
    }
}

/* ---- sums -------------------------------------------------------------------- */

/* The stretches of pixels ox0 .. ox0+m of a row in a part of the window: one
 * for each kernel row of the part. */
static void spc_runs(const spc_job *j, const spc_row *q, const spc_part *w, mango_idx ox0,
                     mango_idx m, const uint32_t *list, mgi_gather *run)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, per = w->ky1 - w->ky0;
    for (mango_idx ky = w->ky0; ky < w->ky1; ky++) {
        const int inside = ky >= q->ky0 && ky < q->ky1;
        const uint32_t *first = q->first + (inside ? ky - q->ky0 : 0) * (g->W + 1);
        const mango_idx step = g->sw * g->C * nr, W = inside ? g->W : 0;
        mango_idx x0 = ox0 * g->sw - g->px, at = (ky * g->kw - x0) * g->C * nr;
        for (mgi_gather *r = run + ky - w->ky0; r < run + m * per; r += per) {
            const mango_idx lo = MGI_MIN(MGI_MAX(x0 + w->kx0, 0), W);
            const mango_idx hi = MGI_MIN(MGI_MAX(x0 + w->kx1, lo), W);
            r->n = hi > lo ? (mango_idx)(first[hi] - first[lo]) : 0;
            r->at = hi > lo ? list + first[lo] : list;
            r->b = at;
            x0 += g->sw, at -= step;
        }
    }
}

/* The next part of the window; false: all done. */
static int spc_next(const spc_job *j, spc_part *w)
{
    const mgi_convgeo *g = &j->g;
    w->kx0 = w->kx1 < g->kw ? w->kx1 : 0;
    w->ky0 = w->kx0 ? w->ky0 : w->ky1;
    w->ky1 = MGI_MIN(w->ky0 + j->kyn, g->kh);
    w->kx1 = MGI_MIN(w->kx0 + j->kxn, g->kw);
    return w->ky0 < g->kh;
}

static void spc_store(const spc_job *j, const spc_row *q, mango_idx o0, mango_idx n,
                      const float *acc, mango_idx ldacc)
{
    const mgi_convgeo *g = &j->g;
    const mgi_bits_epilogue *e = j->e;
    mango_idx off[SPC_STORE];
    const mango_idx p0 = (q->n * g->OH + q->oy) * g->OW, words = mgi_bits_words(g->O);
    for (mango_idx ox = 0; ox < g->OW; ox += SPC_STORE) {
        const mango_idx m = MGI_MIN(SPC_STORE, g->OW - ox);
        for (mango_idx i = 0; i < m; i++)
            off[i] = (p0 + ox + i) * g->O;
        j->k->finish(m, n, acc + ox * ldacc, ldacc, off, e && e->bias ? e->bias + o0 : NULL,
                     e && e->residual ? e->residual + o0 : NULL, e && e->relu && !e->bits,
                     j->y + o0);
        for (mango_idx i = 0; e && e->bits && i < m; i++) {
            mgi_bits_add_part(o0, n, e->bits + (p0 + ox + i) * words, j->y + off[i] + o0);
            if (e->relu)
                j->k->relu(n, j->y + off[i] + o0, j->y + off[i] + o0);
        }
    }
}

/* All m rows, panels q0 .. q0+np. */
static void spc_group(const spc_job *j, mango_idx m, const spc_row *row, mango_idx q0,
                      mango_idx np, const uint32_t *list, float *sums)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, pitch = g->kh * g->kw * g->C * nr, wide = np * nr;
    const float *B = j->packed + q0 * pitch;
    spc_part w = {0, 0, 0, 0};
    mgi_gather run[SPC_RUNS];
    int load = 0;
    while (spc_next(j, &w) || !load) {
        const mango_idx per = w.ky1 - w.ky0, most = SPC_RUNS / MGI_MAX(per, 1);
        float *acc = sums;
        for (mango_idx i = 0; i < m; i++)
            for (mango_idx ox = 0, n; ox < g->OW; ox += n, acc += n * wide) {
                n = MGI_MIN(most, g->OW - ox);
                spc_runs(j, &row[i], &w, ox, n, list, run);
                j->k->gather(np, n, per, run, B, pitch, acc, load);
            }
        load = 1;
    }
    for (mango_idx i = 0; i < m; i++, sums += g->OW * wide)
        spc_store(j, &row[i], q0 * nr, MGI_MIN(wide, g->O - q0 * nr), sums, wide);
}

static void spc_item(const spc_job *j, mango_idx item, float *scratch)
{
    uint32_t *first = (uint32_t *)(void *)scratch, *list = first + j->firsts;
    float *sums = scratch + j->firsts + j->listed;
    const mango_idx r0 = item / j->shares * j->mu, m = MGI_MIN(j->mu, j->N * j->g.OH - r0);
    const mango_idx s = item % j->shares;
    const mango_idx q1 = (s + 1) * j->panels / j->shares;
    spc_row row[SPC_ROWS];
    spc_lists(j, r0, m, row, list, first);
    for (mango_idx q = s * j->panels / j->shares; q < q1; q += j->group)
        spc_group(j, m, row, q, MGI_MIN(j->group, q1 - q), list, sums);
}

/* ---- planning ---------------------------------------------------------------- */

/* Input rows that m output rows need, at most. */
static mango_idx spc_rows(const mgi_convgeo *g, mango_idx m)
{
    const mango_idx images = (m + g->OH - 2) / g->OH + 1;
    return MGI_MIN(images * g->H, m * g->kh);
}

static void spc_plan(spc_job *j)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, row = MGI_MAX(g->C * g->W, 1);
    j->words = mgi_bits_words(g->C);
    j->panels = (g->O + nr - 1) / nr;
    j->group = MGI_MIN(j->k->gather_panels, j->panels);
    const mango_idx tap = MGI_MAX(g->C * j->group * nr, 1);
    j->kyn = MGI_MAX(MGI_MIN(SPC_SLICE / (tap * MGI_MAX(g->kw, 1)), g->kh), 1);
    j->kyn = MGI_MIN(j->kyn, SPC_RUNS);
    j->kxn = SPC_SLICE / tap >= g->kw ? g->kw : MGI_MAX(SPC_SLICE / tap, 1);
    j->mu = MGI_MIN(MGI_MIN(MGI_MAX(SPC_PIXELS / g->OW, 1), SPC_ROWS),
                    MGI_MAX(j->N * g->OH, 1));
    while (j->mu > 1 && spc_rows(g, j->mu) * row > SPC_LISTED)
        j->mu--;
    j->firsts = spc_up(spc_rows(g, j->mu) * (g->W + 1), 16);
    j->listed = spc_up(spc_rows(g, j->mu) * row, 16);
    j->sums = spc_up(j->mu * g->OW * j->group * nr, 16);
}

/* Equal shares for the threads: of the rows, and of the panels when there are
 * too few rows. */
static void spc_split(spc_job *j)
{
    const mango_idx T = mango_threads(), M = j->N * j->g.OH;
    j->units = (M + j->mu - 1) / j->mu;
    if (j->units >= T)
        j->units = spc_up(j->units, T);
    j->mu = MGI_MIN(j->mu, (M + j->units - 1) / j->units);
    j->units = (M + j->mu - 1) / j->mu;
    j->shares = j->units >= T ? 1 : MGI_MIN(j->panels, (T + j->units - 1) / j->units);
}

static void spc_gather(spc_job *j, float *work)
{
    const mango_idx each = j->firsts + j->listed + j->sums;
    spc_split(j);
    const mango_idx items = j->units * j->shares;
    MGI_OMP(parallel for schedule(dynamic) if (items > 1))
    for (mango_idx i = 0; i < items; i++) {
#if defined(_OPENMP)
        spc_item(j, i, work + omp_get_thread_num() * each);
#else
        spc_item(j, i, work + 0 * each);
#endif
    }
}

/* ---- the dense way ----------------------------------------------------------- */

/* Maps widened at a time. */
static mango_idx spc_widened(const mgi_conv *c, mango_idx N)
{
    const mango_idx size = c->H * c->W * c->C + c->OH * c->OW * c->O;
    return MGI_MAX(MGI_MIN(N, SPC_WIDEN / MGI_MAX(size, 1)), 1);
}

static void spc_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    const mango_idx words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (rows * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        mgi_bits_expand(1, C, x + i * words, y + i * C);
}

static void spc_dense(const mgi_conv *c, mango_idx N, const uint64_t *x,
                      const float *packed, const mgi_bits_epilogue *e, float *y,
                      float *work)
{
    const mango_idx most = spc_widened(c, N), in = c->H * c->W, out = c->OH * c->OW;
    float *wide = work, *res = wide + spc_up(most * in * c->C, 16);
    float *rest = res + spc_up(most * out * c->O, 16);
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        mgi_epilogue f = {e ? e->bias : NULL, NULL, e && e->relu};
        spc_expand(m * in, c->C, x + n * in * mgi_bits_words(c->C), wide);
        if (e && e->residual)
            f.residual = e->residual + n * out * c->O;
        if (e && e->bits) {
            spc_expand(m * out, c->O, e->bits + n * out * mgi_bits_words(c->O), res);
            f.residual = res;
        }
        mgi_conv_forward(c, m, wide, packed, &f, y + n * out * c->O, rest);
    }
}

/* ---- both -------------------------------------------------------------------- */

static int spc_is_sparse(const mgi_conv *c, mango_idx N, const uint64_t *x)
{
    const mango_idx pixels = N * c->H * c->W;
    const double active = (double)mgi_bits_total(pixels * mgi_bits_words(c->C), x);
    return !c->transposed && active <= SPC_DENSE * (double)(pixels * c->C);
}

MGI_FN mango_idx mgi_bits_conv_work(const mgi_conv *c, mango_idx N)
{
    const mango_idx most = spc_widened(c, N);
    const mango_idx dense = spc_up(most * c->H * c->W * c->C, 16) +
                            spc_up(most * c->OH * c->OW * c->O, 16) +
                            mgi_conv_work(c, most);
    spc_job j = {.k = mgi_kernels_get(), .N = N};
    if (c->transposed)
        return dense;
    mgi_convgeo_phase(c, 0, &j.g);
    spc_plan(&j);
    return MGI_MAX(dense, mango_threads() * (j.firsts + j.listed + j.sums));
}

MGI_FN void mgi_bits_conv(const mgi_conv *c, mango_idx N, const uint64_t *x,
                          const float *packed, const mgi_bits_epilogue *e, float *y,
                          float *work)
{
    spc_job j = {.k = mgi_kernels_get(), .N = N, .x = x, .packed = packed, .e = e, .y = y};
    if (!spc_is_sparse(c, N, x)) {
        spc_dense(c, N, x, packed, e, y, work);
        return;
    }
    mgi_convgeo_phase(c, 0, &j.g);
    spc_plan(&j);
    spc_gather(&j, work);
}

#undef SPC_SLICE
#undef SPC_PIXELS
#undef SPC_ROWS
#undef SPC_RUNS
#undef SPC_STORE
#undef SPC_LISTED
#undef SPC_WIDEN
#undef SPC_DENSE
