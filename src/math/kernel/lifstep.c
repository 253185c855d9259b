/* lifstep.c - one time step of leaky integrate-and-fire neurons, the plain loop.
 * SPDX-License-Identifier: MIT */
#include "lifstep.h"

MGI_FN void mgi_lif_ref(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                        float *S)
{
    for (mango_idx i = 0; i < n; i++) {
        const float H = mgi_lif_charge(r, U[i], X[i]);
        S[i] = mgi_lif_fires(r, H) ? 1.0f : 0.0f;
        U[i] = mgi_lif_leave(r, U[i], H);
    }
}
