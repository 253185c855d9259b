/* real.h - portable elementary functions: the same bits on every machine.
 * Only + - * / fma and bit moves, in double, so no libm differences enter.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_REAL_H
#define MGI_REAL_H

#include "mgi.h"

/* Double versions; error bounds (in ulp of the result) are stated and tested
 * in real.c. Inf and NaN follow C99 Annex F. */
MGI_FN double mgi_exp(double x);
MGI_FN double mgi_log(double x);
MGI_FN double mgi_sin2pi(double x);   /* sin(2 pi x), x in [0,1) */
MGI_FN double mgi_cos2pi(double x);
MGI_FN double mgi_pow(double x, double y); /* x > 0 */
/* Single versions, correctly rounded from the double ones but for 1e-7 of cases. */
MGI_FN float mgi_expf(float x);
MGI_FN float mgi_logf(float x);
MGI_FN float mgi_tanhf(float x);
/* fma on floats with a single rounding on every target. */
MGI_FN float mgi_fmaf(float a, float b, float c);
/* Half-precision and bfloat16, round to nearest even. */
MGI_FN float mgi_from_f16(uint16_t h);
MGI_FN uint16_t mgi_to_f16(float x);
MGI_FN float mgi_from_bf16(uint16_t h);
MGI_FN uint16_t mgi_to_bf16(float x);

#endif
