/* half.c - half precision for packed weights: half the memory, and half the time
 * where memory is what a product waits for. Without branches, so that the loops
 * run in vectors. Same results as mgi_to_f16 and mgi_from_f16, but what is too
 * large becomes the largest half.
 * SPDX-License-Identifier: MIT */
#include "../ops.h"

#define HALF_BLOCK 1024
#define HALF_MOST 0x477fe000u /* 65504 as a float */

static uint32_t half_word(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* Normal: the bias of the exponent moves by 112, 13 bits are rounded off. Below
 * 2^-14: added to 1/2, whose last bit is 2^-24, the sum is the rounded half. */
static inline uint16_t half_from(float x)
{
    const uint32_t u = half_word(x), v = u & 0x7fffffffu;
    const uint32_t a = v < HALF_MOST ? v : HALF_MOST;
    const uint32_t normal = (a - (112u << 23) + 0xfffu + ((a >> 13) & 1u)) >> 13;
    const uint32_t tiny = half_word((x < 0 ? -x : x) + 0.5f) - 0x3f000000u;
    return (uint16_t)((u >> 16 & 0x8000u) | (a < 0x38800000u ? tiny : normal));
}

/* 2^112 moves the bias back, exactly, subnormal halves included. */
static inline float half_wide(uint16_t h)
{
    const uint32_t b = (uint32_t)(h & 0x7fffu) << 13;
    float v;
    memcpy(&v, &b, sizeof v);
    v *= 0x1p112f;
    return h & 0x8000u ? -v : v;
}

/* Finite halves as they lie in a file: one text, compiled for each kernel set. */
MGI_FN void mgi_ref_widen(mango_idx n, const unsigned char *h, float *x)
{
    for (mango_idx i = 0; i < n; i++, h += 2)
        x[i] = half_wide((uint16_t)(h[0] | h[1] << 8));
}

#if defined(__GNUC__) && defined(__x86_64__)
#define HALF_WIDEN(name, set)                                                                  \
    __attribute__((target(set)))                                                           \
    MGI_FN void name(mango_idx n, const unsigned char *h, float *x)                        \
    {                                                                                          \
        for (mango_idx i = 0; i < n; i++) {                                                    \
            uint16_t one;                                                                      \
            memcpy(&one, h + 2 * i, sizeof one);                                               \
            x[i] = half_wide(one);                                                             \
        }                                                                                      \
    }
HALF_WIDEN(mgi_avx2_widen, "avx2")
HALF_WIDEN(mgi_avx512_widen, "avx512f")
#undef HALF_WIDEN
#endif

MGI_FN void mgi_halves(mango_idx n, const float *x, uint16_t *h)
{
    for (mango_idx i = 0; i < n; i++)
        h[i] = half_from(x[i]);
}

MGI_FN void mgi_from_halves(mango_idx n, const uint16_t *h, float *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] = half_wide(h[i]);
}

/* Does any of n <= HALF_BLOCK numbers change as a half? */
static int half_lossy(mango_idx n, const float *x)
{
    int lost = 0;
    for (mango_idx i = 0; i < n; i++)
        lost |= half_wide(half_from(x[i])) != x[i];
    return lost;
}

MGI_FN int mgi_halves_exact(mango_idx n, const float *x)
{
    int lost = half_lossy(MGI_MIN(HALF_BLOCK, n), x); /* most weights show it at once */
    MGI_OMP(parallel for reduction(| : lost) if (n >= MGI_GRAIN && !lost))
    for (mango_idx i = HALF_BLOCK; i < n; i += HALF_BLOCK)
        lost |= lost || half_lossy(MGI_MIN(HALF_BLOCK, n - i), x + i);
    return !lost;
}

#undef HALF_BLOCK
#undef HALF_MOST
