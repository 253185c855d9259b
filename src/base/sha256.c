/* sha256.c - the rounds of SHA-256 (FIPS 180-4, section 6.2), n blocks a call:
 * plain C, and the instructions that newer x86 processors have for them.
 *
 *   T1 = h + S1(e) + Ch(e,f,g) + K[i] + W[i]      T2 = S0(a) + Maj(a,b,c)     (1)
 *   W[i] = s1(W[i-2]) + W[i-7] + s0(W[i-15]) + W[i-16]                        (2)
 * SPDX-License-Identifier: MIT */
#include "hash.h"
#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* K: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u,
    0x923f82a4u, 0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u,
    0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u,
    0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u,
    0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u,
    0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au,
    0x5b9cca4fu, 0x682e6ff3u, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u,
    0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

#define SHA_ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* (1): instead of moving eight words along, the caller moves their names. */
#define SHA_ROUND(a, b, c, d, e, f, g, h, i)                                             \
    do {                                                                                 \
        const uint32_t t1 = h + (SHA_ROTR(e, 6) ^ SHA_ROTR(e, 11) ^ SHA_ROTR(e, 25)) +   \
                            (g ^ (e & (f ^ g))) + sha_k[i] + w[(i) & 15];                \
        d += t1;                                                                         \
        h = t1 + (SHA_ROTR(a, 2) ^ SHA_ROTR(a, 13) ^ SHA_ROTR(a, 22)) +                  \
            ((a & b) | (c & (a | b)));                                                   \
    } while (0)

/* (2), in a ring of 16 words. */
static void sha_schedule(uint32_t w[16])
{
    for (int i = 0; i < 16; i++) {
        const uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
        w[i] += (SHA_ROTR(x, 7) ^ SHA_ROTR(x, 18) ^ x >> 3) + w[(i + 9) & 15] +
                (SHA_ROTR(y, 17) ^ SHA_ROTR(y, 19) ^ y >> 10);
    }
}

MGI_FN void mgi_sha256_ref(uint32_t H[8], const unsigned char *p, mango_idx n)
{
    for (; n > 0; n--) {
        uint32_t a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6],
                 h = H[7], w[16];
        for (int i = 0; i < 16; i++, p += 4)
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
                   (uint32_t)p[3];
        for (int i = 0; i < 64; i += 8) {
            if (i > 0 && i % 16 == 0)
                sha_schedule(w);
            SHA_ROUND(a, b, c, d, e, f, g, h, i);
            SHA_ROUND(h, a, b, c, d, e, f, g, i + 1);
            SHA_ROUND(g, h, a, b, c, d, e, f, i + 2);
            SHA_ROUND(f, g, h, a, b, c, d, e, i + 3);
            SHA_ROUND(e, f, g, h, a, b, c, d, i + 4);
            SHA_ROUND(d, e, f, g, h, a, b, c, i + 5);
            SHA_ROUND(c, d, e, f, g, h, a, b, i + 6);
            SHA_ROUND(b, c, d, e, f, g, h, a, i + 7);
        }
        H[0] += a, H[1] += b, H[2] += c, H[3] += d;
        H[4] += e, H[5] += f, H[6] += g, H[7] += h;
    }
}

#if defined(__GNUC__) && defined(__x86_64__)
/* The state lies in two registers as (a,b,e,f) and (c,d,g,h), highest word
 * first; one instruction makes two rounds. w[0..3]: the next 16 words. */
__attribute__((target("sha,sse4.1"))) static void sha_x86(uint32_t H[8],
                                                          const unsigned char *p,
                                                          mango_idx n)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)H);       /* d c b a */
    __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(H + 4)); /* h g f e */
    lo = _mm_shuffle_epi32(lo, 0xB1), hi = _mm_shuffle_epi32(hi, 0x1B);
    __m128i abef = _mm_alignr_epi8(lo, hi, 8), cdgh = _mm_blend_epi16(hi, lo, 0xF0);
    for (; n > 0; n--, p += 64) {
        const __m128i abef0 = abef, cdgh0 = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), swap);
        for (int i = 0; i < 16; i++) {
            const __m128i k = _mm_add_epi32(
                w[0], _mm_loadu_si128((const __m128i *)(const void *)(sha_k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0E));
            const __m128i next = _mm_sha256msg2_epu32(
                _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]),
                              _mm_alignr_epi8(w[3], w[2], 4)),
                w[3]);                                                             /* (2) */
            w[0] = w[1], w[1] = w[2], w[2] = w[3], w[3] = next;
        }
        abef = _mm_add_epi32(abef, abef0), cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    lo = _mm_shuffle_epi32(abef, 0x1B), hi = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)H, _mm_blend_epi16(lo, hi, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(H + 4), _mm_alignr_epi8(hi, lo, 8));
}

MGI_FN mgi_sha256_fn mgi_sha256_best(void)
{
    unsigned a, b = 0, c, d, ssse3_sse41;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return mgi_sha256_ref;
    ssse3_sse41 = (c >> 9 & 1) & (c >> 19 & 1);
    if (!ssse3_sse41 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 29 & 1))
        return mgi_sha256_ref;
    return sha_x86;
}
#else
MGI_FN mgi_sha256_fn mgi_sha256_best(void)
{
    return mgi_sha256_ref;
}
#endif

#undef SHA_ROTR
#undef SHA_ROUND
