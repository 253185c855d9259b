/* kernels_sse2.c - the kernel table for every x86 with SSE2: tiles of 4 x 4. There is
 * no fma instruction; x2_fma makes it exactly, through double.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"
#include "../spikes.h"

#if defined(__GNUC__) && defined(__SSE2__)
#include <emmintrin.h>

/* a*b + c with one rounding, two lanes. The product of two floats is exact in
 * double; the sum is made odd-rounded (its last bit set when it is inexact), so
 * that the rounding to float cannot be led astray by the rounding to double. */
static inline __attribute__((always_inline)) __m128d x2_fma_odd(__m128d a, __m128d b, __m128d c)
{
    const __m128d p = _mm_mul_pd(a, b), s = _mm_add_pd(p, c);
    const __m128d t = _mm_sub_pd(s, p); /* the error of s, exactly (Knuth) */
    const __m128d e = _mm_add_pd(_mm_sub_pd(p, _mm_sub_pd(s, t)), _mm_sub_pd(c, t));
    const __m128d zero = _mm_setzero_pd();
    const __m128i one = _mm_set1_epi64x(1), bits = _mm_castpd_si128(s);
    const __m128d inexact = _mm_or_pd(_mm_cmplt_pd(e, zero), _mm_cmpgt_pd(e, zero));
    /* toward zero when e and s have opposite signs, then set the last bit */
    const __m128d sign = _mm_set1_pd(-0.0);
    const __m128i back =
        _mm_srli_epi64(_mm_castpd_si128(_mm_and_pd(_mm_xor_pd(e, s), sign)), 63);
    const __m128i odd = _mm_or_si128(_mm_sub_epi64(bits, back), one);
    const __m128i pick = _mm_castpd_si128(inexact);
    return _mm_castsi128_pd(
        _mm_or_si128(_mm_and_si128(pick, odd), _mm_andnot_si128(pick, bits)));
}

static inline __attribute__((always_inline)) __m128 x2_fma(__m128 a, __m128 b, __m128 c)
{
    const __m128d lo = x2_fma_odd(_mm_cvtps_pd(a), _mm_cvtps_pd(b), _mm_cvtps_pd(c));
    const __m128d hi = x2_fma_odd(_mm_cvtps_pd(_mm_movehl_ps(a, a)),
                                  _mm_cvtps_pd(_mm_movehl_ps(b, b)),
                                  _mm_cvtps_pd(_mm_movehl_ps(c, c)));
    return _mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi));
}

/* n <= 4 floats from or to memory. */
static inline __m128 x2_load(const float *p, mango_idx n)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (n >= 4)
        return _mm_loadu_ps(p);
    memcpy(t, p, (size_t)n * sizeof *t);
    return _mm_loadu_ps(t);
}

static inline void x2_store(float *p, mango_idx n, __m128 v)
{
    float t[4];
    if (n >= 4) {
        _mm_storeu_ps(p, v);
        return;
    }
    _mm_storeu_ps(t, v);
    memcpy(p, t, (size_t)n * sizeof *t);
}

static void x2_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    __m128 s[4];
    for (mango_idx i = 0; i < m; i++)
        s[i] = load ? x2_load(c + i * ldc, n) : _mm_setzero_ps();
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * 4;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 4) {
            const __m128 v = _mm_loadu_ps(B);
            for (mango_idx i = 0; i < m; i++)
                s[i] = x2_fma(_mm_set1_ps(a[i][k]), v, s[i]);
        }
    }
    for (mango_idx i = 0; i < m; i++)
        x2_store(c + i * ldc, n, s[i]);
}

static void x2_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
    __m128 s[4];
    for (mango_idx i = 0; i < m; i++)
        s[i] = load ? x2_load(c + i * ldc, n) : _mm_setzero_ps();
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m128 v = x2_load(B, n);
            for (mango_idx i = 0; i < m; i++)
                s[i] = x2_fma(_mm_set1_ps(A[i]), v, s[i]);
        }
    }
    for (mango_idx i = 0; i < m; i++)
        x2_store(c + i * ldc, n, s[i]);
}

static void x2_axpy(mango_idx n, float a, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 4) {
        const mango_idx m = MGI_MIN(4, n - i);
        x2_store(y + i, m, x2_fma(_mm_set1_ps(a), x2_load(x + i, m), x2_load(y + i, m)));
    }
}

static void x2_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                           const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i += 4) {
            const mango_idx m = MGI_MIN(4, nb - i);
            x2_store(y + i, m, x2_fma(x2_load(s + i, m), x2_load(x + i, m), x2_load(t + i, m)));
        }
}

/* 8 panels at a time, their sums in 8 of the 16 registers. */
static void x2_gather(mango_idx panels, const mgi_active *a, const float *b,
                      mango_idx pitch, float *acc)
{
    for (mango_idx i = 0; i < a->m; i++)
        for (mango_idx p = 0; p < panels; p += 8) {
            const mango_idx n = MGI_MIN(8, panels - p);
            float *at = acc + a->row[i] * panels * 4 + p * 4;
            __m128 s[8];
            for (mango_idx q = 0; q < n; q++)
                s[q] = _mm_loadu_ps(at + q * 4);
            for (uint64_t w = a->x[i]; w; w &= w - 1) {
                const float *row = b + p * pitch + mgi_bits_first(w) * 4;
                for (mango_idx q = 0; q < n; q++)
                    s[q] = _mm_add_ps(s[q], _mm_loadu_ps(row + q * pitch));
            }
            for (mango_idx q = 0; q < n; q++)
                _mm_storeu_ps(at + q * 4, s[q]);
        }
}

/* Bytes twice in a word, shifted right by 8, are signed. */
static void x2_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc)
{
    __m128i s[8];
    for (mango_idx i = 0; i < a->m; i++) {
        __m128i *at = (__m128i *)(void *)(acc + a->row[i] * MGI_INT8_OUT);
        for (int v = 0; v < 8; v++)
            s[v] = _mm_loadu_si128(at + v);
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const int8_t *row = b + mgi_bits_first(w) * MGI_INT8_OUT;
            const __m128i *q = (const __m128i *)(const void *)row;
            for (int v = 0; v < 4; v++) {
                const __m128i x = _mm_loadu_si128(q + v);
                s[2 * v] = _mm_add_epi16(s[2 * v], _mm_srai_epi16(_mm_unpacklo_epi8(x, x), 8));
                s[2 * v + 1] =
                    _mm_add_epi16(s[2 * v + 1], _mm_srai_epi16(_mm_unpackhi_epi8(x, x), 8));
            }
        }
        for (int v = 0; v < 8; v++)
            _mm_storeu_si128(at + v, s[v]);
    }
}

static void x2_tile_half(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                         const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                         int load)
{
    mgi_ref_tile_half(mgi_kernels_sse2(), m, n, a, ntap, tap, b, c, ldc, load);
}

/* In 32 bits GCC would hold pairs of floats in MMX registers: the plain loop there. */
#if defined(__x86_64__)
#define X2_TANH mgi_sse2_tanh
#else
#define X2_TANH mgi_ref_tanh
#endif

static const mgi_kernels x2_table = {
    "sse2", 4, 4, x2_tile, x2_outer, mgi_ref_finish, mgi_ref_add, x2_axpy, mgi_ref_relu,
    mgi_ref_maximum, x2_scale_shift, mgi_ref_mix, mgi_lif_ref, x2_gather, mgi_ref_lif_bits,
    x2_gather_int8, mgi_ref_drain, x2_tile_half, X2_TANH, mgi_ref_widen,
    mgi_lif_cells_ref};

MGI_FN const mgi_kernels *mgi_kernels_sse2(void)
{
    return &x2_table;
}

#undef X2_TANH

#else

MGI_FN const mgi_kernels *mgi_kernels_sse2(void)
{
    return NULL;
}

#endif
