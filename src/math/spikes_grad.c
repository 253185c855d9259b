/* spikes_grad.c - the gradient by the weights of a convolution over 0 and 1.
 *
 * dW(k,o) is then the sum of dy(pixel,o) over the pixels where input k is 1,
 * ascending: what conv_grad.c sums, without the terms that are zero. A chain
 * that starts at +0 never becomes -0, so nothing else changes. For a kernel
 * position, a block of pixels and 64 channels, the words of the pixels (a bit a
 * channel) are turned into words of the channels (a bit a pixel); each channel
 * then adds up its rows of dy, 64 outputs at a time, in registers. A block of
 * dy is 16 KiB and stays in the first-level cache for the 64 channels; larger
 * stretches of pixels stay in the second for all kernel positions.
 * SPDX-License-Identifier: MIT */
#include "spikes_grad.h"
#include "loops.h"

#define SPG_BLOCK 4096    /* floats of dy in use at a time         */
#define SPG_STRETCH 65536 /* floats of dy for all kernel positions */
#define SPG_WORDS 16      /* words of a block, at most             */

typedef struct spg_job {
    const mgi_loops *l;
    mgi_convgeo g;
    mango_idx N, words, block, stretch; /* of pixels, block in words */
    const uint64_t *x;
    const float *dy;
    float *R; /* (kh,kw,C,O) */
} spg_job;

/* a(i) bit j becomes a(j) bit i; squares of 32, 16, ... 1 change places. */
static void spg_turn(uint64_t *a)
{
    uint64_t m = 0xffffffffu;
    for (int j = 32; j > 0; j /= 2, m ^= m << j)
        for (int i = 0; i < 64; i += 2 * j)
            for (int k = i; k < i + j; k++) {
                const uint64_t t = ((a[k] >> j) ^ a[k + j]) & m;
                a[k] ^= t << j;
                a[k + j] ^= t;
            }
}

/* Word w of the inputs at kernel position (ky,kx) of pixels p .. p+n <= 64. */
static void spg_words(const spg_job *j, mango_idx ky, mango_idx kx, mango_idx w, mango_idx p,
                      mango_idx n, uint64_t *a)
{
    const mgi_convgeo *g = &j->g;
    mango_idx ox = p % g->OW, oy = p / g->OW % g->OH, image = p / g->OW / g->OH;
    memset(a, 0, 64 * sizeof *a);
    while (n > 0) {
        const mango_idx iy = oy * g->sh - g->py + ky, m = MGI_MIN(n, g->OW - ox);
        const uint64_t *row = j->x + (image * g->H + iy) * g->W * j->words + w;
        mango_idx ix = ox * g->sw - g->px + kx;
        for (mango_idx i = 0; iy >= 0 && iy < g->H && i < m; i++, ix += g->sw)
            a[i] = ix >= 0 && ix < g->W ? row[ix * j->words] : 0;
        a += m;
        n -= m;
        ox = 0;
        if (++oy == g->OH)
            oy = 0, image++;
    }
}

/* Kernel position t and channels from 64*w on, pixels p0 .. p1. */
static void spg_part(const spg_job *j, mango_idx t, mango_idx w, mango_idx p0, mango_idx p1)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx C = MGI_MIN(64, g->C - 64 * w), O = g->O;
    float *R = j->R + (t * g->C + 64 * w) * O;
    uint64_t a[64], mask[64 * SPG_WORDS];
    for (mango_idx p = p0; p < p1; p += 64 * j->block) {
        const mango_idx left = p1 - p, words = MGI_MIN(j->block, mgi_ceil_div(left, 64));
        for (mango_idx k = 0; k < words; k++) {
            spg_words(j, t / g->kw, t % g->kw, w, p + 64 * k, MGI_MIN(64, left - 64 * k), a);
            spg_turn(a);
            for (mango_idx c = 0; c < C; c++)
                mask[c * words + k] = a[c];
        }
        for (mango_idx o = 0; o < O; o += 64)
            j->l->sum_rows(C, MGI_MIN(64, O - o), words, mask, j->dy + p * O + o, O, R + o, O,
                           p > 0);
    }
}

static void spg_item(const spg_job *j, mango_idx i0, mango_idx i1)
{
    const mango_idx P = j->N * j->g.OH * j->g.OW;
    for (mango_idx p = 0; p < P; p += j->stretch)
        for (mango_idx i = i0; i < i1; i++)
            spg_part(j, i / j->words, i % j->words, p, MGI_MIN(P, p + j->stretch));
}

MGI_FN int mgi_bits_pack(mango_idx rows, mango_idx C, const float *x, uint64_t *bits)
{
    const mgi_loops *l = mgi_loops_get();
    const mango_idx words = mgi_bits_words(C), chunks = (rows * C + 32767) / 32768;
    const mango_idx each = chunks > 0 ? mgi_ceil_div(rows, chunks) : 0;
    int good = l->bits(MGI_MIN(rows, 4), C, x, bits); /* most other maps stop here */
    if (!good)
        return 0;
    MGI_OMP(parallel for if (chunks > 1) reduction(&& : good))
    for (mango_idx k = 0; k < chunks; k++) {
        const mango_idx r = k * each, n = MGI_MAX(0, MGI_MIN(each, rows - r));
        good = good && l->bits(n, C, x + r * C, bits + r * words);
    }
    return good;
}

MGI_FN int mgi_bits_few(mango_idx rows, mango_idx C, mango_idx O, const uint64_t *bits)
{
    const double most = O >= 48 ? 0.5 : O >= 32 ? 0.4 : O >= 16 ? 0.25 : 0;
    return C >= 16 && (double)mgi_bits_total(rows * mgi_bits_words(C), bits) <=
                          most * (double)(rows * C);
}

MGI_FN void mgi_bits_conv_weights(const mgi_convgeo *g, mango_idx N, const uint64_t *x,
                                  const float *dy, float *R)
{
    spg_job j = {.l = mgi_loops_get(), .g = *g, .N = N, .words = mgi_bits_words(g->C), .x = x,
                 .dy = dy, .R = R};
    const mango_idx wide = 64 * MGI_MIN(64, g->O);
    j.block = MGI_MAX(1, MGI_MIN(SPG_WORDS, SPG_BLOCK / wide));
    j.stretch = MGI_MAX(1, SPG_STRETCH / (64 * g->O * j.block)) * 64 * j.block;
    const mango_idx items = g->kh * g->kw * j.words, T = MGI_MIN(items, mango_threads());
    MGI_OMP(parallel for if (T > 1))
    for (mango_idx i = 0; i < T; i++)
        spg_item(&j, i * items / T, (i + 1) * items / T);
}

/* ---- forward --------------------------------------------------------------- */

/* Floats that hold x as bits. */
static mango_idx spg_bits(const mgi_conv *c, mango_idx N)
{
    return (2 * N * c->H * c->W * mgi_bits_words(c->C) + 15) / 16 * 16;
}

/* Floats of packed weights, to a cache line. */
static mango_idx spg_packed(const mgi_conv *c)
{
    return (mgi_conv_packed(c) + 15) / 16 * 16;
}

MGI_FN mango_idx mgi_conv_either_work(const mgi_conv *c, mango_idx N)
{
    mgi_conv plain = *c;
    plain.winograd = 0;
    const mango_idx fast = spg_packed(c) + mgi_conv_work(c, N);
    const mango_idx dense = MGI_MAX(fast, spg_packed(&plain) + mgi_conv_work(&plain, N));
    return spg_bits(c, N) +
           (c->transposed || !mgi_conv_is_plain(c)
                ? dense
                : MGI_MAX(dense, spg_packed(&plain) + mgi_bits_conv_work(c, N)));
}

MGI_FN void mgi_conv_either(const mgi_conv *c, mango_idx N, const float *x, const float *w,
                            const float *bias, float *y, float *work)
{
    const mgi_epilogue e = {.bias = bias};
    const mgi_bits_epilogue be = {.bias = bias};
    uint64_t *bits = (uint64_t *)(void *)work;
    const mango_idx pixels = N * c->H * c->W;
    const int spikes =
        mgi_conv_is_plain(c) && !c->transposed && mgi_bits_pack(pixels, c->C, x, bits);
    mgi_conv f = *c;
    float *packed = work + spg_bits(c, N);
    if (spikes)
        f.winograd = 0;
    mgi_conv_pack(&f, w, packed);
    work = packed + spg_packed(&f);
    if (spikes && mgi_bits_few(pixels, c->C, c->O, bits))
        mgi_bits_conv(&f, N, bits, packed, &be, y, work);
    else
        mgi_conv_forward(&f, N, x, packed, &e, y, work);
}

#undef SPG_BLOCK
#undef SPG_STRETCH
#undef SPG_WORDS
