/* transpose.c - squares of 4 x 4 go through registers: four rows are read, four
 * columns written, with the instructions that every x86-64 and every AArch64
 * has. Values are moved, never computed, so this is not part of a kernel set.
 * SPDX-License-Identifier: MIT */
#include "../transpose.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#define TRANSPOSE_SQUARE 4
static inline void transpose_square(const float *x, mango_idx ldx, float *y, mango_idx ldy)
{
    __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + ldx);
    __m128 c = _mm_loadu_ps(x + 2 * ldx), d = _mm_loadu_ps(x + 3 * ldx);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(y, a);
    _mm_storeu_ps(y + ldy, b);
    _mm_storeu_ps(y + 2 * ldy, c);
    _mm_storeu_ps(y + 3 * ldy, d);
}
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define TRANSPOSE_SQUARE 4
static inline void transpose_square(const float *x, mango_idx ldx, float *y, mango_idx ldy)
{
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(x), vld1q_f32(x + ldx));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(x + 2 * ldx), vld1q_f32(x + 3 * ldx));
    vst1q_f32(y, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(y + ldy, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(y + 2 * ldy, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(y + 3 * ldy, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
}
#else
#define TRANSPOSE_SQUARE 1
static inline void transpose_square(const float *x, mango_idx ldx, float *y, mango_idx ldy)
{
    (void)ldx, (void)ldy;
    *y = *x;
}
#endif

/* Plain: rows i0..i1, columns j0..j1. */
static void transpose_rest(mango_idx i0, mango_idx i1, mango_idx j0, mango_idx j1,
                           const float *x, mango_idx ldx, float *y, mango_idx ldy)
{
    for (mango_idx i = i0; i < i1; i++)
        for (mango_idx j = j0; j < j1; j++)
            y[j * ldy + i] = x[i * ldx + j];
}

MGI_FN void mgi_transpose(mango_idx m, mango_idx n, const float *x, mango_idx ldx, float *y,
                          mango_idx ldy)
{
    const mango_idx Q = TRANSPOSE_SQUARE, m0 = m / Q * Q, n0 = n / Q * Q;
    for (mango_idx i = 0; i < m0; i += Q)
        for (mango_idx j = 0; j < n0; j += Q)
            transpose_square(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
    transpose_rest(m0, m, 0, n0, x, ldx, y, ldy);
    transpose_rest(0, m, n0, n, x, ldx, y, ldy);
}

#undef TRANSPOSE_SQUARE
