/* tanh.c - tanh of many values: mgi_tanhf lane by lane, several at a time.
 *
 * The scalar function (base/real.c) has two forms, both in double: below 1/2 in
 * magnitude Lambert's continued fraction, x P(x^2) / Q(x^2), above it
 * 1 - 2 / (exp(2a) + 1). Here each lane computes both polynomials and chooses
 * before the division, so there is one division and no branch:
 *     r = (a < 1/2 ? x P : 2) / (a < 1/2 ? Q : exp(2a) + 1),   a < 1/2 ? r : +-(1 - r)
 * The operations of the form that counts are those of the scalar function, in its
 * order, each rounded alone; a is held at 20, where the second form is 1 exactly,
 * and 2^k comes from the bits of k. A vector has W doubles; the type is GCC's and
 * Clang's, of a width the target has, so that nothing is contracted or split.
 * SPDX-License-Identifier: MIT */
#include "../../base/real.h"
#include "kernels.h"

MGI_FN void mgi_ref_tanh(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = mgi_tanhf(x[i]);
}

#if defined(__GNUC__) &&                                                                       \
    (defined(__x86_64__) || (defined(__aarch64__) && !defined(__AARCH64EB__)))

/* mask ? a : b, mask all ones or zeros */
#define TANH_PICK(mask, a, b) (tanh_d)(((mask) & (tanh_i)(a)) | (~(mask) & (tanh_i)(b)))

/* e = exp(z), 1 <= z <= 40, as mgi_exp: z = k ln2 + r, the series of degree 13.
 * Adding 2^52 rounds to a whole number, and leaves it in the low bits. */
#define TANH_EXP(z, e)                                                                         \
    {                                                                                          \
        const tanh_d v = (z) * 0x1.71547652b82fep+0 + 0.5, near = (v + 0x1p52) - 0x1p52;       \
        const tanh_d k = near - (tanh_d)((near > v) & (tanh_i)(tanh_zero + 1.0));              \
        const tanh_d a = (z) - k * 0x1.62e42feep-1, b = 0.0 - k * 0x1.a39ef35793c76p-33;       \
        const tanh_d r = a + b;                                                                \
        tanh_d q = tanh_zero + 1.0 / 6227020800.0;                                             \
        q = q * r + 1.0 / 479001600;                                                           \
        q = q * r + 1.0 / 39916800;                                                            \
        q = q * r + 1.0 / 3628800;                                                             \
        q = q * r + 1.0 / 362880;                                                              \
        q = q * r + 1.0 / 40320;                                                               \
        q = q * r + 1.0 / 5040;                                                                \
        q = q * r + 1.0 / 720;                                                                 \
        q = q * r + 1.0 / 120;                                                                 \
        q = q * r + 1.0 / 24;                                                                  \
        q = q * r + 1.0 / 6;                                                                   \
        q = q * r + 1.0 / 2;                                                                   \
        const tanh_d p = 1.0 + (a + (b + r * r * q));                                          \
        e = p * (tanh_d)((tanh_i)(k + (0x1p52 + 1023.0)) << 52);                               \
    }

#define TANH_SET(name, W, attr)                                                                \
    attr MGI_FN void name(mango_idx n, const float *x, float *y)                               \
    {                                                                                          \
        typedef double tanh_d __attribute__((vector_size(8 * W)));                             \
        typedef long long tanh_i __attribute__((vector_size(8 * W)));                          \
        typedef float tanh_f __attribute__((vector_size(4 * W)));                              \
        typedef int tanh_m __attribute__((vector_size(4 * W)));                                \
        const tanh_d tanh_zero = {0.0};                                                        \
        const tanh_i sign = (tanh_i)(-tanh_zero);                                         \
        mango_idx i = 0;                                                                       \
        for (; i + W <= n; i += W) {                                                           \
            tanh_f f;                                                                          \
            tanh_d e;                                                                          \
            memcpy(&f, x + i, sizeof f);                                                       \
            const tanh_d X = __builtin_convertvector(f, tanh_d), z = X * X;                    \
            const tanh_d A = (tanh_d)((tanh_i)X & ~sign);                                      \
            const tanh_d c = TANH_PICK(A < 20.0, A, tanh_zero + 20.0);                         \
            const tanh_i small = A < 0.5;                                                      \
            const tanh_d P = 2027025.0 + z * (270270.0 + z * (6930.0 + z * 36.0));             \
            const tanh_d Q =                                                                   \
                2027025.0 + z * (945945.0 + z * (51975.0 + z * (630.0 + z)));                  \
            TANH_EXP(c + c, e)                                                                 \
            const tanh_d r = TANH_PICK(small, X * P, tanh_zero + 2.0) /                        \
                             TANH_PICK(small, Q, e + 1.0);                                     \
            const tanh_i t = (tanh_i)(1.0 - r) | ((tanh_i)X & sign);                           \
            const tanh_f g = __builtin_convertvector(TANH_PICK(small, r, t), tanh_f);          \
            const tanh_m nan = f != f;                                                         \
            const tanh_m out = (nan & (tanh_m)f) | (~nan & (tanh_m)g);                         \
            memcpy(y + i, &out, sizeof out);                                                   \
        }                                                                                      \
        mgi_ref_tanh(n - i, x + i, y + i);                                                     \
    }

#if defined(__x86_64__)
TANH_SET(mgi_sse2_tanh, 2, )
TANH_SET(mgi_avx2_tanh, 4, __attribute__((target("avx2"))))
TANH_SET(mgi_avx512_tanh, 8, __attribute__((target("avx512f"))))
#else
TANH_SET(mgi_neon_tanh, 2, )
#endif

#undef TANH_PICK
#undef TANH_EXP
#undef TANH_SET
#endif
