/* rng.c - counter-based random numbers: Philox-4x32 with 10 rounds.
 *   Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3
 *   (SC 2011). Block b of the stream (seed, purpose, index) is
 *   philox(key = seed, counter = {b, purpose, index low, index high}).
 * SPDX-License-Identifier: MIT */
#include "rng.h"
#include "real.h"
#include <math.h>

/* One round multiplies two words and mixes the halves with the key. */
static void rng_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c[3] = (uint32_t)p0;
}

/* Fill buf with block n/4. A stream of more than 2^34 words goes on with the
 * key seed + 2^32. */
static void rng_block(mango_rng *r)
{
    const uint64_t b = r->n / 4;
    uint32_t k0 = (uint32_t)r->seed;
    uint32_t k1 = (uint32_t)(r->seed >> 32) + (uint32_t)(b >> 32);
    r->buf[0] = (uint32_t)b;
    r->buf[1] = r->purpose;
    r->buf[2] = (uint32_t)r->index;
    r->buf[3] = (uint32_t)(r->index >> 32);
    for (int i = 0; i < 10; i++) {
        rng_round(r->buf, k0, k1);
        k0 += 0x9E3779B9u; /* golden ratio  */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1   */
    }
    r->have = 4 - (uint32_t)(r->n % 4);
}

void mango_rng_init(mango_rng *r, uint64_t seed, uint32_t purpose, uint64_t index)
{
    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->purpose = purpose;
    r->index = index;
}

uint32_t mango_rng_u32(mango_rng *r)
{
    if (r->have == 0)
        rng_block(r);
    const uint32_t w = r->buf[r->n % 4];
    r->have--;
    r->n++;
    return w;
}

uint64_t mango_rng_u64(mango_rng *r)
{
    const uint64_t low = mango_rng_u32(r);
    return low | (uint64_t)mango_rng_u32(r) << 32;
}

double mango_rng_uniform(mango_rng *r)
{
    return (double)(mango_rng_u64(r) >> 11) * 0x1p-53;
}

float mango_rng_uniformf(mango_rng *r)
{
    return (float)(mango_rng_u32(r) >> 8) * 0x1p-24f;
}

double mango_rng_normal(mango_rng *r)
{
    const double u = 1.0 - mango_rng_uniform(r); /* (0,1]: the log is finite */
    const double v = mango_rng_uniform(r);
    return sqrt(-2.0 * mgi_log(u)) * mgi_cos2pi(v);
}

/* Lemire 2019: the high word of x n is uniform once low words below
 * 2^32 mod n are refused. */
static uint32_t rng_below(mango_rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)mango_rng_u32(r) * n;
    if ((uint32_t)m < n) {
        const uint32_t refuse = (0u - n) % n;
        while ((uint32_t)m < refuse)
            m = (uint64_t)mango_rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

mango_idx mango_rng_int(mango_rng *r, mango_idx n)
{
    if (n <= 1)
        return 0;
    const uint64_t top = (uint64_t)n - 1;
    if (top < UINT32_MAX)
        return (mango_idx)rng_below(r, (uint32_t)n);
    uint64_t mask = top, x;
    for (int s = 1; s < 64; s *= 2)
        mask |= mask >> s;
    do {
        x = mango_rng_u64(r) & mask;
    } while (x > top);
    return (mango_idx)x;
}

void mango_rng_perm(mango_rng *r, mango_idx n, mango_idx *p)
{
    for (mango_idx i = 0; i < n; i++)
        p[i] = i;
    for (mango_idx i = n - 1; i > 0; i--) { /* Fisher-Yates */
        const mango_idx j = mango_rng_int(r, i + 1);
        const mango_idx t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}
