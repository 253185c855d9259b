/* real.h - portable elementary functions: the same bits on every machine.
 * Only + - * / floor and bit moves, in double, so no libm differences enter.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_REAL_H
#define MGI_REAL_H

#include "mgi.h"

/* Double versions. Error bounds, which tests/test_base.c checks: 1 ulp of the
 * result for all (2 for erf, and where exp or pow is subnormal; 4 for atan). Inf and NaN follow
 * C99 Annex F. */
MGI_FN double mgi_exp(double x);
MGI_FN double mgi_log(double x);
MGI_FN double mgi_sin2pi(double x);   /* sin(2 pi x); exact at multiples of 1/4 */
MGI_FN double mgi_cos2pi(double x);
MGI_FN double mgi_erf(double x);
MGI_FN double mgi_atan(double x);
MGI_FN double mgi_pow(double x, double y); /* x > 0; NaN otherwise, but x^0 = 1 */
/* Phi(x), the distribution of N(0,1), to 2e-16; its inverse for 0 < p < 1, which gives p
 * back to 4e-16 (0 and less: -inf, 1 and more: inf). */
MGI_FN double mgi_normal_cdf(double x);
MGI_FN double mgi_normal_quantile(double p);
/* Single versions: the double one rounded, which is the correctly rounded
 * result but for 1e-7 of cases. */
MGI_FN float mgi_expf(float x);
MGI_FN float mgi_tanhf(float x);
/* fma on floats with a single rounding on every target. */
MGI_FN float mgi_fmaf(float a, float b, float c);
/* The same through double, for targets whose fmaf is missing or doubtful. */
MGI_FN float mgi_fmaf_soft(float a, float b, float c);
/* Half-precision and bfloat16, round to nearest even. */
MGI_FN float mgi_from_f16(uint16_t h);
MGI_FN uint16_t mgi_to_f16(float x);
MGI_FN float mgi_from_bf16(uint16_t h);
MGI_FN uint16_t mgi_to_bf16(float x);

#endif
