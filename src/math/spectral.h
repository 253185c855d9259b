/* spectral.h - the power method for the largest singular value of a matrix.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_SPECTRAL_H
#define MGI_SPECTRAL_H

#include "../base/mgi.h"

/* mgi_power_step - one iteration for W (O,K) from u (O):
 *     v = W'u / |W'u|,   u_new = W v / |W v|
 * v (K) out; u_new (O) out, may be u. Returns |W v|, which is u_new' W v: the singular
 * value where u and v have settled. Sums in double, indices ascending. */
MGI_FN double mgi_power_step(mango_idx O, mango_idx K, const float *W, const float *u, float *v,
                             float *u_new);

#endif
