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

MGI_FN void mgi_lif_cells_ref(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                              const float *X, float *U, float *S)
{
    for (mango_idx i = 0; i < n; i++) {
        const mgi_lif_rule own = mgi_lif_cell(r, c, i);
        const float H = mgi_lif_cell_charge(&own, U[i], X[i], c->R ? c->R + i : NULL,
                                            c->I ? c->I + i : NULL);
        S[i] = mgi_lif_fires(&own, H) ? 1.0f : 0.0f;
        U[i] = mgi_lif_leave(&own, U[i], H);
    }
}
