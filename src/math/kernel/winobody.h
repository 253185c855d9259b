/* winobody.h - the transforms of winograd.h, written once for every kernel
 * set. A file defines, before MGI_WINO_SET and for as long as it uses it:
 *     WINO_T                a vector of WINO_W channels
 *     WINO_GET(p), WINO_PUT(p, v)     from and to memory, any alignment
 *     WINO_ADD(a, b), WINO_SUB(a, b), WINO_MAC(k, a, b)     k*a + b
 *     WINO_RELU(v)          v > 0 ? v : +0;   WINO_ZERO     +0
 * A tile's a*a vectors live in t[]; its indices are constants, so that t is
 * registers as far as they reach. First columns (the y direction), then rows.
 * Channels that fill no vector are left to the plain set.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_WINOBODY_H
#define MGI_WINOBODY_H

#include "../winograd.h"

#if defined(__GNUC__)
#define MGI_WINO_INLINE static inline __attribute__((always_inline))
#else
#define MGI_WINO_INLINE static inline
#endif

/* Gg without its factors, for n columns g: g0, g0+g1+g2, g0-g1+g2[, g0+2g1+4g2,
 * g0-2g1+4g2], g2. */
MGI_WINO_INLINE void mgi_wino_g(int m, mango_idx n, const double *g0, const double *g1,
                                const double *g2, double *t, mango_idx step)
{
    double *last = t + (m + 1) * step;
    for (mango_idx o = 0; o < n; o++) {
        const double s = g0[o] + g2[o];
        t[o] = g0[o];
        t[step + o] = s + g1[o];
        t[2 * step + o] = s - g1[o];
        last[o] = g2[o];
    }
    for (mango_idx o = 0; m == 4 && o < n; o++) {
        const double q = g0[o] + 4.0 * g2[o], d = 2.0 * g1[o];
        t[3 * step + o] = q + d;
        t[4 * step + o] = q - d;
    }
}

/* U = G g G' of n <= 32 kernels in double: one text, compiled for each kernel set. */
MGI_WINO_INLINE void mgi_wino_filter(int m, mango_idx n, const float *g, float *U)
{
    static const double f2[4] = {1.0, 0.5, 0.5, 1.0};
    static const double f4[6] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24, 1.0};
    const double *f = m == 2 ? f2 : f4;
    const int a = m + 2;
    double d[9 * 32], t[18 * 32], u[6 * 32];
    for (mango_idx i = 0; i < 9 * n; i++)
        d[i] = (double)g[i];
    for (int j = 0; j < 3; j++)
        mgi_wino_g(m, n, d + j * n, d + (3 + j) * n, d + (6 + j) * n, t + j * n, 3 * n);
    for (int i = 0; i < a; i++) {
        const double *r = t + 3 * i * n;
        mgi_wino_g(m, n, r, r + n, r + 2 * n, u, n);
        for (int j = 0; j < a; j++, U += n)
            for (mango_idx o = 0; o < n; o++)
                U[o] = (float)(u[j * n + o] * (f[i] * f[j]));
    }
}

/* t = B'd: one column or row. m = 2:  d0-d2, d1+d2, d2-d1, d1-d3. */
#define MGI_WINO_B2(d0, d1, d2, d3, t0, t1, t2, t3)                                            \
    {                                                                                          \
        const WINO_T x0 = d0, x1 = d1, x2 = d2, x3 = d3;                                       \
        t0 = WINO_SUB(x0, x2);                                                                 \
        t1 = WINO_ADD(x1, x2);                                                                 \
        t2 = WINO_SUB(x2, x1);                                                                 \
        t3 = WINO_SUB(x1, x3);                                                                 \
    }
/* m = 4:  4 d0 - 5 d2 + d4,   -4 d1 - 4 d2 + d3 + d4,   4 d1 - 4 d2 - d3 + d4,
 *        -2 d1 - d2 + 2 d3 + d4,   2 d1 - d2 - 2 d3 + d4,   4 d1 - 5 d3 + d5 */
#define MGI_WINO_B4(d0, d1, d2, d3, d4, d5, t0, t1, t2, t3, t4, t5)                            \
    {                                                                                          \
        const WINO_T x1 = d1, x2 = d2, x3 = d3, x4 = d4;                                       \
        const WINO_T e = WINO_SUB(x4, x2), f = WINO_SUB(x3, x1);                               \
        const WINO_T p = WINO_MAC(-4.0f, x2, x4), q = WINO_MAC(-4.0f, x1, x3);                 \
        t0 = WINO_MAC(4.0f, WINO_SUB(d0, x2), e);                                              \
        t1 = WINO_ADD(p, q);                                                                   \
        t2 = WINO_SUB(p, q);                                                                   \
        t3 = WINO_MAC(2.0f, f, e);                                                             \
        t4 = WINO_MAC(-2.0f, f, e);                                                            \
        t5 = WINO_MAC(-4.0f, f, WINO_SUB(d5, x3));                                             \
    }
/* y = A'm. m = 2:  m0 + m1 + m2,  m1 - m2 - m3. */
#define MGI_WINO_A2(m0, m1, m2, m3, y0, y1)                                                    \
    {                                                                                          \
        const WINO_T x1 = m1, x2 = m2;                                                         \
        y0 = WINO_ADD(m0, WINO_ADD(x1, x2));                                                   \
        y1 = WINO_SUB(WINO_SUB(x1, x2), m3);                                                   \
    }
/* m = 4, with s = m1 + m2, r = m1 - m2, S = m3 + m4, R = m3 - m4:
 *     m0 + s + S,   r + 2 R,   s + 4 S,   r + 8 R + m5 */
#define MGI_WINO_A4(m0, m1, m2, m3, m4, m5, y0, y1, y2, y3)                                    \
    {                                                                                          \
        const WINO_T x1 = m1, x2 = m2, x3 = m3, x4 = m4;                                       \
        const WINO_T s = WINO_ADD(x1, x2), r = WINO_SUB(x1, x2);                               \
        const WINO_T S = WINO_ADD(x3, x4), R = WINO_SUB(x3, x4);                               \
        y0 = WINO_ADD(WINO_ADD(m0, s), S);                                                     \
        y1 = WINO_MAC(2.0f, R, r);                                                             \
        y2 = WINO_MAC(4.0f, S, s);                                                             \
        y3 = WINO_ADD(WINO_MAC(8.0f, R, r), m5);                                               \
    }

/* m = 3:  m0 + m1 + m2,  m1 - m2,  m1 + m2 - m3. */
#define MGI_WINO_A3(m0, m1, m2, m3, y0, y1, y2)                                                \
    {                                                                                          \
        const WINO_T x1 = m1, x2 = m2, s = WINO_ADD(x1, x2);                                   \
        y0 = WINO_ADD(m0, s);                                                                  \
        y1 = WINO_SUB(x1, x2);                                                                 \
        y2 = WINO_SUB(s, m3);                                                                  \
    }

/* z = A y, for gradients. m = 2:  y0, y0 + y1, y0 - y1, -y1. */
#define MGI_WINO_Z2(d0, d1, z0, z1, z2, z3)                                                    \
    {                                                                                          \
        const WINO_T x0 = d0, x1 = d1;                                                         \
        z0 = x0;                                                                               \
        z1 = WINO_ADD(x0, x1);                                                                 \
        z2 = WINO_SUB(x0, x1);                                                                 \
        z3 = WINO_SUB(WINO_ZERO, x1);                                                          \
    }
/* m = 4:  y0,   y0 + y2 +- (y1 + y3),   y0 + 4 y2 +- 2 (y1 + 4 y3),   y3 */
#define MGI_WINO_Z4(d0, d1, d2, d3, z0, z1, z2, z3, z4, z5)                                    \
    {                                                                                          \
        const WINO_T x0 = d0, x1 = d1, x2 = d2, x3 = d3;                                       \
        const WINO_T e = WINO_ADD(x0, x2), f = WINO_ADD(x1, x3);                               \
        const WINO_T p = WINO_MAC(4.0f, x2, x0), q = WINO_MAC(4.0f, x3, x1);                   \
        z0 = x0;                                                                               \
        z1 = WINO_ADD(e, f);                                                                   \
        z2 = WINO_SUB(e, f);                                                                   \
        z3 = WINO_MAC(2.0f, q, p);                                                             \
        z4 = WINO_MAC(-2.0f, q, p);                                                            \
        z5 = x3;                                                                               \
    }

/* A row of t into the planes of V: a = 4, 6 values. */
#define MGI_WINO_PUT4(i, v0, v1, v2, v3)                                                       \
    {                                                                                          \
        WINO_PUT(V + (4 * i) * plane + c, v0);                                                 \
        WINO_PUT(V + (4 * i + 1) * plane + c, v1);                                             \
        WINO_PUT(V + (4 * i + 2) * plane + c, v2);                                             \
        WINO_PUT(V + (4 * i + 3) * plane + c, v3);                                             \
    }
#define MGI_WINO_PUT6(i, v0, v1, v2, v3, v4, v5)                                               \
    {                                                                                          \
        WINO_PUT(V + (6 * i) * plane + c, v0);                                                 \
        WINO_PUT(V + (6 * i + 1) * plane + c, v1);                                             \
        WINO_PUT(V + (6 * i + 2) * plane + c, v2);                                             \
        WINO_PUT(V + (6 * i + 3) * plane + c, v3);                                             \
        WINO_PUT(V + (6 * i + 4) * plane + c, v4);                                             \
        WINO_PUT(V + (6 * i + 5) * plane + c, v5);                                             \
    }

/* A column of pixels into t; a row of t into V. */
#define MGI_WINO_IN2_COL(j)                                                                    \
    MGI_WINO_B2(WINO_GET(px[j] + c), WINO_GET(px[4 + j] + c), WINO_GET(px[8 + j] + c),         \
                WINO_GET(px[12 + j] + c), t[j], t[4 + j], t[8 + j], t[12 + j])
#define MGI_WINO_IN2_ROW(i)                                                                    \
    {                                                                                          \
        WINO_T v0, v1, v2, v3;                                                                 \
        MGI_WINO_B2(t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3], v0, v1, v2, v3)        \
        MGI_WINO_PUT4(i, v0, v1, v2, v3)                                                       \
    }
#define MGI_WINO_IN4_COL(j)                                                                    \
    MGI_WINO_B4(WINO_GET(px[j] + c), WINO_GET(px[6 + j] + c), WINO_GET(px[12 + j] + c),        \
                WINO_GET(px[18 + j] + c), WINO_GET(px[24 + j] + c), WINO_GET(px[30 + j] + c),  \
                t[j], t[6 + j], t[12 + j], t[18 + j], t[24 + j], t[30 + j])
#define MGI_WINO_IN4_ROW(i)                                                                    \
    {                                                                                          \
        WINO_T v0, v1, v2, v3, v4, v5;                                                         \
        MGI_WINO_B4(t[6 * i], t[6 * i + 1], t[6 * i + 2], t[6 * i + 3], t[6 * i + 4],          \
                    t[6 * i + 5], v0, v1, v2, v3, v4, v5)                                      \
        MGI_WINO_PUT6(i, v0, v1, v2, v3, v4, v5)                                               \
    }

/* A column of dy's pixels into t; a row of t into Z, which is called V. */
#define MGI_WINO_GR2_COL(j)                                                                \
    MGI_WINO_Z2(WINO_GET(px[j] + c), WINO_GET(px[2 + j] + c), t[j], t[2 + j], t[4 + j],    \
                t[6 + j])
#define MGI_WINO_GR2_ROW(i)                                                                    \
    {                                                                                          \
        WINO_T v0, v1, v2, v3;                                                                 \
        MGI_WINO_Z2(t[2 * i], t[2 * i + 1], v0, v1, v2, v3)                                    \
        MGI_WINO_PUT4(i, v0, v1, v2, v3)                                                       \
    }
#define MGI_WINO_GR4_COL(j)                                                                    \
    MGI_WINO_Z4(WINO_GET(px[j] + c), WINO_GET(px[4 + j] + c), WINO_GET(px[8 + j] + c),         \
                WINO_GET(px[12 + j] + c), t[j], t[4 + j], t[8 + j], t[12 + j], t[16 + j],      \
                t[20 + j])
#define MGI_WINO_GR4_ROW(i)                                                                    \
    {                                                                                          \
        WINO_T v0, v1, v2, v3, v4, v5;                                                         \
        MGI_WINO_Z4(t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3], v0, v1, v2, v3, v4, v5)\
        MGI_WINO_PUT6(i, v0, v1, v2, v3, v4, v5)                                               \
    }

/* A column of M into t; a row of t, finished, into y. */
#define MGI_WINO_AT(p) WINO_GET(M + (p) * plane + c)
#define MGI_WINO_OUT2_COL(j)                                                                   \
    MGI_WINO_A2(MGI_WINO_AT(j), MGI_WINO_AT(4 + j), MGI_WINO_AT(8 + j), MGI_WINO_AT(12 + j),   \
                t[j], t[4 + j])
#define MGI_WINO_OUT3_COL(j)                                                                   \
    MGI_WINO_A3(MGI_WINO_AT(j), MGI_WINO_AT(4 + j), MGI_WINO_AT(8 + j), MGI_WINO_AT(12 + j),   \
                t[j], t[4 + j], t[8 + j])
#define MGI_WINO_OUT4_COL(j)                                                                   \
    MGI_WINO_A4(MGI_WINO_AT(j), MGI_WINO_AT(6 + j), MGI_WINO_AT(12 + j), MGI_WINO_AT(18 + j),  \
                MGI_WINO_AT(24 + j), MGI_WINO_AT(30 + j), t[j], t[6 + j], t[12 + j], t[18 + j])
#define MGI_WINO_PIXEL(q, v)                                                                   \
    {                                                                                          \
        WINO_T z = v;                                                                          \
        if (bias)                                                                              \
            z = WINO_ADD(z, b);                                                                \
        if (res)                                                                               \
            z = WINO_ADD(z, WINO_GET(res[q] + c));                                             \
        if (relu)                                                                              \
            z = WINO_RELU(z);                                                                  \
        WINO_PUT(y[q] + c, z);                                                                 \
    }
#define MGI_WINO_OUT2_ROW(i)                                                                   \
    {                                                                                          \
        WINO_T v0, v1;                                                                         \
        MGI_WINO_A2(t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3], v0, v1)                \
        MGI_WINO_PIXEL(2 * i, v0)                                                              \
        MGI_WINO_PIXEL(2 * i + 1, v1)                                                          \
    }
#define MGI_WINO_OUT3_ROW(i)                                                                   \
    {                                                                                          \
        WINO_T v0, v1, v2;                                                                     \
        MGI_WINO_A3(t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3], v0, v1, v2)            \
        MGI_WINO_PIXEL(3 * i, v0)                                                              \
        MGI_WINO_PIXEL(3 * i + 1, v1)                                                          \
        MGI_WINO_PIXEL(3 * i + 2, v2)                                                          \
    }
#define MGI_WINO_OUT4_ROW(i)                                                                   \
    {                                                                                          \
        WINO_T v0, v1, v2, v3;                                                                 \
        MGI_WINO_A4(t[6 * i], t[6 * i + 1], t[6 * i + 2], t[6 * i + 3], t[6 * i + 4],          \
                    t[6 * i + 5], v0, v1, v2, v3)                                              \
        MGI_WINO_PIXEL(4 * i, v0)                                                              \
        MGI_WINO_PIXEL(4 * i + 1, v1)                                                          \
        MGI_WINO_PIXEL(4 * i + 2, v2)                                                          \
        MGI_WINO_PIXEL(4 * i + 3, v3)                                                          \
    }

/* The transforms of a kernel set; attr: its target, static; of: the
 * member of the set for what fills no vector. */
#define MGI_WINO_INPUT(name, attr, of, m, size, body)                                          \
    attr void name(mango_idx c0, mango_idx n, const float *const *px, float *V,                \
                   mango_idx plane)                                                            \
    {                                                                                          \
        mango_idx c = c0;                                                                      \
        for (; c + WINO_W <= n; c += WINO_W) {                                                 \
            WINO_T t[size];                                                                    \
            body                                                                               \
        }                                                                                      \
        if (WINO_W > 1 && c < n)                                                               \
            mgi_winograd_ref()->of[m / 4](c, n, px, V, plane);                                 \
    }
#define MGI_WINO_OUTPUT(name, attr, m, size, body)                                             \
    attr void name(mango_idx c0, mango_idx n, const float *M, mango_idx plane,                 \
                   const float *bias, const float *const *res, int relu, float *const *y)      \
    {                                                                                          \
        mango_idx c = c0;                                                                      \
        for (; c + WINO_W <= n; c += WINO_W) {                                                 \
            WINO_T t[size], b = WINO_GET(bias ? bias + c : M + c);                             \
            body                                                                               \
        }                                                                                      \
        if (WINO_W > 1 && c < n)                                                               \
            mgi_winograd_ref()->output[MGI_WINOGRAD_OUTPUT(m)](c, n, M, plane, bias, res,      \
                relu, y);                                                                      \
    }
#define MGI_WINO_SET(prefix, attr)                                                             \
    MGI_WINO_INPUT(prefix##_in2, attr, input, 2, 16,                                           \
                   MGI_WINO_IN2_COL(0) MGI_WINO_IN2_COL(1) MGI_WINO_IN2_COL(2)                 \
                   MGI_WINO_IN2_COL(3) MGI_WINO_IN2_ROW(0) MGI_WINO_IN2_ROW(1)                 \
                   MGI_WINO_IN2_ROW(2) MGI_WINO_IN2_ROW(3))                                    \
    MGI_WINO_INPUT(prefix##_in4, attr, input, 4, 36,                                           \
                   MGI_WINO_IN4_COL(0) MGI_WINO_IN4_COL(1) MGI_WINO_IN4_COL(2)                 \
                   MGI_WINO_IN4_COL(3) MGI_WINO_IN4_COL(4) MGI_WINO_IN4_COL(5)                 \
                   MGI_WINO_IN4_ROW(0) MGI_WINO_IN4_ROW(1) MGI_WINO_IN4_ROW(2)                 \
                   MGI_WINO_IN4_ROW(3) MGI_WINO_IN4_ROW(4) MGI_WINO_IN4_ROW(5))                \
    MGI_WINO_INPUT(prefix##_gr2, attr, grad, 2, 8,                                             \
                   MGI_WINO_GR2_COL(0) MGI_WINO_GR2_COL(1) MGI_WINO_GR2_ROW(0)                 \
                   MGI_WINO_GR2_ROW(1) MGI_WINO_GR2_ROW(2) MGI_WINO_GR2_ROW(3))                \
    MGI_WINO_INPUT(prefix##_gr4, attr, grad, 4, 24,                                            \
                   MGI_WINO_GR4_COL(0) MGI_WINO_GR4_COL(1) MGI_WINO_GR4_COL(2)                 \
                   MGI_WINO_GR4_COL(3) MGI_WINO_GR4_ROW(0) MGI_WINO_GR4_ROW(1)                 \
                   MGI_WINO_GR4_ROW(2) MGI_WINO_GR4_ROW(3) MGI_WINO_GR4_ROW(4)                 \
                   MGI_WINO_GR4_ROW(5))                                                        \
    MGI_WINO_OUTPUT(prefix##_out2, attr, 2, 8,                                                 \
                    MGI_WINO_OUT2_COL(0) MGI_WINO_OUT2_COL(1) MGI_WINO_OUT2_COL(2)             \
                    MGI_WINO_OUT2_COL(3) MGI_WINO_OUT2_ROW(0) MGI_WINO_OUT2_ROW(1))            \
    MGI_WINO_OUTPUT(prefix##_out4, attr, 4, 24,                                                \
                    MGI_WINO_OUT4_COL(0) MGI_WINO_OUT4_COL(1) MGI_WINO_OUT4_COL(2)             \
                    MGI_WINO_OUT4_COL(3) MGI_WINO_OUT4_COL(4) MGI_WINO_OUT4_COL(5)             \
                    MGI_WINO_OUT4_ROW(0) MGI_WINO_OUT4_ROW(1) MGI_WINO_OUT4_ROW(2)             \
                    MGI_WINO_OUT4_ROW(3))                                                      \
    MGI_WINO_OUTPUT(prefix##_out3, attr, 3, 12,                                                \
                    MGI_WINO_OUT3_COL(0) MGI_WINO_OUT3_COL(1) MGI_WINO_OUT3_COL(2)             \
                    MGI_WINO_OUT3_COL(3) MGI_WINO_OUT3_ROW(0) MGI_WINO_OUT3_ROW(1)             \
                    MGI_WINO_OUT3_ROW(2))                                                      \
    attr void prefix##_filter(int m, mango_idx n, const float *g, float *U)                    \
    {                                                                                          \
        if (m == 2)                                                                            \
            mgi_wino_filter(2, n, g, U);                                                       \
        else                                                                                   \
            mgi_wino_filter(4, n, g, U);                                                       \
    }                                                                                          \
    static const mgi_winograd_set prefix##_set = {                                             \
        {prefix##_in2, prefix##_in4}, {prefix##_gr2, prefix##_gr4},                            \
        {prefix##_out2, prefix##_out4, prefix##_out3}, prefix##_filter}

#endif
