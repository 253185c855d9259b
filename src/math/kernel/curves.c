/* curves.c - the inner loops of the activations, see ../curves.h.
 *
 * exp(x) = 2^k exp(r), |r| <= ln2/2, by its series of degree 12; log(1 + e) by
 * 2 atanh(f / (2 + f)) of the fraction. 2^k and the fraction come from the bits of a
 * double; adding 1.5 2^52 rounds to a whole number. What a comparison chooses is
 * computed on both sides, so that vectors can be made of the loops.
 * SPDX-License-Identifier: MIT */
#include "../curves.h"
#include "kernels.h"

#if defined(__GNUC__)
#define CURVES_BODY static inline __attribute__((always_inline))
#else
#define CURVES_BODY static inline
#endif

#define CURVES_LN2_HI 0x1.62e42feep-1 /* 32 bits, so that k times it is exact */
#define CURVES_LN2_LO 0x1.a39ef35793c76p-33
#define CURVES_SELU 1.0507009873554804934
#define CURVES_SELU_ALPHA 1.6732632423543772848
#define CURVES_GELU_A 0.79788456080286535588 /* sqrt(2/pi) */
#define CURVES_GELU_B 0.044715

CURVES_BODY double curves_from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

CURVES_BODY uint64_t curves_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* yes ? a : b by their bits, so that no compiler makes a branch of it. */
CURVES_BODY double curves_pick(int yes, double a, double b)
{
    const uint64_t mask = 0 - (uint64_t)yes;
    return curves_from_bits((curves_bits(a) & mask) | (curves_bits(b) & ~mask));
}

CURVES_BODY double curves_least(double x, double top)
{
    return curves_pick(x > top, top, x);
}

/* exp(x), x held in -700..700; NaN stays. */
CURVES_BODY double curves_exp(double x)
{
    const double z = curves_least(curves_pick(x < -700.0, -700.0, x), 700.0);
    const double k = (z * 0x1.71547652b82fep+0 + 0x1.8p52) - 0x1.8p52;
    const double r = (z - k * CURVES_LN2_HI) - k * CURVES_LN2_LO;
    double q = 1.0 / 479001600;
    q = q * r + 1.0 / 39916800;
    q = q * r + 1.0 / 3628800;
    q = q * r + 1.0 / 362880;
    q = q * r + 1.0 / 40320;
    q = q * r + 1.0 / 5040;
    q = q * r + 1.0 / 720;
    q = q * r + 1.0 / 120;
    q = q * r + 1.0 / 24;
    q = q * r + 1.0 / 6;
    q = q * r + 1.0 / 2;
    const double p = 1.0 + (r + r * r * q);
    return p * curves_from_bits(curves_bits(k + (0x1p52 + 1023.0)) << 52);
}

/* exp(x) - 1 for x <= 0; near 0 by its series. */
CURVES_BODY double curves_expm1(double x)
{
    const double far = curves_exp(x) - 1.0, near = x + 0.5 * x * x;
    return curves_pick(x > -1e-5, near, far);
}

/* log(1 + e), 0 <= e < 1e300. */
CURVES_BODY double curves_log1p(double e)
{
    const double u = 1.0 + e, lost = e - (u - 1.0);
    const uint64_t b = curves_bits(u);
    const double k0 = curves_from_bits(b >> 52 | 0x4330000000000000u) - (0x1p52 + 1023.0);
    const double m0 = curves_from_bits((b & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    const int large = m0 > 0x1.6a09e667f3bcdp+0;
    const double m = curves_pick(large, 0.5 * m0, m0);
    const double k = curves_pick(large, k0 + 1.0, k0);
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s, h = 0.5 * f * f;
    double q = 2.0 / 19;
    q = q * z + 2.0 / 17;
    q = q * z + 2.0 / 15;
    q = q * z + 2.0 / 13;
    q = q * z + 2.0 / 11;
    q = q * z + 2.0 / 9;
    q = q * z + 2.0 / 7;
    q = q * z + 2.0 / 5;
    q = q * z + 2.0 / 3;
    const double low = s * (h + z * q) + (k * CURVES_LN2_LO + lost / u);
    return k * CURVES_LN2_HI - ((h - low) - f);
}

CURVES_BODY double curves_sigmoid(double x)
{
    return 1.0 / (1.0 + curves_exp(-x));
}

CURVES_BODY double curves_clamp(double x, double lo, double hi)
{
    return curves_least(curves_pick(x < lo, lo, x), hi);
}

CURVES_BODY double curves_elu(double x, double a)
{
    const double low = a * curves_expm1(curves_least(x, 0.0));
    return curves_pick(x > 0.0, x, low);
}

CURVES_BODY double curves_softplus(double x, double a, double b)
{
    const double z = a * x, low = curves_log1p(curves_exp(curves_least(z, b))) / a;
    return curves_pick(z > b, x, low);
}

/* tanh(log(1 + e)) = w/(w + 2), w = e^2 + 2e; 1 from exp(40) on. */
CURVES_BODY double curves_mish(double e)
{
    const double w = e * e + 2.0 * e;
    return w / (w + 2.0);
}

CURVES_BODY float curves_value(mgi_curve f, double a, double b, float v)
{
    const double x = (double)v;
    switch (f) {
    case MGI_CURVE_LEAKYRELU: return (float)curves_pick(x > 0.0, x, (double)(float)a * x);
    case MGI_CURVE_ELU: return (float)curves_elu(x, a);
    case MGI_CURVE_SELU: return (float)(CURVES_SELU * curves_elu(x, CURVES_SELU_ALPHA));
    case MGI_CURVE_SILU: return (float)(x * curves_sigmoid(x));
    case MGI_CURVE_SIGMOID: return (float)curves_sigmoid(x);
    case MGI_CURVE_HARDTANH: return (float)curves_clamp(x, a, b);
    case MGI_CURVE_SOFTPLUS: return (float)curves_softplus(x, a, b);
    case MGI_CURVE_HARDSIGMOID: return (float)(curves_clamp(x + 3.0, 0.0, 6.0) / 6.0);
    case MGI_CURVE_HARDSWISH: return (float)(x * curves_clamp(x + 3.0, 0.0, 6.0) / 6.0);
    case MGI_CURVE_MISH: return (float)(x * curves_mish(curves_exp(curves_least(x, 40.0))));
    case MGI_CURVE_GELU_TANH:
        return (float)(x * curves_sigmoid(2.0 * CURVES_GELU_A *
                                          (x + CURVES_GELU_B * x * x * x)));
    default: return (float)a * v + (float)b;
    }
}

CURVES_BODY double curves_silu_slope(double x)
{
    const double s = curves_sigmoid(x);
    return s * (1.0 + x * (1.0 - s));
}

CURVES_BODY double curves_mish_slope(double x)
{
    const double e = curves_exp(curves_least(x, 40.0)), t = curves_mish(e);
    return t + x * (1.0 - t * t) * e / (1.0 + e);
}

CURVES_BODY double curves_gelu_slope(double x)
{
    const double s = curves_sigmoid(2.0 * CURVES_GELU_A * (x + CURVES_GELU_B * x * x * x));
    const double du = 2.0 * CURVES_GELU_A * (1.0 + 3.0 * CURVES_GELU_B * x * x);
    return s + x * s * (1.0 - s) * du;
}

/* The derivative as PyTorch takes it where there is a corner. */
CURVES_BODY double curves_slope(mgi_curve f, double a, double b, double x)
{
    switch (f) {
    case MGI_CURVE_LEAKYRELU: return curves_pick(x > 0.0, 1.0, a);
    case MGI_CURVE_ELU: {
        const double low = a * curves_exp(curves_least(x, 0.0));
        return curves_pick(x > 0.0, 1.0, low);
    }
    case MGI_CURVE_SELU: {
        const double low = CURVES_SELU_ALPHA * curves_exp(curves_least(x, 0.0));
        return CURVES_SELU * curves_pick(x > 0.0, 1.0, low);
    }
    case MGI_CURVE_SILU: return curves_silu_slope(x);
    case MGI_CURVE_SIGMOID: {
        const double s = curves_sigmoid(x);
        return s * (1.0 - s);
    }
    case MGI_CURVE_HARDTANH: return curves_pick((x > a) & (x < b), 1.0, 0.0);
    case MGI_CURVE_SOFTPLUS: {
        const double low = curves_sigmoid(a * x);
        return curves_pick(a * x > b, 1.0, low);
    }
    case MGI_CURVE_HARDSIGMOID: return curves_pick((x > -3.0) & (x < 3.0), 1.0 / 6, 0.0);
    case MGI_CURVE_HARDSWISH: {
        const double low = curves_pick(x < -3.0, 0.0, x / 3.0 + 0.5);
        return curves_pick(x > 3.0, 1.0, low);
    }
    case MGI_CURVE_MISH: return curves_mish_slope(x);
    case MGI_CURVE_GELU_TANH: return curves_gelu_slope(x);
    default: return a;
    }
}

/* ---- the instances --------------------------------------------------------- */

#define CURVES_CASES(CASE)                                                                     \
    CASE(LEAKYRELU) CASE(ELU) CASE(SELU) CASE(SILU) CASE(SIGMOID) CASE(HARDTANH)               \
    CASE(SOFTPLUS) CASE(HARDSIGMOID) CASE(HARDSWISH) CASE(MISH) CASE(GELU_TANH) CASE(AFFINE)

#define CURVES_VALUES(KIND)                                                                    \
    case MGI_CURVE_##KIND:                                                                     \
        MGI_OMP(simd)                                                                          \
        for (mango_idx i = 0; i < n; i++)                                                      \
            y[i] = curves_value(MGI_CURVE_##KIND, a, b, x[i]);                                 \
        break;
#define CURVES_SLOPES(KIND)                                                                    \
    case MGI_CURVE_##KIND:                                                                     \
        MGI_OMP(simd)                                                                          \
        for (mango_idx i = 0; i < n; i++)                                                      \
            dx[i] = (float)((double)dy[i] *                                                    \
                            curves_slope(MGI_CURVE_##KIND, a, b, (double)x[i]));               \
        break;

#define CURVES_SET(as, how)                                                                    \
    how static void curves_value_##as(mgi_curve f, double a, double b, mango_idx n,            \
                                      const float *x, float *y)                                \
    {                                                                                          \
        switch (f) {                                                                           \
            CURVES_CASES(CURVES_VALUES)                                                        \
        }                                                                                      \
    }                                                                                          \
    how static void curves_slope_##as(mgi_curve f, double a, double b, mango_idx n,            \
                                      const float *x, const float *dy, float *dx)              \
    {                                                                                          \
        switch (f) {                                                                           \
            CURVES_CASES(CURVES_SLOPES)                                                        \
        }                                                                                      \
    }                                                                                          \
    static const mgi_curves curves_##as = {curves_value_##as, curves_slope_##as};

CURVES_SET(base, )

#if defined(__GNUC__) && defined(__x86_64__)
CURVES_SET(avx2, __attribute__((target("avx2"))))

MGI_FN const mgi_curves *mgi_curves_get(void)
{
    const mgi_kernels *k = mgi_kernels_get();
    return k == mgi_kernels_avx512() || k == mgi_kernels_avx2() ? &curves_avx2 : &curves_base;
}
#else
MGI_FN const mgi_curves *mgi_curves_get(void)
{
    return &curves_base;
}
#endif

#undef CURVES_BODY
#undef CURVES_LN2_HI
#undef CURVES_LN2_LO
#undef CURVES_SELU
#undef CURVES_SELU_ALPHA
#undef CURVES_GELU_A
#undef CURVES_GELU_B
#undef CURVES_CASES
#undef CURVES_VALUES
#undef CURVES_SLOPES
#undef CURVES_SET
