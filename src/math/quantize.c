/* quantize.c - the nearest row of a codebook.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

MGI_FN void mgi_vq_weights(mango_idx K, mango_idx C, const float *e, float *w, float *b)
{
    for (mango_idx k = 0; k < K; k++) {
        double q = 0;
        for (mango_idx c = 0; c < C; c++) {
            q += (double)e[k * C + c] * e[k * C + c];
            w[k * C + c] = -2.0f * e[k * C + c];
        }
        b[k] = (float)q;
    }
}

MGI_FN mango_idx mgi_vq_least(mango_idx K, const float *score)
{
    mango_idx best = 0;
    for (mango_idx k = 1; k < K; k++)
        if (score[k] < score[best])
            best = k;
    return best;
}

MGI_FN void mgi_vq_rows(mango_idx R, mango_idx C, const float *codes, const float *e, float *y)
{
    for (mango_idx r = 0; r < R; r++)
        memcpy(y + r * C, e + (mango_idx)codes[r] * C, (size_t)C * sizeof *y);
}
