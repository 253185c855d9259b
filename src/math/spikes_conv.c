/* spikes_conv.c - convolution over maps of bits: add the weights of what is active.
 *
 * A tile is one output position in up to SPC_ROWS maps (the time steps of one
 * input, or of several when they are few), times 64 outputs, which is one word
 * of spikes. Its sums, 32 KiB at most, stay in the caches next to it while the window is
 * walked through in blocks of one tap and 64 channels, whose weights for 64
 * outputs are another 16 KiB: each row scans its word of the input and adds a
 * row of weights to its sums for each bit. The order over k = (ky,kx,c) of an
 * output is the dense one. Then the tile is finished: bias and residual are
 * added and it is stored, or it goes through the LIF layer behind, step by step,
 * and only its spikes are stored.
 *
 * A scan ends with a branch that nobody can foresee, 15 cycles or so each, as
 * much as 4 active inputs. So the words of a block are sorted once, by the
 * number of their bits, words without any left out: all tiles and taps use the
 * sorted ones, and neighbours in them end alike.
 *
 * With weights of 8 bits (conv.int8) sums are made in 16, next to the others; the
 * largest number of bits among a block's words tells how many of these may be
 * added before they must be drained into the sums as floats. A block's weights
 * are 4 KiB then, and the sums 16.
 *
 * An input that repeats itself over time gives equal windows in many steps:
 * the sums are then made once for each different window.
 * SPDX-License-Identifier: MIT */
#include "conv_geometry.h"
#include "spikes.h"

#define SPC_ROWS 128      /* rows of a tile, at most                             */
#define SPC_OUT 64        /* outputs of a tile                                   */
#define SPC_SUMS (SPC_ROWS * (SPC_OUT + MGI_INT8_OUT / 2)) /* floats of a thread */
#define SPC_WINDOW 64     /* words of a window that is looked at for repetition  */
#define SPC_WIDEN 262144  /* floats widened at a time on the dense way, about    */
#define SPC_GRAIN 65536   /* additions below which one thread does it            */
#define SPC_NEAR 131072   /* floats of weights that stay in the second-level cache */
#define SPC_LINE 16       /* floats of a cache line                              */
#define SPC_DENSE 0.5     /* part of active inputs above which dense is faster   */

typedef struct spc_job {
    const mgi_kernels *k;
    mgi_convgeo g;
    const uint64_t *x;
    const float *packed;
    const int8_t *int8;      /* weights of 8 bits; packed: their scales  */
    const mgi_bits_epilogue *e;
    float *y;                /* the sums go here, or, when NULL, ...     */
    const mgi_bits_lif *lif; /* ... through this                         */
    mango_idx T, B;          /* N = T*B maps, n = t*B + b                */
    mango_idx words, owords; /* of an input and of an output pixel       */
    double active;           /* inputs                                   */
    mango_idx tb, nb;        /* steps and inputs of a tile               */
    mango_idx times, lanes, groups; /* parts of T, B and O               */
    uint64_t *word;          /* (y,x,word,lane,time,nb*tb): sorted words */
    uint8_t *row, *many;     /* ... their maps in a tile; how many words */
    float *sums;             /* SPC_SUMS of each thread                  */
} spc_job;

typedef struct spc_tile {
    mango_idx pos, iy, ix;         /* output position; where its window begins  */
    mango_idx b0, B, t0, T;        /* its inputs and steps: maps i = b*T + t    */
    mango_idx panel, panels, wide, o0, n; /* its outputs; wide: panels*nr       */
    mango_idx rows;                /* B*T, or the number of different windows   */
    uint16_t map[SPC_ROWS];        /* a map of row r                            */
    uint16_t row[SPC_ROWS];        /* the row of map i                          */
    float *acc;                    /* (rows,wide)                               */
    int16_t *low;                  /* (rows,64) or NULL: with weights of 8 bits */
} spc_tile;

/* ---- input ----------------------------------------------------------------------- */

static int spc_count(uint64_t w)
{
#if defined(__GNUC__) && defined(__POPCNT__)
    return __builtin_popcountll(w);
#else
    return (int)mgi_bits_total(1, &w);
#endif
}

/* Inputs b0 .. b0+B-1 and steps t0 .. t0+T-1 of a tile's maps. */
static void spc_part(const spc_job *j, mango_idx lane, mango_idx time, spc_tile *u)
{
    u->b0 = lane * j->nb;
    u->B = MGI_MIN(j->nb, j->B - u->b0);
    u->t0 = time * j->tb;
    u->T = MGI_MIN(j->tb, j->T - u->t0);
}

/* Word i (of a map) in the maps of part s, sorted by their number of bits. */
static void spc_sort(const spc_job *j, mango_idx i, mango_idx s)
{
    const mango_idx words = j->g.H * j->g.W * j->words, parts = j->lanes * j->times;
    const mango_idx at = (i * parts + s) * j->nb * j->tb;
    uint64_t w[SPC_ROWS];
    uint8_t n[SPC_ROWS], end[66] = {0};
    mango_idx m = 0;
    spc_tile u;
    spc_part(j, s / j->times, s % j->times, &u);
    for (mango_idx b = u.b0; b < u.b0 + u.B; b++)
        for (mango_idx t = u.t0; t < u.t0 + u.T; t++, m++) {
            w[m] = j->x[(t * j->B + b) * words + i];
            n[m] = (uint8_t)spc_count(w[m]);
            end[n[m] + 1]++;
        }
    j->many[i * parts + s] = (uint8_t)(m - end[1]);
    end[1] = 0;
    for (int k = 1; k < 65; k++)
        end[k + 1] = (uint8_t)(end[k + 1] + end[k]);
    for (mango_idx r = 0; r < m; r++)
        if (n[r] > 0) {
            const mango_idx q = at + end[n[r]]++;
            j->word[q] = w[r];
            j->row[q] = (uint8_t)r;
        }
}

static void spc_sort_all(const spc_job *j)
{
    const mango_idx words = j->g.H * j->g.W * j->words, parts = j->lanes * j->times;
    MGI_OMP(parallel for schedule(static) if (words * j->T * j->B >= MGI_GRAIN))
    for (mango_idx i = 0; i < words * parts; i++)
        spc_sort(j, i / parts, i % parts);
}

/* The first word of tap (ky,kx) of a tile among those of a map; -1: outside. */
static mango_idx spc_tap(const spc_job *j, const spc_tile *u, mango_idx ky, mango_idx kx)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx iy = u->iy + ky, ix = u->ix + kx;
    if (iy < 0 || iy >= g->H || ix < 0 || ix >= g->W)
        return -1;
    return (iy * g->W + ix) * j->words;
}

/* Do maps i and r of the tile have the same window? x: its words in map 0. */
static int spc_same(const spc_job *j, const spc_tile *u, mango_idx n, const uint64_t *const *x,
                    mango_idx i, mango_idx r)
{
    const mango_idx words = j->g.H * j->g.W * j->words;
    const mango_idx a = (i % u->T * j->B + i / u->T) * words;
    const mango_idx b = (r % u->T * j->B + r / u->T) * words;
    mango_idx v = 0;
    while (v < n && x[v][a] == x[v][b])
        v++;
    return v == n;
}

/* One row for each different window; equal ones are told by a hash first. */
static void spc_different(const spc_job *j, spc_tile *u)
{
    const mango_idx words = j->g.H * j->g.W * j->words;
    const uint64_t *x[SPC_WINDOW], *map = j->x + (u->t0 * j->B + u->b0) * words;
    uint64_t hash[SPC_ROWS];
    mango_idx n = 0;
    for (mango_idx k = 0; k < j->g.kh * j->g.kw; k++) {
        const mango_idx tap = spc_tap(j, u, k / j->g.kw, k % j->g.kw);
        for (mango_idx v = 0; tap >= 0 && v < j->words; v++)
            x[n++] = map + tap + v;
    }
    u->rows = 0;
    for (mango_idx i = 0; i < u->B * u->T; i++) {
        const mango_idx at = (i % u->T * j->B + i / u->T) * words;
        uint64_t h = 0;
        mango_idx r = 0;
        for (mango_idx v = 0; v < n; v++)
            h = (h ^ x[v][at]) * 0x9E3779B97F4A7C15u;
        while (r < u->rows && (hash[r] != h || !spc_same(j, u, n, x, i, u->map[r])))
            r++;
        u->row[i] = (uint16_t)r;
        if (r < u->rows)
            continue;
        hash[r] = h;
        u->map[u->rows++] = (uint16_t)i;
    }
}

/* ---- sums ------------------------------------------------------------------------ */

/* The words of the rows of a tile among the a->m of all its maps. */
static void spc_choose(const spc_tile *u, mgi_active *a, uint64_t *word, uint8_t *row)
{
    mango_idx m = 0;
    for (mango_idx i = 0; i < a->m; i++) {
        word[m] = a->x[i];
        row[m] = (uint8_t)u->row[a->row[i]];
        m += u->map[row[m]] == a->row[i];
    }
    a->m = m;
    a->x = word;
    a->row = row;
}

/* Sums of rows below row k of the weights: 16 bits have room for `left` more. */
static void spc_add_int8(const spc_job *j, const spc_tile *u, const mgi_active *a, mango_idx k,
                         int *left)
{
    const mango_idx K = j->g.kh * j->g.kw * j->g.C;
    const int most = a->m > 0 ? spc_count(a->x[a->m - 1]) : 0;
    if (most > *left) {
        j->k->drain(u->rows * u->wide, u->low, u->acc);
        *left = MGI_INT8_ADDS;
    }
    *left -= most;
    j->k->gather_int8(a, j->int8 + (u->o0 * K + k * MGI_INT8_OUT), u->low);
}

/* What the gather of word v of tap k asks for: the weights behind its own, when
 * those of 64 outputs do not stay in the second-level cache anyway. */
static void spc_ahead(const spc_job *j, mango_idx k, mango_idx v, const float *b, mgi_active *a)
{
    const mango_idx nr = j->k->nr, taps = j->g.kh * j->g.kw, C = j->g.C;
    const mango_idx left = (taps - k) * C - MGI_MIN((v + 1) * 64, C);
    a->ahead = b + MGI_MIN(64, C - v * 64) * nr;
    a->lines = taps * C * SPC_OUT > SPC_NEAR ? MGI_MIN(64, left) * nr / SPC_LINE : 0;
}

static void spc_sum(const spc_job *j, const spc_tile *u, mango_idx part)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, pitch = g->kh * g->kw * g->C * nr;
    const mango_idx parts = j->lanes * j->times, maps = j->nb * j->tb;
    const float *b = j->packed + u->panel * pitch;
    uint64_t word[SPC_ROWS];
    uint8_t row[SPC_ROWS];
    int left = MGI_INT8_ADDS;
    memset(u->acc, 0, (size_t)(u->rows * u->wide) * sizeof *u->acc);
    for (mango_idx t = 0; t < g->kh * g->kw; t++) {
        const mango_idx tap = spc_tap(j, u, t / g->kw, t % g->kw);
        for (mango_idx v = 0; tap >= 0 && v < j->words; v++) {
            const mango_idx at = (tap + v) * parts + part, k = t * g->C + v * 64;
            mgi_active a = {j->many[at], j->word + at * maps, j->row + at * maps, NULL, 0};
            if (u->rows < u->B * u->T)
                spc_choose(u, &a, word, row);
            if (j->int8)
                spc_add_int8(j, u, &a, k, &left);
            else {
                spc_ahead(j, t, v, b + k * nr, &a);
                j->k->gather(u->panels, &a, b + k * nr, pitch, u->acc);
            }
        }
    }
}

/* Integers into values: y = fma(Q, sum, bias). */
static void spc_scale(const spc_job *j, const spc_tile *u)
{
    float shift[SPC_OUT] = {0.0f};
    if (j->e && j->e->bias)
        memcpy(shift, j->e->bias + u->o0, (size_t)u->n * sizeof *shift);
    j->k->drain(u->rows * u->wide, u->low, u->acc);
    j->k->scale_shift(u->rows, u->wide, j->packed + u->o0, shift, u->acc, u->acc);
}

/* What is still to be added to a tile. */
static const float *spc_bias(const spc_job *j, const spc_tile *u)
{
    return j->e && j->e->bias && !j->int8 ? j->e->bias + u->o0 : NULL;
}

/* ---- what becomes of a tile -------------------------------------------------------- */

/* The pixel of map i of the tile among all (t,b,oy,ox). */
static mango_idx spc_pixel(const spc_job *j, const spc_tile *u, mango_idx i)
{
    const mango_idx b = u->b0 + i / u->T, t = u->t0 + i % u->T;
    return (t * j->B + b) * j->g.OH * j->g.OW + u->pos;
}

static void spc_store(const spc_job *j, const spc_tile *u)
{
    const mgi_bits_epilogue *e = j->e;
    mango_idx off[SPC_ROWS];
    for (mango_idx r = 0; r < u->rows; r++)
        off[r] = spc_pixel(j, u, r) * j->g.O;
    j->k->finish(u->rows, u->n, u->acc, u->wide, off, spc_bias(j, u),
                 e && e->residual ? e->residual + u->o0 : NULL, e && e->relu && !e->bits,
                 j->y + u->o0);
    for (mango_idx r = 0; e && e->bits && r < u->rows; r++) {
        float *y = j->y + off[r] + u->o0;
        mgi_bits_add(1, u->n, e->bits + off[r] / j->g.O * j->owords + u->o0 / SPC_OUT, y);
        if (e->relu)
            j->k->relu(u->n, y, y);
    }
}

static void spc_fire(const spc_job *j, const spc_tile *u)
{
    const mgi_bits_epilogue *e = j->e;
    const mango_idx HW = j->g.OH * j->g.OW, step = j->B * HW, v = u->o0 / SPC_OUT;
    for (mango_idx b = 0; b < u->B; b++) {
        const mango_idx p = spc_pixel(j, u, b * u->T);
        const mgi_lif_run q = {
            .T = u->T,
            .n = u->n,
            .X = u->acc,
            .ldX = u->wide,
            .row = u->row + b * u->T,
            .bias = spc_bias(j, u),
            .res = e && e->residual ? e->residual + p * j->g.O + u->o0 : NULL,
            .ldres = step * j->g.O,
            .bits = e && e->bits ? e->bits + p * j->owords + v : NULL,
            .ldbits = step * j->owords,
            .U = j->lif->U + ((u->b0 + b) * HW + u->pos) * j->g.O + u->o0,
            .S = j->lif->S + p * j->owords + v,
            .ldS = step * j->owords};
        j->k->lif_bits(&j->lif->rule, &q);
    }
}

/* sums: SPC_SUMS floats, a tile's sums, and those of 16 bits behind them. */
static void spc_item(const spc_job *j, mango_idx group, mango_idx pos, mango_idx lane,
                     mango_idx time, float *sums)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr;
    spc_tile u;
    u.pos = pos;
    u.iy = pos / g->OW * g->sh - g->py;
    u.ix = pos % g->OW * g->sw - g->px;
    spc_part(j, lane, time, &u);
    u.o0 = group * SPC_OUT;
    u.n = MGI_MIN(SPC_OUT, g->O - u.o0);
    u.panel = u.o0 / nr;
    u.panels = mgi_ceil_div(u.n, nr);
    u.wide = j->int8 ? MGI_INT8_OUT : u.panels * nr;
    u.acc = sums;
    u.rows = u.B * u.T;
    for (mango_idx i = 0; i < u.rows; i++)
        u.row[i] = (uint16_t)i;
    if (j->lif && j->lif->repeats)
        spc_different(j, &u);
    u.low = (int16_t *)(void *)(sums + SPC_ROWS * SPC_OUT);
    if (j->int8)
        memset(u.low, 0, (size_t)(u.rows * u.wide) * sizeof *u.low);
    spc_sum(j, &u, lane * j->times + time);
    if (j->int8)
        spc_scale(j, &u);
    if (j->lif)
        spc_fire(j, &u);
    else
        spc_store(j, &u);
}

/* Tiles: parts of T and B, so that a tile has SPC_ROWS rows or a bit less. */
static void spc_parts(spc_job *j)
{
    j->times = mgi_ceil_div(j->T, SPC_ROWS);
    j->tb = mgi_ceil_div(j->T, j->times);
    j->nb = MGI_MAX(SPC_ROWS / j->T, 1);
    j->lanes = mgi_ceil_div(j->B, j->nb);
    j->nb = mgi_ceil_div(j->B, j->lanes);
    j->groups = mgi_ceil_div(j->g.O, SPC_OUT);
}

/* Floats for the sums of all threads, on a line, and for the sorted words of N maps;
 * parts of T and B waste a third at most. */
static mango_idx spc_sorted(const mgi_conv *c, mango_idx N)
{
    const mango_idx n = c->H * c->W * mgi_bits_words(c->C) * (N + N / 2 + SPC_ROWS);
    const mango_idx words = n * (mango_idx)(sizeof(uint64_t) + 2) / (mango_idx)sizeof(float);
    return SPC_LINE + mango_threads() * SPC_SUMS + words + 1;
}

/* Membranes go from step to step, so all steps of an input stay with one thread;
 * tiles of one group of outputs follow each other, since they share weights. */
static void spc_gather(spc_job *j, float *work)
{
    const mango_idx HW = j->g.OH * j->g.OW, n = j->groups * HW * j->lanes;
    const mango_idx words = j->g.H * j->g.W * j->words, parts = j->lanes * j->times;
    const double adds = j->active * (double)(j->g.kh * j->g.kw * j->g.O);
    const mango_idx off = (mango_idx)((uintptr_t)(void *)work / sizeof *work % SPC_LINE);
    j->sums = work + (SPC_LINE - off) % SPC_LINE;
    j->word = (uint64_t *)(void *)(j->sums + mango_threads() * SPC_SUMS);
    j->row = (uint8_t *)(void *)(j->word + words * parts * j->nb * j->tb);
    j->many = j->row + words * parts * j->nb * j->tb;
    spc_sort_all(j);
    MGI_OMP(parallel for schedule(dynamic) if (n > 1 && adds >= SPC_GRAIN))
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx t = 0; t < j->times; t++)
            spc_item(j, i / j->lanes / HW, i / j->lanes % HW, i % j->lanes, t,
                     mgi_thread_scratch(j->sums, SPC_SUMS));
    (void)adds;
}

/* ---- the dense way ----------------------------------------------------------------- */

/* Maps widened at a time. */
static mango_idx spc_widened(const mgi_conv *c, mango_idx N)
{
    const mango_idx size = c->H * c->W * c->C + 2 * c->OH * c->OW * c->O;
    return MGI_MAX(MGI_MIN(N, SPC_WIDEN / MGI_MAX(size, 1)), 1);
}

static void spc_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    const mango_idx words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (rows * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        mgi_bits_expand(1, C, x + i * words, y + i * C);
}

/* Maps n .. n+m-1, whose currents are X, through the LIF layer. */
static void spc_fire_dense(const spc_job *j, mango_idx n, mango_idx m, const float *X)
{
    const mango_idx HW = j->g.OH * j->g.OW, O = j->g.O;
    for (mango_idx i = 0; i < m; i++) {
        const mango_idx b = (n + i) % j->B;
        MGI_OMP(parallel for schedule(static) if (HW * O >= MGI_GRAIN))
        for (mango_idx p = 0; p < HW * j->owords; p++) {
            const mango_idx o = p % j->owords * 64, at = p / j->owords * O + o;
            const mgi_lif_run q = {.T = 1,
                                   .n = MGI_MIN(64, O - o),
                                   .X = X + i * HW * O + at,
                                   .U = j->lif->U + b * HW * O + at,
                                   .S = j->lif->S + (n + i) * HW * j->owords + p};
            j->k->lif_bits(&j->lif->rule, &q);
        }
    }
}

static void spc_dense(const spc_job *j, const mgi_conv *c, float *work)
{
    const mango_idx N = j->T * j->B, in = c->H * c->W, out = c->OH * c->OW;
    const mango_idx most = spc_widened(c, N);
    const mgi_bits_epilogue *e = j->e;
    float *wide = work, *res = wide + mgi_round_up(most * in * c->C, 16);
    float *X = res + mgi_round_up(most * out * c->O, 16),
          *rest = X + mgi_round_up(most * out * c->O, 16);
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        float *y = j->lif ? X : j->y + n * out * c->O;
        mgi_epilogue f = {e ? e->bias : NULL, NULL, e && e->relu};
        spc_expand(m * in, c->C, j->x + n * in * j->words, wide);
        if (e && e->residual)
            f.residual = e->residual + n * out * c->O;
        if (e && e->bits) {
            spc_expand(m * out, c->O, e->bits + n * out * j->owords, res);
            f.residual = res;
        }
        mgi_conv_forward(c, m, wide, j->packed, &f, y, rest);
        if (j->lif)
            spc_fire_dense(j, n, m, X);
    }
}

/* ---- both ---------------------------------------------------------------------------- */

MGI_FN mango_idx mgi_bits_conv_work(const mgi_conv *c, mango_idx N)
{
    const mango_idx most = spc_widened(c, N), in = c->H * c->W, out = c->OH * c->OW;
    const mango_idx dense = mgi_round_up(most * in * c->C, 16) +
                            2 * mgi_round_up(most * out * c->O, 16) +
                            mgi_conv_work(c, most);
    return c->int8 ? spc_sorted(c, N) : MGI_MAX(dense, spc_sorted(c, N));
}

static void spc_run(spc_job *j, const mgi_conv *c, float *work)
{
    const mango_idx pixels = j->T * j->B * c->H * c->W;
    j->k = mgi_kernels_get();
    j->words = mgi_bits_words(c->C);
    j->owords = mgi_bits_words(c->O);
    j->active = (double)mgi_bits_total(pixels * j->words, j->x);
    mgi_convgeo_phase(c, 0, &j->g);
    spc_parts(j);
    if (c->int8)
        j->int8 = mgi_int8_panels(c, j->packed);
    if (!j->int8 && (c->transposed || j->active > SPC_DENSE * (double)(pixels * c->C)))
        spc_dense(j, c, work);
    else
        spc_gather(j, work);
}

MGI_FN void mgi_bits_conv(const mgi_conv *c, mango_idx N, const uint64_t *x,
                          const float *packed, const mgi_bits_epilogue *e, float *y,
                          float *work)
{
    spc_job j = {.x = x, .packed = packed, .e = e, .y = y, .T = 1, .B = N};
    spc_run(&j, c, work);
}

MGI_FN void mgi_bits_conv_lif(const mgi_conv *c, mango_idx N, const uint64_t *x,
                              const float *packed, const mgi_bits_epilogue *e,
                              const mgi_bits_lif *lif, float *work)
{
    mgi_bits_lif l = *lif;
    spc_job j = {.x = x, .packed = packed, .e = e, .lif = &l, .T = N / l.B, .B = l.B};
    l.repeats = l.repeats && c->kh * c->kw * mgi_bits_words(c->C) <= SPC_WINDOW;
    spc_run(&j, c, work);
}

#undef SPC_ROWS
#undef SPC_OUT
#undef SPC_SUMS
#undef SPC_WINDOW
#undef SPC_WIDEN
#undef SPC_GRAIN
#undef SPC_NEAR
#undef SPC_LINE
#undef SPC_DENSE
