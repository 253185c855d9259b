/* lanes.c - lanes.h for AVX2 and AVX-512, and by the kernel table for all others.
 *
 * M pixels times V vectors of channels are held in registers; a tap costs V loads of
 * weights and M*V products whose other factor comes from memory. In groups of more than
 * one channel the lanes of that factor are picked by a permutation.
 * SPDX-License-Identifier: MIT */
#include "lanes.h"

#define LANES_SPREAD 64 /* channels that are spread at a time */

/* Pixel x, channels j .. j+n-1: y = fma(w, channel p of the group, y). */
static void lanes_spread(const mgi_kernels *k, const mgi_lanes *q, mango_idx n, int p,
                         const float *w, const float *x, float *y)
{
    float of[LANES_SPREAD];
    for (mango_idx i = 0; i < n; i++)
        of[i] = x[i / q->part * q->part + p];
    k->scale_shift(1, n, w, y, of, y);
}

/* One pixel of one tap. */
static void lanes_tap(const mgi_kernels *k, const mgi_lanes *q, const float *w, const float *x,
                      float *y)
{
    if (q->part == 1) {
        k->scale_shift(1, q->n, w, y, x, y);
        return;
    }
    for (mango_idx j = 0; j < q->n; j += LANES_SPREAD)
        for (int p = 0; p < q->part; p++)
            lanes_spread(k, q, MGI_MIN(LANES_SPREAD, q->n - j), p, w + p * q->ldw + j, x + j,
                         y + j);
}

MGI_FN void mgi_lanes_plain(const mgi_kernels *k, const mgi_lanes *q)
{
    const mango_idx none = 0;
    for (mango_idx i = 0; i < q->m; i++) {
        float *y = q->y + i * q->ldy;
        const float *x = q->x + i * q->step;
        if (!q->load)
            memset(y, 0, (size_t)q->n * sizeof *y);
        for (mango_idx t = 0; t < q->ntap; t++)
            lanes_tap(k, q, q->w + q->tap[t].b, x + q->tap[t].a, y);
        k->finish(1, q->n, y, q->n, &none, q->bias, q->res ? q->res + i * q->ldy : NULL,
                  q->relu, y);
    }
}

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* One text for both widths. LANES_T: a vector of LANES_W; the functions of both are
 * named by `as`, and `some` says how many channels of the last vector there are. `mix`,
 * a constant, is 0 for part = 1. */
#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#else
#define LANES_UNROLL _Pragma("GCC unroll 8")
#endif
#define LANES_SET(as, how)                                                                     \
    how static inline __attribute__((always_inline)) void lanes_block_##as(                    \
        int M, int V, int mix, const mgi_lanes *q, mango_idx i, mango_idx j, LANES_PART some)  \
    {                                                                                          \
        LANES_T s[8][8];                                                                       \
        const float *x[8];                                                                     \
        float *y[8];                                                                           \
        LANES_UNROLL for (int a = 0; a < M; a++)                                               \
        {                                                                                      \
            x[a] = q->x + (i + a) * q->step + j;                                               \
            y[a] = q->y + (i + a) * q->ldy + j;                                                \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
                s[a][v] = q->load ? LANES_GET(y[a] + v * LANES_W, some) : LANES_ZERO;          \
        }                                                                                      \
        for (mango_idx t = 0; t < q->ntap; t++) {                                              \
            const float *w = q->w + q->tap[t].b + j;                                           \
            const mango_idx at = q->tap[t].a;                                                  \
            for (int p = 0; mix && p < q->part; p++) {                                         \
                const LANES_INT pick = LANES_PICK(q->part, p);                                 \
                const LANES_T b = LANES_GET(w + p * q->ldw, some);                             \
                LANES_UNROLL for (int a = 0; a < M; a++)                                       \
                    s[a][0] = LANES_FMA(LANES_MIX(LANES_GET(x[a] + at, some), pick), b,        \
                                        s[a][0]);                                              \
            }                                                                                  \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
            {                                                                                  \
                if (mix)                                                                       \
                    break;                                                                     \
                const LANES_T b = LANES_GET(w + v * LANES_W, some);                            \
                LANES_UNROLL for (int a = 0; a < M; a++)                                       \
                    s[a][v] = LANES_FMA(LANES_GET(x[a] + at + v * LANES_W, some), b, s[a][v]); \
            }                                                                                  \
        }                                                                                      \
        LANES_UNROLL for (int a = 0; a < M; a++)                                               \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
        {                                                                                      \
            const mango_idx c = j + v * LANES_W;                                               \
            if (q->bias)                                                                       \
                s[a][v] = LANES_ADD(s[a][v], LANES_GET(q->bias + c, some));                    \
            if (q->res)                                                                        \
                s[a][v] = LANES_ADD(s[a][v], LANES_GET(q->res + (i + a) * q->ldy + c, some));  \
            if (q->relu)                                                                       \
                s[a][v] = LANES_MAX(s[a][v], LANES_ZERO);                                      \
            LANES_PUT(y[a] + v * LANES_W, some, s[a][v]);                                      \
        }                                                                                      \
    }                                                                                          \
    /* V vectors of channels from j on, all pixels. */                                         \
    how static inline __attribute__((always_inline)) void lanes_column_##as(                   \
        int M, int V, int mix, const mgi_lanes *q, mango_idx j, LANES_PART some)               \
    {                                                                                          \
        mango_idx i = 0;                                                                       \
        for (; i + M <= q->m; i += M)                                                          \
            lanes_block_##as(M, V, mix, q, i, j, some);                                        \
        for (; i < q->m; i++)                                                                  \
            lanes_block_##as(1, V, mix, q, i, j, some);                                        \
    }                                                                                          \
    how static void lanes_run_##as(const mgi_kernels *k, const mgi_lanes *q)                   \
    {                                                                                          \
        mango_idx j = 0;                                                                       \
        (void)k;                                                                               \
        for (; q->part > 1 && j + LANES_W <= q->n; j += LANES_W)                               \
            lanes_column_##as(8, 1, 1, q, j, LANES_ALL);                                       \
        if (q->part > 1 && j < q->n)                                                           \
            lanes_column_##as(8, 1, 1, q, j, LANES_SOME(q->n - j));                            \
        if (q->part > 1)                                                                       \
            return;                                                                            \
        if (q->m < LANES_M)                                                                    \
            for (; j + LANES_LONG * LANES_W <= q->n; j += LANES_LONG * LANES_W)                \
                lanes_column_##as(1, LANES_LONG, 0, q, j, LANES_ALL);                          \
        for (; j + LANES_V * LANES_W <= q->n; j += LANES_V * LANES_W)                          \
            lanes_column_##as(LANES_M, LANES_V, 0, q, j, LANES_ALL);                           \
        for (; j + 2 * LANES_W <= q->n; j += 2 * LANES_W)                                      \
            lanes_column_##as(LANES_PAIR, 2, 0, q, j, LANES_ALL);                              \
        for (; j + LANES_W <= q->n; j += LANES_W)                                              \
            lanes_column_##as(8, 1, 0, q, j, LANES_ALL);                                       \
        if (j < q->n)                                                                          \
            lanes_column_##as(8, 1, 0, q, j, LANES_SOME(q->n - j));                            \
    }

/* ---- AVX-512: 4 x 4 sums of 16 floats, 4 vectors of weights ------------------------- */
#define LANES_T __m512
#define LANES_W 16
#define LANES_M 4
#define LANES_V 4
#define LANES_PAIR 8
#define LANES_LONG 8
#define LANES_PART __mmask16
#define LANES_ALL ((__mmask16)0xffff)
#define LANES_SOME(n) ((__mmask16)((1u << (n)) - 1u))
#define LANES_GET(p, part) _mm512_maskz_loadu_ps(part, p)
#define LANES_PUT(p, part, v) _mm512_mask_storeu_ps(p, part, v)
#define LANES_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LANES_ADD(a, b) _mm512_add_ps(a, b)
#define LANES_MAX(a, b) _mm512_max_ps(a, b) /* NaN or equal: the second, +0 */
#define LANES_ZERO _mm512_setzero_ps()
#define LANES_INT __m512i
/* Lane l of the result: channel p of the group of `part` that l is in. */
#define LANES_PICK(part, p)                                                                    \
    _mm512_or_si512(_mm512_and_si512(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,   \
                                                       12, 13, 14, 15),                        \
                                     _mm512_set1_epi32(-(part))),                              \
                    _mm512_set1_epi32(p))
#define LANES_MIX(v, pick) _mm512_permutexvar_ps(pick, v)
LANES_SET(avx512, __attribute__((target("avx512f"))))

/* ---- AVX2 and FMA: 4 x 2 sums of 8 floats, 2 vectors of weights --------------------- */
#undef LANES_T
#undef LANES_W
#undef LANES_V
#undef LANES_PAIR
#undef LANES_LONG
#undef LANES_PART
#undef LANES_ALL
#undef LANES_SOME
#undef LANES_GET
#undef LANES_PUT
#undef LANES_FMA
#undef LANES_ADD
#undef LANES_MAX
#undef LANES_ZERO
#undef LANES_INT
#undef LANES_PICK
#undef LANES_MIX
#define LANES_T __m256
#define LANES_W 8
#define LANES_V 2
#define LANES_PAIR 4
#define LANES_LONG 8
#define LANES_PART int
#define LANES_ALL 8
#define LANES_SOME(n) ((int)(n))
#define LANES_GET(p, part) lanes_get_avx2(p, part)
#define LANES_PUT(p, part, v) lanes_put_avx2(p, part, v)
#define LANES_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define LANES_ADD(a, b) _mm256_add_ps(a, b)
#define LANES_MAX(a, b) _mm256_max_ps(a, b)
#define LANES_ZERO _mm256_setzero_ps()
#define LANES_INT __m256i
#define LANES_PICK(part, p)                                                                    \
    _mm256_or_si256(_mm256_and_si256(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),                \
                                     _mm256_set1_epi32(-(part))),                              \
                    _mm256_set1_epi32(p))
#define LANES_MIX(v, pick) _mm256_permutevar8x32_ps(v, pick)
#define LANES_AVX2 __attribute__((target("avx2,fma")))

LANES_AVX2 static inline __attribute__((always_inline)) __m256i lanes_mask_avx2(int part)
{
    const __m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(part), at);
}

LANES_AVX2 static inline __attribute__((always_inline)) __m256 lanes_get_avx2(const float *p,
                                                                              int part)
{
    return part == 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes_mask_avx2(part));
}

LANES_AVX2 static inline __attribute__((always_inline)) void lanes_put_avx2(float *p, int part,
                                                                            __m256 v)
{
    if (part == 8)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, lanes_mask_avx2(part), v);
}

LANES_SET(avx2, LANES_AVX2)

MGI_FN mgi_lanes_fn *mgi_lanes_get(const mgi_kernels *k)
{
    return k == mgi_kernels_avx512() ? lanes_run_avx512
           : k == mgi_kernels_avx2() ? lanes_run_avx2
                                     : mgi_lanes_plain;
}

#undef LANES_UNROLL
#undef LANES_SET
#undef LANES_T
#undef LANES_W
#undef LANES_M
#undef LANES_V
#undef LANES_PAIR
#undef LANES_LONG
#undef LANES_PART
#undef LANES_ALL
#undef LANES_SOME
#undef LANES_GET
#undef LANES_PUT
#undef LANES_FMA
#undef LANES_ADD
#undef LANES_MAX
#undef LANES_ZERO
#undef LANES_INT
#undef LANES_PICK
#undef LANES_MIX
#undef LANES_AVX2
#else

MGI_FN mgi_lanes_fn *mgi_lanes_get(const mgi_kernels *k)
{
    (void)k;
    return mgi_lanes_plain;
}

#endif

#undef LANES_SPREAD
