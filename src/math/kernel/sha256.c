/* sha256.c - the instructions that newer x86 processors have for SHA-256.
 * SPDX-License-Identifier: MIT */
#include "sha256.h"
#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#if defined(__GNUC__) && defined(__x86_64__)
/* The state lies in two registers as (a,b,e,f) and (c,d,g,h), highest word
 * first; one instruction makes two rounds. w[0..3]: the next 16 words. */
__attribute__((target("sha,sse4.1"))) static void sha_x86(uint32_t H[8],
                                                          const unsigned char *p,
                                                          mango_idx n)
{
    const uint32_t *K = mgi_sha256_k();
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)H);       /* d c b a */
    __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(H + 4)); /* h g f e */
    lo = _mm_shuffle_epi32(lo, 0xB1);
    hi = _mm_shuffle_epi32(hi, 0x1B);
    __m128i abef = _mm_alignr_epi8(lo, hi, 8), cdgh = _mm_blend_epi16(hi, lo, 0xF0);
    for (; n > 0; n--, p += 64) {
        const __m128i abef0 = abef, cdgh0 = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), swap);
        for (int i = 0; i < 16; i++) {
            const __m128i k = _mm_add_epi32(
                w[0], _mm_loadu_si128((const __m128i *)(const void *)(K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0E));
            const __m128i next = _mm_sha256msg2_epu32(
                _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]),
                              _mm_alignr_epi8(w[3], w[2], 4)),
                w[3]);                                                             /* (2) */
            w[0] = w[1];
            w[1] = w[2];
            w[2] = w[3];
            w[3] = next;
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    lo = _mm_shuffle_epi32(abef, 0x1B);
    hi = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)H, _mm_blend_epi16(lo, hi, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(H + 4), _mm_alignr_epi8(hi, lo, 8));
}

static mgi_sha256_fn sha_best(void)
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
static mgi_sha256_fn sha_best(void)
{
    return mgi_sha256_ref;
}
#endif

MGI_FN void mgi_sha256_start(mgi_hash *s)
{
    mgi_sha256_init(s);
    s->sha256 = sha_best();
}
