/* real.c - elementary functions in plain double arithmetic.
 *   exp: x = k ln2 + r, Taylor series of degree 13 on |r| <= ln2/2
 *   log: x = 2^k m, log m = 2 atanh(f/(2+f)), f = m - 1
 *   sin, cos: exact reduction to |r| <= 1/8 turn, Taylor series
 *   erf: Taylor series around the nearest quarter, from erf'' = -2 x erf'
 *   atan: twice atan t = 2 atan(t/(1 + sqrt(1 + t^2))), then the series on |t| < 1/5
 *   pow: exp(y log x) with the logarithm and the product in double-double
 *   Phi: (1 + erf(x/sqrt 2))/2; its inverse from the rational formula 26.2.23 of
 *        Abramowitz and Stegun by three steps of Newton
 * Every truncation is below 2^-56 of the result; the bounds are in real.h.
 * SPDX-License-Identifier: MIT */
#include "real.h"

#define REAL_LN2_HI 0x1.62e42feep-1 /* 32 bits, so that k times it is exact */
#define REAL_LN2_LO 0x1.a39ef35793c76p-33
#define REAL_LOG2E 0x1.71547652b82fep+0
#define REAL_ERF_N 16 /* degree of its series, |t| <= 1/8 */
#define REAL_2PI 0x1.921fb54442d18p+2
#define REAL_2PI_LO 0x1.1a62633145c07p-52

/* A number as hi + lo, |lo| <= ulp(hi)/2. */
typedef struct real_dd {
    double hi, lo;
} real_dd;

static uint64_t real_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double real_from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* 2^k for -1022 <= k <= 1023. */
static double real_pow2(int k)
{
    return real_from_bits((uint64_t)(k + 1023) << 52);
}

/* exp(x + lo) for |lo| far below |x|; x is finite or infinite, not NaN. */
static double real_exp(double x, double lo)
{
    static const double c[12] = {/* 1/2! .. 1/13! */
        1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
        1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    if (x > 709.79)
        return (double)INFINITY;
    if (x < -745.14)
        return 0.0;
    const double k = floor(x * REAL_LOG2E + 0.5);
    const double a = x - k * REAL_LN2_HI; /* exact */
    const double b = lo - k * REAL_LN2_LO;
    const double r = a + b;
    double q = c[11];
    for (int i = 10; i >= 0; i--)
        q = q * r + c[i];
    const double p = 1.0 + (a + (b + r * r * q));
    const int n = (int)k, half = n / 2; /* two steps: subnormals, and 2^1024 */
    return p * real_pow2(half) * real_pow2(n - half);
}

double mgi_exp(double x)
{
    return mgi_is_nan(x) ? x : real_exp(x, 0.0);
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt(2); x positive and finite. */
static double real_split(double x, int *k)
{
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    const uint64_t u = real_bits(x);
    double m = real_from_bits((u & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    e += (int)(u >> 52) - 1023;
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    *k = e;
    return m;
}

/* sum over i = first.. of 2 z^(i-first)/(2i+1), z <= 0.0295 */
static double real_atanh_tail(double z, int first)
{
    double q = 0.0;
    for (int i = 11; i >= first; i--)
        q = q * z + 2.0 / (2 * i + 1);
    return q;
}

double mgi_log(double x)
{
    if (mgi_is_nan(x) || x == (double)INFINITY)
        return x;
    if (x <= 0.0)
        return x == 0.0 ? -(double)INFINITY : MGI_NAN;
    int k;
    const double f = real_split(x, &k) - 1.0; /* exact */
    const double s = f / (2.0 + f), z = s * s;
    const double h = 0.5 * f * f;
    /* 2 atanh(s) = f - h + s (h + R), R = 2 z/3 + 2 z^2/5 + ... */
    const double low = s * (h + z * real_atanh_tail(z, 1)) + k * REAL_LN2_LO;
    return k * REAL_LN2_HI - ((h - low) - f);
}

/* ---- double-double, for pow ---- */
static real_dd real_sum(double a, double b) /* a + b exactly */
{
    const double s = a + b, t = s - a;
    const real_dd r = {s, (a - (s - t)) + (b - t)};
    return r;
}

static real_dd real_mul(double a, double b) /* a b exactly (Dekker) */
{
    const double ca = 134217729.0 * a, cb = 134217729.0 * b; /* 2^27 + 1 */
    const double ah = ca - (ca - a), al = a - ah;
    const double bh = cb - (cb - b), bl = b - bh;
    const double p = a * b;
    const real_dd r = {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
    return r;
}

static real_dd real_dd_mul(real_dd a, real_dd b)
{
    const real_dd p = real_mul(a.hi, b.hi);
    return real_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static real_dd real_dd_add(real_dd a, real_dd b)
{
    const real_dd s = real_sum(a.hi, b.hi);
    return real_sum(s.hi, s.lo + (a.lo + b.lo));
}

/* log x to about 2^-65 of its value. */
static real_dd real_log_dd(double x)
{
    static const real_dd third = {0x1.5555555555555p-1, 0x1.5555555555555p-55}; /* 2/3 */
    int k;
    const double f = real_split(x, &k) - 1.0;
    const real_dd den = real_sum(2.0, f);
    real_dd s = {f / den.hi, 0.0};
    const real_dd back = real_mul(s.hi, den.hi);
    s.lo = (((f - back.hi) - back.lo) - s.hi * den.lo) / den.hi;
    const real_dd z = real_dd_mul(s, s);
    const real_dd twice = {2.0 * s.hi, 2.0 * s.lo};
    real_dd tail = real_dd_mul(real_dd_mul(s, z), third);
    tail.lo += s.hi * z.hi * z.hi * real_atanh_tail(z.hi, 2);
    real_dd sum = real_dd_add(twice, real_sum(tail.hi, tail.lo));
    const real_dd hi = {k * REAL_LN2_HI, 0.0};
    real_dd lo = real_mul((double)k, REAL_LN2_LO);
    lo.lo += k * 0x1.cc01f97b57a08p-87; /* what LN2_LO leaves of ln 2 */
    return real_dd_add(real_dd_add(hi, lo), sum);
}

/* erf(k/4) and its derivative there, 2/sqrt(pi) exp(-(k/4)^2). */
static const double real_erf_at[25][2] = {
    {0.0, 0x1.20dd750429b6dp+0},
    {0x1.1af54e232d609p-2, 0x1.0f5d1602f7e41p+0},
    {0x1.0a7ef5c18edd2p-1, 0x1.c1efca49a5011p-1},
    {0x1.6c1c9759d0e5fp-1, 0x1.492e42d78d2c5p-1},
    {0x1.af767a741088bp-1, 0x1.a911f096fbc26p-2},
    {0x1.d8865d98abe01p-1, 0x1.e4652fadcb6b2p-3},
    {0x1.eea5557137ae0p-1, 0x1.e723726b824a9p-4},
    {0x1.f92d077f8d56dp-1, 0x1.b055303221015p-5},
    {0x1.fd9ae142795e3p-1, 0x1.529b9e8cf9a1ep-6},
    {0x1.ff404760319b4p-1, 0x1.d4143a9dfe965p-8},
    {0x1.ffcaa8f4c9beap-1, 0x1.1d83170fbf6fbp-9},
    {0x1.fff2cfb0453d9p-1, 0x1.3360ccd23db3ap-11},
    {0x1.fffd1ac4135f9p-1, 0x1.2408e9ba3327fp-13},
    {0x1.ffff6f9f67e55p-1, 0x1.e9b5e8d00ce77p-16},
    {0x1.ffffe710d565ep-1, 0x1.6a597219a93dap-18},
    {0x1.fffffc2f171e3p-1, 0x1.d9371e2ff7c35p-21},
    {0x1.ffffff7b91176p-1, 0x1.10b1488aeb235p-23},
    {0x1.fffffff01a8b6p-1, 0x1.155a09065d4f7p-26},
    {0x1.fffffffe4fa30p-1, 0x1.f1e3523b41d7dp-30},
    {0x1.ffffffffd759dp-1, 0x1.8a61745ec7d1dp-33},
    {0x1.fffffffffc9e8p-1, 0x1.13af4f04f9998p-36},
    {0x1.ffffffffffc05p-1, 0x1.5422ef5d8949dp-40},
    {0x1.fffffffffffbep-1, 0x1.7258610b3b233p-44},
    {0x1.ffffffffffffcp-1, 0x1.63daf8b4b1e0cp-48},
    {0x1.0000000000000p+0, 0x1.2dc119095729fp-52},
};

double mgi_erf(double x)
{
    double a[REAL_ERF_N + 1];
    const double z = fabs(x);
    if (mgi_is_nan(x))
        return x;
    if (z >= 6.0) /* 1 - erf(6) is a fifth of an ulp */
        return x > 0.0 ? 1.0 : -1.0;
    const int k = (int)floor(4.0 * z + 0.5);
    const double c = 0.25 * k, t = z - c;
    a[0] = real_erf_at[k][0];
    a[1] = real_erf_at[k][1];
    a[2] = -c * a[1];
    for (int n = 1; n + 2 <= REAL_ERF_N; n++)
        a[n + 2] = -2.0 * (c * a[n + 1] + a[n] * n / (n + 1)) / (n + 2);
    double q = a[REAL_ERF_N];
    for (int n = REAL_ERF_N - 1; n > 0; n--)
        q = q * t + a[n];
    const double y = a[0] + t * q;
    return signbit(x) ? -y : y;
}

/* atan x for 0 <= x <= 1 */
static double real_atan(double x)
{
    double t = x / (1.0 + sqrt(1.0 + x * x)), q = 0.0;
    t = t / (1.0 + sqrt(1.0 + t * t));
    const double z = t * t;
    for (int i = 25; i >= 3; i -= 2)
        q = z * (1.0 / i - q);
    return 4.0 * (t - t * q);
}

double mgi_atan(double x)
{
    const double a = fabs(x);
    const double y = a > 1.0 ? 0.25 * REAL_2PI - real_atan(1.0 / a) : real_atan(a);
    return signbit(x) ? -y : y;
}

double mgi_normal_cdf(double x)
{
    return 0.5 + 0.5 * mgi_erf(x * 0.70710678118654752);
}

double mgi_normal_quantile(double p)
{
    if (!(p > 0.0 && p < 1.0))
        return mgi_is_nan(p) ? p : p > 0.0 ? (double)INFINITY : -(double)INFINITY;
    const double q = p < 0.5 ? p : 1.0 - p; /* exact */
    const double t = sqrt(-2.0 * mgi_log(q));
    const double a = 2.515517 + t * (0.802853 + t * 0.010328);
    const double b = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    double x = a / b - t; /* the lower tail, off by 5e-4 at most */
    for (int i = 0; i < 3; i++) {
        const double density = 0.39894228040143268 * mgi_exp(-0.5 * x * x);
        x -= (mgi_normal_cdf(x) - q) / density;
    }
    return p < 0.5 ? x : -x;
}

double mgi_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (mgi_is_nan(x) || mgi_is_nan(y) || x < 0.0)
        return MGI_NAN;
    const double inf = (double)INFINITY;
    if (x == 0.0 || x == inf)
        return (x == 0.0) == (y > 0.0) ? 0.0 : inf;
    if (!mgi_is_finite(y)) /* infinite */
        return (x > 1.0) == (y > 0.0) ? inf : 0.0;
    const real_dd l = real_log_dd(x);
    const double rough = l.hi * y;
    if (!(rough < 710.0 && rough > -746.0))
        return rough > 0.0 ? inf : 0.0;
    if (rough > -0x1p-60 && rough < 0x1p-60)
        return 1.0 + rough; /* and y may be too large or small to split */
    const real_dd p = real_mul(l.hi, y);
    return real_exp(p.hi, p.lo + l.lo * y);
}

/* ---- trigonometry ---- */
/* (-1)^i z^i c[i] summed from the small end, z <= (pi/4)^2 */
static double real_alternating(const double *c, double z)
{
    double q = c[8];
    for (int i = 7; i >= 0; i--)
        q = c[i] - z * q;
    return q;
}

/* sin and cos of 2 pi r, |r| <= 1/8 */
static double real_sin(double r)
{
    static const double c[9] = {/* 1/3! 1/5! .. 1/19! */
        1.0 / 6, 1.0 / 120, 1.0 / 5040, 1.0 / 362880, 1.0 / 39916800, 1.0 / 6227020800.0,
        1.0 / 1307674368000.0, 1.0 / 355687428096000.0, 1.0 / 121645100408832000.0};
    const real_dd y = real_mul(REAL_2PI, r);
    const double z = y.hi * y.hi, lo = y.lo + r * REAL_2PI_LO;
    return y.hi + (lo - y.hi * z * real_alternating(c, z));
}

static double real_cos(double r)
{
    static const double c[9] = {/* 1/4! 1/6! .. 1/20! */
        1.0 / 24, 1.0 / 720, 1.0 / 40320, 1.0 / 3628800, 1.0 / 479001600, 1.0 / 87178291200.0,
        1.0 / 20922789888000.0, 1.0 / 6402373705728000.0, 1.0 / 2432902008176640000.0};
    const real_dd y = real_mul(REAL_2PI, r);
    const double z = y.hi * y.hi, lo = y.lo + r * REAL_2PI_LO;
    const double w = 0.5 * z, a = 1.0 - w; /* what a lost is (1 - a) - w */
    return a + (((1.0 - a) - w) + (z * z * real_alternating(c, z) - y.hi * lo));
}

/* x turns = r + q quarter turns, |r| <= 1/8, both exact. */
static double real_quarter(double x, int *q)
{
    const double t = x - floor(x);
    const double n = floor(4.0 * t + 0.5);
    *q = (int)n & 3;
    return t - 0.25 * n;
}

double mgi_sin2pi(double x)
{
    int q;
    if (!mgi_is_finite(x))
        return MGI_NAN;
    const double r = real_quarter(x, &q);
    const double v = q & 1 ? real_cos(r) : real_sin(r);
    return q & 2 ? -v : v;
}

double mgi_cos2pi(double x)
{
    int q;
    if (!mgi_is_finite(x))
        return MGI_NAN;
    const double r = real_quarter(x, &q);
    const double v = q & 1 ? real_sin(r) : real_cos(r);
    return q == 1 || q == 2 ? -v : v;
}

/* ---- single precision ---- */
float mgi_expf(float x)
{
    return (float)mgi_exp((double)x);
}

float mgi_tanhf(float x)
{
    const double a = x < 0.0f ? -(double)x : (double)x, z = a * a;
    if (!(a < 20.0))
        return mgi_is_nan((double)x) ? x : x > 0.0f ? 1.0f : -1.0f;
    if (a < 0.5) { /* Lambert's continued fraction, its eighth convergent */
        const double p = 2027025.0 + z * (270270.0 + z * (6930.0 + z * 36.0));
        const double q = 2027025.0 + z * (945945.0 + z * (51975.0 + z * (630.0 + z)));
        return (float)((double)x * p / q);
    }
    const double t = 1.0 - 2.0 / (mgi_exp(2.0 * a) + 1.0);
    return (float)(x < 0.0f ? -t : t);
}

float mgi_fmaf_soft(float a, float b, float c)
{
    const double p = (double)a * (double)b; /* exact: 48 bits */
    const double s = p + (double)c;
    if (!mgi_is_finite(s))
        return (float)s;
    const double t = s - p;
    const double lost = (p - (s - t)) + ((double)c - t);
    uint64_t u = real_bits(s);
    if (lost == 0.0 || (u & 1))
        return (float)s;
    /* Round s to odd: then the second rounding, to float, is the only one. */
    u = (lost > 0.0) == (s > 0.0) ? u + 1 : u - 1;
    return (float)real_from_bits(u);
}

float mgi_fmaf(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF) || defined(__GLIBC__)
    return fmaf(a, b, c);
#else
    return mgi_fmaf_soft(a, b, c);
#endif
}

/* ---- 16-bit formats ---- */
static float real_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint32_t real_word(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

float mgi_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t e = (h >> 10) & 31u, m = h & 0x3ffu;
    if (e == 31)
        return real_float(sign | 0x7f800000u | m << 13);
    if (e > 0)
        return real_float(sign | (e + 112u) << 23 | m << 13);
    const float tiny = (float)m * 0x1p-24f;
    return sign ? -tiny : tiny;
}

/* Drop `shift` low bits of u, to nearest, ties to even. */
static uint32_t real_round_shift(uint32_t u, uint32_t shift)
{
    const uint32_t half = 1u << (shift - 1), odd = (u >> shift) & 1u;
    return (u + half - 1u + odd) >> shift;
}

uint16_t mgi_to_f16(float x)
{
    const uint32_t u = real_word(x), a = u & 0x7fffffffu;
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
    if (a >= 0x47800000u) /* 65536 and above, infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a >= 0x38800000u) /* normal: a carry into the exponent is right */
        return (uint16_t)(sign | real_round_shift(a - (112u << 23), 13));
    if (a < 0x33000000u) /* below 2^-25 */
        return sign;
    const uint32_t e = a >> 23, m = (a & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | real_round_shift(m, 126u - e));
}

float mgi_from_bf16(uint16_t h)
{
    return real_float((uint32_t)h << 16);
}

uint16_t mgi_to_bf16(float x)
{
    const uint32_t u = real_word(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)real_round_shift(u, 16);
}

#undef REAL_LN2_HI
#undef REAL_LN2_LO
#undef REAL_LOG2E
#undef REAL_ERF_N
#undef REAL_2PI
#undef REAL_2PI_LO
