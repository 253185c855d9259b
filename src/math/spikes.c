/* spikes.c - maps of bits: widening, counting, pooling.
 * SPDX-License-Identifier: MIT */
#include "spikes.h"

MGI_FN mango_idx mgi_bits_words(mango_idx C)
{
    return mgi_ceil_div(C, 64);
}

/* ---- widening and counting ------------------------------------------------- */
MGI_FN void mgi_bits_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            const uint64_t w = *x++;
            for (mango_idx j = 0; j < m; j++)
                *y++ = (float)(w >> j & 1);
        }
}

MGI_FN void mgi_bits_from(mango_idx rows, mango_idx C, const float *x, uint64_t *y)
{
    const mango_idx words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (rows * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < rows * words; i++) {
        const mango_idx c = i % words * 64, m = MGI_MIN(64, C - c);
        const float *v = x + i / words * C + c;
        uint64_t w = 0;
        for (mango_idx j = 0; j < m; j++)
            w |= (uint64_t)(v[j] != 0.0f) << j;
        y[i] = w;
    }
}

MGI_FN void mgi_bits_add(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    for (mango_idx i = 0; i < rows; i++, y += C)
        for (mango_idx c = 0; c < C; c += 64)
            for (uint64_t w = *x++; w; w &= w - 1)
                y[c + mgi_bits_first(w)] += 1.0f;
}

MGI_FN mango_idx mgi_bits_total(mango_idx n, const uint64_t *x)
{
    const uint64_t pairs = ~(uint64_t)0 / 3, fours = ~(uint64_t)0 / 5,
                   bytes = ~(uint64_t)0 / 17;
    mango_idx sum = 0;
    for (mango_idx i = 0; i < n; i++) {
        uint64_t w = x[i];
        w -= w >> 1 & pairs;
        w = (w & fours) + (w >> 2 & fours);
        w = (w + (w >> 4)) & bytes;
        sum += (mango_idx)(w * (~(uint64_t)0 / 255) >> 56);
    }
    return sum;
}

/* ---- pools ----------------------------------------------------------------- */
MGI_FN void mgi_bits_maxpool(const mgi_pool *p, mango_idx N, const uint64_t *x, uint64_t *y)
{
    const mango_idx words = mgi_bits_words(p->C), rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * words >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const uint64_t *in = x + r / p->OH * p->H * p->W * words;
        uint64_t *out = y + r * p->OW * words;
        const mgi_pool_span rows_of = mgi_pool_rows(p, 0, r % p->OH);
        for (mango_idx ox = 0; ox < p->OW; ox++, out += words) {
            const mgi_pool_span at = mgi_pool_columns(p, 0, ox);
            memset(out, 0, (size_t)words * sizeof *out);
            for (mango_idx iy = rows_of.lo; iy < rows_of.hi; iy += rows_of.step)
                for (mango_idx ix = at.lo; ix < at.hi; ix += at.step)
                    for (mango_idx j = 0; j < words; j++)
                        out[j] |= in[(iy * p->W + ix) * words + j];
        }
    }
}

/* Counts are exact in float, so the order of a sum does not matter. */
static void spk_average(const mgi_pool *p, int adaptive, mango_idx N, const uint64_t *x,
                        float *y)
{
    const mango_idx words = mgi_bits_words(p->C), rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * p->C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const uint64_t *in = x + r / p->OH * p->H * p->W * words;
        float *out = y + r * p->OW * p->C;
        const mgi_pool_span rows_of = mgi_pool_rows(p, adaptive, r % p->OH);
        for (mango_idx ox = 0; ox < p->OW; ox++, out += p->C) {
            const mgi_pool_span at = mgi_pool_columns(p, adaptive, ox);
            const float n = mgi_pool_divisor(p, rows_of, at);
            memset(out, 0, (size_t)p->C * sizeof *out);
            for (mango_idx iy = rows_of.lo; iy < rows_of.hi; iy += rows_of.step)
                for (mango_idx ix = at.lo; ix < at.hi; ix += at.step)
                    mgi_bits_add(1, p->C, in + (iy * p->W + ix) * words, out);
            for (mango_idx c = 0; c < p->C; c++)
                out[c] = out[c] / n;
        }
    }
}

MGI_FN void mgi_bits_avgpool(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y)
{
    spk_average(p, 0, N, x, y);
}

MGI_FN void mgi_bits_adaptiveavg(const mgi_pool *p, mango_idx N, const uint64_t *x,
                                 float *y)
{
    spk_average(p, 1, N, x, y);
}
