/* embed.c - rows of a table by number.
 * SPDX-License-Identifier: MIT */
#include "ops.h"

MGI_FN int mgi_embed_is_code(float v, mango_idx K)
{
    return v >= 0.0f && v < (float)K && v == (float)(mango_idx)v;
}

MGI_FN void mgi_embed(mango_idx R, mango_idx K, mango_idx D, const float *codes, const float *e,
                      float *y)
{
    MGI_OMP(parallel for schedule(static) if (R * D >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        float *to = y + r * D;
        if (mgi_embed_is_code(codes[r], K)) {
            memcpy(to, e + (mango_idx)codes[r] * D, (size_t)D * sizeof *to);
            continue;
        }
        for (mango_idx d = 0; d < D; d++)
            to[d] = NAN;
    }
}

MGI_FN void mgi_embed_backward(mango_idx R, mango_idx K, mango_idx D, const float *codes,
                               const float *dy, float *de)
{
    const mgi_kernels *k = mgi_kernels_get();
    for (mango_idx r = 0; r < R; r++)
        if (mgi_embed_is_code(codes[r], K)) {
            float *to = de + (mango_idx)codes[r] * D;
            k->add(D, to, dy + r * D, to);
        }
}
