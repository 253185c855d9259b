/* lanes.c - lanes.h for AVX2 and AVX-512, and by the kernel table for all others.
 *
 * M pixels times V vectors of channels are held in registers; a tap costs V loads of
 * weights and M*V products whose other factor comes from memory.
 * SPDX-License-Identifier: MIT */
#include "lanes.h"

MGI_FN void mgi_lanes_plain(const mgi_kernels *k, const mgi_lanes *q)
{
    const mango_idx none = 0;
    for (mango_idx i = 0; i < q->m; i++) {
        float *y = q->y + i * q->ldy;
        const float *x = q->x + i * q->step;
        if (!q->load)
            memset(y, 0, (size_t)q->n * sizeof *y);
        for (mango_idx t = 0; t < q->ntap; t++)
            k->scale_shift(1, q->n, q->w + q->tap[t].b, y, x + q->tap[t].a, y);
        k->finish(1, q->n, y, q->n, &none, q->bias, q->res ? q->res + i * q->ldy : NULL,
                  q->relu, y);
    }
}

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* One text for both widths. LANES_T: a vector of LANES_W; the functions of both are
 * named by `as`, and `part` says how many channels of the last vector there are. */
#define LANES_UNROLL _Pragma("GCC unroll 8")
#define LANES_SET(as, how)                                                                     \
    how static inline __attribute__((always_inline)) void lanes_block_##as(                    \
        int M, int V, const mgi_lanes *q, mango_idx i, mango_idx j, LANES_PART part)           \
    {                                                                                          \
        LANES_T s[8][8];                                                                       \
        const float *x[8];                                                                     \
        float *y[8];                                                                           \
        LANES_UNROLL for (int a = 0; a < M; a++)                                               \
        {                                                                                      \
            x[a] = q->x + (i + a) * q->step + j;                                               \
            y[a] = q->y + (i + a) * q->ldy + j;                                                \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
                s[a][v] = q->load ? LANES_GET(y[a] + v * LANES_W, part) : LANES_ZERO;          \
        }                                                                                      \
        for (mango_idx t = 0; t < q->ntap; t++) {                                              \
            const float *w = q->w + q->tap[t].b + j;                                           \
            const mango_idx at = q->tap[t].a;                                                  \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
            {                                                                                  \
                const LANES_T b = LANES_GET(w + v * LANES_W, part);                            \
                LANES_UNROLL for (int a = 0; a < M; a++)                                       \
                    s[a][v] = LANES_FMA(LANES_GET(x[a] + at + v * LANES_W, part), b, s[a][v]); \
            }                                                                                  \
        }                                                                                      \
        LANES_UNROLL for (int a = 0; a < M; a++)                                               \
            LANES_UNROLL for (int v = 0; v < V; v++)                                           \
        {                                                                                      \
            const mango_idx c = j + v * LANES_W;                                               \
            if (q->bias)                                                                       \
                s[a][v] = LANES_ADD(s[a][v], LANES_GET(q->bias + c, part));                    \
            if (q->res)                                                                        \
                s[a][v] = LANES_ADD(s[a][v], LANES_GET(q->res + (i + a) * q->ldy + c, part));  \
            if (q->relu)                                                                       \
                s[a][v] = LANES_MAX(s[a][v], LANES_ZERO);                                      \
            LANES_PUT(y[a] + v * LANES_W, part, s[a][v]);                                      \
        }                                                                                      \
    }                                                                                          \
    /* V vectors of channels from j on, all pixels. */                                         \
    how static inline __attribute__((always_inline)) void lanes_column_##as(                   \
        int M, int V, const mgi_lanes *q, mango_idx j, LANES_PART part)                        \
    {                                                                                          \
        mango_idx i = 0;                                                                       \
        for (; i + M <= q->m; i += M)                                                          \
            lanes_block_##as(M, V, q, i, j, part);                                             \
        for (; i < q->m; i++)                                                                  \
            lanes_block_##as(1, V, q, i, j, part);                                             \
    }                                                                                          \
    how static void lanes_run_##as(const mgi_kernels *k, const mgi_lanes *q)                   \
    {                                                                                          \
        mango_idx j = 0;                                                                       \
        (void)k;                                                                               \
        if (q->m < LANES_M)                                                                    \
            for (; j + LANES_LONG * LANES_W <= q->n; j += LANES_LONG * LANES_W)                \
                lanes_column_##as(1, LANES_LONG, q, j, LANES_ALL);                             \
        for (; j + LANES_V * LANES_W <= q->n; j += LANES_V * LANES_W)                          \
            lanes_column_##as(LANES_M, LANES_V, q, j, LANES_ALL);                              \
        for (; j + 2 * LANES_W <= q->n; j += 2 * LANES_W)                                      \
            lanes_column_##as(LANES_PAIR, 2, q, j, LANES_ALL);                                 \
        for (; j + LANES_W <= q->n; j += LANES_W)                                              \
            lanes_column_##as(8, 1, q, j, LANES_ALL);                                          \
        if (j < q->n)                                                                          \
            lanes_column_##as(8, 1, q, j, LANES_SOME(q->n - j));                               \
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
#undef LANES_AVX2
#else

MGI_FN mgi_lanes_fn *mgi_lanes_get(const mgi_kernels *k)
{
    (void)k;
    return mgi_lanes_plain;
}

#endif
