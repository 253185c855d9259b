/* winograd_x86.c - the tile transforms for SSE2, AVX2 and AVX-512: 4, 8 and 16
 * channels at a time.
 * SPDX-License-Identifier: MIT */
#include "winobody.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* ---- SSE2 ----------------------------------------------------------------- */
#define WINO_T __m128
#define WINO_W 4
#define WINO_GET(p) _mm_loadu_ps(p)
#define WINO_PUT(p, v) _mm_storeu_ps(p, v)
#define WINO_ADD(a, b) _mm_add_ps(a, b)
#define WINO_SUB(a, b) _mm_sub_ps(a, b)
#define WINO_MAC(k, a, b) _mm_add_ps(_mm_mul_ps(_mm_set1_ps(k), a), b)
#define WINO_RELU(v) _mm_max_ps(v, _mm_setzero_ps()) /* NaN or equal: +0 */
#define WINO_ZERO _mm_setzero_ps()
MGI_WINO_SET(mgi_wino_sse2, static);

/* ---- AVX2 and FMA ----------------------------------------------------------- */
#undef WINO_T
#undef WINO_W
#undef WINO_GET
#undef WINO_PUT
#undef WINO_ADD
#undef WINO_SUB
#undef WINO_MAC
#undef WINO_RELU
#undef WINO_ZERO
#define WINO_T __m256
#define WINO_W 8
#define WINO_GET(p) _mm256_loadu_ps(p)
#define WINO_PUT(p, v) _mm256_storeu_ps(p, v)
#define WINO_ADD(a, b) _mm256_add_ps(a, b)
#define WINO_SUB(a, b) _mm256_sub_ps(a, b)
#define WINO_MAC(k, a, b) _mm256_fmadd_ps(_mm256_set1_ps(k), a, b)
#define WINO_RELU(v) _mm256_max_ps(v, _mm256_setzero_ps())
#define WINO_ZERO _mm256_setzero_ps()
MGI_WINO_SET(mgi_wino_avx2, static __attribute__((target("avx2,fma"))));

/* ---- AVX-512 ---------------------------------------------------------------- */
#undef WINO_T
#undef WINO_W
#undef WINO_GET
#undef WINO_PUT
#undef WINO_ADD
#undef WINO_SUB
#undef WINO_MAC
#undef WINO_RELU
#undef WINO_ZERO
#define WINO_T __m512
#define WINO_W 16
#define WINO_GET(p) _mm512_loadu_ps(p)
#define WINO_PUT(p, v) _mm512_storeu_ps(p, v)
#define WINO_ADD(a, b) _mm512_add_ps(a, b)
#define WINO_SUB(a, b) _mm512_sub_ps(a, b)
#define WINO_MAC(k, a, b) _mm512_fmadd_ps(_mm512_set1_ps(k), a, b)
#define WINO_RELU(v) _mm512_max_ps(v, _mm512_setzero_ps())
#define WINO_ZERO _mm512_setzero_ps()
MGI_WINO_SET(mgi_wino_avx512, static __attribute__((target("avx512f"))));

MGI_FN const mgi_winograd_set *mgi_winograd_sse2(void)
{
    return &mgi_wino_sse2_set;
}

MGI_FN const mgi_winograd_set *mgi_winograd_avx2(void)
{
    return &mgi_wino_avx2_set;
}

MGI_FN const mgi_winograd_set *mgi_winograd_avx512(void)
{
    return &mgi_wino_avx512_set;
}

#undef WINO_T
#undef WINO_W
#undef WINO_GET
#undef WINO_PUT
#undef WINO_ADD
#undef WINO_SUB
#undef WINO_MAC
#undef WINO_RELU
#undef WINO_ZERO

#else

MGI_FN const mgi_winograd_set *mgi_winograd_sse2(void)
{
    return NULL;
}

MGI_FN const mgi_winograd_set *mgi_winograd_avx2(void)
{
    return NULL;
}

MGI_FN const mgi_winograd_set *mgi_winograd_avx512(void)
{
    return NULL;
}

#endif
