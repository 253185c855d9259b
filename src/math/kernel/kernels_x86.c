/* kernels_x86.c - the kernel table for AVX2 with FMA, and for AVX-512.
 *
 * Tiles hold all their sums in registers and read, per k, one vector row of B
 * and one broadcast value for each row of A:
 *   avx512  14 x 32: 28 sums of 16 floats + 2 of B + 1 of A = 31 of 32 registers
 *   avx2     6 x 16: 12 sums of  8 floats + 2 of B + 1 of A = 15 of 16 registers
 * A body takes its number of rows M and of vectors V as constants; the tables
 * below hold one instance for each, so that a remainder costs what it needs.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define X86_ROWS6(F) F(0) F(1) F(2) F(3) F(4) F(5)
#define X86_ROWS14(F) X86_ROWS6(F) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13)

/* ---- AVX-512 ------------------------------------------------------------- */
#define X5 static __attribute__((target("avx512f")))
#define X5_BODY static inline __attribute__((always_inline, target("avx512f")))

/* The first n of 16 lanes. */
X5_BODY __mmask16 x5_mask(mango_idx n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1u);
}

/* Unrolled by hand for registers: u##i, v##i are the two vectors of row i. */
#define X5_SUMS(i) __m512 u##i = _mm512_setzero_ps(), v##i = u##i;
#define X5_LOAD(i)                                                                             \
    if (M > i) {                                                                               \
        u##i = _mm512_maskz_loadu_ps(k0, c + i * ldc);                                         \
        if (V > 1)                                                                             \
            v##i = _mm512_maskz_loadu_ps(k1, c + i * ldc + 16);                                \
    }
#define X5_FMA(i, a)                                                                           \
    if (M > i) {                                                                               \
        const __m512 s = _mm512_set1_ps(a);                                                    \
        u##i = _mm512_fmadd_ps(s, b0, u##i);                                                   \
        if (V > 1)                                                                             \
            v##i = _mm512_fmadd_ps(s, b1, v##i);                                               \
    }
#define X5_STORE(i)                                                                            \
    if (M > i) {                                                                               \
        _mm512_mask_storeu_ps(c + i * ldc, k0, u##i);                                          \
        if (V > 1)                                                                             \
            _mm512_mask_storeu_ps(c + i * ldc + 16, k1, v##i);                                 \
    }

/* 16 weights at p, floats or halves. */
X5_BODY __m512 x5_weights(int half, const char *p)
{
    return half ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p))
                : _mm512_loadu_ps(p);
}

/* half, a constant too: the panel holds halves, size bytes each. */
X5_BODY void x5_tile_body(int M, int V, int half, mango_idx n, const float *const *a,
                          mango_idx ntap, const mgi_tap *tap, const void *b, float *c,
                          mango_idx ldc, int load)
{
    const mango_idx size = half ? 2 : 4;
    const __mmask16 k0 = x5_mask(n), k1 = x5_mask(n - 16);
    X86_ROWS14(X5_SUMS)
    if (load) {
        X86_ROWS14(X5_LOAD)
    }
#define X5_ROW(i) const float *const a##i = a[M > i ? i : 0];
    X86_ROWS14(X5_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const char *B = (const char *)b + tap[t].b * 32 * size;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 32 * size) {
            const __m512 b0 = x5_weights(half, B);
            const __m512 b1 = V > 1 ? x5_weights(half, B + 16 * size) : b0;
#define X5_STEP(i) X5_FMA(i, a##i[k])
            X86_ROWS14(X5_STEP)
        }
    }
    X86_ROWS14(X5_STORE)
}

X5_BODY void x5_outer_body(int M, int V, mango_idx n, const float *a, mango_idx lda,
                           const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run,
                           float *c, mango_idx ldc, int load)
{
    const __mmask16 k0 = x5_mask(n), k1 = x5_mask(n - 16);
    X86_ROWS14(X5_SUMS)
    if (load) {
        X86_ROWS14(X5_LOAD)
    }
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m512 b0 = _mm512_maskz_loadu_ps(k0, B);
            const __m512 b1 = V > 1 ? _mm512_maskz_loadu_ps(k1, B + 16) : b0;
#define X5_PIX(i) X5_FMA(i, A[i])
            X86_ROWS14(X5_PIX)
        }
    }
    X86_ROWS14(X5_STORE)
}

/* One instance for each count of rows and vectors, and the tables of them. */
#define X5_INST(m, v)                                                                          \
    X5 void x5_tile_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        x5_tile_body(m, v, 0, n, a, ntap, tap, b, c, ldc, load);                               \
    }                                                                                          \
    X5 void x5_half_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,  \
                              int load)                                                        \
    {                                                                                          \
        x5_tile_body(m, v, 1, n, a, ntap, tap, b, c, ldc, load);                               \
    }                                                                                          \
    X5 void x5_outer_##m##_##v(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        x5_outer_body(m, v, n, a, lda, b, ldb, nrun, run, c, ldc, load);                       \
    }
#define X5_PAIR(m) X5_INST(m, 1) X5_INST(m, 2)
X5_PAIR(1) X5_PAIR(2) X5_PAIR(3) X5_PAIR(4) X5_PAIR(5) X5_PAIR(6) X5_PAIR(7)
X5_PAIR(8) X5_PAIR(9) X5_PAIR(10) X5_PAIR(11) X5_PAIR(12) X5_PAIR(13) X5_PAIR(14)

typedef void (*x86_tile_fn)(mango_idx n, const float *const *a, mango_idx ntap,
                            const mgi_tap *tap, const float *b, float *c, mango_idx ldc,
                            int load);
typedef void (*x86_half_fn)(mango_idx n, const float *const *a, mango_idx ntap,
                            const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                            int load);
typedef void (*x86_outer_fn)(mango_idx n, const float *a, mango_idx lda, const float *b,
                             mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                             mango_idx ldc, int load);

static void x5_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
#define X5_NAME(m) {x5_tile_##m##_1, x5_tile_##m##_2}
    static const x86_tile_fn fn[14][2] = {
        X5_NAME(1),  X5_NAME(2),  X5_NAME(3),  X5_NAME(4), X5_NAME(5),
        X5_NAME(6),  X5_NAME(7),  X5_NAME(8),  X5_NAME(9), X5_NAME(10),
        X5_NAME(11), X5_NAME(12), X5_NAME(13), X5_NAME(14)};
    fn[m - 1][n > 16](n, a, ntap, tap, b, c, ldc, load);
}

static void x5_tile_half(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                         const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                         int load)
{
#undef X5_NAME
#define X5_NAME(m) {x5_half_##m##_1, x5_half_##m##_2}
    static const x86_half_fn fn[14][2] = {
        X5_NAME(1),  X5_NAME(2),  X5_NAME(3),  X5_NAME(4), X5_NAME(5),
        X5_NAME(6),  X5_NAME(7),  X5_NAME(8),  X5_NAME(9), X5_NAME(10),
        X5_NAME(11), X5_NAME(12), X5_NAME(13), X5_NAME(14)};
    fn[m - 1][n > 16](n, a, ntap, tap, b, c, ldc, load);
}

static void x5_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
#undef X5_NAME
#define X5_NAME(m) {x5_outer_##m##_1, x5_outer_##m##_2}
    static const x86_outer_fn fn[14][2] = {
        X5_NAME(1),  X5_NAME(2),  X5_NAME(3),  X5_NAME(4), X5_NAME(5),
        X5_NAME(6),  X5_NAME(7),  X5_NAME(8),  X5_NAME(9), X5_NAME(10),
        X5_NAME(11), X5_NAME(12), X5_NAME(13), X5_NAME(14)};
    fn[m - 1][n > 16](n, a, lda, b, ldb, nrun, run, c, ldc, load);
}

X5 void x5_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                  const mango_idx *off, const float *bias, const float *res, int relu, float *y)
{
    const __m512 low = _mm512_setzero_ps();
    for (mango_idx j = 0; j < n; j += 16) {
        const __mmask16 k = x5_mask(n - j);
        const __m512 t = bias ? _mm512_maskz_loadu_ps(k, bias + j) : low;
        for (mango_idx i = 0; i < m; i++) {
            __m512 v = _mm512_maskz_loadu_ps(k, acc + i * ldacc + j);
            if (bias)
                v = _mm512_add_ps(v, t);
            if (res)
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(k, res + off[i] + j));
            if (relu)
                v = _mm512_max_ps(v, low); /* NaN or equal: low */
            _mm512_mask_storeu_ps(y + off[i] + j, k, v);
        }
    }
}

X5 void x5_add(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(z + i, k, _mm512_add_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_axpy(mango_idx n, float a, const float *x, float *y)
{
    const __m512 s = _mm512_set1_ps(a);
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_fmadd_ps(s, _mm512_maskz_loadu_ps(k, x + i),
                                                        _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_relu(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_max_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_setzero_ps()));
    }
}

X5 void x5_maximum(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_max_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                       const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i += 16) {
            const __mmask16 k = x5_mask(nb - i);
            const __m512 v = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(k, s + i),
                                             _mm512_maskz_loadu_ps(k, x + i),
                                             _mm512_maskz_loadu_ps(k, t + i));
            _mm512_mask_storeu_ps(y + i, k, v);
        }
}

/* ---- AVX2 and FMA -------------------------------------------------------- */
#define X3 static __attribute__((target("avx2,fma,f16c")))
#define X3_BODY static inline __attribute__((always_inline, target("avx2,fma,f16c")))

/* The first n of 8 lanes. */
X3_BODY __m256i x3_mask(mango_idx n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)MGI_MIN(n, 8)), lane);
}

/* Eight values, or where not all are there those of the mask: that costs dozens of
 * instructions on some CPUs, so it is done only where it must be. */
X3_BODY __m256 x3_get(const float *p, int full, __m256i k)
{
    return full ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, k);
}

X3_BODY void x3_put(float *p, int full, __m256i k, __m256 v)
{
    if (full)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, k, v);
}

#define X3_SUMS(i) __m256 u##i = _mm256_setzero_ps(), v##i = u##i;
#define X3_LOAD(i)                                                                             \
    if (M > i) {                                                                               \
        u##i = x3_get(c + i * ldc, V > 1 || all, k0);                                          \
        if (V > 1)                                                                             \
            v##i = x3_get(c + i * ldc + 8, all, k1);                                           \
    }
#define X3_FMA(i, a)                                                                           \
    if (M > i) {                                                                               \
        const __m256 s = _mm256_set1_ps(a);                                                    \
        u##i = _mm256_fmadd_ps(s, b0, u##i);                                                   \
        if (V > 1)                                                                             \
            v##i = _mm256_fmadd_ps(s, b1, v##i);                                               \
    }
#define X3_STORE(i)                                                                            \
    if (M > i) {                                                                               \
        x3_put(c + i * ldc, V > 1 || all, k0, u##i);                                           \
        if (V > 1)                                                                             \
            x3_put(c + i * ldc + 8, all, k1, v##i);                                            \
    }

/* 8 weights at p, floats or halves. */
X3_BODY __m256 x3_weights(int half, const char *p)
{
    return half ? _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p))
                : _mm256_loadu_ps((const float *)(const void *)p);
}

X3_BODY void x3_tile_body(int M, int V, int half, mango_idx n, const float *const *a,
                          mango_idx ntap, const mgi_tap *tap, const void *b, float *c,
                          mango_idx ldc, int load)
{
    const mango_idx size = half ? 2 : 4;
    const __m256i k0 = x3_mask(n), k1 = x3_mask(n - 8);
    const int all = n == 8 * V;
    X86_ROWS6(X3_SUMS)
    if (load) {
        X86_ROWS6(X3_LOAD)
    }
#define X3_ROW(i) const float *const a##i = a[M > i ? i : 0];
    X86_ROWS6(X3_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const char *B = (const char *)b + tap[t].b * 16 * size;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 16 * size) {
            const __m256 b0 = x3_weights(half, B);
            const __m256 b1 = V > 1 ? x3_weights(half, B + 8 * size) : b0;
#define X3_STEP(i) X3_FMA(i, a##i[k])
            X86_ROWS6(X3_STEP)
        }
    }
    X86_ROWS6(X3_STORE)
}

/* all: are all the columns of V vectors there? A constant, for the loop. */
X3_BODY void x3_outer_body(int M, int V, int all, mango_idx n, const float *a, mango_idx lda,
                           const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run,
                           float *c, mango_idx ldc, int load)
{
    const __m256i k0 = x3_mask(n), k1 = x3_mask(n - 8);
    X86_ROWS6(X3_SUMS)
    if (load) {
        X86_ROWS6(X3_LOAD)
    }
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m256 b0 = x3_get(B, V > 1 || all, k0);
            const __m256 b1 = V > 1 ? x3_get(B + 8, all, k1) : b0;
#define X3_PIX(i) X3_FMA(i, A[i])
            X86_ROWS6(X3_PIX)
        }
    }
    X86_ROWS6(X3_STORE)
}

#define X3_INST(m, v)                                                                          \
    X3 void x3_tile_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        x3_tile_body(m, v, 0, n, a, ntap, tap, b, c, ldc, load);                               \
    }                                                                                          \
    X3 void x3_half_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,  \
                              int load)                                                        \
    {                                                                                          \
        x3_tile_body(m, v, 1, n, a, ntap, tap, b, c, ldc, load);                               \
    }                                                                                          \
    X3 void x3_outer_##m##_##v(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        if (n == 8 * v)                                                                        \
            x3_outer_body(m, v, 1, n, a, lda, b, ldb, nrun, run, c, ldc, load);                \
        else                                                                                   \
            x3_outer_body(m, v, 0, n, a, lda, b, ldb, nrun, run, c, ldc, load);                \
    }
#define X3_PAIR(m) X3_INST(m, 1) X3_INST(m, 2)
X3_PAIR(1) X3_PAIR(2) X3_PAIR(3) X3_PAIR(4) X3_PAIR(5) X3_PAIR(6)

static void x3_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
#define X3_NAME(m) {x3_tile_##m##_1, x3_tile_##m##_2}
    static const x86_tile_fn fn[6][2] = {X3_NAME(1), X3_NAME(2), X3_NAME(3),
                                         X3_NAME(4), X3_NAME(5), X3_NAME(6)};
    fn[m - 1][n > 8](n, a, ntap, tap, b, c, ldc, load);
}

static void x3_tile_half(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                         const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                         int load)
{
#undef X3_NAME
#define X3_NAME(m) {x3_half_##m##_1, x3_half_##m##_2}
    static const x86_half_fn fn[6][2] = {X3_NAME(1), X3_NAME(2), X3_NAME(3),
                                         X3_NAME(4), X3_NAME(5), X3_NAME(6)};
    fn[m - 1][n > 8](n, a, ntap, tap, b, c, ldc, load);
}

static void x3_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
#undef X3_NAME
#define X3_NAME(m) {x3_outer_##m##_1, x3_outer_##m##_2}
    static const x86_outer_fn fn[6][2] = {X3_NAME(1), X3_NAME(2), X3_NAME(3),
                                          X3_NAME(4), X3_NAME(5), X3_NAME(6)};
    fn[m - 1][n > 8](n, a, lda, b, ldb, nrun, run, c, ldc, load);
}

X3 void x3_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                  const mango_idx *off, const float *bias, const float *res, int relu, float *y)
{
    const __m256 low = _mm256_setzero_ps();
    for (mango_idx j = 0; j < n; j += 8) {
        const __m256i k = x3_mask(n - j);
        const int all = n - j >= 8;
        const __m256 t = bias ? x3_get(bias + j, all, k) : low;
        for (mango_idx i = 0; i < m; i++) {
            __m256 v = x3_get(acc + i * ldacc + j, all, k);
            if (bias)
                v = _mm256_add_ps(v, t);
            if (res)
                v = _mm256_add_ps(v, x3_get(res + off[i] + j, all, k));
            if (relu)
                v = _mm256_max_ps(v, low);
            x3_put(y + off[i] + j, all, k, v);
        }
    }
}

X3 void x3_add(mango_idx n, const float *x, const float *y, float *z)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(z + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        z[i] = x[i] + y[i];
}

X3 void x3_axpy(mango_idx n, float a, const float *x, float *y)
{
    const __m256 s = _mm256_set1_ps(a);
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(
            y + i, _mm256_fmadd_ps(s, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = __builtin_fmaf(a, x[i], y[i]);
}

X3 void x3_relu(mango_idx n, const float *x, float *y)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_max_ps(_mm256_loadu_ps(x + i), _mm256_setzero_ps()));
    for (; i < n; i++)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

X3 void x3_maximum(mango_idx n, const float *x, float *y)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_max_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

X3 void x3_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                       const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb) {
        mango_idx i = 0;
        for (; i + 8 <= nb; i += 8)
            _mm256_storeu_ps(y + i,
                             _mm256_fmadd_ps(_mm256_loadu_ps(s + i), _mm256_loadu_ps(x + i),
                                             _mm256_loadu_ps(t + i)));
        for (; i < nb; i++)
            y[i] = __builtin_fmaf(s[i], x[i], t[i]);
    }
}

/* ---- the tables ---------------------------------------------------------- */
/* GCC for Windows does not align the stack for wide registers: SSE2 only. */
#if defined(_WIN32) && !defined(__clang__)
#define X86_HAS(feature) 0
#else
#define X86_HAS(feature) (__builtin_cpu_init(), __builtin_cpu_supports(feature))
#endif

/* Half precision, bit 29; clang 14 has no name for it. */
static int x86_has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

static const mgi_kernels x3_table = {
    "avx2", 6, 16, x3_tile, x3_outer, x3_finish, x3_add, x3_axpy, x3_relu, x3_maximum,
    x3_scale_shift, mgi_avx2_mix, mgi_avx2_lif, mgi_avx2_gather, mgi_avx2_lif_bits,
    mgi_avx2_gather_int8, mgi_avx2_drain, x3_tile_half, mgi_avx2_tanh, mgi_avx2_widen,
    mgi_avx2_lif_cells};
static const mgi_kernels x5_table = {
    "avx512", 14, 32, x5_tile, x5_outer, x5_finish, x5_add, x5_axpy, x5_relu, x5_maximum,
    x5_scale_shift, mgi_avx2_mix, mgi_avx2_lif, mgi_avx512_gather, mgi_avx512_lif_bits,
    mgi_avx2_gather_int8, mgi_avx2_drain, x5_tile_half, mgi_avx512_tanh, mgi_avx512_widen,
    mgi_avx2_lif_cells};

MGI_FN const mgi_kernels *mgi_kernels_avx2(void)
{
    return X86_HAS("avx2") && X86_HAS("fma") && x86_has_f16c() ? &x3_table : NULL;
}

MGI_FN const mgi_kernels *mgi_kernels_avx512(void)
{
    return X86_HAS("avx512f") && X86_HAS("avx2") ? &x5_table : NULL;
}

#else

MGI_FN const mgi_kernels *mgi_kernels_avx2(void)
{
    return NULL;
}

MGI_FN const mgi_kernels *mgi_kernels_avx512(void)
{
    return NULL;
}

#endif

#undef X86_ROWS6
#undef X86_ROWS14
#undef X5
#undef X5_BODY
#undef X5_SUMS
#undef X5_LOAD
#undef X5_FMA
#undef X5_STORE
#undef X5_ROW
#undef X5_STEP
#undef X5_PIX
#undef X5_INST
#undef X5_PAIR
#undef X5_NAME
#undef X3
#undef X3_BODY
#undef X3_SUMS
#undef X3_LOAD
#undef X3_FMA
#undef X3_STORE
#undef X3_ROW
#undef X3_STEP
#undef X3_PIX
#undef X3_INST
#undef X3_PAIR
#undef X3_NAME
#undef X86_HAS
