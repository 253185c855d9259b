/* loops_x86.c - loops of training for AVX2 and AVX-512, see loops.h.
 * SPDX-License-Identifier: MIT */
#include "../loops.h"
#include "../spikes.h" /* mgi_bits_first */

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* No fma in the target: nothing can be contracted. */
#define L2 __attribute__((target("avx2"))) MGI_FN
#define L2_BODY static inline __attribute__((always_inline, target("avx2")))
#define L5_BODY static inline __attribute__((always_inline, target("avx512f")))

/* theta'(d), in the order of loops.c. */
L2_BODY __m256 loops_theta(const mgi_lif_grad *k, __m256 d)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    if (k->atan) {
        const __m256 v = _mm256_mul_ps(_mm256_set1_ps(1.57079633f * k->slope), d);
        return _mm256_div_ps(_mm256_set1_ps(0.5f * k->slope),
                             _mm256_add_ps(one, _mm256_mul_ps(v, v)));
    }
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), d);
    const __m256 v = _mm256_add_ps(one, _mm256_mul_ps(_mm256_set1_ps(k->slope), size));
    return _mm256_div_ps(one, _mm256_mul_ps(v, v));
}

L2 void mgi_avx2_lif_back(mango_idx n, const mgi_lif_grad *k, const float *H, const float *dS,
                          int add, float *D, float *dX)
{
    const int value = k->r.reset == MGI_RESET_VALUE;
    const __m256 thr = _mm256_set1_ps(k->r.U_thr), U_reset = _mm256_set1_ps(k->r.U_reset);
    const __m256 a = _mm256_set1_ps(k->a), g = _mm256_set1_ps(k->g),
                 kick = _mm256_set1_ps(k->kick);
    mango_idx j = 0;
    for (; j + 8 <= n; j += 8) {
        const __m256 h = _mm256_loadu_ps(H + j), next = _mm256_loadu_ps(D + j);
        const __m256 theta = loops_theta(k, _mm256_sub_ps(h, thr));
        __m256 keep = _mm256_mul_ps(a, next), s = _mm256_loadu_ps(dS + j);
        if (k->through)
            s = _mm256_add_ps(s, value ? _mm256_mul_ps(_mm256_sub_ps(U_reset, h), keep)
                                       : _mm256_mul_ps(kick, next));
        if (value)
            keep = _mm256_andnot_ps(k->r.on_equal ? _mm256_cmp_ps(h, thr, _CMP_GE_OQ)
                                                  : _mm256_cmp_ps(h, thr, _CMP_GT_OQ),
                                    keep);
        const __m256 d = _mm256_add_ps(keep, _mm256_mul_ps(theta, s)),
                     out = _mm256_mul_ps(g, d);
        _mm256_storeu_ps(D + j, d);
        _mm256_storeu_ps(dX + j, add ? _mm256_add_ps(_mm256_loadu_ps(dX + j), out) : out);
    }
    mgi_loops_base()->lif_back(n - j, k, H + j, dS + j, add, D + j, dX + j);
}

/* By hand: sqrtf sets errno, which keeps compilers from making a vector of it. */
L2 void mgi_avx2_adam(mango_idx n, const mgi_optim_rule *r, const float *g, float *m, float *v,
                      float *w)
{
    const __m256 clip = _mm256_set1_ps(r->clip),
                 wd = _mm256_set1_ps(r->decoupled ? 0.0f : r->wd);
    const __m256 b1 = _mm256_set1_ps(r->b1), a1 = _mm256_set1_ps(1.0f - r->b1);
    const __m256 b2 = _mm256_set1_ps(r->b2), a2 = _mm256_set1_ps(1.0f - r->b2);
    const __m256 c1 = _mm256_set1_ps(r->c1), c2 = _mm256_set1_ps(r->c2);
    const __m256 lr = _mm256_set1_ps(r->lr), eps = _mm256_set1_ps(r->eps);
    const __m256 shrink = _mm256_set1_ps(r->lr * r->wd), none = _mm256_setzero_ps();
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 W = _mm256_loadu_ps(w + i), M = _mm256_loadu_ps(m + i),
               V = _mm256_loadu_ps(v + i);
        const __m256 decay = r->decoupled ? none : _mm256_mul_ps(wd, W);
        const __m256 d = _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(g + i), clip), decay);
        M = _mm256_add_ps(_mm256_mul_ps(b1, M), _mm256_mul_ps(a1, d));
        V = _mm256_add_ps(_mm256_mul_ps(b2, V), _mm256_mul_ps(_mm256_mul_ps(a2, d), d));
        if (r->decoupled)
            W = _mm256_sub_ps(W, _mm256_mul_ps(shrink, W));
        const __m256 under = _mm256_add_ps(_mm256_sqrt_ps(_mm256_mul_ps(V, c2)), eps);
        const __m256 over = _mm256_mul_ps(lr, _mm256_mul_ps(M, c1));
        _mm256_storeu_ps(m + i, M);
        _mm256_storeu_ps(v + i, V);
        _mm256_storeu_ps(w + i, _mm256_sub_ps(W, _mm256_div_ps(over, under)));
    }
    mgi_loops_base()->adam(n - i, r, g + i, m + i, v + i, w + i);
}

/* One bit for each of 8 floats that is 1; *other gains those that are neither 1 nor 0. */
L2_BODY uint64_t loops_ones(__m256 x, __m256 *other)
{
    const __m256 one = _mm256_cmp_ps(x, _mm256_set1_ps(1.0f), _CMP_EQ_OQ);
    const __m256 zero = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    *other = _mm256_or_ps(*other, _mm256_andnot_ps(one, zero));
    return (uint64_t)(unsigned)_mm256_movemask_ps(one);
}

L2 int mgi_avx2_bits(mango_idx rows, mango_idx C, const float *x, uint64_t *bits)
{
    if (C % 8)
        return mgi_loops_base()->bits(rows, C, x, bits);
    for (mango_idx r = 0; r < rows; r++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            __m256 other = _mm256_setzero_ps();
            uint64_t w = 0;
            for (mango_idx j = 0; j < m; j += 8)
                w |= loops_ones(_mm256_loadu_ps(x + j), &other) << j;
            if (_mm256_movemask_ps(other))
                return 0;
            x += m;
            *bits++ = w;
        }
    return 1;
}

/* ---- sums of rows: V vectors, the last of them with a mask ------------------- */

#define L5_EACH(f) f(0) f(1) f(2) f(3)
#define L5_AT(i, p)                                                                            \
    (V == i + 1 && n < 16 * V ? _mm512_maskz_loadu_ps(last, (p) + 16 * i)                      \
                              : _mm512_loadu_ps((p) + 16 * i))
#define L5_START(i)                                                                            \
    __m512 s##i = _mm512_setzero_ps();                                                         \
    if (V > i && load)                                                                         \
        s##i = L5_AT(i, c);
#define L5_ADD(i)                                                                              \
    if (V > i)                                                                                 \
        s##i = _mm512_add_ps(s##i, L5_AT(i, row));
#define L5_STORE(i)                                                                        \
    if (V > i)                                                                             \
        _mm512_mask_storeu_ps(c + 16 * i,                                                  \
                              V == i + 1 && n < 16 * V ? last : (__mmask16)0xffff, s##i);

L5_BODY void loops_sum_512(int V, mango_idx m, mango_idx n, mango_idx words,
                           const uint64_t *mask, const float *b, mango_idx ldb, float *c,
                           mango_idx ldc, int load)
{
    const __mmask16 last = (__mmask16)(0xffffu >> (16 * V - n));
    for (mango_idx i = 0; i < m; i++, mask += words, c += ldc) {
        const float *B = b;
        L5_EACH(L5_START)
        for (mango_idx k = 0; k < words; k++, B += 64 * ldb)
            for (uint64_t w = mask[k]; w; w &= w - 1) {
                const float *row = B + mgi_bits_first(w) * ldb;
                L5_EACH(L5_ADD)
            }
        L5_EACH(L5_STORE)
    }
}

__attribute__((target("avx512f"))) MGI_FN void
mgi_avx512_sum_rows(mango_idx m, mango_idx n, mango_idx words, const uint64_t *mask,
                    const float *b, mango_idx ldb, float *c, mango_idx ldc, int load)
{
    if (n == 64)
        loops_sum_512(4, m, 64, words, mask, b, ldb, c, ldc, load);
    else if (n > 48)
        loops_sum_512(4, m, n, words, mask, b, ldb, c, ldc, load);
    else if (n > 32)
        loops_sum_512(3, m, n, words, mask, b, ldb, c, ldc, load);
    else if (n > 16)
        loops_sum_512(2, m, n, words, mask, b, ldb, c, ldc, load);
    else if (n > 0)
        loops_sum_512(1, m, n, words, mask, b, ldb, c, ldc, load);
}

#define L2_EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
#define L2_AT(i, p) _mm256_loadu_ps((p) + 8 * i)
#define L2_START(i)                                                                            \
    __m256 s##i = _mm256_setzero_ps();                                                         \
    if (V > i && load)                                                                         \
        s##i = L2_AT(i, c);
#define L2_ADD(i)                                                                              \
    if (V > i)                                                                                 \
        s##i = _mm256_add_ps(s##i, L2_AT(i, row));
#define L2_STORE(i)                                                                            \
    if (V > i)                                                                                 \
        _mm256_storeu_ps(c + 8 * i, s##i);

L2_BODY void loops_sum_256(int V, mango_idx m, mango_idx words, const uint64_t *mask,
                           const float *b, mango_idx ldb, float *c, mango_idx ldc, int load)
{
    for (mango_idx i = 0; i < m; i++, mask += words, c += ldc) {
        const float *B = b;
        L2_EACH(L2_START)
        for (mango_idx k = 0; k < words; k++, B += 64 * ldb)
            for (uint64_t w = mask[k]; w; w &= w - 1) {
                const float *row = B + mgi_bits_first(w) * ldb;
                L2_EACH(L2_ADD)
            }
        L2_EACH(L2_STORE)
    }
}

L2 void mgi_avx2_sum_rows(mango_idx m, mango_idx n, mango_idx words, const uint64_t *mask,
                          const float *b, mango_idx ldb, float *c, mango_idx ldc, int load)
{
    const mango_idx full = n >= 64 ? 64 : n >= 32 ? 32 : n >= 16 ? 16 : n >= 8 ? 8 : 0;
    if (full == 64)
        loops_sum_256(8, m, words, mask, b, ldb, c, ldc, load);
    else if (full == 32)
        loops_sum_256(4, m, words, mask, b, ldb, c, ldc, load);
    else if (full == 16)
        loops_sum_256(2, m, words, mask, b, ldb, c, ldc, load);
    else if (full == 8)
        loops_sum_256(1, m, words, mask, b, ldb, c, ldc, load);
    else
        mgi_loops_base()->sum_rows(m, n, words, mask, b, ldb, c, ldc, load);
    if (full > 0 && n > full)
        mgi_avx2_sum_rows(m, n - full, words, mask, b + full, ldb, c + full, ldc, load);
}

/* ---- rows times values --------------------------------------------------------- */

#define L5_FEW(i)                                                                              \
    if (V > i)                                                                                 \
        s##i = _mm512_fmadd_ps(v, L5_AT(i, row), s##i);

L5_BODY void loops_few_512(int V, mango_idx m, mango_idx n, const uint32_t *from,
                           const mgi_few *e, const float *b, mango_idx nr, float *c,
                           mango_idx ldc)
{
    const __mmask16 last = (__mmask16)(0xffffu >> (16 * V - n));
    const int load = 1;
    for (mango_idx i = 0; i < m; i++, c += ldc) {
        if (from[i] == from[i + 1])
            continue;
        L5_EACH(L5_START)
        for (const mgi_few *p = e + from[i], *end = e + from[i + 1]; p < end; p++) {
            const float *row = b + (mango_idx)p->at * nr;
            const __m512 v = _mm512_set1_ps(p->v);
            L5_EACH(L5_FEW)
        }
        L5_EACH(L5_STORE)
    }
}

__attribute__((target("avx512f"))) MGI_FN void
mgi_avx512_few(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e, const float *b,
               mango_idx nr, float *c, mango_idx ldc)
{
    if (n == 64 && nr == 64)
        loops_few_512(4, m, 64, from, e, b, 64, c, ldc);
    else if (n > 48)
        loops_few_512(4, m, n, from, e, b, nr, c, ldc);
    else if (n > 32)
        loops_few_512(3, m, n, from, e, b, nr, c, ldc);
    else if (n > 16)
        loops_few_512(2, m, n, from, e, b, nr, c, ldc);
    else if (n > 0)
        loops_few_512(1, m, n, from, e, b, nr, c, ldc);
}

#define L2_FEW(i)                                                                              \
    if (V > i)                                                                                 \
        s##i = _mm256_fmadd_ps(v, L2_AT(i, row), s##i);

static inline __attribute__((always_inline, target("avx2,fma"))) void
loops_few_256(int V, mango_idx m, const uint32_t *from, const mgi_few *e, const float *b,
              mango_idx nr, float *c, mango_idx ldc)
{
    const int load = 1;
    for (mango_idx i = 0; i < m; i++, c += ldc) {
        L2_EACH(L2_START)
        for (const mgi_few *p = e + from[i], *end = e + from[i + 1]; p < end; p++) {
            const float *row = b + (mango_idx)p->at * nr;
            const __m256 v = _mm256_set1_ps(p->v);
            L2_EACH(L2_FEW)
        }
        L2_EACH(L2_STORE)
    }
}

__attribute__((target("avx2,fma"))) MGI_FN void
mgi_avx2_few(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e, const float *b,
             mango_idx nr, float *c, mango_idx ldc)
{
    const mango_idx full = n >= 64 ? 64 : n >= 32 ? 32 : n >= 8 ? 8 : 0;
    if (full == 64)
        loops_few_256(8, m, from, e, b, nr, c, ldc);
    else if (full == 32)
        loops_few_256(4, m, from, e, b, nr, c, ldc);
    else if (full == 8)
        loops_few_256(1, m, from, e, b, nr, c, ldc);
    else
        mgi_loops_base()->few(m, n, from, e, b, nr, c, ldc);
    if (full > 0 && n > full)
        mgi_avx2_few(m, n - full, from, e, b + full, nr, c + full, ldc);
}

#undef L2
#undef L2_BODY
#undef L2_EACH
#undef L2_AT
#undef L2_START
#undef L2_ADD
#undef L2_STORE
#undef L2_FEW
#undef L5_BODY
#undef L5_EACH
#undef L5_AT
#undef L5_START
#undef L5_ADD
#undef L5_STORE
#undef L5_FEW
#endif
